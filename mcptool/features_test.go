//lint:file-ignore SA1019 servers still log, by a feature that is deprecated as a whole

package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

// eras runs a test with a server of each protocol era, by each transport that
// needs no process.
func eras(t *testing.T, test func(t *testing.T, server *mcp.Server, s *mcptool.Server)) {
	for _, row := range []struct{ era, transport string }{
		{"2025-11-25", "memory"}, {"2026-07-28", "memory"},
		{"2025-11-25", "http"}, {"2026-07-28", "http"},
		{"2025-11-25", "sse"},
	} {
		t.Run(row.era+" "+row.transport, func(t *testing.T) {
			t.Parallel()
			server := mcp.NewServer(&mcp.Implementation{Name: "features", Version: "1"}, &mcp.ServerOptions{
				PageSize:     2,
				Capabilities: &mcp.ServerCapabilities{Logging: &mcp.LoggingCapabilities{}},
			})
			if row.era < "2026" {
				server.AddReceivingMiddleware(refuse("server/discover"))
			}
			s := &mcptool.Server{Name: "test"}
			get := func(*http.Request) *mcp.Server { return server }
			switch row.transport {
			case "memory":
				s.Dial = mcptool.InMemory(server)
			case "http":
				s.URL = serveHTTP(t, mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{Stateless: row.era > "2026"}))
			case "sse":
				s.URL, s.Transport = serveHTTP(t, mcp.NewSSEHandler(get, nil)), mcptool.SSE
			}
			t.Cleanup(func() { s.Close() })
			test(t, server, s)
			if got := s.Status().ProtocolVersion; got != row.era {
				t.Errorf("the test ran with protocol version %s, want %s", got, row.era)
			}
		})
	}
}

func serveHTTP(t *testing.T, handler http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func refuse(method string) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, m string, req mcp.Request) (mcp.Result, error) {
			if m == method {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "method not found"}
			}
			return next(ctx, m, req)
		}
	}
}

func addTool(server *mcp.Server, name string, handler mcp.ToolHandler) {
	server.AddTool(&mcp.Tool{Name: name, InputSchema: json.RawMessage(`{"type":"object"}`)}, handler)
}

func said(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// toldBy is what a call says, be it its result or its error.
func toldBy(t *testing.T, tool tool) string {
	t.Helper()
	result, err := tool.call(t.Context(), "")
	if err != nil {
		return err.Error()
	}
	return result.Text()
}

// stream runs a model that calls the tools, in one turn, and returns what
// happened, in few words.
func stream(t *testing.T, s *mcptool.Server, tools ...string) []string {
	t.Helper()
	var events []string
	for event, err := range scripted(t, s, tools...).Stream(t.Context(), tramontane.UserText("Go."), nil) {
		if err != nil {
			t.Fatal(err)
		}
		switch e := event.(type) {
		case *tramontane.ProgressEvent:
			events = append(events, fmt.Sprintf("progress %s %v/%v %s", e.Call.Name, e.Progress, e.Total, e.Message))
		case *tramontane.LogEvent:
			events = append(events, fmt.Sprintf("log %s %s %s %s", e.Server, e.Level, e.Logger, e.Data))
		case *tramontane.ResultEvent:
			events = append(events, fmt.Sprintf("result %s %s", e.Call.Name, e.Entry.Result))
		}
	}
	return events
}

// scripted returns a runner of a model that calls the tools, in one turn, and
// then says "Done."
func scripted(t *testing.T, s tramontane.Toolset, tools ...string) *tramontane.Runner {
	t.Helper()
	var mu sync.Mutex
	turn := 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream")
		event := func(kind, rest string) {
			fmt.Fprintf(w, "event: %s\ndata: {\"type\":%q%s}\n\n", kind, kind, rest)
		}
		event("conversation.response.started", `,"conversation_id":"conv_1"`)
		if turn++; turn == 1 {
			for i, name := range tools {
				event("function.call.delta", fmt.Sprintf(`,"output_index":%d,"id":"f%d","name":%q,"tool_call_id":"call%d","arguments":"{}"`, i, i, name, i))
			}
		} else {
			event("message.output.delta", `,"output_index":0,"id":"m","content":"Done."`)
		}
		event("conversation.response.done", `,"usage":{}`)
	}))
	t.Cleanup(api.Close)
	return &tramontane.Runner{
		Client:   &mistral.Client{BaseURL: api.URL, HTTPClient: api.Client()},
		Model:    "m",
		Toolsets: []tramontane.Toolset{s},
	}
}

