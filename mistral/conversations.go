package mistral

import "encoding/json"

// A ConversationRequest starts a conversation with a model or with an agent:
// one of Model and AgentID is set.
type ConversationRequest struct {
	Inputs           Inputs           `json:"inputs"`
	Store            *bool            `json:"store,omitzero"`             // if nil, true
	HandoffExecution HandoffExecution `json:"handoff_execution,omitzero"` // if zero, HandoffServer
	Instructions     string           `json:"instructions,omitzero"`      // not with AgentID
	Tools            Tools            `json:"tools,omitzero"`             // not with AgentID; fixed for the whole conversation
	CompletionArgs   *CompletionArgs  `json:"completion_args,omitzero"`   // not with AgentID
	Guardrails       []Guardrail      `json:"guardrails,omitzero"`
	Name             string           `json:"name,omitzero"`        // for lists
	Description      string           `json:"description,omitzero"` // for lists
	Metadata         json.RawMessage  `json:"metadata,omitzero"`    // a JSON object, given back as it is
	AgentID          string           `json:"agent_id,omitzero"`
	AgentVersion     *AgentVersion    `json:"agent_version,omitzero"` // if nil, the agent's current version
	Model            string           `json:"model,omitzero"`
	Stream           *bool            `json:"stream,omitzero"` // set by the client's methods
	Extra            Extra
}

// An AppendRequest adds to a conversation and asks for a reply (OpenAPI,
// ConversationAppendRequest).
type AppendRequest struct {
	Inputs            Inputs             `json:"inputs,omitzero"`
	Stream            *bool              `json:"stream,omitzero"`             // set by the client's methods
	Store             *bool              `json:"store,omitzero"`              // if nil, true
	HandoffExecution  HandoffExecution   `json:"handoff_execution,omitzero"`  // if zero, HandoffServer
	CompletionArgs    *CompletionArgs    `json:"completion_args,omitzero"`    // for this reply alone
	ToolConfirmations []ToolConfirmation `json:"tool_confirmations,omitzero"` // of calls that are pending
	Extra             Extra
}

// A RestartRequest starts a new conversation from an entry of another, which
// stays as it is (OpenAPI, ConversationRestartRequest).
type RestartRequest struct {
	Inputs           Inputs           `json:"inputs,omitzero"`
	Stream           *bool            `json:"stream,omitzero"`            // set by the client's methods
	Store            *bool            `json:"store,omitzero"`             // if nil, true
	HandoffExecution HandoffExecution `json:"handoff_execution,omitzero"` // if zero, HandoffServer
	CompletionArgs   *CompletionArgs  `json:"completion_args,omitzero"`
	Guardrails       []Guardrail      `json:"guardrails,omitzero"`
	Metadata         json.RawMessage  `json:"metadata,omitzero"`      // a JSON object
	FromEntryID      string           `json:"from_entry_id"`          // the last entry to keep
	AgentVersion     *AgentVersion    `json:"agent_version,omitzero"` // if nil, the agent's current version
	Extra            Extra
}

// HandoffExecution says who acts on a handoff between agents.
type HandoffExecution string

// Who acts on a handoff.
const (
	HandoffServer HandoffExecution = "server"
	HandoffClient HandoffExecution = "client"
)

// A ToolConfirmation answers a call that waits for a person's word (OpenAPI,
// ToolCallConfirmation).
type ToolConfirmation struct {
	ToolCallID   string       `json:"tool_call_id"`
	Confirmation Confirmation `json:"confirmation"`
	Extra        Extra
}

// A Confirmation is a person's word on a call.
type Confirmation string

// The words on a call.
const (
	ConfirmationAllow Confirmation = "allow"
	ConfirmationDeny  Confirmation = "deny"
)

// A ConversationResponse is a whole reply.
type ConversationResponse struct {
	_              struct{}          `wire:"object=conversation.response"`
	ConversationID string            `json:"conversation_id"`
	Outputs        Entries           `json:"outputs"`
	Usage          Usage             `json:"usage"`
	Guardrails     []json.RawMessage `json:"guardrails,omitzero"` // what they found, as JSON objects
	Extra          Extra
}

// Usage is what a reply cost in tokens (OpenAPI, ConversationUsageInfo).
type Usage struct {
	PromptTokens     int            `json:"prompt_tokens" wire:"always"`
	CompletionTokens int            `json:"completion_tokens" wire:"always"`
	TotalTokens      int            `json:"total_tokens" wire:"always"` // with ConnectorTokens
	ConnectorTokens  *int           `json:"connector_tokens,omitzero"`  // of the tools of the server
	Connectors       map[string]int `json:"connectors,omitzero"`        // calls of each tool of the server
	Extra            Extra
}

// A Conversation is what the API keeps about a conversation: ModelConversation
// or AgentConversation of the OpenAPI, of which it is the one whose Model or
// AgentID is set.
type Conversation struct {
	Instructions   string          `json:"instructions,omitzero"`
	Tools          Tools           `json:"tools,omitzero"`
	CompletionArgs *CompletionArgs `json:"completion_args,omitzero"`
	Guardrails     []Guardrail     `json:"guardrails,omitzero"`
	Name           string          `json:"name,omitzero"`
	Description    string          `json:"description,omitzero"`
	Metadata       json.RawMessage `json:"metadata,omitzero"`
	_              struct{}        `wire:"object=conversation"`
	ID             string          `json:"id"`
	CreatedAt      Timestamp       `json:"created_at"`
	UpdatedAt      Timestamp       `json:"updated_at"`
	Model          string          `json:"model,omitzero"`
	AgentID        string          `json:"agent_id,omitzero"`
	AgentVersion   *AgentVersion   `json:"agent_version,omitzero"`
	Extra          Extra
}

// A History is every entry of a conversation, in order (OpenAPI,
// ConversationHistory).
type History struct {
	_              struct{} `wire:"object=conversation.history"`
	ConversationID string   `json:"conversation_id"`
	Entries        Entries  `json:"entries"`
	Extra          Extra
}

// Messages is every message of a conversation, in order (OpenAPI,
// ConversationMessages).
type Messages struct {
	_              struct{} `wire:"object=conversation.messages"`
	ConversationID string   `json:"conversation_id"`
	Messages       Entries  `json:"messages"` // *MessageInput and *MessageOutput
	Extra          Extra
}
