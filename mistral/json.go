package mistral

import "github.com/tramontane-dev/tramontane/internal/wire"

// The methods below make the types work with encoding/json as well, which then
// keeps unknown members, but compacts and escapes what is raw. The client
// itself goes by package wire, which keeps every byte.

func (v TextChunk) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *TextChunk) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ImageURLChunk) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ImageURLChunk) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v DocumentURLChunk) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *DocumentURLChunk) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolFileChunk) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolFileChunk) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolReferenceChunk) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolReferenceChunk) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ThinkChunk) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ThinkChunk) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ReferenceChunk) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ReferenceChunk) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v FileChunk) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *FileChunk) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v AudioChunk) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *AudioChunk) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v MessageInput) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *MessageInput) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v MessageOutput) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *MessageOutput) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v FunctionCall) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *FunctionCall) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v FunctionResult) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *FunctionResult) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolExecution) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolExecution) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v AgentHandoff) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *AgentHandoff) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v FunctionTool) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *FunctionTool) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v Function) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *Function) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v WebSearchTool) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *WebSearchTool) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v WebSearchPremiumTool) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *WebSearchPremiumTool) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v CodeInterpreterTool) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *CodeInterpreterTool) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ImageGenerationTool) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ImageGenerationTool) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v DocumentLibraryTool) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *DocumentLibraryTool) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ConnectorTool) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ConnectorTool) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolConfiguration) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolConfiguration) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ResponseStarted) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ResponseStarted) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ResponseDone) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ResponseDone) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ResponseError) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ResponseError) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v MessageOutputDelta) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *MessageOutputDelta) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v FunctionCallDelta) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *FunctionCallDelta) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolExecutionStarted) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolExecutionStarted) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolExecutionDelta) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolExecutionDelta) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolExecutionDone) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolExecutionDone) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v AgentHandoffStarted) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *AgentHandoffStarted) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v AgentHandoffDone) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *AgentHandoffDone) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ConversationRequest) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ConversationRequest) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v AppendRequest) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *AppendRequest) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v RestartRequest) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *RestartRequest) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolConfirmation) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolConfirmation) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ConversationResponse) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ConversationResponse) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v Usage) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *Usage) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v Conversation) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *Conversation) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v History) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *History) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v Messages) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *Messages) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v CompletionArgs) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *CompletionArgs) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v Prediction) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *Prediction) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ResponseFormat) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ResponseFormat) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v JSONSchema) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *JSONSchema) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v Guardrail) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *Guardrail) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v Agent) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *Agent) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v AgentRequest) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *AgentRequest) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v AgentUpdate) MarshalJSON() ([]byte, error)  { return v.AppendJSON(nil) }
func (v *AgentUpdate) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v Model) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *Model) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ModelCapabilities) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ModelCapabilities) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ModelList) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ModelList) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v AgentList) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *AgentList) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ChatRequest) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ChatRequest) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v SystemMessage) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *SystemMessage) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v UserMessage) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *UserMessage) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v AssistantMessage) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *AssistantMessage) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolMessage) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolMessage) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ChatTool) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ChatTool) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolCall) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolCall) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ToolCallFunc) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ToolCallFunc) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ChatResponse) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ChatResponse) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ChatChoice) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ChatChoice) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ChatUsage) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ChatUsage) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v TokenDetails) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *TokenDetails) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ChatChunk) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ChatChunk) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ChatChunkChoice) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ChatChunkChoice) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v ChatDelta) MarshalJSON() ([]byte, error)  { return wire.Marshal(v) }
func (v *ChatDelta) UnmarshalJSON(b []byte) error { return wire.Unmarshal(b, v) }

func (v UnknownChunk) AppendJSON(dst []byte) ([]byte, error) { return wire.Append(dst, v.Raw) }
func (v UnknownChunk) MarshalJSON() ([]byte, error)          { return v.AppendJSON(nil) }

func (v UnknownEntry) AppendJSON(dst []byte) ([]byte, error) { return wire.Append(dst, v.Raw) }
func (v UnknownEntry) MarshalJSON() ([]byte, error)          { return v.AppendJSON(nil) }

func (v UnknownTool) AppendJSON(dst []byte) ([]byte, error) { return wire.Append(dst, v.Raw) }
func (v UnknownTool) MarshalJSON() ([]byte, error)          { return v.AppendJSON(nil) }

func (v UnknownEvent) AppendJSON(dst []byte) ([]byte, error) { return wire.Append(dst, v.Raw) }
func (v UnknownEvent) MarshalJSON() ([]byte, error)          { return v.AppendJSON(nil) }

func (v UnknownMessage) AppendJSON(dst []byte) ([]byte, error) { return wire.Append(dst, v.Raw) }
func (v UnknownMessage) MarshalJSON() ([]byte, error)          { return v.AppendJSON(nil) }

// decodeList decodes the elements of an array. As encoding/json writes a nil
// list as null, null is one.
func decodeList[T any](data []byte, decode func([]byte) (T, error)) ([]T, error) {
	if string(data) == "null" {
		return nil, nil
	}
	list := []T{}
	err := wire.Elements(data, func(raw []byte) error {
		v, err := decode(raw)
		list = append(list, v)
		return err
	})
	return list, err
}
