package tramontane_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane"
)

type toolset func(context.Context) ([]tramontane.Tool, error)

func (f toolset) Tools(ctx context.Context) ([]tramontane.Tool, error) { return f(ctx) }

type named struct {
	name, server string
}

func (n named) Definition() tramontane.Definition {
	return tramontane.Definition{Name: n.name, Server: n.server}
}

func (n named) Call(context.Context, *tramontane.Call) (*tramontane.ToolResult, error) {
	return nil, nil
}

func TestMistakesEndBeforeTheModelIsCalled(t *testing.T) {
	dead := errors.New("server weather: it does not start")
	set := func(tools ...tramontane.Tool) tramontane.Toolset {
		return toolset(func(context.Context) ([]tramontane.Tool, error) { return tools, nil })
	}
	for name, row := range map[string]struct {
		runner *tramontane.Runner
		opts   *tramontane.RunOptions
		want   string
	}{
		"nothing to run": {runner: new(tramontane.Runner), want: "set Model or AgentID"},
		"two to run":     {runner: &tramontane.Runner{Model: "m", AgentID: "ag_1"}, want: "not both"},
		"dead toolset": {
			runner: &tramontane.Runner{Model: "m", Toolsets: []tramontane.Toolset{
				set(named{name: "a"}),
				toolset(func(context.Context) ([]tramontane.Tool, error) { return nil, dead }),
			}},
			want: dead.Error(),
		},
		"two dead toolsets": {
			runner: &tramontane.Runner{Model: "m", Toolsets: []tramontane.Toolset{
				toolset(func(context.Context) ([]tramontane.Tool, error) { return nil, dead }),
				set(named{name: "a"}),
				toolset(func(context.Context) ([]tramontane.Tool, error) { return nil, errors.New("server news: no such host") }),
			}},
			want: dead.Error() + "\nserver news: no such host",
		},
		"nil toolset": {
			runner: &tramontane.Runner{Model: "m", Toolsets: []tramontane.Toolset{set(named{name: "a"}), nil}},
			want:   "a Toolset of the Runner is nil",
		},
		"toolset that panics": {
			runner: &tramontane.Runner{Model: "m", Toolsets: []tramontane.Toolset{toolset(func(context.Context) ([]tramontane.Tool, error) { panic("no map") })}},
			want:   "toolset tramontane_test.toolset panicked: no map",
		},
		"two of a name": {
			runner: &tramontane.Runner{Model: "m", Tools: []tramontane.Tool{named{name: "a"}}, Toolsets: []tramontane.Toolset{set(named{"a", "files"})}},
			want:   "tool a: the program and server files both have one",
		},
		"bad name": {
			runner: &tramontane.Runner{Model: "m", Tools: []tramontane.Tool{named{name: "a.b"}}},
			want:   `tool "a.b"`,
		},
		"local and remote": {
			runner: &tramontane.Runner{Model: "m", Local: true},
			opts:   &tramontane.RunOptions{ConversationID: "conv_1"},
			want:   "Local",
		},
		"two conversations": {
			runner: &tramontane.Runner{Model: "m"},
			opts:   &tramontane.RunOptions{ConversationID: "conv_1", Resume: new(tramontane.State)},
			want:   "ConversationID",
		},
		"zero state": {
			runner: &tramontane.Runner{Model: "m"},
			opts:   &tramontane.RunOptions{Resume: new(tramontane.State)},
			want:   "that of no run",
		},
		"no input": {runner: &tramontane.Runner{Model: "m"}, want: "nothing to send"},
	} {
		t.Run(name, func(t *testing.T) {
			a, client := newAPI(t)
			row.runner.Client = client
			input := tramontane.UserText("Hi")
			if name == "no input" {
				input = nil
			}
			result, err := row.runner.Run(t.Context(), input, row.opts)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("err = %v, want one that says %q", err, row.want)
			}
			if result == nil || result.Reason != tramontane.ReasonFailed || result.State == nil {
				t.Errorf("result = %+v, want a failed one with a state", result)
			}
			if len(a.got) != 0 {
				t.Errorf("requests = %q, want none", a.got)
			}
		})
	}
}

func TestContinueConversation(t *testing.T) {
	a, client := newAPI(t, "["+message("Hi again.")+"]")
	a.history = "[" + call("open", "locate", `{"name":"A"}`) + "," + call("safe", "look", `{"name":"B"}`) + "]"
	runner := &tramontane.Runner{Client: client, Tools: []tramontane.Tool{
		tramontane.Func("locate", "", locate, nil),
		tramontane.Func("look", "", locate, &tramontane.FuncOptions{Safe: true}),
	}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Hi"), &tramontane.RunOptions{ConversationID: "conv_1"})
	if err != nil || result.Text != "Hi again." {
		t.Fatalf("Run = %+v, %v", result, err)
	}
	if len(a.got) != 2 || !strings.HasPrefix(a.got[1], "POST /v1/conversations/conv_1 ") {
		t.Fatalf("requests = %q, want the history and one append", a.got)
	}
	for _, want := range []string{"outcome of the call is not known", "B's town", `"content":"Hi"`} {
		if !strings.Contains(a.got[1], want) {
			t.Errorf("append lacks %q: %s", want, a.got[1])
		}
	}
}

func TestLocal(t *testing.T) {
	a, client := newAPI(t, "["+call("a", "locate", `{"name":"A"}`)+"]", "["+message("Done.")+"]", "["+message("Bye.")+"]")
	runner := &tramontane.Runner{Client: client, Model: "m", Local: true, Tools: []tramontane.Tool{tramontane.Func("locate", "", locate, nil)}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Where?"), nil)
	if err != nil || result.Text != "Done." || result.ConversationID != "" {
		t.Fatalf("Run = %+v, %v", result, err)
	}
	if _, err = runner.Run(t.Context(), tramontane.UserText("Thanks."), &tramontane.RunOptions{Resume: result.State}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 3, 5} {
		if !strings.HasPrefix(a.got[i], "POST /v1/conversations {") || !strings.Contains(a.got[i], `"store":false`) {
			t.Errorf("request %d = %s, want a start that stores nothing", i, a.got[i])
		}
		if n := strings.Count(a.got[i], `"object":"entry"`); n != want {
			t.Errorf("request %d has %d entries, want %d", i, n, want)
		}
	}
}
