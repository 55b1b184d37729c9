// Command quickstart asks a model that has the tools of an MCP server.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

type Weather struct {
	User        string  `json:"user"`
	Location    string  `json:"location"`
	Temperature float64 `json:"temperature"`
}

func main() {
	server := &mcptool.Server{Name: "weather", Command: "go", Args: []string{"run", "./examples/weather/server"}}
	defer server.Close()

	runner := &tramontane.Runner{ // with the key in MISTRAL_API_KEY
		Model:    "mistral-medium-latest",
		Toolsets: []tramontane.Toolset{server},
		Output:   tramontane.OutputOf[Weather](),
	}
	result, err := runner.Run(context.Background(), tramontane.UserText("Tell me the weather in John's location currently."), nil)
	if err != nil {
		log.Fatal(err)
	}
	weather, err := tramontane.Decode[Weather](result)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s is in %s, where it is %.1f °C.\n", weather.User, weather.Location, weather.Temperature)
}
