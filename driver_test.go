package tramontane_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

type none struct{}

// callsOf returns the reply that calls each tool once, by its name and with it
// as the id.
func callsOf(tools ...string) string {
	calls := make([]string, len(tools))
	for i, name := range tools {
		calls[i] = call(name, name, "{}")
	}
	return "[" + strings.Join(calls, ",") + "]"
}

// streamOf is callsOf as a stream.
func streamOf(tools ...string) string {
	events := []string{started}
	for i, name := range tools {
		events = append(events, fmt.Sprintf(`{"type":"function.call.delta","output_index":%d,"id":"f%d","name":%q,"tool_call_id":%[3]q,"arguments":"{}"}`, i, i, name))
	}
	return sse(append(events, done)...)
}

func TestMaxParallel(t *testing.T) {
	for _, row := range []struct{ limit, want int }{{1, 1}, {3, 3}, {0, 8}, {-1, 8}} {
		t.Run(fmt.Sprint(row.limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var names []string
				var tools []tramontane.Tool
				var running atomic.Int32
				release := make(chan none)
				for i := range 12 {
					names = append(names, fmt.Sprint("t", i))
					tools = append(tools, tramontane.Func(names[i], "", func(context.Context, none) (string, error) {
						running.Add(1)
						defer running.Add(-1)
						<-release
						return "", nil
					}, nil))
				}
				a := &api{t: t, replies: []string{callsOf(names...), "[" + message("Done.") + "]"}}
				client := &mistral.Client{HTTPClient: &http.Client{Transport: handlerTransport{a}}, BaseURL: "http://127.0.0.1:1"}
				runner := &tramontane.Runner{Client: client, Model: "m", MaxParallel: row.limit, Tools: tools}
				ended := make(chan error)
				go func() {
					_, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
					ended <- err
				}()
				synctest.Wait() // until nothing moves
				if got := int(running.Load()); got != row.want {
					t.Errorf("%d calls at once, want %d", got, row.want)
				}
				close(release)
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Results come in the order of the calls, though the tools end in the opposite
// one.
func TestResultsKeepTheirOrder(t *testing.T) {
	names := []string{"a", "b", "c"}
	a, client := newAPI(t, streamOf(names...), sse(started, `{"type":"message.output.delta","output_index":0,"id":"m","content":"Done."}`, done))
	ended := map[string]chan none{"a": make(chan none), "b": make(chan none), "c": make(chan none)}
	var tools []tramontane.Tool
	for i, name := range names {
		tools = append(tools, tramontane.Func(name, "", func(context.Context, none) (*tramontane.ToolResult, error) {
			if i+1 < len(names) {
				<-ended[names[i+1]]
			}
			defer close(ended[name])
			return tramontane.TextResult("result of " + name), nil
		}, nil))
	}
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: tools}
	var got []string
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := event.(*tramontane.ResultEvent); ok {
			got = append(got, e.Call.ID+": "+e.Entry.Result)
			if e.Result == nil || e.Result.Text() != e.Entry.Result || e.IsError {
				t.Errorf("event of %s = %+v, want what the tool returned", e.Call.ID, e)
			}
		}
	}
	want := []string{"a: result of a", "b: result of b", "c: result of c"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if i, j := strings.Index(a.got[1], want[0][3:]), strings.Index(a.got[1], want[2][3:]); i < 0 || j < i {
		t.Errorf("append = %s, want the results in order", a.got[1])
	}
}

// A result that was kept back by a pending call before it is told when the run
// goes on, and only then.
func TestResultAfterPendingCallIsToldOnce(t *testing.T) {
	_, client := newAPI(t, callsOf("a", "b", "c"), "["+message("Done.")+"]")
	var made sync.Map
	var tools []tramontane.Tool
	for _, name := range []string{"a", "b", "c"} {
		tools = append(tools, tramontane.Func(name, "", func(context.Context, none) (string, error) {
			if _, twice := made.LoadOrStore(name, true); twice {
				t.Errorf("%s was called twice", name)
			}
			return name, nil
		}, nil))
	}
	runner := &tramontane.Runner{
		Client: client, Model: "m", Tools: tools,
		Approve: func(_ context.Context, call *tramontane.Call, _ tramontane.Definition) (tramontane.Decision, error) {
			if call.ID == "b" {
				return tramontane.Later(), nil
			}
			return tramontane.Allow(), nil
		},
	}
	first, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if !errors.Is(err, tramontane.ErrPending) {
		t.Fatal(err)
	}
	second, err := runner.Run(t.Context(), nil, &tramontane.RunOptions{
		Resume:    first.State,
		Decisions: map[string]tramontane.Decision{first.Pending[0].Key: tramontane.Allow()},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range []struct {
		result *tramontane.Result
		want   []string
	}{{first, []string{"a"}}, {second, []string{"b", "c"}}} {
		if diff := cmp.Diff(row.want, results(row.result)); diff != "" {
			t.Errorf("results told by part %d (-want +got):\n%s", i+1, diff)
		}
	}
}

func results(r *tramontane.Result) (texts []string) {
	for _, entry := range r.Entries {
		if e, ok := entry.(*mistral.FunctionResult); ok {
			texts = append(texts, e.Result)
		}
	}
	return texts
}

// What a loop's body does must not leave tools running behind the caller.
func TestStreamBodyDoesNotReturn(t *testing.T) {
	for name, leave := range map[string]func(){
		"panic":  func() { panic("body") },
		"goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			_, client := newAPI(t, streamOf("quick", "slow"))
			running, ended, left := make(chan none), false, false
			runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{
				tramontane.Func("quick", "", func(context.Context, none) (string, error) { <-running; return "", nil }, nil),
				tramontane.Func("slow", "", func(ctx context.Context, _ none) (string, error) {
					close(running)
					<-ctx.Done()
					ended = true
					return "", ctx.Err()
				}, nil),
			}}
			gone := make(chan none)
			go func() {
				defer close(gone)
				defer func() { recover() }()
				for event := range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
					if _, ok := event.(*tramontane.ResultEvent); ok {
						left = true
						leave()
					}
				}
			}()
			<-gone
			if !left || !ended {
				t.Errorf("left the body: %t, its tool ended: %t; want both", left, ended)
			}
		})
	}
}

// A tool or an Approve of a test may call t.FailNow, which ends its goroutine.
func TestGoroutineEndedByTheProgram(t *testing.T) {
	_, client := newAPI(t, callsOf("exit", "fine"), "["+message("Done.")+"]", callsOf("exit", "fine"))
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{
		tramontane.Func("exit", "", func(context.Context, none) (string, error) { runtime.Goexit(); return "", nil }, nil),
		tramontane.Func("fine", "", func(context.Context, none) (string, error) { return "fine", nil }, nil),
	}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := results(result); len(got) != 2 || !strings.Contains(got[0], "not known") || got[1] != "fine" {
		t.Errorf("results = %q, want one of unknown outcome and one fine", got)
	}
	runner.Approve = func(context.Context, *tramontane.Call, tramontane.Definition) (tramontane.Decision, error) {
		runtime.Goexit()
		return tramontane.Allow(), nil
	}
	result, err = runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if !errors.Is(err, tramontane.ErrPending) || len(result.Pending) != 2 {
		t.Errorf("Run = %v with %d pending, want both calls pending", err, len(result.Pending))
	}
}

// broken is a tool whose result cannot be read.
type broken struct{ named }

func (broken) Call(context.Context, *tramontane.Call) (*tramontane.ToolResult, error) {
	return &tramontane.ToolResult{Content: []tramontane.Content{nil}}, nil
}

func TestOddResults(t *testing.T) {
	a, client := newAPI(t, callsOf("broken", "nothing", "lost", "failed"), "["+message("Done.")+"]")
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{
		broken{named{name: "broken"}},
		named{name: "nothing"},
		tramontane.Func("lost", "", func(context.Context, none) (string, error) {
			return "", fmt.Errorf("line cut: %w", tramontane.ErrOutcomeUnknown)
		}, nil),
		tramontane.Func("failed", "", func(context.Context, none) (*tramontane.ToolResult, error) {
			return &tramontane.ToolResult{IsError: true, Content: []tramontane.Content{&tramontane.TextContent{Text: "no"}}}, nil
		}, nil),
	}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := results(result)
	for i, want := range []string{"Error: tool broken panicked", "", "outcome of the call is not known: line cut", "Error: no"} {
		if !strings.Contains(got[i], want) || want == "" && got[i] != "" {
			t.Errorf("result %d = %q, want %q", i, got[i], want)
		}
	}
	if n := strings.Count(a.got[1], `"function.result"`); n != 4 {
		t.Errorf("%d results were sent, want 4", n)
	}
}

// Tools that take no notice of their context are waited for, calls that were
// not made yet are not made, and nobody is asked any more.
func TestCancelWhileCalling(t *testing.T) {
	a, client := newAPI(t, callsOf("deaf", "queued"), "["+message("Done.")+"]")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	runner := &tramontane.Runner{Client: client, Model: "m", MaxParallel: 1, Tools: []tramontane.Tool{
		tramontane.Func("deaf", "", func(context.Context, none) (string, error) {
			cancel(cause)
			return "done all the same", nil
		}, nil),
		tramontane.Func("queued", "", func(context.Context, none) (string, error) {
			cancel(cause)
			return "done all the same", nil
		}, nil),
	}}
	result, err := runner.Run(ctx, tramontane.UserText("Go."), nil)
	if err != cause || result.Reason != tramontane.ReasonCancelled {
		t.Fatalf("Run = %s, %v, want a cancelled run and its cause", result.Reason, err)
	}
	got := results(result)
	slices.Sort(got) // whichever of the two got the slot
	want := []string{"Error: the call was not made: the run was cancelled.", "done all the same"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if _, err := runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: result.State}); err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(a.got[1], w) {
			t.Errorf("append lacks %q: %s", w, a.got[1])
		}
	}
}

