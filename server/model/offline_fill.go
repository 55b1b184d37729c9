package model

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// A tool is one that the request offers, taken apart into words.
type offlineTool struct {
	name   string
	barred bool
	words  []string // of the name, as stems; the last is what it is about
	desc   []string // of the description
	gives  []string // those of the description that say what it returns
	old    bool     // it says that another should be used
	params []param
}

// A param is a value that a tool takes; those within objects count as its own.
type param struct {
	path     []string
	words    []string
	desc     []string
	schema   value
	required bool
	want     kind
	list     bool
}

func newTool(f mistral.Function, words []string) *offlineTool {
	t := &offlineTool{name: f.Name, words: aboutLast(words), desc: contentStems(f.Description)}
	t.old = strings.Contains(strings.ToLower(f.Description), "deprecated")
	for _, m := range gives.FindAllStringSubmatch(f.Description, -1) {
		t.gives = append(t.gives, contentStems(m[1])...)
	}
	schema, _ := parseValue(f.Parameters)
	t.addParams(schema, schema, nil, true, f.Description)
	return t
}

// gives finds what a description says is returned, as in "Get the X of a Y" or
// "... and returns its X".
var gives = regexp.MustCompile(`(?i)(?:^(?:function to |tool to )?(?:gets?|finds?|returns?|fetch(?:es)?|retrieves?|looks? up|gives?)|\breturns?(?:ing)?|\bgives?)\s+` +
	`(.+?)(?:\s(?:of|for|by|in|from|to|with|on|as|where|that|which|when)\s|[.,;:\n]|$)`)

// aboutLast returns the stems of the words of a name with what it is about
// last: in get_name_by_id that is the name.
func aboutLast(words []string) []string {
	var out, rest []string
	if !slices.ContainsFunc(words, func(w string) bool { return !stop[w] }) {
		return stemsOf(words)
	}
	for i, w := range words {
		if _, prep := prepositions[w]; prep && len(out) > 0 {
			rest = words[i:]
			break
		}
		if !stop[w] && !slices.Contains(out, stem(w)) {
			out = append(out, stem(w))
		}
	}
	for _, w := range rest {
		if s := stem(w); !stop[w] && prepositions[w] == nil && !slices.Contains(out, s) {
			out = append([]string{s}, out...)
		}
	}
	return out
}

func (t *offlineTool) addParams(schema, root value, path []string, required bool, doc string) {
	props := schema.resolve(root).get("properties")
	need := schema.resolve(root).get("required").vals
	for i, name := range props.keys {
		raw := props.vals[i].resolve(root)
		p := param{path: append(slices.Clone(path), name), schema: raw}
		p.required = required && slices.ContainsFunc(need, func(v value) bool { return v.text == name })
		if len(raw.get("properties").keys) > 0 && len(path) < maxDepth {
			t.addParams(raw, root, p.path, p.required, doc)
			continue
		}
		if raw.is("array") {
			p.list = true
			p.schema = raw.get("items").resolve(root)
		}
		about := raw.get("description").text
		if about == "" {
			about = docLine(doc, name)
		}
		for _, w := range nameWords(name) {
			p.words = append(p.words, stem(w))
		}
		p.desc = contentStems(about)
		p.want = wanted(&p)
		t.params = append(t.params, p)
	}
}

// docLine returns what the description of a function, written as a doc string,
// says of one parameter.
func docLine(doc, name string) string {
	for line := range strings.Lines(doc) {
		line = strings.TrimLeft(strings.TrimSpace(line), "-*: ")
		if rest, ok := strings.CutPrefix(line, "param "); ok {
			line = rest
		}
		key, about, ok := strings.Cut(line, ":")
		key, _, _ = strings.Cut(key, " ")
		if ok && key == name {
			return about
		}
	}
	return ""
}

func wanted(p *param) kind {
	s := p.schema
	switch {
	case len(s.get("enum").vals) > 0:
		return kindEnum
	case s.is("number"), s.is("integer"):
		return kindNumber
	case s.is("boolean"):
		return kindBool
	case s.is("object"), s.is("array"), len(s.types()) > 0 && !s.is("string"):
		return kindObject
	}
	formats := map[string]kind{"uri": kindURL, "url": kindURL, "email": kindEmail, "date": kindDate, "date-time": kindDate,
		"time": kindClock, "hostname": kindDotted, "ipv4": kindDotted, "uuid": kindCode}
	if k, ok := formats[s.get("format").text]; ok {
		return k
	}
	for _, w := range slices.Backward(p.words) {
		if k, ok := wants[w]; ok {
			return k
		}
	}
	for _, w := range p.desc {
		if k := wants[w]; k == kindPath || k == kindURL || k == kindFree {
			return k
		}
	}
	return kindName
}

