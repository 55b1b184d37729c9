package loop_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/internal/loop"
	"github.com/tramontane-dev/tramontane/mistral"
)

// TestRandomRuns takes runs through every mishap there is, in any order, and
// then home. The world checks what must hold in each of them: exactly one
// result of every call, in one request that took effect, in the model's order;
// no call of an unsafe tool twice; none that began something but with what it
// said of that; none without a person's word where the policy
// or the tool asks for it; no two requests at once; exactly one Finish
// and no command after it; everything said arrives once.
func TestRandomRuns(t *testing.T) {
	runs := 1000
	if testing.Short() {
		runs = 100
	}
	reasons := map[loop.Reason]int{}
	for seed := range runs {
		rng := rand.New(rand.NewPCG(1, uint64(seed)))
		w := newWorld(t, rng)
		w.log = append(w.log, func() string { return fmt.Sprintf("seed %d", seed) })
		w.do(w.randomBegin())
		for range rng.IntN(60) {
			switch {
			case w.finished:
				reasons[w.state.Reason]++
				w.settle()
				w.do(w.randomResume())
			case rng.IntN(25) == 0 && !w.cancelled:
				w.do(&loop.Cancel{})
			case rng.IntN(50) == 0: // the driver errs, and what is under way is dropped
				w.do(&loop.ToolReturned{Key: "nobody's"})
				w.crash()
				w.do(w.randomResume())
			case rng.IntN(25) == 0:
				w.crash()
				w.do(w.randomResume())
			default:
				w.complete(rng.IntN(len(w.flight)))
			}
		}
		w.bringHome()
	}
	for _, reason := range []loop.Reason{loop.Done, loop.MaxTurns, loop.Pending, loop.Cancelled, loop.Failed} {
		if reasons[reason] == 0 {
			t.Errorf("no run ended as %s: the world is not random enough", reason)
		}
	}
}

func (w *world) randomBegin() *loop.Begin {
	b := &loop.Begin{RunID: "run", Mode: loop.Remote, Policy: w.randomPolicy(), MaxTurns: 1 + w.rng.IntN(5), Inputs: w.say()}
	switch w.rng.IntN(5) {
	case 0:
		b.Mode = loop.Local
	case 1:
		b.Agent = &loop.Agent{ID: "ag_1"}
	case 2:
		w.begin(true)
		b.ConversationID = w.id
		w.entries = append(mistral.Entries{&mistral.MessageInput{ID: "in", Content: mistral.Content{Text: "before"}}}, w.outputs()...)
	}
	return b
}

func (w *world) randomPolicy() loop.Policy {
	return loop.Policy{Approve: w.rng.IntN(3) == 0, EndOnToolFail: w.rng.IntN(3) == 0}
}

func (w *world) randomResume() *loop.Resume {
	r := &loop.Resume{Policy: w.randomPolicy(), MaxTurns: 1 + w.rng.IntN(5)}
	if w.rng.IntN(2) == 0 {
		r.Inputs = w.say()
	}
	return r
}

// TestCancelAnywhere cancels every transcript after each of its events.
func TestCancelAnywhere(t *testing.T) {
	interruptTranscripts(t, func(w *world) {
		ended := w.finished
		w.do(&loop.Cancel{})
		w.settle()
		if !ended && w.state.Reason != loop.Cancelled && w.state.Reason != loop.Done {
			w.fatalf("a cancelled run ended as %s", w.state.Reason)
		}
	})
}

// TestCrashAnywhere ends the program after each event of every transcript.
func TestCrashAnywhere(t *testing.T) {
	interruptTranscripts(t, func(w *world) {
		w.crash()
		w.do(&loop.Resume{MaxTurns: 20, Inputs: w.say()})
	})
}

// interruptTranscripts plays every transcript up to each of its events,
// interrupts it there and brings it home.
func interruptTranscripts(t *testing.T, interrupt func(*world)) {
	for _, tr := range readTranscripts(t) {
		if hopeless(tr.name) {
			continue
		}
		t.Run(tr.name, func(t *testing.T) {
			for n := range tr.steps {
				if tr.steps[n].event == nil {
					continue // nothing runs here that could be interrupted
				}
				w := newWorld(t, nil)
				w.foresee(tr)
				for _, step := range tr.steps[:n+1] {
					w.play(step)
				}
				interrupt(w)
				w.bringHome()
			}
		})
	}
}

// hopeless reports whether a transcript cannot end well, whoever resumes it.
func hopeless(name string) bool {
	return slices.ContainsFunc([]string{"driver that errs", "does not tell", "is gone", "does not exist", "does not name"}, func(s string) bool {
		return strings.Contains(name, s)
	})
}

// foresee fills a conversation that someone else began before the run reads it.
func (w *world) foresee(tr transcript) {
	if b := tr.steps[0].event.(*loop.Begin); b.ConversationID == "" {
		return
	}
	for _, s := range tr.steps {
		if e, ok := s.event.(*loop.HistoryRead); ok {
			w.entries = slices.Clone(e.Entries)
			return
		}
	}
}

