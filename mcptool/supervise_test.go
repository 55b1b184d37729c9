package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

// recordEnv names the file in which the server "recorder" notes the method of
// each request that it gets, and the tool of each call.
const recordEnv = "RECORD"

func init() {
	maps.Copy(testServers, map[string]func(){
		// Notes what it is asked. Its tools are what TOOLS says, by default one
		// that answers and one, die, that ends the process in the middle of the
		// call; die_once does so only in its first process, and calls_off answers
		// a first time with a question and dies of the answer.
		"recorder": func() {
			tools := os.Getenv("TOOLS")
			if tools == "" {
				tools = `{"name":"t","inputSchema":{"type":"object"}},{"name":"die","inputSchema":{"type":"object"}}`
			}
			answer := answerAll(map[string]string{"tools/list": `{"tools":[` + tools + `]}`})
			serveRaw(func(method string, params json.RawMessage) string {
				var p struct{ Name string }
				json.Unmarshal(params, &p)
				lives := strings.Count(record(strings.TrimSpace(method+" "+p.Name)), "initialize\n")
				if p.Name == "die" || p.Name == "die_once" && lives == 1 {
					os.Exit(9)
				}
				return answer(method, params)
			})
		},
		// As dies-of-probe, and notes what it is asked.
		"probe-recorder": func() {
			serveRaw(func(method string, params json.RawMessage) string {
				record(method)
				if method == "server/discover" {
					os.Exit(7)
				}
				if strings.Contains(string(params), `"die"`) {
					os.Exit(9)
				}
				return answerAll(map[string]string{"tools/list": `{"tools":[{"name":"die","inputSchema":{"type":"object"}}]}`})(method, params)
			})
		},
		// Notes what it is asked, and answers nothing.
		"mute-recorder": func() {
			serveRaw(func(method string, _ json.RawMessage) string {
				record(method)
				return ""
			})
		},
		// Says that its tools changed while it is asked for them, as often as
		// RESTLESS says.
		"restless": func() {
			times, err := strconv.Atoi(os.Getenv("RESTLESS"))
			if err != nil {
				log.Fatal(err)
			}
			answer := answerAll(nil)
			serveRaw(func(method string, params json.RawMessage) string {
				n := strings.Count(record(method), "tools/list\n")
				if method != "tools/list" {
					return answer(method, params)
				}
				if n <= times {
					fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
				}
				return fmt.Sprintf(`{"tools":[{"name":"t%d","inputSchema":{"type":"object"}}]}`, n)
			})
		},
		// Offers other tools in each life.
		"reborn": func() {
			serveRaw(func(method string, params json.RawMessage) string {
				life := strings.Count(record(method), "initialize\n")
				if strings.Contains(string(params), `"die"`) {
					os.Exit(9)
				}
				return answerAll(map[string]string{"tools/list": fmt.Sprintf(
					`{"tools":[{"name":"die","inputSchema":{"type":"object"}},{"name":"t%d","inputSchema":{"type":"object"}}]}`, life)})(method, params)
			})
		},
		// Of 2026-07-28: asks a question in the middle of a call, and is gone
		// when the answer comes.
		"asks-and-dies": func() {
			serveLines(func(id, method string, params json.RawMessage) string {
				result := `{"resultType":"complete","tools":[{"name":"ask","inputSchema":{"type":"object"}}]}`
				switch method {
				case "server/discover":
					result = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}`
				case "tools/call":
					fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"input_required","requestState":"s","inputRequests":{"q":{"method":"elicitation/create",`+
						`"params":{"message":"Which?","requestedSchema":{"type":"object","properties":{}}}}}}}`+"\n", id)
					os.Exit(5)
				}
				return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
			})
		},
	})
}

// record adds a line to the file that the environment names, and returns the
// whole of it.
func record(line string) string {
	path := os.Getenv(recordEnv)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(f, line)
	f.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// recorded returns a server that notes what it is asked, and how to count the
// notes of one kind.
func recorded(t *testing.T, name string) (s *mcptool.Server, count func(line string) int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "record") // removed after the server has ended, which writes to it
	s = testServer(t, name)
	s.Env[recordEnv] = path
	return s, func(line string) int { return countIn(t, path, line) }
}

