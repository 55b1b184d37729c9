package mcptool

import (
	"context"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// handlerTime is how long the end of a session in memory waits for handlers
// that do not heed their contexts. Without a bound, one of them would hold up
// the end of the program.
const handlerTime = 5 * time.Second

// InMemory returns a [Server.Dial] for a server in this process. Each session
// of the client has one with the server, which ends with it: the contexts of
// handlers under way are cancelled then, and it waits for them to return, for
// five seconds at most. What the handlers do with server beyond that is the
// caller's affair; it may serve others too.
func InMemory(server *mcp.Server) func(ctx context.Context) (mcp.Transport, error) {
	return func(ctx context.Context) (mcp.Transport, error) {
		near, far := mcp.NewInMemoryTransports()
		ss, err := server.Connect(ctx, far, nil)
		if err != nil {
			return nil, err
		}
		return &memoryTransport{near, ss}, nil
	}
}

// A memoryTransport is our end of a connection to a server in this process.
type memoryTransport struct {
	mcp.Transport
	server *mcp.ServerSession
}

// Connect implements mcp.Transport.
func (t *memoryTransport) Connect(ctx context.Context) (mcp.Connection, error) {
	conn, err := t.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &memoryConn{Connection: conn, server: t.server}, nil
}

type memoryConn struct {
	mcp.Connection
	server *mcp.ServerSession
	once   sync.Once
	err    error
}

// Close ends both sessions.
func (c *memoryConn) Close() error {
	c.once.Do(func() {
		// The server's session sees the end of its input, and cancels what its
		// handlers do.
		c.err = c.Connection.Close()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			c.server.Close()
		}()
		select {
		case <-closed:
		case <-time.After(handlerTime):
		}
	})
	return c.err
}
