package mistral

import "encoding/json"

// CompletionArgs are the settings of the model in an agent or a conversation.
// A nil field leaves the choice to the API.
type CompletionArgs struct {
	Stop             *Stop           `json:"stop,omitzero"`
	PresencePenalty  *float64        `json:"presence_penalty,omitzero"`  // -2 to 2
	FrequencyPenalty *float64        `json:"frequency_penalty,omitzero"` // -2 to 2
	Temperature      *float64        `json:"temperature,omitzero"`       // 0 to 1
	TopP             *float64        `json:"top_p,omitzero"`             // 0 to 1
	MaxTokens        *int            `json:"max_tokens,omitzero"`        // of the answer; 0 or more
	RandomSeed       *int            `json:"random_seed,omitzero"`       // 0 or more
	Prediction       *Prediction     `json:"prediction,omitzero"`
	ResponseFormat   *ResponseFormat `json:"response_format,omitzero"`
	ToolChoice       ToolChoice      `json:"tool_choice,omitzero"`      // if zero, ToolChoiceAuto
	ReasoningEffort  ReasoningEffort `json:"reasoning_effort,omitzero"` // if zero, the model's own
	Extra            Extra
}

// ToolChoice says whether the model may or must call a tool.
type ToolChoice string

// Whether the model may or must call a tool.
const (
	ToolChoiceAuto     ToolChoice = "auto"
	ToolChoiceNone     ToolChoice = "none"
	ToolChoiceAny      ToolChoice = "any"
	ToolChoiceRequired ToolChoice = "required"
)

// ReasoningEffort says how much the model thinks before it answers.
type ReasoningEffort string

// How much the model thinks.
const (
	ReasoningHigh ReasoningEffort = "high"
	ReasoningNone ReasoningEffort = "none"
)

// A Prediction is text that the answer is expected to repeat.
type Prediction struct {
	_       struct{} `wire:"type=content"`
	Content string   `json:"content" wire:"always"`
	Extra   Extra
}

// A ResponseFormat says what shape the answer has.
type ResponseFormat struct {
	Type       ResponseFormatType `json:"type" wire:"always"`
	JSONSchema *JSONSchema        `json:"json_schema,omitzero"` // with ResponseJSONSchema
	Extra      Extra
}

// A ResponseFormatType is a kind of answer.
type ResponseFormatType string

// The kinds of answer.
const (
	ResponseText       ResponseFormatType = "text"
	ResponseJSONObject ResponseFormatType = "json_object"
	ResponseJSONSchema ResponseFormatType = "json_schema"
)

// A JSONSchema is a schema that the answer has to meet (OpenAPI, JsonSchema).
type JSONSchema struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitzero"`
	Schema      json.RawMessage `json:"schema"`          // a JSON Schema
	Strict      bool            `json:"strict,omitzero"` // if true, the answer meets it to the letter
	Extra       Extra
}

// A Guardrail checks what goes in and out of the model (OpenAPI,
// GuardrailConfig).
type Guardrail struct {
	BlockOnError bool            `json:"block_on_error,omitzero"`    // if true, status 403 when the check itself fails
	ModerationV1 json.RawMessage `json:"moderation_llm_v1,omitzero"` // OpenAPI, ModerationLLMV1Config
	ModerationV2 json.RawMessage `json:"moderation_llm_v2,omitzero"` // OpenAPI, ModerationLLMV2Config
	Extra        Extra
}
