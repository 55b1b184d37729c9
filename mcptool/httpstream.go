package mcptool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/tramontane-dev/tramontane/internal/sse"
)

const (
	// firstDelay is before the first attempt to open a stream again, if the
	// server did not say how long to wait. Each one after it waits twice as
	// long, up to lastDelay.
	firstDelay = time.Second
	lastDelay  = time.Minute

	// maxResumes is how often a stream is opened again without news on it,
	// before the response is given up.
	maxResumes = 5

	// maxRetryAfter is the longest that a server can ask to be left alone.
	maxRetryAfter = 10 * time.Minute
)

// errNoMessage is in the error of an answer of the right type that is no
// message.
var errNoMessage = errors.New("the answer is no message of MCP")

// exchange sends a request and delivers what the server answers. A nil error
// says that the response was delivered.
func (c *httpLink) exchange(ctx context.Context, req *jsonrpc.Request, data []byte) error {
	return c.exchangeAs(ctx, req, data, req.ID)
}

// exchangeAs is exchange for a request that the SDK knows under the id known.
func (c *httpLink) exchangeAs(ctx context.Context, req *jsonrpc.Request, data []byte, known jsonrpc.ID) error {
	ctx, free, cancel := c.within(ctx)
	defer cancel()
	resp, err := c.remote.do(ctx, http.MethodPost, c.url, data, c.header(ctx, req))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return c.failure(resp, req)
	}
	x := &exchange{link: c, req: req, known: known, free: free, header: resp.Header}
	switch kind := mediaType(resp.Header); {
	case kind == jsonType:
		return x.body(resp)
	case kind == eventsType:
		return x.streams(ctx, resp)
	default:
		return httpError(resp)
	}
}

// An exchange is one request and the messages that come back for it.
type exchange struct {
	link   *httpLink
	req    *jsonrpc.Request
	known  jsonrpc.ID // of the request, for the SDK
	free   func()     // lets the exchange go on when the call is over
	header http.Header
}

// take delivers the messages in data. It reports whether the response was among
// them.
func (x *exchange) take(data []byte) (answered bool, err error) {
	msgs, err := x.link.codec.decode(data)
	for _, msg := range msgs {
		if resp, ok := msg.(*jsonrpc.Response); ok && resp.ID == x.req.ID {
			answered = true
			x.link.learn(x.req, resp, x.header)
			x.link.noteAnswer()
			// The call's context often ends as soon as it has its response. The
			// connection is to be used again all the same.
			x.free()
			resp.ID = x.known
		}
		x.link.incoming.put(msg)
	}
	return answered, err
}

// body delivers an answer that is one message, or a batch.
func (x *exchange) body(resp *http.Response) error {
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage+1))
	if err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	if len(data) > maxMessage {
		return errTooLong
	}
	answered, err := x.take(data)
	switch {
	case answered:
		return nil
	case err != nil:
		if said := errorWithoutID(data); said != nil {
			return said
		}
		return fmt.Errorf("%w: %w", errNoMessage, err)
	default:
		return fmt.Errorf("%w: it has no response to the request", errNoMessage)
	}
}

// streams delivers an answer that is a stream, and those that continue it. Only
// the versions with sessions let one be continued.
func (x *exchange) streams(ctx context.Context, resp *http.Response) error {
	var last string
	for tries := 0; ; {
		events := sse.NewReader(resp.Body, maxMessage)
		answered, err := x.stream(events)
		if answered {
			drain(resp)
			return nil
		}
		resp.Body.Close()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, sse.ErrTooLong) {
			return errTooLong
		}
		if id := events.LastID(); id != "" && id != last {
			last, tries = id, 0
		}
		if last == "" || x.link.isModern() {
			return fmt.Errorf("the response broke off: %w", err)
		}
		if resp, err = x.resume(ctx, last, events.Retry(), &tries); err != nil {
			// That this request was refused says nothing of the one before.
			return fmt.Errorf("the response broke off and could not be resumed: %v", err)
		}
	}
}

// stream delivers the messages of one stream, up to the response.
func (x *exchange) stream(events *sse.Reader) (answered bool, err error) {
	for {
		ev, err := events.Next()
		if err != nil {
			return false, err
		}
		if ev.Name != "" && ev.Name != "message" || len(ev.Data) == 0 {
			continue
		}
		answered, err := x.take(ev.Data)
		if err != nil {
			x.link.logger.Warn("mcp server sent an event that is no message", "cause", err)
		}
		if answered {
			return true, nil
		}
	}
}

// drain reads a stream up to its end, if that is near, and closes it.
func drain(resp *http.Response) {
	end := time.AfterFunc(drainPatience, func() { resp.Body.Close() })
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody)) // for the connection's sake
	end.Stop()
	resp.Body.Close()
}

// resume opens the stream again that had the event last, after wait, or after a
// delay of ours if that is zero.
func (x *exchange) resume(ctx context.Context, last string, wait time.Duration, tries *int) (*http.Response, error) {
	for err := error(nil); ; {
		if *tries == maxResumes {
			if err == nil {
				err = errors.New("nothing new came on it")
			}
			return nil, fmt.Errorf("tried %d times: %w", maxResumes, err)
		}
		delay := wait
		if delay <= 0 || err != nil {
			delay = max(wait, reopenDelay(*tries, err))
		}
		*tries++
		if err := sleep(ctx, delay); err != nil {
			return nil, err
		}
		var resp *http.Response
		resp, err = x.link.get(ctx, last)
		if err == nil {
			return resp, nil
		}
		if !passing(err) {
			return nil, err
		}
	}
}

// get opens a stream by GET, from the event last on if that is not empty.
func (c *httpLink) get(ctx context.Context, last string) (*http.Response, error) {
	h := c.getHeader()
	if last != "" {
		h["Last-Event-Id"] = []string{last}
	}
	resp, err := c.remote.do(ctx, http.MethodGet, c.url, nil, h)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || mediaType(resp.Header) != eventsType {
		return nil, httpError(resp)
	}
	return resp, nil
}

// passing reports whether err may be of short duration.
func passing(err error) bool {
	if answer, ok := errors.AsType[*HTTPError](err); ok {
		return answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusRequestTimeout
	}
	return !needsLogin(err) && !errors.Is(err, errTooLong) && !errors.Is(err, errNoMessage)
}

// reopenDelay returns how long to wait after so many failures in a row, the last
// of them err if that is not nil: half of it is chance, so that clients of a
// server that was away do not come back all at once. It is no less than what the
// server asked for.
func reopenDelay(failures int, err error) time.Duration {
	d := min(firstDelay<<min(failures, 10), lastDelay)
	d = d/2 + rand.N(d/2)
	if answer, ok := errors.AsType[*HTTPError](err); ok {
		d = max(d, min(answer.retryAfter, maxRetryAfter))
	}
	return d
}

// sleep waits for d, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
