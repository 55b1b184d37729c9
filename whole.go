package tramontane

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// defaultMaxResult is some 16,000 tokens of English, an eighth of the 128,000
// that Mistral's models read at once: a turn may have several results, and a
// conversation several turns.
const defaultMaxResult = 64 << 10

func (r *Runner) maxResult() int {
	if r.MaxResult == 0 {
		return defaultMaxResult
	}
	return r.MaxResult
}

// fit returns the text as the model is told it: whole, or its head and its tail
// with a line between them that says where the whole is. Heads say what a text
// is, and tails of logs and commands what came of them.
func (d *driver) fit(key, text string) string {
	limit := d.runner.maxResult()
	if limit < 0 || len(text) <= limit {
		return text
	}
	uri := resultURI(key)
	d.mu.Lock()
	d.wholes = append(d.wholes, ResourceContent{URI: uri, MIMEType: "text/plain", Text: text})
	d.mu.Unlock()

	how := ""
	if d.runner.ReadResults {
		how = ", which " + readResultName + " reads"
	}
	line := func(left int) string {
		return fmt.Sprintf("\n[... %d of %d bytes are left out here; the whole is %s%s ...]\n", left, len(text), uri, how)
	}
	room := max(0, limit-len(line(len(text))))
	head := cut(text, 0, room/2)
	tail := text[runeStart(text, len(text)-(room-len(head))):]
	return head + line(len(text)-len(head)-len(tail)) + tail
}

// resultURI is the name of a result's whole text. It is a name only: nothing
// listens there.
func resultURI(key string) string {
	parts := strings.Split(key, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part) // tool call ids are the model's
	}
	return "tramontane://result/" + strings.Join(parts, "/")
}

// wholeOf returns the name of the whole text of a call's result, or "" if the
// model was told all of it.
func (d *driver) wholeOf(key string) string {
	uri := resultURI(key)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.ContainsFunc(d.wholes, func(r ResourceContent) bool { return r.URI == uri }) {
		return ""
	}
	return uri
}

// cut returns at most n bytes of s from an offset on, whole runes.
func cut(s string, from, n int) string {
	from = runeStart(s, from)
	if n >= len(s)-from {
		return s[from:]
	}
	end := from + n
	for end > from && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[from:end]
}

// runeStart returns the first offset from i on at which a rune starts.
func runeStart(s string, i int) int {
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	return i
}

const readResultName = "read_result"

type readResultInput struct {
	URI    string `json:"uri" jsonschema:"where the whole is, as the shortened result says"`
	Offset int    `json:"offset,omitempty" jsonschema:"first byte to read; the start if left out"`
	Length int    `json:"length,omitempty" jsonschema:"how many bytes to read; as many as can be shown if left out"`
}

// readResultTool is the model's way to what was left out.
func (d *driver) readResultTool() Tool {
	return Func(readResultName, "Reads on in a tool result that was too long to be shown whole.", d.readResult, &FuncOptions{ReadOnly: true, Safe: true})
}

func (d *driver) readResult(_ context.Context, in readResultInput) (string, error) {
	d.mu.Lock()
	i := slices.IndexFunc(d.wholes, func(r ResourceContent) bool { return r.URI == in.URI })
	var text string
	if i >= 0 {
		text = d.wholes[i].Text
	}
	d.mu.Unlock()
	switch {
	case i < 0:
		return "", fmt.Errorf("no result is kept as %q", in.URI)
	case in.Offset < 0 || in.Length < 0:
		return "", fmt.Errorf("offset %d and length %d: neither may be negative", in.Offset, in.Length)
	case in.Offset >= len(text):
		return "", fmt.Errorf("offset %d: the result has %d bytes", in.Offset, len(text))
	}
	const trailer = 100 // bytes, at most, of what is added below
	length := len(text)
	if limit := d.runner.maxResult(); limit > 0 {
		length = max(limit-trailer, utf8.UTFMax)
	}
	if in.Length > 0 {
		length = min(length, max(in.Length, utf8.UTFMax))
	}
	start := runeStart(text, in.Offset)
	part := cut(text, start, length)
	end := start + len(part)
	if end == len(text) {
		return fmt.Sprintf("%s\n[bytes %d to %d of %d: the end]", part, start, end, len(text)), nil
	}
	return fmt.Sprintf("%s\n[bytes %d to %d of %d: go on at offset %d]", part, start, end, len(text), end), nil
}
