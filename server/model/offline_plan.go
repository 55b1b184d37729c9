package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

const (
	maxSteps   = 24   // calls for one request
	maxTokens  = 4000 // words of a request; the work grows faster than they do
	maxClauses = 12   // wishes in a request; a text with more is one wish with a long value
	maxChain   = 3    // calls that need one another
)

// A planner makes the next step towards the answer of one request. It plans
// from the start each time, and what was done before it finds in the messages.
type planner struct {
	req     *mistral.ChatRequest
	tools   []*offlineTool
	whole   *clause
	done    map[string]*outcome
	order   []*outcome
	trouble *outcome // a step that failed and was needed
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
			out.set(s.tool.params[i].name, v)
		}
	}
	return out
}

// key is the same for equal calls, whatever the order of their arguments.
func (s step) key() string {
	var args any
	_ = json.Unmarshal([]byte(s.args().json()), &args) // what json returns is JSON
	sorted, _ := json.Marshal(args)
	return s.tool.name + " " + string(sorted)
}

// A goal is a tool whose result is asked for, and the words that ask for it.
type goal struct {
	tool   *offlineTool
	clause *clause
	extra  bool // only the schema of the answer asks for it
	lookUp bool // the words ask for what leads to it
}

func newPlanner(req *mistral.ChatRequest, mayCall func(string) bool) *planner {
	p := &planner{req: req, tools: newTools(req.Tools, mayCall), done: map[string]*outcome{}}
	known := map[string]bool{}
	for _, t := range p.tools {
		for _, w := range slices.Concat(t.words, t.desc) {
			known[w] = true
		}
	}
	text := p.readMessages()
	tokens := tokenize(text)
	p.whole = &clause{text: text, tokens: tokens, to: len(tokens)}
	p.whole.pieces = valuesIn(text, tokens, func(s string) bool { return known[s] })
	return p
}

// readMessages takes in the results of this turn's calls and returns what the
// user asks: all that was said since the last reply.
func (p *planner) readMessages() string {
	var asks []string
	replied := false
	calls := map[string]step{}
	for _, m := range p.req.Messages {
		switch m := m.(type) {
		case *mistral.UserMessage:
			if replied {
				asks, replied = nil, false
				p.order = nil
				clear(p.done)
			}
			asks = append(asks, m.Content.String())
		case *mistral.AssistantMessage:
			replied = true
			for _, c := range m.ToolCalls {
				calls[c.ID] = p.madeStep(c.Function.Name, c.Function.Arguments.Text)
			}
		case *mistral.ToolMessage:
			s, ok := calls[m.ToolCallID]
			if !ok {
				s = p.madeStep(m.Name, "")
			}
			o := newOutcome(s, m.Content.String())
			p.done[s.key()] = o
			p.order = append(p.order, o)
		}
	}
	return strings.Join(asks, "\n")
}

// madeStep is a call that was made, by this planner or by another model.
func (p *planner) madeStep(name, args string) step {
	tool := p.named(name)
	if tool == nil {
		tool = &offlineTool{name: name}
	}
	v, _ := parseValue([]byte(args))
	s := step{tool: tool, vals: make([]value, len(tool.params))}
	for i := range tool.params {
		s.vals[i] = v.get(tool.params[i].name)
	}
	return s
}

func (p *planner) named(name string) *offlineTool {
	if i := slices.IndexFunc(p.tools, func(t *offlineTool) bool { return t.name == name }); i >= 0 {
		return p.tools[i]
	}
	return nil
}

// next returns the calls to make now or, if there are none, the answer.
func (p *planner) next() ([]step, string, error) {
	var choice mistral.ChatToolChoice
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
	steps, outcomes, err := p.pursue(goals)
	switch {
	case len(steps) > 0 && len(p.done)+len(steps) > maxSteps:
		return nil, "", p.refuse(fmt.Sprintf("it would take more than %d calls", maxSteps))
	case len(steps) > 0 && p.req.ParallelToolCalls != nil && !*p.req.ParallelToolCalls:
		return steps[:1], "", nil
	case len(steps) > 0:
		return steps, "", nil
	case err != nil && p.trouble == nil:
		return nil, "", err
	case p.trouble != nil && !slices.Contains(outcomes, p.trouble):
		outcomes = append(outcomes, p.trouble)
	}
	text, err := p.answer(outcomes)
	return nil, text, err
}

