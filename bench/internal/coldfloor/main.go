// Command coldfloor runs once by hand-written code: coldfloor API-URL MCP-SERVER.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/tramontane-dev/tramontane/bench/internal/floor"
)

func main() {
	ctx := context.Background()
	r := &floor.Runner{URL: os.Args[1], Client: http.DefaultClient}
	if err := r.Connect(ctx, os.Args[2]); err != nil {
		log.Fatal(err)
	}
	answer, err := r.Run(ctx, "some-model", "Echo some text.")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
	r.Session.Close()
}
