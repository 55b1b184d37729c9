package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// An outcome is a call with what came of it.
type outcome struct {
	step   step
	text   string
	val    value // what text says, if it is JSON
	failed bool
}

// failure finds the results that say that a tool failed; function results are
// plain text on the wire, so the words are all there is.
var failure = regexp.MustCompile(`(?i)^\s*((\w+ ){0,2}error\b\s*(:|while\b|-?\d|$)|(failed|unable|cannot|could not|couldn't)( to\b|:)|` +
	`\w+(error|exception):|traceback\b|(access|permission) denied|E[A-Z]{4,}:)`)

func newOutcome(s step, text string) *outcome {
	o := &outcome{step: s, text: strings.TrimSpace(unwrap(text))}
	o.val, _ = parseValue([]byte(o.text))
	reason := o.val.get("error")
	o.failed = failure.MatchString(o.text) || o.val.get("isError").text == "true" ||
		reason.kind == '{' || reason.kind == '"' && reason.text != ""
	return o
}

// unwrap returns the text in a list of content blocks, which some clients send
// as JSON, or as JSON in JSON.
func unwrap(text string) string {
	for range 3 {
		v, ok := parseValue([]byte(text))
		if ok && v.kind == '"' {
			text = v.text
			continue
		}
		if v.get("content").kind == '[' && v.get("structuredContent").kind == 0 {
			v = v.get("content")
		}
		isBlock := func(b value) bool { return b.get("type").text == "text" && b.get("text").kind == '"' }
		if v.kind != '[' || len(v.vals) == 0 || !isBlock(v.vals[0]) {
			break
		}
		var parts []string
		for _, b := range v.vals {
			if isBlock(b) {
				parts = append(parts, b.get("text").text)
			}
		}
		text = strings.Join(parts, "\n")
	}
	return text
}

func (o *outcome) String() string {
	if o.failed {
		return fmt.Sprintf("The tool %s failed: %s", o.step.tool.name, o.text)
	}
	if o.val.kind == '{' || o.val.kind == '[' {
		return o.val.String()
	}
	return o.text
}

// A fact is a value that is known, with the words that say what it is.
type fact struct {
	words   []string           // its name
	context map[string]float64 // words around the name, and how much they count
	val     value
	whole   *outcome // if not nil, the fact is all the text of a result
	rank    int      // lower is better, among facts that match alike
}

// bland are names that say nothing without their context.
var bland = stems("name id value text query key input result output data content message string number")

// facts returns what a call is known to have taken and given.
func (o *outcome) facts() []fact {
	var out []fact
	tool := o.step.tool
	about := map[string]float64{}
	for _, w := range tool.words {
		about[w] = .4
	}
	if !o.failed {
		out = append(out, resultFacts(o.val, nil, about)...)
		if o.val.kind == 0 || o.val.scalar() {
			for _, m := range labelled.FindAllStringSubmatch(o.text, -1) {
				out = append(out, fact{words: stemsOf(nameWords(m[1])), context: about, val: textValue(strings.TrimSpace(m[2])), rank: 1})
			}
			whole := fact{context: about, val: textValue(o.text), whole: o, rank: 3}
			if len(tool.words) > 0 {
				whole.words = tool.words[len(tool.words)-1:]
			}
			out = append(out, whole)
		}
	}
	for i := range tool.params {
		p := &tool.params[i]
		v := o.step.vals[i]
		if v.kind == 0 {
			continue
		}
		around := map[string]float64{}
		for _, w := range tool.words {
			around[w] = .3
		}
		for _, w := range p.desc {
			around[w] = .6
		}
		out = append(out, fact{words: p.words, context: around, val: v, rank: 2})
	}
	return out
}

var labelled = regexp.MustCompile(`(?:^|[\n,;])[ \t>*•-]*([A-Za-z][\w -]{0,30}?)\**:[ \t]+\**([^\n,;]+)`)

func stemsOf(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = stem(w)
	}
	return out
}

func resultFacts(v value, words []string, context map[string]float64) []fact {
	var out []fact
	if v.scalar() && words != nil {
		return []fact{{words: words, context: context, val: v}}
	}
	if v.kind == '[' && words != nil {
		out = append(out, fact{words: words, context: context, val: v})
	}
	for i, x := range v.vals {
		inner := words
		if v.kind == '{' {
			inner = stemsOf(nameWords(v.keys[i]))
			around := map[string]float64{}
			for w, n := range context {
				around[w] = n
			}
			for _, w := range words {
				around[w] = .5
			}
			context = around
		}
		// Of a list, the first is the best match that most tools know of.
		if v.kind == '{' || i == 0 {
			out = append(out, resultFacts(x, inner, context)...)
		}
	}
	return out
}

