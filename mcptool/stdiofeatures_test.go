package mcptool_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane/mcptool"
)

func init() {
	featured := func(legacy bool) func() {
		return func() {
			server := mcp.NewServer(&mcp.Implementation{Name: "featured", Version: "1"}, nil)
			if legacy {
				server.AddReceivingMiddleware(refuse("server/discover"))
			}
			addTool(server, "work", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 1, Message: "half"})
				return said("worked"), err
			})
			asks(server, "ask", &mcp.ElicitParams{Mode: "form", Message: "Sure?", RequestedSchema: json.RawMessage(form)})
			addResources(server)
			serve(server)
		}
	}
	testServers["featured"], testServers["featured-legacy"] = featured(false), featured(true)
}

// A real process says the same as a server of this one.
func TestFeaturesOverStdio(t *testing.T) {
	for _, name := range []string{"featured", "featured-legacy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testServer(t, name)
			s.Elicit = func(_ context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
				if q.Call == nil || q.Call.Name != "test_ask" {
					t.Errorf("question = %+v, want one of the call", q)
				}
				return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept, Content: map[string]any{"seat": "w"}}, nil
			}
			want := []string{"progress test_work 1/0 half", "result test_work worked"}
			if diff := cmp.Diff(want, stream(t, s, "test_work")); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			want = []string{`result test_ask accept {"age":30,"meal":"v","name":"Ann","seat":"w","sure":true}`}
			if diff := cmp.Diff(want, stream(t, s, "test_ask")); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			contents, err := s.ReadResource(t.Context(), "note:1")
			if err != nil || !strings.HasPrefix(contents[0].Text, "text of note:1") {
				t.Errorf("ReadResource = %v, %v", contents, err)
			}
		})
	}
}
