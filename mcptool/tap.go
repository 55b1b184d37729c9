package mcptool

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// maxQuestions is how many requests of a server may wait for their answers.
	maxQuestions = 64

	// maxNotices is how many notices of a server may wait for the SDK.
	maxNotices = 256
)

// A tap stands between the SDK and a link, of whatever kind, and notes what
// supervision must know of the messages. It also keeps the SDK's queue of what
// a server says by itself, which has no bound, within one: it passes on no more
// than can be worked on. To wait instead could wait for ever, for a server that
// reads no answers while it asks.
type tap struct {
	link
	conn   mcp.Connection // of link
	logger *slog.Logger

	// notified takes in the notifications of the server, in their order and
	// before what follows them. It must not block.
	notified func(*jsonrpc.Request)

	questions atomic.Int32 // requests of the server without an answer
	worked    atomic.Int64 // notices that the SDK has worked on
	marks     sync.Map     // from the ids of requests of ours to the SDK, that come after so many notices, to their number

	// Only Read, which is never called twice at once, uses these.
	notices int64            // that were passed on
	mark    *jsonrpc.Request // to be passed on next

	handshake handshake
	probe     probe

	// subscribed says that notices of changed tools come, in protocol versions
	// in which that has to be asked for.
	subscribed atomic.Bool
	listen     atomic.Pointer[jsonrpc.ID] // the request for them

	// watched and unwatched are told that the server agrees to tell of changes
	// of a resource, and that it does so no more: err is nil if it said so in
	// good order. They must not block.
	watched   func(uri string)
	unwatched func(uri string, err error)
	watching  sync.Map        // from the ids of requests to tell of changes to the URI
	latest    sync.Map        // from the URI to the id of the last, unless it was cancelled
	agreed    map[string]bool // by URI; only Read uses it

	older atomic.Bool // it was the handshake of the versions before 2026-07-28
}

// acknowledged takes in which resources the server agrees to tell of. It returns
// what the SDK is to have in place of the notice, or nil.
func (t *tap) acknowledged(req *jsonrpc.Request) *jsonrpc.Request {
	var again *jsonrpc.Request
	for _, uri := range resourcesIn(req.Params) {
		t.watched(uri)
		if t.agreed[uri] {
			// It did before, so that a stream was lost meanwhile, and what the SDK
			// remembers of the resource may not hold.
			changed, _ := json.Marshal(map[string]string{"uri": uri}) // cannot fail
			again = &jsonrpc.Request{Method: "notifications/resources/updated", Params: changed}
		}
		if t.agreed == nil {
			t.agreed = make(map[string]bool)
		}
		t.agreed[uri] = true
	}
	return again
}

// resourcesIn returns the resources that the params of a subscription, or of the
// server's word on one, name. The SDK asks for one at a time.
func resourcesIn(params json.RawMessage) []string {
	var p struct {
		Notifications struct {
			Resources []string `json:"resourceSubscriptions"`
		} `json:"notifications"`
	}
	json.Unmarshal(params, &p) // what is malformed names none
	return p.Notifications.Resources
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
	if msg := t.mark; msg != nil {
		t.mark = nil
		return msg, nil
	}
	for {
		msg, err := t.conn.Read(ctx)
		switch m := msg.(type) {
		case *jsonrpc.Request:
			if m.Method == "notifications/subscriptions/acknowledged" {
				t.take(m)
				if m = t.acknowledged(m); m == nil {
					continue
				}
				msg = m
			}
			if !t.take(m) {
				continue
			}
		case *jsonrpc.Response:
			var wire *jsonrpc.Error
			if errors.As(m.Error, &wire) && (wire.Code == codeClientClosing || wire.Code == codeServerClosing) {
				m.Error = &answeredError{wire}
			}
			t.handshake.answered(m)
			t.probe.answered(m)
			if id := t.listen.Load(); id != nil && *id == m.ID {
				// No notice comes from now on, so nothing that we know holds.
				t.subscribed.Store(false)
				t.list().forget()
			}
			if uri, ok := t.watching.LoadAndDelete(m.ID); ok && t.latest.CompareAndDelete(uri, m.ID) {
				t.unwatched(uri.(string), m.Error)
			}
		}
		return msg, err
	}
}

