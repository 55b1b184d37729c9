// Command oauth has the client of this module log in, at an authorization
// server that the project did not write, to MCP servers that want a token. It
// prints a line for each thing that held, and exits with 1 at the first that
// did not.
//
//	oauth -provider FILE THEME...
//
// Without a theme it prints their names.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// limit bounds a theme. Those that wait for a token to end take some seconds.
const limit = 90 * time.Second

var providerScript = flag.String("provider", "", "`FILE`: provider.mjs, in the directory where its packages are")

var themes = map[string]func(context.Context) error{
	"bound":     boundTokens,
	"http":      loginOverHTTP,
	"keys":      signedClient,
	"sse":       loginOverSSE,
	"parallel":  parallelCalls,
	"processes": twoProcesses,
}

func main() {
	log.SetFlags(0)
	if job := os.Getenv(callerVariable); job != "" {
		if err := callAsProcess(job); err != nil {
			log.Fatal(err)
		}
		return
	}
	flag.Parse()
	if flag.NArg() == 0 {
		for _, name := range slices.Sorted(maps.Keys(themes)) {
			fmt.Println(name)
		}
	}
	for _, name := range flag.Args() {
		theme, ok := themes[name]
		if !ok {
			log.Fatalf("no theme %s; there are %s", name, strings.Join(slices.Sorted(maps.Keys(themes)), " "))
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		err := theme(ctx)
		cancel()
		if err != nil {
			log.Fatalf("%s: %v", name, err)
		}
	}
}

func ok(format string, args ...any) { fmt.Printf("ok: "+format+"\n", args...) }