func TestProgressAndLogInARun(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		addTool(server, "work", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			token := req.Params.GetProgressToken()
			for i := 1; i <= 3; i++ {
				req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: float64(i), Total: 3, Message: "step"})
				req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "debug", Data: "not asked for"})
				req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "warning", Logger: "disk", Data: map[string]any{"free": i}})
			}
			req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: "another's", Progress: 9})
			return said("worked"), nil
		})
		s.LogLevel = mcptool.LogInfo
		want := []string{
			"progress test_work 1/3 step", `log test warning disk {"free":1}`,
			"progress test_work 2/3 step", `log test warning disk {"free":2}`,
			"progress test_work 3/3 step", `log test warning disk {"free":3}`,
			"result test_work worked",
		}
		if diff := cmp.Diff(want, stream(t, s, "test_work")); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// A server is asked for its log before it is called, however long it takes to
// answer that; and one that never does can be called all the same.
func TestLogLevelComesFirst(t *testing.T) {
	for _, takes := range []time.Duration{time.Second, time.Hour} {
		timed(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
			legacy, asked := false, false
			server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, m string, req mcp.Request) (mcp.Result, error) {
					switch m {
					case "initialize":
						legacy = true
					case "logging/setLevel":
						select {
						case <-time.After(takes):
						case <-ctx.Done():
						}
						asked = true
					}
					return next(ctx, m, req)
				}
			})
			addTool(server, "work", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				if legacy && !asked {
					t.Error("the call came first")
				}
				return said("worked"), nil
			})
			s.LogLevel, s.CallTimeout = mcptool.LogInfo, time.Minute
			began := time.Now()
			if got := toldBy(t, start(t, s)["work"]); got != "worked" {
				t.Errorf("the call says %q", got)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Each call hears of its own progress, and a run of each line of the log once.
func TestProgressOfParallelCalls(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		var both sync.WaitGroup
		both.Add(2)
		s.LogLevel = mcptool.LogDebug
		for i, name := range []string{"a", "b"} {
			addTool(server, name, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				both.Done()
				both.Wait()
				req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: name})
				req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: float64(i), Message: name})
				return said(name), nil
			})
		}
		got := stream(t, s, "test_a", "test_b")
		slices.Sort(got)
		want := []string{`log test info  "a"`, `log test info  "b"`, "progress test_a 0/0 a", "progress test_b 1/0 b", "result test_a a", "result test_b b"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

const form = `{"type":"object","properties":{
	"name":{"type":"string","title":"Your name","description":"as on the ticket","default":"Ann"},
	"age":{"type":"integer","minimum":18,"default":30},
	"seat":{"type":"string","enum":["w","a"],"enumNames":["window","aisle"]},
	"mail":{"type":"string","format":"email"},
	"meal":{"type":"string","oneOf":[{"const":"v","title":"vegan"},{"const":"m","title":"meat"}],"default":"v"},
	"days":{"type":"array","items":{"type":"string","enum":["sat","sun"]}},
	"sure":{"type":"boolean","default":true}
},"required":["name","seat"]}`

// asks offers a tool that asks, in the way of the era, and says what it was
// told.
func asks(server *mcp.Server, name string, params *mcp.ElicitParams) {
	addTool(server, name, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		var answer *mcp.ElicitResult
		switch {
		case req.Session.InitializeParams().ProtocolVersion < "2026":
			var err error
			if answer, err = req.Session.Elicit(ctx, params); err != nil {
				return said("error: " + err.Error()), nil
			}
		case req.Params.InputResponses == nil:
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"q": params}, RequestState: "state"}, nil
		default:
			answer = req.Params.InputResponses["q"].(*mcp.ElicitResult)
		}
		content, err := json.Marshal(answer.Content)
		if err != nil {
			return nil, err
		}
		return said(answer.Action + " " + string(content)), nil
	})
}

