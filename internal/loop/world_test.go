package loop_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/internal/loop"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A world is what a run deals with: an API that refuses a request without the
// one result of each open call, tools, people, and a driver that watches that
// the loop keeps its word.
type world struct {
	recorder
	rng   *rand.Rand // if nil, all goes well
	tools []loop.Tool

	// The API.
	id        string // of the conversation that the run can know of
	stored    bool   // the conversation exists
	entries   mistral.Entries
	named     int             // entries so far, for their ids
	unreplied bool            // the API took inputs in, and is still to reply
	late      *loop.CallModel // a request that is believed lost, and is not

	// The driver.
	flight    []loop.Command
	finished  bool
	cancelled bool
	policy    loop.Policy
	local     bool
	said      []string // all that the caller said; each must arrive once
	made      map[string]int
	handles   map[string]string // of calls that began something, by key
	allowed   map[string]bool
	spent     loop.Usage
	log       []func() string
}

func newWorld(tb testing.TB, rng *rand.Rand) *world {
	return &world{
		recorder: recorder{tb: tb},
		rng:      rng,
		tools:    []loop.Tool{{Name: "lookup", Safe: true}, {Name: "pay"}, {Name: "wipe", Confirm: true}, {Name: "peek", Safe: true, Confirm: true}},
		made:     map[string]int{},
		handles:  map[string]string{},
		allowed:  map[string]bool{},
	}
}

func (w *world) fatalf(format string, args ...any) {
	w.tb.Helper()
	var log strings.Builder
	for _, line := range w.log {
		log.WriteString("\n" + line())
	}
	w.tb.Fatalf(format+"%s", append(args, log.String())...)
}

// chance is true once in n times, and never if all goes well.
func (w *world) chance(n int) bool { return w.rng != nil && w.rng.IntN(n) == 0 }

// do takes a step and checks what the loop may command.
func (w *world) do(event loop.Event) {
	w.tb.Helper()
	w.log = append(w.log, func() string { return fmt.Sprintf("-> %T %s", event, asJSON(w.tb, event)) })
	switch e := event.(type) {
	case *loop.Begin:
		w.began(e.Policy, e.Inputs)
		w.local = e.Mode == loop.Local
	case *loop.Resume:
		w.began(e.Policy, e.Inputs)
	case *loop.Cancel:
		w.cancelled = true
	case *loop.ToolLeft:
		w.cancelled = true
	case *loop.ToolKept:
		w.handles[e.Key] = string(e.Handle)
	case *loop.ModelReplied:
		w.spent.PromptTokens += e.Usage.PromptTokens
		w.spent.CompletionTokens += e.Usage.CompletionTokens
		w.spent.TotalTokens += e.Usage.TotalTokens
	case *loop.Decided:
		w.allowed[e.Key] = e.Verdict == loop.Allow
	}
	commands := w.step(event)
	for _, c := range w.state.Calls {
		if c.Status == loop.Settled && c.Handle != nil {
			w.fatalf("call %s is over, and still has the handle %s", c.Key, c.Handle)
		}
	}
	for _, command := range commands {
		w.log = append(w.log, func() string { return "<- " + commandText(command, w.state) })
		w.allow(command)
		w.flight = append(w.flight, command)
	}
	w.flight = slices.DeleteFunc(w.flight, func(c loop.Command) bool {
		switch c.(type) {
		case *loop.ShowReply, *loop.Finish:
			return true
		}
		return false
	})
	if !w.finished && len(w.flight) == 0 {
		w.fatalf("the run waits for nothing and has not ended")
	}
}

func (w *world) began(p loop.Policy, inputs mistral.Entries) {
	w.flight, w.finished, w.cancelled, w.policy = nil, false, false, p
	for _, entry := range inputs {
		if m, ok := entry.(*mistral.MessageInput); ok {
			w.said = append(w.said, m.Content.String())
		}
	}
}

