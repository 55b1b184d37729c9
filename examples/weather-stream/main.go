// Command weather-stream is the example weather as a stream: what happens is
// printed while it happens.
package main

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

// WeatherResult is what the agent answers.
type WeatherResult struct {
	User        string  `json:"user"`
	Location    string  `json:"location"`
	Temperature float64 `json:"temperature"`
}

type person struct {
	Name string `json:"name" jsonschema:"name of the user"`
}

func getLocation(_ context.Context, _ person) (string, error) {
	cities := []string{"New York", "London", "Paris", "Tokyo", "Sydney"}
	return cities[rand.IntN(len(cities))], nil
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	client := new(mistral.Client)
	agent, err := client.CreateAgent(ctx, &mistral.AgentRequest{
		Model:        "mistral-medium-latest",
		Name:         "weather teller",
		Instructions: "You are able to tell the weather.",
	})
	if err != nil {
		return err
	}
	weather := &mcptool.Server{
		Name:    "weather",
		Command: "go",
		Args:    []string{"run", "github.com/tramontane-dev/tramontane/examples/weather/server"},
	}
	defer weather.Close()

	runner := &tramontane.Runner{
		Client:   client,
		AgentID:  agent.ID,
		Tools:    []tramontane.Tool{tramontane.Func("get_location", "Get the location of a user.", getLocation, nil)},
		Toolsets: []tramontane.Toolset{weather},
		Output:   tramontane.OutputOf[WeatherResult](),
	}
	for event, err := range runner.Stream(ctx, tramontane.UserText("Tell me the weather in John's location currently."), nil) {
		if err != nil {
			return err
		}
		switch e := event.(type) {
		case *tramontane.ReplyEvent: // the API's own events: a piece of the answer, a call, ...
			if delta, ok := e.Event.(*mistral.MessageOutputDelta); ok {
				fmt.Printf("text    %s\n", delta.Content.Text)
			}
		case *tramontane.ResultEvent: // what a tool of the program or of the server returned
			fmt.Printf("called  %s %s: %s\n", e.Call.Name, e.Call.Arguments, e.Entry.Result)
		case *tramontane.DoneEvent:
			final, err := tramontane.Decode[WeatherResult](e.Result)
			if err != nil {
				return err
			}
			fmt.Printf("Final model: %+v\n", final)
		}
	}
	return nil
}
