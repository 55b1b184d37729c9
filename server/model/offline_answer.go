package model

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
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
		v, _ := parseValue([]byte(text))
		var parts []string
		for _, b := range v.vals {
			if v.kind == '[' && b.get("type").text == "text" {
				parts = append(parts, b.get("text").text)
			}
		}
		switch {
		case v.kind == '"':
			text = v.text
		case len(parts) > 0:
			text = strings.Join(parts, "\n")
		default:
			return text
		}
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
	whole   bool // it is the text of a result, in which values may be
	given   bool // the tool was called with it
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
		out = leaves(o.val, nil, about)
		if len(out) == 0 {
			out = append(out, fact{words: tool.words[max(0, len(tool.words)-1):], context: about, val: textValue(o.text), whole: true})
		}
	}
	for i := range tool.params {
		around := maps.Clone(about)
		for _, w := range tool.params[i].desc {
			around[w] = .6
		}
		if v := o.step.vals[i]; v.kind != 0 {
			out = append(out, fact{words: tool.params[i].words, context: around, val: v, given: true})
		}
	}
	return out
}

// leaves returns the plain values in v. Of a list, the first is the best match
// that most tools know of.
func leaves(v value, words []string, context map[string]float64) []fact {
	if v.scalar() && words != nil {
		return []fact{{words: words, context: context, val: v}}
	}
	var out []fact
	for i, x := range v.vals {
		if v.kind == '{' {
			out = append(out, leaves(x, stemsOf(nameWords(v.keys[i])), context)...)
		} else if i == 0 {
			out = append(out, leaves(x, words, context)...)
		}
	}
	return out
}

// likeness says how much a fact is what q asks for, from 0 to 1.
func (f *fact) likeness(q *param) float64 {
	if len(q.words) == 0 {
		return 0
	}
	sum := 0.0
	for _, w := range q.words {
		best := nearest(w, f.words)
		for x, n := range f.context {
			best = max(best, n*nearest(w, []string{x}))
		}
		sum += best
	}
	like := sum / float64(len(q.words))
	if f.given {
		like -= .1 // what came back knows better
	}
	return like
}

// as makes the fact a value that q's schema allows.
func (f *fact) as(q *param) (value, bool) {
	if f.whole {
		return extract(f.val.text, q)
	}
	if f.val.kind == 't' {
		return f.val, q.schema.is("boolean")
	}
	if !f.val.scalar() || f.val.text == "" {
		return value{}, false
	}
	if v, ok := convert(q.schema, f.val.text); ok {
		return v, true
	}
	return extract(f.val.text, q)
}

// extract finds in a text the value that q asks for.
func extract(text string, q *param) (value, bool) {
	tokens := tokenize(text)
	c := clause{text: text, tokens: tokens, to: len(tokens)}
	switch {
	case q.want == kindFree:
		return convert(q.schema, text)
	case q.want == kindName && len(strings.Fields(text)) <= 3 && !strings.ContainsAny(text, "\n:"):
		return convert(q.schema, strings.TrimRight(text, ". "))
	case q.want == kindEnum:
		if hits := c.enumPieces(q); len(hits) > 0 {
			return convert(q.schema, hits[0].text)
		}
		return value{}, false
	}
	// What is said of the value comes before it: "the sum of 1 and 2 is 3".
	said := -1
	for i := range tokens {
		tok := &tokens[i]
		if tok.low == "is" || tok.low == "are" || tok.low == "in" && said < 0 || tok.kind == kindWord && said < 0 && nearest(tok.stem, q.words) > 0 {
			said = i
		}
	}
	best, bestScore := value{}, 0.0
	for _, x := range valuesIn(text, tokens, func(string) bool { return false }) {
		score := fits[q.want][x.kind]
		if score <= 0 || x.kind == kindPhrase {
			continue
		}
		if x.from > said {
			score += 2 / float64(x.from-said)
		}
		if v, ok := convert(q.schema, x.text); ok && score > bestScore {
			best, bestScore = v, score
		}
	}
	return best, bestScore > 0
}

// find returns the value for q in the result of a call.
func (o *outcome) find(q *param) (value, bool) {
	best, bestLike := value{}, -1.0
	for _, f := range o.facts() {
		if like := f.likeness(q); !f.given && like > bestLike {
			if v, ok := f.as(q); ok {
				best, bestLike = v, like
			}
		}
	}
	return best, bestLike > -1
}

// answer says what the outcomes of the goals are, in the form that is asked for.
func (p *planner) answer(goals []*outcome) (string, error) {
	var texts, failed []string
	var facts []fact
	for _, o := range goals {
		if o.failed {
			failed = append(failed, o.String())
			continue
		}
		texts = append(texts, o.String())
		facts = append(facts, o.facts()...)
	}
	format := p.req.ResponseFormat
	switch {
	case format == nil || format.Type != mistral.ResponseJSONSchema && format.Type != mistral.ResponseJSONObject:
		return strings.Join(append(texts, failed...), "\n"), nil
	case len(texts) == 0 && len(failed) > 0:
		return "", p.refuse(failed[0])
	case format.JSONSchema == nil && len(goals) == 1 && goals[0].val.kind == '{':
		return goals[0].val.json(), nil
	case format.JSONSchema == nil:
		var out value
		out.set("result", textValue(strings.Join(texts, "\n")))
		return out.json(), nil
	}
	for _, o := range slices.Backward(p.order) {
		if !slices.Contains(goals, o) {
			facts = append(facts, o.facts()...)
		}
	}
	schema, _ := parseValue(format.JSONSchema.Schema)
	a := &answerer{root: schema, steps: p.order}
	v, err := a.fill(schema, "", goals, facts, 0)
	if err != nil {
		return "", p.refuse(strings.Join(append([]string{err.Error()}, failed...), "; "))
	}
	return v.json(), nil
}

