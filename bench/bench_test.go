//go:build unix

// Package bench compares a run with Tramontane to the same run written by hand.
// README.md says what is measured and how to repeat it.
package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/bench/internal/floor"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if binaries.dir != "" {
		os.RemoveAll(binaries.dir)
	}
	results.print(os.Stdout)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// Both ways do the same: the same answer, and two requests to the model for it.
func TestWaysAgree(t *testing.T) {
	s := newSetup(t)
	const want = "twenty bytes of text"
	for _, way := range s.runs() {
		before := s.requests(t)
		if got, err := way.run(t.Context()); got != want || err != nil {
			t.Errorf("%s answered %q, %v, want %q", way.name, got, err, want)
		}
		if n := s.requests(t) - before; n != 2 {
			t.Errorf("%s asked the model %d times, want 2", way.name, n)
		}
	}
	for _, way := range s.streams() {
		const events = 100
		answer, n, err := way.stream(t.Context(), events)
		if n != events+2 || !strings.HasPrefix(answer, " token0 token1") || !strings.HasSuffix(answer, " token99") || err != nil {
			t.Errorf("%s had %q in %d events, %v, want %d events", way.name, answer, n, err, events+2)
		}
	}
	for _, name := range colds {
		if got, err := s.start(name); got != want || err != nil {
			t.Errorf("%s answered %q, %v, want %q", name, got, err, want)
		}
	}
}

// BenchmarkRun is a run of two requests to the model and one call of an MCP
// server's tool over stdio, one after the other and 64 at once.
func BenchmarkRun(b *testing.B) {
	s := newSetup(b)
	for _, parallel := range []int{1, 64} {
		cell := fmt.Sprintf("Run, %d at once", parallel)
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) {
			for range rounds {
				for _, way := range s.runs() {
					b.Run(way.name, func(b *testing.B) {
						warm(b, way.run)
						measure(b, cell, way.name, "run", 1, func() { repeat(b, parallel, way.run) })
					})
				}
			}
		})
	}
}

// BenchmarkStream is one streamed reply.
func BenchmarkStream(b *testing.B) {
	s := newSetup(b)
	for _, events := range []int{20_000, 200_000} {
		cell := fmt.Sprintf("Stream, %d events", events)
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			for range rounds {
				for _, way := range s.streams() {
					b.Run(way.name, func(b *testing.B) {
						measure(b, cell, way.name, "event", events, func() {
							for b.Loop() {
								if _, n, err := way.stream(b.Context(), events); err != nil || n != events+2 {
									b.Fatalf("%d events, %v", n, err)
								}
							}
						})
					})
				}
			}
		})
	}
}

