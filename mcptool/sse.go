package mcptool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane/internal/sse"
)

var (
	sseGetHeader  = http.Header{"Accept": {"text/event-stream"}, "Cache-Control": {"no-store"}}
	ssePostHeader = http.Header{"Accept": {"application/json, text/event-stream"}, "Content-Type": {"application/json"}}
)

// A sseConn speaks HTTP with SSE (specification 2024-11-05, "Transports"): one
// stream of events brings what the server says, and what we say is posted to
// the address that the first of them names. It takes the place of go-sdk's
// SSEClientTransport, for the reasons in design/mcp-transport.md.
//
// The session is the stream. It cannot be resumed, so its end is the end of the
// link; a POST that fails is an error of that message alone.
type sseConn struct {
	remote *remote
	logger *slog.Logger
	post   string // where messages go, in the server's origin

	life context.Context // ends with the link
	stop context.CancelCauseFunc
	in   inbox         // from the stream, and answers to POSTs
	gone chan struct{} // closed when the stream is read no more

	codec codec

	mu    sync.Mutex     // guards the fields below
	err   error          // why the link ended
	posts sync.WaitGroup // under way; none begins after the end
}

// newSSELink opens a link to the server at s.URL, within ctx.
func newSSELink(ctx context.Context, s *Server) (link, error) {
	remote, err := newRemote(s)
	if err != nil {
		return nil, err
	}
	c := &sseConn{
		remote: remote,
		logger: s.logger().With("server", s.Name),
		gone:   make(chan struct{}),
	}
	// The stream outlives ctx, once there is a link.
	c.life, c.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	c.in = inbox{next: make(chan jsonrpc.Message, 64), over: c.life.Done()}
	unbind := context.AfterFunc(ctx, func() { c.stop(context.Cause(ctx)) })
	body, events, err := c.open()
	if !unbind() && err == nil {
		body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		c.stop(nil)
		remote.close()
		return nil, err
	}
	go c.readAll(body, events)
	return c, nil
}

// open opens the stream and reads it up to the event that says where messages
// go.
func (c *sseConn) open() (io.Closer, *sse.Reader, error) {
	resp, err := c.remote.do(c.life, http.MethodGet, c.remote.endpoint.String(), nil, sseGetHeader)
	if err != nil {
		return nil, nil, err
	}
	// A stream without a type is let pass: what it holds tells soon enough.
	if kind := mediaType(resp.Header); resp.StatusCode != http.StatusOK || kind != "text/event-stream" && kind != "" {
		return nil, nil, httpError(resp)
	}
	events := sse.NewReader(resp.Body, maxMessage)
	for {
		ev, err := events.Next()
		if err != nil {
			resp.Body.Close()
			if cause := context.Cause(c.life); cause != nil {
				return nil, nil, fmt.Errorf("no endpoint event: %w", cause)
			}
			return nil, nil, fmt.Errorf("no endpoint event: %w", streamEnd(err))
		}
		if ev.Name != "endpoint" {
			continue
		}
		if c.post, err = messageAddress(resp.Request.URL, string(bytes.TrimSpace(ev.Data))); err != nil {
			resp.Body.Close()
			return nil, nil, err
		}
		return resp.Body, events, nil
	}
}

// messageAddress resolves what an endpoint event says against the address of
// the stream. Another origin is refused: the credentials would go there.
func messageAddress(stream *url.URL, event string) (string, error) {
	rel, err := url.Parse(event)
	if err != nil || event == "" {
		return "", errors.New("its endpoint event holds no address")
	}
	post := stream.ResolveReference(rel)
	if !sameOrigin(post, stream) {
		return "", fmt.Errorf("its endpoint event sends messages to %s, another origin than %s: refused, since credentials would go there; "+
			"behind a proxy, let the server name a path alone", publicURL(post), origin(stream))
	}
	post.User, post.Fragment = stream.User, ""
	return post.String(), nil
}

// streamEnd says what the end of a stream means.
func streamEnd(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("it ended the event stream")
	case errors.Is(err, sse.ErrTooLong):
		return errTooLong
	default:
		return fmt.Errorf("the event stream broke: %w", err)
	}
}

// readAll is the goroutine that owns the stream.
func (c *sseConn) readAll(body io.Closer, events *sse.Reader) {
	defer close(c.gone)
	defer body.Close()
	for {
		ev, err := events.Next()
		if err != nil {
			c.end(streamEnd(err))
			return
		}
		switch ev.Name {
		case "", "message":
		case "endpoint":
			c.logger.Warn("mcp server names its endpoint again; the first one stays")
			continue
		default:
			continue // some servers send pings as events
		}
		c.take(ev.Data)
	}
}

