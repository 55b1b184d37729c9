package loop_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/internal/loop"
)

// TestTranscripts runs design/loop.md, so that it stays true.
func TestTranscripts(t *testing.T) {
	for _, tr := range readTranscripts(t) {
		t.Run(tr.name, func(t *testing.T) {
			r := &recorder{tb: t}
			for _, step := range tr.steps {
				if step.event == nil {
					r.crash()
					continue
				}
				got := asTexts(r.step(step.event), r.state)
				if diff := cmp.Diff(step.want, got); diff != "" {
					t.Fatalf("design/loop.md:%d: after %q (-want +got):\n%s", step.line, step.text, diff)
				}
			}
			r.check()
		})
	}
}

// A recorder takes steps and proves of each that it changed nothing it was
// given, and that a State that was saved in between makes no difference.
type recorder struct {
	tb    testing.TB
	state loop.State
	past  []loop.State
	saved [][]byte // past, as it was then
}

func (r *recorder) step(event loop.Event) []loop.Command {
	r.tb.Helper()
	saved, happened := asJSON(r.tb, r.state), asJSON(r.tb, event)
	r.past, r.saved = append(r.past, r.state), append(r.saved, saved)
	state, commands := loop.Step(r.state, event)
	if !bytes.Equal(happened, asJSON(r.tb, event)) {
		r.tb.Fatalf("Step changed its event, a %T that was %s", event, happened)
	}
	if len(r.past) > 1 {
		parsed, err := loop.Parse(saved)
		if err != nil {
			r.tb.Fatalf("Parse(%s): %v", saved, err)
		}
		again, same := loop.Step(parsed, event)
		if diff := cmp.Diff(asTexts(commands, state), asTexts(same, again)); diff != "" {
			r.tb.Fatalf("a saved State goes on differently after %T (-kept +saved):\n%s", event, diff)
		}
		if kept, read := asJSON(r.tb, state), asJSON(r.tb, again); !bytes.Equal(kept, read) {
			r.tb.Fatalf("a saved State becomes another after %T:\nkept  %s\nsaved %s", event, kept, read)
		}
	}
	r.state = state
	return commands
}

// check proves that no Step changed a State that it, or one before it, was
// given.
func (r *recorder) check() {
	r.tb.Helper()
	for i, s := range r.past {
		if now := asJSON(r.tb, s); !bytes.Equal(r.saved[i], now) {
			r.tb.Fatalf("the State before step %d was changed later:\nthen %s\nnow  %s", i, r.saved[i], now)
		}
	}
}

// crash leaves nothing of the run but its saved State.
func (r *recorder) crash() {
	r.tb.Helper()
	state, err := loop.Parse(asJSON(r.tb, r.state))
	if err != nil {
		r.tb.Fatal(err)
	}
	r.state = state
}

// TestParseOlder reads a State of a program that knew no handles.
func TestParseOlder(t *testing.T) {
	saved := `{"version":1,"run_id":"run","phase":"calling","calls":[{"key":"run/1/a1","id":"a1","name":"pay","arguments":"{}","status":"running"}]}`
	s, err := loop.Parse([]byte(saved))
	if err != nil {
		t.Fatal(err)
	}
	if s.Version != loop.Version || len(s.Calls) != 1 || s.Calls[0].Handle != nil {
		t.Errorf("Parse(%s) = %+v, want version %d and a call without a handle", saved, s, loop.Version)
	}
}

func TestParse(t *testing.T) {
	for _, data := range []string{``, `[]`, `{}`, `{"version":3}`, `{"version":1,"inputs":3}`} {
		if s, err := loop.Parse([]byte(data)); err == nil {
			t.Errorf("Parse(%s) = %+v, want an error", data, s)
		}
	}
}
