package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

const (
	legacy = "2025-11-25"
	modern = "2026-07-28"

	withTasks = `"tools":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}`
)

// jobs are what a server works on. Each is in the next of its states each time
// that it is asked for; the last one stays.
type jobs struct {
	era    string
	states []string // members of a task's status
	result string   // of tasks/result, in 2025-11-25

	mu    sync.Mutex // guards the fields below
	next  int
	begun int
	asked []time.Time // times of tasks/get
}

var unknownTask = &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "Failed to retrieve task: Task not found"}

func (j *jobs) answer(_ *rawConn, method string, _ json.RawMessage) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch method {
	case "tools/call":
		j.begun++
		if j.era == legacy {
			return `{"task":{"taskId":"t-1",` + j.states[0] + `}}`, nil
		}
		return `{"resultType":"task","taskId":"t-1",` + j.states[0] + `}`, nil
	case "tasks/get":
		j.asked = append(j.asked, time.Now())
		if j.next < len(j.states)-1 {
			j.next++
		}
		return `{"resultType":"complete","taskId":"t-1",` + j.states[j.next] + `}`, nil
	case "tasks/result":
		return j.result, nil
	case "tasks/cancel", "tasks/update":
		return `{"resultType":"complete"}`, nil
	}
	return "", unknownTask
}

func (j *jobs) server() *rawServer {
	return &rawServer{version: j.era, caps: withTasks, tools: rawTool("build", `,"execution":{"taskSupport":"required"}`), answer: j.answer}
}

const built = `{"content":[{"type":"text","text":"built"}],"structuredContent":{"files":3}}`

// states of a task that takes a while, in the words of both eras.
func slowly(era string) []string {
	end := `"status":"completed"`
	if era == modern {
		end += `,"result":` + built
	}
	return []string{
		`"status":"working","statusMessage":"Compiling.","pollInterval":2000,"pollIntervalMs":2000`,
		`"status":"working","statusMessage":"Compiling.","pollInterval":5000,"pollIntervalMs":5000`,
		`"status":"working","statusMessage":"Linking.","pollInterval":5000,"pollIntervalMs":5000`,
		end,
	}
}

func inEras(t *testing.T, test func(t *testing.T, era string)) {
	for _, era := range []string{legacy, modern} {
		t.Run(era, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, era) })
		})
	}
}

func TestTask(t *testing.T) {
	inEras(t, func(t *testing.T, era string) {
		j := &jobs{era: era, states: slowly(era), result: built}
		server := j.server()
		s := server.serve(t)
		defer s.Close()
		result, err := start(t, s)["build"].call(t.Context(), "")
		if err != nil || result.IsError || !strings.Contains(result.Text(), "built") || string(result.Structured) != `{"files":3}` {
			t.Fatalf("result %+v, %v", result, err)
		}
		var waits []time.Duration
		for i := range j.asked[1:] {
			waits = append(waits, j.asked[i+1].Sub(j.asked[i]))
		}
		if diff := cmp.Diff([]time.Duration{5 * time.Second, 5 * time.Second}, waits); diff != "" {
			t.Errorf("time between questions (-want +got):\n%s", diff)
		}
		call := server.got("tools/call")
		if len(call) != 1 {
			t.Fatalf("%d calls, want 1", len(call))
		}
		want := map[string]string{legacy: `{"ttl":86400000}`}[era]
		if got := member(t, call[0], "task"); got != want {
			t.Errorf("the call asks for task %s, want %q", got, want)
		}
		if era == modern && !strings.Contains(call[0], `"io.modelcontextprotocol/tasks":{}`) {
			t.Errorf("the call does not say that tasks are understood: %s", call[0])
		}
		for _, params := range server.got("tasks/get") {
			if got := member(t, params, "taskId"); got != `"t-1"` {
				t.Errorf("tasks/get of %s", got)
			}
		}
	})
}

// When a server does not say how often it wants to be asked, it is asked more
// and more seldom.
func TestTaskWithoutInterval(t *testing.T) {
	inEras(t, func(t *testing.T, era string) {
		j := &jobs{era: era, states: slices.Concat(slices.Repeat([]string{`"status":"working"`}, 40), slowly(era)[3:]), result: built}
		s := j.server().serve(t)
		defer s.Close()
		began := time.Now()
		if got := toldBy(t, start(t, s)["build"]); !strings.Contains(got, "built") {
			t.Errorf("the call says %q", got)
		}
		if took := time.Since(began); took < 10*time.Minute || took > 30*time.Minute {
			t.Errorf("40 questions took %v, want about twenty minutes", took)
		}
	})
}