// allow checks a command against the promises of the package.
func (w *world) allow(command loop.Command) {
	w.tb.Helper()
	if w.finished {
		w.fatalf("a command after Finish")
	}
	finish, ends := command.(*loop.Finish)
	if _, shows := command.(*loop.ShowReply); shows {
		return
	}
	if w.cancelled && !ends {
		w.fatalf("a command after Cancel")
	}
	if ends {
		w.finished = true
		if w.state.Phase != loop.Ended || w.state.Reason != finish.Reason {
			w.fatalf("Finish(%s) in phase %s, reason %s", finish.Reason, w.state.Phase, w.state.Reason)
		}
		return
	}
	switch c := command.(type) {
	case *loop.CallModel:
		if slices.ContainsFunc(w.flight, func(c loop.Command) bool { _, same := c.(*loop.CallModel); return same }) {
			w.fatalf("two requests at once")
		}
	case *loop.CallTool:
		i := slices.IndexFunc(w.tools, func(t loop.Tool) bool { return t.Name == c.Call.Name })
		switch {
		case i < 0 || c.Call.Remote:
			w.fatalf("a call of a tool that is not ours")
		case w.handles[c.Call.Key] != string(c.Call.Handle):
			w.fatalf("%s is called with handle %s, want %s", c.Call.Key, c.Call.Handle, w.handles[c.Call.Key])
		case c.Call.Handle != nil:
			return // it begins nothing
		case !w.tools[i].Safe && w.made[c.Call.Key] > 0:
			w.fatalf("%s, which is not safe, is called twice", c.Call.Key)
		case (w.policy.Approve || w.tools[i].Confirm) && w.made[c.Call.Key] == 0 && !w.allowed[c.Call.Key]:
			w.fatalf("%s is called without a person's word", c.Call.Key)
		}
		w.made[c.Call.Key]++
	}
}

// complete answers the command in flight with that index.
func (w *world) complete(i int) {
	w.tb.Helper()
	command := w.flight[i]
	if c, ok := command.(*loop.CallTool); ok && w.chance(4) {
		w.do(&loop.ToolKept{Key: c.Call.Key, Handle: fmt.Appendf(nil, `{"n":%d}`, w.rng.IntN(3))})
		return
	}
	w.flight = slices.Delete(w.flight, i, i+1)
	w.do(w.answer(command))
}

func (w *world) answer(command loop.Command) loop.Event {
	switch c := command.(type) {
	case *loop.ListTools:
		if w.chance(20) {
			return &loop.PrepareFailed{Message: "no tools"}
		}
		return &loop.ToolsListed{Tools: w.tools}
	case *loop.PrepareAgent:
		if w.chance(20) {
			return &loop.PrepareFailed{Message: "no agent"}
		}
		return &loop.AgentPrepared{Agent: c.Agent}
	case *loop.ReadHistory:
		return w.history(c)
	case *loop.CallModel:
		return w.reply(c)
	case *loop.Ask:
		verdict := loop.Allow
		if w.rng != nil {
			verdict = pick(w.rng, loop.Allow, loop.Allow, loop.Deny, loop.Later)
		}
		return &loop.Decided{Key: c.Call.Key, Verdict: verdict}
	case *loop.CallTool:
		if w.handles[c.Call.Key] != "" && (w.cancelled && w.chance(2) || w.chance(20)) {
			return &loop.ToolLeft{Key: c.Call.Key}
		}
		if w.chance(6) {
			return &loop.ToolLost{Key: c.Call.Key, Message: "broken pipe"}
		}
		return &loop.ToolReturned{Key: c.Call.Key, Text: "ran " + c.Call.Key, IsError: w.chance(6)}
	}
	panic(fmt.Sprintf("%T in flight", command))
}

func (w *world) history(c *loop.ReadHistory) loop.Event {
	if w.chance(10) {
		return &loop.HistoryRead{Message: "503"}
	}
	if w.late != nil && w.chance(3) {
		w.carryOut(w.late, w.outputs(), true)
		w.late = nil
	}
	if w.unreplied && w.chance(2) {
		w.entries, w.unreplied = append(w.entries, w.outputs()...), false
	}
	if c.ConversationID != w.id || !w.stored {
		return &loop.HistoryRead{Missing: true}
	}
	return &loop.HistoryRead{Entries: slices.Clone(w.entries)}
}