// take hands the messages in the data of an event to Read. What is no message
// costs no other.
func (c *sseConn) take(data []byte) {
	msgs, err := c.codec.decode(data)
	if err != nil {
		c.logger.Warn("mcp server sent an event that is no message",
			"event", string(data[:min(len(data), 200)]), "cause", err)
	}
	for _, msg := range msgs {
		c.in.put(msg)
	}
}

// Connect implements mcp.Transport: the stream is open already.
func (c *sseConn) Connect(context.Context) (mcp.Connection, error) { return c, nil }

// SessionID implements mcp.Connection. The session has no name of its own.
func (c *sseConn) SessionID() string { return "" }

// Read implements mcp.Connection.
func (c *sseConn) Read(context.Context) (jsonrpc.Message, error) {
	if msg := c.in.get(c.quiet); msg != nil {
		return msg, nil
	}
	return nil, c.ended()
}

// quiet returns when nothing comes any more, after the end.
func (c *sseConn) quiet() {
	<-c.gone
	c.posts.Wait()
}

// begin notes a POST that is under way until done is called. It returns an error
// if the link has ended.
func (c *sseConn) begin() (done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, c.err)
	}
	c.posts.Add(1)
	return c.posts.Done, nil
}

// Write posts msg and returns when the server has taken it. When it does not,
// Write returns nil, and the error is the answer to msg if that is a request.
func (c *sseConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	data, err := jsonrpc.EncodeMessage(msg)
	if err != nil {
		return err
	}
	done, err := c.begin()
	if err != nil {
		return err
	}
	defer done()
	req, _ := msg.(*jsonrpc.Request)
	if req != nil {
		c.codec.note(req)
	}
	postCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.life, func() { cancel(context.Cause(c.life)) })()
	err = c.send(postCtx, req, data)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case req == nil:
		c.logger.Warn("mcp server did not take an answer", "cause", err)
		return nil
	case req.IsCall():
		c.codec.forget(req.ID)
		c.in.put(&jsonrpc.Response{ID: req.ID, Error: err})
	case req.Method == "notifications/initialized":
		return err // without it, servers refuse all else
	default:
		c.logger.Warn("mcp server did not take a notification", "method", req.Method, "cause", err)
	}
	var refused *HTTPError
	if errors.As(err, &refused) && (refused.StatusCode == http.StatusNotFound || refused.StatusCode == http.StatusGone) {
		c.end(errSessionLost)
	}
	return nil
}

// send posts data, the message req if that is not nil.
func (c *sseConn) send(ctx context.Context, req *jsonrpc.Request, data []byte) error {
	resp, err := c.remote.do(ctx, http.MethodPost, c.post, data, ssePostHeader)
	if err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return httpError(resp)
	}
	defer resp.Body.Close()
	switch mediaType(resp.Header) {
	case "application/json":
		return c.takeJSON(req, resp.Body)
	case "text/event-stream":
		return c.takeEvents(resp.Body)
	case "text/html":
		// A page is that of somebody between us and the server, but for some
		// frameworks all text is HTML, "Accepted" too.
		start, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		if err != nil || !bytes.HasPrefix(bytes.TrimSpace(start), []byte("<")) {
			return nil
		}
		refused := httpErrorOpen(resp)
		refused.setText(start, resp.Request)
		return refused
	default:
		// Read, so that the connection can be used again.
		_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody)
		return nil
	}
}

// takeJSON takes the answer to a POST. Some servers give the one to the message
// there instead of in the stream; for others it says no more than the status.
func (c *sseConn) takeJSON(req *jsonrpc.Request, body io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(body, maxMessage+1))
	if err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	if len(data) > maxMessage {
		return errTooLong
	}
	msgs, err := c.codec.decode(data)
	if err == nil {
		for _, msg := range msgs {
			c.in.put(msg)
		}
		return nil
	}
	if req != nil {
		return errorWithoutID(data)
	}
	return nil
}

func (c *sseConn) takeEvents(body io.Reader) error {
	events := sse.NewReader(body, maxMessage)
	for {
		ev, err := events.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return streamEnd(err)
		}
		c.take(ev.Data)
	}
}

// ended implements link.
func (c *sseConn) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// end implements link. It ends the stream too, and POSTs under way, which would
// wait for nothing.
func (c *sseConn) end(cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = cause
		c.stop(cause)
	}
	return c.err
}

// lastWords implements link: there is nothing but messages.
func (c *sseConn) lastWords() string { return "" }

// list implements link.
func (c *sseConn) list() *toolList { return &c.codec.tools }

// Close ends the stream and the POSTs under way, and waits for the stream's
// end. The server ends the session when the stream does.
func (c *sseConn) Close() error {
	c.end(errClosed)
	<-c.gone
	c.remote.close()
	return nil
}
