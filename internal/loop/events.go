package loop

import (
	"encoding/json"

	"github.com/tramontane-dev/tramontane/mistral"
)

// An Event is something that happened: a *[Begin], *[Resume], *[Cancel],
// *[AgentPrepared], *[ToolsListed], *[PrepareFailed], *[HistoryRead],
// *[ModelReplied], *[ModelFailed], *[Decided], *[ToolKept], *[ToolLeft],
// *[ToolReturned] or *[ToolLost].
type Event interface{ isEvent() }

// Begin starts a run.
type Begin struct {
	RunID          string
	Mode           Mode
	ConversationID string // if empty, the run starts a conversation
	Agent          *Agent // if nil, the run has a model of its own
	Policy         Policy
	MaxTurns       int
	Inputs         mistral.Entries
}

// Resume goes on with a run that ended, or whose program did. If the request
// that was to start the conversation was lost without naming it, Resume starts
// another: a conversation that nobody knows of may stay behind.
type Resume struct {
	Policy   Policy
	MaxTurns int             // replies from here on
	Inputs   mistral.Entries // delivered after what is owed, and never dropped
}

// Cancel asks the run to end as soon as what is under way has come back.
type Cancel struct{}

// AgentPrepared says which agent the conversation starts with.
type AgentPrepared struct{ Agent Agent }

// ToolsListed says which tools there are.
type ToolsListed struct{ Tools []Tool }

// PrepareFailed says that the agent or the tools cannot be had.
type PrepareFailed struct{ Message string }

// HistoryRead brings the entries of the conversation.
type HistoryRead struct {
	Entries mistral.Entries
	Missing bool   // there is no such conversation
	Message string // if not empty, the history could not be read, and why
}

// ModelReplied brings a whole reply.
type ModelReplied struct {
	ConversationID string
	Outputs        mistral.Entries
	Usage          mistral.Usage
}

// ModelFailed says that there is no reply.
type ModelFailed struct {
	Message string

	// Uncertain says that the request may have been carried out all the same:
	// nothing can be known about what came back.
	Uncertain bool

	// Answered says, of an uncertain failure, that the API itself reported it.
	// The request is not lost, so it is not sent again before somebody resumes
	// the run; but what it left in the conversation is not known.
	Answered bool

	// ConversationID is set if a stream named the conversation before it broke.
	ConversationID string
}

// A Verdict is a person's word on a call.
type Verdict string

// The words on a call.
const (
	Allow Verdict = "allow"
	Deny  Verdict = "deny"
	Later Verdict = "later"
)

// Decided brings a person's word on a call.
type Decided struct {
	Key     string
	Verdict Verdict
	Reason  string // told to the model with Deny, save that the API takes none for its own tools
}

// ToolKept says that a running call has begun something that outlives the
// program, and how to go on with it. A later one for the same call takes the
// place of an earlier one.
type ToolKept struct {
	Key    string
	Handle json.RawMessage
}

// ToolLeft says that nobody waits for a running call with a handle any more,
// because the run is being cancelled: what it began goes on.
type ToolLeft struct{ Key string }

// ToolReturned brings the result of a call.
type ToolReturned struct {
	Key     string
	Text    string
	IsError bool
}

// ToolLost says that a call was sent, and that nothing can be known about what
// came of it.
type ToolLost struct {
	Key     string
	Message string
}

func (*Begin) isEvent()         {}
func (*Resume) isEvent()        {}
func (*Cancel) isEvent()        {}
func (*AgentPrepared) isEvent() {}
func (*ToolsListed) isEvent()   {}
func (*PrepareFailed) isEvent() {}
func (*HistoryRead) isEvent()   {}
func (*ModelReplied) isEvent()  {}
func (*ModelFailed) isEvent()   {}
func (*Decided) isEvent()       {}
func (*ToolKept) isEvent()      {}
func (*ToolLeft) isEvent()      {}
func (*ToolReturned) isEvent()  {}
func (*ToolLost) isEvent()      {}

// A Command is something for the driver to do: a *[PrepareAgent], *[ListTools],
// *[ReadHistory], *[CallModel], *[ShowReply], *[Ask], *[CallTool] or *[Finish].
type Command interface{ isCommand() }

// PrepareAgent asks for AgentPrepared, or PrepareFailed.
type PrepareAgent struct{ Agent Agent }

// ListTools asks for ToolsListed, or PrepareFailed.
type ListTools struct{}

// ReadHistory asks for HistoryRead.
type ReadHistory struct{ ConversationID string }

// CallModel asks for ModelReplied or ModelFailed. The driver must not repeat
// it: Step does, where that is right.
type CallModel struct {
	ConversationID string // if empty, start a conversation
	Agent          *Agent // to start with, as PrepareAgent left it; nil on an append
	Inputs         mistral.Entries
	Confirmations  []mistral.ToolConfirmation
}

// ShowReply brings the reply to a request that had been lost, as the history has
// it: for whoever shows the run. Nothing comes back.
type ShowReply struct{ Outputs mistral.Entries }

// Ask asks for Decided on a call.
type Ask struct{ Call Call }

// CallTool asks for ToolReturned, ToolLost or ToolLeft, and takes ToolKept
// before. With a Handle in the Call, nothing is begun: the tool goes on with what
// the Handle names.
type CallTool struct{ Call Call }

// Finish says that the run has ended, as its State tells.
type Finish struct{ Reason Reason }

func (*PrepareAgent) isCommand() {}
func (*ListTools) isCommand()    {}
func (*ReadHistory) isCommand()  {}
func (*CallModel) isCommand()    {}
func (*ShowReply) isCommand()    {}
func (*Ask) isCommand()          {}
func (*CallTool) isCommand()     {}
func (*Finish) isCommand()       {}
