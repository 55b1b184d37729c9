package mcptool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// A rawServer is a server in this process that answers with the JSON that a test
// says, where the SDK's would not.
type rawServer struct {
	version string // of the protocol

	// caps are members of its capabilities.
	caps string

	// tools are the tools that it lists.
	tools string

	// answer returns the result of a request, and may use c to say more. An
	// error that is no *jsonrpc.Error ends the session.
	answer func(c *rawConn, method string, params json.RawMessage) (string, error)

	mu       sync.Mutex // guards the field below
	requests []string   // methods and params of all, save those of the handshake and the list
}

// serve returns a client's view of the server.
func (r *rawServer) serve(t testing.TB) *mcptool.Server {
	t.Helper()
	s := &mcptool.Server{Name: "test", Dial: func(context.Context) (mcp.Transport, error) {
		return &rawConn{server: r, out: make(chan jsonrpc.Message, 64), done: make(chan struct{}), asked: map[jsonrpc.ID]chan json.RawMessage{}}, nil
	}}
	t.Cleanup(func() { s.Close() })
	return s
}

// got returns the params of the requests of the method so far.
func (r *rawServer) got(method string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, req := range r.requests {
		var params string
		if n, _ := fmt.Sscanf(req, method+" %s", &params); n == 1 {
			all = append(all, req[len(method)+1:])
		}
	}
	return all
}

// A rawConn is a session of a rawServer.
type rawConn struct {
	server *rawServer
	out    chan jsonrpc.Message
	done   chan struct{}
	once   sync.Once

	mu    sync.Mutex // guards the field below
	asked map[jsonrpc.ID]chan json.RawMessage
}

func (c *rawConn) Connect(context.Context) (mcp.Connection, error) { return c, nil }
func (c *rawConn) SessionID() string                               { return "" }
func (c *rawConn) Close() error                                    { c.once.Do(func() { close(c.done) }); return nil }

func (c *rawConn) Read(context.Context) (jsonrpc.Message, error) {
	select {
	case msg := <-c.out:
		return msg, nil
	case <-c.done:
		return nil, io.EOF
	}
}

func (c *rawConn) Write(_ context.Context, msg jsonrpc.Message) error {
	switch m := msg.(type) {
	case *jsonrpc.Response:
		c.mu.Lock()
		answer := c.asked[m.ID]
		c.mu.Unlock()
		result := m.Result
		if m.Error != nil {
			result, _ = json.Marshal(m.Error.Error())
		}
		answer <- result
	case *jsonrpc.Request:
		if m.IsCall() {
			go c.handle(m)
		}
	}
	return nil
}

func (c *rawConn) handle(req *jsonrpc.Request) {
	result, err := c.result(req)
	var wire *jsonrpc.Error
	if err != nil {
		var ok bool
		if wire, ok = err.(*jsonrpc.Error); !ok {
			c.Close()
			return
		}
	}
	resp := &jsonrpc.Response{ID: req.ID, Result: json.RawMessage(result)}
	if wire != nil {
		resp = &jsonrpc.Response{ID: req.ID, Error: wire}
	}
	c.send(resp)
}

func (c *rawConn) send(msg jsonrpc.Message) {
	select {
	case c.out <- msg:
	case <-c.done:
	}
}

func (c *rawConn) result(req *jsonrpc.Request) (string, error) {
	r := c.server
	modern := r.version > "2026"
	switch {
	case req.Method == "server/discover" && modern:
		return fmt.Sprintf(`{"resultType":"complete","supportedVersions":[%q],"capabilities":{%s}}`, r.version, r.caps), nil
	case req.Method == "initialize" && !modern:
		return fmt.Sprintf(`{"protocolVersion":%q,"capabilities":{%s},"serverInfo":{"name":"raw","version":"1"}}`, r.version, r.caps), nil
	case req.Method == "server/discover", req.Method == "initialize":
		return "", &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "method not found"}
	case req.Method == "tools/list":
		return `{"tools":[` + r.tools + `]}`, nil
	}
	r.mu.Lock()
	r.requests = append(r.requests, req.Method+" "+string(req.Params))
	r.mu.Unlock()
	return r.answer(c, req.Method, req.Params)
}

// notify sends a notification.
func (c *rawConn) notify(method, params string) {
	c.send(&jsonrpc.Request{Method: method, Params: json.RawMessage(params)})
}

// ask makes a request and returns its result, or its error as a JSON string. It
// returns nil if the session ends.
func (c *rawConn) ask(t testing.TB, method, params string) json.RawMessage {
	c.mu.Lock()
	id, err := jsonrpc.MakeID(fmt.Sprintf("ask-%d", len(c.asked)))
	if err != nil {
		t.Error(err)
	}
	answer := make(chan json.RawMessage, 1)
	c.asked[id] = answer
	c.mu.Unlock()
	c.send(&jsonrpc.Request{ID: id, Method: method, Params: json.RawMessage(params)})
	select {
	case result := <-answer:
		return result
	case <-c.done:
		return nil
	}
}

// rawTool is a tool of a rawServer.
func rawTool(name, more string) string {
	return fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object"}%s}`, name, more)
}
