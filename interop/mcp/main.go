// Command mcp has the client of this module use MCP servers that the project
// did not write, each with all that it offers. It prints a line for each thing
// that held, and exits with 1 at the first that did not.
//
//	mcp -node DIR -python FILE -weather FILE -everything FILE THEME...
//
// Without a theme it prints their names.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/internal/playcalls"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// limit bounds a theme. Each takes a few seconds; servers are started cold.
const limit = time.Minute

var (
	node      = flag.String("node", "", "directory `DIR` in which the servers from npm are installed")
	python    = flag.String("python", "", "`FILE`: a Python that has the MCP SDK")
	weatherPy = flag.String("weather", "", "`FILE`: the weather server, weather.py")
	goServer  = flag.String("everything", "", "`FILE`: the everything server of go-sdk")
)

var themes = map[string]func(context.Context) error{
	"everything-http":  everythingHTTP,
	"everything-sse":   everythingSSE,
	"everything-stdio": everythingStdio,
	"files":            files,
	"go-sdk-stateful":  goSDK("-stateless=false"),
	"go-sdk-stateless": goSDK("-stateless=true"),
	"go-sdk-stdio":     goSDKStdio,
	"memory":           memory,
	"thinking":         thinking,
	"weather-sse":      weatherSSE,
	"weather-stdio":    weatherStdio,
}

func main() {
	log.SetFlags(0)
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

// fromNPM is a server that was installed from npm.
func fromNPM(name string, args ...string) *mcptool.Server {
	return &mcptool.Server{
		Name:    name,
		Command: filepath.Join(*node, "node_modules", ".bin", "mcp-server-"+name),
		Args:    args,
	}
}

// A step is one call of a tool and what must come of it.
type step struct {
	tool  string // the server's own name
	args  string // if zero, none
	check func(*tramontane.ToolResult) error
}

// play makes the calls in one run and checks what came of each.
func play(ctx context.Context, s *mcptool.Server, steps []step, watch func(tramontane.Event)) error {
	names, err := namesOf(ctx, s)
	if err != nil {
		return err
	}
	var calls []playcalls.Call
	for _, step := range steps {
		if names[step.tool] == "" {
			return fmt.Errorf("%s offers no tool %s, but %q", s, step.tool, slices.Sorted(maps.Keys(names)))
		}
		calls = append(calls, playcalls.Call{Tool: names[step.tool], Arguments: json.RawMessage(step.args)})
	}
	results, err := playcalls.Run(ctx, []tramontane.Toolset{s}, calls, watch)
	if err != nil {
		return err
	}
	for i, step := range steps {
		if results[i].Result == nil {
			return fmt.Errorf("%s: call %d of %s: no result: %s", s, i+1, step.tool, results[i].Entry.Result)
		}
		if err := step.check(results[i].Result); err != nil {
			return fmt.Errorf("%s: call %d of %s: %w in %s", s, i+1, step.tool, err, shown(results[i].Result))
		}
		ok("%s: %s", s.Name, step.tool)
	}
	return nil
}

func shown(result *tramontane.ToolResult) string {
	b, err := json.Marshal(result)
	if err != nil {
		return err.Error()
	}
	return string(b[:min(len(b), 2000)])
}

// namesOf maps the server's names for its tools to those that a model sees.
func namesOf(ctx context.Context, s *mcptool.Server) (map[string]string, error) {
	tools, err := s.Tools(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string)
	for _, tool := range tools {
		names[tool.Definition().Original] = tool.Definition().Name
	}
	return names, nil
}

// allPlayed says which tools of the server neither a step called nor left gives
// a reason for.
func allPlayed(ctx context.Context, s *mcptool.Server, steps []step, left map[string]string) error {
	names, err := namesOf(ctx, s)
	if err != nil {
		return err
	}
	for _, step := range steps {
		delete(names, step.tool)
	}
	for tool := range left {
		delete(names, tool)
	}
	if len(names) > 0 {
		return fmt.Errorf("%s offers tools that nobody called: %q", s, slices.Sorted(maps.Keys(names)))
	}
	ok("%s: each of its tools was called", s.Name)
	return nil
}

// says checks for a text in what a model would read.
func says(want string) func(*tramontane.ToolResult) error {
	return func(r *tramontane.ToolResult) error {
		if r.IsError {
			return fmt.Errorf("the tool failed")
		}
		if !strings.Contains(r.Text(), want) {
			return fmt.Errorf("no %q", want)
		}
		return nil
	}
}

// fails checks for a failure of the tool itself, with a text.
func fails(want string) func(*tramontane.ToolResult) error {
	return func(r *tramontane.ToolResult) error {
		if !r.IsError || !strings.Contains(r.Text(), want) {
			return fmt.Errorf("no failure that says %q", want)
		}
		return nil
	}
}

// holds checks for a piece of content that test takes.
func holds[C tramontane.Content](what string, count int, test func(C) bool) func(*tramontane.ToolResult) error {
	return func(r *tramontane.ToolResult) error {
		found := 0
		for _, content := range r.Content {
			if c, ok := content.(C); ok && test(c) {
				found++
			}
		}
		if found != count {
			return fmt.Errorf("%d times %s, not %d times,", found, what, count)
		}
		return nil
	}
}

// structured checks one member of the structured result.
func structured[V comparable](name string, want V) func(*tramontane.ToolResult) error {
	return func(r *tramontane.ToolResult) error {
		var members map[string]json.RawMessage
		var got V
		if err := json.Unmarshal(r.Structured, &members); err != nil {
			return fmt.Errorf("the structured result: %w", err)
		}
		if err := json.Unmarshal(members[name], &got); err != nil || got != want {
			return fmt.Errorf("structured %s is %s, not %v,", name, members[name], want)
		}
		return nil
	}
}

// both is two checks.
func both(first, second func(*tramontane.ToolResult) error) func(*tramontane.ToolResult) error {
	return func(r *tramontane.ToolResult) error {
		if err := first(r); err != nil {
			return err
		}
		return second(r)
	}
}

// jsonOf encodes what cannot fail to be encoded.
func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// scratch makes a directory for a server to work in.
func scratch() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "interop-mcp-")
	if err != nil {
		return "", nil, err
	}
	// Servers compare real paths; on macOS the temporary directory is a link.
	real, err := filepath.EvalSymlinks(dir)
	return real, func() { os.RemoveAll(dir) }, err
}