func countIn(t *testing.T, path, line string) int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	n := 0
	for got := range strings.Lines(string(data)) {
		if got == line+"\n" {
			n++
		}
	}
	return n
}

// newLog returns what the server logs from now on.
func newLog(s *mcptool.Server) *lockedBuffer {
	log := &lockedBuffer{}
	s.Logger = slog.New(slog.NewTextHandler(log, nil))
	return log
}

// Any number of runs share a server: one process, one handshake, one list.
func TestRunsShareSession(t *testing.T) {
	t.Parallel()
	s, count := recorded(t, "recorder")
	const runs = 100
	var wg sync.WaitGroup
	for range runs {
		wg.Go(func() {
			tools, err := s.Tools(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := tools[0].Call(t.Context(), &tramontane.Call{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := map[string]int{}
	for _, line := range []string{"initialize", "tools/list", "tools/call t"} {
		got[line] = count(line)
	}
	want := map[string]int{"initialize": 1, "tools/list": 1, "tools/call t": runs}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// What was found out about a server is not found out again.
func TestRestartSkipsProbe(t *testing.T) {
	t.Parallel()
	s, count := recorded(t, "probe-recorder")
	tools := start(t, s)
	for range 2 {
		if _, err := tools["die"].call(t.Context(), ""); !errors.Is(err, tramontane.ErrOutcomeUnknown) {
			t.Errorf("error %v, want an unknown outcome", err)
		}
	}
	if probes, sessions := count("server/discover"), count("initialize"); probes != 1 || sessions != 2 {
		t.Errorf("%d probes and %d sessions, want 1 and 2", probes, sessions)
	}
}

// A server that dies again and again neither spins nor blocks.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	s, count := recorded(t, "recorder")
	die := start(t, s)["die"]
	var err error
	began := time.Now()
	for range 50 {
		_, err = die.call(t.Context(), "")
	}
	if err == nil || errors.Is(err, tramontane.ErrOutcomeUnknown) {
		t.Fatalf("error %v, want one of a call that was not sent", err)
	}
	for _, want := range []string{"the request was not sent", "exit status 9", "it is tried again in 1s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the calls took %v", took)
	}
	if n := count("initialize"); n > 6 {
		t.Errorf("the server was started %d times", n)
	}
	if st := s.Status(); st.State != mcptool.Failed || st.Retry.Before(time.Now()) {
		t.Errorf("status %+v, want failed until a time to come", st)
	}
	if err := s.Connect(t.Context()); err != nil {
		t.Errorf("who asks for it by hand has it at once: %v", err)
	}
	if st := s.Status(); st.State != mcptool.Ready || !st.Retry.IsZero() {
		t.Errorf("status %+v, want ready", st)
	}
}

func TestSentAgain(t *testing.T) {
	const schema = `"inputSchema":{"type":"object"}`
	tests := []struct {
		name    string
		tool    string
		trusted bool
		calls   int
		want    string // in the error; none if empty
	}{
		{"may change things", `{"name":"die_once",` + schema + `}`, true, 1, "outcome of the call is unknown"},
		{"read-only", `{"name":"die_once",` + schema + `,"annotations":{"readOnlyHint":true}}`, true, 2, ""},
		{"idempotent", `{"name":"die_once",` + schema + `,"annotations":{"idempotentHint":true}}`, true, 2, ""},
		{"not trusted", `{"name":"die_once",` + schema + `,"annotations":{"readOnlyHint":true}}`, false, 1, "outcome of the call is unknown"},
		{"once at most", `{"name":"die",` + schema + `,"annotations":{"readOnlyHint":true}}`, true, 2, "when it was sent again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, count := recorded(t, "recorder")
			s.Trusted = tt.trusted
			s.Env["TOOLS"] = tt.tool
			for name, tool := range start(t, s) {
				res, err := tool.call(t.Context(), "")
				if tt.want == "" && (err != nil || res.Text() != "called") {
					t.Errorf("result %v, error %v, want the result of the second sending", res, err)
				}
				if tt.want != "" && (!errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				if n := count("tools/call " + name); n != tt.calls {
					t.Errorf("the server was called %d times, want %d", n, tt.calls)
				}
			}
		})
	}
}

// A call whose first round was worked on was sent, though its second was not.
func TestDiesBetweenRounds(t *testing.T) {
	t.Parallel()
	s := testServer(t, "asks-and-dies")
	s.Elicit = func(ctx context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
		eventually(t, "the server is gone", func() bool { return s.Status().State == mcptool.Failed })
		return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}, nil
	}
	_, err := start(t, s)["ask"].call(t.Context(), "")
	if !errors.Is(err, tramontane.ErrOutcomeUnknown) || strings.Contains(err.Error(), "not sent") {
		t.Errorf("error %v, want an unknown outcome", err)
	}
}

func TestHints(t *testing.T) {
	t.Parallel()
	tests := []struct {
		hints string
		want  tramontane.Definition
	}{
		{`{}`, tramontane.Definition{}},
		{`{"readOnlyHint":true,"idempotentHint":true,"destructiveHint":true,"openWorldHint":true}`,
			tramontane.Definition{ReadOnly: true, Idempotent: true}},
		{`{"readOnlyHint":false,"idempotentHint":false,"destructiveHint":false,"openWorldHint":false}`,
			tramontane.Definition{Additive: true, Closed: true}},
	}
	for _, trusted := range []bool{false, true} {
		for _, tt := range tests {
			s, _ := recorded(t, "recorder")
			s.Trusted = trusted
			s.Env["TOOLS"] = `{"name":"t","title":"The T","outputSchema":{"type":"object"},"annotations":` + tt.hints + `}`
			got := start(t, s)["t"].Definition()
			want := tt.want
			want.Name, want.Server, want.Original, want.Title, want.Description = "test_t", "test", "t", "The T", "The T"
			want.Output = json.RawMessage(`{"type":"object"}`)
			want.Trusted = trusted
			want.Safe = trusted && (want.ReadOnly || want.Idempotent)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, trusted: %t (-want +got):\n%s", tt.hints, trusted, diff)
			}
		}
	}
}

// run makes the calls in one run, one after the other, and returns its events
// and the requests that the API got. The model waits for before, if that is not
// nil, with its last answer.
func run(t *testing.T, set tramontane.Toolset, before func(), calls ...string) ([]tramontane.Event, []string, error) {
	t.Helper()
	var requests []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		output := `{"type":"message.output.delta","id":"m","content":"Done."}`
		name := "message.output.delta"
		if len(requests) == len(calls) && before != nil {
			before()
		}
		if n := len(requests); n < len(calls) {
			name = "function.call.delta"
			output = fmt.Sprintf(`{"type":"function.call.delta","id":"f%d","tool_call_id":"c%d","name":%q,"arguments":"{}"}`, n, n, calls[n])
		}
		requests = append(requests, string(body))
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range [][2]string{
			{"conversation.response.started", `{"type":"conversation.response.started","conversation_id":"conv_1"}`},
			{name, output},
			{"conversation.response.done", `{"type":"conversation.response.done","usage":{}}`},
		} {
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e[0], e[1])
		}
	}))
	defer api.Close()
	runner := &tramontane.Runner{
		Client: &mistral.Client{BaseURL: api.URL, HTTPClient: api.Client()}, Model: "m", Toolsets: []tramontane.Toolset{set},
	}
	var events []tramontane.Event
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
		events = append(events, event)
		if err != nil {
			return events, requests, err
		}
	}
	return events, requests, nil
}

