package tramontane_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane"
)

func TestApproval(t *testing.T) {
	a, client := newAPI(t,
		"["+call("a", "locate", `{"name":"A"}`)+","+call("b", "locate", `{"name":"B"}`)+","+call("c", "locate", `{"name":"C"}`)+","+call("d", "locate", `{"name":"D"}`)+"]",
		"["+message("Done.")+"]")
	asking := 0
	runner := &tramontane.Runner{
		Client: client,
		Model:  "m",
		Tools:  []tramontane.Tool{tramontane.Func("locate", "", locate, nil)},
		Approve: func(_ context.Context, call *tramontane.Call, tool tramontane.Definition) (tramontane.Decision, error) {
			if asking++; asking != 1 {
				t.Error("two questions at once")
			}
			defer func() { asking-- }()
			if tool.Name != "locate" {
				t.Errorf("asked about tool %q, want locate", tool.Name)
			}
			switch call.ID {
			case "a":
				return tramontane.Allow(), nil
			case "b":
				return tramontane.Deny("not B"), nil
			case "c":
				return tramontane.Later(), nil
			}
			return tramontane.Allow(), errors.New("nobody there")
		},
	}
	result, err := runner.Run(t.Context(), tramontane.UserText("Where?"), nil)
	if !errors.Is(err, tramontane.ErrPending) || result.Reason != tramontane.ReasonPending || len(result.Pending) != 2 {
		t.Fatalf("Run = %+v, %v, want two pending calls", result, err)
	}
	if len(a.got) != 1 {
		t.Errorf("%d requests, want 1: what is owed is not sent while calls are pending", len(a.got))
	}

	// The run is saved, and another program goes on with it.
	saved, err := json.Marshal(result.State)
	if err != nil {
		t.Fatal(err)
	}
	var state tramontane.State
	if err := json.Unmarshal(saved, &state); err != nil {
		t.Fatal(err)
	}
	runner.Approve = nil
	result, err = runner.Run(t.Context(), tramontane.UserText("And hurry."), &tramontane.RunOptions{
		Resume: &state,
		Decisions: map[string]tramontane.Decision{
			result.Pending[0].Key: tramontane.Allow(),
			result.Pending[1].Key: tramontane.Deny(""),
		},
	})
	if err != nil || result.Text != "Done." {
		t.Fatalf("resumed Run = %+v, %v", result, err)
	}
	want := `"tool_call_id":"a","result":"A's town"},` +
		`{"object":"entry","type":"function.result","tool_call_id":"b","result":"Error: the call was not made: it was denied: not B"},` +
		`{"object":"entry","type":"function.result","tool_call_id":"c","result":"C's town"},` +
		`{"object":"entry","type":"function.result","tool_call_id":"d","result":"Error: the call was not made: it was denied."},` +
		`{"object":"entry","type":"message.input","role":"user","content":"And hurry.","prefix":false}]`
	if got := a.got[1]; !strings.Contains(got, want) {
		t.Errorf("append:\n got %s\nwant %s", got, want)
	}
	if len(result.Entries) != 3 {
		t.Errorf("the resumed part has %d entries, want the 2 results that are new and the message", len(result.Entries))
	}
}

func TestMaxTurns(t *testing.T) {
	a, client := newAPI(t, "["+call("a", "locate", `{"name":"A"}`)+"]", "["+message("Done.")+"]")
	runner := &tramontane.Runner{Client: client, Model: "m", MaxTurns: 1, Tools: []tramontane.Tool{tramontane.Func("locate", "", locate, nil)}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Where?"), nil)
	if !errors.Is(err, tramontane.ErrMaxTurns) || result.Reason != tramontane.ReasonMaxTurns {
		t.Fatalf("Run = %+v, %v, want the limit", result, err)
	}
	result, err = runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: result.State})
	if err != nil || result.Text != "Done." || len(a.got) != 2 {
		t.Errorf("resumed Run = %+v, %v, after %d requests", result, err, len(a.got))
	}
}

func TestEndRun(t *testing.T) {
	a, client := newAPI(t, "["+call("a", "locate", `{"name":"nobody"}`)+","+call("b", "locate", `{"name":"B"}`)+"]", "["+message("Done.")+"]")
	cause := errors.New("no such user, ever")
	runner := &tramontane.Runner{
		Client:      client,
		Model:       "m",
		OnToolError: tramontane.EndRun,
		Tools: []tramontane.Tool{tramontane.Func("locate", "", func(_ context.Context, in place) (string, error) {
			if in.Name == "nobody" {
				return "", cause
			}
			return "ok", nil
		}, nil)},
	}
	result, err := runner.Run(t.Context(), tramontane.UserText("Where?"), nil)
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "tool locate") || len(a.got) != 1 {
		t.Fatalf("Run = %v after %d requests, want the error of the tool after one", err, len(a.got))
	}
	if _, err = runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: result.State}); err != nil {
		t.Fatal(err)
	}
	if want := `"result":"Error: no such user, ever"`; !strings.Contains(a.got[1], want) || !strings.Contains(a.got[1], `"result":"ok"`) {
		t.Errorf("append = %s, want both results in it", a.got[1])
	}
}

