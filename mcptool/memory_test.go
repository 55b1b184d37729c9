package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

// memoryServer returns a client's view of a server in this process.
func memoryServer(t testing.TB, server *mcp.Server) *mcptool.Server {
	t.Helper()
	s := &mcptool.Server{Name: "test", Dial: mcptool.InMemory(server)}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestInMemory(t *testing.T) {
	for name, server := range map[string]func() *mcp.Server{
		"good":   func() *mcp.Server { return goodServer(0) },
		"legacy": legacyServer,
	} {
		t.Run(name, func(t *testing.T) {
			near, far := mcp.NewInMemoryTransports()
			ss, err := server().Connect(t.Context(), far, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ss.Close() })
			cs, err := mcp.NewClient(&mcp.Implementation{Name: "stock", Version: "1"}, nil).Connect(t.Context(), near, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cs.Close() })
			sameAsStock(t, cs, start(t, memoryServer(t, server())))
		})
	}
}

// The session of the server ends with ours, and what its handlers do as well.
func TestInMemoryClose(t *testing.T) {
	server := goodServer(0)
	s := memoryServer(t, server)
	hang := start(t, s)["hang"]
	log := filepath.Join(t.TempDir(), "log")
	called := make(chan error, 1)
	go func() {
		_, err := hang.call(t.Context(), log)
		called <- err
	}()
	eventually(t, "the call arrives", logged(log, "hang called\n"))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !logged(log, "hang called\nhang cancelled\n")() {
		t.Error("Close did not wait for the handler")
	}
	if err := <-called; !errors.Is(err, tramontane.ErrOutcomeUnknown) {
		t.Errorf("the call: %v, want an unknown outcome", err)
	}
	for range server.Sessions() {
		t.Error("the server has a session still")
	}
}

// A server in memory that ends the session is dialed again.
func TestInMemoryServerEnds(t *testing.T) {
	server := goodServer(0)
	s := memoryServer(t, server)
	tools := start(t, s)
	for ss := range server.Sessions() {
		ss.Close()
	}
	eventually(t, "the end is seen", func() bool { return s.Status().State != mcptool.Ready })
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tools["meta"].call(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// A cutTransport loses its connection at the first tool call.
type cutTransport struct {
	mcp.Transport
	mcp.Connection
}

func (t *cutTransport) Connect(ctx context.Context) (_ mcp.Connection, err error) {
	t.Connection, err = t.Transport.Connect(ctx)
	return t, err
}

func (t *cutTransport) Write(ctx context.Context, msg jsonrpc.Message) error {
	if req, ok := msg.(*jsonrpc.Request); ok && req.Method == "tools/call" {
		return errors.New("the cable is cut")
	}
	return t.Connection.Write(ctx, msg)
}

// What a connection does not take ends it, for all that wait on it.
func TestDialedWriteFails(t *testing.T) {
	dials := 0
	dial := mcptool.InMemory(goodServer(0))
	s := &mcptool.Server{Name: "test", Dial: func(ctx context.Context) (mcp.Transport, error) {
		transport, err := dial(ctx)
		if dials++; dials == 1 {
			transport = &cutTransport{Transport: transport}
		}
		return transport, err
	}}
	defer s.Close()
	meta := start(t, s)["meta"]
	if _, err := meta.call(t.Context(), ""); !errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "the cable is cut") {
		t.Errorf("error %v, want an unknown outcome and why", err)
	}
	if _, err := meta.call(t.Context(), ""); err != nil || dials != 2 {
		t.Errorf("the next call: %v, after %d dials", err, dials)
	}
}

// logged returns whether the file holds text, and nothing else.
func logged(file, text string) func() bool {
	return func() bool {
		data, _ := os.ReadFile(file)
		return string(data) == text
	}
}

func TestDialErrors(t *testing.T) {
	tests := []struct {
		name string
		dial func(context.Context) (mcp.Transport, error)
		want string
	}{
		{"error", func(context.Context) (mcp.Transport, error) { return nil, errors.New("no route") }, "mcp server test: start: dial: no route"},
		{"nothing", func(context.Context) (mcp.Transport, error) { return nil, nil }, "returned no transport"},
		{"of the SDK", func(context.Context) (mcp.Transport, error) {
			return &mcp.StreamableClientTransport{Endpoint: "http://localhost:1"}, nil
		}, "set URL instead of Dial"},
	}
	for _, tt := range tests {
		s := &mcptool.Server{Name: "test", Dial: tt.dial}
		if err := s.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q in it", tt.name, err, tt.want)
		}
		s.Close()
	}
}

