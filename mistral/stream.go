package mistral

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/tramontane-dev/tramontane/internal/sse"
	"github.com/tramontane-dev/tramontane/internal/wire"
)

const (
	defaultStreamIdle = 5 * time.Minute

	// maxEvent bounds one event. The largest hold an image in base64.
	maxEvent = 32 << 20
)

// A decoder turns an event of the answer to a request into a value. It says when
// the value is the last, and gives none (the zero value) for an event that only
// ends.
type decoder[T any] func(r *request, d *wire.Decoder, ev sse.Event) (value T, more bool, err error)

// stream makes a request and returns what its answer streams, up to the value
// that the decoder calls the last. A stream that ends before is an error.
func stream[T comparable](ctx context.Context, c *Client, r *request, in any, decode decoder[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		r := new(*r) // the sequence may be ranged over at the same time elsewhere
		ctx, cancel := context.WithCancelCause(ctx)
		// Cancelling ends the connection, if the stream was not read to its end.
		defer cancel(nil)
		watch := newWatchdog(cancel, c.StreamIdle)
		defer watch.pause()
		body, err := c.open(ctx, r, in, watch)
		if err != nil {
			yield(none, err)
			return
		}
		defer body.Close()
		var d wire.Decoder
		events := sse.NewReader(&watchedReader{body, watch}, maxEvent)
		for {
			ev, err := events.Next()
			if err != nil {
				yield(none, r.brokenOff(ctx, err))
				return
			}
			value, more, err := decode(r, &d, ev)
			if err != nil {
				yield(none, r.broken(err))
				return
			}
			if value != none && !yield(value, nil) || !more {
				return
			}
		}
	}
}

// open makes the request and returns the body of its answer.
func (c *Client) open(ctx context.Context, r *request, in any, watch *watchdog) (body io.ReadCloser, err error) {
	r.accept = "text/event-stream"
	if err := r.encode(in); err != nil {
		return nil, err
	}
	err = c.retry(ctx, r.method, func() error {
		watch.reset()
		resp, err := c.send(ctx, r, true)
		watch.pause()
		if err != nil {
			return err
		}
		if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
			resp.Body.Close()
			return r.unreadable(resp, errors.New("want a stream of type \"text/event-stream\""))
		}
		body = resp.Body
		return nil
	})
	return body, err
}

// brokenOff returns the error of a stream that ended before its last event.
func (r *request) brokenOff(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return r.broken(err)
}

func (r *request) broken(err error) error {
	if e := new(Error); errors.As(err, &e) {
		return e
	}
	return r.lost(fmt.Errorf("stream: %w", err))
}

var errIdle = errors.New("the server sent nothing for too long (Client.StreamIdle)")

// A watchdog cancels a stream that is silent for too long. Its timer is nil if
// there is no bound.
type watchdog struct {
	limit time.Duration
	timer *time.Timer
}

func newWatchdog(cancel context.CancelCauseFunc, limit time.Duration) *watchdog {
	if limit < 0 {
		return &watchdog{}
	}
	if limit == 0 {
		limit = defaultStreamIdle
	}
	w := &watchdog{limit, time.AfterFunc(limit, func() { cancel(errIdle) })}
	w.pause()
	return w
}

func (w *watchdog) reset() {
	if w.timer != nil {
		w.timer.Reset(w.limit)
	}
}

func (w *watchdog) pause() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// A watchedReader counts only the time in Read: what the caller does with an
// event takes none of the server's.
type watchedReader struct {
	r     io.Reader
	watch *watchdog
}

func (w *watchedReader) Read(p []byte) (int, error) {
	w.watch.reset()
	defer w.watch.pause()
	return w.r.Read(p)
}

// decodeReply decodes the events of a conversation.
func decodeReply(_ *request, d *wire.Decoder, ev sse.Event) (Event, bool, error) {
	e, err := decodeEvent(ev.Name, ev.Data, d)
	switch e.(type) {
	case *ResponseDone, *ResponseError:
		return e, false, err
	}
	return e, true, err
}

// decodeChatChunk decodes the events of a chat.
func decodeChatChunk(r *request, d *wire.Decoder, ev sse.Event) (*ChatChunk, bool, error) {
	if string(ev.Data) == "[DONE]" {
		return nil, false, nil
	}
	chunk := new(ChatChunk)
	if err := d.Unmarshal(ev.Data, chunk); err != nil {
		return nil, false, err
	}
	// Servers that fail in the middle of an answer send an error in its place.
	if failure := chunk.Extra.Value("error"); chunk.Object == "error" || failure != nil && string(failure) != "null" {
		return nil, false, r.failed(ev.Data)
	}
	return chunk, true, nil
}

// failed is the error that a stream had in it.
func (r *request) failed(data []byte) *Error {
	data = r.key.hideIn(bytes.Clone(data))
	e := &Error{Method: r.method, Path: r.path, StatusCode: http.StatusOK, Body: data[:min(len(data), maxErrorBody)]}
	e.parse(data)
	if code, err := strconv.Atoi(e.Code); err == nil && code >= 400 && code < 600 {
		e.StatusCode = code
	}
	return e
}
