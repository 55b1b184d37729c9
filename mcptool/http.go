package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// httpPatience is how long server/discover may stay unanswered before the
	// older handshake is tried, also over connections of Dial. Servers that hang
	// on it are rare here, and those that have to wake up first are not.
	httpPatience = 10 * time.Second

	// listenPatience is how long the first requests wait for the server to
	// answer the request for its own messages.
	listenPatience = time.Second

	// endTime bounds the request that ends a session. Close waits for it.
	endTime = 3 * time.Second

	// drainPatience is how long a stream may stay open after the response that
	// it was for. If it ends in that time, its connection is used again.
	drainPatience = 250 * time.Millisecond
)

const (
	versionHeader = "Mcp-Protocol-Version"
	sessionHeader = "Mcp-Session-Id"
	jsonType      = "application/json"
	eventsType    = "text/event-stream"
)

// An httpLink speaks streamable HTTP with a server, in the versions with
// sessions (2025-03-26 to 2025-11-25) and in those without (2026-07-28). It
// takes the place of go-sdk's StreamableClientTransport, for the reasons in
// design/mcp-transport.md.
//
// Each request has a goroutine, from Write to the end of the response to it.
type httpLink struct {
	remote   *remote
	url      string
	logger   *slog.Logger
	patience time.Duration // with server/discover
	codec    codec

	ctx      context.Context // ends with the link
	cancel   context.CancelCauseFunc
	running  sync.WaitGroup // our goroutines
	incoming inbox
	answers  chan struct{} // holds whether a request was answered of late

	closeOnce sync.Once
	closed    chan struct{} // closed when Close is done

	mu      sync.Mutex // guards the fields below
	err     error      // why the link ended
	modern  bool       // the server was found to speak 2026-07-28 or later
	version string     // that both agreed on; empty before
	session string     // the server's name for it; empty if it has none
	refused error      // why the server cannot be had, known from the probe
	busy    int        // requests under way
	lost    bool       // the server does not know the session; what is under way goes on
}

// newHTTPLink makes a link to the streamable HTTP server at s.URL. Nothing is
// sent before the handshake.
func newHTTPLink(s *Server) (*httpLink, error) {
	r, err := newRemote(s)
	if err != nil {
		return nil, err
	}
	c := &httpLink{
		remote:   r,
		url:      r.endpoint.String(),
		logger:   s.logger().With("server", s.Name),
		patience: httpPatience,
		answers:  make(chan struct{}, 1),
		closed:   make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.incoming = inbox{next: make(chan jsonrpc.Message), over: c.ctx.Done()}
	return c, nil
}

// Connect implements mcp.Transport: there is nothing to connect.
func (c *httpLink) Connect(context.Context) (mcp.Connection, error) { return c, nil }

// SessionID implements mcp.Connection.
func (c *httpLink) SessionID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Read returns the next message of any stream.
func (c *httpLink) Read(context.Context) (jsonrpc.Message, error) {
	if msg := c.incoming.get(c.running.Wait); msg != nil {
		return msg, nil
	}
	return nil, c.ended()
}

// Write sends msg: a request in a goroutine of its own, whose failure is the
// response to it; a notification or a response at once, whose failure is only
// logged, since the next request shows whether the server can be had.
func (c *httpLink) Write(ctx context.Context, msg jsonrpc.Message) error {
	if c.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", errNotSent, c.ended())
	}
	data, err := jsonrpc.EncodeMessage(msg)
	if err != nil {
		return err
	}
	req, ok := msg.(*jsonrpc.Request)
	if ok {
		c.codec.note(req)
	}
	switch {
	case ok && req.IsCall():
		if !c.start(func() { c.call(ctx, req, data) }) {
			return fmt.Errorf("%w: %w", errNotSent, c.ended())
		}
		return nil
	case ok && req.Method == "notifications/cancelled" && c.isModern():
		// The end of the request's own POST has told the server (specification
		// 2026-07-28, "Cancellation").
		return nil
	case ok && req.Method == "notifications/initialized":
		answered := c.listen()
		c.tell(ctx, req, data)
		// What a server says by itself before it is listened to is lost.
		select {
		case <-answered:
		case <-time.After(listenPatience):
		case <-ctx.Done():
		case <-c.ctx.Done():
		}
		return nil
	default:
		c.tell(ctx, req, data)
		return nil
	}
}

// start runs f in a goroutine that Close waits for, unless the link has ended.
func (c *httpLink) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.running.Go(f)
	return true
}

