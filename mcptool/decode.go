package mcptool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tramontane-dev/tramontane"
)

// A carriedResult takes the raw result of a request past the SDK, which hands
// errors of a response to the caller as they are, but would decode a result
// three times, and refuse it whole for one kind of content that it does not
// know (design/mcp-transport.md).
type carriedResult struct {
	raw json.RawMessage
}

func (*carriedResult) Error() string { return "result not decoded yet" }

// rawResult returns the result of a request as it came, or the request's error.
func rawResult[T any](res T, err error) (json.RawMessage, error) {
	var carried *carriedResult
	if errors.As(err, &carried) {
		return carried.raw, nil
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(res) // it came another way than through a stdioConn
}

// asksForInput reports whether raw is no result yet but a question of the
// server (specification 2026-07-28, "Multi Round-Trip Requests"); see
// [Server.rounds].
func asksForInput(raw json.RawMessage) bool {
	if !bytes.Contains(raw, []byte(`"inputRequests"`)) && !bytes.Contains(raw, []byte(`"input_required"`)) {
		return false
	}
	var r struct {
		Type     string          `json:"resultType"`
		Requests json.RawMessage `json:"inputRequests"`
	}
	return json.Unmarshal(raw, &r) == nil && (r.Type == "input_required" || r.Type == "" && r.Requests != nil)
}

// checkKind returns an error if a resultType is none that a result can have here:
// such a result is invalid (specification 2026-07-28, "Responses"). Servers of
// earlier versions give none.
func checkKind(kind string) error {
	if kind == "" || kind == "complete" {
		return nil
	}
	return fmt.Errorf("the server answered with an unknown kind of result, %.100q", kind)
}

// decodeResult decodes the result of tools/call. It never fails: the tool has
// run, so what cannot be understood is kept as it came. A result of an unknown
// kind is also an error, for the model to see.
func decodeResult(raw json.RawMessage) *tramontane.ToolResult {
	var r struct {
		Content    []content       `json:"content"`
		Structured json.RawMessage `json:"structuredContent"`
		IsError    bool            `json:"isError"`
		Type       string          `json:"resultType"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return &tramontane.ToolResult{Content: []tramontane.Content{&tramontane.UnknownContent{Raw: raw}}}
	}
	if err := checkKind(r.Type); err != nil {
		// For example a task, whose id would be lost in an empty success.
		return &tramontane.ToolResult{IsError: true, Content: []tramontane.Content{
			&tramontane.TextContent{Text: err.Error() + ":"},
			&tramontane.UnknownContent{Type: r.Type, Raw: raw},
		}}
	}
	res := &tramontane.ToolResult{IsError: r.IsError}
	if string(r.Structured) != "null" {
		res.Structured = r.Structured
	}
	for _, c := range r.Content {
		res.Content = append(res.Content, c.Content)
	}
	return res
}

// content decodes one piece of content. It never fails either.
type content struct {
	tramontane.Content
}

func (c *content) UnmarshalJSON(raw []byte) error {
	var w struct {
		Type        string `json:"type"`
		Text        string `json:"text"`
		Data        []byte `json:"data"`
		MIMEType    string `json:"mimeType"`
		URI         string `json:"uri"`
		Name        string `json:"name"`
		Title       string `json:"title"`
		Description string `json:"description"`
		Size        int64  `json:"size"`
		Resource    *struct {
			URI      string `json:"uri"`
			MIMEType string `json:"mimeType"`
			Text     string `json:"text"`
			Blob     []byte `json:"blob"`
		} `json:"resource"`
	}
	err := json.Unmarshal(raw, &w)
	switch {
	case err == nil && w.Type == "text":
		c.Content = &tramontane.TextContent{Text: w.Text}
	case err == nil && w.Type == "image":
		c.Content = &tramontane.ImageContent{Data: w.Data, MIMEType: w.MIMEType}
	case err == nil && w.Type == "audio":
		c.Content = &tramontane.AudioContent{Data: w.Data, MIMEType: w.MIMEType}
	case err == nil && w.Type == "resource" && w.Resource != nil:
		c.Content = &tramontane.ResourceContent{
			URI: w.Resource.URI, MIMEType: w.Resource.MIMEType, Text: w.Resource.Text, Blob: w.Resource.Blob,
		}
	case err == nil && w.Type == "resource_link":
		c.Content = &tramontane.ResourceLink{
			URI: w.URI, Name: w.Name, Title: w.Title, Description: w.Description, MIMEType: w.MIMEType, Size: w.Size,
		}
	default:
		// w may be half filled by a known kind that is malformed.
		c.Content = &tramontane.UnknownContent{Type: w.Type, Raw: bytes.Clone(raw)}
	}
	return nil
}

// A listedTool is a tool as tools/list names it.
type listedTool struct {
	Name         string          `json:"name"`
	Title        string          `json:"title"`
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema"`
	Annotations  struct {
		Title       string `json:"title"`
		ReadOnly    *bool  `json:"readOnlyHint"`    // unset: false
		Idempotent  *bool  `json:"idempotentHint"`  // unset: false
		Destructive *bool  `json:"destructiveHint"` // unset: true
		OpenWorld   *bool  `json:"openWorldHint"`   // unset: true
	} `json:"annotations"`
	Execution struct {
		TaskSupport string `json:"taskSupport"` // unset: forbidden
	} `json:"execution"`

	raw json.RawMessage // as it came
}

// A toolPage is the result of one tools/list. Tools are decoded one by one, so
// that one that is malformed does not cost the others.
type toolPage struct {
	Tools      []json.RawMessage `json:"tools"`
	NextCursor string            `json:"nextCursor"`
	TTL        float64           `json:"ttlMs"`
	Scope      string            `json:"cacheScope"`
	Type       string            `json:"resultType"`
}

func decodeTool(raw json.RawMessage) (*listedTool, error) {
	var t listedTool
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, err
	}
	if t.Name == "" {
		return nil, errors.New("it has no name")
	}
	if len(t.InputSchema) > 0 && t.InputSchema[0] != '{' {
		return nil, errors.New("its inputSchema is no object")
	}
	if string(t.OutputSchema) == "null" {
		t.OutputSchema = nil
	}
	t.raw = raw
	return &t, nil
}
