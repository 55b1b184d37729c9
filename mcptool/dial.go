package mcptool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

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
	return &dialedConn{conn: conn, silent: make(chan jsonrpc.ID, 2)}, nil // the SDK probes twice at most
}

// A dialedConn is a link over the connection of another.
type dialedConn struct {
	conn    mcp.Connection
	codec   codec
	running sync.WaitGroup // our goroutines

	pending chan received   // a read that goes on while the probe is answered; of Read, which is never called twice at once
	probed  atomic.Bool     // more than server/discover was sent
	silent  chan jsonrpc.ID // probes whose time is up, answered or not

	mu  sync.Mutex // guards the field below
	err error      // why the connection ended
}

// A received is what one read of the connection gave.
type received struct {
	msg jsonrpc.Message
	err error
}

// Connect implements mcp.Transport: the connection stands already.
func (c *dialedConn) Connect(context.Context) (mcp.Connection, error) { return c, nil }

// SessionID implements mcp.Connection.
func (c *dialedConn) SessionID() string { return c.conn.SessionID() }

// Read implements mcp.Connection.
func (c *dialedConn) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		msg, err := c.next(ctx)
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

// next returns the next message. A probe that the server leaves unanswered for
// too long is answered here, so that the SDK goes on to initialize; what the
// server answers after that, the SDK passes over.
func (c *dialedConn) next(ctx context.Context) (jsonrpc.Message, error) {
	if c.probed.Load() && c.pending == nil {
		return c.conn.Read(ctx)
	}
	if c.pending == nil {
		pending := make(chan received, 1)
		c.mu.Lock()
		if err := c.err; err != nil { // Close may wait already
			c.mu.Unlock()
			return nil, err
		}
		c.running.Go(func() {
			msg, err := c.conn.Read(ctx)
			pending <- received{msg, err}
		})
		c.mu.Unlock()
		c.pending = pending
	}
	select {
	case r := <-c.pending:
		c.pending = nil
		return r.msg, r.err
	case id := <-c.silent:
		return &jsonrpc.Response{ID: id, Error: errSilentProbe}, nil
	}
}

// Write implements mcp.Connection. What the connection does not take ends it:
// the SDK would send nothing more, and calls under way would wait for nothing.
func (c *dialedConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	if req, ok := msg.(*jsonrpc.Request); ok {
		c.codec.note(req)
		if req.Method == "server/discover" {
			time.AfterFunc(httpPatience, func() {
				select {
				case c.silent <- req.ID:
				default:
				}
			})
		} else {
			c.probed.Store(true)
		}
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
	err := c.conn.Close()
	c.running.Wait()
	return err
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