func TestTaskInARun(t *testing.T) {
	inEras(t, func(t *testing.T, era string) {
		j := &jobs{era: era, states: slowly(era), result: built}
		s := j.server().serve(t)
		defer s.Close()
		run := newPlayed(t, "test_build")
		run.runner.Toolsets = []tramontane.Toolset{s}
		var got []string
		for event, err := range run.runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
			if err != nil {
				t.Fatal(err)
			}
			switch e := event.(type) {
			case *tramontane.KeptEvent:
				got = append(got, "kept "+string(e.Call.Handle))
			case *tramontane.ProgressEvent:
				got = append(got, fmt.Sprint("progress ", e.Progress, " ", e.Message))
			case *tramontane.ResultEvent:
				got = append(got, "result")
			}
		}
		want := []string{`kept {"server":"test","task":"t-1"}`, "progress 1 Compiling.", "progress 2 Linking.", "result"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// A run is cancelled while a task goes on; another program resumes it, and then
// dies; a third one has the result. The tool was called once.
func TestTaskOutlivesRuns(t *testing.T) {
	inEras(t, func(t *testing.T, era string) {
		states := slices.Concat(slices.Repeat(slowly(era)[1:2], 100), slowly(era)[3:])
		j := &jobs{era: era, states: states, result: built}
		server := j.server()
		run := newPlayed(t, "test_build")
		var state *tramontane.State
		for n := range 2 {
			s := server.serve(t)
			run.runner.Toolsets = []tramontane.Toolset{s}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			var input = tramontane.UserText("Go.")
			var opts *tramontane.RunOptions
			if n > 0 {
				input, opts = nil, &tramontane.RunOptions{Resume: state}
			}
			result, err := run.runner.Run(ctx, input, opts)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || len(result.Kept) != 1 {
				t.Fatalf("run %d: %v, kept %+v", n, err, result.Kept)
			}
			s.Close()
			data, err := json.Marshal(result.State)
			if err != nil {
				t.Fatal(err)
			}
			state = new(tramontane.State)
			if err := json.Unmarshal(data, state); err != nil {
				t.Fatal(err)
			}
		}
		s := server.serve(t)
		defer s.Close()
		run.runner.Toolsets = []tramontane.Toolset{s}
		result, err := run.runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: state})
		if err != nil || result.Text != "Done." || j.begun != 1 {
			t.Errorf("run = %+v, %v; %d tasks, want 1", result, err, j.begun)
		}
		if got := run.results(); len(got) != 1 || !strings.Contains(got[0], "built") {
			t.Errorf("the model was told %q", got)
		}
		if got := server.got("tasks/cancel"); len(got) != 0 {
			t.Errorf("the task was cancelled")
		}
	})
}

// Sessions end, and the server cannot be had for a while; the task goes on.
func TestTaskOutlivesSessions(t *testing.T) {
	inEras(t, func(t *testing.T, era string) {
		j := &jobs{era: era, states: slices.Concat(slices.Repeat(slowly(era)[1:2], 10), slowly(era)[3:]), result: built}
		server := j.server()
		gets := 0
		server.answer = func(c *rawConn, method string, params json.RawMessage) (string, error) {
			switch method {
			case "tasks/get":
				if gets++; gets%3 == 0 {
					return "", errors.New("the session ends")
				}
				if gets%4 == 0 {
					return "", &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "not now"}
				}
			case "tasks/result":
				if gets++; gets < 20 {
					gets = 20
					return "", errors.New("the session ends")
				}
			}
			return j.answer(c, method, params)
		}
		s := server.serve(t)
		defer s.Close()
		if got := toldBy(t, start(t, s)["build"]); !strings.Contains(got, "built") || j.begun != 1 {
			t.Errorf("the call says %q, after %d tasks", got, j.begun)
		}
	})
}

