package tramontane

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/tramontane-dev/tramontane/internal/loop"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A Runner runs an agent with tools: it sends what a person says, calls the
// tools that the model asks for, sends their results, and so on until the model
// answers.
//
// One of Model and AgentID is required, except to continue a conversation.
// Fields are set before the first use and left alone then. A Runner may run any
// number of runs at once; it must not be copied.
type Runner struct {
	// Client is the API. If nil, it is the zero Client, which reads
	// MISTRAL_API_KEY and MISTRAL_BASE_URL.
	Client *mistral.Client

	// Model is the name of a model. If zero, AgentID says what runs.
	Model string

	// AgentID is an agent of the API. It stays as it is: tools and an Output
	// that the run adds travel with the conversation, not with the agent (but
	// see OwnVersion). If zero, Model says what runs.
	AgentID string

	// AgentVersion is the version of the agent to run. If nil, its current one.
	AgentVersion *mistral.AgentVersion

	// OwnVersion keeps conversations under the agent's id though the run adds
	// tools or an Output: they become a version of the agent that conversations
	// are pinned to, made once and found again by its contents. An agent that
	// hands conversations to others needs it. If zero, the agent is never
	// written to.
	//
	// The API has no way to make a version without making it the current one:
	// it is switched back at once, also when the run is cancelled meanwhile, and
	// a program that uses the agent in between gets the version of this run. A
	// run that finds such a version as the current one fails.
	OwnVersion bool

	// Instructions tell the model how to behave. With an agent they stand after
	// its own. If zero, there are none to add.
	Instructions string

	// CompletionArgs are the settings of the model. With an agent they stand in
	// for those of its own that they name. If nil, there are none.
	CompletionArgs *mistral.CompletionArgs

	// Tools are what the model may call. If nil, there are only those of
	// Toolsets, and those that the API runs itself.
	Tools []Tool

	// Toolsets are asked for more tools when a run begins. One that cannot be
	// had ends the run before the model is called. If nil, there are none.
	Toolsets []Toolset

	// Output is the shape of the answer. If nil, the answer is text.
	Output *Output

	// Local keeps conversations in the program: every request carries the whole
	// of it, and the API stores nothing. If zero, the API keeps them.
	Local bool

	// MaxTurns is how often the model may reply before the run ends with
	// ErrMaxTurns, counted anew when it is resumed. If not positive, it is 20.
	MaxTurns int

	// MaxParallel is how many calls run at once. If not positive, it is 8.
	MaxParallel int

	// MaxTools is how many tools a conversation may have, those of an agent
	// among them. A run with more fails before the model is called. If zero, it
	// is 128, the most that model APIs are known to take; if negative, there is
	// no limit.
	MaxTools int

	// MaxResult is how many bytes of text the model is told of one result. Of a
	// longer one it is told the head and the tail, and [Result.Resources] has
	// the whole. If zero, it is 64 KiB; if negative, there is no limit.
	MaxResult int

	// ReadResults gives the model a tool, read_result, to read on where a
	// result was cut. If zero, it has none.
	ReadResults bool

	// OnToolError says what a call that fails does to the run. If zero, the
	// model is told and the run goes on.
	OnToolError ToolErrorPolicy

	// Approve is asked before each call, one at a time in a run, while calls
	// that it allowed before may be running. It is not asked after ctx has
	// ended. An error counts as Later, and so does a panic; both are logged. If
	// nil, every call is made, except those that need a person's word: calls of
	// a tool with [Definition.Confirm], and those of the API's own tools for
	// which it asks. They stay pending.
	Approve func(ctx context.Context, call *Call, tool Definition) (Decision, error)

	// ConfirmOnly has Approve asked about the calls that need a person's word,
	// and no others: those are made at once, and wait for nobody's answer. If
	// zero, Approve is asked about every call, and sees in the Definition which
	// they are.
	ConfirmOnly bool

	// Logger receives what is worth knowing and no error: tools that panicked,
	// questions to Approve that failed, requests that were lost. If nil, it is
	// discarded.
	Logger *slog.Logger

	agents agentCache
}

// ToolErrorPolicy says what a call that fails does to a run.
type ToolErrorPolicy int

// What a call that fails does.
const (
	// TellModel gives the model the error as the result of the call.
	TellModel ToolErrorPolicy = iota

	// EndRun ends the run with the error, once the calls of the same turn have
	// returned. Nothing is lost: resumed, the run goes on and tells the model.
	EndRun
)

const (
	defaultMaxTurns    = 20
	defaultMaxParallel = 8
)

// RunOptions says more of a run. A nil *RunOptions means its zero value.
type RunOptions struct {
	// ConversationID is a conversation to continue. Its tools were fixed when
	// it was started. If zero, the run starts one.
	ConversationID string

	// Resume is a run to go on with. Its conversation, and results that it
	// owes, come with it; the input is delivered after them. Resume a State
	// once and then use that of the new Result: a State knows nothing of what
	// came after it, and resumed again it makes its calls again. If nil, the run
	// is a new one.
	Resume *State

	// Resources are those of the Result that is resumed, for the model to read
	// with [Runner.ReadResults]. The State does not hold them: they may be
	// large. If nil, what was cut earlier cannot be read any more.
	Resources []ResourceContent

	// Decisions are words on the pending calls of Resume, by [Call.Key]. What
	// has none is asked of the Runner's Approve, if there is one, and otherwise
	// stays pending. Keys of no such call are ignored.
	Decisions map[string]Decision
}

