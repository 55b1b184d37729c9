package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// timed runs a test with a server of each era in this process, and time that
// passes at once.
func timed(t *testing.T, test func(t *testing.T, server *mcp.Server, s *mcptool.Server)) {
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(era, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := mcp.NewServer(&mcp.Implementation{Name: "features", Version: "1"}, nil)
				if era < "2026" {
					server.AddReceivingMiddleware(refuse("server/discover"))
				}
				s := &mcptool.Server{Name: "test", Dial: mcptool.InMemory(server), CallTimeout: time.Second}
				defer s.Close()
				test(t, server, s)
			})
		})
	}
}

// A call is not late because a person thinks.
func TestElicitStopsTheClock(t *testing.T) {
	timed(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		asks(server, "ask", &mcp.ElicitParams{Mode: "form", Message: "Sure?", RequestedSchema: json.RawMessage(`{"type":"object","properties":{}}`)})
		s.Elicit = func(context.Context, *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			time.Sleep(5 * time.Minute)
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}, nil
		}
		if got := toldBy(t, start(t, s)["ask"]); got != "accept null" {
			t.Errorf("the call says %q", got)
		}
	})
}

// Nobody is asked any more when the call is over.
func TestElicitEndsWithTheCall(t *testing.T) {
	timed(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		question := &mcp.ElicitParams{Mode: "form", Message: "Sure?", RequestedSchema: json.RawMessage(`{"type":"object","properties":{}}`)}
		addTool(server, "ask", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			if req.Session.InitializeParams().ProtocolVersion > "2026" {
				return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"q": question}}, nil
			}
			// Not every server takes its question back.
			_, err := req.Session.Elicit(context.WithoutCancel(ctx), question)
			return said("asked"), err
		})
		ctx, cancel := context.WithCancel(t.Context())
		withdrawn := make(chan bool)
		s.Elicit = func(ctx context.Context, _ *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			cancel()
			<-ctx.Done()
			close(withdrawn)
			return nil, ctx.Err()
		}
		if _, err := start(t, s)["ask"].call(ctx, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want that of the context", err)
		}
		<-withdrawn
	})
}

// A server need not say that a visit is over.
func TestVisitWithoutAnEnd(t *testing.T) {
	timed(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		var asked, began time.Time
		addTool(server, "buy", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			if asked.IsZero() {
				return nil, mcp.URLElicitationRequiredError([]*mcp.ElicitParams{{Mode: "url", URL: "https://shop.example/pay", ElicitationID: "i"}})
			}
			return said("bought"), nil
		})
		s.Elicit = func(context.Context, *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			asked = time.Now()
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}, nil
		}
		tools := start(t, s)
		began = time.Now()
		if got := toldBy(t, tools["buy"]); got != "bought" {
			t.Errorf("the call says %q", got)
		}
		if took := time.Since(began); took > 3*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}
