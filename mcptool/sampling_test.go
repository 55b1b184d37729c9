//lint:file-ignore SA1019 servers still sample and ask for roots, by features that are deprecated as a whole

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
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

// samples offers a tool that asks a model, in the way of the era, times times,
// and says what it was told.
func samples(server *mcp.Server, name string, times int, params *mcp.CreateMessageWithToolsParams) {
	addTool(server, name, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		tell := func(answer *mcp.CreateMessageWithToolsResult) string {
			return fmt.Sprintf("%s %s %s %s", answer.Role, answer.Model, answer.StopReason, answer.Content[0].(*mcp.TextContent).Text)
		}
		var lines []string
		switch {
		case req.Session.InitializeParams().ProtocolVersion < "2026":
			for range times {
				answer, err := req.Session.CreateMessageWithTools(ctx, params)
				if err != nil {
					return said("error: " + err.Error()), nil
				}
				lines = append(lines, tell(answer))
			}
		case req.Params.InputResponses == nil:
			asked := mcp.InputRequestMap{}
			for i := range times {
				asked[fmt.Sprint("q", i)] = params
			}
			return &mcp.CallToolResult{InputRequests: asked, RequestState: "state"}, nil
		default:
			for i := range times {
				switch answer := req.Params.InputResponses[fmt.Sprint("q", i)].(type) {
				case *mcp.CreateMessageWithToolsResult:
					lines = append(lines, tell(answer))
				case *mcp.CreateMessageResult:
					lines = append(lines, fmt.Sprintf("%s %s %s %s", answer.Role, answer.Model, answer.StopReason, answer.Content.(*mcp.TextContent).Text))
				default:
					lines = append(lines, fmt.Sprintf("%T", answer))
				}
			}
		}
		return said(strings.Join(lines, "\n")), nil
	})
}

func question(text string) *mcp.CreateMessageWithToolsParams {
	return &mcp.CreateMessageWithToolsParams{
		SystemPrompt: "Be short.",
		MaxTokens:    99_999,
		Temperature:  0.5,
		Messages: []*mcp.SamplingMessageV2{
			{Role: "user", Content: []mcp.Content{&mcp.TextContent{Text: text}, &mcp.ImageContent{MIMEType: "image/png", Data: []byte("png")}}},
		},
		StopSequences:  []string{"END"},
		IncludeContext: "allServers",
	}
}

// modelAPI is an API whose model calls the tools, and answers what is asked
// beside the conversation by what it was asked.
type modelAPI struct {
	mu      sync.Mutex // guards the fields below
	turn    int
	sampled []string // the requests
}

func (a *modelAPI) runner(t *testing.T, s tramontane.Toolset, tools ...string) *tramontane.Runner {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in struct {
			Store *bool
		}
		json.Unmarshal(body, &in)
		a.mu.Lock()
		defer a.mu.Unlock()
		var outputs []string
		switch {
		case in.Store != nil && !*in.Store:
			a.sampled = append(a.sampled, string(body))
			outputs = []string{`{"type":"message.output","content":"as the model says"}`}
		case a.turn == 0:
			a.turn++
			for i, name := range tools {
				outputs = append(outputs, fmt.Sprintf(`{"type":"function.call","tool_call_id":"call%d","name":%q,"arguments":"{}"}`, i, name))
			}
		default:
			outputs = []string{`{"type":"message.output","content":"Done."}`}
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object":"conversation.response","conversation_id":"conv_1","outputs":[%s],"usage":{"prompt_tokens":5,"completion_tokens":5,"total_tokens":10}}`, strings.Join(outputs, ","))
	}))
	t.Cleanup(api.Close)
	return &tramontane.Runner{
		Client:   &mistral.Client{BaseURL: api.URL, HTTPClient: api.Client()},
		Model:    "m",
		Toolsets: []tramontane.Toolset{s},
	}
}

// results runs the tools in one turn and returns what the model is told.
func results(t *testing.T, runner *tramontane.Runner) (told []string, result *tramontane.Result) {
	t.Helper()
	result, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range result.Entries {
		if r, ok := entry.(*mistral.FunctionResult); ok {
			told = append(told, r.Result)
		}
	}
	return told, result
}

