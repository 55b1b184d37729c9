package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// oneTool returns a server in memory with one tool.
func oneTool(legacy bool, handler mcp.ToolHandler) *mcptool.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "one", Version: "1"}, nil)
	if legacy {
		s.AddReceivingMiddleware(withoutDiscover)
	}
	s.AddTool(&mcp.Tool{Name: "t", InputSchema: json.RawMessage(`{"type":"object"}`)}, handler)
	return &mcptool.Server{Name: "test", Dial: mcptool.InMemory(s)}
}

var done = &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}

// How long a call may take.
func TestDeadline(t *testing.T) {
	const minute = time.Minute
	// works gives news of itself every minute, for so many minutes.
	works := func(minutes int) mcp.ToolHandler {
		return func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			for i := range minutes {
				select {
				case <-time.After(minute):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
				p := &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: float64(i)}
				if err := req.Session.NotifyProgress(ctx, p); err != nil {
					return nil, err
				}
			}
			return done, nil
		}
	}
	silent := func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	asks := func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if req.Params.InputResponses == nil {
			schema := map[string]any{"type": "object", "properties": map[string]any{}}
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{
				"q": &mcp.ElicitParams{Message: "Well?", RequestedSchema: schema},
			}}, nil
		}
		select {
		case <-time.After(minute): // it works on
			return done, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	tests := []struct {
		name    string
		handler mcp.ToolHandler
		set     func(*mcptool.Server)
		person  time.Duration // takes so long to answer
		took    time.Duration
		want    string // in the error; none if empty
		legacy  bool
	}{
		{"silent", silent, func(*mcptool.Server) {}, 0, 2 * minute, "no answer within 2m0s", false},
		{"silent, with more time", silent, func(s *mcptool.Server) { s.CallTimeout = time.Hour }, 0, time.Hour, "no answer within 1h0m0s", false},
		{"progress", works(20), func(*mcptool.Server) {}, 0, 20 * minute, "", false},
		{"progress without end", works(1000), func(*mcptool.Server) {}, 0, 30 * minute, "no end within 30m0s", false},
		{"progress, with less time", works(10), func(s *mcptool.Server) { s.MaxCallTime = 5 * minute }, 0, 5 * minute, "no end within 5m0s", false},
		{"person", asks, func(*mcptool.Server) {}, 10 * minute, 11 * minute, "", false},
		{"old server: person", asks, func(*mcptool.Server) {}, 10 * minute, 11 * minute, "", true},
		{"person who went away", asks, func(*mcptool.Server) {}, time.Hour, 15 * minute, "no person answered within 15m0s", false},
		{"old server: person who went away", asks, func(*mcptool.Server) {}, time.Hour, 15 * minute, "no person answered within 15m0s", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := make(chan error, 1)
				s := oneTool(tt.legacy, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
					res, err := tt.handler(ctx, req)
					if ctx.Err() != nil {
						told <- ctx.Err()
					}
					return res, err
				})
				tt.set(s)
				s.Elicit = func(ctx context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
					select {
					case <-time.After(tt.person):
						return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}, nil
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				}
				defer s.Close()
				call := start(t, s)["t"]
				began := time.Now()
				_, err := call.call(context.Background(), "")
				if tt.want == "" && err != nil {
					t.Error(err)
				}
				if tt.want != "" && (!errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("error %v, want %q and an unknown outcome", err, tt.want)
				}
				if took := time.Since(began).Round(time.Second); took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				if tt.want != "" && tt.person == 0 {
					<-told // that nobody waits any more
				}
				if _, err := s.Tools(context.Background()); err != nil {
					t.Errorf("the session did not live on: %v", err)
				}
			})
		})
	}
}

// slowAuth waits for a person whenever the server refuses a request.
type slowAuth struct {
	person time.Duration
	logins atomic.Int32
}

func (a *slowAuth) Authorize(req *http.Request) error {
	req.Header.Set("Authorization", fmt.Sprintf("Bearer %d", a.logins.Load()))
	return nil
}

func (a *slowAuth) Refused(req *http.Request, _ *http.Response) error {
	select {
	case <-time.After(a.person):
		a.logins.Add(1)
		return nil
	case <-req.Context().Done():
		return context.Cause(req.Context())
	}
}

// The time in which a person logs in is not the server's, neither at the start
// nor in a call.
func TestLoginStopsDeadline(t *testing.T) {
	for _, person := range []time.Duration{10 * time.Minute, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			answer := answerAll(nil)
			s := &mcptool.Server{Name: "test", URL: "http://test/", HTTPClient: &http.Client{Transport: handlerTransport{
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					var msg struct {
						ID     json.RawMessage
						Method string
						Params json.RawMessage
					}
					json.NewDecoder(r.Body).Decode(&msg)
					token := r.Header.Get("Authorization")
					switch {
					case r.Method == http.MethodGet:
						w.WriteHeader(http.StatusMethodNotAllowed)
					case token == "Bearer 0" || token == "Bearer 1" && msg.Method == "tools/call":
						w.WriteHeader(http.StatusUnauthorized)
					case msg.ID == nil:
						w.WriteHeader(http.StatusAccepted)
					default:
						w.Header().Set("Content-Type", "application/json")
						fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, msg.ID, answer(msg.Method, msg.Params))
					}
				}),
			}}}
			defer s.Close()
			s.Auth = &slowAuth{person: person}
			began := time.Now()
			tools, err := s.Tools(context.Background())
			if person > 15*time.Minute {
				if err == nil || !strings.Contains(err.Error(), "no person answered within 15m0s") {
					t.Errorf("error %v, want one of a person who did not answer", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := (tool{tools[0]}).call(context.Background(), ""); err != nil {
				t.Error(err)
			}
			if took := time.Since(began).Round(time.Second); took != 2*person {
				t.Errorf("it took %v, want %v", took, 2*person)
			}
		})
	}
}

// A call whose time is up is not sent again, though its tool is safe: the server
// may be at it still.
func TestLateCallIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := mcp.NewServer(&mcp.Implementation{Name: "late", Version: "1"}, nil)
		var calls atomic.Int32
		far.AddTool(&mcp.Tool{Name: "t", InputSchema: json.RawMessage(`{"type":"object"}`), Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}},
			func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				calls.Add(1)
				<-ctx.Done()
				return nil, ctx.Err()
			})
		s := &mcptool.Server{Name: "test", Dial: mcptool.InMemory(far), Trusted: true}
		defer s.Close()
		_, err := start(t, s)["t"].call(context.Background(), "")
		if !errors.Is(err, tramontane.ErrOutcomeUnknown) || calls.Load() != 1 {
			t.Errorf("error %v after %d calls, want an unknown outcome after one", err, calls.Load())
		}
	})
}
