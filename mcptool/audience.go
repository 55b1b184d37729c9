package mcptool

import (
	"context"
	"reflect"

	"github.com/tramontane-dev/tramontane"
)

// hear notes that the run of ctx has to do with the server: it is told what
// happens to the server until ctx ends.
func (s *Server) hear(ctx context.Context) {
	if ctx.Done() == nil || !reflect.ValueOf(ctx).Comparable() {
		return // no run has such a context
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.audience[ctx] != nil || s.life.Err() != nil {
		return
	}
	if s.audience == nil {
		s.audience = make(map[context.Context]func() bool)
	}
	s.audience[ctx] = context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.audience, ctx)
	})
}

// tell emits an event in every run that has to do with the server.
func (s *Server) tell(event tramontane.Event) {
	s.mu.Lock()
	runs := make([]context.Context, 0, len(s.audience))
	for ctx := range s.audience {
		runs = append(runs, ctx)
	}
	s.mu.Unlock()
	for _, ctx := range runs {
		tramontane.Emit(ctx, event)
	}
}

// tellState tells the runs how the server is doing.
func (s *Server) tellState() { s.tell(s.stateEvent()) }

func (s *Server) stateEvent() *tramontane.ServerEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, err := s.state()
	return &tramontane.ServerEvent{Server: s.Name, State: string(state), Err: err}
}