// eventsOf returns those of one type.
func eventsOf[T tramontane.Event](events []tramontane.Event) []T {
	var of []T
	for _, e := range events {
		if e, ok := e.(T); ok {
			of = append(of, e)
		}
	}
	return of
}

// A server that dies in a run is there again for the next call, and the run
// learns what has changed.
func TestRunOutlivesServer(t *testing.T) {
	t.Parallel()
	s, count := recorded(t, "reborn")
	log := newLog(s)
	compared := func() {
		eventually(t, "the new list is compared", func() bool { return strings.Contains(log.String(), "tools of an mcp server changed") })
	}
	events, requests, err := run(t, s, compared, "test_t1", "test_die", "test_t1", "test_t1", "test_t1")
	if err != nil {
		t.Fatal(err)
	}
	if len(requests) != 6 || !strings.Contains(requests[2], "outcome of the call is not known") {
		t.Fatalf("%d requests, the third: %s", len(requests), requests[2])
	}
	for _, request := range requests[3:] {
		if !strings.Contains(request, `"called"`) {
			t.Errorf("the call after the death: %s", request)
		}
	}
	var states []string
	for _, e := range eventsOf[*tramontane.ServerEvent](events) {
		states = append(states, e.Server+" "+e.State)
	}
	if diff := cmp.Diff([]string{"test failed", "test ready"}, states); diff != "" {
		t.Errorf("server events (-want +got):\n%s", diff)
	}
	if got := eventsOf[*tramontane.ToolsChangedEvent](events); len(got) != 1 {
		t.Errorf("%d events of changed tools, want 1", len(got))
	}
	if n := count("initialize"); n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
	if st := s.Status(); st.State != mcptool.Degraded || !strings.Contains(st.Err.Error(), "what runs have: t1") {
		t.Errorf("status %+v, want degraded by the tool that is gone", st)
	}
	if tools := start(t, s); tools["t2"].Tool == nil {
		t.Errorf("the next conversation has %v, want t2", tools)
	}
	if st := s.Status(); st.State != mcptool.Ready {
		t.Errorf("status %+v, want ready", st)
	}
	if n := count("tools/list"); n != 2 {
		t.Errorf("the tools were listed %d times, want 2", n)
	}
}

