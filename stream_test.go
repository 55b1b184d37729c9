package tramontane_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// sse writes events as a stream.
func sse(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		kind := strings.Split(e, `"`)[3] // {"type":"kind",...
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", kind, e)
	}
	return b.String()
}

const (
	started = `{"type":"conversation.response.started","conversation_id":"conv_1"}`
	done    = `{"type":"conversation.response.done","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`
)

func TestStream(t *testing.T) {
	_, client := newAPI(t,
		sse(started,
			`{"type":"message.output.delta","output_index":0,"id":"m0","content":"Let me "}`,
			`{"type":"message.output.delta","output_index":0,"id":"m0","content":"see."}`,
			`{"type":"function.call.delta","output_index":1,"id":"f1","name":"locate","tool_call_id":"a","arguments":"{\"name\":"}`,
			`{"type":"function.call.delta","output_index":2,"id":"f2","name":"locate","tool_call_id":"b","arguments":"{\"name\":\"Ann\"}"}`,
			`{"type":"function.call.delta","output_index":1,"id":"f1","name":"locate","tool_call_id":"a","arguments":"\"Bob\"}"}`,
			done),
		sse(started,
			`{"type":"message.output.delta","output_index":0,"id":"m1","content":{"type":"thinking","thinking":[{"type":"text","text":"a"}],"closed":false}}`,
			`{"type":"message.output.delta","output_index":0,"id":"m1","content":{"type":"thinking","thinking":[{"type":"text","text":"b"}]}}`,
			`{"type":"message.output.delta","output_index":0,"id":"m1","content_index":1,"content":"There."}`,
			`{"type":"event.of.tomorrow","x":1}`,
			`{"type":"tool.execution.started","output_index":1,"id":"t","name":"web_search","arguments":"{"}`,
			`{"type":"tool.execution.delta","output_index":1,"id":"t","name":"web_search","arguments":"}"}`,
			`{"type":"tool.execution.done","output_index":1,"id":"t","name":"web_search","info":{"n":1}}`,
			`{"type":"agent.handoff.started","output_index":2,"id":"h","previous_agent_id":"p","previous_agent_name":"P"}`,
			`{"type":"agent.handoff.done","output_index":2,"id":"h","next_agent_id":"n","next_agent_name":"N"}`,
			done))
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{tramontane.Func("locate", "", locate, nil)}}
	var got []string
	var result *tramontane.Result
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Where?"), nil) {
		if err != nil {
			t.Fatal(err)
		}
		switch e := event.(type) {
		case *tramontane.ReplyEvent:
			got = append(got, strings.TrimPrefix(fmt.Sprintf("%T", e.Event), "*mistral."))
		case *tramontane.ResultEvent:
			got = append(got, "result "+e.Call.ID+" "+e.Entry.Result)
		case *tramontane.DoneEvent:
			got = append(got, "done")
			result = e.Result
		}
	}
	want := []string{
		"ResponseStarted", "MessageOutputDelta", "MessageOutputDelta",
		"FunctionCallDelta", "FunctionCallDelta", "FunctionCallDelta", "ResponseDone",
		"result a Bob's town", "result b Ann's town",
		"ResponseStarted", "MessageOutputDelta", "MessageOutputDelta", "MessageOutputDelta",
		"UnknownEvent", "ToolExecutionStarted", "ToolExecutionDelta", "ToolExecutionDone",
		"AgentHandoffStarted", "AgentHandoffDone", "ResponseDone", "done",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	entries, err := (mistral.Inputs{Entries: result.Entries[5:]}).AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	wantEntries := `[{"object":"entry","type":"message.output","id":"m1","role":"","content":[{"type":"thinking","thinking":[{"type":"text","text":"ab"}]},{"type":"text","text":"There."}]},` +
		`{"object":"entry","type":"tool.execution","id":"t","name":"web_search","arguments":"{}","info":{"n":1}},` +
		`{"object":"entry","type":"agent.handoff","id":"h","previous_agent_id":"p","previous_agent_name":"P","next_agent_id":"n","next_agent_name":"N"}]`
	if string(entries) != wantEntries {
		t.Errorf("entries of the second reply:\n got %s\nwant %s", entries, wantEntries)
	}
	if result.Text != "There." || result.Usage.TotalTokens != 6 || result.ConversationID != "conv_1" {
		t.Errorf("result = %q, %+v, %s", result.Text, result.Usage, result.ConversationID)
	}
}

func TestStreamBreak(t *testing.T) {
	_, client := newAPI(t, sse(started, `{"type":"function.call.delta","output_index":0,"id":"f","name":"wait","tool_call_id":"a","arguments":"{}"}`, done))
	running := make(chan struct{})
	ended := false
	wait := tramontane.Func("wait", "", func(ctx context.Context, _ struct{}) (string, error) {
		close(running)
		<-ctx.Done()
		ended = true
		return "", ctx.Err()
	}, nil)
	other := tramontane.Func("other", "", func(context.Context, struct{}) (string, error) { return "", nil }, nil)
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{wait, other}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-running; cancel() }()
	for event, err := range runner.Stream(ctx, tramontane.UserText("Go."), nil) {
		if e, ok := event.(*tramontane.DoneEvent); ok {
			if err != context.Canceled || e.Result.Reason != tramontane.ReasonCancelled {
				t.Errorf("done with %v, %s, want a cancelled run", err, e.Result.Reason)
			}
		}
	}
	if !ended {
		t.Error("the run ended before its tool did")
	}
	_, runner.Client = newAPI(t, sse(started, `{"type":"message.output.delta","output_index":0,"id":"m","content":"a"}`, done))
	for range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
		break // the leak check sees a connection or a goroutine that stays
	}
}