func TestSamplingByTheRun(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		samples(server, "ask", 2, question("How many?"))
		s.Sampling = &mcptool.Sampling{}
		var api modelAPI
		told, result := results(t, api.runner(t, s, "test_ask"))
		want := []string{"assistant m endTurn as the model says\nassistant m endTurn as the model says"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("the call's result (-want +got):\n%s", diff)
		}
		if result.Usage.TotalTokens != 40 {
			t.Errorf("usage = %d, want that of two replies and two samples", result.Usage.TotalTokens)
		}
		for _, want := range []string{`"model":"m"`, `"instructions":"Be short."`, `"max_tokens":4096`, `"temperature":0.5`, `"stop":["END"]`, "How many?", "data:image/png;base64,cG5n"} {
			if !strings.Contains(api.sampled[0], want) {
				t.Errorf("the model was asked %s, want %s in it", api.sampled[0], want)
			}
		}
		if strings.Contains(api.sampled[0], "Go.") {
			t.Errorf("the model was shown the conversation: %s", api.sampled[0])
		}
	})
}

func TestSamplingPolicy(t *testing.T) {
	two := func(text string) *mcp.CreateMessageWithToolsParams {
		p := question(text)
		p.Messages = append(p.Messages, &mcp.SamplingMessageV2{Role: "assistant", Content: []mcp.Content{&mcp.AudioContent{MIMEType: "audio/wav", Data: []byte("wav")}}})
		return p
	}
	withTools := question("x")
	withTools.Tools = []*mcp.Tool{{Name: "t", InputSchema: json.RawMessage(`{"type":"object"}`)}}
	toolResult := question("x")
	toolResult.Messages[0].Content = []mcp.Content{&mcp.ToolResultContent{ToolUseID: "a"}}
	for name, row := range map[string]struct {
		sampling *mcptool.Sampling
		params   *mcp.CreateMessageWithToolsParams
		times    int
		want     string // in what the tool says, or why it failed
		sampled  string // in what the model was asked, or "" if it was not
	}{
		"never":  {params: question("x"), want: "error"},
		"denied": {sampling: &mcptool.Sampling{Approve: func(context.Context, *mcptool.SampleRequest) error { return errors.New("secret reason") }}, params: question("x"), want: "denied"},
		"panic":  {sampling: &mcptool.Sampling{Approve: func(context.Context, *mcptool.SampleRequest) error { panic("secret reason") }}, params: question("x"), want: "denied"},
		"reviewed": {sampling: &mcptool.Sampling{Review: func(_ context.Context, _ *mcptool.SampleRequest, a *mcptool.SampleAnswer) error {
			a.Text = "cut"
			a.Cut = true
			return nil
		}}, params: question("x"), want: "maxTokens cut", sampled: "x"},
		"not reviewed": {sampling: &mcptool.Sampling{Review: func(context.Context, *mcptool.SampleRequest, *mcptool.SampleAnswer) error {
			return errors.New("secret")
		}}, params: question("x"), want: "denied", sampled: "x"},
		"altered": {sampling: &mcptool.Sampling{Approve: func(_ context.Context, req *mcptool.SampleRequest) error {
			req.Instructions, req.MaxTokens = "Be kind.", 3
			return nil
		}}, params: question("x"), want: "maxTokens as the model says", sampled: `"instructions":"Be kind."`},
		"tokens":    {sampling: &mcptool.Sampling{MaxTokens: 7}, params: question("x"), want: "as the model says", sampled: `"max_tokens":7`},
		"audio":     {sampling: &mcptool.Sampling{}, params: two("x"), want: "as the model says", sampled: `"input_audio":"d2F2"`},
		"often":     {sampling: &mcptool.Sampling{MaxPerCall: 2}, params: question("x"), times: 3, want: "too often", sampled: "x"},
		"not often": {sampling: &mcptool.Sampling{MaxPerCall: 2}, params: question("x"), times: 2, want: "as the model says", sampled: "x"},
		"tools":     {sampling: &mcptool.Sampling{}, params: withTools, want: "tools"},
		"tool used": {sampling: &mcptool.Sampling{}, params: toolResult, want: "no text, image or audio"},
		"own model": {sampling: &mcptool.Sampling{Model: func(_ context.Context, req *mcptool.SampleRequest) (*mcptool.SampleAnswer, error) {
			return &mcptool.SampleAnswer{Model: "mine", Text: req.Call.Name}, nil
		}}, params: question("x"), want: "mine endTurn test_ask"},
		"broken model": {sampling: &mcptool.Sampling{Model: func(context.Context, *mcptool.SampleRequest) (*mcptool.SampleAnswer, error) {
			return nil, errors.New("secret")
		}}, params: question("x"), want: "gave no answer"},
		"panicking model": {sampling: &mcptool.Sampling{Model: func(context.Context, *mcptool.SampleRequest) (*mcptool.SampleAnswer, error) {
			panic("secret")
		}}, params: question("x"), want: "gave no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
				samples(server, "ask", max(row.times, 1), row.params)
				s.Sampling, s.Logger = row.sampling, slog.New(slog.NewTextHandler(io.Discard, nil))
				var api modelAPI
				told, _ := results(t, api.runner(t, s, "test_ask"))
				if !strings.Contains(strings.ToLower(told[0]), strings.ToLower(row.want)) || strings.Contains(told[0], "secret") {
					t.Errorf("the model of the run is told %q, want %q in it", told[0], row.want)
				}
				switch {
				case row.sampled == "" && api.sampled != nil:
					t.Errorf("the model was asked: %s", api.sampled)
				case row.sampled != "" && (api.sampled == nil || !strings.Contains(api.sampled[0], row.sampled)):
					t.Errorf("the model was asked %s, want %s in it", api.sampled, row.sampled)
				}
			})
		})
	}
}