func TestTaskFails(t *testing.T) {
	working := `"status":"working","pollInterval":1000,"pollIntervalMs":1000`
	hourly := `"status":"working","pollInterval":3600000,"pollIntervalMs":3600000`
	for _, row := range []struct {
		name, era string
		states    []string
		answer    func(method string) (string, error) // nil, nil: as jobs do
		want      string
		unknown   bool
		cancelled bool
	}{
		{name: "cancelled", era: legacy, states: []string{working, `"status":"cancelled","statusMessage":"by hand"`}, want: "its task t-1 was cancelled: by hand"},
		{name: "cancelled", era: modern, states: []string{working, `"status":"cancelled"`}, want: "its task t-1 was cancelled"},
		{name: "failed", era: legacy, states: []string{working, `"status":"failed","statusMessage":"no disk"`},
			answer: func(method string) (string, error) {
				if method == "tasks/result" {
					return "", &jsonrpc.Error{Code: -32603, Message: "disk full"}
				}
				return "", nil
			}, want: "its task t-1 failed: no disk: the server answered with error -32603: disk full"},
		{name: "failed", era: modern, states: []string{working, `"status":"failed","error":{"code":-32603,"message":"disk full"}`},
			want: "its task t-1 failed: error -32603: disk full"},
		{name: "result expired", era: legacy, states: []string{working, `"status":"completed"`},
			answer: func(method string) (string, error) {
				if method == "tasks/result" {
					return "", unknownTask
				}
				return "", nil
			}, want: "its task t-1 is completed, and its result cannot be had", unknown: true},
		{name: "without a result", era: modern, states: []string{working, `"status":"completed"`}, want: "has no result", unknown: true},
		{name: "forgotten", era: legacy, answer: func(method string) (string, error) {
			if method == "tasks/get" {
				return "", unknownTask
			}
			return "", nil
		}, states: []string{working}, want: "does not know its task t-1 any more", unknown: true},
		{name: "no answer", era: modern, answer: func(method string) (string, error) {
			if method == "tasks/get" {
				return "", &jsonrpc.Error{Code: -32603, Message: "not now"}
			}
			return "", nil
		}, states: []string{working}, want: "nothing was heard of its task t-1 for 2m0s", unknown: true},
		{name: "too long", era: legacy, states: []string{hourly}, want: "did not end within MaxTaskTime, and was cancelled", unknown: true, cancelled: true},
		{name: "too long", era: modern, states: []string{hourly}, want: "did not end within MaxTaskTime, and was cancelled", unknown: true, cancelled: true},
		{name: "asks in vain", era: modern, states: []string{`"status":"input_required","inputRequests":{` + asking("q", "Sure?") + `}`},
			want: "does not support elicitation; its task t-1 was cancelled", unknown: true, cancelled: true},
	} {
		t.Run(row.name+" "+row.era, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &jobs{era: row.era, states: row.states}
				server := j.server()
				server.answer = func(c *rawConn, method string, params json.RawMessage) (string, error) {
					if row.answer != nil {
						if result, err := row.answer(method); result != "" || err != nil {
							return result, err
						}
					}
					return j.answer(c, method, params)
				}
				s := server.serve(t)
				defer s.Close()
				_, err := start(t, s)["build"].call(t.Context(), "")
				if err == nil || !strings.Contains(err.Error(), row.want) {
					t.Errorf("error %v, want %q", err, row.want)
				}
				if got := errors.Is(err, tramontane.ErrOutcomeUnknown); got != row.unknown {
					t.Errorf("error %v is of unknown outcome: %t, want %t", err, got, row.unknown)
				}
				if got := len(server.got("tasks/cancel")); (got == 1) != row.cancelled {
					t.Errorf("the task was cancelled %d times", got)
				}
				if j.begun != 1 {
					t.Errorf("%d tasks, want 1", j.begun)
				}
			})
		})
	}
}

// Nobody can come back to the task of a call that is in no run.
func TestTaskOfNoRunIsCancelled(t *testing.T) {
	inEras(t, func(t *testing.T, era string) {
		j := &jobs{era: era, states: slowly(era)[:1]}
		server := j.server()
		s := server.serve(t)
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := start(t, s)["build"].call(ctx, "")
		if !errors.Is(err, context.DeadlineExceeded) || len(server.got("tasks/cancel")) != 1 {
			t.Errorf("error %v, %d requests to cancel, want 1", err, len(server.got("tasks/cancel")))
		}
	})
}

