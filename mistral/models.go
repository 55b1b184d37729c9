package mistral

// A Model is what the API says of a model (OpenAPI, BaseModelCard and
// FTModelCard).
type Model struct {
	ID                      string            `json:"id"`
	Object                  string            `json:"object" wire:"always"` // "model"
	Created                 int64             `json:"created,omitzero"`     // seconds since 1970
	OwnedBy                 string            `json:"owned_by,omitzero"`
	Capabilities            ModelCapabilities `json:"capabilities"`
	Name                    string            `json:"name,omitzero"`
	Description             string            `json:"description,omitzero"`
	MaxContextLength        int               `json:"max_context_length,omitzero"` // tokens
	Aliases                 []string          `json:"aliases,omitzero"`
	Deprecation             Timestamp         `json:"deprecation,omitzero"`
	DeprecationReplacement  string            `json:"deprecation_replacement_model,omitzero"`
	DefaultModelTemperature *float64          `json:"default_model_temperature,omitzero"`
	Type                    string            `json:"type,omitzero"`     // "base" or "fine-tuned"
	Job                     string            `json:"job,omitzero"`      // of a fine-tuned model
	Root                    string            `json:"root,omitzero"`     // of a fine-tuned model
	Archived                bool              `json:"archived,omitzero"` // of a fine-tuned model
	Extra                   Extra
}

// ModelCapabilities says what a model can do.
type ModelCapabilities struct {
	CompletionChat     bool `json:"completion_chat" wire:"always"`
	FunctionCalling    bool `json:"function_calling" wire:"always"`
	CompletionFIM      bool `json:"completion_fim" wire:"always"`
	FineTuning         bool `json:"fine_tuning" wire:"always"`
	Vision             bool `json:"vision" wire:"always"`
	OCR                bool `json:"ocr,omitzero"`
	Classification     bool `json:"classification,omitzero"`
	Moderation         bool `json:"moderation,omitzero"`
	Audio              bool `json:"audio,omitzero"`
	AudioTranscription bool `json:"audio_transcription,omitzero"`
	Extra              Extra
}

// ModelList is the models that there are.
type ModelList struct {
	Object string  `json:"object" wire:"always"` // "list"
	Data   []Model `json:"data" wire:"always"`
	Extra  Extra
}

// AgentList is one page of agents, found by cursor (OpenAPI, AgentListPage).
type AgentList struct {
	_             struct{} `wire:"object=list"`
	Data          []Agent  `json:"data"`
	NextPageToken string   `json:"next_page_token,omitzero"` // if zero, this page is the last
	Extra         Extra
}