// A clause is the part of a request that asks for one thing.
type clause struct {
	text   string
	tokens []token
	pieces []piece
	from   int // tokens of the request that are in the clause
	to     int
	busy   []bool // tokens that are out of reach; if nil, none
}

// filled is what the words of a clause give for the parameters of a tool.
type filled struct {
	vals     []([]value) // for each parameter; more than one means a call for each
	pieces   []*piece    // what filled it, if a piece did
	tied     []bool      // the words name the parameter beside the value
	missing  []int       // required parameters without a value
	used     []bool      // tokens
	leftover string      // a value in a list that has no place
	count    int         // values found
}

type pair struct {
	param, piece int
	score        float64
	tied         bool
}

// fill finds values for the parameters of t in the words of the clause.
func (c *clause) fill(t *offlineTool) *filled {
	f := &filled{vals: make([][]value, len(t.params)), pieces: make([]*piece, len(t.params)),
		tied: make([]bool, len(t.params)), used: make([]bool, len(c.tokens))}
	copy(f.used, c.busy)
	all := slices.Clone(c.pieces)
	var pairs []pair
	for i := range t.params {
		p := &t.params[i]
		at := len(all)
		all = append(all, c.ownPieces(t, p)...)
		for j := range all {
			x := &all[j]
			if j >= len(c.pieces) && j < at || x.from < c.from || x.to > c.to {
				continue
			}
			score, tied := c.suits(t, p, x)
			if _, ok := convert(p.schema, x.text); ok && score > 0 {
				pairs = append(pairs, pair{i, j, score, tied})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.score, a.score) })
	holder := map[int]int{} // piece to parameter
	for _, x := range pairs {
		p, piece := &t.params[x.param], &all[x.piece]
		least := 0.0
		if !p.required {
			least = 4.5
			if p.want != kindName && p.want != kindNumber && p.want != kindFree && p.want != kindCode {
				least = 2.9
			}
		}
		if f.vals[x.param] != nil || x.score < least || slices.Contains(f.used[piece.from:piece.to], true) {
			continue
		}
		f.take(x, p, piece)
		holder[x.piece] = x.param
	}
	c.spread(t, f, all, holder)
	c.fillRest(t, f)
	for i := range t.params {
		if f.vals[i] == nil && t.params[i].required {
			f.missing = append(f.missing, i)
		}
	}
	return f
}

func (f *filled) take(x pair, p *param, piece *piece) {
	v, _ := convert(p.schema, piece.text)
	f.vals[x.param] = append(f.vals[x.param], v)
	f.pieces[x.param] = piece
	f.tied[x.param] = x.tied
	f.use(piece)
}

// spread gives all of a list, as in "of A, B and C", to the parameter that took
// one of it. What a list that was shared out among parameters has more is left
// over.
func (c *clause) spread(t *offlineTool, f *filled, all []piece, holder map[int]int) {
	for j := range c.pieces {
		list := c.list(j)
		taker, shared := -1, false
		for _, k := range list {
			if i, ok := holder[k]; ok {
				shared = shared || taker >= 0 && taker != i
				taker = i
			}
		}
		if taker < 0 || len(list) < 2 {
			continue
		}
		var vals []value
		for _, k := range list {
			x := &all[k]
			v, ok := convert(t.params[taker].schema, x.text)
			if _, held := holder[k]; !held && (!ok || slices.Contains(f.used[x.from:x.to], true)) {
				continue
			} else if !held && shared {
				f.leftover = x.text
				return
			} else if !held {
				f.use(x)
			}
			same := func(x value) bool { return x.text == v.text }
			if t.params[taker].list || !slices.ContainsFunc(vals, same) {
				vals = append(vals, v)
			}
		}
		if !shared {
			f.vals[taker] = vals
		}
	}
}

// list returns the pieces of the list that begins with piece j, none if it is
// not the first.
func (c *clause) list(j int) []int {
	if c.pieces[j].prev >= 0 {
		return nil
	}
	list := []int{j}
	for k := j + 1; k < len(c.pieces); k++ {
		x := &c.pieces[k]
		if slices.Contains(list, x.prev) && x.from >= c.from && x.to <= c.to {
			list = append(list, k)
		}
	}
	return list
}

