package mistral

import (
	"bytes"
	"encoding/json"

	"github.com/tramontane-dev/tramontane/internal/wire"
)

// An Event is a piece of a streamed reply: a *[ResponseStarted],
// *[ResponseDone], *[ResponseError], *[MessageOutputDelta],
// *[FunctionCallDelta], *[ToolExecutionStarted], *[ToolExecutionDelta],
// *[ToolExecutionDone], *[AgentHandoffStarted], *[AgentHandoffDone] or
// *[UnknownEvent].
//
// Pieces of one entry share its ID and OutputIndex.
type Event interface{ isEvent() }

// ResponseStarted is the first event of a reply (OpenAPI, ResponseStartedEvent).
type ResponseStarted struct {
	_              struct{}  `wire:"type=conversation.response.started"`
	CreatedAt      Timestamp `json:"created_at,omitzero"`
	ConversationID string    `json:"conversation_id"`
	Extra          Extra
}

// ResponseDone is the last event of a reply: all of it is stored (OpenAPI,
// ResponseDoneEvent).
type ResponseDone struct {
	_         struct{}  `wire:"type=conversation.response.done"`
	CreatedAt Timestamp `json:"created_at,omitzero"`
	Usage     Usage     `json:"usage"`
	Extra     Extra
}

// ResponseError is the last event of a reply that failed on its way (OpenAPI,
// ResponseErrorEvent).
type ResponseError struct {
	_         struct{}  `wire:"type=conversation.response.error"`
	CreatedAt Timestamp `json:"created_at,omitzero"`
	Message   string    `json:"message"`
	Code      int       `json:"code"` // the API's own number of the error
	Extra     Extra
}

// MessageOutputDelta is a piece of a message (OpenAPI, MessageOutputEvent).
type MessageOutputDelta struct {
	_            struct{}     `wire:"type=message.output.delta"`
	CreatedAt    Timestamp    `json:"created_at,omitzero"`
	OutputIndex  int          `json:"output_index" wire:"always"`
	ID           string       `json:"id"`
	ContentIndex int          `json:"content_index" wire:"always"` // which chunk of the message
	Model        string       `json:"model,omitzero"`
	AgentID      string       `json:"agent_id,omitzero"`
	Role         string       `json:"role" wire:"always"`
	Content      DeltaContent `json:"content"`
	Extra        Extra
}

// FunctionCallDelta is a piece of the arguments of a call (OpenAPI,
// FunctionCallEvent).
type FunctionCallDelta struct {
	_                  struct{}           `wire:"type=function.call.delta"`
	CreatedAt          Timestamp          `json:"created_at,omitzero"`
	OutputIndex        int                `json:"output_index" wire:"always"`
	ID                 string             `json:"id"`
	Model              string             `json:"model,omitzero"`
	AgentID            string             `json:"agent_id,omitzero"`
	Name               string             `json:"name"`
	ToolCallID         string             `json:"tool_call_id"`
	Arguments          string             `json:"arguments"`
	ConfirmationStatus ConfirmationStatus `json:"confirmation_status,omitzero"`
	Extra              Extra
}

// ToolExecutionStarted is the server beginning to run a tool (OpenAPI,
// ToolExecutionStartedEvent).
type ToolExecutionStarted struct {
	_           struct{}  `wire:"type=tool.execution.started"`
	CreatedAt   Timestamp `json:"created_at,omitzero"`
	OutputIndex int       `json:"output_index" wire:"always"`
	ID          string    `json:"id"`
	Model       string    `json:"model,omitzero"`
	AgentID     string    `json:"agent_id,omitzero"`
	Name        string    `json:"name"`
	Arguments   string    `json:"arguments"`
	Extra       Extra
}

// ToolExecutionDelta is a piece of the arguments of a tool that the server runs
// (OpenAPI, ToolExecutionDeltaEvent).
type ToolExecutionDelta struct {
	_           struct{}  `wire:"type=tool.execution.delta"`
	CreatedAt   Timestamp `json:"created_at,omitzero"`
	OutputIndex int       `json:"output_index" wire:"always"`
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Arguments   string    `json:"arguments"`
	Extra       Extra
}

// ToolExecutionDone is the server having run a tool (OpenAPI,
// ToolExecutionDoneEvent).
type ToolExecutionDone struct {
	_           struct{}        `wire:"type=tool.execution.done"`
	CreatedAt   Timestamp       `json:"created_at,omitzero"`
	OutputIndex int             `json:"output_index" wire:"always"`
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Info        json.RawMessage `json:"info,omitzero"` // a JSON object
	Extra       Extra
}

// AgentHandoffStarted is an agent beginning to pass the conversation on (OpenAPI,
// AgentHandoffStartedEvent).
type AgentHandoffStarted struct {
	_                 struct{}  `wire:"type=agent.handoff.started"`
	CreatedAt         Timestamp `json:"created_at,omitzero"`
	OutputIndex       int       `json:"output_index" wire:"always"`
	ID                string    `json:"id"`
	PreviousAgentID   string    `json:"previous_agent_id"`
	PreviousAgentName string    `json:"previous_agent_name"`
	Extra             Extra
}

// AgentHandoffDone is an agent having taken the conversation over (OpenAPI,
// AgentHandoffDoneEvent).
type AgentHandoffDone struct {
	_             struct{}  `wire:"type=agent.handoff.done"`
	CreatedAt     Timestamp `json:"created_at,omitzero"`
	OutputIndex   int       `json:"output_index" wire:"always"`
	ID            string    `json:"id"`
	NextAgentID   string    `json:"next_agent_id"`
	NextAgentName string    `json:"next_agent_name"`
	Extra         Extra
}

// UnknownEvent is an event of a type that this package does not know, byte for
// byte as it came.
type UnknownEvent struct {
	Type string
	Raw  json.RawMessage // valid JSON; if empty, null
}

func (*ResponseStarted) isEvent()      {}
func (*ResponseDone) isEvent()         {}
func (*ResponseError) isEvent()        {}
func (*MessageOutputDelta) isEvent()   {}
func (*FunctionCallDelta) isEvent()    {}
func (*ToolExecutionStarted) isEvent() {}
func (*ToolExecutionDelta) isEvent()   {}
func (*ToolExecutionDone) isEvent()    {}
func (*AgentHandoffStarted) isEvent()  {}
func (*AgentHandoffDone) isEvent()     {}
func (*UnknownEvent) isEvent()         {}

// decodeEvent decodes an event with d. name is the type of an event that does
// not say it by itself.
func decodeEvent(name string, data []byte, d *wire.Decoder) (Event, error) {
	var e Event
	kind := wire.Tag(data, "type")
	if kind == nil {
		kind = []byte(name)
	}
	switch string(kind) {
	case "message.output.delta":
		e = new(MessageOutputDelta)
	case "function.call.delta":
		e = new(FunctionCallDelta)
	case "conversation.response.started":
		e = new(ResponseStarted)
	case "conversation.response.done":
		e = new(ResponseDone)
	case "conversation.response.error":
		e = new(ResponseError)
	case "tool.execution.started":
		e = new(ToolExecutionStarted)
	case "tool.execution.delta":
		e = new(ToolExecutionDelta)
	case "tool.execution.done":
		e = new(ToolExecutionDone)
	case "agent.handoff.started":
		e = new(AgentHandoffStarted)
	case "agent.handoff.done":
		e = new(AgentHandoffDone)
	default:
		_, err := wire.Value(data)
		return &UnknownEvent{Type: string(kind), Raw: bytes.Clone(data)}, err
	}
	return e, d.Unmarshal(data, e)
}
