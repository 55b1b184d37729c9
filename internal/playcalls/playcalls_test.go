package playcalls_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/internal/playcalls"
)

type toolset []tramontane.Tool

func (s toolset) Tools(context.Context) ([]tramontane.Tool, error) { return s, nil }

func TestRun(t *testing.T) {
	type in struct {
		N int `json:"n"`
	}
	double := tramontane.Func("double", "", func(_ context.Context, in in) (int, error) {
		if in.N > 10 {
			return 0, errors.New("too big")
		}
		return 2 * in.N, nil
	}, nil)
	seen := 0
	results, err := playcalls.Run(t.Context(), []tramontane.Toolset{toolset{double}}, []playcalls.Call{
		{Tool: "double", Arguments: json.RawMessage(`{"n":2}`)},
		{Tool: "double", Arguments: json.RawMessage(`{"n":20}`)},
		{Tool: "double"},
	}, func(tramontane.Event) { seen++ })
	if err != nil || len(results) != 3 || seen == 0 {
		t.Fatalf("Run = %v, %v, having seen %d events", results, err, seen)
	}
	for i, want := range []bool{false, true} {
		if results[i].IsError != want {
			t.Errorf("call %d: IsError = %v, want %v", i, results[i].IsError, want)
		}
	}
	if got := results[0].Result.Text(); got != "4" {
		t.Errorf("double(2) = %q, want 4", got)
	}
}

// A slow tool begins what is waited for in another part of the run.
type slow struct{ begun, waited int }

func (s *slow) Definition() tramontane.Definition { return tramontane.Definition{Name: "slow"} }

func (s *slow) Call(ctx context.Context, call *tramontane.Call) (*tramontane.ToolResult, error) {
	if call.Handle == nil {
		s.begun++
		tramontane.Keep(ctx, json.RawMessage(`"begun"`))
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.waited++
	return nil, nil
}

func TestRunResumes(t *testing.T) {
	s := new(slow)
	results, err := playcalls.Run(t.Context(), []tramontane.Toolset{toolset{s}}, []playcalls.Call{{Tool: "slow"}, {Tool: "slow"}}, nil)
	if err != nil || len(results) != 2 || s.begun != 2 || s.waited != 2 {
		t.Errorf("Run = %v, %v; begun %d times and waited for %d times, want 2 each", results, err, s.begun, s.waited)
	}
}
