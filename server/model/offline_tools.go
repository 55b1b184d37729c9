package model

import (
	"slices"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// An offlineTool is a tool that the request offers, taken apart into words.
type offlineTool struct {
	name   string
	barred bool
	old    bool     // it says that another should be used
	words  []string // of the name, as stems
	desc   []string // of the description, as stems
	params []param
}

// A param is a value that a tool takes, or that an answer has.
type param struct {
	name     string
	words    []string // of the name, as stems
	desc     []string // of the description, as stems
	schema   value    // of an element, if it is a list
	list     bool
	required bool
	want     kind
}

// newTools takes the tools of a request apart.
func newTools(tools []mistral.ChatTool, mayCall func(string) bool) []*offlineTool {
	names := make([][]string, len(tools))
	for i, t := range tools {
		names[i] = nameWords(t.Function.Name)
	}
	out := make([]*offlineTool, len(tools))
	for i := range tools {
		f := tools[i].Function
		t := &offlineTool{name: f.Name, desc: contentStems(nameWords(f.Description))}
		t.words = contentStems(withoutNamespace(names[i], names))
		t.barred = mayCall != nil && !mayCall(f.Name)
		t.old = strings.Contains(strings.ToLower(f.Description), "deprecated")
		schema, _ := parseValue(f.Parameters)
		props := schema.resolve(schema).get("properties")
		for k, name := range props.keys {
			p := newParam(props.vals[k], schema, name)
			p.required = slices.ContainsFunc(schema.get("required").vals, func(v value) bool { return v.text == name })
			t.params = append(t.params, p)
		}
		out[i] = t
	}
	return out
}

// withoutNamespace returns the words of one of names without the namespace
// before it: what all the tools of a server share tells none of them apart. A
// verb that tools share is no namespace, and neither is what leaves only verbs.
func withoutNamespace(name []string, names [][]string) []string {
	plain := func(w string) bool { return stop[w] || isVerb(stem(w)) }
	shared := 0
	for shared < len(name) && !plain(name[shared]) {
		same := 0
		for _, n := range names {
			if len(n) > shared && slices.Equal(n[:shared+1], name[:shared+1]) {
				same++
			} else if len(n) > 0 && n[0] == name[0] {
				same = -len(names) // not shared by all
			}
		}
		if same < 2 {
			break
		}
		shared++
	}
	if !slices.ContainsFunc(name[shared:], func(w string) bool { return !plain(w) }) {
		return name
	}
	return name[shared:]
}

func newParam(schema, root value, name string) param {
	schema = schema.resolve(root)
	p := param{name: name, schema: schema, words: stemsOf(nameWords(name))}
	p.desc = contentStems(nameWords(schema.get("description").text))
	p.want = wanted(&p)
	if schema.is("array") {
		p.list = true
		p.schema = schema.get("items").resolve(root)
		p.want = wanted(&p)
	}
	return p
}

func wanted(p *param) kind {
	types := slices.DeleteFunc(p.schema.types(), func(t string) bool { return t == "null" })
	switch {
	case len(p.schema.get("enum").vals) > 0:
		return kindEnum
	case slices.Contains(types, "number"), slices.Contains(types, "integer"):
		return kindNumber
	case len(types) > 0 && !slices.Contains(types, "string"):
		return kindObject
	}
	for _, w := range slices.Backward(append(slices.Clone(p.words), stem(p.schema.get("format").text))) {
		if k, ok := wants[w]; ok {
			return k
		}
	}
	return kindName
}

// about returns the words that say what the tool is for.
func (t *offlineTool) about() []string {
	out := slices.Concat(t.words, t.desc)
	for i := range t.params {
		out = append(append(out, t.params[i].words...), t.params[i].desc...)
	}
	return out
}

// takes says whether the words of a field are those of a parameter.
func (t *offlineTool) takes(field *param) bool {
	return slices.ContainsFunc(t.params, func(q param) bool {
		return slices.ContainsFunc(field.words, func(w string) bool {
			return !bland[w] && (slices.Contains(q.words, w) || slices.Contains(q.desc, w))
		})
	})
}

// gives says how likely a call of t tells what q asks for, 0 for not at all.
func (t *offlineTool) gives(q *param) float64 {
	if slices.ContainsFunc(t.params, func(x param) bool { return x.required && slices.Equal(x.words, q.words) }) {
		return 0
	}
	score := 0.0
	for _, w := range q.words {
		near := nearest(w, t.words)
		switch {
		case len(w) < 2 || bland[w] && near < 1:
		case near > 0:
			score += 3 * near
		case len(t.params) > 0 && slices.Contains(t.desc, w) && !t.takes(&param{words: []string{w}}):
			score += 1.6
		}
	}
	return score
}

// feeds says whether t gives what other requires.
func (t *offlineTool) feeds(other *offlineTool) bool {
	return slices.ContainsFunc(other.params, func(q param) bool { return q.required && t.gives(&q) > 0 })
}

// changes says whether the name of the tool is that of a change, which is never
// a mere step to something else.
func (t *offlineTool) changes() bool {
	return slices.ContainsFunc(t.words, func(w string) bool { return changing[w] })
}

// best returns the tool that fits the clause best, or nil if none does.
func (p *planner) best(c *clause) *offlineTool {
	var best *offlineTool
	bestScore := 0.0
	var fit []*offlineTool
	for _, t := range p.tools {
		score, ok := p.match(t, c)
		if !ok {
			continue
		}
		fit = append(fit, t)
		if best == nil || score > bestScore {
			best, bestScore = t, score
		}
	}
	// A tool that gives what another one needs is a step on the way, if both are
	// asked for by words of their own.
	for range fit {
		i := slices.IndexFunc(fit, func(t *offlineTool) bool {
			return t != best && best.feeds(t) && !t.feeds(best) && slices.ContainsFunc(c.tokens[c.from:c.to], func(tok token) bool {
				return tok.content() && !isVerb(tok.stem) && slices.Contains(t.words, tok.stem) && nearest(tok.stem, best.words) == 0
			})
		})
		if i < 0 {
			break
		}
		best = fit[i]
	}
	return best
}

// match scores how well t fits the clause, and says whether it fits at all: the
// words must name what it is about, or all be explained.
func (p *planner) match(t *offlineTool, c *clause) (float64, bool) {
	f := c.fill(t)
	words, lead := c.words(t, f)
	m := t.explain(words, c.meant())
	m.score += float64(f.count)
	lacks := false
	for i := range t.params {
		q := &t.params[i]
		if x := f.pieces[i]; x != nil && x.kind == kindEnum {
			m.named++
		}
		if !q.required || f.vals[i] != nil {
			continue
		}
		lacks = true
		if !slices.ContainsFunc(p.tools, func(u *offlineTool) bool { return u != t && !u.barred && u.gives(q) > 0 }) {
			m.score -= 2
		}
	}
	if t.old {
		m.score -= 1.5
	}
	if len(nameWords(t.name)) > 1 && strings.Contains(strings.ToLower(c.text), strings.ToLower(t.name)) {
		return m.score + 6, f.leftover == ""
	}
	fits := m.named > 1 || m.described >= 2 && m.described >= 3*m.unexplained ||
		m.unexplained == 0 && (m.named > 0 || m.verb || m.described > 0 && f.count > 0 && !lacks)
	return m.score, fits && mayChange(t, words, lead) && f.leftover == ""
}

// A meaning is what the words of a clause are to a tool.
type meaning struct {
	score       float64
	named       int  // in its name, two for each
	verb        bool // one of those is a verb
	described   int  // elsewhere in what is said of it
	unexplained int
}

// explain compares words of a clause, and those that its values stand for, with
// those of the tool.
func (t *offlineTool) explain(words, meant []string) meaning {
	var m meaning
	about := t.about()
	like := func(list []string, w string) bool {
		return nearest(w, list) > 0 || slices.ContainsFunc(list, func(x string) bool { return sameVerb(x, w) })
	}
	for _, w := range words {
		near := nearest(w, t.words)
		switch {
		case near > 0 && isVerb(w):
			m.score += 2 * near
			m.verb = true
		case near > 0:
			m.score += 2 * near
			m.named += 2
		case like(t.words, w):
			m.score += .8
		case isVerb(w):
			m.score += nearest(w, about)
		case nearest(w, about) > 0:
			m.score += nearest(w, about)
			m.described++
		default:
			m.unexplained++
		}
	}
	for _, w := range meant {
		if near := nearest(w, t.words); near > 0 && !slices.Contains(words, w) {
			m.score += 2 * near
			m.named += 2
		}
	}
	for _, w := range t.words {
		if !like(words, w) && !slices.Contains(meant, w) {
			m.score -= .3
		}
	}
	return m
}

// words returns the stems of the words of the clause that are no values, and the
// word that leads.
func (c *clause) words(t *offlineTool, f *filled) (words []string, lead string) {
	for i := c.from; i < c.to; i++ {
		tok := &c.tokens[i]
		inName := tok.kind == kindWord && slices.Contains(t.words, tok.stem)
		if !tok.content() && !inName {
			continue
		}
		if lead == "" {
			lead = tok.low
		}
		if (!f.used[i] || inName) && !slices.Contains(words, tok.stem) {
			words = append(words, tok.stem)
		}
	}
	return words, lead
}

// meant returns the stems of the words that the values of the clause stand for:
// who names a path means a file or a directory.
func (c *clause) meant() []string {
	var out []string
	for _, x := range c.pieces {
		base := x.text[strings.LastIndexAny(x.text, `/\`)+1:]
		if x.from < c.from || x.to > c.to || x.kind != kindPath {
			continue
		}
		if base != "" {
			out = append(out, stem("file"))
		}
		if !strings.Contains(base, ".") {
			out = append(out, stem("directory"))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// mayChange says whether the words and the tool agree on changing something:
// both do, in like words, or neither does.
func mayChange(t *offlineTool, words []string, lead string) bool {
	has := func(list []string, verb string) bool {
		return slices.ContainsFunc(list, func(w string) bool { return sameVerb(w, verb) })
	}
	if s := stem(lead); changing[s] && !strings.HasSuffix(lead, "s") {
		return has(t.words, s) || has(t.desc, s)
	}
	return !slices.ContainsFunc(t.words, func(w string) bool { return changing[w] && !has(words, w) })
}