// Outside of a run there is no model, and between the calls of two runs nobody
// knows whose.
func TestSamplingWithoutARun(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		samples(server, "ask", 1, question("x"))
		s.Sampling = &mcptool.Sampling{}
		if got := toldBy(t, start(t, s)["ask"]); !strings.Contains(got, "no answer") && !strings.Contains(got, "no model") {
			t.Errorf("the call says %q", got)
		}
	})
}

// A server that asks outside of calls is bounded, too, if the program has a
// model for it.
func TestSamplingBetweenCalls(t *testing.T) {
	server := mcp.NewServer(&mcp.Implementation{Name: "asks", Version: "1"}, nil)
	server.AddReceivingMiddleware(refuse("server/discover"))
	addTool(server, "t", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return said(""), nil })
	s := memoryServer(t, server)
	s.Sampling = &mcptool.Sampling{MaxPerCall: 2, Model: func(context.Context, *mcptool.SampleRequest) (*mcptool.SampleAnswer, error) {
		return &mcptool.SampleAnswer{Model: "m", Text: "x"}, nil
	}}
	tool := start(t, s)["t"]
	for range 2 {
		answers := 0
		for ss := range server.Sessions() {
			for range 5 {
				if _, err := ss.CreateMessageWithTools(t.Context(), question("x")); err == nil {
					answers++
				} else if !strings.Contains(err.Error(), "too often") {
					t.Error(err)
				}
			}
		}
		if answers != 2 {
			t.Errorf("%d requests are answered, want 2", answers)
		}
		toldBy(t, tool) // counts anew
	}
}