func TestElicitForm(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		asks(server, "ask", &mcp.ElicitParams{Mode: "form", Message: "Which seat?", RequestedSchema: json.RawMessage(form)})
		var log strings.Builder
		s.Logger = slog.New(slog.NewTextHandler(&log, nil))
		var asked []*mcptool.Elicitation
		var answers []func() (*mcptool.ElicitationAnswer, error)
		s.Elicit = func(_ context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			asked = append(asked, q)
			return answers[len(asked)-1]()
		}
		accept := func(content map[string]any) func() (*mcptool.ElicitationAnswer, error) {
			return func() (*mcptool.ElicitationAnswer, error) {
				return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept, Content: content}, nil
			}
		}
		full := `accept {"age":30,"meal":"v","name":"Ann","seat":"w","sure":true}`
		tools := start(t, s)
		for name, row := range map[string]struct {
			answers []func() (*mcptool.ElicitationAnswer, error)
			want    string
			log     string
		}{
			"defaults": {[]func() (*mcptool.ElicitationAnswer, error){accept(map[string]any{"seat": "w"})}, full, ""},
			"all": {
				[]func() (*mcptool.ElicitationAnswer, error){accept(map[string]any{"name": "Bo", "age": 20, "seat": "a", "meal": "m", "days": []string{"sat"}, "sure": false})},
				`accept {"age":20,"days":["sat"],"meal":"m","name":"Bo","seat":"a","sure":false}`, "",
			},
			"asked again": {
				[]func() (*mcptool.ElicitationAnswer, error){accept(nil), accept(map[string]any{"seat": "w", "age": 17}), accept(map[string]any{"seat": "w"})},
				full, "",
			},
			"decline": {
				[]func() (*mcptool.ElicitationAnswer, error){func() (*mcptool.ElicitationAnswer, error) {
					return &mcptool.ElicitationAnswer{Action: mcptool.ElicitDecline, Content: map[string]any{"name": "not to be told"}}, nil
				}}, "decline null", "",
			},
			"nothing": {
				[]func() (*mcptool.ElicitationAnswer, error){func() (*mcptool.ElicitationAnswer, error) { return nil, nil }}, "cancel null", "",
			},
			"error": {
				[]func() (*mcptool.ElicitationAnswer, error){func() (*mcptool.ElicitationAnswer, error) { return nil, errors.New("no terminal here") }},
				"cancel null", "no terminal here",
			},
			"panic": {
				[]func() (*mcptool.ElicitationAnswer, error){func() (*mcptool.ElicitationAnswer, error) { panic("boom") }}, "cancel null", "boom",
			},
		} {
			asked, answers = nil, row.answers
			log.Reset()
			result, err := tools["ask"].Call(t.Context(), &tramontane.Call{Key: "run/1/a", Name: "test_ask"})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := result.Text(); got != row.want {
				t.Errorf("%s: the server was told %q, want %q", name, got, row.want)
			}
			if !strings.Contains(log.String(), row.log) {
				t.Errorf("%s: log = %s, want %q in it", name, &log, row.log)
			}
			if len(asked) != len(row.answers) {
				t.Fatalf("%s: asked %d times, want %d", name, len(asked), len(row.answers))
			}
			for i, q := range asked {
				if (q.Problem != "") != (i > 0) {
					t.Errorf("%s: question %d has problem %q", name, i, q.Problem)
				}
			}
		}
		q := asked[0]
		if q.Server != "test" || q.Message != "Which seat?" || q.Call == nil || q.Call.Key != "run/1/a" || q.URL != "" {
			t.Errorf("question = %+v", q)
		}
		want := []mcptool.ElicitationField{
			{Name: "name", Title: "Your name", Description: "as on the ticket", Type: "string", Default: json.RawMessage(`"Ann"`), Required: true},
			{Name: "seat", Type: "string", Options: []mcptool.ElicitationOption{{Value: "w", Title: "window"}, {Value: "a", Title: "aisle"}}, Required: true},
			{Name: "age", Type: "integer", Default: json.RawMessage(`30`)},
			{Name: "days", Type: "array", Options: []mcptool.ElicitationOption{{Value: "sat"}, {Value: "sun"}}},
			{Name: "mail", Type: "string", Format: "email"},
			{Name: "meal", Type: "string", Options: []mcptool.ElicitationOption{{Value: "v", Title: "vegan"}, {Value: "m", Title: "meat"}}, Default: json.RawMessage(`"v"`)},
			{Name: "sure", Type: "boolean", Default: json.RawMessage(`true`)},
		}
		if diff := cmp.Diff(want, q.Fields); diff != "" {
			t.Errorf("fields (-want +got):\n%s", diff)
		}
	})
}