// The codes of errors by which the SDK means that the connection ends. They are
// of the range that is any server's to use.
const (
	codeClientClosing = -32003
	codeServerClosing = -32004
)

// An answeredError is the error that a server answered with, and none of the
// SDK's.
type answeredError struct{ wire *jsonrpc.Error }

func (e *answeredError) Error() string { return e.wire.Error() }

// As finds the error for errors.As. There is no Unwrap, by which errors.Is would
// compare codes.
func (e *answeredError) As(target any) bool {
	wire, ok := target.(**jsonrpc.Error)
	if ok {
		*wire = e.wire
	}
	return ok
}

// take notes what the server says or asks by itself, and reports whether the
// SDK is to have it.
func (t *tap) take(req *jsonrpc.Request) bool {
	if req.IsCall() {
		if !t.older.Load() {
			// Servers ask by results now, and clients send no responses
			// (specification 2026-07-28, "Sending Messages").
			t.logger.Warn("mcp server makes a request, which its protocol version does not have; it is dropped", "method", req.Method)
			return false
		}
		if t.questions.Add(1) > maxQuestions {
			t.questions.Add(-1)
			t.logger.Warn("mcp server asks more than it hears the answers to; a question is dropped", "method", req.Method)
			return false
		}
		return true
	}
	t.notified(req)
	switch req.Method {
	case "notifications/subscriptions/acknowledged":
		// It names what the server agreed to tell of, which may be less than it
		// was asked for (specification 2026-07-28, "Subscriptions").
		if tellsOfTools(req.Params) && t.subscribed.Swap(true) {
			t.list().forget() // a stream that was lost is there again
		}
		return false
	case "notifications/cancelled", "notifications/tools/list_changed", "notifications/prompts/list_changed",
		"notifications/resources/list_changed", "notifications/resources/updated":
	default:
		return false // the SDK has no use for it
	}
	if t.notices-t.worked.Load() >= maxNotices {
		t.logger.Warn("mcp server sends more notices than can be worked on; one is dropped", "method", req.Method)
		return false
	}
	t.notices++
	if t.notices%(maxNotices/2) == 0 {
		id, err := jsonrpc.MakeID(rand.Text())
		if err != nil {
			return true
		}
		t.marks.Store(id, t.notices)
		t.mark = &jsonrpc.Request{ID: id, Method: "ping"}
	}
	return true
}

// tellsOfTools reports whether notices of changed tools are among those that the
// params of a subscription, or of the server's word on one, name.
func tellsOfTools(params json.RawMessage) bool {
	var p struct {
		Notifications struct {
			Tools bool `json:"toolsListChanged"`
		} `json:"notifications"`
	}
	return json.Unmarshal(params, &p) == nil && p.Notifications.Tools
}

// Write implements mcp.Connection.
func (t *tap) Write(ctx context.Context, msg jsonrpc.Message) error {
	switch m := msg.(type) {
	case *jsonrpc.Response:
		if notices, ours := t.marks.LoadAndDelete(m.ID); ours {
			t.worked.Store(notices.(int64))
			return nil
		}
		defer t.questions.Add(-1)
	case *jsonrpc.Request:
		switch {
		case m.Method == "initialize":
			if err := t.probe.refusal(); err != nil {
				return err // dial passes it on
			}
			t.older.Store(true)
		case m.Method == "notifications/roots/list_changed" && !t.older.Load():
			return nil // later versions have no such notice, and the SDK sends it
		}
		if !m.IsCall() {
			break
		}
		t.handshake.sent(m)
		t.probe.sent(m)
		msg = addMembers(ctx, m)
		if m.Method == "subscriptions/listen" {
			if tellsOfTools(m.Params) {
				t.listen.Store(&m.ID)
			}
			for _, uri := range resourcesIn(m.Params) {
				t.watching.Store(m.ID, uri)
				t.latest.Store(uri, m.ID)
			}
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