func TestStreamMalformedArguments(t *testing.T) {
	_, client := newAPI(t,
		sse(started, `{"type":"function.call.delta","output_index":0,"id":"f","name":"locate","tool_call_id":"a","arguments":"{\"name\": Bob}"}`, done),
		sse(started, `{"type":"message.output.delta","output_index":0,"id":"m","content":"Sorry."}`, done))
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{tramontane.Func("locate", "", locate, nil)}}
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Where?"), nil) {
		if err != nil {
			t.Fatal(err)
		}
		e, ok := event.(*tramontane.ResultEvent)
		if !ok {
			continue
		}
		if got, want := string(e.Call.Arguments), `"{\"name\": Bob}"`; got != want || !e.IsError {
			t.Errorf("arguments = %s, error %v, want %s and an error", got, e.IsError, want)
		}
	}
}

// TestStreamReplyIsFound loses a reply that was carried out: the history has it,
// and the run goes on from there.
func TestStreamReplyIsFound(t *testing.T) {
	a, client := newAPI(t, sse(started, `{"type":"message.output.delta","output_index":0,"id":"m","content":"{"}`))
	a.history = `[{"type":"message.input","id":"i","role":"user","content":"Where?"},` + message(`{"user":"John","town":"x"}`) + "]"
	runner := &tramontane.Runner{Client: client, Model: "m", Output: tramontane.OutputOf[answer]()}
	var result *tramontane.Result
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Where?"), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := event.(*tramontane.DoneEvent); ok {
			result = e.Result
		}
	}
	if got, err := tramontane.Decode[answer](result); err != nil || got.Town != "x" || len(result.Entries) != 1 {
		t.Errorf("Decode = %+v, %v with %d entries, want the reply of the history", got, err, len(result.Entries))
	}
	if len(a.got) != 2 {
		t.Errorf("requests = %q, want the start and the history", a.got)
	}
}

// A reply that was found is shown before the results of its calls.
func TestStreamFoundReplyCalls(t *testing.T) {
	a, client := newAPI(t, sse(started), sse(started, `{"type":"message.output.delta","output_index":0,"id":"m","content":"Done."}`, done))
	a.history = `[{"type":"message.input","id":"i","role":"user","content":"Where?"},` + call("a", "nowhere", "{}") + "]"
	runner := &tramontane.Runner{Client: client, Model: "m"}
	var got []string
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Where?"), nil) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimPrefix(fmt.Sprintf("%T", event), "*tramontane."))
		if e, ok := event.(*tramontane.DoneEvent); ok {
			for _, entry := range e.Result.Entries {
				got = append(got, strings.TrimPrefix(fmt.Sprintf("%T", entry), "*mistral."))
			}
		}
	}
	want := []string{
		"ReplyEvent", "FoundEvent", "ResultEvent", "ReplyEvent", "ReplyEvent", "ReplyEvent", "DoneEvent",
		"FunctionCall", "FunctionResult", "MessageOutput",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events and entries (-want +got):\n%s", diff)
	}
}

func TestStreamReplyBreaksOff(t *testing.T) {
	failed := sse(started, `{"type":"conversation.response.error","message":"model down","code":503}`)
	cut := sse(started, `{"type":"function.call.delta","output_index":0,"id":"f","name":"locate","tool_call_id":"a","arguments":"{\"na"}`)
	const start, history = "POST /v1/conversations ", "GET /v1/conversations/conv_1/history"
	for name, row := range map[string]struct {
		reply string
		want  []string // requests
	}{
		"the API says that it failed": {failed, []string{start}},
		// The history is read before anything is sent again, and that only once.
		"the stream is cut": {cut, []string{start, history, start, history}},
	} {
		t.Run(name, func(t *testing.T) {
			a, client := newAPI(t, row.reply, row.reply)
			runner := &tramontane.Runner{Client: client, Model: "m"}
			var last error
			for _, err := range runner.Stream(t.Context(), tramontane.UserText("Where?"), nil) {
				last = err
			}
			if last == nil {
				t.Error("the run ended without an error")
			}
			if len(a.got) != len(row.want) {
				t.Fatalf("requests = %q, want %q", a.got, row.want)
			}
			for i, want := range row.want {
				if !strings.HasPrefix(a.got[i], want) {
					t.Errorf("request %d = %s, want %s", i, a.got[i], want)
				}
			}
		})
	}
}

// A thought without words, as models send it that were told not to think, takes
// nothing of the answer with it.
func TestStreamEmptyThought(t *testing.T) {
	_, client := newAPI(t, sse(started,
		`{"type":"message.output.delta","output_index":0,"id":"m","content":{"type":"thinking","thinking":[]}}`,
		`{"type":"message.output.delta","output_index":0,"id":"m","content":"There."}`,
		done))
	runner := &tramontane.Runner{Client: client, Model: "m"}
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Where?"), nil) {
		if err != nil {
			t.Fatal(err)
		}
		e, ok := event.(*tramontane.DoneEvent)
		if !ok {
			continue
		}
		if e.Result.Text != "There." {
			t.Errorf("text = %q, want the answer", e.Result.Text)
		}
	}
}
