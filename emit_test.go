package tramontane_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane"
)

var final = sse(started, `{"type":"message.output.delta","output_index":0,"id":"m","content":"Done."}`, done)

// eventText is an event in few words, and empty for those of the API.
func eventText(event tramontane.Event) string {
	switch e := event.(type) {
	case *tramontane.ProgressEvent:
		return fmt.Sprintf("progress %s %v/%v %s", e.Call.ID, e.Progress, e.Total, e.Message)
	case *tramontane.LogEvent:
		return fmt.Sprintf("log %s %s %s", e.Server, e.Level, e.Data)
	case *tramontane.ServerEvent:
		return fmt.Sprintf("server %s %s %v", e.Server, e.State, e.Err)
	case *tramontane.ToolsChangedEvent:
		return "tools of " + e.Server
	case *tramontane.ResultEvent:
		return "result " + e.Call.ID
	case *tramontane.DoneEvent:
		return "done"
	}
	return ""
}

func log(n int) *tramontane.LogEvent {
	return &tramontane.LogEvent{Server: "s", Level: "info", Data: json.RawMessage(fmt.Sprint(n))}
}

func TestEmit(t *testing.T) {
	_, client := newAPI(t, streamOf("work"), final)
	var kept context.Context
	work := tramontane.Func("work", "", func(ctx context.Context, _ none) (string, error) {
		kept = ctx
		tramontane.Emit(ctx, log(1))
		tramontane.Emit(ctx, &tramontane.ProgressEvent{Progress: 1, Total: 2, Message: "half"})
		done := make(chan bool)
		go func() { // any goroutine may
			defer close(done)
			tramontane.Emit(context.WithoutCancel(ctx), log(2))
		}()
		<-done
		tramontane.Emit(ctx, &tramontane.DoneEvent{}) // not a tool's to say
		return "ok", nil
	}, nil)
	set := toolset(func(ctx context.Context) ([]tramontane.Tool, error) {
		tramontane.Emit(ctx, &tramontane.ServerEvent{Server: "s", State: "failed", Err: errors.New("gone")})
		tramontane.Emit(ctx, &tramontane.ToolsChangedEvent{Server: "s"})
		return []tramontane.Tool{work}, nil
	})
	runner := &tramontane.Runner{Client: client, Model: "m", Toolsets: []tramontane.Toolset{set}}
	var got []string
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if text := eventText(event); text != "" {
			got = append(got, text)
		}
		if _, ok := event.(*tramontane.DoneEvent); ok {
			tramontane.Emit(kept, log(3)) // too late
		}
	}
	want := []string{"server s failed gone", "tools of s", "log s info 1", "progress work 1/2 half", "log s info 2", "result work", "done"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Where nobody reads, nothing is kept: in no run, in one without a stream, and
// in one that a tool of a streamed run makes.
func TestEmitToNobody(t *testing.T) {
	tramontane.Emit(t.Context(), log(1))
	_, client := newAPI(t, streamOf("outer"), callsOf("inner"), "["+message("Done.")+"]", final)
	inner := tramontane.Func("inner", "", func(ctx context.Context, _ none) (string, error) {
		tramontane.Emit(ctx, log(1))
		return "", nil
	}, nil)
	outer := tramontane.Func("outer", "", func(ctx context.Context, _ none) (string, error) {
		run := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{inner}}
		result, err := run.Run(ctx, tramontane.UserText("Go."), nil)
		return result.Text, err
	}, nil)
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{outer}}
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if text := eventText(event); strings.HasPrefix(text, "log") {
			t.Errorf("the outer run tells %q of the inner", text)
		}
	}
}

// A reader that stops costs bounded memory, and holds nobody up.
func TestEmitToAReaderThatIsBehind(t *testing.T) {
	_, client := newAPI(t, streamOf("work"), final)
	stopped, flooded, caughtUp := make(chan bool), make(chan bool), make(chan bool)
	work := tramontane.Func("work", "", func(ctx context.Context, _ none) (string, error) {
		tramontane.Emit(ctx, log(0))
		<-stopped
		for n := range 10 {
			tramontane.Emit(ctx, &tramontane.ProgressEvent{Progress: float64(n)})
		}
		for n := range 5000 {
			tramontane.Emit(ctx, log(n))
		}
		tramontane.Emit(ctx, &tramontane.ServerEvent{Server: "s", State: "ready"})
		close(flooded)
		<-caughtUp
		tramontane.Emit(ctx, log(5000))
		return "ok", nil
	}, nil)
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{work}}
	logs, missed, first, reports := 0, 0, true, []string{}
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
		if err != nil {
			t.Fatal(err)
		}
		switch e := event.(type) {
		case *tramontane.LogEvent:
			logs++
			missed += e.Missed
			if first {
				first = false
				close(stopped)
				<-flooded
			}
		case *tramontane.ProgressEvent:
			reports = append(reports, eventText(e))
		case *tramontane.ServerEvent:
			reports = append(reports, eventText(e))
			close(caughtUp)
		}
	}
	if logs > 1100 || logs+missed != 5002 {
		t.Errorf("%d log events and %d missed, want 5002 in all, about 1024 of them told", logs, missed)
	}
	if diff := cmp.Diff([]string{"progress work 9/0 ", "server s ready <nil>"}, reports); diff != "" {
		t.Errorf("other events (-want +got):\n%s", diff)
	}
}

// To break the stream off while tools report leaves nothing running.
func TestEmitToABrokenStream(t *testing.T) {
	_, client := newAPI(t, streamOf("work"))
	work := tramontane.Func("work", "", func(ctx context.Context, _ none) (string, error) {
		for n := 0; ctx.Err() == nil; n++ {
			tramontane.Emit(ctx, log(n))
		}
		return "", ctx.Err()
	}, nil)
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{work}}
	for event := range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
		if _, ok := event.(*tramontane.LogEvent); ok {
			break
		}
	}
}
