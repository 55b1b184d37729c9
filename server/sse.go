package server

import (
	"net/http"
	"sync"
	"time"

	"github.com/tramontane-dev/tramontane/internal/wire"
	"github.com/tramontane-dev/tramontane/mistral"
)

// An eventStream writes server-sent events.
type eventStream struct {
	mu      sync.Mutex // guards the fields below
	w       http.ResponseWriter
	flush   func() error
	buf     []byte
	written bool // since the last keep-alive tick
}

func newEventStream(w http.ResponseWriter) *eventStream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	return &eventStream{w: w, flush: http.NewResponseController(w).Flush}
}

// send writes one event. Its frame has an event line and no id: the official
// SDKs need the one and know nothing of the other.
func (s *eventStream) send(e mistral.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := wire.Marshal(e)
	if err != nil {
		return err
	}
	s.buf = append(s.buf[:0], "event: "...)
	s.buf = append(s.buf, wire.Text(wire.Member(data, "type"))...)
	s.buf = append(s.buf, "\ndata: "...)
	s.buf = append(s.buf, data...)
	s.buf = append(s.buf, "\n\n"...)
	s.written = true
	return s.writeLocked()
}

func (s *eventStream) writeLocked() error {
	if _, err := s.w.Write(s.buf); err != nil {
		return err
	}
	return s.flush()
}

// keepAlive writes a comment whenever nothing was written for a while, so that
// no one on the way takes the connection for dead. The function that it returns
// ends that and waits for the end.
func (s *eventStream) keepAlive(every time.Duration) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
			}
			s.mu.Lock()
			if !s.written {
				s.buf = append(s.buf[:0], ": keep-alive\n\n"...)
				s.writeLocked() // a client that is gone ends the request's context
			}
			s.written = false
			s.mu.Unlock()
		}
	}()
	return func() {
		close(quit)
		<-ended
	}
}