// The time of the model is time of the call; that of a person is not.
func TestSamplingTime(t *testing.T) {
	for name, row := range map[string]struct {
		sampling *mcptool.Sampling
		late     bool
	}{
		"model": {&mcptool.Sampling{Model: func(ctx context.Context, _ *mcptool.SampleRequest) (*mcptool.SampleAnswer, error) {
			select {
			case <-time.After(5 * time.Minute):
				return &mcptool.SampleAnswer{Model: "slow", Text: "at last"}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}, true},
		"person": {&mcptool.Sampling{
			Approve: func(context.Context, *mcptool.SampleRequest) error { time.Sleep(5 * time.Minute); return nil }, // on the bubble's clock
			Model: func(context.Context, *mcptool.SampleRequest) (*mcptool.SampleAnswer, error) {
				return &mcptool.SampleAnswer{Model: "fast", Text: "at last"}, nil
			},
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, era := range []string{"2025-11-25", "2026-07-28"} {
				synctest.Test(t, func(t *testing.T) {
					server := mcp.NewServer(&mcp.Implementation{Name: "slow", Version: "1"}, nil)
					if era < "2026" {
						server.AddReceivingMiddleware(refuse("server/discover"))
					}
					samples(server, "ask", 1, question("x"))
					s := &mcptool.Server{Name: "test", Dial: mcptool.InMemory(server), Sampling: row.sampling, CallTimeout: time.Minute}
					defer s.Close()
					got := toldBy(t, start(t, s)["ask"])
					if late := strings.Contains(got, "time is up"); late != row.late || !late && !strings.Contains(got, "at last") {
						t.Errorf("%s: the call says %q, want it late: %t", era, got, row.late)
					}
				})
			}
		})
	}
}

func TestRoots(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		addTool(server, "roots", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			var answer *mcp.ListRootsResult
			switch {
			case req.Session.InitializeParams().ProtocolVersion < "2026":
				var err error
				if answer, err = req.Session.ListRoots(ctx, nil); err != nil {
					return nil, err
				}
			case req.Params.InputResponses == nil:
				return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"r": &mcp.ListRootsParams{}}}, nil
			default:
				answer = req.Params.InputResponses["r"].(*mcp.ListRootsResult)
			}
			var all []string
			for _, r := range answer.Roots {
				all = append(all, r.Name+"="+r.URI)
			}
			slices.Sort(all)
			return said(strings.Join(all, " ")), nil
		})
		s.Roots = []mcptool.Root{{URI: "file:///a", Name: "a"}, {URI: "file:///b", Name: "b"}}
		if got := stream(t, s, "test_roots"); got[0] != "result test_roots a=file:///a b=file:///b" {
			t.Errorf("the run says %q", got)
		}
		if err := s.SetRoots([]mcptool.Root{{URI: "file:///b", Name: "new b"}, {URI: "file:///c"}}); err != nil {
			t.Fatal(err)
		}
		if got := toldBy(t, start(t, s)["roots"]); got != "=file:///c new b=file:///b" {
			t.Errorf("after the change: %q", got)
		}
		if err := s.SetRoots([]mcptool.Root{{URI: "https://example.com"}}); err == nil || !strings.Contains(err.Error(), "scheme file") {
			t.Errorf("SetRoots of what is no file: %v", err)
		}
	})
}

// Servers of the versions before 2026-07-28 are told that the roots changed.
func TestRootsChanged(t *testing.T) {
	heard := make(chan int, 8)
	server := mcp.NewServer(&mcp.Implementation{Name: "roots", Version: "1"}, &mcp.ServerOptions{
		RootsListChangedHandler: func(ctx context.Context, req *mcp.RootsListChangedRequest) {
			roots, err := req.Session.ListRoots(ctx, nil)
			if err == nil {
				heard <- len(roots.Roots)
			}
		},
	})
	server.AddReceivingMiddleware(refuse("server/discover"))
	addTool(server, "t", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return said(""), nil })
	s := memoryServer(t, server)
	s.Roots = []mcptool.Root{}
	start(t, s)
	if err := s.SetRoots([]mcptool.Root{{URI: "file:///a"}, {URI: "file:///b"}}); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != 2 {
		t.Errorf("the server finds %d roots, want 2", got)
	}
	if _, err := mcptool.DirRoot("."); err != nil {
		t.Error(err)
	}
}

// No capability is announced that the program has not asked for.
func TestCapabilities(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		addTool(server, "caps", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			caps := req.Session.InitializeParams().Capabilities
			return said(fmt.Sprint(caps.Sampling != nil, caps.RootsV2 != nil, caps.Elicitation != nil)), nil
		})
		if got := toldBy(t, start(t, s)["caps"]); got != "false false false" {
			t.Errorf("capabilities sampling, roots, elicitation = %s, want none", got)
		}
	})
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		addTool(server, "caps", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			caps := req.Session.InitializeParams().Capabilities
			return said(fmt.Sprint(caps.Sampling != nil && caps.Sampling.Tools == nil && caps.Sampling.Context == nil, caps.RootsV2 != nil)), nil
		})
		s.Sampling, s.Roots = &mcptool.Sampling{}, []mcptool.Root{}
		if got := toldBy(t, start(t, s)["caps"]); got != "true true" {
			t.Errorf("capabilities sampling (bare), roots = %s, want both", got)
		}
	})
}