// BenchmarkCold is a process that starts, connects to an MCP server, runs once
// and ends. Its CPU time has that of the MCP server in it.
func BenchmarkCold(b *testing.B) {
	s := newSetup(b)
	for range rounds {
		for _, name := range colds {
			way := strings.TrimPrefix(name, "cold")
			b.Run(way, func(b *testing.B) {
				measureChildren(b, "Cold start", way, func() {
					for b.Loop() {
						if _, err := s.start(name); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}

var colds = []string{"coldfloor", "coldours"}

// repeat does b.N runs, parallel of them at once.
func repeat(b *testing.B, parallel int, run func(context.Context) (string, error)) {
	if parallel == 1 {
		for b.Loop() {
			if _, err := run(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
	b.SetParallelism((parallel + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := run(b.Context()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// warm opens connections and fills pools.
func warm(b *testing.B, run func(context.Context) (string, error)) {
	for range 20 {
		if _, err := run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// A setup is a model API and an MCP server for each way.
type setup struct {
	url    string
	floor  *floor.Runner
	server *mcptool.Server
}

func newSetup(tb testing.TB) *setup {
	dir := binaries.build(tb)
	api := exec.Command(filepath.Join(dir, "api"))
	out, err := api.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := api.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		api.Process.Kill()
		api.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	// The default transport keeps two connections, which would measure dialing.
	// Ours has a transport of its own, which keeps as many as this one.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	tb.Cleanup(transport.CloseIdleConnections)

	echo := filepath.Join(dir, "echo")
	s := &setup{url: strings.TrimSpace(url)}
	s.floor = &floor.Runner{URL: s.url, Client: &http.Client{Transport: transport}}
	if err := s.floor.Connect(context.Background(), echo); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.floor.Session.Close() })
	s.server = &mcptool.Server{Name: "bench", Command: echo}
	tb.Cleanup(func() { s.server.Close() })
	if err := s.server.Connect(context.Background()); err != nil {
		tb.Fatal(err)
	}
	return s
}

// requests returns how often the model was asked.
func (s *setup) requests(tb testing.TB) (n int) {
	resp, err := s.floor.Client.Get(s.url + "/requests")
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := fmt.Fscan(resp.Body, &n); err != nil {
		tb.Fatal(err)
	}
	return n
}

type runWay struct {
	name string
	run  func(context.Context) (string, error)
}

// runs are the ways to run, the floor first.
func (s *setup) runs() []runWay {
	const text = "Echo some text."
	client := &mistral.Client{BaseURL: s.url}
	runner := &tramontane.Runner{Client: client, Model: "some-model", Toolsets: []tramontane.Toolset{s.server}}
	return []runWay{
		{"floor", func(ctx context.Context) (string, error) { return s.floor.Run(ctx, "some-model", text) }},
		{"ours", func(ctx context.Context) (string, error) {
			result, err := runner.Run(ctx, tramontane.UserText(text), nil)
			return result.Text, err
		}},
	}
}

type streamWay struct {
	name   string
	stream func(ctx context.Context, events int) (answer string, n int, err error)
}

// streams are the ways to stream, the floor first.
func (s *setup) streams() []streamWay {
	const text = "Say a lot."
	client := &mistral.Client{BaseURL: s.url}
	return []streamWay{
		{"floor", func(ctx context.Context, events int) (string, int, error) {
			return s.floor.Stream(ctx, fmt.Sprintf("stream-%d", events), text)
		}},
		{"ours", func(ctx context.Context, events int) (answer string, n int, err error) {
			r := &tramontane.Runner{Client: client, Model: fmt.Sprintf("stream-%d", events)}
			for event, err := range r.Stream(ctx, tramontane.UserText(text), nil) {
				if err != nil {
					return "", n, err
				}
				switch event := event.(type) {
				case *tramontane.ReplyEvent:
					n++
				case *tramontane.DoneEvent:
					answer = event.Result.Text
				}
			}
			return answer, n, nil
		}},
		{"client alone", func(ctx context.Context, events int) (string, int, error) {
			var answer strings.Builder
			n := 0
			in := &mistral.ConversationRequest{Model: fmt.Sprintf("stream-%d", events), Inputs: mistral.Inputs{Text: text}}
			for event, err := range client.StreamStart(ctx, in) {
				if err != nil {
					return "", n, err
				}
				n++
				if delta, ok := event.(*mistral.MessageOutputDelta); ok {
					answer.WriteString(delta.Content.Text)
				}
			}
			return answer.String(), n, nil
		}},
	}
}

// start runs one of the commands for the cold start and returns what it prints.
func (s *setup) start(name string) (string, error) {
	dir := binaries.dir
	cmd := exec.Command(filepath.Join(dir, name), s.url, filepath.Join(dir, "echo"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// binaries are the commands below internal, built once.
var binaries builder

type builder struct {
	once sync.Once
	dir  string
	err  error
}

func (bs *builder) build(tb testing.TB) string {
	bs.once.Do(func() {
		if bs.dir, bs.err = os.MkdirTemp("", "tramontane-bench"); bs.err != nil {
			return
		}
		var out []byte
		cmd := exec.Command("go", "build", "-o", bs.dir, "./internal/api", "./internal/echo", "./internal/coldfloor", "./internal/coldours")
		if out, bs.err = cmd.CombinedOutput(); bs.err != nil {
			bs.err = fmt.Errorf("go build: %w\n%s", bs.err, out)
		}
	})
	if bs.err != nil {
		tb.Fatal(bs.err)
	}
	return bs.dir
}