func (f *filled) use(x *piece) {
	f.count++
	for i := x.from; i < x.to; i++ {
		f.used[i] = true
	}
}

// suits scores a piece as value of a parameter and says whether the words beside
// it name the parameter.
func (c *clause) suits(t *offlineTool, p *param, x *piece) (float64, bool) {
	score, ok := fits[p.want][x.kind]
	if !ok {
		return 0, false
	}
	first := c.tokens[x.from].stem
	if x.kind != kindQuoted && x.kind != kindEnum && x.to == x.from+1 && (slices.Contains(t.words, first) || slices.Contains(p.words, first)) {
		return 0, false // a name, not a value
	}
	if x.weak {
		score -= .5
	}
	if x.prev >= 0 {
		score -= .3
	}
	before, after := 0.0, 0.0
	seen := func(tok *token, tie *float64) bool {
		if tok.kind != kindWord || tok.capital() && !tok.initial {
			return false
		}
		if nearest(tok.stem, p.words) >= .7 && len(tok.stem) > 1 && prepositions[tok.low] == nil {
			*tie = 3
		} else if slices.Contains(p.desc, tok.stem) && !stop[tok.low] && (x.kind == kindNumber || !slices.Contains(t.words, tok.stem)) {
			*tie = max(*tie, 1.5)
		}
		return true
	}
	steps, of := 0, false
	for j := x.from - 1; j >= 0 && steps < 2; j-- {
		tok := &c.tokens[j]
		if !seen(tok, &before) || before > 0 {
			break
		}
		of = of || tok.low == "of"
		if !stop[tok.low] {
			steps++
		}
	}
	// In "the q of X", X need not be q: it may be what has it.
	tied := before >= 3 && !of
	if x.kind == kindNumber || x.kind == kindQuoted || tied {
		for j := x.to; j < len(c.tokens) && j < x.to+2; j++ {
			if !isSpace(c.text[c.tokens[j-1].end:c.tokens[j].start]) || c.tokens[j].low == "and" || !seen(&c.tokens[j], &after) {
				break
			}
		}
	}
	score += before + after
	if words := prepositions[x.prep]; words != nil {
		if slices.ContainsFunc(p.words, func(w string) bool { return words[w] }) {
			score += 3
		} else if slices.ContainsFunc(t.params, func(q param) bool {
			return slices.ContainsFunc(q.words, func(w string) bool { return words[w] })
		}) {
			score -= .6
		}
	}
	return score, tied
}

// ownPieces returns pieces that only p sees: values that its schema allows, and
// the plain word after its name.
func (c *clause) ownPieces(t *offlineTool, p *param) []piece {
	if p.want == kindEnum {
		return c.enumPieces(p)
	}
	var out []piece
	for i := c.from + 1; i < c.to && p.required && p.want == kindName; i++ {
		if c.tokens[i].content() && !c.tokens[i].capital() && slices.Contains(p.words, c.tokens[i-1].stem) {
			out = append(out, piece{kind: kindWord, text: c.tokens[i].text, from: i, to: i + 1, prev: -1})
		}
	}
	return out
}