// reply decides what becomes of a request.
func (w *world) reply(c *loop.CallModel) loop.Event {
	w.tb.Helper()
	if w.late != nil {
		// Its results are there now, and the same results are refused.
		w.carryOut(w.late, w.outputs(), true)
		w.late = nil
		return &loop.ModelFailed{Message: "400: not the same number of function calls and responses"}
	}
	fate := 0
	if w.rng != nil {
		fate = w.rng.IntN(10)
	}
	outputs := w.outputs()
	lost := &loop.ModelFailed{Message: "timeout", Uncertain: true, Answered: w.rng != nil && w.rng.IntN(4) == 0}
	start := c.ConversationID == "" && !w.local
	switch {
	case fate < 5 || w.local && fate < 7:
		w.carryOut(c, outputs, true)
		return &loop.ModelReplied{
			ConversationID: w.id,
			Outputs:        outputs,
			Usage:          mistral.Usage{PromptTokens: 1, CompletionTokens: 2, TotalTokens: 3},
		}
	case fate == 5:
		return &loop.ModelFailed{Message: "429"}
	case w.local:
		return lost
	case fate == 6 && len(c.Inputs) > 0:
		w.carryOut(c, nil, true)
		w.unreplied = true
	case fate < 8:
		w.carryOut(c, outputs, true)
	case start:
		w.begin(false)
	case w.chance(2) && len(c.Confirmations)+len(resultIDs(c.Inputs)) > 0:
		w.late = c
	}
	if start && w.chance(2) {
		lost.ConversationID = w.id
	} else if start {
		w.id, w.unreplied = "", false // nobody will ever find it
	}
	return lost
}

func (w *world) begin(stored bool) {
	w.named++
	w.id, w.stored, w.entries, w.unreplied = fmt.Sprintf("conv_%d", w.named), stored, nil, false
}

// carryOut does what the API does with a request, and checks that it is one
// that the API takes.
func (w *world) carryOut(c *loop.CallModel, outputs mistral.Entries, stored bool) {
	w.tb.Helper()
	if w.local {
		if len(c.Inputs) < len(w.entries) || !slices.Equal(texts(c.Inputs[:len(w.entries)]), texts(w.entries)) {
			w.fatalf("the request does not carry the whole conversation")
		}
		results, words := open(c.Inputs)
		if len(results)+len(words) > 0 {
			w.fatalf("calls without a result: %q", append(results, words...))
		}
		w.entries = slices.Concat(c.Inputs, outputs)
		return
	}
	if c.ConversationID == "" {
		w.begin(stored)
	}
	if c.ConversationID != "" && c.ConversationID != w.id {
		w.fatalf("the request is for conversation %q, want %q", c.ConversationID, w.id)
	}
	wantResults, wantWords := open(w.entries)
	var words []string
	for _, word := range c.Confirmations {
		words = append(words, word.ToolCallID)
	}
	if diff := cmp.Diff(wantResults, resultIDs(c.Inputs)); diff != "" {
		w.fatalf("results (-open calls +sent):\n%s", diff)
	}
	if diff := cmp.Diff(wantWords, words); diff != "" {
		w.fatalf("confirmations (-open calls +sent):\n%s", diff)
	}
	for i, entry := range w.entries {
		if call, ok := entry.(*mistral.FunctionCall); ok && call.ConfirmationStatus == mistral.ConfirmationPending {
			decided := *call
			decided.ConfirmationStatus = mistral.ConfirmationAllowed
			w.entries[i] = &decided
		}
	}
	for _, entry := range c.Inputs {
		w.entries = append(w.entries, w.store(entry))
	}
	w.entries, w.unreplied = append(w.entries, outputs...), false
}

// store gives an input the id that the API gives it.
func (w *world) store(entry mistral.Entry) mistral.Entry {
	w.named++
	id := fmt.Sprintf("in%d", w.named)
	switch e := entry.(type) {
	case *mistral.MessageInput:
		stored := *e
		stored.ID = id
		return &stored
	case *mistral.FunctionResult:
		if key, ran := strings.CutPrefix(e.Result, "ran "); ran && !strings.Contains(key, "/"+e.ToolCallID) {
			w.fatalf("call %s has the result of %s", e.ToolCallID, key)
		}
		stored := *e
		stored.ID = id
		return &stored
	}
	return entry
}

