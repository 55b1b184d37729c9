package tramontane_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A survey takes days, on another machine. Its number is all that it takes to
// come back to it.
type survey struct{ begun int }

func (*survey) Definition() tramontane.Definition {
	return tramontane.Definition{Name: "population", Description: "Counts the people of a city."}
}

func (s *survey) Call(ctx context.Context, call *tramontane.Call) (*tramontane.ToolResult, error) {
	if call.Handle == nil {
		s.begun++
		tramontane.Keep(ctx, json.RawMessage(`{"survey": 7}`))
		<-ctx.Done() // nobody has counted yet
		return nil, ctx.Err()
	}
	return &tramontane.ToolResult{Content: []tramontane.Content{&tramontane.TextContent{Text: "2800000"}}}, nil
}

// A run is given up while a tool is at work, and resumed later: the tool goes on
// with what it began.
func ExampleKeep() {
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

	tool := new(survey)
	runner := &tramontane.Runner{
		Client: &mistral.Client{BaseURL: server.URL},
		Model:  "mistral-medium-latest",
		Tools:  []tramontane.Tool{tool},
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var state *tramontane.State
	for event := range runner.Stream(ctx, tramontane.UserText("How many people live in Rome?"), nil) {
		switch e := event.(type) {
		case *tramontane.KeptEvent: // the moment to store e.State, in case that the program dies
			cancel()
		case *tramontane.DoneEvent:
			fmt.Println(e.Result.Reason, "with", string(e.Result.Kept[0].Handle))
			state = e.Result.State
		}
	}

	for event := range runner.Stream(context.Background(), nil, &tramontane.RunOptions{Resume: state}) {
		switch e := event.(type) {
		case *tramontane.ResultEvent:
			fmt.Println("result:", e.Entry.Result)
		case *tramontane.DoneEvent:
			fmt.Println(e.Result.Text)
		}
	}
	fmt.Println("surveys:", tool.begun)
	// Output:
	// cancelled with {"survey":7}
	// result: 2800000
	// Done.
	// surveys: 1
}
