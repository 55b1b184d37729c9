//go:build unix

package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// callText is what the tool is called with, and returns.
var callText = strings.Repeat("x", 100)

// TestTransportsAgree sees that each way calls the tool.
func TestTransportsAgree(t *testing.T) {
	for _, tr := range transports(t) {
		for _, way := range tr.ways {
			if got, err := way.run(t.Context()); got != callText || err != nil {
				t.Errorf("%s, %s returned %q, %v", tr.name, way.name, got, err)
			}
		}
	}
}

// BenchmarkTransport is one call of an MCP server's tool by each transport, one
// after the other and 64 at once.
func BenchmarkTransport(b *testing.B) {
	for _, tr := range transports(b) {
		for _, parallel := range []int{1, 64} {
			cell := fmt.Sprintf("%s, %d at once", tr.name, parallel)
			b.Run(fmt.Sprintf("%s/parallel=%d", strings.ReplaceAll(tr.name, " ", "-"), parallel), func(b *testing.B) {
				for range rounds {
					for _, way := range tr.ways {
						if parallel > 1 && way.alone {
							continue
						}
						b.Run(way.name, func(b *testing.B) {
							warm(b, way.run)
							measure(b, cell, way.name, "call", 1, func() { repeat(b, parallel, way.run) })
						})
					}
				}
			})
		}
	}
}

type transport struct {
	name string
	ways []callWay // the floor first
}

type callWay struct {
	name  string
	run   func(context.Context) (string, error)
	alone bool // it cannot match answers with calls
}

// transports are the transports and the ways to call by each: the least that
// can be done, go-sdk as it comes, and ours.
func transports(tb testing.TB) []transport {
	dir := binaries.build(tb)
	echo := filepath.Join(dir, "echo")
	server := exec.Command(echo, "http")
	out, err := server.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	url = strings.TrimSpace(url)

	http64 := http.DefaultTransport.(*http.Transport).Clone()
	http64.MaxIdleConnsPerHost = 64
	client := &http.Client{Transport: http64}
	tb.Cleanup(http64.CloseIdleConnections)

	places := mcp.NewServer(&mcp.Implementation{Name: "echo", Version: "1"}, nil)
	places.AddTool(&mcp.Tool{Name: "echo", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			var in struct{ Text string }
			if err := json.Unmarshal(req.Params.Arguments, &in); err != nil {
				return nil, err
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil
		})
	near, far := mcp.NewInMemoryTransports()
	session, err := places.Connect(tb.Context(), far, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { session.Close() })

	return []transport{
		{"stdio", []callWay{
			{"a pipe", pipe(tb, echo), true},
			stock(tb, &mcp.CommandTransport{Command: exec.Command(echo)}),
			ours(tb, &mcptool.Server{Name: "bench", Command: echo}),
		}},
		{"HTTP JSON", []callWay{
			{"a POST", post(client, url+"/json"), false},
			stock(tb, &mcp.StreamableClientTransport{Endpoint: url + "/json", HTTPClient: client}),
			ours(tb, &mcptool.Server{Name: "bench", URL: url + "/json", Transport: mcptool.StreamableHTTP}),
		}},
		{"HTTP events", []callWay{
			{"a POST", post(client, url+"/events"), false},
			stock(tb, &mcp.StreamableClientTransport{Endpoint: url + "/events", HTTPClient: client}),
			ours(tb, &mcptool.Server{Name: "bench", URL: url + "/events", Transport: mcptool.StreamableHTTP}),
		}},
		{"SSE", []callWay{
			{"a POST", post(client, url+"/json"), false},
			stock(tb, &mcp.SSEClientTransport{Endpoint: url + "/sse", HTTPClient: client}),
			ours(tb, &mcptool.Server{Name: "bench", URL: url + "/sse", Transport: mcptool.SSE}),
		}},
		{"in memory", []callWay{
			stock(tb, near),
			ours(tb, &mcptool.Server{Name: "bench", Dial: mcptool.InMemory(places)}),
		}},
	}
}

func stock(tb testing.TB, t mcp.Transport) callWay {
	client := mcp.NewClient(&mcp.Implementation{Name: "stock", Version: "1"}, nil)
	cs, err := client.Connect(tb.Context(), t, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { cs.Close() })
	args := json.RawMessage(`{"text":"` + callText + `"}`)
	return callWay{"go-sdk", func(ctx context.Context) (string, error) {
		res, err := cs.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: args})
		if err != nil {
			return "", err
		}
		return res.Content[0].(*mcp.TextContent).Text, nil
	}, false}
}

func ours(tb testing.TB, s *mcptool.Server) callWay {
	tb.Cleanup(func() { s.Close() })
	tools, err := s.Tools(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	args := json.RawMessage(`{"text":"` + callText + `"}`)
	return callWay{"ours", func(ctx context.Context) (string, error) {
		res, err := tools[0].Call(ctx, &tramontane.Call{Key: "run/1/call", Arguments: args})
		if err != nil {
			return "", err
		}
		return res.Text(), nil
	}, false}
}

const (
	pipeHello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},` +
		`"clientInfo":{"name":"floor","version":"1"}}}` + "\n" + `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n"
	callBefore = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"`
	callAfter  = `"}}}` + "\n"
)

// textOf finds the text in an answer without decoding it.
func textOf(answer []byte) (string, error) {
	_, rest, ok := strings.Cut(string(answer), `"text","text":"`)
	text, _, _ := strings.Cut(rest, `"`)
	if !ok {
		return "", fmt.Errorf("no text in %q", answer)
	}
	return text, nil
}

// pipe returns a call without any library: a line out and a line back.
func pipe(tb testing.TB, command string) func(context.Context) (string, error) {
	cmd := exec.Command(command)
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	answers := bufio.NewReaderSize(out, 64<<10)
	io.WriteString(in, pipeHello)
	if _, err := answers.ReadSlice('\n'); err != nil {
		tb.Fatal(err)
	}
	request := []byte(callBefore + callText + callAfter)
	return func(context.Context) (string, error) {
		if _, err := in.Write(request); err != nil {
			return "", err
		}
		line, err := answers.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		return textOf(line)
	}
}

// post returns a call with net/http alone.
func post(client *http.Client, url string) func(context.Context) (string, error) {
	request := callBefore + callText + callAfter
	return func(ctx context.Context) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(request))
		if err != nil {
			return "", err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return "", err
		}
		return textOf(body)
	}
}
