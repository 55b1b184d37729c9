package mcptool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A server is given to a run as it is; here it is used by hand.
func ExampleServer() {
	ctx := context.Background()
	weather := &mcptool.Server{
		Name:    "weather",
		Command: "go",
		Args:    []string{"run", "./server"},
		Dir:     "../examples/weather",
	}
	defer weather.Close()

	tools, err := weather.Tools(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, tool := range tools {
		fmt.Println(tool.Definition().Name)
	}
	result, err := tools[0].Call(ctx, &tramontane.Call{Arguments: json.RawMessage(`{"name":"John"}`)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Text())
	// Output:
	// weather_get_user_location
	// weather_get_weather
	// {"location":"Sydney","user":"John"}
}

func ExampleLoadConfig() {
	config, err := mcptool.LoadConfig("../examples/weather/mcp.json", nil)
	if err != nil {
		log.Fatal(err)
	}
	servers := config.Servers
	defer servers.Close()
	if _, err := servers.Tools(context.Background()); err != nil {
		log.Fatal(err)
	}
	for _, status := range servers.Status() {
		fmt.Println(status.Name, status.State, status.Tools)
	}
	// Output: weather ready 2
}