func TestComplete(t *testing.T) {
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		server := mcp.NewServer(&mcp.Implementation{Name: "completes", Version: "1"}, &mcp.ServerOptions{
			CompletionHandler: func(_ context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
				p := req.Params
				known := ""
				if p.Context != nil {
					known = p.Context.Arguments["team"]
				}
				return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{
					Values: []string{p.Ref.Type + " " + p.Ref.Name + p.Ref.URI, p.Argument.Name + "=" + p.Argument.Value, known}, Total: 7, HasMore: true,
				}}, nil
			},
		})
		if era < "2026" {
			server.AddReceivingMiddleware(refuse("server/discover"))
		}
		s := memoryServer(t, server)
		got, err := s.Complete(t.Context(), mcptool.CompletionRef{Prompt: "p"}, "name", "A", map[string]string{"team": "red"})
		want := &mcptool.Completion{Values: []string{"ref/prompt p", "name=A", "red"}, Total: 7, More: true}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: prompt: %v (-want +got):\n%s", era, err, diff)
		}
		got, err = s.Complete(t.Context(), mcptool.CompletionRef{URITemplate: "x:///{id}"}, "id", "", nil)
		if err != nil || got.Values[0] != "ref/resource x:///{id}" {
			t.Errorf("%s: template: %v, %v", era, got, err)
		}
		if _, err := s.Complete(t.Context(), mcptool.CompletionRef{}, "id", "", nil); err == nil {
			t.Error("a reference to nothing is no error")
		}
	}
	long := memoryServer(t, mcp.NewServer(&mcp.Implementation{Name: "long", Version: "1"}, &mcp.ServerOptions{
		CompletionHandler: func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: make([]string, 101)}}, nil
		},
	}))
	got, err := long.Complete(t.Context(), mcptool.CompletionRef{Prompt: "p"}, "a", "", nil)
	if err != nil || len(got.Values) != 100 || !got.More {
		t.Errorf("a server with more values than it may give: %+v, %v", got, err)
	}
	none := memoryServer(t, mcp.NewServer(&mcp.Implementation{Name: "none", Version: "1"}, nil))
	got, err = none.Complete(t.Context(), mcptool.CompletionRef{Prompt: "p"}, "a", "", nil)
	if diff := cmp.Diff(new(mcptool.Completion), got); diff != "" || err != nil {
		t.Errorf("a server without completion: %v (-want +got):\n%s", err, diff)
	}
}

func TestTrace(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		type span struct{}
		var mu sync.Mutex
		seen := map[string]string{}
		server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				if p := req.GetParams(); p != nil {
					meta := p.GetMeta()
					mu.Lock()
					seen[method] = fmt.Sprint(meta["traceparent"], meta["tracestate"], meta["baggage"], meta["other"], meta["tramontane/callKey"])
					mu.Unlock()
				}
				return next(ctx, method, req)
			}
		})
		samples(server, "t", 1, question("x"))
		server.AddResource(&mcp.Resource{URI: "x:a", Name: "a"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: "x:a", Text: "a"}}}, nil
		})
		s.Sampling = &mcptool.Sampling{Model: func(context.Context, *mcptool.SampleRequest) (*mcptool.SampleAnswer, error) {
			return &mcptool.SampleAnswer{Model: "m", Text: "x"}, nil
		}}
		s.Trace = func(ctx context.Context) map[string]string {
			id, _ := ctx.Value(span{}).(string)
			if id == "" {
				return nil
			}
			return map[string]string{"traceparent": id, "baggage": "k=v", "other": "left out", "tracestate": ""}
		}
		ctx := context.WithValue(t.Context(), span{}, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		if _, err := start(t, s)["t"].Call(ctx, &tramontane.Call{Key: "run/1/a"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReadResource(ctx, "x:a"); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		if want := trace + "<nil>k=v<nil>run/1/a"; seen["tools/call"] != want {
			t.Errorf("_meta of the call = %s, want %s", seen["tools/call"], want)
		}
		if want := trace + "<nil>k=v<nil> <nil>"; strings.ReplaceAll(seen["resources/read"], " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("_meta of the read = %s, want %s", seen["resources/read"], want)
		}
		if strings.Contains(seen["tools/list"], trace) {
			t.Errorf("_meta of the list = %s, want none of a call's", seen["tools/list"])
		}
	})
}

// A session that was made in the middle of one call serves the questions of the
// next: in the run of that.
func TestSamplingOfALaterRun(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		samples(server, "ask", 1, question("x"))
		s.Sampling = &mcptool.Sampling{MaxPerCall: 1}
		for range 3 {
			var api modelAPI
			told, _ := results(t, api.runner(t, s, "test_ask"))
			if want := "assistant m endTurn as the model says"; told[0] != want || len(api.sampled) != 1 {
				t.Errorf("the run is told %q, and its model asked %d times; want %q, once", told[0], len(api.sampled), want)
			}
			for ss := range server.Sessions() {
				ss.Close() // the next run's call finds no session
			}
		}
	})
}