// pursue returns the calls that the goals need now, the outcomes of those that
// are reached, and why the first of the others cannot be.
func (p *planner) pursue(goals []goal) (steps []step, outcomes []*outcome, lacking error) {
	planned := map[string]bool{}
	busy := make([]bool, len(p.whole.tokens))
	for _, g := range goals {
		found, pending, err := p.resolve(g, busy, nil)
		if err != nil && lacking == nil && !g.extra {
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
	return steps, outcomes, lacking
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

// goals returns what the request asks for, in order. forced, if not empty, is
// the name of the one tool to call.
func (p *planner) goals(forced string) ([]goal, error) {
	var goals []goal
	switch t := p.named(forced); {
	case len(p.whole.tokens) > maxTokens:
		return nil, p.refuse(fmt.Sprintf("it has more than %d words", maxTokens))
	case forced != "" && t == nil:
		return nil, p.refuse("there is no tool " + forced)
	case forced != "":
		goals = []goal{{tool: t, clause: p.whole}}
	default:
		goals = p.fromSchema(p.fromWords())
	}
	for _, g := range goals {
		if g.tool.barred {
			return nil, p.refuse("the tool that fits, " + g.tool.name + ", is not marked read-only")
		}
	}
	if len(goals) == 0 {
		return nil, p.refuse("no tool fits")
	}
	return goals, nil
}

// fromWords returns a goal for each part of the request that asks for something.
// A part that does not, or that asks for the same, belongs to the one before it.
func (p *planner) fromWords() []goal {
	var goals []goal
	start := 0
	for _, end := range p.breaks() {
		t := p.best(p.part(start, end))
		n := len(goals)
		switch {
		case n > 0 && (t == nil || goals[n-1].tool == t):
			goals[n-1].clause = p.part(goals[n-1].clause.from, end)
		case t != nil:
			goals = append(goals, goal{tool: t, clause: p.part(start, end)})
		default:
			continue // what leads in belongs to what comes
		}
		start = end
	}
	return goals
}

// breaks returns where one wish may end and the next begin.
func (p *planner) breaks() []int {
	var out []int
	tokens, pieces := p.whole.tokens, p.whole.pieces
	for i := 1; i < len(tokens); i++ {
		link := tokens[i].low == "and" || tokens[i].low == "then"
		inList := slices.ContainsFunc(pieces, func(x piece) bool { return i < x.from && pieces[x.list].to <= i })
		if tokens[i].initial || link && !inList {
			out = append(out, i)
		}
	}
	if len(out) > maxClauses {
		out = nil
	}
	return append(out, len(tokens))
}

func (p *planner) part(from, to int) *clause {
	c := *p.whole
	c.from, c.to = from, to
	return &c
}

// fromSchema adds the tools that tell what the schema of the answer requires
// and no goal tells. They take the place of goals that only lead to them.
func (p *planner) fromSchema(goals []goal) []goal {
	format := p.req.ResponseFormat
	if format == nil || format.JSONSchema == nil {
		return goals
	}
	schema, _ := parseValue(format.JSONSchema.Schema)
	fields := requiredFields(schema, schema, 0)
	// What a tool takes may be in the request, so it comes last.
	isTaken := func(q param) int {
		if slices.ContainsFunc(p.tools, func(t *offlineTool) bool { return t.takes(&q) }) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(fields, func(a, b param) int { return isTaken(a) - isTaken(b) })
	for _, field := range fields {
		if slices.ContainsFunc(goals, func(g goal) bool { return g.tool.gives(&field) > 0 || g.tool.takes(&field) }) {
			continue
		}
		var best *offlineTool
		bestScore := 0.0
		for _, t := range p.tools {
			score, _ := p.match(t, p.whole)
			if !t.barred && !t.changes() && t.gives(&field) > 0 && !t.takes(&field) && (best == nil || score > bestScore) {
				best, bestScore = t, score
			}
		}
		if best != nil {
			rest := slices.DeleteFunc(slices.Clone(goals), func(g goal) bool { return g.tool.feeds(best) })
			led := len(rest) < len(goals)
			goals = append(rest, goal{tool: best, clause: p.whole, extra: !led, lookUp: led})
		}
	}
	return goals
}

// requiredFields returns the plain values that an answer must have.
func requiredFields(schema, root value, depth int) []param {
	schema = schema.resolve(root)
	if schema.is("array") && depth < maxDepth {
		return requiredFields(schema.get("items"), root, depth+1)
	}
	var out []param
	for _, name := range schema.get("required").vals {
		field := schema.get("properties").get(name.text).resolve(root)
		if inner := field.is("array") || len(field.get("properties").keys) > 0; inner && depth < maxDepth {
			out = append(out, requiredFields(field, root, depth+1)...)
			continue
		}
		out = append(out, newParam(field, root, name.text))
	}
	return out
}

// resolve returns the calls that the goal takes. If they need the results of
// other calls first, it returns those as pending. busy are tokens that other
// calls have used; the tokens used here are added. stack are the tools that need
// this one.
func (p *planner) resolve(g goal, busy []bool, stack []*offlineTool) (found, pending []step, err error) {
	t := g.tool
	stack = append(slices.Clone(stack), t)
	f := g.clause.fill(t)
	p.complete(t, f, busy)
	if f.leftover != "" {
		return nil, nil, p.refuse(fmt.Sprintf("%s has no place for %q", t.name, f.leftover))
	}
	for i := range t.params {
		q := &t.params[i]
		derived := q.required && p.derived(g, f, i)
		if !q.required || len(stack) > maxChain || f.vals[i] != nil && !g.lookUp && !derived {
			continue
		}
		vals, wait := p.produce(g, f, i, stack)
		switch {
		case len(wait) > 0:
			pending = append(pending, wait...)
		case len(vals) > 0:
			f.vals[i] = vals
		case derived && p.trouble != nil:
			return nil, nil, p.refuse(p.trouble.String())
		}
	}
	for i := range f.used {
		busy[i] = busy[i] || f.used[i]
	}
	if len(pending) > 0 {
		return nil, pending, nil
	}
	found, err = p.calls(t, f)
	return found, nil, err
}

// calls returns a call for each combination of the values found.
func (p *planner) calls(t *offlineTool, f *filled) ([]step, error) {
	calls := []step{{tool: t, vals: make([]value, len(t.params))}}
	for i := range t.params {
		q := &t.params[i]
		vals := f.vals[i]
		if vals == nil && q.required {
			return nil, p.refuse(fmt.Sprintf("%s needs %q, which is not in the request", t.name, q.name))
		}
		if q.list && vals != nil {
			vals = []value{{kind: '[', vals: vals}}
		}
		var next []step
		for _, s := range calls {
			for _, v := range vals {
				n := step{tool: t, vals: slices.Clone(s.vals)}
				n.vals[i] = v
				next = append(next, n)
			}
		}
		if len(next) > 0 {
			calls = next
		}
		if len(calls) > maxSteps {
			return nil, p.refuse(fmt.Sprintf("it would take more than %d calls", maxSteps))
		}
	}
	return calls, nil
}

// complete takes what the clause lacks from the rest of the request.
func (p *planner) complete(t *offlineTool, f *filled, busy []bool) {
	rest := *p.whole
	rest.hidden = slices.Clone(busy)
	for i := range f.used {
		rest.hidden[i] = rest.hidden[i] || f.used[i]
	}
	more := rest.fill(t)
	for i, x := range more.pieces {
		if t.params[i].required && f.vals[i] == nil && x != nil && x.kind != kindFree {
			f.take(i, value{}, x)
			f.vals[i], f.tied[i] = more.vals[i], more.tied[i]
		}
	}
}

// derived says whether the request asks for the value of parameter i to be
// looked up: it names it, as in "the q of X" or "X's q", or names what another
// tool finds it by, and X is not said to be q itself.
func (p *planner) derived(g goal, f *filled, i int) bool {
	q, x, c := &g.tool.params[i], f.pieces[i], g.clause
	if x == nil || f.tied[i] {
		return false
	}
	for _, u := range p.tools {
		if u == g.tool || u.gives(q) == 0 || x.kind == kindFree {
			continue
		}
		for k := range u.params {
			if _, tied := c.suits(u, &u.params[k], x); tied {
				return true
			}
		}
	}
	for k := c.from; k < c.to && x.kind != kindQuoted; k++ {
		tok := &c.tokens[k]
		inValue := x.from <= k && k < x.to && q.want != kindFree
		if tok.content() {
			if !inValue && !slices.Contains(g.tool.words, tok.stem) && nearest(tok.stem, q.words) > 0 {
				return true
			}
		}
	}
	return false
}

// produce gets values for parameter i from another tool. If that has yet to be
// called, the calls are returned instead.
func (p *planner) produce(g goal, f *filled, i int, stack []*offlineTool) ([]value, []step) {
	q := &g.tool.params[i]
	sources := slices.DeleteFunc(slices.Clone(p.tools), func(t *offlineTool) bool {
		return t.gives(q) == 0 || t.barred || t.changes() || slices.Contains(stack, t)
	})
	slices.SortStableFunc(sources, func(a, b *offlineTool) int { return cmp.Compare(b.gives(q), a.gives(q)) })
	// What other parameters have taken is theirs.
	c := *g.clause
	c.hidden = make([]bool, len(c.tokens))
	for k, x := range f.pieces {
		if x != nil && k != i {
			for at := x.from; at < x.to; at++ {
				c.hidden[at] = true
			}
		}
	}
	for _, t := range sources {
		found, pending, err := p.resolve(goal{tool: t, clause: &c}, slices.Clone(c.hidden), stack)
		if err != nil {
			continue
		}
		if len(pending) > 0 {
			return nil, pending
		}
		vals, pending := p.results(found, q)
		if len(pending) > 0 || len(vals) > 0 {
			return vals, pending
		}
	}
	return nil, nil
}

// results finds the values for q in the results of calls, and returns the calls
// that have none yet.
func (p *planner) results(calls []step, q *param) (vals []value, pending []step) {
	for _, call := range calls {
		o := p.done[call.key()]
		switch {
		case o == nil:
			pending = append(pending, call)
		case o.failed:
			p.trouble = o
		// Of many things that nobody chose from, none is the one that is meant.
		case len(call.args().vals) == 0 && (o.val.kind == '[' || strings.Contains(o.text, "\n")):
		default:
			if v, ok := o.find(q); ok {
				vals = append(vals, v)
			}
		}
	}
	return vals, pending
}
