package mcptool

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/tramontane-dev/tramontane/internal/sse"
)

// A listener receives what the server of a session says by itself, on a stream
// that is opened by GET. The stream is optional, for the server and for us: no
// failure of it ends the session.
type listener struct {
	link *httpLink

	last     string // the id of the last event
	failures int    // in a row
	opened   bool   // there was a stream
}

// listen starts to listen. The channel is closed when the server has answered
// the first request for the stream.
func (c *httpLink) listen() (answered <-chan struct{}) {
	first := make(chan struct{})
	once := sync.OnceFunc(func() { close(first) })
	started := c.start(func() {
		defer once()
		l := &listener{link: c}
		for l.round(c.ctx, once) {
		}
	})
	if !started {
		once()
	}
	return first
}

// round opens the stream once and delivers what comes on it. It reports whether
// there is to be another round.
func (l *listener) round(ctx context.Context, answered func()) (again bool) {
	resp, err := l.link.get(ctx, l.last)
	answered()
	if ctx.Err() != nil {
		if err == nil {
			resp.Body.Close()
		}
		return false
	}
	if err != nil {
		return l.failed(ctx, err)
	}
	l.opened = true
	begun := time.Now()
	events := sse.NewReader(resp.Body, maxMessage)
	l.deliver(events)
	resp.Body.Close()
	if ctx.Err() != nil {
		return false
	}
	if id := events.LastID(); id != "" {
		l.last = id
	}
	if time.Since(begun) > lastDelay {
		l.failures = 0
	}
	wait := events.Retry()
	if wait <= 0 {
		wait = reopenDelay(l.failures, nil)
	}
	l.failures++
	return sleep(ctx, wait) == nil
}

// deliver delivers the messages of one stream, up to its end.
func (l *listener) deliver(events *sse.Reader) {
	for {
		ev, err := events.Next()
		if err != nil {
			return // streams end; the next round says more
		}
		if ev.Name != "" && ev.Name != "message" || len(ev.Data) == 0 {
			continue
		}
		msgs, err := l.link.codec.decode(ev.Data)
		if err != nil {
			l.link.logger.Warn("mcp server sent an event that is no message", "cause", err)
		}
		for _, msg := range msgs {
			l.failures = 0
			l.link.incoming.put(msg)
		}
	}
}

// failed decides what follows from a request for the stream that failed.
func (l *listener) failed(ctx context.Context, err error) (again bool) {
	answer, isAnswer := errors.AsType[*HTTPError](err)
	// It had a stream and has none: it does not know the session.
	lost := isAnswer && answer.StatusCode == http.StatusNotFound && l.opened && l.link.SessionID() != ""
	switch {
	case lost:
		l.link.lose()
		return false
	case isAnswer && !needsLogin(err) && !passing(err) && answer.StatusCode != http.StatusUnauthorized:
		// 405 says that there is no such stream; many servers say it another
		// way.
		l.link.logger.Debug("mcp server is not listened to", "cause", err)
		return false
	case errors.Is(err, context.Canceled):
		return false
	}
	if needsLogin(err) || isAnswer && answer.StatusCode == http.StatusUnauthorized {
		// Nobody is asked to log in again and again for the sake of this
		// stream. It waits for a request that the server answers.
		l.link.logger.Debug("mcp server is listened to again after a login", "cause", err)
		return l.link.awaitAnswer(ctx)
	}
	wait := reopenDelay(l.failures, err)
	l.failures++
	l.link.logger.Debug("mcp server is listened to again later", "wait", wait, "cause", err)
	return sleep(ctx, wait) == nil
}

// noteAnswer tells awaitAnswer that the server answered a request.
func (c *httpLink) noteAnswer() {
	select {
	case c.answers <- struct{}{}:
	default:
	}
}

// awaitAnswer waits until the server answers a request. It reports whether that
// was before ctx ended.
func (c *httpLink) awaitAnswer(ctx context.Context) bool {
	select {
	case <-c.answers: // an old one
	default:
	}
	select {
	case <-c.answers:
		return true
	case <-ctx.Done():
		return false
	}
}