// What fails in Approve leaves the call pending, and the program running.
func TestApprovePanics(t *testing.T) {
	_, client := newAPI(t, callsOf("a", "b"))
	var log strings.Builder
	runner := &tramontane.Runner{
		Client: client, Model: "m",
		Tools:  []tramontane.Tool{named{name: "a"}, named{name: "b"}},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Approve: func(_ context.Context, call *tramontane.Call, _ tramontane.Definition) (tramontane.Decision, error) {
			if call.ID == "a" {
				panic("boom")
			}
			return tramontane.Decision{}, nil // its zero value is Later
		},
	}
	result, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if !errors.Is(err, tramontane.ErrPending) || len(result.Pending) != 2 {
		t.Errorf("Run = %v with %d pending, want both calls pending", err, len(result.Pending))
	}
	if !strings.Contains(log.String(), "boom") {
		t.Errorf("log = %s, want the panic in it", &log)
	}
}

func TestEndRunByPanicAndByManyErrors(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	_, client := newAPI(t, callsOf("fine", "panics", "one", "two"), "["+message("Done.")+"]")
	fail := func(name string, err error) tramontane.Tool {
		return tramontane.Func(name, "", func(context.Context, none) (string, error) { return "", err }, nil)
	}
	runner := &tramontane.Runner{Client: client, Model: "m", OnToolError: tramontane.EndRun, Tools: []tramontane.Tool{
		named{name: "fine"}, fail("one", one), fail("two", two),
		tramontane.Func("panics", "", func(context.Context, none) (string, error) { panic("boom") }, nil),
	}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if err == nil || !strings.Contains(err.Error(), "tool panics") || !errors.Is(err, one) || !errors.Is(err, two) || result.Reason != tramontane.ReasonFailed {
		t.Errorf("Run = %s, %v, want the errors of all three", result.Reason, err)
	}
	if got := results(result); len(got) != 4 {
		t.Errorf("results = %q, want those of all four calls", got)
	}
	if _, err := runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: result.State}); err != nil {
		t.Error(err)
	}
}

// A tool can ask for a person's word by itself. Nobody is there at first; other
// calls are made all the same.
func TestConfirm(t *testing.T) {
	a, client := newAPI(t, callsOf("free", "marked"), "["+message("Done.")+"]")
	var asked []string
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{named{name: "free"}, confirmed{named{name: "marked"}}}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if !errors.Is(err, tramontane.ErrPending) || len(result.Pending) != 1 || result.Pending[0].Name != "marked" {
		t.Fatalf("Run = %+v, %v, want the marked call pending", result, err)
	}
	if got := results(result); len(got) != 1 {
		t.Errorf("results = %q, want that of the other call", got)
	}
	runner.ConfirmOnly = true
	runner.Approve = func(_ context.Context, call *tramontane.Call, tool tramontane.Definition) (tramontane.Decision, error) {
		if !tool.Confirm {
			t.Errorf("asked about %s, which needs no word", call.Name)
		}
		asked = append(asked, call.Name)
		return tramontane.Allow(), nil
	}
	if result, err = runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: result.State}); err != nil || result.Text != "Done." {
		t.Fatalf("resumed Run = %+v, %v", result, err)
	}
	if len(asked) != 1 || len(a.got) != 2 {
		t.Errorf("asked about %q in %d requests, want the marked call and two", asked, len(a.got))
	}
}

func TestConfirmOnly(t *testing.T) {
	for _, only := range []bool{false, true} {
		_, client := newAPI(t, callsOf("free", "marked"), "["+message("Done.")+"]")
		var asked []string
		runner := &tramontane.Runner{
			Client: client, Model: "m", ConfirmOnly: only,
			Tools: []tramontane.Tool{named{name: "free"}, confirmed{named{name: "marked"}}},
			Approve: func(_ context.Context, call *tramontane.Call, _ tramontane.Definition) (tramontane.Decision, error) {
				asked = append(asked, call.Name)
				return tramontane.Allow(), nil
			},
		}
		if _, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil); err != nil {
			t.Fatal(err)
		}
		want := "free marked"
		if only {
			want = "marked"
		}
		if got := strings.Join(asked, " "); got != want {
			t.Errorf("with ConfirmOnly %v asked about %q, want %q", only, got, want)
		}
	}
}

type confirmed struct{ named }

func (c confirmed) Definition() tramontane.Definition {
	return tramontane.Definition{Name: c.name, Confirm: true}
}
