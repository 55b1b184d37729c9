package mistral

import (
	"bytes"
	"encoding/json"

	"github.com/tramontane-dev/tramontane/internal/wire"
)

// A ChatRequest asks a model for the next message of a chat (OpenAPI,
// ChatCompletionRequest). A nil field leaves the choice to the API.
type ChatRequest struct {
	Model             string          `json:"model"`
	Temperature       *float64        `json:"temperature,omitzero"` // 0 to 1.5
	TopP              *float64        `json:"top_p,omitzero"`       // 0 to 1; if nil, 1
	MaxTokens         *int            `json:"max_tokens,omitzero"`  // of the answer
	Stream            *bool           `json:"stream,omitzero"`      // set by the client's methods
	Stop              *Stop           `json:"stop,omitzero"`
	RandomSeed        *int            `json:"random_seed,omitzero"`
	Metadata          json.RawMessage `json:"metadata,omitzero"` // a JSON object
	Messages          ChatMessages    `json:"messages"`
	ResponseFormat    *ResponseFormat `json:"response_format,omitzero"`
	Tools             []ChatTool      `json:"tools,omitzero"`
	ToolChoice        *ChatToolChoice `json:"tool_choice,omitzero"`       // if nil, ToolChoiceAuto
	PresencePenalty   *float64        `json:"presence_penalty,omitzero"`  // -2 to 2
	FrequencyPenalty  *float64        `json:"frequency_penalty,omitzero"` // -2 to 2
	N                 *int            `json:"n,omitzero"`                 // answers to make; if nil, 1
	Prediction        *Prediction     `json:"prediction,omitzero"`
	ParallelToolCalls *bool           `json:"parallel_tool_calls,omitzero"` // if nil, true
	PromptMode        string          `json:"prompt_mode,omitzero"`         // "reasoning", or nothing
	ReasoningEffort   ReasoningEffort `json:"reasoning_effort,omitzero"`
	Guardrails        []Guardrail     `json:"guardrails,omitzero"`
	PromptCacheKey    string          `json:"prompt_cache_key,omitzero"` // the same for chats that begin alike
	SafePrompt        bool            `json:"safe_prompt,omitzero"`      // if true, the API adds words of caution
	Extra             Extra
}

// A ChatMessage is one message of a chat: a *[SystemMessage], *[UserMessage],
// *[AssistantMessage], *[ToolMessage] or *[UnknownMessage].
type ChatMessage interface{ isChatMessage() }

// ChatMessages is a list of messages.
type ChatMessages []ChatMessage

// SystemMessage tells the model how to behave.
type SystemMessage struct {
	_       struct{} `wire:"role=system"`
	Content Content  `json:"content"`
	Extra   Extra
}

// UserMessage is what the person says.
type UserMessage struct {
	_       struct{} `wire:"role=user"`
	Content Content  `json:"content"`
	Extra   Extra
}

// AssistantMessage is what the model says: text, calls of tools, or both.
type AssistantMessage struct {
	_         struct{}   `wire:"role=assistant"`
	Content   *Content   `json:"content,omitzero"` // if nil, it says nothing
	ToolCalls []ToolCall `json:"tool_calls,omitzero"`
	Prefix    bool       `json:"prefix,omitzero"` // if true, the answer goes on from this message
	Extra     Extra
}

// ToolMessage is what a tool returned.
type ToolMessage struct {
	_          struct{} `wire:"role=tool"`
	Content    Content  `json:"content"`
	ToolCallID string   `json:"tool_call_id,omitzero"`
	Name       string   `json:"name,omitzero"`
	Extra      Extra
}

// UnknownMessage is a message of a role that this package does not know. It
// goes back on the wire as it came, byte for byte.
type UnknownMessage struct {
	Role string
	Raw  json.RawMessage // valid JSON; if empty, null
}

func (*SystemMessage) isChatMessage()    {}
func (*UserMessage) isChatMessage()      {}
func (*AssistantMessage) isChatMessage() {}
func (*ToolMessage) isChatMessage()      {}
func (*UnknownMessage) isChatMessage()   {}

// A ChatTool is a function that the model may call (OpenAPI, Tool).
type ChatTool struct {
	Type     string   `json:"type" wire:"always"` // "function"
	Function Function `json:"function"`
	Extra    Extra
}

// A ToolCall is the model's wish to call a function.
type ToolCall struct {
	ID       string       `json:"id,omitzero"` // some servers send "null" or nothing
	Type     string       `json:"type,omitzero"`
	Function ToolCallFunc `json:"function"`
	Index    int          `json:"index,omitzero"` // in a stream, which call a piece belongs to
	Extra    Extra
}

// ToolCallFunc is the function of a [ToolCall] (OpenAPI, FunctionCall).
type ToolCallFunc struct {
	Name      string    `json:"name"`
	Arguments Arguments `json:"arguments"`
	Extra     Extra
}

// ChatToolChoice says whether the model may or must call a tool, or which one.
type ChatToolChoice struct {
	// Mode is used if Function is empty.
	Mode ToolChoice

	// Function is the name of the one function to call. If zero, Mode says.
	Function string
}