// play takes a step of a transcript, and keeps the world as the transcript says
// that it is.
func (w *world) play(s *step) {
	w.tb.Helper()
	if s.event == nil {
		w.crash()
		return
	}
	answered := func(same func(loop.Command) bool) loop.Command {
		i := slices.IndexFunc(w.flight, same)
		if i < 0 {
			return nil // it came after the end
		}
		command := w.flight[i]
		w.flight = slices.Delete(w.flight, i, i+1)
		return command
	}
	switch e := s.event.(type) {
	case *loop.Begin:
		w.id, w.stored = e.ConversationID, true
	case *loop.AgentPrepared:
		answered(func(c loop.Command) bool { _, ok := c.(*loop.PrepareAgent); return ok })
	case *loop.ToolsListed:
		w.tools = e.Tools
		answered(func(c loop.Command) bool { _, ok := c.(*loop.ListTools); return ok })
	case *loop.PrepareFailed:
		answered(func(c loop.Command) bool { _, ok := c.(*loop.ListTools); return ok })
	case *loop.HistoryRead:
		answered(func(c loop.Command) bool { _, ok := c.(*loop.ReadHistory); return ok })
		if e.Message == "" {
			w.stored, w.entries = !e.Missing, slices.Clone(e.Entries)
		}
	case *loop.ModelReplied:
		c := answered(func(c loop.Command) bool { _, ok := c.(*loop.CallModel); return ok })
		w.carryOut(c.(*loop.CallModel), e.Outputs, true)
		if !w.local {
			w.id = e.ConversationID
		}
	case *loop.ModelFailed:
		answered(func(c loop.Command) bool { _, ok := c.(*loop.CallModel); return ok })
		if e.ConversationID != "" {
			w.id, w.stored, w.entries = e.ConversationID, false, nil
		}
	case *loop.Decided:
		answered(func(c loop.Command) bool { a, ok := c.(*loop.Ask); return ok && a.Call.Key == e.Key })
	case *loop.ToolLeft:
		answered(func(c loop.Command) bool { a, ok := c.(*loop.CallTool); return ok && a.Call.Key == e.Key })
	case *loop.ToolReturned:
		answered(func(c loop.Command) bool { a, ok := c.(*loop.CallTool); return ok && a.Call.Key == e.Key })
	case *loop.ToolLost:
		answered(func(c loop.Command) bool { a, ok := c.(*loop.CallTool); return ok && a.Call.Key == e.Key })
	}
	w.do(s.event)
}

// FuzzStep takes any event in any State, and must neither panic nor change what
// it was given.
func FuzzStep(f *testing.F) {
	f.Add([]byte("\x00\x00\x03\x01\x05\x02\x08\x00"), "")
	f.Add([]byte("\x01\x00\x03\x01\x06\x01\x04\x02"), `{"version":1,"phase":"replying","conversation_id":"c","calls":[{"key":"k","status":"running"}],"inputs":[null,{}]}`)
	f.Fuzz(func(t *testing.T, data []byte, saved string) {
		r := &recorder{tb: t}
		if state, err := loop.Parse([]byte(saved)); err == nil {
			r.state = state
		} else {
			r.step(&loop.Begin{RunID: "run", Mode: loop.Remote, MaxTurns: 3})
		}
		for ; len(data) >= 2; data = data[2:] {
			r.step(fuzzEvent(data[0], data[1], r.state))
		}
		r.check()
	})
}

func fuzzEvent(kind, seed byte, s loop.State) loop.Event {
	rng := rand.New(rand.NewPCG(2, uint64(seed)))
	outputs := (&world{rng: rng, named: int(seed)}).outputs()
	key := "run/1/a1"
	if len(s.Calls) > 0 {
		key = s.Calls[int(seed)%len(s.Calls)].Key
	}
	flag := seed%2 == 0
	switch kind % 15 {
	case 0:
		return &loop.Begin{RunID: "run", Mode: pick(rng, loop.Remote, loop.Local, ""), ConversationID: pick(rng, "", "c"), MaxTurns: int(seed) % 4, Inputs: outputs}
	case 1:
		return &loop.Resume{Policy: loop.Policy{Approve: flag, EndOnToolFail: !flag}, MaxTurns: int(seed) % 4, Inputs: outputs}
	case 2:
		return &loop.Cancel{}
	case 3:
		return &loop.ToolsListed{Tools: []loop.Tool{{Name: "lookup", Safe: true}, {Name: "pay", Confirm: flag}}[:rng.IntN(3)]}
	case 4:
		return &loop.AgentPrepared{Agent: loop.Agent{ID: "ag"}}
	case 5:
		return &loop.ModelReplied{ConversationID: pick(rng, "", "c"), Outputs: outputs}
	case 6:
		return &loop.ModelFailed{Message: "m", Uncertain: flag, Answered: rng.IntN(2) == 0, ConversationID: pick(rng, "", "c")}
	case 7:
		return &loop.HistoryRead{Entries: outputs, Missing: flag}
	case 8:
		return &loop.Decided{Key: key, Verdict: pick(rng, loop.Allow, loop.Deny, loop.Later, "")}
	case 9:
		return &loop.ToolReturned{Key: key, IsError: flag}
	case 10:
		return &loop.ToolLost{Key: key}
	case 11:
		return &loop.PrepareFailed{Message: "m"}
	case 12:
		return &loop.ToolKept{Key: key, Handle: json.RawMessage(pick(rng, `{"n":1}`, `2`))}
	case 13:
		return &loop.ToolLeft{Key: key}
	}
	return nil
}