func TestCancelWhileAsking(t *testing.T) {
	_, client := newAPI(t, callsOf("a", "b"))
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	runner := &tramontane.Runner{
		Client: client, Model: "m",
		Tools: []tramontane.Tool{named{name: "a"}, named{name: "b"}},
		Approve: func(context.Context, *tramontane.Call, tramontane.Definition) (tramontane.Decision, error) {
			asked++
			cancel()
			return tramontane.Later(), nil
		},
	}
	result, err := runner.Run(ctx, tramontane.UserText("Go."), nil)
	if err != context.Canceled || asked != 1 || len(result.Pending) != 2 {
		t.Errorf("Run = %v, asked %d times, %d pending; want a cancelled run, asked once, both pending", err, asked, len(result.Pending))
	}
}

// A reply that does not name its conversation cannot be gone on with.
func TestReplyWithoutConversation(t *testing.T) {
	_, client := newAPI(t, callsOf("bad"))
	bad := errors.New("bad tool")
	n := 0
	client.HTTPClient = &http.Client{Transport: handlerTransport{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("Content-Type", "application/json")
		id := map[int]string{1: "conv_1"}[n]
		fmt.Fprintf(w, `{"object":"conversation.response","conversation_id":%q,"outputs":%s,"usage":{}}`, id, callsOf("bad"))
	})}}
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{
		tramontane.Func("bad", "", func(context.Context, none) (string, error) { return "", bad }, nil),
	}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if err == nil || !strings.Contains(err.Error(), "does not name its conversation") || errors.Is(err, bad) {
		t.Errorf("err = %v, want one that says what is missing, and wraps no tool's", err)
	}
	if n != 2 || result.ConversationID != "conv_1" {
		t.Errorf("%d requests, conversation %q; want 2, and that of the first", n, result.ConversationID)
	}
}