// An answerer fills the schema of an answer from facts.
type answerer struct {
	root  value
	steps []*outcome // the calls that led to the answer
}

// fill makes a value of the schema. Each outcome of goals is one thing that was
// asked for; where the schema wants a list, it has an element for each.
func (a *answerer) fill(schema value, name string, goals []*outcome, facts []fact, depth int) (value, error) {
	field := newParam(schema, a.root, name)
	schema = schema.resolve(a.root)
	switch {
	case depth > maxDepth:
		return value{}, errors.New("the schema of the answer is too deep")
	case len(schema.get("properties").keys) > 0:
		return a.fillObject(schema, goals, facts, depth)
	case schema.is("array"):
		return a.fillList(field, schema.get("items"), goals, depth)
	}
	if v, ok := only(&field, goals, facts, true); ok {
		return v, nil
	}
	return value{}, fmt.Errorf("the results have nothing for the field %s", cmp.Or(name, "(the whole answer)"))
}

func (a *answerer) fillObject(schema value, goals []*outcome, facts []fact, depth int) (value, error) {
	props := schema.get("properties")
	got := a.assign(props, facts)
	plain := slices.DeleteFunc(slices.Clone(props.vals), func(v value) bool {
		field := newParam(v, a.root, "")
		return field.list || field.want == kindObject
	})
	out := value{kind: '{'}
	for i, name := range props.keys {
		field := newParam(props.vals[i], a.root, name)
		v, err := got[i], error(nil)
		if v.kind == 0 && (field.list || field.want == kindObject || field.schema.get("properties").kind != 0) {
			v, err = a.fill(props.vals[i], name, goals, facts, depth+1)
		} else if v.kind == 0 {
			var ok bool
			if v, ok = only(&field, goals, facts, len(plain) == 1); !ok {
				err = fmt.Errorf("the results have nothing for the field %s", name)
			}
		}
		required := slices.ContainsFunc(schema.get("required").vals, func(v value) bool { return v.text == name })
		switch {
		case err == nil, required && props.vals[i].resolve(a.root).nullable(), required && props.vals[i].nullable():
			out.set(name, v)
		case required:
			return value{}, err
		}
	}
	return out, nil
}

// assign gives each property the fact that is most like it. One value seldom
// answers two questions, unless it is sure to.
func (a *answerer) assign(props value, facts []fact) []value {
	type pair struct {
		field param
		at    int
		fact  *fact
		like  float64
	}
	var pairs []pair
	for i, name := range props.keys {
		field := newParam(props.vals[i], a.root, name)
		for j := range facts {
			if like := facts[j].likeness(&field); like >= .25 && !field.list && field.want != kindObject {
				pairs = append(pairs, pair{field, i, &facts[j], like})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.like, a.like) })
	got := make([]value, len(props.keys))
	taken := map[string]bool{}
	for _, x := range pairs {
		v, ok := x.fact.as(&x.field)
		if ok && got[x.at].kind == 0 && (x.like >= .8 || !taken[v.json()]) {
			got[x.at] = v
			taken[v.json()] = true
		}
	}
	return got
}

// only finds a value for a field that no fact is named like: the one that the
// results have of its kind. alone says that it is the only field, and so that
// the result must be meant.
func only(field *param, goals []*outcome, facts []fact, alone bool) (value, bool) {
	if field.want == kindFree || alone && field.want == kindName {
		var texts []string
		for _, o := range goals {
			texts = append(texts, o.String())
		}
		return convert(field.schema, strings.Join(texts, "\n"))
	}
	if field.want == kindName || field.want == kindObject && !field.schema.is("boolean") {
		return value{}, false
	}
	var found []value
	for i := range facts {
		v, ok := facts[i].as(field)
		if ok && !facts[i].given && !slices.ContainsFunc(found, func(x value) bool { return x.json() == v.json() }) {
			found = append(found, v)
		}
	}
	if len(found) == 1 || alone && len(found) > 0 {
		return found[0], true
	}
	return value{}, false
}

// fillList makes an element of each element of a result that is a list, and of
// each other result.
func (a *answerer) fillList(field param, item value, goals []*outcome, depth int) (value, error) {
	out := value{kind: '['}
	for _, o := range goals {
		if o.failed {
			continue
		}
		elements := []*outcome{o}
		if list, ok := listIn(o.val); ok {
			elements = nil
			for _, x := range list.vals {
				elements = append(elements, &outcome{step: step{tool: &offlineTool{}}, val: x, text: x.String()})
			}
		}
		for _, x := range elements {
			v, err := a.fill(item, field.name, []*outcome{x}, a.about(x), depth+1)
			if err != nil {
				return value{}, err
			}
			out.vals = append(out.vals, v)
		}
	}
	return out, nil
}

// about returns the facts of an outcome and of the calls that gave what it took.
func (a *answerer) about(goal *outcome) []fact {
	out := goal.facts()
	for _, s := range a.steps {
		gave := func(v value) bool { return v.kind != 0 && strings.Contains(s.text, v.text) }
		if s != goal && slices.ContainsFunc(goal.step.vals, gave) {
			out = append(out, s.facts()...)
		}
	}
	return out
}

// listIn returns the list that a result is or has.
func listIn(v value) (value, bool) {
	if v.kind == '[' {
		return v, true
	}
	lists := slices.DeleteFunc(slices.Clone(v.vals), func(x value) bool { return x.kind != '[' })
	if len(lists) == 1 {
		return lists[0], true
	}
	return value{}, false
}
