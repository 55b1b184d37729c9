package model

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A goal is a tool whose result is asked for, and the words that ask for it.
type goal struct {
	tool   *offlineTool
	clause *clause
	extra  bool // only the schema of the answer asks for it
	lookUp bool // the words ask for what leads to it
}

// goals returns what the request asks for, in order. forced, if not empty, is
// the name of the one tool to call.
func (p *planner) goals(forced string) ([]goal, error) {
	if len(p.whole.tokens) > maxTokens {
		return nil, p.refuse(fmt.Sprintf("it has more than %d words", maxTokens))
	}
	if forced != "" {
		i := slices.IndexFunc(p.tools, func(t *offlineTool) bool { return t.name == forced })
		if i < 0 {
			return nil, p.refuse("there is no tool " + forced)
		}
		return p.allowed([]goal{{tool: p.tools[i], clause: p.whole}})
	}
	var goals []goal
	start := 0
	for _, end := range p.breaks() {
		c := p.whole.part(start, end)
		t := p.best(c)
		if t == nil {
			if len(goals) > 0 {
				g := &goals[len(goals)-1]
				g.clause = p.whole.part(g.clause.from, end)
				start = end
			}
			continue
		}
		if n := len(goals); n > 0 && goals[n-1].tool == t {
			c.from = goals[n-1].clause.from
			goals = goals[:n-1]
		}
		goals = append(goals, goal{tool: t, clause: p.whole.part(c.from, end)})
		start = end
	}
	if len(goals) == 0 {
		if t := p.best(p.whole); t != nil {
			goals = []goal{{tool: t, clause: p.whole}}
		}
	}
	if len(goals) == 0 && p.last != nil && len(p.last.params) > 0 && len(p.whole.pieces) > 0 && !p.whole.asks() {
		// "And in X?" asks for what was asked for before.
		goals = []goal{{tool: p.last, clause: p.whole}}
	}
	goals = p.addFromSchema(goals)
	if len(goals) == 0 {
		return nil, p.refuse("no tool fits")
	}
	return p.allowed(goals)
}

func (p *planner) allowed(goals []goal) ([]goal, error) {
	for _, g := range goals {
		if g.tool.barred {
			return nil, p.refuse("the tool that fits, " + g.tool.name + ", is not marked read-only")
		}
	}
	return goals, nil
}

// addFromSchema adds the tools that tell what the schema of the answer requires
// and no goal tells. They take the place of goals that only lead to them.
func (p *planner) addFromSchema(goals []goal) []goal {
	format := p.req.ResponseFormat
	if format == nil || format.JSONSchema == nil {
		return goals
	}
	schema, _ := parseValue(format.JSONSchema.Schema)
	// What a tool takes may be in the request, so it comes last.
	var fields, taken []param
	for _, field := range requiredFields(schema, schema, 0) {
		if slices.ContainsFunc(p.tools, func(t *offlineTool) bool { return t.takes(&field) }) {
			taken = append(taken, field)
			continue
		}
		fields = append(fields, field)
	}
	for _, field := range append(fields, taken...) {
		known := func(t *offlineTool) bool { return t.tells(&field) || t.takes(&field) }
		if slices.ContainsFunc(goals, func(g goal) bool { return known(g.tool) }) {
			continue
		}
		var best *offlineTool
		var bestScore float64
		for _, t := range p.tools {
			if t.barred || t.mustChange() || !t.tells(&field) {
				continue
			}
			if score, _ := p.match(t, p.whole); best == nil || score > bestScore {
				best, bestScore = t, score
			}
		}
		if best == nil {
			continue
		}
		n := len(goals)
		goals = slices.DeleteFunc(goals, func(g goal) bool { return feeds(g.tool, best) })
		led := len(goals) < n
		goals = append(goals, goal{tool: best, clause: p.whole, extra: !led, lookUp: led})
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
		out = append(out, fieldParam(field, name.text))
	}
	return out
}

// tells says whether the tool speaks of a field that it does not take.
func (t *offlineTool) tells(field *param) bool {
	spoken := slices.Concat(t.words, t.desc)
	return !t.takes(field) && slices.ContainsFunc(field.words, func(w string) bool { return !bland[w] && slices.Contains(spoken, w) })
}

