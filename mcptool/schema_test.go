package mcptool_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// A form whose schema would keep a validator busy for ever, or crash it, is
// refused before a person sees it.
func TestElicitSchemaBounds(t *testing.T) {
	for name, schema := range map[string]string{
		"itself":     `{"type":"object","$ref":"#"}`,
		"in a field": `{"type":"object","properties":{"a":{"type":"string","$ref":"#/properties/a"}}}`,
		"explodes":   exploding(60),
		"elsewhere":  `{"type":"object","allOf":[{"$ref":"http://127.0.0.1:1/schema.json"}]}`,
		"huge":       `{"type":"object","description":"` + strings.Repeat("x", 300<<10) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
				asks(server, "ask", &mcp.ElicitParams{Mode: "form", Message: "?", RequestedSchema: json.RawMessage(schema)})
				s.Elicit = func(context.Context, *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
					t.Error("the person is asked")
					return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept, Content: map[string]any{"a": "x"}}, nil
				}
				began := time.Now()
				if got := toldBy(t, start(t, s)["ask"]); !strings.Contains(got, "requestedSchema") {
					t.Errorf("the call says %.300q", got)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// No schema of a server makes the client fetch anything, and none of its
// keywords is lost on the way to the model.
func TestSchemaIsNotFetched(t *testing.T) {
	var fetched atomic.Int32
	elsewhere := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		w.Write([]byte(`{"type":"object"}`))
	}))
	schema := `{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"` + elsewhere + `/self","$defs":{"a":{"$anchor":"here","type":"string"}},` +
		`"type":"object","properties":{"x":{"$ref":"` + elsewhere + `/x"},"y":{"$ref":"#here"},"z":{"$dynamicRef":"` + elsewhere + `/z"}},` +
		`"if":{"required":["x"]},"then":{"required":["y"]},"else":false,"unevaluatedProperties":false,"x-more":[0.10]}`
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		server.AddTool(&mcp.Tool{Name: "t", InputSchema: json.RawMessage(schema), OutputSchema: json.RawMessage(schema)},
			func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				result := said("text")
				result.StructuredContent = json.RawMessage(`{"x":1}`)
				return result, nil
			})
		asks(server, "ask", &mcp.ElicitParams{Mode: "form", Message: "?", RequestedSchema: json.RawMessage(
			`{"type":"object","allOf":[{"$ref":"` + elsewhere + `/form"}],"properties":{"a":{"type":"string"}}}`)})
		s.Elicit = func(context.Context, *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}, nil
		}
		tools := start(t, s)
		if got := string(tools["t"].Definition().Parameters); got != schema {
			t.Errorf("parameters = %s, want %s", got, schema)
		}
		if got := toldBy(t, tools["t"]); !strings.HasPrefix(got, "text") {
			t.Errorf("the call says %q", got)
		}
		toldBy(t, tools["ask"])
		if n := fetched.Load(); n != 0 {
			t.Errorf("%d schemas were fetched", n)
		}
	})
}