// Tools that are written as an MCP server can be used where they are written,
// without a process or a port.
func ExampleInMemory() {
	type person struct {
		Name string `json:"name"`
	}
	type location struct {
		City string `json:"city"`
	}
	places := mcp.NewServer(&mcp.Implementation{Name: "places", Version: "1"}, nil)
	mcp.AddTool(places, &mcp.Tool{Name: "locate", Description: "Tells where a person is."},
		func(_ context.Context, _ *mcp.CallToolRequest, in person) (*mcp.CallToolResult, location, error) {
			if in.Name != "John" {
				return nil, location{}, fmt.Errorf("nobody knows %s", in.Name)
			}
			return nil, location{City: "Sydney"}, nil
		})
	server := &mcptool.Server{Name: "places", Dial: mcptool.InMemory(places)}
	defer server.Close()

	replies := []string{
		`{"type":"function.call","tool_call_id":"x1","name":"places_locate","arguments":"{\"name\":\"John\"}"}`,
		`{"type":"message.output","content":"John is in Sydney."}`,
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object":"conversation.response","conversation_id":"conv_1","outputs":[%s],"usage":{}}`, replies[0])
		replies = replies[1:]
	}))
	defer api.Close()
	runner := &tramontane.Runner{
		Client:   &mistral.Client{BaseURL: api.URL},
		Model:    "mistral-medium-latest",
		Toolsets: []tramontane.Toolset{server},
	}
	result, err := runner.Run(context.Background(), tramontane.UserText("Where is John?"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Text)
	for _, entry := range result.Entries {
		if output, ok := entry.(*mistral.FunctionResult); ok {
			fmt.Println(output.Result)
		}
	}
	// Output:
	// John is in Sydney.
	// {"city":"Sydney"}
}

// A muteTransport loses the probe.
type muteTransport struct {
	mcp.Transport
	mcp.Connection
}

func (t *muteTransport) Connect(ctx context.Context) (_ mcp.Connection, err error) {
	t.Connection, err = t.Transport.Connect(ctx)
	return t, err
}

func (t *muteTransport) Write(ctx context.Context, msg jsonrpc.Message) error {
	if req, ok := msg.(*jsonrpc.Request); ok && req.Method == "server/discover" {
		return nil
	}
	return t.Connection.Write(ctx, msg)
}

// A server behind Dial that leaves the probe unanswered is asked the older way.
func TestDialedProbeUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := mcptool.InMemory(legacyServer())
		s := &mcptool.Server{Name: "test", Dial: func(ctx context.Context) (mcp.Transport, error) {
			transport, err := dial(ctx)
			return &muteTransport{Transport: transport}, err
		}}
		defer s.Close()
		begun := time.Now()
		if _, err := start(t, s)["meta"].call(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("the probe took %v", took)
		}
	})
}

// An error of Go that a handler returns is an answer of the server, as it is on
// a wire.
func TestInMemoryError(t *testing.T) {
	t.Parallel()
	server := goodServer(0)
	server.AddTool(&mcp.Tool{Name: "broken", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return nil, errors.New("out of cheese")
		})
	_, err := start(t, memoryServer(t, server))["broken"].call(t.Context(), "")
	if err == nil || errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "out of cheese") {
		t.Errorf("error %v, want the server's answer", err)
	}
}