// takes says whether the words of a field are those of a parameter.
func (t *offlineTool) takes(field *param) bool {
	return slices.ContainsFunc(t.params, func(q param) bool {
		return slices.ContainsFunc(field.words, func(w string) bool {
			return !bland[w] && (slices.Contains(q.words, w) || slices.Contains(q.desc, w))
		})
	})
}

// maxTokens bounds the work for one request, which grows faster than its length.
const maxTokens = 4000

// breaks returns where one wish may end and the next begin.
func (p *planner) breaks() []int {
	var out []int
	tokens := p.whole.tokens
	for i := 1; i < len(tokens); i++ {
		link := tokens[i].low == "and" || tokens[i].low == "then"
		if link && slices.ContainsFunc(p.whole.pieces, func(x piece) bool {
			return x.prev >= 0 && p.whole.pieces[x.prev].to <= i && i < x.from
		}) {
			continue // within a list
		}
		if tokens[i].initial || link {
			out = append(out, i)
		}
	}
	if len(out) > maxClauses {
		out = nil
	}
	return append(out, len(tokens))
}

// maxClauses bounds the wishes in one request. A text with more is one wish with
// a long value.
const maxClauses = 12

func (c *clause) part(from, to int) *clause {
	return &clause{text: c.text, tokens: c.tokens, pieces: c.pieces, from: from, to: to}
}

// without returns the clause with the tokens in busy hidden.
func (c *clause) without(busy []bool) *clause {
	out := *c
	out.busy = busy
	return &out
}

// asks says whether the clause has words that are no values.
func (c *clause) asks() bool {
	for i := c.from; i < c.to; i++ {
		inPiece := slices.ContainsFunc(c.pieces, func(x piece) bool { return x.from <= i && i < x.to })
		if c.tokens[i].content() && !inPiece {
			return true
		}
	}
	return false
}

// best returns the tool that fits the clause best, or nil if none does.
func (p *planner) best(c *clause) *offlineTool {
	var best *offlineTool
	var bestScore float64
	scores := map[*offlineTool]float64{}
	for _, t := range p.tools {
		score, ok := p.match(t, c)
		if !ok {
			continue
		}
		scores[t] = score
		if best == nil || score > bestScore {
			best, bestScore = t, score
		}
	}
	// A tool that gives what another one needs is a step on the way, if both are
	// asked for by words of their own.
	for range scores {
		i := slices.IndexFunc(p.tools, func(t *offlineTool) bool {
			_, fits := scores[t]
			return fits && t != best && feeds(best, t) && !feeds(t, best) && ownWord(t, best, c)
		})
		if i < 0 {
			break
		}
		best = p.tools[i]
	}
	return best
}

// ownWord says whether the clause has a word for the name of t that other has
// not.
func ownWord(t, other *offlineTool, c *clause) bool {
	for i := c.from; i < c.to; i++ {
		tok := &c.tokens[i]
		if tok.content() && !inGroups(verbs, tok.stem) && nearest(tok.stem, t.words) == 1 && nearest(tok.stem, other.words) == 0 {
			return true
		}
	}
	return false
}

// feeds says whether a gives what b requires.
func feeds(a, b *offlineTool) bool {
	return slices.ContainsFunc(b.params, func(q param) bool { return q.required && produces(a, &q) > 0 })
}

func nearest(w string, words []string) float64 {
	best := 0.0
	for _, x := range words {
		best = max(best, akin(w, x))
	}
	return best
}

