package tramontane_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane"
)

func text(s string) tramontane.Content { return &tramontane.TextContent{Text: s} }

func TestResultText(t *testing.T) {
	for name, row := range map[string]struct {
		result tramontane.ToolResult
		want   string
	}{
		"nothing":         {tramontane.ToolResult{}, ""},
		"texts":           {tramontane.ToolResult{Content: []tramontane.Content{text("a"), text("b")}}, "a\nb"},
		"structured only": {tramontane.ToolResult{Structured: json.RawMessage(`{"a":1}`)}, `{"a":1}`},
		"image": {
			tramontane.ToolResult{Content: []tramontane.Content{&tramontane.ImageContent{Data: []byte("abc"), MIMEType: "image/png"}}},
			"[image image/png, 3 bytes: not shown to the model]",
		},
		"text resource": {
			tramontane.ToolResult{Content: []tramontane.Content{&tramontane.ResourceContent{URI: "file:///a", MIMEType: "text/plain", Text: "hi"}}},
			"[resource file:///a, text/plain]\nhi",
		},
		"resource without a type": {
			tramontane.ToolResult{Content: []tramontane.Content{&tramontane.ResourceContent{URI: "file:///a", Text: "hi"}}},
			"[resource file:///a]\nhi",
		},
		"bytes that are text": {
			tramontane.ToolResult{Content: []tramontane.Content{&tramontane.ResourceContent{URI: "x:a", MIMEType: "text/csv; charset=utf-8", Blob: []byte("a,b")}}},
			"[resource x:a, text/csv; charset=utf-8]\na,b",
		},
		"bytes that are JSON": {
			tramontane.ToolResult{Content: []tramontane.Content{&tramontane.ResourceContent{URI: "x:a", MIMEType: "application/geo+json", Blob: []byte("{}")}}},
			"[resource x:a, application/geo+json]\n{}",
		},
		"bytes that claim to be text": {
			tramontane.ToolResult{Content: []tramontane.Content{&tramontane.ResourceContent{URI: "x:a", MIMEType: "text/plain", Blob: []byte{0xff, 0xfe}}}},
			"[resource x:a, text/plain, 2 bytes: not shown to the model]",
		},
		"bytes of another charset": {
			tramontane.ToolResult{Content: []tramontane.Content{&tramontane.ResourceContent{URI: "x:a", MIMEType: "text/plain; charset=UTF-16LE", Blob: []byte("h\x00i\x00")}}},
			"[resource x:a, text/plain; charset=UTF-16LE, 4 bytes: not shown to the model]",
		},
		"bytes": {
			tramontane.ToolResult{Content: []tramontane.Content{&tramontane.ResourceContent{URI: "x:a", MIMEType: "application/pdf", Blob: []byte("abcd")}}},
			"[resource x:a, application/pdf, 4 bytes: not shown to the model]",
		},
		"link": {
			tramontane.ToolResult{Content: []tramontane.Content{&tramontane.ResourceLink{URI: "x:a", Name: "n", MIMEType: "text/plain"}}},
			"[resource x:a, n, text/plain]",
		},

		// Structured, where the text says as much, and where it does not.
		"same JSON":        {structured(`{ "a" : 1 }`, `{"a":1}`), `{ "a" : 1 }`},
		"wrapped":          {structured(`sunny`, `{"result":"sunny"}`), "sunny"},
		"wrapped list":     {structured("a b\nc", `{"result":["a b","c"]}`), "a b\nc"},
		"sentence":         {structured("22.5 degrees in Paris, true.", `{"city":"Paris","t":22.5,"ok":true}`), "22.5 degrees in Paris, true."},
		"escaped":          {structured(`{"a":"x\ny"}`, `{"a": "x\ny"}`), `{"a":"x\ny"}`},
		"null and empty":   {structured("none", `{"a":null,"b":""}`), "none"},
		"less":             {structured("ok", `{"id":7}`), "ok\n{\"id\":7}"},
		"a longer number":  {structured("15 of 5.2 and -5", `{"n":5}`), "15 of 5.2 and -5\n{\"n\":5}"},
		"a longer word":    {structured("failure", `{"grade":"a"}`), "failure\n{\"grade\":\"a\"}"},
		"image beside it":  {tramontane.ToolResult{Content: []tramontane.Content{&tramontane.ImageContent{MIMEType: "image/png"}}, Structured: json.RawMessage(`{"w":9}`)}, "[image image/png, 0 bytes: not shown to the model]\n{\"w\":9}"},
		"false is a value": {structured("done", `{"ok":false}`), "done\n{\"ok\":false}"},
		"too much to look": {structured("1", "["+strings.Repeat("1,", 2000)+"1]"), "1\n[" + strings.Repeat("1,", 2000) + "1]"},
	} {
		if diff := cmp.Diff(row.want, row.result.Text()); diff != "" {
			t.Errorf("%s: text (-want +got):\n%s", name, diff)
		}
	}
}

func structured(s, value string) tramontane.ToolResult {
	return tramontane.ToolResult{Content: []tramontane.Content{text(s)}, Structured: json.RawMessage(value)}
}
