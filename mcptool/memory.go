package mcptool

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// handlerTime is how long the end of a session in memory waits for handlers
// that do not heed their contexts. Without a bound, one of them would hold up
// the end of the program.
const handlerTime = 5 * time.Second

// InMemory returns a [Server.Dial] for a server in this process. Each session
// of the client has one with the server, which ends with it: the contexts of
// handlers under way are cancelled then, and it waits for them to return, for
// five seconds at most. Server stays the caller's, and may serve others too.
func InMemory(server *mcp.Server) func(ctx context.Context) (mcp.Transport, error) {
	return func(ctx context.Context) (mcp.Transport, error) {
		there, back, done := make(chan jsonrpc.Message, 16), make(chan jsonrpc.Message, 16), make(chan struct{})
		hangUp := sync.OnceFunc(func() { close(done) })
		ss, err := server.Connect(ctx, &memoryConn{in: there, out: back, done: done, hangUp: hangUp}, nil)
		if err != nil {
			return nil, err
		}
		near := &memoryConn{in: back, out: there, done: done}
		near.hangUp = sync.OnceFunc(func() {
			hangUp()
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				ss.Close()
			}()
			select {
			case <-closed:
			case <-time.After(handlerTime):
			}
		})
		return near, nil
	}
}

// A memoryConn is one end of a connection within the process. Messages cross it
// decoded: go-sdk's InMemoryTransport encodes each, and decodes it twice over,
// which takes most of the time and memory of a call (bench/README.md).
type memoryConn struct {
	in     <-chan jsonrpc.Message
	out    chan<- jsonrpc.Message
	done   <-chan struct{} // closed when either end is
	hangUp func()
}

// Connect implements mcp.Transport.
func (c *memoryConn) Connect(context.Context) (mcp.Connection, error) { return c, nil }

// SessionID implements mcp.Connection.
func (c *memoryConn) SessionID() string { return "" }

// Read implements mcp.Connection.
func (c *memoryConn) Read(context.Context) (jsonrpc.Message, error) {
	select {
	case msg := <-c.in:
		return msg, nil
	case <-c.done:
	}
	select {
	case msg := <-c.in: // said before the end
		return msg, nil
	default:
		return nil, io.EOF
	}
}

// Write implements mcp.Connection.
func (c *memoryConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	// What is in an error of Go is the server's own; on a wire, code, message
	// and data would be left.
	if resp, ok := msg.(*jsonrpc.Response); ok && resp.Error != nil {
		data, err := jsonrpc.EncodeMessage(msg)
		if err != nil {
			return err
		}
		if msg, err = jsonrpc.DecodeMessage(data); err != nil {
			return err
		}
	}
	select {
	case c.out <- msg:
		return nil
	case <-c.done:
		return io.ErrClosedPipe
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements mcp.Connection.
func (c *memoryConn) Close() error {
	c.hangUp()
	return nil
}