// likeness says how much a fact is what words ask for, from 0 to 1.
func (f *fact) likeness(words, desc []string) float64 {
	if len(words) == 0 {
		return 0
	}
	sum, extra := 0.0, 0.0
	for _, w := range words {
		best := 0.0
		for _, x := range f.words {
			best = max(best, akin(w, x))
		}
		for x, n := range f.context {
			best = max(best, n*akin(w, x))
		}
		if f.whole != nil && best < .6 && slices.Contains(contentStems(f.val.text), w) {
			best = .6
		}
		sum += best
	}
	for _, x := range f.words {
		if !bland[x] && len(x) > 1 && !slices.ContainsFunc(words, func(w string) bool { return akin(w, x) > 0 }) {
			extra++
		}
	}
	if f.whole != nil {
		extra = 0
	}
	like := sum / (float64(len(words)) + .5*extra)
	if f.whole == nil && slices.ContainsFunc(f.words, func(x string) bool { return !bland[x] && slices.Contains(desc, x) }) {
		like = max(like, .45)
	}
	return like
}

// convert makes words of a request a value that the schema allows.
func convert(schema value, text string) (value, bool) {
	for _, v := range schema.get("enum").vals {
		if v.scalar() && strings.EqualFold(v.text, text) {
			return v, true
		}
	}
	if len(schema.get("enum").vals) > 0 {
		return value{}, false
	}
	switch {
	case schema.is("integer") && !schema.is("string"):
		return value{kind: '0', text: text}, wholeNumber.MatchString(text)
	case schema.is("number") && !schema.is("string"):
		return value{kind: '0', text: text}, decimalNumber.MatchString(text)
	case len(schema.types()) > 0 && !schema.is("string"):
		return value{}, false
	case schema.get("format").text == "date" && !isoDate.MatchString(text):
		return value{}, false
	}
	if pattern, err := regexp.Compile(schema.get("pattern").text); err == nil && !pattern.MatchString(text) {
		return value{}, false
	}
	return textValue(text), true
}

var (
	wholeNumber   = regexp.MustCompile(`^-?\d+$`)
	decimalNumber = regexp.MustCompile(`^-?\d+(\.\d+)?$`)
	isoDate       = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
)

// as makes the fact a value that p's schema allows.
func (f *fact) as(p *param) (value, bool) {
	if f.whole != nil && f.whole.val.kind == 0 {
		return extract(f.whole, p)
	}
	v := f.val
	if !v.scalar() || v.text == "" {
		return value{}, false
	}
	if p.want == kindBool {
		return v, v.kind == 't'
	}
	if out, ok := convert(p.schema, v.text); ok {
		return out, true
	}
	if v.kind == '"' {
		return extract(&outcome{text: v.text, step: step{tool: &offlineTool{}}}, p)
	}
	if p.want == kindNumber && v.kind == '0' {
		// An integer that came with a fraction or an exponent.
		var n float64
		if json.Unmarshal([]byte(v.text), &n) == nil && (!p.schema.is("integer") || n == float64(int64(n))) {
			return value{kind: '0', text: strings.TrimSuffix(fmt.Sprint(n), ".0")}, true
		}
	}
	return value{}, false
}

