package loop

import (
	"encoding/json"
	"fmt"

	"github.com/tramontane-dev/tramontane/mistral"
)

// Version is the version of [State] that this package writes. It reads the ones
// before too: 1 had no handles.
const Version = 2

// A Mode says who keeps the history of the conversation.
type Mode string

// Who keeps the history.
const (
	Remote Mode = "remote" // the API
	Local  Mode = "local"  // the State: every request carries all of it, and the API stores nothing
)

// A Phase is what a run is waiting for.
type Phase string

// What a run is waiting for.
const (
	Preparing Phase = "preparing" // the agent and the tools
	Reading   Phase = "reading"   // the history of the conversation
	Replying  Phase = "replying"  // the model
	Calling   Phase = "calling"   // tools and people
	Ended     Phase = "ended"     // nothing, until it is resumed
)

// A Reason says why a run ended.
type Reason string

// Why a run ended.
const (
	Done      Reason = "done"
	MaxTurns  Reason = "max_turns"
	Pending   Reason = "pending" // calls wait for a person's word
	Cancelled Reason = "cancelled"
	Failed    Reason = "failed"
)

// State is all that a run knows, in few bytes: entries that the API keeps are
// not repeated here.
type State struct {
	Version int    `json:"version"`
	Mode    Mode   `json:"mode"`
	RunID   string `json:"run_id"`
	Phase   Phase  `json:"phase"`
	Reason  Reason `json:"reason,omitzero"` // when Ended
	Error   string `json:"error,omitzero"`  // when Failed

	ConversationID string `json:"conversation_id,omitzero"` // if empty, the next request starts one
	Agent          *Agent `json:"agent,omitzero"`           // if nil, the run has a model of its own
	Policy         Policy `json:"policy"`
	Turn           int    `json:"turn"`       // replies of the model so far
	TurnLimit      int    `json:"turn_limit"` // no request is sent at this many
	Tools          []Tool `json:"tools,omitzero"`
	Usage          Usage  `json:"usage"`

	// Inputs have not been sent yet.
	Inputs mistral.Entries `json:"inputs,omitzero"`

	// Sent are the inputs of the last request, as long as no reply shows that
	// they have reached the conversation.
	Sent mistral.Entries `json:"sent,omitzero"`

	// Calls are those of the last reply, in its order. Their results are owed:
	// they travel at the head of the next request.
	Calls []Call `json:"calls,omitzero"`

	// LastEntry is the id of the last entry that the conversation is known to
	// have: what comes after it tells whether a lost request was carried out. It
	// is empty if there is no entry, and nameless if the last one has no id.
	LastEntry string `json:"last_entry,omitzero"`

	// History is the conversation in Local mode, and empty otherwise.
	History mistral.Entries `json:"history,omitzero"`

	Unread    bool `json:"unread,omitzero"`    // the history must be read before anything is sent
	Unsure    bool `json:"unsure,omitzero"`    // a request may have been carried out, though its reply never came
	Tentative bool `json:"tentative,omitzero"` // the conversation was named by a stream that broke: it may not exist
	Resent    bool `json:"resent,omitzero"`    // the last request was sent twice, the first being lost
	Cancelled bool `json:"cancelled,omitzero"` // the run ends as soon as nothing is under way

	AwaitAgent bool `json:"await_agent,omitzero"`
	AwaitTools bool `json:"await_tools,omitzero"`
}

// Policy is what the caller chose once and for all.
type Policy struct {
	Approve       bool `json:"approve,omitzero"`          // every call needs a person's word
	EndOnToolFail bool `json:"end_on_tool_fail,omitzero"` // a call that fails ends the run
}

// Agent is the agent of a run.
type Agent struct {
	ID string `json:"id"`

	// Version is the version to start with. If nil, the agent's current one.
	Version *mistral.AgentVersion `json:"version,omitzero"`

	// Own says that the version is one made for what the run adds, by this run
	// or by one before it: there is nothing left to prepare.
	Own bool `json:"own,omitzero"`

	// Made says that the run wrote this version, and when. If empty, it wrote
	// nothing.
	Made mistral.Timestamp `json:"made,omitzero"`
}

// Tool is what the loop has to know of a tool.
type Tool struct {
	Name    string `json:"name"`
	Safe    bool   `json:"safe,omitzero"`    // a call may be sent twice without harm
	Confirm bool   `json:"confirm,omitzero"` // a call needs a person's word, whatever the Policy says
}

// Usage sums the tokens of a run.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

// A Status is how far a call has come.
type Status string

// How far a call has come.
const (
	Asking  Status = "asking"  // a person is being asked
	Waiting Status = "waiting" // a person will answer later
	Running Status = "running" // the tool has been called
	Left    Status = "left"    // the run went away, and what the tool began goes on
	Settled Status = "settled" // it has its one result, or the word that the server waits for
)

// A Call is one wish of the model to call a tool.
type Call struct {
	// Key names the call for good: <run>/<turn>/<tool call id>.
	Key string `json:"key"`

	ID        string `json:"id"` // tool_call_id
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // a JSON object, or what the model sent instead of one
	Status    Status `json:"status"`

	// Handle is what the tool needs to go on with what it began, if it said so.
	// A call that has one and is not Settled is taken up again, never repeated.
	Handle json.RawMessage `json:"handle,omitzero"`

	// Result is what the model is told, when Settled.
	Result  string `json:"result,omitzero"`
	IsError bool   `json:"is_error,omitzero"`

	// Remote says that the server runs the tool, and waits only for a person's
	// word, which Confirmation is when Settled.
	Remote       bool                 `json:"remote,omitzero"`
	Confirmation mistral.Confirmation `json:"confirmation,omitzero"`

	// Failed says that the tool failed or could not be called, which a Policy
	// may end the run for.
	Failed bool `json:"failed,omitzero"`
}

// Parse reads a State that was saved as JSON.
func Parse(data []byte) (State, error) {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("saved run: %w", err)
	}
	if s.Version < 1 || s.Version > Version {
		return State{}, fmt.Errorf("saved run: version %d is none of 1 to %d, which this program reads", s.Version, Version)
	}
	s.Version = Version
	return s, nil
}