// within returns a context with the values of ctx that ends with ctx, until
// free is called, and with the link.
func (c *httpLink) within(ctx context.Context) (_ context.Context, free func(), cancel func()) {
	inner, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stopCall := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	stopLink := context.AfterFunc(c.ctx, func() { end(context.Cause(c.ctx)) })
	return inner, func() { stopCall() }, func() {
		stopCall()
		stopLink()
		end(nil)
	}
}

// tell sends a message that has no response. Req is nil for a response.
func (c *httpLink) tell(ctx context.Context, req *jsonrpc.Request, data []byte) {
	ctx, _, cancel := c.within(ctx)
	defer cancel()
	resp, err := c.remote.do(ctx, http.MethodPost, c.url, data, c.header(ctx, req))
	if err == nil && resp.StatusCode >= 300 {
		err = c.failure(resp, req)
	}
	if err == nil {
		io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody)) // for the connection's sake
		resp.Body.Close()
		return
	}
	if errors.Is(err, errSessionLost) {
		c.lose()
		return
	}
	method := "response"
	if req != nil {
		method = req.Method
	}
	c.logger.WarnContext(ctx, "mcp server did not take a message", "method", method, "cause", err)
}

// call sends a request and delivers the response to it, which tells of what
// went wrong on the way.
func (c *httpLink) call(ctx context.Context, req *jsonrpc.Request, data []byte) {
	c.mu.Lock()
	c.busy++
	refused := c.refused
	c.mu.Unlock()
	defer c.done()
	var err error
	switch ended := c.ended(); {
	case ended != nil:
		err = fmt.Errorf("%w: %w", errNotSent, ended)
	case req.Method == "server/discover":
		err = c.discover(ctx, req, data)
	case req.Method == "initialize":
		// The SDK takes any failure of the probe for an older server. To ask
		// one that refused us again would ask a person to log in again.
		if err = refused; err == nil {
			err = c.initialize(ctx, req, data)
		}
	case req.Method == "subscriptions/listen":
		err = c.subscribe(ctx, req)
	default:
		err = c.exchange(ctx, req, data)
	}
	if err == nil {
		return
	}
	if errors.Is(err, errSessionLost) {
		c.lose() // before who waits for the response asks
	}
	c.codec.forget(req.ID)
	c.incoming.put(&jsonrpc.Response{ID: req.ID, Error: err})
}

// done notes the end of a request.
func (c *httpLink) done() {
	c.mu.Lock()
	c.busy--
	over := c.lost && c.busy == 0
	c.mu.Unlock()
	if over {
		c.end(errSessionLost)
	}
}

// lose notes that the server does not know the session any more: it is told
// nothing new. Requests under way go on, since each may be worked on to its end,
// or refused in the same way, and the link ends with the last of them.
func (c *httpLink) lose() {
	c.mu.Lock()
	c.lost = true
	idle := c.busy == 0
	c.mu.Unlock()
	if idle {
		c.end(errSessionLost)
	}
}

// discover sends the probe, within bounds, and keeps what forbids to go on with
// initialize (specification 2026-07-28, "Streamable HTTP: Backward
// Compatibility").
func (c *httpLink) discover(ctx context.Context, req *jsonrpc.Request, data []byte) error {
	ctx, _, stop := withDeadline(ctx, c.patience, c.patience)
	defer stop()
	err := c.exchange(ctx, req, data)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = nil
	if err != nil && !saysLegacy(err) {
		c.refused = err
	}
	return err
}

// saysLegacy reports whether err, of server/discover, can be that of a server
// that does not know it.
func saysLegacy(err error) bool {
	if wire, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return wire.Code != mcp.CodeHeaderMismatch && wire.Code != mcp.CodeMissingRequiredClientCapabilities
	}
	if answer, ok := errors.AsType[*HTTPError](err); ok {
		switch status := answer.StatusCode; {
		case needsLogin(err), status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests:
			return false
		case status < 300:
			return answer.ContentType != "text/html"
		default:
			return status >= 400 && status < 500
		}
	}
	_, expired := errors.AsType[*timeoutError](err)
	return expired || errors.Is(err, errNoMessage)
}

// initialize sends the handshake of the versions before 2026-07-28.
func (c *httpLink) initialize(ctx context.Context, req *jsonrpc.Request, data []byte) error {
	c.mu.Lock()
	c.modern, c.version = false, "" // a probe that ends here may have been answered well
	c.mu.Unlock()
	err := c.exchange(ctx, req, data)
	if answer, ok := errors.AsType[*HTTPError](err); ok {
		switch answer.StatusCode {
		case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed:
			return fmt.Errorf("%w: %w", errTrySSE, err)
		}
	}
	return err
}