func TestCancelTask(t *testing.T) {
	inEras(t, func(t *testing.T, era string) {
		j := &jobs{era: era, states: slowly(era)[:1]}
		server := j.server()
		s := server.serve(t)
		defer s.Close()
		run := newPlayed(t, "test_build")
		run.runner.Toolsets = []tramontane.Toolset{s}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		result, err := run.runner.Run(ctx, tramontane.UserText("Go."), nil)
		if len(result.Kept) != 1 || len(server.got("tasks/cancel")) != 0 {
			t.Fatalf("run: %v, kept %+v, cancelled %v", err, result.Kept, server.got("tasks/cancel"))
		}
		if err := s.CancelTask(t.Context(), &result.Kept[0]); err != nil {
			t.Fatal(err)
		}
		if got := server.got("tasks/cancel"); len(got) != 1 || member(t, got[0], "taskId") != `"t-1"` {
			t.Errorf("cancelled %v, want t-1", got)
		}
		for _, handle := range []string{``, `{}`, `{"server":"other","task":"t-1"}`} {
			if err := s.CancelTask(t.Context(), &tramontane.Call{Handle: json.RawMessage(handle)}); err == nil {
				t.Errorf("CancelTask of handle %q: no error", handle)
			}
		}
	})
}

// What a server says by itself shortens the wait.
func TestTaskNotice(t *testing.T) {
	for era, notice := range map[string]string{legacy: "notifications/tasks/status", modern: "notifications/tasks"} {
		t.Run(era, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := slowly(era)[3]
				j := &jobs{era: era, states: []string{`"status":"working","pollInterval":3000000,"pollIntervalMs":3000000`, end}, result: built}
				server := j.server()
				server.answer = func(c *rawConn, method string, params json.RawMessage) (string, error) {
					if method == "tools/call" {
						time.AfterFunc(10*time.Second, func() {
							c.notify(notice, `{"taskId":"other",`+end+`}`)
							c.notify(notice, `{"taskId":"t-1",`+end+`}`)
						})
					}
					return j.answer(c, method, params)
				}
				s := server.serve(t)
				defer s.Close()
				began := time.Now()
				if got := toldBy(t, start(t, s)["build"]); !strings.Contains(got, "built") {
					t.Errorf("the call says %q", got)
				}
				if took := time.Since(began); took != 10*time.Second {
					t.Errorf("the call took %v, want 10s", took)
				}
			})
		})
	}
}

// A task of 2025-11-25 asks while its result is waited for, and goes on then.
func TestTaskAsksLegacy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		status := map[string]string{}
		answered := make(chan json.RawMessage, 2)
		release := make(chan bool)
		server := &rawServer{version: legacy, caps: withTasks, tools: rawTool("build", `,"execution":{"taskSupport":"required"}`)}
		server.answer = func(c *rawConn, method string, params json.RawMessage) (string, error) {
			id := strings.Trim(member(t, string(params), "taskId"), `"`)
			mu.Lock()
			defer mu.Unlock()
			switch method {
			case "tools/call":
				id = "t-" + strings.Trim(member(t, member(t, string(params), "arguments"), "file"), `"`)
				status[id] = "input_required"
				return `{"task":{"taskId":"` + id + `","status":"working","pollInterval":1000}}`, nil
			case "tasks/get":
				return `{"taskId":"` + id + `","status":"` + status[id] + `","pollInterval":1000}`, nil
			case "tasks/result":
				mu.Unlock()
				answered <- c.ask(t, "elicitation/create", `{"message":"Of `+id+`?","requestedSchema":{"type":"object","properties":{}},
					"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"`+id+`"}}}`)
				mu.Lock()
				status[id] = "working"
				mu.Unlock()
				<-release // hours later
				mu.Lock()
				status[id] = "completed"
				return built, nil
			}
			return "", unknownTask
		}
		s := server.serve(t)
		defer s.Close()
		s.Elicit = func(_ context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			if q.Call == nil || !strings.Contains(string(q.Call.Arguments), strings.TrimSuffix(strings.TrimPrefix(q.Message, "Of t-"), "?")) {
				t.Errorf("question %q is in call %+v", q.Message, q.Call)
			}
			time.Sleep(5 * time.Minute) // on the test's clock: a person thinks
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}, nil
		}
		s.MaxTaskTime = 6 * time.Hour
		build := start(t, s)["build"]
		var calls sync.WaitGroup
		for _, file := range []string{"a", "b"} {
			calls.Go(func() {
				if result, err := build.call(t.Context(), file); err != nil || !strings.Contains(result.Text(), "built") {
					t.Errorf("%s: %+v, %v", file, result, err)
				}
			})
		}
		for range 2 {
			if got := string(<-answered); !strings.Contains(got, `"accept"`) || !strings.Contains(got, `"io.modelcontextprotocol/related-task":{"taskId":"t-`) {
				t.Errorf("the server was told %s", got)
			}
		}
		time.Sleep(3 * time.Hour)
		close(release)
		calls.Wait()
		if got := len(server.got("tasks/result")); got != 2 {
			t.Errorf("%d requests for results, want 2", got)
		}
	})
}

