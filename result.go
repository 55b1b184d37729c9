package tramontane

import (
	"encoding/json"
	"errors"

	"github.com/tramontane-dev/tramontane/internal/loop"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A Reason says why a run ended.
type Reason string

// Why a run ended.
const (
	ReasonDone      Reason = "done"      // the model had nothing more to call
	ReasonMaxTurns  Reason = "max_turns" // ErrMaxTurns
	ReasonPending   Reason = "pending"   // ErrPending
	ReasonCancelled Reason = "cancelled" // its context ended
	ReasonFailed    Reason = "failed"
)

// ErrMaxTurns is returned when the model has replied as often as it may and
// still wants to call tools. The run can be resumed.
var ErrMaxTurns = errors.New("the limit of turns is reached")

// ErrPending is returned when calls wait for a person's word: those in
// [Result.Pending]. The run can be resumed from [Result.State], with the word
// in the Decisions of [RunOptions].
var ErrPending = errors.New("calls wait for approval")

// ErrOutcomeUnknown is to be wrapped by the error of a [Tool] whose call was
// sent, or may have been, and of which nothing more can be known. The model is
// told so, and the call is not repeated.
var ErrOutcomeUnknown = errors.New("the outcome of the call is unknown")

// A Result is what came of a run.
type Result struct {
	// Reason says why the run ended.
	Reason Reason

	// Entries is what happened in the run, in order: the outputs of the API,
	// and the results of the program's own tools among them.
	Entries mistral.Entries

	// Text is the text of the last message in the model's last reply. It is
	// empty if that has none, or if there was no reply.
	Text string

	// Output is Text as the JSON that the Runner's Output asked for. If nil,
	// nothing was asked for, or the answer is something else.
	Output json.RawMessage

	// ConversationID names the conversation, to go on with it later. It is
	// empty if the API keeps none.
	ConversationID string

	// Usage sums the tokens of the run, over all its parts if it was resumed, and
	// those of [Sample].
	Usage mistral.Usage

	// Pending are the calls that wait for a person's word.
	Pending []Call

	// Kept are the calls that go on though the run has ended, each with the
	// Handle that its tool gave to [Keep]. A resumed run goes on with them.
	Kept []Call

	// Resources are the texts of results that were too long to be told whole
	// (see [Runner]), by the URIs that the model was told, and those of the
	// Resources of [RunOptions].
	Resources []ResourceContent

	// State is the whole run, to resume it with. It is never nil.
	State *State
}

// State is a run that ended, as JSON: it can be stored, carried elsewhere and
// resumed (see [RunOptions]). It holds what was said and what the model is to be
// told of the results of tools, as far as the API does not have it yet, and no
// key.
//
// It is not signed: who can change it can change what a resumed run calls.
type State struct {
	state loop.State
}

// MarshalJSON implements [json.Marshaler].
func (s State) MarshalJSON() ([]byte, error) { return json.Marshal(s.state) }

// UnmarshalJSON implements [json.Unmarshaler]. It refuses a State that another
// version of this package wrote in another form.
func (s *State) UnmarshalJSON(data []byte) (err error) {
	s.state, err = loop.Parse(data)
	return err
}

// A runError says what a run failed of, and wraps the cause.
type runError struct {
	message string
	cause   error // nil if the loop itself gave up
}

func (e *runError) Error() string { return e.message }
func (e *runError) Unwrap() error { return e.cause }