// An answer that never fits is not sent, and the server is told.
func TestElicitWithoutEnd(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		asks(server, "ask", &mcp.ElicitParams{Mode: "form", Message: "Which seat?", RequestedSchema: json.RawMessage(form)})
		asked := 0
		s.Elicit = func(context.Context, *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			asked++
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept, Content: map[string]any{"seat": "roof"}}, nil
		}
		got := toldBy(t, start(t, s)["ask"])
		if asked != 3 || !strings.Contains(got, "does not fit") {
			t.Errorf("asked %d times, and the call says %q, want 3 times and why", asked, got)
		}
	})
}

// Two questions at once are put one after the other.
func TestElicitOneAtATime(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		schema := json.RawMessage(`{"type":"object","properties":{}}`)
		var both sync.WaitGroup
		both.Add(2)
		for _, name := range []string{"a", "b"} {
			asks(server, name, &mcp.ElicitParams{Mode: "form", Message: name, RequestedSchema: schema})
		}
		var mu sync.Mutex
		asking, calls := 0, []string{}
		s.Elicit = func(_ context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			mu.Lock()
			asking++
			if asking > 1 {
				t.Error("two questions at once")
			}
			if q.Call != nil && q.Call.Name != "test_"+q.Message {
				t.Errorf("question %s is said to be of call %s", q.Message, q.Call.Name)
			}
			calls = append(calls, q.Message)
			mu.Unlock()
			both.Done() // both have been asked, or this one has to wait for nothing
			mu.Lock()
			asking--
			mu.Unlock()
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}, nil
		}
		for _, event := range stream(t, s, "test_a", "test_b") {
			if !strings.Contains(event, "accept") {
				t.Errorf("%s, want an accepted question", event)
			}
		}
		both.Wait()
		if len(calls) != 2 {
			t.Errorf("asked %q", calls)
		}
	})
}

// The callback sees the values of the run that is asked.
func TestElicitContext(t *testing.T) {
	type user struct{}
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		asks(server, "ask", &mcp.ElicitParams{Mode: "form", Message: "Sure?", RequestedSchema: json.RawMessage(`{"type":"object","properties":{}}`)})
		s.Elicit = func(ctx context.Context, _ *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			if got := ctx.Value(user{}); got != "ann" {
				t.Errorf("user = %v, want ann", got)
			}
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitDecline}, nil
		}
		if _, err := start(t, s)["ask"].call(context.WithValue(t.Context(), user{}, "ann"), ""); err != nil {
			t.Error(err)
		}
	})
}

// Without somebody to ask, nothing is promised, and the call fails with a
// reason.
func TestElicitNobody(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		asks(server, "ask", &mcp.ElicitParams{Mode: "form", Message: "Sure?"})
		var caps *mcp.ClientCapabilities
		server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, m string, req mcp.Request) (mcp.Result, error) {
				if m == "tools/call" {
					caps = req.GetSession().(*mcp.ServerSession).InitializeParams().Capabilities
				}
				return next(ctx, m, req)
			}
		})
		got := toldBy(t, start(t, s)["ask"])
		if !strings.Contains(got, "does not support elicitation") {
			t.Errorf("the call says %q", got)
		}
		if caps == nil || caps.Elicitation != nil {
			t.Errorf("capabilities = %+v, want no elicitation", caps)
		}
	})
}