// A task of 2026-07-28 has its questions in its status, which may name one still
// that was answered.
func TestTaskAsksModern(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waiting := func(questions string) string {
			return `"status":"input_required","pollIntervalMs":1000,"inputRequests":{` + questions + `}`
		}
		first, second := asking("a", "one"), asking("b", "two")
		j := &jobs{era: modern, states: []string{
			`"status":"working"`, waiting(first), waiting(first), waiting(first + "," + second), waiting(first + "," + second), slowly(modern)[3],
		}}
		server := j.server()
		s := server.serve(t)
		var asked []string
		s.Elicit = func(_ context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			if q.Call == nil {
				t.Errorf("question %q is in no call", q.Message)
			}
			asked = append(asked, q.Message)
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitDecline}, nil
		}
		defer s.Close()
		run := newPlayed(t, "test_build")
		run.runner.Toolsets = []tramontane.Toolset{s}
		var handles []string
		for event, err := range run.runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := event.(*tramontane.KeptEvent); ok {
				handles = append(handles, string(e.Call.Handle))
			}
		}
		if diff := cmp.Diff([]string{"one", "two"}, asked); diff != "" {
			t.Errorf("questions (-want +got):\n%s", diff)
		}
		want := []string{
			`{"server":"test","task":"t-1"}`, `{"server":"test","task":"t-1","answered":["a"]}`, `{"server":"test","task":"t-1","answered":["a","b"]}`,
		}
		if diff := cmp.Diff(want, handles); diff != "" {
			t.Errorf("handles (-want +got):\n%s", diff)
		}
		var answers []string
		for _, params := range server.got("tasks/update") {
			answers = append(answers, member(t, params, "taskId")+member(t, params, "inputResponses"))
		}
		if diff := cmp.Diff([]string{`"t-1"{"a":{"action":"decline"}}`, `"t-1"{"b":{"action":"decline"}}`}, answers); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

// A tool is called as a task only where the specification and the program say so.
func TestWhoAsksForTasks(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		era, caps, support string
		prefer, want       bool
	}{
		{legacy, withTasks, "required", false, true},
		{legacy, withTasks, "optional", false, false},
		{legacy, withTasks, "optional", true, true},
		{legacy, withTasks, "forbidden", true, false},
		{legacy, withTasks, "", true, false},
		{legacy, `"tools":{}`, "required", true, false},
		{legacy, `"tools":{},"tasks":{"requests":{}}`, "required", true, false},
		{"2025-06-18", `"tools":{}`, "optional", true, false},
		{modern, withTasks, "required", true, false},
	} {
		more := ""
		if row.support != "" {
			more = fmt.Sprintf(`,"execution":{"taskSupport":%q}`, row.support)
		}
		server := &rawServer{version: row.era, caps: row.caps, tools: rawTool("work", more),
			answer: func(*rawConn, string, json.RawMessage) (string, error) { return `{"content":[]}`, nil }}
		s := server.serve(t)
		s.PreferTasks = row.prefer
		if _, err := start(t, s)["work"].call(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if got := member(t, server.got("tools/call")[0], "task") != ""; got != row.want {
			t.Errorf("%+v: called as a task: %t", row, got)
		}
	}
}

// A played is a run of a model that calls one tool and then says "Done.", whose
// API needs no network, for tests on a clock of their own.
type played struct {
	runner *tramontane.Runner

	tool   string
	mu     sync.Mutex // guards the field below
	bodies []string
}

