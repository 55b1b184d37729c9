package mcptool_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptest"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// TestSafeCallAndLostSession has the answer to a call lost that does no harm
// twice. The second sending meets a session that the server no longer knows, and
// is refused unread: so there is a third.
func TestSafeCallAndLostSession(t *testing.T) {
	t.Parallel()
	ran := 0
	server := &mcptest.Server{
		Name: "s", Transport: mcptool.StreamableHTTP, Legacy: true,
		Setup: func(s *mcp.Server) {
			s.AddTool(&mcp.Tool{Name: "look", InputSchema: map[string]any{"type": "object"}, Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}},
				func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
					ran++
					return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "seen"}}}, nil
				})
		},
	}
	client := server.Start(t)
	client.Trusted = true
	tools, err := client.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server.Break(mcptest.At{Nth: 1, Ran: true}, mcptest.Cut{})
	server.Break(mcptest.At{Nth: 2}, mcptest.LoseSession{})
	result, err := tools[0].Call(t.Context(), &tramontane.Call{Key: "k", Name: "s_look"})
	if err != nil {
		t.Fatal(err)
	}
	if result.Text() != "seen" || ran != 2 {
		t.Errorf("the result is %q after %d runs, want seen after 2", result.Text(), ran)
	}
}

// TestIdempotencyKey has a header that would let net/http repeat calls refused
// before anything is sent.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	for _, key := range []string{"idempotency-key", "X-Idempotency-Key"} {
		client := &mcptool.Server{Name: "s", URL: server.URL, Header: http.Header{key: {"k"}}}
		defer client.Close()
		_, err := client.Tools(t.Context())
		if err == nil || !strings.Contains(err.Error(), http.CanonicalHeaderKey(key)) {
			t.Errorf("with the header %s: error %v, want one that names it", key, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the server got %d requests, want none", n)
	}
}
