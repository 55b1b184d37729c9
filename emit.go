package tramontane

import (
	"context"
	"slices"
	"sync"
)

// Emit adds an event to the stream of the run that ctx belongs to: a
// *[ProgressEvent], *[LogEvent], *[ServerEvent], *[ToolsChangedEvent] or
// *[ResourceUpdatedEvent]; the others are the run's own, and ignored. A ctx
// belongs to a run if it is, or comes from, one that the run gave to [Tool.Call]
// or [Toolset.Tools]. In any other, in a run without a stream, and after the run
// has ended, Emit does nothing.
//
// Emit is safe for concurrent use and never waits. What one goroutine emits
// stays in order, and comes before the [ResultEvent] of the call that it was
// emitted in. While the reader of the stream is behind, a ProgressEvent takes
// the place of one before it for the same call; beyond 1024 events that wait, a
// LogEvent is dropped and counted (see [LogEvent]), and a ProgressEvent dropped.
func Emit(ctx context.Context, event Event) {
	e, ok := ctx.Value(emissionKey{}).(*emission)
	if !ok || e.to == nil {
		return
	}
	switch event := event.(type) {
	case *ProgressEvent:
		if event.Call.Key == "" && e.call != nil {
			filled := *event
			filled.Call = *e.call
			e.to.add(&filled)
			return
		}
		e.to.add(event)
	case *LogEvent, *ServerEvent, *ToolsChangedEvent, *ResourceUpdatedEvent:
		e.to.add(event)
	}
}

type emissionKey struct{}

// An emission is what a context says of the run that it belongs to.
type emission struct {
	to   *reports // nil if the run has no stream
	call *Call    // nil outside of a call
}

// emits returns a context that belongs to a run. A run without a stream inside
// a tool of one that has a stream hides that from its own tools.
func emits(ctx context.Context, to *reports, call *Call) context.Context {
	if to == nil && ctx.Value(emissionKey{}) == nil {
		return ctx
	}
	return context.WithValue(ctx, emissionKey{}, &emission{to: to, call: call})
}

// maxReports bounds what waits for a reader that is behind: it may be a person
// who has stopped a terminal, while a server goes on to log.
const maxReports = 1024

// reports are the events that goroutines other than the driver's have added and
// that it has not taken yet.
type reports struct {
	ready chan struct{} // holds something while there may be something to take

	mu     sync.Mutex // guards the fields below
	queue  []Event
	missed int // log events dropped since the last one that was not
	over   bool
}

func newReports() *reports { return &reports{ready: make(chan struct{}, 1)} }

func (r *reports) add(event Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	switch e := event.(type) {
	case *ProgressEvent:
		if i := r.last(e.Call.Key); i >= 0 {
			r.queue[i] = e
			return
		}
		if len(r.queue) >= maxReports {
			return
		}
	case *LogEvent:
		if len(r.queue) >= maxReports {
			r.missed++
			return
		}
		if r.missed > 0 {
			told := *e
			told.Missed += r.missed
			event, r.missed = &told, 0
		}
	}
	r.queue = append(r.queue, event)
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// last returns the index of the progress of a call, if nothing that waits came
// after it, save the progress of other calls.
func (r *reports) last(key string) int {
	for i, event := range slices.Backward(r.queue) {
		e, ok := event.(*ProgressEvent)
		if !ok {
			return -1
		}
		if e.Call.Key == key {
			return i
		}
	}
	return -1
}

func (r *reports) take() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.queue
	r.queue = nil
	return events
}

// close ends the taking in of events and returns how many were dropped and not
// told of.
func (r *reports) close() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return r.missed
}
