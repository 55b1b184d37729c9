package mcptool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// stock connects the plain go-sdk client to one of testServers.
func stock(t testing.TB, server string, opts *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	cmd := exec.Command(testBinary(t))
	cmd.Env = append(os.Environ(), serverEnv+"="+server)
	client := mcp.NewClient(&mcp.Implementation{Name: "stock", Version: "1"}, opts)
	cs, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

// Past the SDK or through it, an answer must mean the same.
func TestSameAsStock(t *testing.T) {
	for _, server := range []string{"good", "legacy"} {
		t.Run(server, func(t *testing.T) {
			sameAsStock(t, stock(t, server, nil), start(t, testServer(t, server)))
		})
	}
}

// sameAsStock compares the answers of the good server to both clients.
func sameAsStock(t *testing.T, cs *mcp.ClientSession, tools map[string]tool) {
	t.Helper()
	list, err := cs.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Tools) != len(tools) {
		t.Errorf("%d tools, stock has %d", len(tools), len(list.Tools))
	}
	for _, want := range list.Tools {
		got := tools[want.Name].Definition()
		var schema any
		if err := json.Unmarshal(got.Parameters, &schema); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.InputSchema, schema); diff != "" {
			t.Errorf("%s: schema (-stock +ours):\n%s", want.Name, diff)
		}
		if want.Description != "" && got.Description != want.Description {
			t.Errorf("%s: description %q, stock has %q", want.Name, got.Description, want.Description)
		}
	}

	calls := []string{"echo", "fail", "empty", "refuse", "progress", "no such arguments"}
	for name := range allContent {
		calls = append(calls, "content_"+name)
	}
	for _, name := range calls {
		args := json.RawMessage(`{"text":"x"}`)
		if name == "no such arguments" {
			name, args = "echo", json.RawMessage(`{"text":1}`)
		}
		if name == "fail" {
			args = json.RawMessage(`{}`)
		}
		want, wantErr := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: args})
		got, gotErr := tools[name].Call(t.Context(), &tramontane.Call{Arguments: args})
		if wantErr != nil || gotErr != nil {
			var wantWire, gotWire *jsonrpc.Error
			if !errors.As(wantErr, &wantWire) || !errors.As(gotErr, &gotWire) {
				t.Errorf("%s: error %v, stock has %v", name, gotErr, wantErr)
			} else if diff := cmp.Diff(wantWire, gotWire); diff != "" {
				t.Errorf("%s: error (-stock +ours):\n%s", name, diff)
			}
			continue
		}
		// A blob that is empty and one that is missing look alike
		// to the stock client.
		if diff := cmp.Diff(fromStock(t, want), ours(t, got), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s %s (-stock +ours):\n%s", name, args, diff)
		}
	}
}

type result struct {
	Content    []tramontane.Content
	Structured any
	IsError    bool
}

func ours(t *testing.T, r *tramontane.ToolResult) result {
	t.Helper()
	res := result{Content: r.Content, IsError: r.IsError}
	if r.Structured != nil {
		if err := json.Unmarshal(r.Structured, &res.Structured); err != nil {
			t.Fatal(err)
		}
	}
	return res
}

// fromStock translates by hand what the SDK decoded.
func fromStock(t *testing.T, r *mcp.CallToolResult) result {
	t.Helper()
	res := result{Structured: r.StructuredContent, IsError: r.IsError}
	for _, c := range r.Content {
		switch c := c.(type) {
		case *mcp.TextContent:
			res.Content = append(res.Content, &tramontane.TextContent{Text: c.Text})
		case *mcp.ImageContent:
			res.Content = append(res.Content, &tramontane.ImageContent{Data: c.Data, MIMEType: c.MIMEType})
		case *mcp.AudioContent:
			res.Content = append(res.Content, &tramontane.AudioContent{Data: c.Data, MIMEType: c.MIMEType})
		case *mcp.EmbeddedResource:
			res.Content = append(res.Content, &tramontane.ResourceContent{
				URI: c.Resource.URI, MIMEType: c.Resource.MIMEType, Text: c.Resource.Text, Blob: c.Resource.Blob,
			})
		case *mcp.ResourceLink:
			res.Content = append(res.Content, &tramontane.ResourceLink{
				URI: c.URI, Name: c.Name, Title: c.Title, Description: c.Description, MIMEType: c.MIMEType, Size: *c.Size,
			})
		default:
			t.Fatalf("content of type %T", c)
		}
	}
	return res
}

