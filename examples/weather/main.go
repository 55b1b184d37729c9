// Command weather creates an agent and runs it with a function of this program
// and with the tools of an MCP server, for an answer that is a Go value.
package main

import (
	"context"
	"encoding/json"
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
	// The client takes the key from MISTRAL_API_KEY.
	client := new(mistral.Client)
	// The agent stays there for later runs, until client.DeleteAgent removes it.
	agent, err := client.CreateAgent(ctx, &mistral.AgentRequest{
		Model:        "mistral-medium-latest",
		Name:         "weather teller",
		Instructions: "You are able to tell the weather.",
	})
	if err != nil {
		return err
	}

	// The server is started by the run, and ended by Close.
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
	result, err := runner.Run(ctx, tramontane.UserText("Tell me the weather in John's location currently."), nil)
	if err != nil {
		return err
	}

	fmt.Println("All run entries:")
	for _, entry := range result.Entries {
		line, err := json.Marshal(entry)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", line)
	}
	final, err := tramontane.Decode[WeatherResult](result)
	if err != nil {
		return err
	}
	fmt.Printf("\nFinal model: %+v\n", final)
	return nil
}
