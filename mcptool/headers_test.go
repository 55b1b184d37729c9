package mcptool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// Go-sdk's server compares the headers with the arguments by itself, and
// refuses a call in which they differ.
func TestMirroredArguments(t *testing.T) {
	t.Parallel()
	server := goodServer(0)
	server.AddTool(&mcp.Tool{Name: "route", InputSchema: json.RawMessage(`{"type":"object","properties":{
		"s":{"type":"string","x-mcp-header":"Str"},
		"i":{"type":"integer","x-mcp-header":"int"},
		"b":{"type":"boolean","x-mcp-header":"B.o"},
		"deep":{"type":"object","properties":{"s":{"type":"string","x-mcp-header":"Deep-S"},"plain":{"type":"string"}}},
		"any":true}}`)}, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(req.Params.Arguments)}}}, nil
	})
	var got map[string]string
	f := newFront(t, overHTTP(t, server, mcp.StreamableHTTPOptions{Stateless: true}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		if method == "tools/call" {
			got = make(map[string]string)
			for key, values := range r.Header {
				if name, ok := strings.CutPrefix(key, "Mcp-Param-"); ok {
					got[name] = strings.Join(values, ",")
				}
			}
		}
		return false
	})
	route := start(t, remoteServer(t, f.URL))["route"]
	tests := []struct {
		args string
		want map[string]string
	}{
		{`{}`, map[string]string{}},
		{`{"s":null,"deep":null,"any":1}`, map[string]string{}},
		{`{"s":"plain text","i":42,"b":true}`, map[string]string{"Str": "plain text", "Int": "42", "B.o": "true"}},
		{`{"s":"","i":-7,"b":false}`, map[string]string{"Str": "", "Int": "-7", "B.o": "false"}},
		{`{"s":" left"}`, map[string]string{"Str": "=?base64?IGxlZnQ=?="}},
		{`{"s":"a\tb\n"}`, map[string]string{"Str": "=?base64?YQliCg==?="}},
		{`{"s":"Grüße"}`, map[string]string{"Str": "=?base64?R3LDvMOfZQ==?="}},
		{`{"s":"=?base64?eA==?="}`, map[string]string{"Str": "=?base64?PT9iYXNlNjQ/ZUE9PT89?="}},
		{`{"s":"\u003cb>&amp;"}`, map[string]string{"Str": "<b>&amp;"}},
		{`{"i":1.0}`, map[string]string{"Int": "1"}},
		{`{"i":1e3}`, map[string]string{"Int": "1000"}},
		{`{"i":9007199254740991}`, map[string]string{"Int": "9007199254740991"}},
		{`{"deep":{"s":"x","plain":"y"}}`, map[string]string{"Deep-S": "x"}},
	}
	for _, tt := range tests {
		res, err := route.callWith(t, tt.args)
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: headers (-want +got):\n%s", tt.args, diff)
		}
		if body := res.Content[0].(*tramontane.TextContent).Text; body != tt.args {
			t.Errorf("the server got %s, want %s", body, tt.args)
		}
	}
	for _, args := range []string{`{"i":9007199254740992}`, `{"i":1.5}`, `{"i":99999999999999999999}`, `{"s":["x"]}`} {
		route.callWith(t, args) // the server says no, as it must
		if len(got) != 0 {
			t.Errorf("%s: headers %v", args, got)
		}
	}
}

func TestInvalidMirroredArguments(t *testing.T) {
	t.Parallel()
	properties := map[string]string{
		"empty":       `"a":{"type":"string","x-mcp-header":""}`,
		"no name":     `"a":{"type":"string","x-mcp-header":7}`,
		"null":        `"a":{"type":"string","x-mcp-header":null}`,
		"object":      `"a":{"type":"object","x-mcp-header":"A"}`,
		"array":       `"a":{"type":"array","x-mcp-header":"A"}`,
		"number":      `"a":{"type":"number","x-mcp-header":"A"}`,
		"types":       `"a":{"type":["string","null"],"x-mcp-header":"A"}`,
		"no type":     `"a":{"x-mcp-header":"A"}`,
		"same":        `"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}`,
		"same deeper": `"a":{"type":"string","x-mcp-header":"A"},"o":{"type":"object","properties":{"b":{"type":"string","x-mcp-header":"A"}}}`,
		"space":       `"a":{"type":"string","x-mcp-header":"A B"}`,
		"colon":       `"a":{"type":"string","x-mcp-header":"A:"}`,
		"non-ASCII":   `"a":{"type":"string","x-mcp-header":"Ä"}`,
		"control":     `"a":{"type":"string","x-mcp-header":"A\r\nX: y"}`,
		"too deep": strings.Repeat(`"a":{"type":"object","properties":{`, 4000) + `"a":{"type":"string","x-mcp-header":"A","default":"` +
			strings.Repeat("x", 1<<20) + `"}` + strings.Repeat("}}", 4000),
	}
	var list []string
	for name, p := range properties {
		list = append(list, fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object","properties":{%s}}}`, name, p))
	}
	list = append(list, `{"name":"valid","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"}}}}`)
	handler := answerHTTP(map[string]string{"tools/list": `{"resultType":"complete","tools":[` + strings.Join(list, ",") + `]}`})
	tools := start(t, remoteServer(t, newFront(t, handler, nil).URL))
	if len(tools) != 1 || tools["valid"].Tool == nil {
		t.Errorf("%d tools are offered, want the valid one only", len(tools))
	}
}

// answerHTTP answers requests of 2026-07-28 as answerAll does.
func answerHTTP(results map[string]string) http.Handler {
	if results["server/discover"] == "" {
		results["server/discover"] = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}`
	}
	answer := answerAll(results)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var msg struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		if err := json.NewDecoder(r.Body).Decode(&msg); err != nil || msg.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, msg.ID, answer(msg.Method, msg.Params))
	})
}
