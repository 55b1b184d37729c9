package tramontane_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

func gives(name string, result *tramontane.ToolResult, err error) tramontane.Tool {
	return tramontane.Func(name, "", func(context.Context, none) (*tramontane.ToolResult, error) { return result, err }, nil)
}

// What the model cannot be shown is named to it, and in the event.
func TestUnshown(t *testing.T) {
	image := &tramontane.ImageContent{Data: []byte("abc"), MIMEType: "image/png"}
	_, client := newAPI(t, streamOf("draw"), final)
	runner := &tramontane.Runner{Client: client, Model: "m", Tools: []tramontane.Tool{
		gives("draw", &tramontane.ToolResult{Content: []tramontane.Content{text("Here."), image}}, nil),
	}}
	for event, err := range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
		if err != nil {
			t.Fatal(err)
		}
		e, ok := event.(*tramontane.ResultEvent)
		if !ok {
			continue
		}
		if len(e.Unshown) != 1 || e.Unshown[0] != tramontane.Content(image) {
			t.Errorf("unshown = %v, want the image", e.Unshown)
		}
		if want := "Here.\n[image image/png, 3 bytes: not shown to the model]"; e.Entry.Result != want {
			t.Errorf("result = %q, want %q", e.Entry.Result, want)
		}
	}
}

func TestMaxResult(t *testing.T) {
	long := "HEAD " + strings.Repeat("é", 50_000) + " TAIL" // 100,010 bytes
	for name, row := range map[string]struct {
		max  int
		text string
		want int // bytes that the model is told, at most; 0: all
	}{
		"default":       {0, long, 64 << 10},
		"default, less": {0, strings.Repeat("x", 64<<10), 0},
		"one more":      {0, strings.Repeat("x", 64<<10+1), 64 << 10},
		"small":         {501, long, 501},
		"odd":           {502, long, 502},
		"tiny":          {1, long, 200},
		"none":          {-1, long, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := newAPI(t, streamOf("read"), final)
			runner := &tramontane.Runner{Client: client, Model: "m", MaxResult: row.max, Tools: []tramontane.Tool{gives("read", tramontane.TextResult(row.text), nil)}}
			for event, err := range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
				if err != nil {
					t.Fatal(err)
				}
				switch e := event.(type) {
				case *tramontane.ResultEvent:
					checkCut(t, e, row.text, row.want)
				case *tramontane.DoneEvent:
					if row.want > 0 && (len(e.Result.Resources) != 1 || e.Result.Resources[0].Text != row.text) {
						t.Errorf("%d resources, want the whole result", len(e.Result.Resources))
					}
					if state, _ := json.Marshal(e.Result.State); row.want > 0 && len(state) > row.want+4096 {
						t.Errorf("the state has %d bytes", len(state))
					}
				}
			}
		})
	}
}

func checkCut(t *testing.T, e *tramontane.ResultEvent, whole string, want int) {
	t.Helper()
	told := e.Entry.Result
	if e.Result.Text() != whole {
		t.Error("the event does not have the whole result")
	}
	if want == 0 {
		if told != whole || e.Whole != "" {
			t.Errorf("the model is told %d bytes, want all %d", len(told), len(whole))
		}
		return
	}
	if len(told) > want || len(told) < want-8 && want > 200 {
		t.Errorf("the model is told %d bytes, want about %d", len(told), want)
	}
	if !utf8.ValidString(told) {
		t.Error("a rune was cut in two")
	}
	head, rest, _ := strings.Cut(told, "\n[... ")
	line, tail, ok := strings.Cut(rest, " ...]\n")
	if !ok || !strings.HasPrefix(whole, head) || !strings.HasSuffix(whole, tail) {
		t.Errorf("the model is told %.300q, want head, line and tail", told)
	}
	if said := fmt.Sprintf("%d of %d bytes", len(whole)-len(head)-len(tail), len(whole)); !strings.Contains(line, said) || !strings.Contains(line, e.Whole) || e.Whole == "" {
		t.Errorf("line = %q, want %q and the URI %q in it", line, said, e.Whole)
	}
}