// learn keeps what the answer to a handshake says of those to come.
func (c *httpLink) learn(req *jsonrpc.Request, resp *jsonrpc.Response, header http.Header) {
	if resp.Error != nil {
		return
	}
	switch req.Method {
	case "server/discover":
		c.mu.Lock()
		c.modern, c.version = true, protocolVersion(req.Params)
		c.mu.Unlock()
	case "initialize":
		var result struct {
			Version string `json:"protocolVersion"`
		}
		json.Unmarshal(resp.Result, &result) // what is wrong with it, the SDK will say
		c.mu.Lock()
		c.modern, c.version = false, result.Version
		c.session = header.Get(sessionHeader)
		c.mu.Unlock()
	}
}

func (c *httpLink) isModern() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.modern
}

// header returns what the protocol wants to stand in the header of a POST. Req
// is nil for a response.
func (c *httpLink) header(ctx context.Context, req *jsonrpc.Request) http.Header {
	h := c.getHeader()
	h["Accept"] = []string{jsonType + ", " + eventsType}
	h["Content-Type"] = []string{jsonType}
	if req != nil && (req.Method == "server/discover" || c.isModern()) {
		setMirrorHeaders(ctx, h, req)
	}
	return h
}

// getHeader returns what is in the header of any request of the session.
func (c *httpLink) getHeader() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := http.Header{"Accept": {eventsType}}
	if c.version != "" {
		h[versionHeader] = []string{c.version}
	}
	if c.session != "" {
		h[sessionHeader] = []string{c.session}
	}
	return h
}

// failure makes an error of a response with a status that is none of success,
// and closes it. Req is nil for one to a response of ours.
func (c *httpLink) failure(resp *http.Response, req *jsonrpc.Request) error {
	defer resp.Body.Close()
	answer := httpErrorOpen(resp)
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what came of it is good enough
	answer.setText(data, resp.Request)

	var e envelope
	if json.Unmarshal(data, &e) != nil || e.Version != "2.0" {
		e.Error = nil
	}
	if c.SessionID() != "" && sessionGone(answer.StatusCode, &e, req) {
		return fmt.Errorf("%w: %w", errSessionLost, answer)
	}
	if e.Error != nil {
		return e.Error
	}
	return answer
}

// sessionGone reports whether an answer to req says that the server does not
// know the session.
func sessionGone(status int, e *envelope, req *jsonrpc.Request) bool {
	switch status {
	case http.StatusNotFound:
		// An answer to this very request comes from who knows the session.
		if e.Error == nil || req == nil {
			return true
		}
		id, err := parseID(e.ID)
		return err != nil || id != req.ID || strings.Contains(strings.ToLower(e.Error.Message), "session")
	case http.StatusBadRequest:
		// Servers made from the examples of the TypeScript SDK say it so.
		return e.Error != nil && e.Error.Code == -32000 && strings.Contains(strings.ToLower(e.Error.Message), "session")
	}
	return false
}

// ended implements link.
func (c *httpLink) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost {
		return errSessionLost
	}
	return c.err
}

// end implements link.
func (c *httpLink) end(cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		if c.lost {
			cause = errSessionLost
		}
		c.err = cause
		c.cancel(cause)
	}
	return c.err
}

// lastWords implements link: errors have it all.
func (c *httpLink) lastWords() string { return "" }

// list implements link.
func (c *httpLink) list() *toolList { return &c.codec.tools }

// Close ends the requests under way and the session, and returns when nothing
// of them is left.
func (c *httpLink) Close() error {
	c.closeOnce.Do(func() {
		cause := c.end(errClosed)
		c.running.Wait()
		if c.SessionID() != "" && !errors.Is(cause, errSessionLost) {
			c.endSession()
		}
		c.remote.close()
		close(c.closed)
	})
	<-c.closed
	return nil
}

// endSession tells the server that the session is over. It may not know the
// request; nothing depends on it.
func (c *httpLink) endSession() {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	resp, err := c.remote.do(ctx, http.MethodDelete, c.url, nil, c.getHeader())
	if err != nil {
		c.logger.Debug("mcp server was not told that the session is over", "cause", err)
		return
	}
	resp.Body.Close()
}
