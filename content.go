package tramontane

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A ToolResult is what a tool has to say. Its zero value is an empty success.
type ToolResult struct {
	// Content is shown to the model and to the person, in order. If nil, the
	// result is empty.
	Content []Content

	// Structured is the result as a JSON value, as an MCP tool with an output
	// schema returns it beside its content. If nil, there is none.
	Structured json.RawMessage

	// IsError says that the tool ran and failed, and that Content says why.
	IsError bool
}

// TextResult returns a result of one piece of text.
func TextResult(text string) *ToolResult {
	return &ToolResult{Content: []Content{&TextContent{Text: text}}}
}

// Content is one piece of a [ToolResult]: a *[TextContent], *[ImageContent],
// *[AudioContent], *[ResourceContent], *[ResourceLink] or *[UnknownContent], the
// kinds of MCP (specification 2025-11-25, "Tool Result").
type Content interface {
	// modelText is what the model is told of the content: function results are
	// text on the wire, so every other kind is named, never dropped.
	modelText() string
}

// TextContent is plain text.
type TextContent struct {
	Text string
}

// ImageContent is a picture.
type ImageContent struct {
	Data     []byte
	MIMEType string
}

// AudioContent is a piece of sound.
type AudioContent struct {
	Data     []byte
	MIMEType string
}

// ResourceContent is a resource with its contents: Text, or Blob if the
// contents are binary.
type ResourceContent struct {
	URI      string
	MIMEType string
	Text     string
	Blob     []byte
}

// ResourceLink points to a resource whose contents were not sent along.
type ResourceLink struct {
	URI         string
	Name        string
	Title       string
	Description string
	MIMEType    string
	Size        int64 // bytes; if zero, unknown
}

// UnknownContent is a kind that this package does not know, as it came.
type UnknownContent struct {
	Type string
	Raw  json.RawMessage
}

func (c *TextContent) modelText() string { return c.Text }

func (c *ImageContent) modelText() string {
	return fmt.Sprintf("[image %s, %d bytes: not shown to the model]", c.MIMEType, len(c.Data))
}

func (c *AudioContent) modelText() string {
	return fmt.Sprintf("[audio %s, %d bytes: not played to the model]", c.MIMEType, len(c.Data))
}

func (c *ResourceContent) modelText() string {
	if c.Blob != nil {
		return fmt.Sprintf("[resource %s, %s, %d bytes: not shown to the model]", c.URI, c.MIMEType, len(c.Blob))
	}
	return c.Text
}

func (c *ResourceLink) modelText() string {
	parts := []string{"resource " + c.URI}
	for _, s := range []string{c.Name, c.Title, c.Description, c.MIMEType} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (c *UnknownContent) modelText() string { return string(c.Raw) }

// Text returns the result as the model is told it. Structured stands for a
// result that has no content.
func (r *ToolResult) Text() string {
	if len(r.Content) == 0 {
		return string(r.Structured)
	}
	parts := make([]string, len(r.Content))
	for i, c := range r.Content {
		parts[i] = c.modelText()
	}
	return strings.Join(parts, "\n")
}