// A ChatResponse is a whole answer of a model (OpenAPI, ChatCompletionResponse).
type ChatResponse struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"` // "chat.completion"
	Model   string       `json:"model"`
	Usage   ChatUsage    `json:"usage"`
	Created int64        `json:"created"` // seconds since 1970
	Choices []ChatChoice `json:"choices"`
	Extra   Extra
}

// A ChatChoice is one answer (OpenAPI, ChatCompletionChoice).
type ChatChoice struct {
	Index        int              `json:"index"` // from 0 to ChatRequest.N
	Message      AssistantMessage `json:"message"`
	FinishReason FinishReason     `json:"finish_reason"`
	Extra        Extra
}

// A FinishReason says why the model stopped.
type FinishReason string

// Why the model stopped.
const (
	FinishStop        FinishReason = "stop"
	FinishLength      FinishReason = "length"
	FinishModelLength FinishReason = "model_length"
	FinishError       FinishReason = "error"
	FinishToolCalls   FinishReason = "tool_calls"
)

// ChatUsage is what an answer cost in tokens (OpenAPI, UsageInfo).
type ChatUsage struct {
	PromptTokens        int           `json:"prompt_tokens"`
	CompletionTokens    int           `json:"completion_tokens"`
	TotalTokens         int           `json:"total_tokens"`
	PromptAudioSeconds  *int          `json:"prompt_audio_seconds,omitzero"`
	NumCachedTokens     *int          `json:"num_cached_tokens,omitzero"` // tokens of the prompt that were in a cache
	PromptTokensDetails *TokenDetails `json:"prompt_tokens_details,omitzero"`
	PromptTokenDetails  *TokenDetails `json:"prompt_token_details,omitzero"`
	Extra               Extra
}

// TokenDetails says more of the tokens of a prompt (OpenAPI,
// PromptTokensDetails).
type TokenDetails struct {
	CachedTokens int `json:"cached_tokens" wire:"always"` // those that were in a cache
	Extra        Extra
}

// A ChatChunk is a piece of a streamed answer (OpenAPI, CompletionChunk).
type ChatChunk struct {
	ID      string            `json:"id"`
	Object  string            `json:"object,omitzero"`
	Created int64             `json:"created,omitzero"` // seconds since 1970
	Model   string            `json:"model"`
	Usage   *ChatUsage        `json:"usage,omitzero"` // in the last chunk
	Choices []ChatChunkChoice `json:"choices"`
	Extra   Extra
}

// A ChatChunkChoice is a piece of one answer (OpenAPI,
// CompletionResponseStreamChoice).
type ChatChunkChoice struct {
	Index        int          `json:"index"` // of the answer
	Delta        ChatDelta    `json:"delta"`
	FinishReason FinishReason `json:"finish_reason"` // empty until the last piece
	Extra        Extra
}

// A ChatDelta is what a piece adds (OpenAPI, DeltaMessage).
type ChatDelta struct {
	Role      string     `json:"role,omitzero"`       // "assistant", in the first piece
	Content   *Content   `json:"content,omitzero"`    // to be joined to what came before
	ToolCalls []ToolCall `json:"tool_calls,omitzero"` // to be joined by Index
	Extra     Extra
}

// UnmarshalJSON implements [json.Unmarshaler].
func (ms *ChatMessages) UnmarshalJSON(data []byte) (err error) {
	*ms, err = decodeList(data, decodeChatMessage)
	return err
}

func decodeChatMessage(data []byte) (ChatMessage, error) {
	var m ChatMessage
	role := wire.Text(wire.Member(data, "role"))
	switch role {
	case "system":
		m = new(SystemMessage)
	case "user":
		m = new(UserMessage)
	case "assistant":
		m = new(AssistantMessage)
	case "tool":
		m = new(ToolMessage)
	default:
		return &UnknownMessage{Role: role, Raw: bytes.Clone(data)}, nil
	}
	return m, wire.Unmarshal(data, m)
}

// AppendJSON appends the choice as it goes on the wire.
func (c ChatToolChoice) AppendJSON(dst []byte) ([]byte, error) {
	if c.Function == "" {
		return wire.AppendString(dst, string(c.Mode)), nil
	}
	dst = append(dst, `{"type":"function","function":{"name":`...)
	return append(wire.AppendString(dst, c.Function), "}}"...), nil
}

// MarshalJSON implements [json.Marshaler].
func (c ChatToolChoice) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil) }

// UnmarshalJSON implements [json.Unmarshaler].
func (c *ChatToolChoice) UnmarshalJSON(data []byte) error {
	data, err := wire.Value(data)
	if err != nil {
		return err
	}
	if data[0] == '"' {
		*c = ChatToolChoice{Mode: ToolChoice(wire.Text(data))}
		return nil
	}
	name := wire.Text(wire.Member(wire.Member(data, "function"), "name"))
	if name == "" {
		return wire.Errorf("want a mode or a function with a name, got %s", wire.Kind(data))
	}
	*c = ChatToolChoice{Function: name}
	return nil
}