func newPlayed(t *testing.T, tool string) *played {
	p := &played{tool: tool}
	p.runner = &tramontane.Runner{
		Client: &mistral.Client{BaseURL: "http://api.test", APIKey: "none", HTTPClient: &http.Client{Transport: p}},
		Model:  "m",
	}
	return p
}

// RoundTrip implements http.RoundTripper.
func (p *played) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies = append(p.bodies, string(body))
	call := len(p.bodies) == 1
	w := httptest.NewRecorder()
	if !strings.Contains(string(body), `"stream":true`) {
		output := `{"type":"message.output","content":"Done."}`
		if call {
			output = fmt.Sprintf(`{"type":"function.call","tool_call_id":"a","name":%q,"arguments":"{}"}`, p.tool)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object":"conversation.response","conversation_id":"conv_1","outputs":[%s],"usage":{}}`, output)
		return w.Result(), nil
	}
	w.Header().Set("Content-Type", "text/event-stream")
	event := func(kind, rest string) {
		fmt.Fprintf(w, "event: %s\ndata: {\"type\":%q%s}\n\n", kind, kind, rest)
	}
	event("conversation.response.started", `,"conversation_id":"conv_1"`)
	if call {
		event("function.call.delta", fmt.Sprintf(`,"output_index":0,"id":"f","name":%q,"tool_call_id":"a","arguments":"{}"`, p.tool))
	} else {
		event("message.output.delta", `,"output_index":0,"id":"m","content":"Done."`)
	}
	event("conversation.response.done", `,"usage":{}`)
	return w.Result(), nil
}

// results are those that the model was told, each request's in one.
func (p *played) results() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, body := range p.bodies {
		if strings.Contains(body, `"function.result"`) {
			all = append(all, body)
		}
	}
	return all
}

// A server decides how often it is asked only within bounds: one whose
// tasks/result fails at once while the task waits for input, and one that sends
// a notice with each answer, are not asked without a pause.
func TestTaskIsNotAskedWithoutAPause(t *testing.T) {
	const most = 500
	for name, row := range map[string]struct {
		state  string
		notice bool
		want   time.Duration // between two questions, at least
	}{
		"failing tasks/result": {`"status":"input_required","pollInterval":1000`, false, 400 * time.Millisecond},
		"notices":              {`"status":"working","pollInterval":60000`, true, 20 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &jobs{era: legacy, states: slices.Repeat([]string{row.state}, most), result: built}
				j.states = append(j.states, `"status":"completed"`)
				server := j.server()
				server.answer = func(c *rawConn, method string, params json.RawMessage) (string, error) {
					j.mu.Lock()
					over := j.next == most
					j.mu.Unlock()
					switch {
					case method == "tasks/result" && !over:
						return "", &jsonrpc.Error{Code: -32603, Message: "not now"}
					case method == "tasks/get" && row.notice:
						c.notify("notifications/tasks/status", `{"taskId":"t-1",`+row.state+`}`)
					}
					return j.answer(c, method, params)
				}
				s := server.serve(t)
				defer s.Close()
				if got := toldBy(t, start(t, s)["build"]); !strings.Contains(got, "built") {
					t.Errorf("the call says %q", got)
				}
				if took := j.asked[most-1].Sub(j.asked[0]); took < (most-1)*row.want {
					t.Errorf("%d questions in %v, want at least %v between two", most, took, row.want)
				}
			})
		})
	}
}

// A call does not wait for the next question about its task when the server is
// closed.
func TestCloseEndsTheWaitForATask(t *testing.T) {
	inEras(t, func(t *testing.T, era string) {
		j := &jobs{era: era, states: []string{`"status":"working","pollInterval":3600000,"pollIntervalMs":3600000`}}
		s := j.server().serve(t)
		build := start(t, s)["build"]
		time.AfterFunc(time.Minute, func() { s.Close() })
		began := time.Now()
		_, err := build.call(t.Context(), "")
		if took := time.Since(began); !errors.Is(err, tramontane.ErrOutcomeUnknown) || took > 2*time.Minute {
			t.Errorf("after %v: %v, want an unknown outcome when the server is closed", took, err)
		}
	})
}
