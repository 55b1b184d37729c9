// Command remote-login runs a model with the tools of a remote MCP server that
// wants a person to log in first. The login is kept: the next run needs none.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcpauth"
	"github.com/tramontane-dev/tramontane/mcptool"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	url := cmp.Or(os.Getenv("MCP_URL"), "https://mcp.linear.app/sse")
	linear := &mcptool.Server{
		Name: "linear",
		URL:  url,
		// When the server asks for a login, the browser is opened, and comes back
		// to http://localhost:16010/oauth/callback.
		Auth: &mcpauth.Login{
			Server:   url,
			Prompter: &mcpauth.Loopback{Port: 16010, Path: "/oauth/callback", Out: os.Stderr},
		},
	}
	defer linear.Close()

	runner := &tramontane.Runner{ // with the key in MISTRAL_API_KEY
		Model:    "mistral-medium-latest",
		Toolsets: []tramontane.Toolset{linear},
	}
	result, err := runner.Run(ctx, tramontane.UserText("Tell me which projects do I have in my workspace?"), nil)
	if err != nil {
		return err
	}
	fmt.Printf("Final response: %s\n", result.Text)
	return nil
}
