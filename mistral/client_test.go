package mistral_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/mistral"
)

// A recorded request of a test server.
type recorded struct {
	Method, Path, Query, Body string
}

// serve starts a server that gives the same answer to each request, and returns
// a client of it and what it was asked.
func serve(t *testing.T, status int, contentType, body string) (*mistral.Client, *[]recorded) {
	t.Helper()
	var got []recorded
	client := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, recorded{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(b)})
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
	return client, &got
}

func serveFunc(t *testing.T, f http.HandlerFunc) *mistral.Client {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return &mistral.Client{BaseURL: server.URL, HTTPClient: server.Client(), MaxRetries: -1}
}

const (
	agentJSON        = `{"object":"agent","id":"ag_1","model":"m","name":"n","version":0,"versions":[0],"created_at":"2025-06-01T10:00:00.000000Z","updated_at":"2025-06-01T10:00:00.000000Z","deployment_chat":false,"source":"api"}`
	replyJSON        = `{"object":"conversation.response","conversation_id":"conv_1","outputs":[],"usage":{}}`
	conversationJSON = `{"object":"conversation","id":"conv_1","created_at":"2025-06-01T10:00:00.000000Z","updated_at":"2025-06-01T10:00:00.000000Z","model":"m"}`
)

// requests are one of each kind, and the answer to each.
var requests = func() []requestTest {
	yes := true
	return []requestTest{
		{"CreateAgent", agentJSON, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.CreateAgent(ctx, &mistral.AgentRequest{Model: "m", Name: "n"})
		}, recorded{"POST", "/v1/agents", "", `{"model":"m","name":"n"}`}},
		{"Agent", agentJSON, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Agent(ctx, "a/b", nil)
		}, recorded{"GET", "/v1/agents/a%2Fb", "", ""}},
		{"Agent at alias", agentJSON, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Agent(ctx, "ag_1", &mistral.AgentOptions{Version: &mistral.AgentVersion{Alias: "prod"}})
		}, recorded{"GET", "/v1/agents/ag_1", "agent_version=prod", ""}},
		{"Agents", "[" + agentJSON + "]", func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Agents(ctx, &mistral.AgentListOptions{Page: 1, PageSize: 5, DeploymentChat: &yes, Sources: []string{"api", "playground"}, Name: "n", Search: "s", ID: "i", Metadata: []byte(`{"a":1}`)})
		}, recorded{"GET", "/v1/agents", "deployment_chat=true&id=i&metadata=%7B%22a%22%3A1%7D&name=n&page=1&page_size=5&search=s&sources=api&sources=playground", ""}},
		{"UpdateAgent", agentJSON, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.UpdateAgent(ctx, "ag_1", &mistral.AgentUpdate{Name: "x", Clear: []string{"handoffs"}})
		}, recorded{"PATCH", "/v1/agents/ag_1", "", `{"name":"x","handoffs":null}`}},
		{"DeleteAgent", "", func(ctx context.Context, c *mistral.Client) (any, error) {
			return nil, c.DeleteAgent(ctx, "ag_1")
		}, recorded{"DELETE", "/v1/agents/ag_1", "", ""}},
		{"AgentVersions", "[" + agentJSON + "]", func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.AgentVersions(ctx, "ag_1", &mistral.PageOptions{Page: 2, PageSize: 3})
		}, recorded{"GET", "/v1/agents/ag_1/versions", "page=2&page_size=3", ""}},
		{"AgentAtVersion", agentJSON, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.AgentAtVersion(ctx, "ag_1", mistral.AgentVersion{Number: 3})
		}, recorded{"GET", "/v1/agents/ag_1/versions/3", "", ""}},
		{"SwitchAgentVersion", agentJSON, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.SwitchAgentVersion(ctx, "ag_1", 0)
		}, recorded{"PATCH", "/v1/agents/ag_1/version", "version=0", ""}},
		{"Start", replyJSON, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Start(ctx, &mistral.ConversationRequest{Model: "m", Inputs: mistral.Inputs{Text: "hi"}})
		}, recorded{"POST", "/v1/conversations", "", `{"inputs":"hi","model":"m","stream":false}`}},
		{"Append", replyJSON, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Append(ctx, "conv_1", &mistral.AppendRequest{Inputs: mistral.Inputs{Entries: mistral.Entries{}}})
		}, recorded{"POST", "/v1/conversations/conv_1", "", `{"inputs":[],"stream":false}`}},
		{"Restart", replyJSON, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Restart(ctx, "conv_1", &mistral.RestartRequest{FromEntryID: "msg_1"})
		}, recorded{"POST", "/v1/conversations/conv_1/restart", "", `{"stream":false,"from_entry_id":"msg_1"}`}},
		{"Conversation", conversationJSON, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Conversation(ctx, "conv_1")
		}, recorded{"GET", "/v1/conversations/conv_1", "", ""}},
		{"Conversations", "[" + conversationJSON + "]", func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Conversations(ctx, &mistral.ConversationListOptions{Page: 1, PageSize: 7, Metadata: []byte(`{}`)})
		}, recorded{"GET", "/v1/conversations", "metadata=%7B%7D&page=1&page_size=7", ""}},
		{"History", `{"object":"conversation.history","conversation_id":"conv_1","entries":[]}`, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.History(ctx, "conv_1")
		}, recorded{"GET", "/v1/conversations/conv_1/history", "", ""}},
		{"Messages", `{"object":"conversation.messages","conversation_id":"conv_1","messages":[]}`, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Messages(ctx, "conv_1")
		}, recorded{"GET", "/v1/conversations/conv_1/messages", "", ""}},
		{"DeleteConversation", "", func(ctx context.Context, c *mistral.Client) (any, error) {
			return nil, c.DeleteConversation(ctx, "conv_1")
		}, recorded{"DELETE", "/v1/conversations/conv_1", "", ""}},
		{"Models", `{"object":"list","data":[{"id":"m","capabilities":{}}]}`, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Models(ctx)
		}, recorded{"GET", "/v1/models", "", ""}},
		{"Model", `{"id":"m","capabilities":{}}`, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Model(ctx, "org/m")
		}, recorded{"GET", "/v1/models/org%2Fm", "", ""}},
		{"Chat", `{"id":"c","object":"chat.completion","model":"m","usage":{},"created":1,"choices":[]}`, func(ctx context.Context, c *mistral.Client) (any, error) {
			return c.Chat(ctx, &mistral.ChatRequest{Model: "m"})
		}, recorded{"POST", "/v1/chat/completions", "", `{"model":"m","stream":false,"messages":[]}`}},
	}
}()

