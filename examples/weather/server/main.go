// Command server is an MCP server that makes up users' locations and the
// weather there, always the same for the same question. It speaks MCP on its
// standard input and output.
package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"log"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var cities = []string{"New York", "London", "Paris", "Tokyo", "Sydney"}

type user struct {
	Name string `json:"name" jsonschema:"name of the user, for example John"`
}

type userLocation struct {
	User     string `json:"user" jsonschema:"name of the user"`
	Location string `json:"location" jsonschema:"city where the user is"`
}

type place struct {
	Location string `json:"location" jsonschema:"name of the city, for example Paris"`
}

type weather struct {
	Location    string  `json:"location" jsonschema:"name of the city"`
	Temperature float64 `json:"temperature" jsonschema:"current temperature in degrees Celsius"`
	Conditions  string  `json:"conditions" jsonschema:"the weather in words"`
}

func main() {
	server := mcp.NewServer(&mcp.Implementation{Name: "weather", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{
		Name:        "get_user_location",
		Description: "Get the city where a user currently is, by the user's name.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
	}, getUserLocation)
	mcp.AddTool(server, &mcp.Tool{
		Name:        "get_weather",
		Description: "Get the current weather in a city: the temperature in degrees Celsius and the conditions.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
	}, getWeather)
	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		log.Fatal(err)
	}
}

func getUserLocation(_ context.Context, _ *mcp.CallToolRequest, in user) (*mcp.CallToolResult, userLocation, error) {
	name := strings.TrimSpace(in.Name)
	if name == "" {
		return nil, userLocation{}, fmt.Errorf("the name of the user is empty")
	}
	return nil, userLocation{User: name, Location: cities[hash(name)%uint32(len(cities))]}, nil
}

func getWeather(_ context.Context, _ *mcp.CallToolRequest, in place) (*mcp.CallToolResult, weather, error) {
	city := strings.TrimSpace(in.Location)
	if city == "" {
		return nil, weather{}, fmt.Errorf("the name of the city is empty")
	}
	conditions := []string{"sunny", "cloudy", "light rain", "windy", "fog"}
	h := hash(city)
	return nil, weather{
		Location:    city,
		Temperature: float64(h%300)/10 + 1, // 1 to 30.9
		Conditions:  conditions[h/300%uint32(len(conditions))],
	}, nil
}

// hash is the same for all spellings of s in letter case.
func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(strings.ToLower(s)))
	return h.Sum32()
}