// match scores how well t fits the clause, and says whether it fits at all.
func (p *planner) match(t *offlineTool, c *clause) (float64, bool) {
	f := c.fill(t)
	score := 0.0
	names, sure, described, verb, unexplained := 0, false, 0, false, 0
	matched := map[string]bool{}
	lead := ""
	called := len(nameWords(t.name)) > 1 && strings.Contains(strings.ToLower(c.text), strings.ToLower(t.name))
	if called {
		score, sure = 6, true
	}
	for i := c.from; i < c.to; i++ {
		tok := &c.tokens[i]
		if !tok.content() && !(tok.kind == kindWord && slices.Contains(t.words, tok.stem)) {
			continue
		}
		if lead == "" {
			lead = tok.low
		}
		used := f.used[i]
		if matched[tok.stem] {
			continue
		}
		isVerb := inGroups(verbs, tok.stem)
		inName, inDesc := nearest(tok.stem, t.words), nearest(tok.stem, t.desc)
		for k := range t.params {
			inDesc = max(inDesc, nearest(tok.stem, t.params[k].words), nearest(tok.stem, t.params[k].desc))
			if used {
				inDesc = 0
			}
		}
		switch {
		case used && inName < 1:
			if slices.ContainsFunc(f.pieces, func(x *piece) bool { return x != nil && x.kind == kindEnum && x.from <= i && i < x.to }) {
				names++
			}
		case inName > 0:
			matched[tok.stem] = true
			score += 3 * inName * p.weight(tok.stem, t.words)
			if isVerb {
				verb = true
			} else {
				names++
				sure = sure || inName >= .7
			}
		case slices.ContainsFunc(t.words, func(w string) bool { return sameGroup(verbs, w, tok.stem) }):
			score += .8
		case inDesc > 0:
			matched[tok.stem] = true
			score += inDesc * p.weight(tok.stem, t.desc)
			if !isVerb {
				described++
			}
		case !isVerb:
			unexplained++
		}
	}
	for _, w := range c.implied() {
		if near := nearest(w, t.words); near > 0 && !matched[w] {
			score += 2 * near * p.weight(w, t.words)
			names++
			sure = true
		}
	}
	for i := range t.words {
		w := t.words[i]
		known := slices.ContainsFunc(c.tokens[c.from:c.to], func(tok token) bool { return akin(tok.stem, w) > 0 })
		if verb := inGroups(verbs, w); verb && !known && !sameGroup(verbs, w, "read") && !sameGroup(verbs, w, "list") &&
			!slices.ContainsFunc(c.tokens[c.from:c.to], func(tok token) bool { return sameGroup(verbs, tok.stem, w) }) {
			score -= .7
		}
		if !known && !inGroups(verbs, w) && !slices.Contains(c.implied(), w) {
			score -= .4 * p.rare[w]
		}
	}
	score += float64(f.count)
	for _, i := range f.missing {
		if !slices.ContainsFunc(p.tools, func(u *offlineTool) bool { return u != t && !u.barred && produces(u, &t.params[i]) > 0 }) {
			score -= 2
		}
	}
	if t.old {
		score -= 1.5
	}
	fits := sure || names > 0 && unexplained == 0 || verb && unexplained == 0 ||
		described >= 2 && described >= 3*unexplained ||
		described >= 1 && unexplained == 0 && f.count > 0 && len(f.missing) == 0
	return score, fits && (called || c.mayChange(t, lead)) && f.leftover == ""
}

func (p *planner) weight(w string, words []string) float64 {
	best := p.rare[w]
	for _, x := range words {
		if akin(w, x) > 0 {
			best = max(best, p.rare[x])
		}
	}
	return best
}

// mayChange says whether the clause and the tool agree on changing something:
// both do, in like words, or neither does.
func (c *clause) mayChange(t *offlineTool, lead string) bool {
	like := func(a, b string) bool {
		return a == b || sameGroup(verbs, a, b)
	}
	if s := stem(lead); changing[s] && !strings.HasSuffix(lead, "s") {
		return slices.ContainsFunc(slices.Concat(t.words, t.desc), func(w string) bool { return like(s, w) })
	}
	for _, w := range t.words {
		if changing[w] && !slices.ContainsFunc(c.tokens[c.from:c.to], func(tok token) bool { return like(tok.stem, w) }) {
			return false
		}
	}
	return true
}

var fileName = regexp.MustCompile(`^[^*?]*\w\.[a-z]\w{0,4}$`)

