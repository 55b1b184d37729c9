package mcptest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A Server is an MCP server in the process of a test.
//
// Set the exported fields before Start and leave them alone then. All methods
// are safe for concurrent use.
type Server struct {
	// Name is that of the client's view of the server, and stands before the
	// names of the tools. If zero, it is "test".
	Name string

	// Tools are what the server offers; see [tramontane.Func]. Of two with the
	// same name both are listed, and the first is called. A tool that returns a
	// *[tramontane.UnknownContent] sends its Raw as it is. If nil, there are
	// none.
	Tools []tramontane.Tool

	// Setup adds to the server what else it has, such as resources and prompts,
	// or tools that ask a person. It is called once for each Start and Restart.
	// If nil, nothing is added.
	Setup func(*mcp.Server)

	// Transport is how the server is spoken to: mcptool.StreamableHTTP or
	// mcptool.SSE, on a port of the loopback interface. If zero, it is in
	// memory.
	Transport mcptool.Transport

	// Legacy says that the server knows no protocol version after 2025-11-25:
	// it has sessions. If zero, it speaks 2026-07-28, save by SSE, which has no
	// such version.
	Legacy bool

	running sync.WaitGroup // what ends with Close
	turn    sync.Mutex     // held while an instance ends or begins

	mu       sync.Mutex // guards the fields below
	tools    []tramontane.Tool
	instance *instance // nil if it is down
	addr     string    // where it listens, once it did
	calls    []Call
	faults   []*armed
}

// A Call is one call of a tool that reached the server.
type Call struct {
	Tool      string
	Arguments json.RawMessage

	// Key is what the client names the call by, for good; see
	// [tramontane.Call]. If zero, the client sent none.
	Key string

	// Nth is how often a call with this Key has come, this one among them: 1,
	// unless the call was sent again.
	Nth int
}

// Start starts the server and returns a client's view of it, whose fields may
// still be set before its first use. Another view is an [mcptool.Server] with
// the same URL or Dial. Both the server and the view end with the test; if tb is
// nil, as in an Example, the caller closes them. A server is started once.
func (s *Server) Start(tb testing.TB) *mcptool.Server {
	if tb != nil {
		tb.Helper()
	}
	s.mu.Lock()
	s.tools = slices.Clone(s.Tools)
	s.mu.Unlock()
	if err := s.restart(); err != nil {
		if tb == nil {
			panic(err)
		}
		tb.Fatal(err)
	}
	client := &mcptool.Server{Name: "test"}
	if s.Name != "" {
		client.Name = s.Name
	}
	if s.Transport == "" {
		client.Dial = s.dial
	} else {
		client.URL, client.Transport = "http://"+s.addr+"/mcp", s.Transport
	}
	if tb != nil {
		tb.Cleanup(func() {
			client.Close()
			s.Close()
		})
	}
	return client
}

// Close ends the server as a crash does: connections break off and sessions are
// forgotten. It waits for tools that are running, whose contexts are cancelled.
// The server can be started again with [Server.Restart].
func (s *Server) Close() {
	s.turn.Lock()
	s.stop(nil)
	s.turn.Unlock()
	s.running.Wait()
}

// Restart starts the server again, at the same address and without its
// sessions. If it runs, it crashes first; tools that are running are not waited
// for. It panics if somebody else has the address now.
func (s *Server) Restart() {
	if err := s.restart(); err != nil {
		panic(err)
	}
}

// SetTools changes the tools and tells the clients so
// (notifications/tools/list_changed), who then ask for them again.
func (s *Server) SetTools(tools ...tramontane.Tool) {
	s.mu.Lock()
	s.tools = slices.Clone(tools)
	i := s.instance
	s.mu.Unlock()
	if i == nil {
		return
	}
	// go-sdk tells of changes of its own list only.
	i.mcp.AddTool(&mcp.Tool{Name: passing, InputSchema: json.RawMessage(`{"type":"object"}`)}, nil)
	i.mcp.RemoveTools(passing)
}

// Calls returns the calls that came to the tools, in their order. A call that a
// fault kept away is not among them.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// An instance is the server between two crashes.
type instance struct {
	*Server
	mcp  *mcp.Server
	http *http.Server    // nil in memory
	port net.Listener    // that it serves
	life context.Context // ends with it
	end  context.CancelFunc
}

// restart ends the instance, if there is one, and starts another.
func (s *Server) restart() error {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.stop(nil)
	return s.begin()
}

// begin starts an instance where there is none. It is called with turn held.
func (s *Server) begin() error {
	i := &instance{Server: s}
	i.life, i.end = context.WithCancel(context.Background())
	i.mcp = i.newServer()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Transport != "" {
		handler, err := i.handler()
		if err != nil {
			return err
		}
		if i.port, err = net.Listen("tcp", cmp.Or(s.addr, "127.0.0.1:0")); err != nil {
			return fmt.Errorf("mcptest: %w", err)
		}
		s.addr = i.port.Addr().String()
		i.http = &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		s.running.Go(func() { i.http.Serve(i.port) })
	}
	s.instance = i
	return nil
}

// stop breaks off what goes on, without waiting for it. If only is not nil, it
// does so if that is what runs, and reports whether it was. It is called with
// turn held.
func (s *Server) stop(only *instance) bool {
	s.mu.Lock()
	i := s.instance
	if i == nil || only != nil && i != only {
		s.mu.Unlock()
		return false
	}
	s.instance = nil
	s.mu.Unlock()
	// First the connections: what tools say when they are told to end is not
	// heard any more.
	if i.http != nil {
		i.http.Close()
		i.port.Close() // which may not be served yet
	}
	s.mu.Lock()
	i.end()
	s.mu.Unlock()
	for ss := range i.mcp.Sessions() {
		s.running.Go(func() { ss.Close() })
	}
	return true
}

// enter counts somebody who works for the instance, until leave is called. It
// reports false if the instance is over.
func (i *instance) enter() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.life.Err() != nil {
		return false
	}
	i.running.Add(1)
	return true
}

func (i *instance) leave() { i.running.Done() }

// crash is the fault. Who closes the server meanwhile closes what it starts.
func (i *instance) crash(fault Crash) {
	i.turn.Lock()
	defer i.turn.Unlock()
	if !i.stop(i) || fault.Down {
		return
	}
	if err := i.begin(); err != nil {
		panic(err)
	}
}

// dial is a Dial of mcptool.Server.
func (s *Server) dial(ctx context.Context) (mcp.Transport, error) {
	s.mu.Lock()
	i := s.instance
	s.mu.Unlock()
	if i == nil {
		return nil, errors.New("the server is down")
	}
	near, far := mcp.NewInMemoryTransports()
	ss, err := i.mcp.Connect(ctx, i.newWire(far, nil), nil)
	if err != nil {
		return nil, err
	}
	if i.life.Err() != nil { // it ended meanwhile, and knew nothing of this session
		ss.Close()
		return nil, errors.New("the server is down")
	}
	return near, nil
}