type requestTest struct {
	name   string
	answer string
	call   func(context.Context, *mistral.Client) (any, error)
	want   recorded
}

func TestRequests(t *testing.T) {
	for _, test := range requests {
		t.Run(test.name, func(t *testing.T) {
			client, got := serve(t, http.StatusOK, "application/json", test.answer)
			if _, err := test.call(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]recorded{test.want}, *got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIDsThatWouldChangeThePath(t *testing.T) {
	client, got := serve(t, http.StatusOK, "application/json", agentJSON)
	for _, id := range []string{"", ".", ".."} {
		if err := client.DeleteAgent(t.Context(), id); err == nil {
			t.Errorf("DeleteAgent(%q): no error", id)
		}
	}
	if len(*got) != 0 {
		t.Errorf("requests were made: %v", *got)
	}
}

func TestRequestsAreNotChanged(t *testing.T) {
	client, _ := serve(t, http.StatusOK, "application/json", replyJSON)
	in := &mistral.ConversationRequest{Model: "m", Inputs: mistral.Inputs{Text: "hi"}}
	if _, err := client.Start(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	for range client.StreamStart(t.Context(), in) {
	}
	if in.Stream != nil {
		t.Errorf("Stream was set to %v", *in.Stream)
	}
}

func TestErrorBodies(t *testing.T) {
	tests := []struct {
		name, contentType, body string
		status                  int
		want                    mistral.Error
		line                    string
	}{
		{"422", "application/json", `{"detail":[{"type":"missing","loc":["body","inputs",0,"content"],"msg":"Field required","input":{}}]}`, 422,
			mistral.Error{Detail: []mistral.FieldError{{Loc: "body.inputs[0].content", Msg: "Field required", Type: "missing"}}},
			"mistral: POST /v1/conversations/c: 422 Unprocessable Entity: body.inputs[0].content: Field required"},
		{"code as number", "application/json", `{"object":"Error","message":"Not the same number of function calls and responses","type":"invalid_request_error","code":3230}`, 400,
			mistral.Error{Message: "Not the same number of function calls and responses", Type: "invalid_request_error", Code: "3230"},
			"mistral: POST /v1/conversations/c: 400 Bad Request: Not the same number of function calls and responses (code 3230)"},
		{"code as text", "application/json", `{"object":"error","message":"m","type":"t","param":null,"code":"3230"}`, 400,
			mistral.Error{Message: "m", Type: "t", Code: "3230"},
			"mistral: POST /v1/conversations/c: 400 Bad Request: m (code 3230)"},
		{"detail in message", "application/json", `{"object":"error","message":{"detail":[{"type":"t","loc":["body"],"msg":"m"}]},"type":"invalid_request_error","code":null}`, 422,
			mistral.Error{Type: "invalid_request_error", Detail: []mistral.FieldError{{Loc: "body", Msg: "m", Type: "t"}}},
			"mistral: POST /v1/conversations/c: 422 Unprocessable Entity: body: m"},
		{"detail as text", "application/json", `{"detail":"Unauthorized"}`, 401, mistral.Error{Message: "Unauthorized"},
			"mistral: POST /v1/conversations/c: 401 Unauthorized: Unauthorized"},
		{"error object", "application/json", `{"error":{"message":"model not found","type":"NotFoundError","code":404}}`, 404,
			mistral.Error{Message: "model not found", Type: "NotFoundError", Code: "404"},
			"mistral: POST /v1/conversations/c: 404 Not Found: model not found (code 404)"},
		{"error text", "application/json", `{"error":"no such model"}`, 404, mistral.Error{Message: "no such model"},
			"mistral: POST /v1/conversations/c: 404 Not Found: no such model"},
		{"two texts", "application/json", `{"error":"Bad Request","message":"no model m","detail":"d"}`, 400, mistral.Error{Message: "no model m"},
			"mistral: POST /v1/conversations/c: 400 Bad Request: no model m"},
		{"status without a name", "text/plain", "", 599, mistral.Error{}, "mistral: POST /v1/conversations/c: 599"},
		{"text", "text/plain", "upstream\r\n\x1b[31mbroke\n", 500, mistral.Error{Message: "upstream\r\n\x1b[31mbroke"},
			"mistral: POST /v1/conversations/c: 500 Internal Server Error: upstream [31mbroke"},
		{"text that begins like JSON", "text/plain", "404 page not found\n", 404, mistral.Error{Message: "404 page not found"},
			"mistral: POST /v1/conversations/c: 404 Not Found: 404 page not found"},
		{"page", "text/html", "<html><head><title>502 Bad\nGateway</title></head><body>x</body></html>", 500, mistral.Error{Message: "502 Bad\nGateway"},
			"mistral: POST /v1/conversations/c: 500 Internal Server Error: 502 Bad Gateway"},
		{"page whose text changes its length in lower case", "text/html", "<title>\u0130\u0130\u0130\u0130</title>", 500, mistral.Error{Message: "an HTML page"},
			"mistral: POST /v1/conversations/c: 500 Internal Server Error: an HTML page"},
		{"long text", "text/plain", strings.Repeat("x", 600), 500, mistral.Error{Message: strings.Repeat("x", 600)},
			"mistral: POST /v1/conversations/c: 500 Internal Server Error: " + strings.Repeat("x", 500) + "..."},
		{"nothing", "text/plain", "", 403, mistral.Error{}, "mistral: POST /v1/conversations/c: 403 Forbidden"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client, _ := serve(t, test.status, test.contentType, test.body)
			_, err := client.Append(t.Context(), "c", &mistral.AppendRequest{})
			got := new(mistral.Error)
			if !errors.As(err, &got) {
				t.Fatalf("error is %v", err)
			}
			want := test.want
			want.Method, want.Path, want.StatusCode, want.Body = "POST", "/v1/conversations/c", test.status, []byte(test.body)
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got.Error() != test.line {
				t.Errorf("Error() = %q, want %q", got.Error(), test.line)
			}
			if mistral.Uncertain(err) {
				t.Errorf("Uncertain(%v) = true", err)
			}
		})
	}
}

// A program with many requests under way at once must not connect anew for most
// of them, nor need a transport of its own for that.
func TestConnectionsAreKept(t *testing.T) {
	const parallel = 16
	var connections atomic.Int64
	var mu sync.Mutex // guards the variables below
	arrived, all := 0, make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		wait := all
		if arrived++; arrived%parallel == 0 {
			close(all)
			all = make(chan struct{})
		}
		mu.Unlock()
		<-wait // for all that are to be under way at once
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, agentJSON)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := &mistral.Client{BaseURL: server.URL}
	for range 5 {
		var group sync.WaitGroup
		for range parallel {
			group.Go(func() {
				if err := get(t.Context(), client); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	if n := connections.Load(); n > parallel {
		t.Errorf("%d connections for %d requests at once", n, parallel)
	}
}
