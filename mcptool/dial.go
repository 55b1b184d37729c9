package mcptool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// newDialedLink opens a link over a transport of the program's own making, as
// [Server.Dial] returns it, within ctx. The transport is connected here, so that
// an error of it is not taken for one of the handshake.
func newDialedLink(ctx context.Context, s *Server) (link, error) {
	transport, err := s.Dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	switch transport.(type) {
	case nil:
		return nil, errors.New("dial: Dial returned no transport")
	case *mcp.StreamableClientTransport, *mcp.SSEClientTransport:
		// The SDK tells its own streamable connection of the agreed version by
		// a method that no wrapper can have.
		return nil, fmt.Errorf("dial: a %T cannot be looked after: set URL instead of Dial", transport)
	}
	conn, err := transport.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return &dialedConn{conn: conn}, nil
}

// A dialedConn is a link over the connection of another.
type dialedConn struct {
	conn  mcp.Connection
	codec codec

	mu  sync.Mutex // guards the field below
	err error      // why the connection ended
}

// Connect implements mcp.Transport: the connection stands already.
func (c *dialedConn) Connect(context.Context) (mcp.Connection, error) { return c, nil }

// SessionID implements mcp.Connection.
func (c *dialedConn) SessionID() string { return c.conn.SessionID() }

// Read implements mcp.Connection.
func (c *dialedConn) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		msg, err := c.conn.Read(ctx)
		if errors.Is(err, io.EOF) {
			err = errors.New("it closed the connection")
		}
		if err != nil {
			return nil, c.end(err)
		}
		if msg = c.codec.take(msg); msg != nil {
			return msg, nil
		}
	}
}

// Write implements mcp.Connection. What the connection does not take ends it:
// the SDK would send nothing more, and calls under way would wait for nothing.
func (c *dialedConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	if req, ok := msg.(*jsonrpc.Request); ok {
		c.codec.note(req)
	}
	err := c.conn.Write(ctx, msg)
	if err == nil || ctx.Err() != nil {
		return err
	}
	err = c.end(err)
	c.conn.Close()
	return err
}

// Close implements mcp.Connection.
func (c *dialedConn) Close() error {
	c.end(errClosed)
	return c.conn.Close()
}

// ended implements link.
func (c *dialedConn) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// end implements link.
func (c *dialedConn) end(cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = cause
	}
	return c.err
}

// lastWords implements link: there is nothing but messages.
func (c *dialedConn) lastWords() string { return "" }

// list implements link.
func (c *dialedConn) list() *toolList { return &c.codec.tools }
