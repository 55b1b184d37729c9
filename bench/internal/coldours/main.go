// Command coldours runs once with Tramontane: coldours API-URL MCP-SERVER.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

func main() {
	server := &mcptool.Server{Name: "bench", Command: os.Args[2]}
	r := &tramontane.Runner{
		Client:   &mistral.Client{BaseURL: os.Args[1]},
		Model:    "some-model",
		Toolsets: []tramontane.Toolset{server},
	}
	result, err := r.Run(context.Background(), tramontane.UserText("Echo some text."), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Text)
	server.Close()
}
