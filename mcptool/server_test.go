package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

type tool struct{ tramontane.Tool }

// call calls the tool with arguments of one file, or none.
func (t tool) call(ctx context.Context, file string) (*tramontane.ToolResult, error) {
	args, _ := json.Marshal(map[string]string{"file": file})
	if file == "" {
		args = nil
	}
	return t.Call(ctx, &tramontane.Call{Key: "run/1/call", ID: "call", Arguments: args})
}

func (t tool) callWith(tb testing.TB, args string) (*tramontane.ToolResult, error) {
	return t.Call(tb.Context(), &tramontane.Call{Arguments: json.RawMessage(args)})
}

func TestCall(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"good", "paged", "legacy", "noisy"} {
		t.Run(name, func(t *testing.T) {
			s := testServer(t, name)
			tools := start(t, s)
			if got, want := len(tools), 15+0; got < want {
				t.Errorf("%d tools, want at least %d", got, want)
			}
			got, err := tools["echo"].Call(t.Context(), &tramontane.Call{Arguments: json.RawMessage(`{"text":"hi"}`)})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(got.Structured), `{"text":"hi"}`; got != want {
				t.Errorf("structured content %s, want %s", got, want)
			}
			st := s.Status()
			if st.State != mcptool.Ready || st.Tools != len(tools) || st.Err != nil {
				t.Errorf("status %+v, want ready with %d tools", st, len(tools))
			}
			want := "2026-07-28"
			if name == "legacy" {
				want = "2025-11-25"
			}
			if st.ProtocolVersion != want {
				t.Errorf("protocol version %s, want %s", st.ProtocolVersion, want)
			}
		})
	}
}

func TestDefinition(t *testing.T) {
	t.Parallel()
	tools := start(t, testServer(t, "good"))
	got := tools["echo"].Definition()
	want := tramontane.Definition{
		Name:        "test_echo",
		Description: "Echo it",
		Title:       "Echo it",
		Output:      json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false}`),
		Parameters:  json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false}`),
		Server:      "test",
		Original:    "echo",
		ReadOnly:    true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("definition (-want +got):\n%s", diff)
	}
	if tools["fail"].Definition().ReadOnly {
		t.Error("a tool without the hint is read-only")
	}
}

func TestToolsAreListedOnceUntilTheyChange(t *testing.T) {
	s := testServer(t, "changing")
	first := start(t, s)["t1"]
	if first.Tool == nil {
		t.Fatal("the server was not asked")
	}
	both, err := mcptool.Servers{s}.Tools(t.Context())
	if err != nil || both[0].Definition().Original != "t1" || s.Status().Tools != 1 {
		t.Fatalf("second list = %v, %v, want the first from memory", both, err)
	}
	if _, err := first.call(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if tools := start(t, s); tools["t2"].Tool == nil { // the notice came before the result
		t.Errorf("tools after the change: %v, want t2", tools)
	}
}

func TestToolError(t *testing.T) {
	t.Parallel()
	tools := start(t, testServer(t, "good"))
	res, err := tools["fail"].call(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if !res.IsError || res.Text() != "no weather on Mars" {
		t.Errorf("result %+v, want the server's error", res)
	}
}

// An error that a server answers with costs no session and leaves nothing open,
// whatever its code: two are those by which go-sdk knows that a connection ends.
func TestAnsweredErrors(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		for _, code := range []int64{-32000, -32001, -32003, -32004, -32005, -32603, 7} {
			addTool(server, fmt.Sprint("t", code), func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return nil, &jsonrpc.Error{Code: code, Message: "come back tomorrow"}
			})
		}
		log := newLog(s)
		for name, tool := range start(t, s) {
			_, err := tool.call(t.Context(), "")
			var wire *jsonrpc.Error
			if !errors.As(err, &wire) || wire.Message != "come back tomorrow" || errors.Is(err, tramontane.ErrOutcomeUnknown) {
				t.Errorf("%s: error %v, want the server's", name, err)
			}
		}
		if strings.Contains(log.String(), "session") {
			t.Errorf("the session did not live on:\n%s", log)
		}
	})
}

func TestCallKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"good", "legacy"} {
		res, err := start(t, testServer(t, name))["meta"].call(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := res.Text(), "run/1/call"; got != want {
			t.Errorf("%s: the server got key %q, want %q", name, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("MISTRAL_API_KEY", "secret-1")
	t.Setenv("SOMETHING_ELSE", "secret-2")
	t.Setenv("LET_THROUGH", "open")
	s := testServer(t, "good")
	s.Env["ADDED"] = "by hand"
	s.InheritEnv = []string{"LET_THROUGH"}
	s.Dir = t.TempDir()
	tools := start(t, s)
	res, err := tools["environ"].call(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	env := res.Text()
	if strings.Contains(env, "secret") || strings.Contains(env, "MISTRAL") {
		t.Errorf("secrets reached the server:\n%s", env)
	}
	for _, want := range []string{"ADDED=by hand", "LET_THROUGH=open", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")} {
		if !strings.Contains("\n"+env+"\n", "\n"+want+"\n") {
			t.Errorf("the server does not have %s", want)
		}
	}
	res, err = tools["getwd"].call(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	want, err := filepath.EvalSymlinks(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if res.Text() != want {
		t.Errorf("the server runs in %s, want %s", res.Text(), want)
	}
}

// A config's PATH is where its command is looked up, as in other clients.
func TestCommandInOwnPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(testBinary(t), filepath.Join(dir, "my-mcp-server")); err != nil {
		t.Skip(err)
	}
	s := testServer(t, "good")
	s.Command = "my-mcp-server"
	s.Env["PATH"] = dir
	if err := s.Connect(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		server string
		change func(*mcptool.Server)
		want   []string
	}{
		{"no name", "good", func(s *mcptool.Server) { s.Name = "" }, []string{"a server needs a Name"}},
		{"not in path", "good", func(s *mcptool.Server) { s.Command = "no-such-mcp-server" },
			[]string{"mcp server test", `"no-such-mcp-server" is not in PATH`, "install"}},
		{"no such file", "good", func(s *mcptool.Server) { s.Command = "./no-such-mcp-server" },
			[]string{"mcp server test", "./no-such-mcp-server", "no such file"}},
		{"no such directory", "good", func(s *mcptool.Server) { s.Dir = "/no/such/dir" },
			[]string{"mcp server test", "its working directory /no/such/dir: no such file"}},
		{"no directory", "good", func(s *mcptool.Server) { s.Dir = os.Args[0] },
			[]string{"mcp server test", "its working directory " + os.Args[0] + " is not a directory"}},
		{"exits", "broken", func(*mcptool.Server) {},
			[]string{"mcp server test", "exit status 3", "fatal: no such file: weather.toml"}},
		{"mute", "mute", func(s *mcptool.Server) { s.StartTimeout = 300 * time.Millisecond },
			[]string{"mcp server test", "no answer to the handshake within 300ms"}},
		{"endless list", "endless", func(*mcptool.Server) {}, []string{"mcp server test: list tools", "follows itself"}},
		{"too many pages", "many-pages", func(*mcptool.Server) {}, []string{"mcp server test: list tools", "more than 1000 pages"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testServer(t, tt.server)
			tt.change(s)
			_, err := s.Tools(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err)
			}
			if strings.Contains(err.Error(), "list tools") {
				return // the server itself is well
			}
			st := s.Status()
			if st.State != mcptool.Failed || st.Err == nil {
				t.Errorf("status %+v, want failed", st)
			}
			if tt.name == "exits" && (st.ExitCode != 3 || len(st.Stderr) != 2) {
				t.Errorf("status %+v, want exit code 3 and two lines", st)
			}
		})
	}
}

// Fault P5 of go-sdk: Connect blocks until its context ends.
func TestServerSilentAtProbe(t *testing.T) {
	t.Parallel()
	tools := start(t, testServer(t, "silent-probe"))
	res, err := tools["t"].call(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if res.Text() != "called" {
		t.Errorf("result %q", res.Text())
	}
}

// A server that is slow and has no initialize is waited for.
func TestServerSlowAndModern(t *testing.T) {
	t.Parallel()
	s, count := recorded(t, "slow-modern")
	start(t, s)
	if got, want := s.Status().ProtocolVersion, "2026-07-28"; got != want {
		t.Errorf("protocol version %s, want %s", got, want)
	}
	if n := count("started"); n != 2 {
		t.Errorf("%d processes, want a second one that is asked again", n)
	}
}

// Fault P5b of go-sdk (its issue 1177): the server cannot be reached.
func TestServerDiesOfProbe(t *testing.T) {
	t.Parallel()
	tools := start(t, testServer(t, "dies-of-probe"))
	if _, err := tools["t"].call(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// Fault P7 of go-sdk: the error is a bare EOF.
func TestServerDiesInCall(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	s := testServer(t, "good")
	tools := start(t, s)
	_, err := tools["crash"].call(t.Context(), file)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"mcp server test", "tool crash", "exit status 42", "panic: out of cheese", "the outcome of the call is unknown"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if st := s.Status(); st.State != mcptool.Failed || st.ExitCode != 42 || st.Err == nil {
		t.Errorf("status %+v, want failed with code 42", st)
	}

	if _, err := tools["meta"].call(t.Context(), ""); err != nil {
		t.Errorf("the next call: %v, want one to a new process", err)
	}
	if st := s.Status(); st.State != mcptool.Ready || st.Err != nil {
		t.Errorf("status %+v, want ready", st)
	}
	if log, _ := os.ReadFile(file); string(log) != "crash called\n" {
		t.Errorf("the server logged %q, want one call", log)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	s := testServer(t, "good")
	tools := start(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	logged := func(what string) func() bool {
		return func() bool {
			log, _ := os.ReadFile(file)
			return strings.Contains(string(log), what)
		}
	}
	done := make(chan error)
	go func() {
		_, err := tools["hang"].call(ctx, file)
		done <- err
	}()
	eventually(t, "the call arrives", logged("hang called"))
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	eventually(t, "the server is told", logged("hang cancelled"))
	if _, err := tools["meta"].call(t.Context(), ""); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestCallTimeout(t *testing.T) {
	t.Parallel()
	s := testServer(t, "good")
	s.CallTimeout = 2 * time.Second // which a busy machine needs for the list
	_, err := start(t, s)["hang"].call(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "no answer within 2s") {
		t.Errorf("error %v, want the time-out's", err)
	}
}

// A server that reads no more cannot hold up a caller whose context ended.
func TestDeafServer(t *testing.T) {
	t.Parallel()
	s := testServer(t, "deaf")
	s.CallTimeout = 2 * time.Second // which a busy machine needs for the list
	tools := start(t, s)
	large, _ := json.Marshal(map[string]string{"text": strings.Repeat("x", 1<<20)})
	for range 2 {
		_, err := tools["t"].Call(t.Context(), &tramontane.Call{Arguments: large})
		if err == nil || !strings.Contains(err.Error(), "no answer within 2s") {
			t.Errorf("error %v, want the time-out's", err)
		}
	}
}

// A tool that ran has a result, whatever it looks like.
func TestUnknownKinds(t *testing.T) {
	t.Parallel()
	tools := start(t, testServer(t, "strange"))
	if got := len(tools); got != 4 {
		t.Errorf("%d tools, want the four that are well-formed", got)
	}
	tests := []struct {
		tool string
		want []tramontane.Content
	}{
		{"hologram", []tramontane.Content{
			&tramontane.TextContent{Text: "before"},
			&tramontane.UnknownContent{Type: "hologram", Raw: json.RawMessage(`{"type":"hologram","planes":[1,2],"x":1e400}`)},
		}},
		{"task", []tramontane.Content{
			&tramontane.TextContent{Text: `the server answered with an unknown kind of result, "task":`},
			&tramontane.UnknownContent{Type: "task", Raw: json.RawMessage(`{"resultType":"task","task":{"id":"t-1"}}`)},
		}},
	}
	for _, tt := range tests {
		res, err := tools[tt.tool].call(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, res.Content); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.tool, diff)
		}
	}
}

// What a server asks for in a call is no result of the call.
func TestServerAsks(t *testing.T) {
	t.Parallel()
	res, err := start(t, testServer(t, "strange"))["ask"].call(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "elicit") {
		t.Errorf("result %+v, error %v; want an error that says what was asked for", res, err)
	}
}

func TestMessageTooLong(t *testing.T) {
	t.Parallel()
	_, err := start(t, testServer(t, "strange"))["huge"].call(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "more than 16777216 bytes") {
		t.Errorf("error %v, want one that names the limit", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	s := testServer(t, "good")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			tools, err := s.Tools(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			for _, tt := range tools {
				if tt.Definition().Original != "echo" {
					continue
				}
				if _, err := tt.Call(t.Context(), &tramontane.Call{Arguments: json.RawMessage(`{"text":"x"}`)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(children()); runtime.GOOS == "linux" && n != 1 {
		t.Errorf("%d processes, want 1", n)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	t.Run("before use", func(t *testing.T) {
		s := testServer(t, "good")
		if got := s.Status().State; got != mcptool.Closed {
			t.Errorf("state %s, want closed", got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Connect(t.Context()); err == nil {
			t.Error("Connect after Close: no error")
		}
	})
	t.Run("while connecting", func(t *testing.T) {
		s := testServer(t, "mute")
		done := make(chan error)
		go func() { done <- s.Connect(context.Background()) }()
		eventually(t, "the server starts", func() bool { return s.Status().State == mcptool.Connecting })
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("Connect: %v, want an error that says closed", err)
		}
		if got := s.Status().State; got != mcptool.Closed {
			t.Errorf("state %s, want closed", got)
		}
	})
	t.Run("in a call", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "log")
		s := testServer(t, "good")
		tools := start(t, s)
		done := make(chan error)
		go func() {
			_, err := tools["hang"].call(context.Background(), file)
			done <- err
		}()
		eventually(t, "the call arrives", func() bool { _, err := os.Stat(file); return err == nil })
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("call: %v, want an error that says closed", err)
		}
	})
	t.Run("stubborn", func(t *testing.T) {
		t.Parallel()
		start(t, testServer(t, "stubborn")) // the clean-up closes and looks
	})
}