// Errors are bounded too.
func TestMaxResultOfErrors(t *testing.T) {
	long := strings.Repeat("no ", 1000)
	_, client := newAPI(t, callsOf("fails", "lost", "says"), "["+message("Done.")+"]")
	runner := &tramontane.Runner{Client: client, Model: "m", MaxResult: 300, Tools: []tramontane.Tool{
		gives("fails", nil, errors.New(long)),
		gives("lost", nil, fmt.Errorf("%w: %s", tramontane.ErrOutcomeUnknown, long)),
		gives("says", &tramontane.ToolResult{Content: []tramontane.Content{text(long)}, IsError: true}, nil),
	}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if err != nil || len(result.Resources) != 3 {
		t.Fatalf("Run = %d resources, %v, want three", len(result.Resources), err)
	}
	for _, told := range results(result) {
		if !strings.HasPrefix(told, "Error: ") || len(told) > 500 {
			t.Errorf("the model is told %q, want a short error", told)
		}
	}
}

// The model reads on where a result was cut, also in a run that was resumed.
func TestReadResults(t *testing.T) {
	const id = "a/ü#1" // the model's to choose
	whole := strings.Repeat("0123456789é", 100)
	var uri string
	read := func(arguments string) string { return "[" + call("r", "read_result", arguments) + "]" }
	a, client := newAPI(t, "["+call(id, "long", "{}")+"]")
	runner := &tramontane.Runner{Client: client, Model: "m", MaxResult: 400, MaxTurns: 1, ReadResults: true, Tools: []tramontane.Tool{gives("long", tramontane.TextResult(whole), nil)}}
	result, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if !errors.Is(err, tramontane.ErrMaxTurns) || len(result.Resources) != 1 {
		t.Fatalf("Run = %+v, %v, want a run to resume", result, err)
	}
	uri = result.Resources[0].URI
	if !strings.Contains(results(result)[0], "which read_result reads") || !strings.HasSuffix(uri, "/1/a%2F%C3%BC%231") && !strings.HasSuffix(uri, "/1/a/%C3%BC%231") {
		t.Errorf("result = %q with URI %s", results(result), uri)
	}
	a.replies = []string{
		read(fmt.Sprintf(`{"uri":%q,"offset":10,"length":14}`, uri)),
		read(fmt.Sprintf(`{"uri":%q,"offset":11}`, uri)),
		read(fmt.Sprintf(`{"uri":%q,"offset":1195}`, uri)),
		read(fmt.Sprintf(`{"uri":%q,"offset":1200}`, uri)),
		read(`{"uri":"tramontane://result/other"}`),
		"[" + message("Done.") + "]",
	}
	runner.MaxTurns = 0
	result, err = runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: result.State, Resources: result.Resources})
	if err != nil {
		t.Fatal(err)
	}
	got := results(result)
	got[1] = got[1][strings.LastIndex(got[1], "\n"):]
	want := []string{
		"é0123456789é\n[bytes 10 to 24 of 1200: go on at offset 24]",
		"\n[bytes 12 to 312 of 1200: go on at offset 312]",
		"789é\n[bytes 1195 to 1200 of 1200: the end]",
		"Error: offset 1200: the result has 1200 bytes",
		`Error: no result is kept as "tramontane://result/other"`,
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Errorf("result %d = %q, want %q", i, got[i], want[i])
		}
	}
	if len(result.Resources) != 1 {
		t.Errorf("%d resources, want the one", len(result.Resources))
	}
}

func TestMaxTools(t *testing.T) {
	tools := func(server string, n int) (tools []tramontane.Tool) {
		for i := range n {
			tools = append(tools, named{name: fmt.Sprintf("%s_%d", server, i), server: server})
		}
		return tools
	}
	set := toolset(func(context.Context) ([]tramontane.Tool, error) {
		return append(tools("files", 41), tools("github", 86)...), nil
	})
	for name, row := range map[string]struct {
		max   int
		agent bool
		want  string
	}{
		"default":    {0, false, "there are 129 tools, and a conversation takes at most 128: server github has 86, server files has 41, the program has 2;"},
		"more":       {129, false, ""},
		"none":       {-1, false, ""},
		"with agent": {130, true, "131 tools, and a conversation takes at most 130: server github has 86, server files has 41, the agent itself has 2, the program has 2;"},
	} {
		t.Run(name, func(t *testing.T) {
			a, client := newAPI(t, "["+message("Done.")+"]")
			a.agent = theAgent // its locate is ours
			runner := &tramontane.Runner{Client: client, Model: "m", MaxTools: row.max, Toolsets: []tramontane.Toolset{set}, Tools: []tramontane.Tool{named{name: "locate"}, named{name: "own"}}}
			if row.agent {
				runner.Model, runner.AgentID = "", "ag_1"
			}
			_, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
			if row.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("err = %v, want one that says %q", err, row.want)
			}
			for _, request := range a.got {
				if strings.HasPrefix(request, "POST") {
					t.Errorf("request %.80s, want the model not to be called", request)
				}
			}
		})
	}
}

// The whole of what the model is told in part can be read by the program.
func ExampleRunner_maxResult() {
	server := replies(asksForRome, answersRome)
	defer server.Close()

	list := func(context.Context, city) (string, error) {
		return "first line\n" + strings.Repeat("a line like many\n", 1000) + "last line", nil
	}
	runner := &tramontane.Runner{
		Client:    &mistral.Client{BaseURL: server.URL},
		Model:     "mistral-medium-latest",
		Tools:     []tramontane.Tool{tramontane.Func("population", "Lists the people of a city.", list, nil)},
		MaxResult: 300,
	}
	result, err := runner.Run(context.Background(), tramontane.UserText("Who lives in Rome?"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, whole := range result.Resources {
		fmt.Println(len(whole.Text), "bytes, of which the model was told", len(results(result)[0]))
	}
	// Output: 17020 bytes, of which the model was told 300
}
