package tramontane_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// replies starts an API that answers with these outputs, one reply after the
// other, so that the examples need no account.
func replies(outputs ...string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		output := outputs[0]
		outputs = outputs[1:]
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object":"conversation.response","conversation_id":"conv_1","outputs":[%s],"usage":{}}`, output)
	}))
}

const (
	asksForRome = `{"type":"function.call","tool_call_id":"x1","name":"population","arguments":"{\"city\":\"Rome\"}"}`
	answersRome = `{"type":"message.output","content":"{\"city\":\"Rome\",\"people\":2800000}"}`
)

type city struct {
	City string `json:"city" jsonschema:"name of the city"`
}

type census struct {
	City   string `json:"city"`
	People int    `json:"people"`
}

func population(_ context.Context, in city) (int, error) {
	if in.City != "Rome" {
		return 0, errors.New("no such city")
	}
	return 2_800_000, nil
}

func Example() {
	server := replies(asksForRome, answersRome)
	defer server.Close()

	runner := &tramontane.Runner{
		Client: &mistral.Client{BaseURL: server.URL},
		Model:  "mistral-medium-latest",
		Tools:  []tramontane.Tool{tramontane.Func("population", "Tells how many people live in a city.", population, nil)},
		Output: tramontane.OutputOf[census](),
	}
	result, err := runner.Run(context.Background(), tramontane.UserText("How many people live in Rome?"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := tramontane.Decode[census](result)
	fmt.Println(answer.People, err)
	// Output: 2800000 <nil>
}

func ExampleRunner_Stream() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range []string{
			`{"type":"conversation.response.started","conversation_id":"conv_1"}`,
			`{"type":"message.output.delta","id":"m","content":"Good "}`,
			`{"type":"message.output.delta","id":"m","content":"evening."}`,
			`{"type":"conversation.response.done","usage":{}}`,
		} {
			fmt.Fprintf(w, "event: message\ndata: %s\n\n", event)
		}
	}))
	defer server.Close()

	runner := &tramontane.Runner{Client: &mistral.Client{BaseURL: server.URL}, Model: "mistral-medium-latest"}
	for event, err := range runner.Stream(context.Background(), tramontane.UserText("Hello!"), nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch e := event.(type) {
		case *tramontane.ReplyEvent:
			if delta, ok := e.Event.(*mistral.MessageOutputDelta); ok {
				fmt.Print(delta.Content.Text)
			}
		case *tramontane.DoneEvent:
			fmt.Println("", e.Result.Reason)
		}
	}
	// Output: Good evening. done
}

// A call that waits for a person's word ends the run. Its state is saved, and
// whoever has the word goes on with it, in another process if need be.
func ExampleRunOptions() {
	server := replies(asksForRome, answersRome)
	defer server.Close()
	runner := &tramontane.Runner{
		Client: &mistral.Client{BaseURL: server.URL},
		Model:  "mistral-medium-latest",
		Tools:  []tramontane.Tool{tramontane.Func("population", "", population, nil)},
		Approve: func(context.Context, *tramontane.Call, tramontane.Definition) (tramontane.Decision, error) {
			return tramontane.Later(), nil
		},
	}

	result, err := runner.Run(context.Background(), tramontane.UserText("How many people live in Rome?"), nil)
	fmt.Println(err)
	call := result.Pending[0]
	fmt.Printf("%s %s\n", call.Name, call.Arguments)
	saved, err := json.Marshal(result.State)
	if err != nil {
		fmt.Println(err)
		return
	}

	var state tramontane.State
	if err := json.Unmarshal(saved, &state); err != nil {
		fmt.Println(err)
		return
	}
	result, err = runner.Run(context.Background(), nil, &tramontane.RunOptions{
		Resume:    &state,
		Decisions: map[string]tramontane.Decision{call.Key: tramontane.Allow()},
	})
	fmt.Println(result.Text, err)
	// Output:
	// calls wait for approval: 1
	// population {"city":"Rome"}
	// {"city":"Rome","people":2800000} <nil>
}

func ExampleFunc() {
	type query struct {
		City string `json:"city" jsonschema:"name of the city"`
		Unit string `json:"unit,omitempty" enum:"celsius,fahrenheit"`
	}
	tool := tramontane.Func("weather", "Tells the weather.", func(_ context.Context, q query) (string, error) {
		return "Sunny in " + q.City + ".", nil
	}, &tramontane.FuncOptions{ReadOnly: true})

	result, err := tool.Call(context.Background(), &tramontane.Call{Arguments: json.RawMessage(`{"city":"Nice"}`)})
	fmt.Println(result.Text(), err)
	_, err = tool.Call(context.Background(), &tramontane.Call{Arguments: json.RawMessage(`{"city":"Nice","unit":"kelvin"}`)})
	fmt.Println(err != nil)
	// Output:
	// Sunny in Nice. <nil>
	// true
}

func ExampleOutputSchema() {
	server := replies(answersRome)
	defer server.Close()
	output, err := tramontane.OutputSchema("census", json.RawMessage(`{"type":"object","required":["people"]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	runner := &tramontane.Runner{Client: &mistral.Client{BaseURL: server.URL}, Model: "mistral-medium-latest", Output: output}
	result, err := runner.Run(context.Background(), tramontane.UserText("How many people live in Rome?"), nil)
	fmt.Println(string(result.Output), err)
	// Output: {"city":"Rome","people":2800000} <nil>
}