// extract finds in a text the value that p asks for. What the call was given is
// not what it has found.
func extract(o *outcome, p *param) (value, bool) {
	if o.text == "" {
		return value{}, false
	}
	tokens := tokenize(o.text)
	given := func(text string) bool {
		return slices.ContainsFunc(o.step.vals, func(v value) bool { return v.kind != 0 && strings.EqualFold(v.text, text) })
	}
	switch p.want {
	case kindFree:
		return convert(p.schema, o.text)
	case kindBool:
		if len(tokens) > 0 && (tokens[0].low == "yes" || tokens[0].low == "true") {
			return value{kind: 't', text: "true"}, true
		}
		return value{kind: 't', text: "false"}, len(tokens) > 0 && (tokens[0].low == "no" || tokens[0].low == "false")
	case kindEnum:
		c := clause{text: o.text, tokens: tokens, to: len(tokens)}
		if hits := c.enumPieces(p); len(hits) > 0 {
			return convert(p.schema, hits[0].text)
		}
		return value{}, false
	case kindName:
		if len(strings.Fields(o.text)) <= 4 && !strings.ContainsAny(o.text, "\n:") {
			return convert(p.schema, strings.TrimRight(o.text, ". "))
		}
	}
	best, bestScore := value{}, 0.0
	never := func(string) bool { return false }
	named, after := -1, -1
	for i := range tokens {
		tok := &tokens[i]
		if tok.kind == kindWord && slices.ContainsFunc(p.words, func(w string) bool { return akin(w, tok.stem) > .6 }) {
			named = i
		}
		if tok.low == "is" || tok.low == "are" || tok.low == "was" || tok.low == "in" && after < 0 {
			after = i
		}
	}
	for _, x := range valuesIn(o.text, tokens, never, never) {
		score := fits[p.want][x.kind] + 1
		if fits[p.want][x.kind] <= 0 || x.kind == kindPhrase || given(x.text) && p.want != kindNumber {
			continue
		}
		if given(x.text) {
			score -= 2.5
		}
		if x.weak {
			score -= 1.5
		}
		if named >= 0 && x.from > named {
			score += 1 / float64(x.from-named+1)
		}
		if after >= 0 && x.from > after {
			score++
		}
		if v, ok := convert(p.schema, x.text); ok && score > bestScore {
			best, bestScore = v, score
		}
	}
	return best, bestScore > 0
}

// An answerer fills the schema of an answer from facts.
type answerer struct {
	root  value
	texts []string   // the results asked for, as text
	steps []*outcome // the calls that led to them
}

// about returns the facts of one goal and of the calls that led to it.
func (a *answerer) about(goal *outcome) []fact {
	out := goal.facts()
	var others []fact
	led := false
	for _, s := range a.steps {
		facts := s.facts()
		gave := slices.ContainsFunc(goal.step.vals, func(v value) bool {
			return v.kind != 0 && slices.ContainsFunc(facts, func(f fact) bool { return f.rank != 2 && strings.Contains(f.val.text, v.text) })
		})
		if gave {
			led = true
			out = append(out, facts...)
		} else {
			others = append(others, facts...)
		}
	}
	if led {
		return out
	}
	return append(out, others...)
}

// A missingError says which field of an answer nothing is known for.
type missingError struct{ field string }

func (e *missingError) Error() string { return "the results have nothing for the field " + e.field }

// fill makes a value of the schema. Each outcome of goals is one thing that was
// asked for; where the schema wants a list, it has an element for each.
func (a *answerer) fill(schema value, name string, goals []*outcome, facts []fact, depth int) (value, error) {
	schema = schema.resolve(a.root)
	switch {
	case depth > maxDepth:
	case len(schema.get("properties").keys) > 0:
		return a.fillObject(schema, goals, facts, depth)
	case schema.is("array"):
		return a.fillList(schema, name, goals, facts, depth)
	case schema.is("object") && len(goals) > 0 && goals[0].val.kind == '{':
		return goals[0].val, nil
	default:
		p := fieldParam(schema, name)
		if v, ok := a.one(&p, facts, nil, true); ok {
			return v, nil
		}
	}
	if schema.nullable() {
		return value{}, nil
	}
	return value{}, &missingError{field: cmp.Or(name, "(the whole answer)")}
}

func fieldParam(schema value, name string) param {
	p := param{schema: schema, words: stemsOf(nameWords(name)), desc: contentStems(schema.get("description").text)}
	p.want = wanted(&p)
	if schema.is("null") {
		types := slices.DeleteFunc(schema.types(), func(t string) bool { return t == "null" })
		if len(types) == 1 {
			p.schema = value{kind: '{', keys: slices.Clone(schema.keys), vals: slices.Clone(schema.vals)}
			p.schema.set([]string{"type"}, textValue(types[0]))
			p.want = wanted(&p)
		}
	}
	return p
}

