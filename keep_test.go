package tramontane_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane"
)

// A builder begins builds that take longer than any call.
type builder struct {
	began  int
	call   func(ctx context.Context, call *tramontane.Call) (*tramontane.ToolResult, error)
	called []string // the handles
}

func (b *builder) Definition() tramontane.Definition { return tramontane.Definition{Name: "build"} }

func (b *builder) Call(ctx context.Context, call *tramontane.Call) (*tramontane.ToolResult, error) {
	b.called = append(b.called, string(call.Handle))
	if call.Handle == nil {
		b.began++
		if !tramontane.Keep(ctx, fmt.Appendf(nil, `{"build": %d}`, b.began)) {
			return nil, errors.New("nobody keeps the handle")
		}
	}
	return b.call(ctx, call)
}

func said(s string) (*tramontane.ToolResult, error) {
	return &tramontane.ToolResult{Content: []tramontane.Content{text(s)}}, nil
}

// save takes a State through JSON.
func save(t *testing.T, s *tramontane.State) *tramontane.State {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var saved tramontane.State
	if err := json.Unmarshal(data, &saved); err != nil {
		t.Fatal(err)
	}
	return &saved
}

func TestKeepThroughCancel(t *testing.T) {
	a, client := newAPI(t, "["+call("a", "build", `{}`)+"]", "["+message("Built.")+"]")
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	b := &builder{call: func(ctx context.Context, _ *tramontane.Call) (*tramontane.ToolResult, error) {
		cancel(enough)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{b}}
	result, err := runner.Run(ctx, tramontane.UserText("Build."), nil)
	if !errors.Is(err, enough) || result.Reason != tramontane.ReasonCancelled {
		t.Fatalf("Run = %s, %v, want it cancelled", result.Reason, err)
	}
	if len(result.Kept) != 1 || string(result.Kept[0].Handle) != `{"build":1}` || result.Kept[0].Name != "build" {
		t.Fatalf("Kept = %+v, want the call of build", result.Kept)
	}

	// Cancelled again before the tool is called.
	over, stop := context.WithCancel(t.Context())
	stop()
	result, err = runner.Run(over, nil, &tramontane.RunOptions{Resume: save(t, result.State)})
	if !errors.Is(err, context.Canceled) || len(result.Kept) != 1 {
		t.Fatalf("Run of an ended context = %+v, %v, want the call kept", result, err)
	}

	b.call = func(context.Context, *tramontane.Call) (*tramontane.ToolResult, error) { return said("built") }
	result, err = runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: save(t, result.State)})
	if err != nil || result.Text != "Built." || len(result.Kept) != 0 {
		t.Fatalf("resumed Run = %+v, %v", result, err)
	}
	if b.began != 1 || len(b.called) != 2 || b.called[1] != `{"build":1}` {
		t.Errorf("began %d, called with %q, want one build, taken up once", b.began, b.called)
	}
	if want := `"tool_call_id":"a","result":"built"`; !strings.Contains(a.got[1], want) {
		t.Errorf("append %s, want %s", a.got[1], want)
	}
}

func TestKeepThroughCrash(t *testing.T) {
	_, client := newAPI(t, streamOf("build"), final, "["+message("Built.")+"]")
	b := &builder{call: func(ctx context.Context, _ *tramontane.Call) (*tramontane.ToolResult, error) {
		return said("built")
	}}
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{b}}
	var saved *tramontane.State
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Build."), nil) {
		if err != nil {
			t.Fatal(err)
		}
		switch e := event.(type) {
		case *tramontane.KeptEvent:
			if string(e.Call.Handle) != `{"build":1}` {
				t.Errorf("KeptEvent of handle %s", e.Call.Handle)
			}
			saved = save(t, e.State)
		case *tramontane.ResultEvent:
			if saved == nil {
				t.Error("the result stands before the KeptEvent")
			}
			if e.Call.Handle != nil {
				t.Errorf("the call that is over has handle %s", e.Call.Handle)
			}
		}
	}
	// As if the program had died then.
	result, err := runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: saved})
	if err != nil || result.Text != "Built." || b.began != 1 {
		t.Errorf("resumed Run = %+v, %v, after %d builds, want 1", result, err, b.began)
	}
}

// TestKeepEndsWithTheCall gives handles that are none, and some too late.
func TestKeepEndsWithTheCall(t *testing.T) {
	_, client := newAPI(t, "["+call("a", "work", `{}`)+"]", "["+message("Done.")+"]")
	var of context.Context
	work := tramontane.Func("work", "", func(ctx context.Context, _ none) (string, error) {
		of = ctx
		for _, handle := range []string{"", "null", "{", `"` + strings.Repeat("x", 5000) + `"`} {
			if tramontane.Keep(ctx, json.RawMessage(handle)) {
				t.Errorf("Keep(%.10s) = true, want false", handle)
			}
		}
		if !tramontane.Keep(ctx, json.RawMessage(`1`)) {
			t.Error("Keep(1) = false in a call")
		}
		return "", errors.New("it failed") // the end of it
	}, nil)
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{work}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Work."), nil)
	if err != nil || len(result.Kept) != 0 {
		t.Errorf("Run = %+v, %v, want nothing kept", result, err)
	}
	for name, ctx := range map[string]context.Context{"a call that is over": of, "no call": t.Context()} {
		if tramontane.Keep(ctx, json.RawMessage(`1`)) {
			t.Errorf("Keep in %s = true, want false", name)
		}
	}
}
