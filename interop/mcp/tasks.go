package main

import (
	"context"
	"fmt"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// researches has server-everything make tasks of calls: each run is cancelled
// while its task goes on, and resumed (see internal/playcalls). One of them asks
// in the middle of it. It returns the calls.
func researches(ctx context.Context, s *mcptool.Server) ([]step, error) {
	steps := []step{
		{"simulate-research-query", `{"topic":"winds"}`, says("Research Report: winds")},
		{"simulate-research-query", `{"topic":"python","ambiguous":true}`, says("python (snake)")},
	}
	kept, said := 0, make(map[string]bool)
	err := play(ctx, s, steps, func(event tramontane.Event) {
		switch e := event.(type) {
		case *tramontane.KeptEvent:
			kept++
		case *tramontane.ProgressEvent:
			said[e.Message] = true
		}
	})
	if err != nil {
		return nil, err
	}
	if kept != len(steps) || !said["Generating report..."] {
		return nil, fmt.Errorf("%s: %d tasks, not %d, which said %v", s, kept, len(steps), said)
	}
	ok("%s: tasks outlived their runs", s.Name)
	return steps, nil
}
