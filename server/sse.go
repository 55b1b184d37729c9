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
	control *http.ResponseController
	data    []byte
	frame   []byte
	last    time.Time // when something was written
	err     error     // of the first write that failed; there is no other after it
}

// writeTimeout is how long a client may leave one event unread. A client that
// reads no more would otherwise keep its conversation locked for good.
const writeTimeout = time.Minute

func newEventStream(w http.ResponseWriter) *eventStream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	return &eventStream{w: w, control: http.NewResponseController(w)}
}

// send writes one event. Its frame has an event line and no id: the official
// SDKs need the one and know nothing of the other.
func (s *eventStream) send(e mistral.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.data, err = wire.Append(s.data[:0], e); err != nil {
		return err
	}
	for i, c := range s.data {
		// A raw value may have line ends between its tokens, and they would end
		// the frame's data.
		if c == '\n' || c == '\r' {
			s.data[i] = ' '
		}
	}
	s.frame = append(s.frame[:0], "event: "...)
	s.frame = append(s.frame, wire.Text(wire.Member(s.data, "type"))...)
	s.frame = append(s.frame, "\ndata: "...)
	s.frame = append(s.frame, s.data...)
	s.frame = append(s.frame, "\n\n"...)
	return s.writeLocked()
}

func (s *eventStream) writeLocked() error {
	if s.err != nil {
		return s.err
	}
	// A writer that knows no deadlines waits as long as it takes.
	s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	s.last = time.Now()
	if _, s.err = s.w.Write(s.frame); s.err == nil {
		s.err = s.control.Flush()
	}
	return s.err
}

// broken reports whether the client is gone.
func (s *eventStream) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

// keep writes a comment if nothing was written for so long, and returns when to
// look again.
func (s *eventStream) keep(every time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if idle := time.Since(s.last); idle < every {
		return every - idle
	}
	s.frame = append(s.frame[:0], ": keep-alive\n\n"...)
	s.writeLocked() // the next event finds the error
	return every
}

// keepAlive writes a comment whenever nothing was written for a while, so that
// no one on the way takes the connection for dead. The function that it returns
// ends that and waits for the end.
func (s *eventStream) keepAlive(every time.Duration) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		timer := time.NewTimer(every)
		defer timer.Stop()
		for {
			select {
			case <-quit:
				return
			case <-timer.C:
			}
			timer.Reset(s.keep(every))
		}
	}()
	return func() {
		close(quit)
		<-ended
		// The connection may serve another request, which has its own time.
		s.control.SetWriteDeadline(time.Time{})
	}
}
