package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// letAsk lets a server ask the model of the run, which internal/playcalls plays,
// and tells it of a root.
func letAsk(s *mcptool.Server) {
	s.Sampling = &mcptool.Sampling{}
	s.Roots = []mcptool.Root{{URI: "file:///interop", Name: "interop"}}
}

// subscribes is told of a change of a resource by the server, in a run that
// makes the steps, and out of it. The run hears of it too.
func subscribes(ctx context.Context, s *mcptool.Server, uri string, steps []step) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var heard atomic.Bool
	run := make(chan error, 1)
	running := false
	defer func() {
		if running {
			<-run
		}
	}()
	for update, err := range s.Subscribe(ctx, uri) {
		if err != nil {
			return err
		}
		if update.URI != uri {
			return fmt.Errorf("%s tells of %s, not of %s", s, update.URI, uri)
		}
		if !update.Anew {
			break
		}
		if steps == nil || running {
			continue // it changes by itself
		}
		running = true
		go func() {
			run <- play(ctx, s, steps, func(event tramontane.Event) {
				if e, ok := event.(*tramontane.ResourceUpdatedEvent); ok && e.URI == uri {
					heard.Store(true)
				}
			})
		}()
	}
	if running {
		running = false
		if err := <-run; err != nil {
			return err
		}
		if !heard.Load() {
			return fmt.Errorf("%s: the run did not hear that %s changed", s, uri)
		}
	}
	ok("%s: told that %s changed", s.Name, uri)
	return nil
}

// completes asks for values and checks for one among them, or for none.
func completes(ctx context.Context, s *mcptool.Server, ref mcptool.CompletionRef, argument, value string, known map[string]string, want string) error {
	c, err := s.Complete(ctx, ref, argument, value, known)
	if err != nil {
		return err
	}
	if want == "" && len(c.Values) > 0 || want != "" && !slices.Contains(c.Values, want) {
		return fmt.Errorf("%s completes %s of %+v to %q, without %q", s, argument, ref, c.Values, want)
	}
	ok("%s: completed %s of %s", s.Name, argument, ref.Prompt+ref.URITemplate)
	return nil
}

// noSkills checks that a server without skills is not taken for one with some.
func noSkills(ctx context.Context, s *mcptool.Server) error {
	for skill, err := range s.Skills(ctx) {
		return fmt.Errorf("%s has the skill %v (%v)", s, skill, err)
	}
	if _, err := s.Skill(ctx, "skill://none/SKILL.md"); !errors.Is(err, mcptool.ErrNotFound) {
		return fmt.Errorf("%s: a skill that is none: %v", s, err)
	}
	return nil
}
