// Command remote runs a model with the tools of a remote MCP server that wants
// no login.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	// Streamable HTTP or SSE: which of the two the server speaks is found out.
	semgrep := &mcptool.Server{
		Name:        "semgrep",
		URL:         cmp.Or(os.Getenv("MCP_URL"), "https://mcp.semgrep.ai/sse"),
		CallTimeout: 100 * time.Second,
	}
	defer semgrep.Close()

	runner := &tramontane.Runner{ // with the key in MISTRAL_API_KEY
		Model:    "mistral-medium-latest",
		Toolsets: []tramontane.Toolset{semgrep},
	}
	input := tramontane.UserText("Can you write a hello_world.py and check for security vulnerabilities")
	result, err := runner.Run(ctx, input, nil)
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
	fmt.Printf("\nFinal response: %s\n", result.Text)
	return nil
}
