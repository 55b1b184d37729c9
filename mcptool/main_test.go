package mcptool_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// serverEnv makes this test binary one of the servers below instead.
const serverEnv = "MCPTOOL_TEST_SERVER"

func TestMain(m *testing.M) {
	if name := os.Getenv(serverEnv); name != "" {
		testServers[name]()
		os.Exit(0)
	}
	flag.Parse()
	// The tests wait for processes more than they compute.
	if n := flag.Lookup("test.parallel"); n.Value.String() == n.DefValue {
		n.Value.Set("8")
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if left := children(); len(left) > 0 {
			fmt.Fprintln(os.Stderr, "processes left at the end:", left)
			code = 1
		}
		os.Exit(code)
	}))
}

// testServers are real programs on real pipes.
var testServers map[string]func()

func init() {
	testServers = map[string]func(){
		"good":   func() { serve(goodServer(0)) },
		"paged":  func() { serve(goodServer(2)) },
		"legacy": func() { serve(legacyServer()) },

		// Prints greetings and logs where only messages belong.
		"noisy": func() {
			fmt.Println("Welcome to the noisy server!")
			fmt.Println(`{"level":"info","msg":"a log line in JSON"}`)
			fmt.Println("[1, 2")
			serve(goodServer(0))
		},
		// Never answers server/discover.
		"silent-probe": func() { serveRaw(answerAll(map[string]string{"server/discover": ""})) },
		// Knows no initialize. Its first process has no answer to
		// server/discover before it refuses that; the next one has it later than
		// a probe waits.
		"slow-modern": func() {
			first := strings.Count(record("started"), "\n") == 1
			serveLines(func(id, method string, params json.RawMessage) string {
				switch {
				case method == "server/discover" && first:
					return ""
				case method == "server/discover":
					time.Sleep(2 * time.Second) // it stands for a download or a build
					return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}}`, id)
				case method == "initialize":
					return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, id)
				}
				return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","tools":[]}}`, id)
			})
		},
		// Ends at the first thing that is not initialize.
		"dies-of-probe": func() {
			serveRaw(func(method string, params json.RawMessage) string {
				if method == "server/discover" {
					os.Exit(7)
				}
				return answerAll(nil)(method, params)
			})
		},
		// Answers nothing at all.
		"mute": func() { serveRaw(func(string, json.RawMessage) string { return "" }) },
		// Shakes hands, then reads no further.
		"deaf": func() {
			answer := answerAll(nil)
			serveRaw(func(method string, params json.RawMessage) string {
				if method == "ping" || method == "tools/call" {
					select {}
				}
				return answer(method, params)
			})
		},
		// Ends neither when its input is closed nor when it is asked to.
		"stubborn": func() {
			signal.Ignore(syscall.SIGTERM)
			serve(goodServer(0))
			select {}
		},
		// Fails before it has said anything.
		"broken": func() {
			fmt.Fprintln(os.Stderr, "reading config")
			fmt.Fprintln(os.Stderr, "fatal: no such file: weather.toml")
			os.Exit(3)
		},
		// Runs the good server as a child, as npx and "go run" do.
		"wrapper": func() {
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), serverEnv+"=stubborn")
			child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
			if err := child.Start(); err != nil {
				log.Fatal(err)
			}
			fmt.Fprintln(os.Stderr, "grandchild", child.Process.Pid)
			child.Wait()
		},
		// Answers with what this year's clients do not know.
		"strange": func() {
			serveRaw(answerAll(map[string]string{
				"tools/list": `{"tools":[{"name":"hologram","inputSchema":{"type":"object"}},{"name":"task","inputSchema":{"type":"object"}},
					{"name":"huge","inputSchema":{"type":"object"}},{"name":"ask","inputSchema":{"type":"object"}},
					{"name":7},{"name":"bad","inputSchema":"no"},{"name":"hologram","inputSchema":{"type":"object"}}]}`,
				"tools/call hologram": `{"content":[{"type":"text","text":"before"},{"type":"hologram","planes":[1,2],"x":1e400}]}`,
				"tools/call huge":     `{"content":[{"type":"text","text":"` + strings.Repeat("x", 17<<20) + `"}]}`,
				"tools/call ask": `{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create",
					"params":{"message":"Which one?","requestedSchema":{"type":"object","properties":{}}}}}}`,
				"tools/call task": `{"resultType":"task","task":{"id":"t-1"}}`,
			}))
		},
		// Offers the tools that a variable names.
		"named": func() {
			var tools []map[string]any
			for _, name := range strings.Split(os.Getenv("TOOLS"), "\n") {
				tools = append(tools, map[string]any{"name": name, "inputSchema": map[string]any{"type": "object"}})
			}
			list, err := json.Marshal(map[string]any{"tools": tools})
			if err != nil {
				log.Fatal(err)
			}
			serveRaw(answerAll(map[string]string{"tools/list": string(list)}))
		},
		// Costs little, to measure the client.
		"lean": func() {
			serveRaw(answerAll(map[string]string{
				"tools/list": `{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}`,
				"tools/call": `{"content":[{"type":"text","text":"` + strings.Repeat("x", 100) + `"}]}`,
			}))
		},
		// Closes its output in a call, and lives on.
		"mum": func() {
			signal.Ignore(syscall.SIGTERM)
			answer := answerAll(nil)
			serveRaw(func(method string, params json.RawMessage) string {
				if method == "tools/call" {
					os.Stdout.Close()
					select {}
				}
				return answer(method, params)
			})
		},
		// Closes its input in a call, and lives on.
		"walled": func() {
			serveRaw(func(method string, params json.RawMessage) string {
				if method == "tools/call" {
					os.Stdin.Close()
					fmt.Fprintln(os.Stderr, "walled")
					select {}
				}
				return answerAll(nil)(method, params)
			})
		},
		// Says and asks far more than anybody wants, and reads no answer.
		"chatty": func() {
			answer := answerAll(nil)
			serveRaw(func(method string, params json.RawMessage) string {
				if method == "tools/call" {
					for i := range 20_000 {
						fmt.Println(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"` + strings.Repeat("x", 100) + `"}}`)
						fmt.Printf(`{"jsonrpc":"2.0","id":"q%d","method":"ping"}`+"\n", i)
					}
				}
				return answer(method, params)
			})
		},
		// Says what the SDK has to work on, and asks before it reads an answer.
		"flood": func() {
			answer := answerAll(nil)
			serveRaw(func(method string, params json.RawMessage) string {
				if method == "tools/call" {
					for i := range 5_000 {
						fmt.Println(`{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}`)
						fmt.Println(`{"jsonrpc":"2.0","method":"notifications/of/the/server/itself","params":{}}`)
						fmt.Printf(`{"jsonrpc":"2.0","id":"q%d-%s","method":"roots/list","params":{"x":"%s"}}`+"\n", i, time.Now(), strings.Repeat("x", 1000))
					}
				}
				return answer(method, params)
			})
		},
		// Answers in a batch, between things that are no messages.
		"batch": func() {
			answer := answerAll(nil)
			serveLines(func(id, method string, params json.RawMessage) string {
				result := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, answer(method, params))
				if method == "tools/call" {
					return `[7, {"jsonrpc":"2.0","id":[1],"result":{}}, ` + result + `, {"jsonrpc":"1.0"}]`
				}
				return result
			})
		},
		// Names its tool after how often it was asked, and says in a call that its
		// tools changed.
		"changing": func() {
			asked := 0
			answer := answerAll(nil)
			serveRaw(func(method string, params json.RawMessage) string {
				switch method {
				case "tools/list":
					asked++
					return fmt.Sprintf(`{"tools":[{"name":"t%d","inputSchema":{"type":"object"}}]}`, asked)
				case "tools/call":
					fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
				}
				return answer(method, params)
			})
		},
		// Lists pages for ever, each with a cursor of its own.
		"many-pages": func() {
			page := 0
			answer := answerAll(nil)
			serveRaw(func(method string, params json.RawMessage) string {
				if method == "tools/list" {
					page++
					return fmt.Sprintf(`{"tools":[],"nextCursor":"%d"}`, page)
				}
				return answer(method, params)
			})
		},
		// Lists one page for ever.
		"endless": func() { serveRaw(answerAll(map[string]string{"tools/list": `{"tools":[],"nextCursor":"again"}`})) },
	}
}

func serve(s *mcp.Server) {
	// Errors of the transport are the ends that tests bring about.
	_ = s.Run(context.Background(), &mcp.StdioTransport{})
}

type text struct {
	Text string `json:"text"`
}

// goodServer has a tool for each way in which a call can go.
func goodServer(pageSize int) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "good", Version: "1"}, &mcp.ServerOptions{PageSize: pageSize})
	add := func(name string, handler mcp.ToolHandler) {
		s.AddTool(&mcp.Tool{Name: name, Description: "Does " + name + ".", InputSchema: json.RawMessage(`{"type":"object"}`)}, handler)
	}
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Annotations: &mcp.ToolAnnotations{Title: "Echo it", ReadOnlyHint: true}},
		func(_ context.Context, _ *mcp.CallToolRequest, in text) (*mcp.CallToolResult, text, error) {
			return nil, in, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "fail"},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return nil, nil, fmt.Errorf("no weather on Mars")
		})
	for name, c := range allContent {
		add("content_"+name, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{c}}, nil
		})
	}
	add("empty", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{}, nil
	})
	add("refuse", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return nil, &jsonrpc.Error{Code: -32001, Message: "come back tomorrow", Data: json.RawMessage(`{"at":"9:00"}`)}
	})
	add("progress", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for i := range 3 {
			p := &mcp.ProgressNotificationParams{ProgressToken: "p", Progress: float64(i), Total: 3, Message: "step"}
			if err := req.Session.NotifyProgress(ctx, p); err != nil {
				return nil, err
			}
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil
	})
	add("meta", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(req.Params.Meta["tramontane/callKey"])}}}, nil
	})
	add("environ", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: strings.Join(os.Environ(), "\n")}}}, nil
	})
	add("getwd", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		dir, err := os.Getwd()
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: dir}}}, err
	})
	// The two below write to the file that their arguments name, to be seen
	// from outside.
	add("crash", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		note(req, "crash called\n")
		fmt.Fprintln(os.Stderr, "panic: out of cheese")
		os.Exit(42)
		return nil, nil
	})
	add("hang", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		note(req, "hang called\n")
		<-ctx.Done()
		note(req, "hang cancelled\n")
		return nil, ctx.Err()
	})
	return s
}

func note(req *mcp.CallToolRequest, s string) {
	var args struct {
		File string `json:"file"`
	}
	if err := json.Unmarshal(req.Params.Arguments, &args); err != nil || args.File == "" {
		return
	}
	f, err := os.OpenFile(args.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	f.WriteString(s)
}

var allContent = map[string]mcp.Content{
	"text":          &mcp.TextContent{Text: "sunny, 22 °C <b>&</b>\u2028"},
	"text_empty":    &mcp.TextContent{},
	"image":         &mcp.ImageContent{Data: []byte{0, 1, 254, 255}, MIMEType: "image/png"},
	"audio":         &mcp.AudioContent{Data: []byte("RIFF"), MIMEType: "audio/wav"},
	"resource_text": &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "file:///a", MIMEType: "text/plain", Text: "a"}},
	"resource_blob": &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "file:///b", MIMEType: "application/pdf", Blob: []byte{1, 2}}},
	"resource_link": &mcp.ResourceLink{URI: "file:///c", Name: "c", Title: "C", Description: "the c", MIMEType: "text/x", Size: new(int64)},
}

// legacyServer knows nothing newer than 2025-11-25.
func legacyServer() *mcp.Server {
	s := goodServer(0)
	s.AddReceivingMiddleware(withoutDiscover)
	return s
}

func withoutDiscover(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if method == "server/discover" {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "method not found"}
		}
		return next(ctx, method, req)
	}
}

// serveRaw answers each request with the result that answer returns, or not
// at all if that is empty.
func serveRaw(answer func(method string, params json.RawMessage) string) {
	serveLines(func(id, method string, params json.RawMessage) string {
		result := answer(method, params)
		if result == "" {
			return ""
		}
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, strings.ReplaceAll(result, "\n", " "))
	})
}

// serveLines answers each request with the line that answer returns, or not at
// all if that is empty.
func serveLines(answer func(id, method string, params json.RawMessage) string) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var req struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		if err := json.Unmarshal(in.Bytes(), &req); err != nil {
			log.Fatal(err)
		}
		if req.ID == nil {
			continue
		}
		if line := answer(string(req.ID), req.Method, req.Params); line != "" {
			fmt.Println(line)
		}
	}
}

// answerAll answers as a small server of 2025-11-25 does, save what results
// says, by method or by "tools/call <name>".
func answerAll(results map[string]string) func(string, json.RawMessage) string {
	all := map[string]string{
		"server/discover": `{"supportedVersions":["2025-11-25"],"capabilities":{}}`,
		"initialize":      `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}}`,
		"tools/list":      `{"tools":[{"name":"t","description":"A tool.","inputSchema":{"type":"object"}}]}`,
		"tools/call":      `{"content":[{"type":"text","text":"called"}]}`,
	}
	maps.Copy(all, results)
	return func(method string, params json.RawMessage) string {
		var p struct{ Name string }
		json.Unmarshal(params, &p)
		if r, ok := all[method+" "+p.Name]; ok {
			return r
		}
		return all[method]
	}
}

// start returns the tools of s by their own names.
func start(t *testing.T, s *mcptool.Server) map[string]tool {
	t.Helper()
	tools, err := s.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]tool)
	for _, tt := range tools {
		byName[tt.Definition().Original] = tool{tt}
	}
	return byName
}

// testServer returns one of testServers, closed at the end of the test.
func testServer(t testing.TB, name string) *mcptool.Server {
	t.Helper()
	s := &mcptool.Server{
		Name:    "test",
		Command: testBinary(t),
		// The race detector would let each server sleep for a second at its end.
		Env: map[string]string{serverEnv: name, "GORACE": "atexit_sleep_ms=0"},
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func testBinary(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// children returns the processes that this one started, as far as the system
// tells.
func children() []string {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return nil // no /proc here: the tests of single processes must do
	}
	self := strconv.Itoa(os.Getpid())
	var found []string
	for _, stat := range stats {
		data, err := os.ReadFile(stat)
		if err != nil {
			continue // gone meanwhile
		}
		// pid (comm) state ppid ...
		rest := string(data[strings.LastIndexByte(string(data), ')')+1:])
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == self {
			found = append(found, string(data[:60]))
		}
	}
	slices.Sort(found)
	return found
}

// eventually waits until ok, for what happens in another process.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 10s: %s", what)
}
