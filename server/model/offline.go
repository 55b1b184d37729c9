package model

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
	"math/big"
	"net/http"
	"slices"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// Offline is a planner that answers with the tools of a request. It is no
// language model: it compares the words of the request with the names,
// descriptions and schemas of the tools, picks the tools that fit, fills their
// arguments with values from the request and from results of other tools, and
// answers with what they returned, as text or in the JSON schema that is asked
// for. It never makes text up: what it cannot do, it refuses with a
// [*RefusalError].
//
// It keeps no state and uses no clock and no randomness, so the same request has
// the same answer. The zero value is ready for use, by several goroutines at
// once.
type Offline struct {
	// MayCall says whether the tool of that name may be called. If nil, all may.
	MayCall func(tool string) bool
}

// A RefusalError says that an [Offline] model cannot answer.
type RefusalError struct {
	Request string   // what was asked
	Reason  string   // why there is no answer
	Tools   []string // the tools that there were
	Barred  []string // those of Tools that [Offline.MayCall] forbids
}

// Error says what was asked, why there is no answer, and how to get one.
func (e *RefusalError) Error() string {
	request := []rune(strings.Join(strings.Fields(e.Request), " "))
	if len(request) > 80 {
		request = append(request[:79], '…')
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the offline model, which is no AI, cannot answer %q: %s", string(request), e.Reason)
	if len(e.Tools) == 0 {
		b.WriteString("; it only calls tools, and there are none")
	} else {
		fmt.Fprintf(&b, "; tools: %s", listed(e.Tools))
	}
	if len(e.Barred) > 0 {
		fmt.Fprintf(&b, "; not called because they are not marked read-only: %s", listed(e.Barred))
	}
	b.WriteString("; for a real model set MISTRAL_API_KEY, or give --model-url, such as http://127.0.0.1:11434/v1")
	return b.String()
}

func listed(names []string) string {
	if len(names) > 12 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:12], ", "), len(names)-12)
	}
	return strings.Join(names, ", ")
}

// APIError returns what a server should answer: status 422 and a code of its
// own.
func (e *RefusalError) APIError() (status int, code string) {
	return http.StatusUnprocessableEntity, "offline_no_tool"
}

// Complete returns the next message: calls of tools, or an answer made of their
// results. It returns a [*RefusalError] if no tool fits, if a value that one
// needs is not to be found, or if the schema asks for more than the results
// hold.
func (m *Offline) Complete(ctx context.Context, req *mistral.ChatRequest) (*mistral.ChatResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := newPlanner(req, m.MayCall)
	steps, text, err := p.next()
	if err != nil {
		return nil, err
	}
	choice := mistral.ChatChoice{FinishReason: mistral.FinishStop}
	words := len(strings.Fields(text))
	for i, s := range steps {
		id := callID(fmt.Sprint(len(req.Messages), i, s.key()))
		call := mistral.ToolCall{ID: id, Type: "function", Index: i}
		call.Function = mistral.ToolCallFunc{Name: s.tool.name, Arguments: mistral.Arguments{Text: s.args().json()}}
		choice.Message.ToolCalls = append(choice.Message.ToolCalls, call)
		choice.FinishReason = mistral.FinishToolCalls
		words += len(strings.Fields(s.tool.name + " " + call.Function.Arguments.Text))
	}
	if len(steps) == 0 {
		choice.Message.Content = &mistral.Content{Text: text}
	}
	prompt, _ := json.Marshal(req.Messages) // counted only
	usage := mistral.ChatUsage{PromptTokens: 1 + len(strings.Fields(string(prompt))), CompletionTokens: max(1, words)}
	usage.TotalTokens = usage.PromptTokens + usage.CompletionTokens
	return &mistral.ChatResponse{
		ID:      "offline-" + callID(string(prompt)),
		Object:  "chat.completion",
		Model:   req.Model,
		Usage:   usage,
		Choices: []mistral.ChatChoice{choice},
	}, nil
}

// callID returns nine letters and digits, the form that Mistral's models take,
// made from what they stand for.
func callID(of string) string {
	sum := sha256.Sum256([]byte(of))
	id := new(big.Int).SetBytes(sum[:]).Text(62)
	return (id + "000000000")[:9]
}

// Stream returns what Complete does in pieces: text in several, each call in
// one. Its errors are those of Complete, before the first piece. It may be
// ranged over more than once.
func (m *Offline) Stream(ctx context.Context, req *mistral.ChatRequest) iter.Seq2[*mistral.ChatChunk, error] {
	return func(yield func(*mistral.ChatChunk, error) bool) {
		resp, err := m.Complete(ctx, req)
		if err != nil {
			yield(nil, err)
			return
		}
		choice := resp.Choices[0]
		send := func(delta mistral.ChatDelta, reason mistral.FinishReason, usage *mistral.ChatUsage) bool {
			return yield(&mistral.ChatChunk{
				ID: resp.ID, Object: "chat.completion.chunk", Model: resp.Model, Usage: usage,
				Choices: []mistral.ChatChunkChoice{{Delta: delta, FinishReason: reason}},
			}, nil)
		}
		role := "assistant"
		for _, call := range choice.Message.ToolCalls {
			if !send(mistral.ChatDelta{Role: role, ToolCalls: []mistral.ToolCall{call}}, "", nil) {
				return
			}
			role = ""
		}
		if choice.Message.Content != nil {
			for word := range strings.SplitAfterSeq(choice.Message.Content.Text, " ") {
				if !send(mistral.ChatDelta{Role: role, Content: &mistral.Content{Text: word}}, "", nil) {
					return
				}
				role = ""
			}
		}
		send(mistral.ChatDelta{}, choice.FinishReason, &resp.Usage)
	}
}

