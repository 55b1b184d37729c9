package mcptool

import (
	"context"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A tap stands between the SDK and a link, of whatever kind, and notes what
// supervision must know of the messages.
type tap struct {
	link
	conn mcp.Connection // of link

	// notified takes in the notifications of the server, in their order and
	// before what follows them. It must not block.
	notified func(*jsonrpc.Request)

	// subscribed says that notices of changed tools come, in protocol versions
	// in which that has to be asked for.
	subscribed atomic.Bool
	listen     atomic.Pointer[jsonrpc.ID] // the request for them
}

// Connect implements mcp.Transport.
func (t *tap) Connect(ctx context.Context) (mcp.Connection, error) {
	conn, err := t.link.Connect(ctx)
	if err != nil {
		return nil, err
	}
	t.conn = conn
	return t, nil
}

// Read implements mcp.Connection.
func (t *tap) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		msg, err := t.conn.Read(ctx)
		switch m := msg.(type) {
		case *jsonrpc.Request:
			if !t.take(m) {
				continue
			}
		case *jsonrpc.Response:
			if id := t.listen.Load(); id != nil && *id == m.ID {
				// No notice comes from now on, so nothing that we know holds.
				t.subscribed.Store(false)
				t.list().forget()
			}
		}
		return msg, err
	}
}

// take notes what the server says or asks by itself, and reports whether the
// SDK is to have it. The SDK queues without bounds what it is given.
func (t *tap) take(req *jsonrpc.Request) bool {
	if !req.IsCall() {
		t.notified(req)
	}
	switch req.Method {
	case "notifications/subscriptions/acknowledged":
		if t.subscribed.Swap(true) {
			t.list().forget() // a stream that was lost is there again
		}
	}
	return true
}

// Write implements mcp.Connection.
func (t *tap) Write(ctx context.Context, msg jsonrpc.Message) error {
	if req, ok := msg.(*jsonrpc.Request); ok && req.IsCall() {
		if req.Method == "subscriptions/listen" {
			t.listen.Store(&req.ID)
		}
		if rounds, ok := ctx.Value(roundsKey{}).(*atomic.Int32); ok {
			rounds.Add(1)
		}
	}
	return t.conn.Write(ctx, msg)
}

// roundsKey is the key of a context's *atomic.Int32, which counts how many
// requests were made for one: a server may ask back, and then gets another
// (specification 2026-07-28, "Multi Round-Trip Requests").
type roundsKey struct{}
