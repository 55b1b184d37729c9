package mcptool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/tramontane-dev/tramontane"
)

// Servers are several servers as one [tramontane.Toolset], in which no two
// tools have the same name. A run that is given the servers one by one instead
// refuses to start when two names meet.
type Servers []*Server

// Tools starts or reaches the servers side by side, where that is needed, and
// returns their tools in the order of the servers. If servers fail that are
// Required, it returns an error with a line for each; see [Server.Tools] for
// the others.
func (s Servers) Tools(ctx context.Context) ([]tramontane.Tool, error) {
	names := make(map[string]bool)
	for i, server := range s {
		if server == nil {
			return nil, fmt.Errorf("server %d of the Servers is nil", i)
		}
		if names[server.Name] {
			return nil, fmt.Errorf("%s: there are two servers of this name; rename one", server)
		}
		names[server.Name] = true
	}
	lists := make([][]*tool, len(s))
	errs := make([]error, len(s))
	var wg sync.WaitGroup
	for i, server := range s {
		wg.Go(func() { lists[i], errs[i] = server.offer(ctx) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var all []*tool
	for _, list := range lists {
		all = append(all, list...)
	}
	return nameTools(all)
}

// offer returns the tools that a run gets, as Need says. An error ends the run.
func (s *Server) offer(ctx context.Context) ([]*tool, error) {
	s.init()
	if s.Need == Lazy {
		if tools, ok := s.cachedTools(); ok {
			s.hear(ctx)
			return tools, nil
		}
	}
	if s.Need == Required {
		s.mu.Lock()
		s.backoff.forgive()
		s.mu.Unlock()
	}
	tools, err := s.list(ctx)
	if err == nil {
		s.hear(ctx) // from now on: of what came before, it has the newest
		return tools, nil
	}
	never := s.check() != nil // can it be had
	if s.Need == Required || never || ctx.Err() != nil || s.life.Err() != nil {
		return nil, err
	}
	level := slog.LevelWarn
	s.mu.Lock()
	if s.warned == s.attempts && s.missing == nil {
		level = slog.LevelInfo // nothing was tried since the last warning
	}
	s.warned = s.attempts
	s.mu.Unlock()
	s.logger().Log(ctx, level, "a run goes on without the tools of an mcp server", "server", s.Name, "cause", err)
	event := s.stateEvent()
	event.Err = err // it may say more than the state: when it is tried again
	tramontane.Emit(ctx, event)
	return nil, nil
}

// Status returns how each server is doing, in their order. That of a nil is the
// zero value.
func (s Servers) Status() []Status {
	all := make([]Status, len(s))
	for i, server := range s {
		if server != nil {
			all[i] = server.Status()
		}
	}
	return all
}

// Close closes the servers side by side and returns when all are gone.
func (s Servers) Close() error {
	errs := make([]error, len(s))
	var wg sync.WaitGroup
	for i, server := range s {
		if server != nil { // Tools has said so; the others shall end all the same
			wg.Go(func() { errs[i] = server.Close() })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}