// implied returns the words that the values of the clause stand for: who names
// a path means a file or a directory.
func (c *clause) implied() []string {
	var out []string
	for _, x := range c.pieces {
		if x.from < c.from || x.to > c.to {
			continue
		}
		if x.kind == kindURL {
			out = append(out, stem("page"), stem("url"))
		}
		base := x.text[strings.LastIndexAny(x.text, `/\`)+1:]
		if x.kind == kindQuoted && fileName.MatchString(x.text) || x.kind == kindDotted && !strings.ContainsAny(base, "0123456789") || x.kind == kindPath && base != "" {
			out = append(out, stem("file"))
		}
		if x.kind == kindPath && !strings.Contains(base, ".") {
			out = append(out, stem("directory"))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// produces scores how likely a call of t gives a value for q.
func produces(t *offlineTool, q *param) float64 {
	score := 0.0
	for _, w := range q.words {
		if len(w) < 2 {
			continue
		}
		if slices.ContainsFunc(t.params, func(x param) bool { return x.required && slices.Equal(x.words, q.words) }) {
			return 0
		}
		near := nearest(w, t.words)
		if bland[w] && near < 1 {
			continue
		}
		if near >= .6 {
			score += 3 * near
		} else if slices.Contains(t.gives, w) && !bland[w] {
			score += 1.6
		}
	}
	if q.want == kindFree {
		score += 3 * max(nearest("content", t.desc), nearest("text", t.words))
	}
	if score < 1.6 {
		return 0
	}
	return score
}

// resolve returns the calls of t that the clause asks for. If they need the
// results of other calls first, it returns those as pending. busy are tokens
// that other calls have used; the tokens used here are added. lookUp asks for
// values from other tools where the words of the request would do.
func (p *planner) resolve(t *offlineTool, c *clause, busy []bool, stack []*offlineTool, lookUp bool) (found, pending []step, err error) {
	stack = append(stack, t)
	f := c.fill(t)
	p.complete(t, f, busy)
	if f.leftover != "" {
		return nil, nil, p.refuse(fmt.Sprintf("%s has no place for %q", t.name, f.leftover))
	}
	for i := range t.params {
		q := &t.params[i]
		if !q.required || len(stack) > 3 {
			continue
		}
		missing := f.vals[i] == nil
		derived := p.derived(t, q, f, i, c)
		if !missing && !lookUp && !derived {
			continue
		}
		vals, wait, ok := p.produce(q, f, i, c, stack)
		switch {
		case ok && len(wait) > 0:
			pending = append(pending, wait...)
			f.vals[i] = []value{{}}
		case ok:
			f.vals[i] = vals
		case derived && p.trouble != nil:
			return nil, nil, p.refuse(p.trouble.String())
		case missing && len(stack) == 1: // a mere step is not made of memories
			f.vals[i] = p.remembered(q)
		}
	}
	for i := range f.used {
		busy[i] = busy[i] || f.used[i]
	}
	if len(pending) > 0 {
		return nil, pending, nil
	}
	found = []step{{tool: t, vals: make([]value, len(t.params))}}
	for i := range t.params {
		q := &t.params[i]
		if f.vals[i] == nil && q.required && q.schema.get("default").kind == 0 {
			return nil, nil, p.refuse(fmt.Sprintf("%s needs %q, which is not in the request", t.name, strings.Join(q.path, ".")))
		}
		vals := f.vals[i]
		if q.list && vals != nil {
			vals = []value{{kind: '[', vals: vals}}
		}
		if len(vals) == 0 {
			continue
		}
		var next []step
		for _, s := range found {
			for _, v := range vals {
				n := step{tool: t, vals: slices.Clone(s.vals)}
				n.vals[i] = v
				next = append(next, n)
			}
		}
		found = next
	}
	return found, nil, nil
}

// complete takes what the clause lacks from the rest of the request.
func (p *planner) complete(t *offlineTool, f *filled, busy []bool) {
	if len(f.missing) == 0 {
		return
	}
	hidden := slices.Clone(busy)
	for i := range f.used {
		hidden[i] = hidden[i] || f.used[i]
	}
	rest := p.whole.without(hidden).fill(t)
	for _, i := range f.missing {
		if rest.pieces[i] == nil || rest.pieces[i].kind == kindFree {
			continue
		}
		f.vals[i], f.pieces[i], f.tied[i] = rest.vals[i], rest.pieces[i], rest.tied[i]
		for k := rest.pieces[i].from; k < rest.pieces[i].to; k++ {
			f.used[k] = true
		}
	}
}

// derived says whether the request asks for the value of q to be looked up: it
// names q, as in "the q of X" or "X's q", and X is not said to be q itself.
func (p *planner) derived(t *offlineTool, q *param, f *filled, i int, c *clause) bool {
	if f.pieces[i] == nil || f.tied[i] {
		return false
	}
	at := f.pieces[i].from - 1
	for at > c.from && articles[c.tokens[at].low] {
		at--
	}
	for _, u := range p.tools {
		if u == t || produces(u, q) == 0 || f.pieces[i].kind == kindFree {
			continue
		}
		if at >= c.from && slices.Contains(u.words, c.tokens[at].stem) && !slices.Contains(t.words, c.tokens[at].stem) {
			return true
		}
		for k := range u.params {
			if _, tied := c.suits(u, &u.params[k], f.pieces[i]); tied {
				return true
			}
		}
	}
	if f.pieces[i].kind == kindQuoted {
		return false
	}
	for k := c.from; k < c.to; k++ {
		tok := &c.tokens[k]
		inValue := f.pieces[i].from <= k && k < f.pieces[i].to && q.want != kindFree
		if tok.content() && !inValue && !slices.Contains(t.words, tok.stem) && len(tok.stem) > 1 && (nearest(tok.stem, q.words) >= .6 || q.want == kindFree && sameGroup(nouns, tok.stem, "text")) {
			return true
		}
	}
	return false
}

// produce gets values for q from another tool. If that has yet to be called, the
// calls are returned instead.
func (p *planner) produce(q *param, f *filled, i int, c *clause, stack []*offlineTool) ([]value, []step, bool) {
	type source struct {
		tool  *offlineTool
		score float64
	}
	var sources []source
	for _, t := range p.tools {
		if t.barred || slices.Contains(stack, t) {
			continue
		}
		score := produces(t, q)
		if score == 0 {
			continue
		}
		if s, ok := p.match(t, c); ok {
			score += s
		}
		if t.mustChange() {
			continue
		}
		sources = append(sources, source{t, score})
	}
	slices.SortStableFunc(sources, func(a, b source) int { return cmp.Compare(b.score, a.score) })
	// What other parameters have taken is theirs.
	hidden := slices.Clone(f.used)
	if f.pieces[i] != nil {
		for k := f.pieces[i].from; k < f.pieces[i].to; k++ {
			hidden[k] = false
		}
		for k := range hidden {
			hidden[k] = hidden[k] && !spreadOver(f, i, k, c)
		}
	}
	for _, s := range sources {
		found, pending, err := p.resolve(s.tool, c.without(hidden), slices.Clone(f.used), stack, false)
		if err != nil {
			continue
		}
		if len(pending) > 0 {
			return nil, pending, true
		}
		var vals []value
		for _, call := range found {
			o := p.done[call.key()]
			if o == nil {
				pending = append(pending, call)
				continue
			}
			if o.failed {
				p.trouble = o
				continue
			}
			// Of many things that nobody chose from, none is the one that is meant.
			if len(call.args().vals) == 0 && (len(o.val.vals) > 1 && o.val.kind == '[' || o.val.kind == 0 && strings.Contains(o.text, "\n")) {
				continue
			}
			if v, ok := o.find(q); ok {
				vals = append(vals, v)
			}
		}
		if len(pending) > 0 {
			return nil, pending, true
		}
		if len(vals) > 0 {
			return vals, nil, true
		}
	}
	return nil, nil, false
}

// mustChange says whether the name of the tool is that of a change, which is
// never a mere step to something else.
func (t *offlineTool) mustChange() bool {
	return slices.ContainsFunc(t.words, func(w string) bool { return changing[w] })
}

// spreadOver says whether token k belongs to the list whose head fills
// parameter i.
func spreadOver(f *filled, i, k int, c *clause) bool {
	for j := range c.pieces {
		x := &c.pieces[j]
		if x.from <= k && k < x.to && x.prev >= 0 && x.kind == f.pieces[i].kind {
			return true
		}
	}
	return false
}

// find returns the value for q in the result of a call.
func (o *outcome) find(q *param) (value, bool) {
	facts := o.facts()
	return bestFact(slices.DeleteFunc(facts, func(f fact) bool { return f.rank == 2 }), q, 0)
}

// remembered returns a value for q from calls made before, or nil.
func (p *planner) remembered(q *param) []value {
	var facts []fact
	for _, o := range slices.Backward(p.order) {
		facts = append(facts, o.facts()...)
	}
	for _, from := range [][]fact{facts, p.earlier} {
		if v, ok := bestFact(from, q, .55); ok {
			return []value{v}
		}
	}
	return nil
}

func bestFact(facts []fact, q *param, least float64) (value, bool) {
	best, bestLike := value{}, -1.0
	for i := range facts {
		like := facts[i].likeness(q.words, q.desc) - .05*float64(facts[i].rank)
		if like < least-.2 || like <= bestLike {
			continue
		}
		if v, ok := facts[i].as(q); ok && like+.05*float64(facts[i].rank) >= least {
			best, bestLike = v, like
		}
	}
	return best, bestLike > -1
}