func (a *answerer) fillObject(schema value, goals []*outcome, facts []fact, depth int) (value, error) {
	props := schema.get("properties")
	out := value{kind: '{'}
	fields := make([]param, len(props.keys))
	got := make([]value, len(props.keys))
	var pairs []pair
	plain := 0
	for i, name := range props.keys {
		fields[i] = fieldParam(props.vals[i].resolve(a.root), name)
		if fields[i].want != kindObject {
			plain++
		}
		for j := range facts {
			like := facts[j].likeness(fields[i].words, fields[i].desc)
			if like >= .29 && fields[i].want != kindObject {
				pairs = append(pairs, pair{param: i, piece: j, score: like - .05*float64(facts[j].rank)})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.score, a.score) })
	taken := map[string]bool{}
	for _, x := range pairs {
		if got[x.param].kind != 0 {
			continue
		}
		v, ok := facts[x.piece].as(&fields[x.param])
		// One value seldom answers two questions, unless it is sure to.
		if ok && (x.score >= .8 || !taken[v.json()]) {
			got[x.param] = v
			taken[v.json()] = true
		}
	}
	need := schema.get("required").vals
	for i, name := range props.keys {
		required := slices.ContainsFunc(need, func(v value) bool { return v.text == name })
		var err error
		if got[i].kind == 0 && fields[i].want != kindObject {
			got[i], _ = a.one(&fields[i], facts, taken, plain == 1)
		}
		if got[i].kind == 0 {
			if fields[i].want != kindObject {
				err = &missingError{field: name}
			} else {
				got[i], err = a.fill(props.vals[i], name, goals, facts, depth+1)
			}
		}
		switch {
		case err == nil:
			out.set([]string{name}, got[i])
		case !required:
		case props.vals[i].resolve(a.root).nullable() || props.vals[i].nullable():
			out.set([]string{name}, value{})
		default:
			return value{}, err
		}
	}
	return out, nil
}

// one finds a value for a field that no fact is named like. only says that it
// is the only field, and so that the result must be meant.
func (a *answerer) one(p *param, facts []fact, taken map[string]bool, only bool) (value, bool) {
	if c := p.schema.get("const"); c.kind != 0 {
		return c, true
	}
	if (p.want == kindFree || only && p.want == kindName) && len(a.texts) > 0 {
		return convert(p.schema, strings.Join(a.texts, "\n"))
	}
	if p.want == kindName || p.want == kindObject {
		return value{}, false
	}
	var found []value
	for i := range facts {
		if facts[i].rank == 2 {
			continue
		}
		if v, ok := facts[i].as(p); ok && !taken[v.json()] {
			if !slices.ContainsFunc(found, func(x value) bool { return x.json() == v.json() }) {
				found = append(found, v)
			}
		}
	}
	if len(found) == 1 || only && len(found) > 0 {
		return found[0], true
	}
	return value{}, false
}

func (a *answerer) fillList(schema value, name string, goals []*outcome, facts []fact, depth int) (value, error) {
	out := value{kind: '['}
	item := schema.get("items").resolve(a.root)
	objects := len(item.get("properties").keys) > 0
	p := fieldParam(item, name)
	for _, o := range goals {
		if o.failed {
			continue
		}
		list, ok := findList(o.val, stemsOf(nameWords(name)), objects)
		for _, x := range list.vals {
			if v, ok := (&fact{val: x}).as(&p); ok && x.scalar() {
				out.vals = append(out.vals, v)
				continue
			}
			x := &outcome{step: o.step, val: x}
			v, err := a.fill(item, name, []*outcome{x}, resultFacts(value{kind: '{', keys: []string{name}, vals: []value{x.val}}, nil, nil), depth+1)
			if err != nil {
				return value{}, err
			}
			out.vals = append(out.vals, v)
		}
		if ok {
			continue
		}
		if objects {
			v, err := a.fill(item, name, []*outcome{o}, a.about(o), depth+1)
			if err != nil {
				return value{}, err
			}
			out.vals = append(out.vals, v)
			continue
		}
		if p.want != kindNumber && strings.Contains(o.text, "\n") && o.val.kind == 0 {
			for line := range strings.Lines(o.text) {
				if v, ok := convert(item, strings.TrimSpace(line)); ok && v.text != "" {
					out.vals = append(out.vals, v)
				}
			}
			continue
		}
		if v, err := a.fill(item, name, []*outcome{o}, o.facts(), depth+1); err == nil {
			out.vals = append(out.vals, v)
		}
	}
	if len(out.vals) == 0 && !slices.ContainsFunc(goals, func(o *outcome) bool { return !o.failed && o.val.kind == '[' }) {
		return value{}, &missingError{field: name}
	}
	return out, nil
}

// findList returns the list in a result that a field of that name means.
func findList(v value, words []string, objects bool) (value, bool) {
	if v.kind == '[' {
		return v, true
	}
	var lists []value
	for i, x := range v.vals {
		if x.kind != '[' || len(x.vals) > 0 && objects != (x.vals[0].kind == '{') {
			continue
		}
		if slices.ContainsFunc(stemsOf(nameWords(v.keys[i])), func(w string) bool { return slices.Contains(words, w) }) {
			return x, true
		}
		lists = append(lists, x)
	}
	if len(lists) == 1 {
		return lists[0], true
	}
	return value{}, false
}
