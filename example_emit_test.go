package tramontane_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A function tells how far it has come, and the loop over the run's events shows
// it.
func ExampleEmit() {
	count := func(ctx context.Context, in city) (string, error) {
		for n := 1; n <= 2; n++ {
			tramontane.Emit(ctx, &tramontane.ProgressEvent{Progress: float64(n), Total: 2, Message: fmt.Sprintf("half %d of %s", n, in.City)})
			tramontane.Emit(ctx, &tramontane.LogEvent{Level: "info", Data: []byte(`"counted"`)})
		}
		return "2800000", nil
	}
	turn := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if turn++; turn == 1 {
			fmt.Fprint(w, streamOfRome)
		} else {
			fmt.Fprint(w, final)
		}
	}))
	defer server.Close()

	runner := &tramontane.Runner{
		Client: &mistral.Client{BaseURL: server.URL},
		Model:  "mistral-medium-latest",
		Tools:  []tramontane.Tool{tramontane.Func("population", "Counts the people of a city.", count, nil)},
	}
	for event, err := range runner.Stream(context.Background(), tramontane.UserText("How many people live in Rome?"), nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch e := event.(type) {
		case *tramontane.ProgressEvent:
			fmt.Printf("%s: %v/%v %s\n", e.Call.Name, e.Progress, e.Total, e.Message)
		case *tramontane.ResultEvent:
			fmt.Println("result:", e.Entry.Result)
		case *tramontane.DoneEvent:
			fmt.Println(e.Result.Text)
		}
	}
	// Output:
	// population: 1/2 half 1 of Rome
	// population: 2/2 half 2 of Rome
	// result: 2800000
	// Done.
}

var streamOfRome = sse(started,
	`{"type":"function.call.delta","output_index":0,"id":"f","name":"population","tool_call_id":"x1","arguments":"{\"city\":\"Rome\"}"}`, done)

// A person's word is asked for only where a tool needs it.
func ExampleRunner_confirmOnly() {
	server := replies(asksForRome, answersRome)
	defer server.Close()

	runner := &tramontane.Runner{
		Client:      &mistral.Client{BaseURL: server.URL},
		Model:       "mistral-medium-latest",
		Tools:       []tramontane.Tool{needsAWord{tramontane.Func("population", "", population, nil)}},
		ConfirmOnly: true,
		Approve: func(_ context.Context, call *tramontane.Call, tool tramontane.Definition) (tramontane.Decision, error) {
			fmt.Printf("May %s be called with %s?\n", tool.Name, call.Arguments)
			return tramontane.Allow(), nil
		},
	}
	result, err := runner.Run(context.Background(), tramontane.UserText("How many people live in Rome?"), nil)
	fmt.Println(result.Text, err)
	// Output:
	// May population be called with {"city":"Rome"}?
	// {"city":"Rome","people":2800000} <nil>
}

// A needsAWord is a tool of which each call must be allowed. Package mcptool has
// policies that say so of the tools of MCP servers.
type needsAWord struct{ tramontane.Tool }

func (t needsAWord) Definition() tramontane.Definition {
	def := t.Tool.Definition()
	def.Confirm = true
	return def
}