// open returns the ids of the calls that wait for a result, and of those that
// wait for a word.
func open(entries mistral.Entries) (results, words []string) {
	for _, entry := range entries {
		switch e := entry.(type) {
		case *mistral.FunctionCall:
			switch e.ConfirmationStatus {
			case "":
				results = append(results, e.ToolCallID)
			case mistral.ConfirmationPending:
				words = append(words, e.ToolCallID)
			}
		case *mistral.FunctionResult:
			if i := slices.Index(results, e.ToolCallID); i >= 0 {
				results = slices.Delete(results, i, i+1)
			} else if i := slices.Index(words, e.ToolCallID); i >= 0 {
				words = slices.Delete(words, i, i+1)
			}
		}
	}
	if len(results) == 0 {
		results = nil
	}
	return results, words
}

func resultIDs(entries mistral.Entries) (ids []string) {
	for _, entry := range entries {
		if r, ok := entry.(*mistral.FunctionResult); ok {
			ids = append(ids, r.ToolCallID)
		}
	}
	return ids
}

// outputs is a reply: a message, or anything if the world is a random one.
func (w *world) outputs() mistral.Entries {
	id := func() string { w.named++; return fmt.Sprintf("out%d", w.named) }
	var entries mistral.Entries
	if w.rng != nil {
		for range w.rng.IntN(4) {
			switch w.rng.IntN(8) {
			case 0:
				entries = append(entries, &mistral.AgentHandoff{ID: id(), NextAgentID: "ag_2"})
			case 1:
				name := id()
				entries = append(entries, &mistral.UnknownEntry{Type: "new", Raw: fmt.Appendf(nil, `{"type":"new","id":%q}`, name)})
			case 2:
				entries = append(entries, &mistral.FunctionCall{ID: id(), ToolCallID: pick(w.rng, "s1", "s2"), Name: "web", ConfirmationStatus: mistral.ConfirmationPending})
			default:
				entries = append(entries, &mistral.FunctionCall{
					ID:         id(),
					ToolCallID: pick(w.rng, "a1", "a2", "a1#2"),
					Name:       pick(w.rng, "lookup", "pay", "pay", "wipe", "peek", "fly"),
					Arguments:  mistral.Arguments{Text: pick(w.rng, "{}", `{"q":"x"}`, "", "[]")},
				})
			}
		}
	}
	return append(entries, &mistral.MessageOutput{ID: id(), Role: mistral.RoleAssistant, Content: mistral.Content{Text: "so"}})
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// crash ends the program. What it had under way may have been carried out.
func (w *world) crash() {
	for _, command := range w.flight {
		if c, ok := command.(*loop.CallModel); ok && w.rng != nil {
			entries := w.entries
			w.reply(c)
			switch {
			case w.local:
				w.entries = entries
			case c.ConversationID == "":
				w.id, w.unreplied = "", false
			}
		}
	}
	w.flight = nil
	w.log = append(w.log, func() string { return "-> crash" })
	w.recorder.crash()
}

// settle answers all that is in flight. Nothing may come of it after the end.
func (w *world) settle() {
	w.tb.Helper()
	for len(w.flight) > 0 {
		if _, late := w.flight[0].(*loop.CallModel); w.finished && late {
			w.fatalf("the run ended with a request under way")
		}
		w.complete(0)
	}
}

// bringHome resumes the run, in a world where all goes well from now on, until
// it is done, and checks that all that was said has arrived, once.
func (w *world) bringHome() {
	w.tb.Helper()
	w.rng = nil
	w.settle()
	for n := 0; w.state.Reason != loop.Done; n++ {
		if n == 5 {
			w.fatalf("the run cannot be brought to its end")
		}
		w.do(&loop.Resume{MaxTurns: 20, Inputs: w.say()})
		w.settle()
	}
	w.check()
	if w.state.Usage != w.spent {
		w.fatalf("Usage is %+v, want %+v", w.state.Usage, w.spent)
	}
	heard := map[string]int{}
	for _, entry := range w.entries {
		if m, ok := entry.(*mistral.MessageInput); ok {
			heard[m.Content.String()]++
		}
	}
	for _, text := range w.said {
		if heard[text] != 1 {
			w.fatalf("%q arrived %d times", text, heard[text])
		}
	}
	if results, words := open(w.entries); len(results)+len(words) > 0 {
		w.fatalf("the run is done with open calls %q %q", results, words)
	}
}

// say is something that the caller has not said before.
func (w *world) say() mistral.Entries {
	return mistral.Entries{&mistral.MessageInput{Role: mistral.RoleUser, Content: mistral.Content{Text: fmt.Sprintf("said %d", len(w.said))}}}
}