// A run learns that the tools changed.
func TestToolsChangedEvent(t *testing.T) {
	t.Parallel()
	events, _, err := run(t, testServer(t, "changing"), nil, "test_t1", "test_t1")
	if err != nil {
		t.Fatal(err)
	}
	got := eventsOf[*tramontane.ToolsChangedEvent](events)
	if len(got) != 1 || got[0].Server != "test" {
		t.Errorf("events of changed tools: %v, want one", got)
	}
}

func TestFieldsThatDoNotFit(t *testing.T) {
	t.Parallel()
	dial := mcptool.InMemory(goodServer(0))
	tests := []struct {
		server mcptool.Server
		want   string
	}{
		{mcptool.Server{Command: "x"}, "a server needs a Name"},
		{mcptool.Server{Name: "s"}, "it needs a Command, a URL or Dial"},
		{mcptool.Server{Name: "s", Command: "x", URL: "http://x"}, "it has Command and URL: set one of them"},
		{mcptool.Server{Name: "s", Command: "x", Dial: dial}, "it has Command and Dial: set one of them"},
		{mcptool.Server{Name: "s", URL: "http://x", Args: []string{"a"}, Env: map[string]string{}}, "it has URL: leave Args and Env to servers with a Command"},
		{mcptool.Server{Name: "s", Dial: dial, Header: http.Header{}}, "it has Dial: leave Header to servers with a URL"},
		{mcptool.Server{Name: "s", Command: "x", Transport: mcptool.SSE}, "it has Command: leave Transport to servers with a URL"},
		{mcptool.Server{Name: "s", URL: "http://x", Transport: "carrier pigeon"}, `Transport "carrier pigeon" is none: it is "http", "sse" or empty`},
		{mcptool.Server{Name: "s", URL: "ftp://me:secret@x"}, "URL is not one of https or http"},
	}
	for i := range tests {
		tt := &tests[i]
		for _, need := range []mcptool.Need{mcptool.Required, mcptool.Optional, mcptool.Lazy} {
			tt.server.Need = need
			_, err := tt.server.Tools(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("need %d: error %v, want %q", need, err, tt.want)
			}
		}
		if err := tt.server.Close(); err != nil {
			t.Error(err)
		}
	}
}