// A step is a call that is planned or made: a tool and a value, or null, for
// each of its parameters.
type step struct {
	tool *offlineTool
	vals []value
}

func (s step) args() value {
	out := value{kind: '{'}
	for i, v := range s.vals {
		if v.kind != 0 {
			out.set(s.tool.params[i].path, v)
		}
	}
	return out
}

// key is the same for equal calls, whatever the order of their arguments.
func (s step) key() string { return callKey(s.tool.name, s.args().json()) }

func callKey(tool, args string) string {
	var v any
	if json.Unmarshal([]byte(args), &v) == nil {
		if same, err := json.Marshal(v); err == nil {
			args = string(same)
		}
	}
	return tool + " " + args
}

// A planner makes the next step towards the answer of one request. It plans
// from the start each time, and what was done before it finds in the messages.
type planner struct {
	req     *mistral.ChatRequest
	tools   []*offlineTool
	rare    map[string]float64 // how much a word in the tools tells them apart, 0 to 1
	whole   *clause
	done    map[string]*outcome // of this turn
	order   []*outcome          // of this turn
	earlier []fact              // of turns before
	last    *offlineTool        // called last in turns before
	trouble *outcome            // a step that failed and was needed
}

func newPlanner(req *mistral.ChatRequest, mayCall func(string) bool) *planner {
	p := &planner{req: req, done: map[string]*outcome{}, rare: map[string]float64{}}
	names := make([][]string, len(req.Tools))
	for i, t := range req.Tools {
		names[i] = nameWords(t.Function.Name)
	}
	for i, t := range req.Tools {
		tool := newTool(t.Function, withoutNamespace(names[i], names))
		tool.barred = mayCall != nil && !mayCall(tool.name)
		p.tools = append(p.tools, tool)
	}
	p.weighWords()
	text := p.readMessages()
	tokens := tokenize(text)
	p.whole = &clause{text: text, tokens: tokens, to: len(tokens)}
	p.whole.pieces = valuesIn(text, tokens, func(s string) bool { return p.rare[s] > 0 }, func(s string) bool {
		return slices.ContainsFunc(p.tools, func(t *offlineTool) bool {
			return slices.Contains(t.words, s) || slices.ContainsFunc(t.params, func(q param) bool { return slices.Contains(q.words, s) })
		})
	})
	return p
}

func (p *planner) weighWords() {
	for _, t := range p.tools {
		seen := map[string]bool{}
		words := slices.Concat(t.words, t.desc)
		for i := range t.params {
			words = append(words, t.params[i].words...)
		}
		for _, w := range words {
			if !seen[w] {
				p.rare[w]++
				seen[w] = true
			}
		}
	}
	for w, n := range p.rare {
		p.rare[w] = .3 + .7/n
	}
}

// readMessages takes in the results of calls and returns what the user asks.
func (p *planner) readMessages() string {
	turn := 0
	for i, m := range p.req.Messages {
		if _, ok := m.(*mistral.UserMessage); ok {
			turn = i
		}
	}
	calls := map[string]step{}
	for i, m := range p.req.Messages {
		switch m := m.(type) {
		case *mistral.AssistantMessage:
			for _, c := range m.ToolCalls {
				calls[c.ID] = p.madeStep(c.Function.Name, c.Function.Arguments.Text)
			}
		case *mistral.ToolMessage:
			s, ok := calls[m.ToolCallID]
			if !ok {
				s = p.madeStep(m.Name, "")
			}
			o := newOutcome(s, m.Content.String())
			if i < turn {
				p.earlier = append(o.facts(), p.earlier...)
				p.last = s.tool
				continue
			}
			p.done[s.key()] = o
			p.order = append(p.order, o)
		}
	}
	// What a person says in several messages without an answer is one request.
	for turn > 0 {
		if _, ok := p.req.Messages[turn-1].(*mistral.UserMessage); !ok {
			break
		}
		turn--
	}
	var parts []string
	for _, m := range p.req.Messages[min(turn, len(p.req.Messages)):] {
		if u, ok := m.(*mistral.UserMessage); ok {
			parts = append(parts, u.Content.String())
		}
	}
	return strings.Join(parts, "\n")
}

// madeStep is a call that was made, by this planner or by another model.
func (p *planner) madeStep(name, args string) step {
	i := slices.IndexFunc(p.tools, func(t *offlineTool) bool { return t.name == name })
	tool := &offlineTool{name: name, words: aboutLast(nameWords(name))}
	if i >= 0 {
		tool = p.tools[i]
	}
	v, _ := parseValue([]byte(args))
	s := step{tool: tool, vals: make([]value, len(tool.params))}
	for i := range tool.params {
		s.vals[i] = v
		for _, key := range tool.params[i].path {
			s.vals[i] = s.vals[i].get(key)
		}
	}
	return s
}