// enumPieces returns where the clause has one of the values that p allows.
func (c *clause) enumPieces(p *param) []piece {
	var out []piece
	for _, v := range p.schema.get("enum").vals {
		words := nameWords(v.text)
		if len(words) == 0 || !v.scalar() {
			continue
		}
		for i := c.from; i+len(words) <= c.to; i++ {
			match := true
			for k, w := range words {
				tok := &c.tokens[i+k]
				short := len(v.text) <= 2 && tok.text != v.text
				match = match && !short && (tok.low == w || tok.stem == stem(w) && len(w) > 2 && tok.kind == kindWord)
			}
			if !match && c.tokens[i].text == v.text {
				match, words = true, words[:1]
			}
			if match {
				out = append(out, piece{kind: kindEnum, text: v.text, from: i, to: i + len(words), prev: -1,
					prep: prepBefore(c.text, c.tokens, i)})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b piece) int { return cmp.Compare(b.to-b.from, a.to-a.from) })
	return out
}

// fillRest fills what takes no piece: constants, switches, and free text, which
// takes the longest run of words that nothing else has used.
func (c *clause) fillRest(t *offlineTool, f *filled) {
	for i := range t.params {
		p := &t.params[i]
		fixed := p.schema.get("const")
		if enum := p.schema.get("enum").vals; len(enum) == 1 {
			fixed = enum[0]
		}
		if f.vals[i] == nil && p.required && fixed.kind != 0 {
			f.vals[i] = []value{fixed}
		}
		if p.want == kindBool && f.vals[i] == nil {
			if v, ok := c.fillSwitch(p); ok {
				f.vals[i] = []value{v}
			}
		}
	}
	for i := range t.params {
		p := &t.params[i]
		if p.want != kindFree || !p.required || f.vals[i] != nil {
			continue
		}
		from, to := c.rest(t, p, f)
		names := func(tok token) bool {
			return wants[tok.stem] == kindFree && tok.content() || slices.Contains(p.words, tok.stem) ||
				slices.ContainsFunc(t.words, func(w string) bool { return w == tok.stem || sameGroup(verbs, w, tok.stem) })
		}
		if from == to || !slices.ContainsFunc(c.tokens[c.from:from], names) {
			continue
		}
		text := c.text[c.tokens[from].start:c.tokens[to-1].end]
		if to == from+1 {
			text = c.tokens[from].text
		}
		f.take(pair{param: i}, p, &piece{kind: kindFree, text: text, from: from, to: to, prev: -1})
		f.count-- // words are always to be had
	}
}

// switches are words in the names of switches that need not be said.
var switches = stems("include with show enable use only is has allow")

// fillSwitch sets a switch that the clause names, and one that is required and
// not named to false.
func (c *clause) fillSwitch(p *param) (value, bool) {
	named := 0
	words := slices.DeleteFunc(slices.Clone(p.words), func(w string) bool { return switches[w] })
	on := value{kind: 't', text: "true"}
	for i := c.from; i < c.to; i++ {
		if !slices.Contains(words, c.tokens[i].stem) {
			continue
		}
		named++
		if i > 0 && (c.tokens[i-1].low == "no" || c.tokens[i-1].low == "not" || c.tokens[i-1].low == "without") {
			on.text = "false"
		}
		if i+1 < c.to && (c.tokens[i+1].low == "false" || c.tokens[i+1].low == "off") {
			on.text = "false"
		}
	}
	if named > 0 && named >= len(words) {
		return on, true
	}
	on.text = "false"
	return on, p.required && p.schema.get("default").kind == 0
}

var colon = regexp.MustCompile(`:\s`)

// rest returns the longest run of tokens that no parameter has used, without
// the words before it that only name the tool or the parameter.
func (c *clause) rest(t *offlineTool, p *param, f *filled) (from, to int) {
	at, named, led := c.from, false, false // led: a preposition came after what names the tool
	for ; at < c.to; at++ {
		tok := &c.tokens[at]
		_, small := prepositions[tok.low]
		led = led || small && named
		small = small || articles[tok.low] || tok.low == "me" || tok.low == "us" || tok.low == "back" || f.used[at]
		naming := tok.kind == kindWord && (inGroups(verbs, tok.stem) || slices.Contains(t.words, tok.stem) ||
			slices.Contains(p.words, tok.stem) || wants[tok.stem] == kindFree)
		named = named || naming
		naming = naming && !led
		if !small && !naming && (named || !stop[tok.low]) {
			break
		}
	}
	for k := at; k+1 < c.to && (at == c.from || !c.colonAfter(at-1)); k++ {
		if c.colonAfter(k) {
			at = k + 1
		}
	}
	for at < c.to {
		end := at
		for end < c.to && !f.used[end] {
			end++
		}
		next := max(end, at+1)
		for end > at && c.trailing(end-1, f) {
			end--
		}
		if c.width(at, end) > c.width(from, to) {
			from, to = at, end
		}
		at = next
	}
	return from, to
}

func (c *clause) colonAfter(i int) bool {
	return i+1 < len(c.tokens) && colon.MatchString(c.text[c.tokens[i].end:c.tokens[i+1].start])
}

// trailing says whether the token only leads over to what comes after it.
func (c *clause) trailing(i int, f *filled) bool {
	tok := &c.tokens[i]
	_, prep := prepositions[tok.low]
	beforeUsed := i+1 < len(f.used) && f.used[i+1] && (prep || articles[tok.low])
	return beforeUsed || tok.low == "please" || tok.low == "and" || tok.low == "then"
}

func (c *clause) width(from, to int) int {
	if from >= to {
		return 0
	}
	return c.tokens[to-1].end - c.tokens[from].start
}
