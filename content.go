package tramontane

import (
	"encoding/json"
	"fmt"
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A ToolResult is what a tool has to say. Its zero value is an empty success.
type ToolResult struct {
	// Content is shown to the model and to the person, in order. If nil, the
	// result is empty.
	Content []Content

	// Structured is the result as a JSON value, as an MCP tool with an output
	// schema returns it beside its content, which should say the same. The model
	// is told it too if the content says less. If nil, there is none.
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
	// modelText is what the model is told of the content, and whether that is
	// all of it: function results are text on the wire, so what cannot be text
	// is named, never dropped.
	modelText() (text string, all bool)
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

// ResourceContent is a resource with its contents: Text, or Blob if they came as
// bytes, which the model is shown if they are text by their MIMEType.
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

func (c *TextContent) modelText() (string, bool) { return c.Text, true }

func (c *ImageContent) modelText() (string, bool) {
	return fmt.Sprintf("[image %s, %d bytes: not shown to the model]", c.MIMEType, len(c.Data)), false
}

func (c *AudioContent) modelText() (string, bool) {
	return fmt.Sprintf("[audio %s, %d bytes: not played to the model]", c.MIMEType, len(c.Data)), false
}

func (c *ResourceContent) modelText() (string, bool) {
	text := c.Text
	if c.Blob != nil {
		if !isText(c.MIMEType) || !utf8.Valid(c.Blob) {
			return fmt.Sprintf("[resource %s, %s, %d bytes: not shown to the model]", c.URI, c.MIMEType, len(c.Blob)), false
		}
		text = string(c.Blob)
	}
	return "[" + join("resource "+c.URI, c.MIMEType) + "]\n" + text, true
}

func (c *ResourceLink) modelText() (string, bool) {
	return "[" + join("resource "+c.URI, c.Name, c.Title, c.Description, c.MIMEType) + "]", true
}

func (c *UnknownContent) modelText() (string, bool) { return string(c.Raw), true }

// join joins what is not empty.
func join(parts ...string) string {
	var kept []string
	for _, s := range parts {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, ", ")
}

// isText reports whether a MIME type is that of text in UTF-8, as far as it
// says.
func isText(mimeType string) bool {
	media, params, err := mime.ParseMediaType(mimeType)
	if err != nil {
		return false
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		return false
	}
	kind, sub, _ := strings.Cut(media, "/")
	if kind == "text" {
		return true
	}
	if kind != "application" && !strings.Contains(sub, "+") {
		return false
	}
	if i := strings.LastIndexByte(sub, '+'); i >= 0 {
		sub = sub[i+1:] // as in image/svg+xml
	}
	switch strings.TrimPrefix(sub, "x-") {
	case "json", "ndjson", "jsonl", "xml", "yaml", "toml", "javascript", "ecmascript", "typescript", "sql", "graphql", "sh", "shellscript", "httpd-php":
		return true
	}
	return false
}

// Text returns the result as the model is told it, save that a run cuts it when
// it is too long (see [Runner]).
func (r *ToolResult) Text() string {
	if len(r.Content) == 0 {
		return string(r.Structured)
	}
	parts := make([]string, len(r.Content))
	for i, c := range r.Content {
		parts[i], _ = c.modelText()
	}
	text := strings.Join(parts, "\n")
	if r.Structured != nil && !tells(text, r.Structured) {
		text += "\n" + string(r.Structured)
	}
	return text
}

// unshown returns the content that Text only names.
func (r *ToolResult) unshown() []Content {
	var contents []Content
	for _, c := range r.Content {
		if _, all := c.modelText(); !all {
			contents = append(contents, c)
		}
	}
	return contents
}

const (
	maxTold   = 1 << 20  // bytes of a structured result that are looked at
	maxLeaves = 1000     // that are looked for in a text
	maxLooked = 64 << 20 // bytes that are looked through for all of them
)

// tells reports whether a text has every value of a structured result in it.
// Servers write them out in many ways: as the same JSON with other white space,
// without the object around them, as a table or a sentence.
func tells(text string, structured json.RawMessage) bool {
	if strings.Contains(text, string(structured)) {
		return true
	}
	if len(structured) > maxTold {
		return false
	}
	d := json.NewDecoder(strings.NewReader(string(structured)))
	d.UseNumber() // as they were written
	var value any
	if err := d.Decode(&value); err != nil {
		return false
	}
	left := min(maxLeaves, maxLooked/(len(text)+1))
	return tellsValue(text, value, &left)
}

func tellsValue(text string, value any, left *int) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			if !tellsValue(text, member, left) {
				return false
			}
		}
		return true
	case []any:
		for _, item := range v {
			if !tellsValue(text, item, left) {
				return false
			}
		}
		return true
	case nil:
		return true
	}
	if *left--; *left < 0 {
		return false
	}
	if s, ok := value.(string); ok && (s == "" || hasWord(text, s)) {
		return true
	}
	literal, err := json.Marshal(value)
	return err == nil && hasWord(text, string(literal))
}

// hasWord reports whether text has the word, not as a part of a longer one: 5 is
// not in 15 or 5.2.
func hasWord(text, word string) bool {
	for from, tries := 0, 0; tries < 100; tries++ {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(word)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		fraction := strings.HasPrefix(text[end:], ".") && len(text) > end+1 && '0' <= text[end+1] && text[end+1] <= '9'
		if !wordRune(before) && before != '.' && before != '-' && !wordRune(after) && !fraction {
			return true
		}
		from = start + 1
	}
	return false
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }
