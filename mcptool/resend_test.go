package mcptool_test

import (
	"context"
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