// maxSteps bounds the calls for one request.
const maxSteps = 24

// next returns the calls to make now or, if there are none, the answer.
func (p *planner) next() ([]step, string, error) {
	choice := mistral.ChatToolChoice{Mode: mistral.ToolChoiceAuto}
	if p.req.ToolChoice != nil {
		choice = *p.req.ToolChoice
	}
	if choice.Function == "" && choice.Mode == mistral.ToolChoiceNone {
		if len(p.order) == 0 {
			return nil, "", p.refuse("it may call no tool (tool_choice is none), and there are no results yet")
		}
		text, err := p.answer(p.order)
		return nil, text, err
	}
	goals, err := p.goals(choice.Function)
	if err != nil {
		return nil, "", err
	}
	var steps []step
	var outcomes []*outcome
	var lacking error
	planned := map[string]bool{}
	busy := make([]bool, len(p.whole.tokens))
	for _, g := range goals {
		found, pending, err := p.resolve(g.tool, g.clause, busy, nil, g.lookUp)
		if err != nil && g.extra {
			continue
		}
		if err == nil && len(pending) == 0 && p.allFailed(found) {
			// What the tool does not know as it stands, another may look up.
			more, wait, err := p.resolve(g.tool, g.clause, busy, nil, true)
			if err == nil && p.trouble == nil {
				found, pending = more, wait
			}
			p.trouble = nil
		}
		if err != nil && lacking == nil {
			lacking = err
		}
		for _, s := range slices.Concat(pending, found) {
			key := s.key()
			o := p.done[key]
			switch {
			case o == nil && !planned[key]:
				planned[key] = true
				steps = append(steps, s)
			case o != nil && len(pending) == 0 && !slices.Contains(outcomes, o):
				outcomes = append(outcomes, o)
			}
		}
	}
	if len(steps) > 0 && len(p.done)+len(steps) <= maxSteps {
		if p.req.ParallelToolCalls != nil && !*p.req.ParallelToolCalls {
			steps = steps[:1]
		}
		return steps, "", nil
	}
	if len(steps) > 0 {
		return nil, "", p.refuse(fmt.Sprintf("it would take more than %d calls", maxSteps))
	}
	if lacking != nil && p.trouble == nil {
		return nil, "", lacking
	}
	if p.trouble != nil && !slices.Contains(outcomes, p.trouble) {
		outcomes = append(outcomes, p.trouble)
	}
	text, err := p.answer(outcomes)
	return nil, text, err
}

func (p *planner) allFailed(steps []step) bool {
	return len(steps) > 0 && !slices.ContainsFunc(steps, func(s step) bool {
		o := p.done[s.key()]
		return o == nil || !o.failed
	})
}

func (p *planner) refuse(reason string) *RefusalError {
	e := &RefusalError{Request: p.whole.text, Reason: reason}
	for _, t := range p.tools {
		e.Tools = append(e.Tools, t.name)
		if t.barred {
			e.Barred = append(e.Barred, t.name)
		}
	}
	return e
}

// answer says what the outcomes of the goals are.
func (p *planner) answer(goals []*outcome) (string, error) {
	var texts, failed []string
	for _, o := range goals {
		if o.failed {
			failed = append(failed, o.String())
			continue
		}
		texts = append(texts, o.String())
	}
	format := p.req.ResponseFormat
	if format == nil || format.Type != mistral.ResponseJSONSchema && format.Type != mistral.ResponseJSONObject {
		return strings.Join(append(texts, failed...), "\n"), nil
	}
	if len(texts) == 0 && len(failed) > 0 {
		return "", p.refuse(failed[0])
	}
	if format.Type == mistral.ResponseJSONObject || format.JSONSchema == nil {
		return jsonObject(goals).json(), nil
	}
	schema, _ := parseValue(format.JSONSchema.Schema)
	a := &answerer{root: schema, texts: texts}
	var facts []fact
	for _, o := range goals {
		facts = append(facts, o.facts()...)
	}
	for _, o := range slices.Backward(p.order) {
		if !slices.Contains(goals, o) {
			facts = append(facts, o.facts()...)
			a.steps = append(a.steps, o)
		}
	}
	v, err := a.fill(schema, "", goals, facts, 0)
	if err != nil {
		return "", p.refuse(strings.Join(append([]string{err.Error()}, failed...), "; "))
	}
	return v.json(), nil
}

// jsonObject is the answer where any object will do.
func jsonObject(goals []*outcome) value {
	out := value{kind: '{'}
	var results []value
	for _, o := range goals {
		v := o.val
		if v.kind == 0 {
			v = textValue(o.text)
		}
		results = append(results, v)
	}
	if len(results) == 1 && results[0].kind == '{' {
		return results[0]
	}
	if len(results) == 1 {
		out.set([]string{"result"}, results[0])
		return out
	}
	out.set([]string{"results"}, value{kind: '[', vals: results})
	return out
}