func TestElicitURL(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		urls := map[string]struct {
			url, host string
			warnings  int
		}{
			"plain":    {"https://shop.example/pay?id=1#x", "shop.example", 0},
			"port":     {"http://127.0.0.1:8080/pay", "127.0.0.1:8080", 0},
			"clear":    {"http://shop.example/", "shop.example", 1},
			"punycode": {"https://www.xn--pple-43d.com/", "www.xn--pple-43d.com", 1},
			"letters":  {"https://www.аpple.com/", "www.аpple.com", 1},
			"user":     {"https://bank.example@evil.example/", "evil.example", 1},
		}
		for name, row := range urls {
			asks(server, name, &mcp.ElicitParams{Mode: "url", Message: "Pay.", URL: row.url, ElicitationID: name})
		}
		for _, bad := range []string{"javascript:alert(1)", "file:///etc/passwd", "https://"} {
			asks(server, "bad_"+bad[:4], &mcp.ElicitParams{Mode: "url", Message: "Pay.", URL: bad, ElicitationID: bad})
		}
		var q *mcptool.Elicitation
		s.Elicit = func(_ context.Context, asked *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			q = asked
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept, Content: map[string]any{"not": "sent"}}, nil
		}
		for name, tool := range start(t, s) {
			q = nil
			got := toldBy(t, tool)
			if strings.HasPrefix(name, "bad_") {
				if q != nil || !strings.Contains(got, "not one of https or http") {
					t.Errorf("%s: a person was asked about %v, and the call says %q", name, q, got)
				}
				continue
			}
			row := urls[name]
			if got != "accept null" {
				t.Errorf("%s: call = %q", name, got)
			}
			if q.URL != row.url || q.Host != row.host || len(q.Warnings) != row.warnings || q.Fields != nil {
				t.Errorf("%s: question = %+v", name, q)
			}
		}
	})
}

// A server can answer a call with URLs that have to be visited first.
func TestURLRequired(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		paid := make(chan struct{})
		var session *mcp.ServerSession
		calls := 0
		required := func(id string) error {
			return mcp.URLElicitationRequiredError([]*mcp.ElicitParams{{Mode: "url", Message: "Pay.", URL: "https://shop.example/pay", ElicitationID: id}})
		}
		addTool(server, "buy", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			session = req.Session
			calls++
			select {
			case <-paid:
				return said("bought"), nil
			default:
				return nil, required("id1")
			}
		})
		addTool(server, "never", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return nil, required("")
		})
		addTool(server, "broken", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return nil, &jsonrpc.Error{Code: mcp.CodeURLElicitationRequired, Message: "visit", Data: json.RawMessage(`{"elicitations":[{"mode":"form"}]}`)}
		})
		visits := 0
		answer := mcptool.ElicitAccept
		s.Elicit = func(ctx context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			visits++
			if q.Message == "Pay." && session != nil && visits == 2 {
				close(paid)
				// The word of the server may come before the person's answer. Later
				// versions have none.
				if session.InitializeParams().ProtocolVersion < "2026" {
					if err := session.NotifyElicitationComplete(ctx, &mcp.ElicitationCompleteParams{ElicitationID: "id1"}); err != nil {
						t.Error(err)
					}
				}
			}
			return &mcptool.ElicitationAnswer{Action: answer}, nil
		}
		tools := start(t, s)

		answer = mcptool.ElicitDecline
		if _, err := tools["buy"].call(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "did not agree to visit https://shop.example/pay") {
			t.Errorf("declined: %v", err)
		}
		answer = mcptool.ElicitAccept
		if got := toldBy(t, tools["buy"]); got != "bought" || calls != 3 {
			t.Errorf("accepted: %q after %d calls, want one that is sent again", got, calls)
		}
		visits = 2
		if _, err := tools["never"].call(t.Context(), ""); err == nil || visits != 2+3 {
			t.Errorf("never: %v after %d visits, want an error after three", err, visits-2)
		}
		if _, err := tools["broken"].call(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "something else than visits") {
			t.Errorf("broken: %v", err)
		}
	})
}

// Nobody can be asked, so the error names the URL.
func TestURLRequiredOfNobody(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		addTool(server, "buy", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return nil, mcp.URLElicitationRequiredError([]*mcp.ElicitParams{{Mode: "url", URL: "https://shop.example/pay", ElicitationID: "i"}})
		})
		_, err := start(t, s)["buy"].call(t.Context(), "")
		if err == nil || !strings.Contains(err.Error(), "visit first: https://shop.example/pay") || errors.Is(err, tramontane.ErrOutcomeUnknown) {
			t.Errorf("err = %v, want the URL in it", err)
		}
	})
}
