package mistral

import (
	"bytes"
	"encoding/json"

	"github.com/tramontane-dev/tramontane/internal/wire"
)

// A Tool is something that an agent or a conversation can use: a
// *[FunctionTool], *[WebSearchTool], *[WebSearchPremiumTool],
// *[CodeInterpreterTool], *[ImageGenerationTool], *[DocumentLibraryTool],
// *[ConnectorTool] or *[UnknownTool].
type Tool interface{ isTool() }

// Tools is a list of tools.
type Tools []Tool

// FunctionTool is a function that the caller of the API runs.
type FunctionTool struct {
	_        struct{} `wire:"type=function"`
	Function Function `json:"function"`
	Extra    Extra
}

// Function says what a function is called and takes.
type Function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitzero"`
	Strict      bool            `json:"strict,omitzero"` // if true, the API holds the arguments to Parameters
	Parameters  json.RawMessage `json:"parameters"`      // a JSON Schema of type object
	Extra       Extra
}

// WebSearchTool searches the web on the server.
type WebSearchTool struct {
	Configuration *ToolConfiguration `json:"tool_configuration,omitzero"`
	_             struct{}           `wire:"type=web_search"`
	Extra         Extra
}

// WebSearchPremiumTool searches the web and the news on the server.
type WebSearchPremiumTool struct {
	Configuration *ToolConfiguration `json:"tool_configuration,omitzero"`
	_             struct{}           `wire:"type=web_search_premium"`
	Extra         Extra
}

// CodeInterpreterTool runs code on the server.
type CodeInterpreterTool struct {
	Configuration *ToolConfiguration `json:"tool_configuration,omitzero"`
	_             struct{}           `wire:"type=code_interpreter"`
	Extra         Extra
}

// ImageGenerationTool makes images on the server.
type ImageGenerationTool struct {
	Configuration *ToolConfiguration `json:"tool_configuration,omitzero"`
	_             struct{}           `wire:"type=image_generation"`
	Extra         Extra
}

// DocumentLibraryTool searches libraries of documents on the server.
type DocumentLibraryTool struct {
	Configuration *ToolConfiguration `json:"tool_configuration,omitzero"`
	_             struct{}           `wire:"type=document_library"`
	LibraryIDs    []string           `json:"library_ids"` // at least one
	Extra         Extra
}

// ConnectorTool uses a connector that is set up on the server (OpenAPI,
// CustomConnector).
type ConnectorTool struct {
	_             struct{}           `wire:"type=connector"`
	ConnectorID   string             `json:"connector_id"`           // its name or its id
	Authorization json.RawMessage    `json:"authorization,omitzero"` // OpenAPI, OAuth2TokenAuth or APIKeyAuth
	Configuration *ToolConfiguration `json:"tool_configuration,omitzero"`
	Extra         Extra
}

// UnknownTool is a tool of a type that this package does not know. It goes back
// on the wire as it came, byte for byte.
type UnknownTool struct {
	Type string
	Raw  json.RawMessage // valid JSON; if empty, null
}

// ToolConfiguration narrows what a tool of the server may do.
type ToolConfiguration struct {
	Exclude              []string `json:"exclude,omitzero"`               // names of functions that it may not call
	Include              []string `json:"include,omitzero"`               // those that alone it may call; not together with Exclude
	RequiresConfirmation []string `json:"requires_confirmation,omitzero"` // those whose calls wait for a [ToolConfirmation]
	Extra                Extra
}

func (*FunctionTool) isTool()         {}
func (*WebSearchTool) isTool()        {}
func (*WebSearchPremiumTool) isTool() {}
func (*CodeInterpreterTool) isTool()  {}
func (*ImageGenerationTool) isTool()  {}
func (*DocumentLibraryTool) isTool()  {}
func (*ConnectorTool) isTool()        {}
func (*UnknownTool) isTool()          {}

func decodeTool(data []byte) (Tool, error) {
	var t Tool
	kind := string(wire.Tag(data, "type"))
	if kind == "" && wire.Member(data, "function") != nil {
		kind = "function"
	}
	switch kind {
	case "function":
		t = new(FunctionTool)
	case "web_search":
		t = new(WebSearchTool)
	case "web_search_premium":
		t = new(WebSearchPremiumTool)
	case "code_interpreter":
		t = new(CodeInterpreterTool)
	case "image_generation":
		t = new(ImageGenerationTool)
	case "document_library":
		t = new(DocumentLibraryTool)
	case "connector":
		t = new(ConnectorTool)
	default:
		return &UnknownTool{Type: kind, Raw: bytes.Clone(data)}, nil
	}
	return t, wire.Unmarshal(data, t)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (ts *Tools) UnmarshalJSON(data []byte) (err error) {
	*ts, err = decodeList(data, decodeTool)
	return err
}
