package mistral

import (
	"bytes"
	"encoding/json"

	"github.com/tramontane-dev/tramontane/internal/wire"
)

// An Entry is one thing that happened in a conversation: a *[MessageInput],
// *[MessageOutput], *[FunctionCall], *[FunctionResult], *[ToolExecution],
// *[AgentHandoff] or *[UnknownEntry].
type Entry interface{ isEntry() }

// Entries is a list of entries, in the order in which they happened.
type Entries []Entry

// Roles of a message.
const (
	RoleUser      = "user"
	RoleAssistant = "assistant"
)

// MessageInput is a message to the model (OpenAPI, MessageInputEntry).
type MessageInput struct {
	_           struct{}  `wire:"object=entry"`
	_           struct{}  `wire:"type=message.input"`
	CreatedAt   Timestamp `json:"created_at,omitzero"`
	CompletedAt Timestamp `json:"completed_at,omitzero"`
	ID          string    `json:"id,omitzero"`
	Role        string    `json:"role"` // RoleUser or RoleAssistant
	Content     Content   `json:"content"`
	Prefix      bool      `json:"prefix" wire:"always"` // if true, the answer goes on from this message
	Extra       Extra
}

// MessageOutput is a message of the model (OpenAPI, MessageOutputEntry).
type MessageOutput struct {
	_           struct{}  `wire:"object=entry"`
	_           struct{}  `wire:"type=message.output"`
	CreatedAt   Timestamp `json:"created_at,omitzero"`
	CompletedAt Timestamp `json:"completed_at,omitzero"`
	AgentID     string    `json:"agent_id,omitzero"` // whose word it is, in a conversation with an agent
	Model       string    `json:"model,omitzero"`
	ID          string    `json:"id,omitzero"`
	Role        string    `json:"role" wire:"always"` // RoleAssistant
	Content     Content   `json:"content"`
	Extra       Extra
}

// A ConfirmationStatus says whether a call that needs a person's word has it.
type ConfirmationStatus string

// The states of a call that needs a person's word.
const (
	ConfirmationPending ConfirmationStatus = "pending"
	ConfirmationAllowed ConfirmationStatus = "allowed"
	ConfirmationDenied  ConfirmationStatus = "denied"
)

// FunctionCall is the model's wish to call a function (OpenAPI,
// FunctionCallEntry). Each needs exactly one [FunctionResult] before the model
// goes on.
type FunctionCall struct {
	_                  struct{}           `wire:"object=entry"`
	_                  struct{}           `wire:"type=function.call"`
	CreatedAt          Timestamp          `json:"created_at,omitzero"`
	CompletedAt        Timestamp          `json:"completed_at,omitzero"`
	AgentID            string             `json:"agent_id,omitzero"`
	Model              string             `json:"model,omitzero"`
	ID                 string             `json:"id,omitzero"`
	ToolCallID         string             `json:"tool_call_id"`
	Name               string             `json:"name"`
	Arguments          Arguments          `json:"arguments"`
	ConfirmationStatus ConfirmationStatus `json:"confirmation_status,omitzero"` // if zero, the call needs no word
	Extra              Extra
}

// FunctionResult is what a function returned (OpenAPI, FunctionResultEntry).
type FunctionResult struct {
	_           struct{}  `wire:"object=entry"`
	_           struct{}  `wire:"type=function.result"`
	CreatedAt   Timestamp `json:"created_at,omitzero"`
	CompletedAt Timestamp `json:"completed_at,omitzero"`
	ID          string    `json:"id,omitzero"`
	ToolCallID  string    `json:"tool_call_id"` // of the FunctionCall
	Result      string    `json:"result"`
	Extra       Extra
}

// ToolExecution is a tool that the server ran by itself (OpenAPI,
// ToolExecutionEntry).
type ToolExecution struct {
	_           struct{}        `wire:"object=entry"`
	_           struct{}        `wire:"type=tool.execution"`
	CreatedAt   Timestamp       `json:"created_at,omitzero"`
	CompletedAt Timestamp       `json:"completed_at,omitzero"`
	AgentID     string          `json:"agent_id,omitzero"`
	Model       string          `json:"model,omitzero"`
	ID          string          `json:"id,omitzero"`
	Name        string          `json:"name"`
	Arguments   string          `json:"arguments"`     // JSON, as the model wrote it
	Info        json.RawMessage `json:"info,omitzero"` // a JSON object with what came of it
	Extra       Extra
}

// AgentHandoff is one agent passing the conversation to another (OpenAPI,
// AgentHandoffEntry).
type AgentHandoff struct {
	_                 struct{}  `wire:"object=entry"`
	_                 struct{}  `wire:"type=agent.handoff"`
	CreatedAt         Timestamp `json:"created_at,omitzero"`
	CompletedAt       Timestamp `json:"completed_at,omitzero"`
	ID                string    `json:"id,omitzero"`
	PreviousAgentID   string    `json:"previous_agent_id"`
	PreviousAgentName string    `json:"previous_agent_name"`
	NextAgentID       string    `json:"next_agent_id"`
	NextAgentName     string    `json:"next_agent_name"`
	Extra             Extra
}

// UnknownEntry is an entry of a type that this package does not know. It goes
// back on the wire as it came, byte for byte.
type UnknownEntry struct {
	Type string
	Raw  json.RawMessage // valid JSON; if empty, null
}

func (*MessageInput) isEntry()   {}
func (*MessageOutput) isEntry()  {}
func (*FunctionCall) isEntry()   {}
func (*FunctionResult) isEntry() {}
func (*ToolExecution) isEntry()  {}
func (*AgentHandoff) isEntry()   {}
func (*UnknownEntry) isEntry()   {}

func decodeEntry(data []byte) (Entry, error) {
	var e Entry
	kind := string(wire.Tag(data, "type"))
	if kind == "" {
		kind = inferEntry(data)
	}
	switch kind {
	case "message.input":
		e = new(MessageInput)
	case "message.output":
		e = new(MessageOutput)
	case "function.call":
		e = new(FunctionCall)
	case "function.result":
		e = new(FunctionResult)
	case "tool.execution":
		e = new(ToolExecution)
	case "agent.handoff":
		e = new(AgentHandoff)
	default:
		return &UnknownEntry{Type: kind, Raw: bytes.Clone(data)}, nil
	}
	return e, wire.Unmarshal(data, e)
}

// inferEntry names the type of an entry that has none, by its members: the
// schemas give type a default, so that clients may leave it out.
func inferEntry(data []byte) string {
	has := func(name string) bool { return wire.Member(data, name) != nil }
	switch {
	case has("tool_call_id") && has("result"):
		return "function.result"
	case has("tool_call_id") && has("arguments"):
		return "function.call"
	case has("next_agent_id"):
		return "agent.handoff"
	case has("role") && has("content"):
		return "message.input"
	case has("name") && has("arguments"):
		return "tool.execution"
	}
	return ""
}

// UnmarshalJSON implements [json.Unmarshaler]. An entry without a type is taken
// for what its members say.
func (es *Entries) UnmarshalJSON(data []byte) (err error) {
	*es, err = decodeList(data, decodeEntry)
	return err
}