// Notifications take the SDK's way in both cases.
func TestProgressSameAsStock(t *testing.T) {
	steps := make(chan float64, 10)
	cs := stock(t, "good", &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, req *mcp.ProgressNotificationClientRequest) {
			steps <- req.Params.Progress
		},
	})
	if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "progress"}); err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	s := testServer(t, "good")
	s.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if _, err := start(t, s)["progress"].call(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three steps for each", func() bool {
		return len(steps) == 3 && strings.Count(log.String(), "mcp server progress") == 3
	})
	for _, want := range []string{"progress=0", "progress=1", "progress=2"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %s", want)
		}
	}
}

func TestCancelSameAsStock(t *testing.T) {
	stockFile, ourFile := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "log")
	cs := stock(t, "good", nil)
	our := start(t, testServer(t, "good"))["hang"]
	hang := map[string]func(context.Context) error{
		stockFile: func(ctx context.Context) error {
			_, err := cs.CallTool(ctx, &mcp.CallToolParams{Name: "hang", Arguments: map[string]string{"file": stockFile}})
			return err
		},
		ourFile: func(ctx context.Context) error {
			_, err := our.call(ctx, ourFile)
			return err
		},
	}
	for file, call := range hang {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- call(ctx) }()
		eventually(t, "the call arrives", func() bool { _, err := os.Stat(file); return err == nil })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the context's", err)
		}
		eventually(t, "the server is told", func() bool {
			log, _ := os.ReadFile(file)
			return string(log) == "hang called\nhang cancelled\n"
		})
	}
}

// These tests fail when upstream mends what our connection to processes is
// there for, so that it can go. P6 is in process_unix_test.go, P8 and P9 are
// in sse_test.go, those of streamable HTTP in httpfaults_test.go.
func TestStockFaults(t *testing.T) {
	t.Parallel()
	connect := func(t *testing.T, ctx context.Context, server string) error {
		t.Helper()
		cmd := exec.Command(testBinary(t))
		cmd.Env = append(os.Environ(), serverEnv+"="+server)
		client := mcp.NewClient(&mcp.Implementation{Name: "stock", Version: "1"}, nil)
		cs, err := client.Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
		if err == nil {
			cs.Close()
		}
		return err
	}
	t.Run("P4", func(t *testing.T) { // ours: TestCall/noisy
		if err := connect(t, t.Context(), "noisy"); err == nil || !strings.Contains(err.Error(), "invalid character") {
			t.Errorf("stock go-sdk says of a line that is no message now: %v", err)
		}
	})
	t.Run("P5", func(t *testing.T) { // ours: TestServerSilentAtProbe
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := connect(t, ctx, "silent-probe"); ctx.Err() == nil {
			t.Errorf("stock go-sdk does not wait for ever for server/discover now: %v", err)
		}
	})
	t.Run("P5b", func(t *testing.T) { // issue 1177; ours: TestServerDiesOfProbe
		if err := connect(t, t.Context(), "dies-of-probe"); err == nil || !strings.Contains(err.Error(), "client is closing") {
			t.Errorf("stock go-sdk says of a server that ends at server/discover now: %v", err)
		}
	})
	t.Run("P7", func(t *testing.T) { // ours: TestServerDiesInCall
		_, err := stock(t, "good", nil).CallTool(t.Context(), &mcp.CallToolParams{Name: "crash"})
		if err == nil || strings.Contains(err.Error(), "42") {
			t.Errorf("stock go-sdk says of a crash now: %v", err)
		}
	})
	t.Run("unknown kinds", func(t *testing.T) { // ours: TestUnknownKinds
		cs := stock(t, "strange", nil)
		if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "hologram"}); err == nil {
			t.Error("stock go-sdk keeps a result with unknown content now")
		}
		res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "task"})
		if err != nil || len(res.Content) != 0 {
			t.Errorf("stock go-sdk makes %v, %v of a task now", res, err)
		}
	})
}

// A lockedBuffer can be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
