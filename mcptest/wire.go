package mcptest

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A wire is the server's end of a connection that carries all messages of a
// session. It does the faults on their way.
type wire struct {
	*instance
	transport mcp.Transport
	stream    *eventStream // below the transport; nil in memory

	mcp.Connection // of the transport

	mu    sync.Mutex // guards the fields below
	met   map[jsonrpc.ID]*armed
	known map[jsonrpc.ID]bool // requests that were matched before they were read
}

func (i *instance) newWire(transport mcp.Transport, stream *eventStream) *wire {
	return &wire{
		instance: i, transport: transport, stream: stream,
		met: make(map[jsonrpc.ID]*armed), known: make(map[jsonrpc.ID]bool),
	}
}

// Connect implements mcp.Transport.
func (w *wire) Connect(ctx context.Context) (_ mcp.Connection, err error) {
	w.Connection, err = w.transport.Connect(ctx)
	return w, err
}

// SupportsProtocolVersion is looked for by go-sdk: SSE has no later version.
func (w *wire) SupportsProtocolVersion(version string) bool {
	return w.stream == nil || version < "2026-07-28"
}

// Read implements mcp.Connection.
func (w *wire) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		msg, err := w.Connection.Read(ctx)
		req, ok := msg.(*jsonrpc.Request)
		if err != nil || !ok || !req.IsCall() {
			return msg, err
		}
		a := w.meet(req)
		if a == nil || a.ran() {
			return msg, nil
		}
		w.mu.Lock()
		delete(w.met, req.ID)
		w.mu.Unlock()
		if err := w.fail(ctx, a, req.Method, &jsonrpc.Response{ID: req.ID}); err != nil {
			return nil, err
		}
	}
}

// meet notes and returns the fault that a request meets.
func (w *wire) meet(req *jsonrpc.Request) *armed {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known[req.ID] {
		delete(w.known, req.ID)
		return w.met[req.ID]
	}
	a := w.match(req.Method, req.Params)
	if a != nil {
		w.met[req.ID] = a
	}
	return a
}

// Write implements mcp.Connection.
func (w *wire) Write(ctx context.Context, msg jsonrpc.Message) error {
	if w.life.Err() != nil {
		return io.ErrClosedPipe
	}
	resp, ok := msg.(*jsonrpc.Response)
	if !ok {
		return w.Connection.Write(ctx, msg)
	}
	w.mu.Lock()
	a := w.met[resp.ID]
	delete(w.met, resp.ID)
	w.mu.Unlock()
	if a == nil {
		return w.Connection.Write(ctx, msg)
	}
	return w.fail(ctx, a, a.at.Method, resp)
}

// fail does a fault in the place of an answer. The error says that the
// connection is no more.
func (w *wire) fail(ctx context.Context, a *armed, method string, resp *jsonrpc.Response) error {
	if reply := a.reply(resp.ID, method); reply != nil {
		return w.Connection.Write(ctx, reply)
	}
	switch f := a.fault.(type) {
	case NoAnswer:
		return nil
	case Delay:
		if w.enter() {
			go func() {
				defer w.leave()
				if w.sleep(f.For, nil) {
					w.Connection.Write(context.WithoutCancel(ctx), resp)
				}
			}()
		}
		return nil
	case Garbage:
		w.stream.say(f.Lines...)
		return w.Connection.Write(ctx, resp)
	case Crash:
		w.crash(f)
		return io.ErrClosedPipe
	case Cut:
		if w.stream != nil {
			w.stream.cut()
		}
	}
	w.Connection.Close() // Cut, LoseSession
	return io.ErrClosedPipe
}

// expect tells the wire of the fault, or nil, that a request meets which comes
// next.
func (w *wire) expect(id jsonrpc.ID, a *armed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known[id] = true
	if a != nil {
		w.met[id] = a
	}
}

// sleep waits, and reports whether it was not cut short by gone or by the end
// of the instance.
func (i *instance) sleep(d time.Duration, gone <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-gone:
	case <-i.life.Done():
	}
	return false
}