// UserText returns an input of one message of the user.
func UserText(text string) []mistral.Entry {
	return []mistral.Entry{&mistral.MessageInput{Role: mistral.RoleUser, Content: mistral.Content{Text: text}}}
}

// Run runs the agent until it has answered. If ctx ends, Run ends as soon as
// the request and the tools that are under way have returned, with ctx's cause.
//
// The Result is never nil, and holds what there is even when Run returns an
// error: ErrMaxTurns or ErrPending, the error of a context that ended, an error
// of the API (a *[mistral.Error]), of a Toolset, of a tool with [EndRun], or of
// an answer that is not the Output. Except after a mistake in opts or in the
// Runner, its State can be resumed: a run that ended early keeps the results
// that the conversation waits for, and delivers them then.
func (r *Runner) Run(ctx context.Context, input []mistral.Entry, opts *RunOptions) (*Result, error) {
	d, first, err := r.newDriver(input, opts)
	if err != nil {
		return d.result(), err
	}
	return d.run(ctx, first)
}

// Stream runs the agent as Run does and yields what happens meanwhile. The last
// pair is a *[DoneEvent] with the Result, and the error that Run would return.
// Events of the API and of the program's own tools stand in one order, and
// what tools and servers report meanwhile (see [Emit]) stands among them.
//
// To break off the sequence cancels the run and waits for its tools; a run that
// may be resumed is therefore cancelled by its ctx, for its DoneEvent to come.
// To range over the sequence again is to make another run.
func (r *Runner) Stream(ctx context.Context, input []mistral.Entry, opts *RunOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		d, first, err := r.newDriver(input, opts)
		if err != nil {
			yield(&DoneEvent{Result: d.result()}, err)
			return
		}
		broken := false
		d.reports = newReports()
		d.yield = func(e Event) {
			if !broken && !yield(e, nil) {
				broken = true
				d.cancel()
			}
		}
		result, err := d.run(ctx, first)
		if !broken {
			yield(&DoneEvent{Result: result}, err)
		}
	}
}

// newDriver returns a driver and the first event of its run. The driver is
// never nil.
func (r *Runner) newDriver(input []mistral.Entry, opts *RunOptions) (*driver, loop.Event, error) {
	if opts == nil {
		opts = new(RunOptions)
	}
	d := &driver{
		runner:    r,
		client:    r.Client,
		decisions: maps.Clone(opts.Decisions),
		yield:     func(Event) {},
		arrivals:  make(chan arrival),
		slots:     make(chan struct{}, orDefault(r.MaxParallel, defaultMaxParallel)),
		handles:   &handles{ready: make(chan struct{}, 1)},
		listed:    make(chan struct{}),
		callErrs:  map[string]error{},
		results:   map[string]*ToolResult{},
		wholes:    slices.Clone(opts.Resources),
	}
	if d.client == nil {
		d.client = new(mistral.Client)
	}
	policy := loop.Policy{Approve: r.Approve != nil && !r.ConfirmOnly, EndOnToolFail: r.OnToolError == EndRun}
	maxTurns := orDefault(r.MaxTurns, defaultMaxTurns)
	if opts.Resume != nil {
		if opts.ConversationID != "" {
			return d, nil, errors.New("run options: Resume brings its own conversation: leave ConversationID empty")
		}
		if opts.Resume.state.Version != loop.Version {
			return d, nil, errors.New("run options: the State of Resume is that of no run: it is zero, or of a run that never began")
		}
		d.state = opts.Resume.state
		d.told = settledFirst(d.state.Calls) // by an earlier part of the run
		return d, &loop.Resume{Policy: policy, MaxTurns: maxTurns, Inputs: input}, nil
	}
	begin := &loop.Begin{
		RunID:          "run_" + rand.Text()[:16],
		Mode:           loop.Remote,
		ConversationID: opts.ConversationID,
		Policy:         policy,
		MaxTurns:       maxTurns,
		Inputs:         input,
	}
	if r.Local {
		begin.Mode = loop.Local
	}
	switch {
	case r.Local && opts.ConversationID != "":
		return d, nil, fmt.Errorf("run options: conversation %s is kept by the API: a Local run cannot continue it", opts.ConversationID)
	case r.AgentID != "" && r.Model != "":
		return d, nil, fmt.Errorf("runner: set Model (%s) or AgentID (%s), not both", r.Model, r.AgentID)
	case r.AgentID == "" && r.Model == "" && opts.ConversationID == "":
		return d, nil, errors.New("runner: set Model or AgentID")
	case r.AgentID != "":
		begin.Agent = &loop.Agent{ID: r.AgentID, Version: r.AgentVersion}
	}
	return d, begin, nil
}

func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

// An agentCache remembers agents whose version is pinned by number, and so can
// never change. Its zero value is empty.
type agentCache struct {
	making sync.Mutex // held by the run that looks for its version or makes it

	mu     sync.Mutex // guards the field below
	agents map[string]*mistral.Agent
}

func (c *agentCache) load(key string) *mistral.Agent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agents[key]
}

func (c *agentCache) store(key string, a *mistral.Agent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agents == nil {
		c.agents = map[string]*mistral.Agent{}
	}
	c.agents[key] = a
}
