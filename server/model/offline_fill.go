package model

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// fits says how well a piece of a request (second key) suits what a parameter
// wants (first key). A pair that is not here never fits; one below zero does if
// other words of the request tie the two together.
var fits = map[kind]map[kind]float64{
	kindName: {kindQuoted: 3, kindName: 2.5, kindCode: 2, kindPhrase: 1, kindPath: .5, kindEmail: .5, kindURL: .5,
		kindNumber: -1, kindDate: -1, kindWord: -1.4},
	kindNumber: {kindNumber: 3},
	kindDate:   {kindDate: 3, kindQuoted: 1},
	kindPath:   {kindPath: 3, kindQuoted: 2, kindURL: 1, kindName: -1.5, kindCode: -1.5},
	kindURL:    {kindURL: 3, kindQuoted: 1, kindPath: 1},
	kindEmail:  {kindEmail: 3},
	kindCode:   {kindCode: 3, kindQuoted: 3, kindNumber: 2, kindEmail: 1, kindPath: 1, kindName: -1},
	kindFree:   {kindQuoted: 3},
	kindEnum:   {kindEnum: 3},
}

// A clause is the part of a request that asks for one thing.
type clause struct {
	text     string
	tokens   []token // of the whole request
	pieces   []piece
	from, to int    // tokens of the request that are in the clause
	hidden   []bool // tokens that are out of reach; if nil, none
}

// filled is what the words of a clause give for the parameters of a tool.
type filled struct {
	vals     [][]value // for each parameter; more than one means a call for each
	pieces   []*piece  // what filled it, if a piece did
	tied     []bool    // the words name the parameter beside the value
	used     []bool    // tokens
	leftover string    // a value in a list that has no place
	count    int       // values found
}

func (f *filled) take(i int, v value, x *piece) {
	f.vals[i] = append(f.vals[i], v)
	f.pieces[i] = x
	f.count++
	for k := x.from; k < x.to; k++ {
		f.used[k] = true
	}
}

func (f *filled) isUsed(x *piece) bool { return slices.Contains(f.used[x.from:x.to], true) }

// fill finds values for the parameters of t in the words of the clause.
func (c *clause) fill(t *offlineTool) *filled {
	n := len(t.params)
	f := &filled{vals: make([][]value, n), pieces: make([]*piece, n), tied: make([]bool, n), used: make([]bool, len(c.tokens))}
	copy(f.used, c.hidden)
	type pair struct {
		param int
		piece *piece
		score float64
		tied  bool
	}
	var pairs []pair
	for i := range t.params {
		p := &t.params[i]
		least := 0.0
		if !p.required {
			least = 4.5 // it needs words that name it, unless its kind does
			if p.want == kindEnum || p.want == kindDate || p.want == kindPath || p.want == kindEmail || p.want == kindURL {
				least = 2.9
			}
		}
		for _, x := range c.candidates(p) {
			score, tied := c.suits(t, p, x)
			if _, ok := convert(p.schema, x.text); ok && score > 0 && score >= least {
				pairs = append(pairs, pair{i, x, score, tied})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.score, a.score) })
	for _, x := range pairs {
		if f.vals[x.param] == nil && !f.isUsed(x.piece) {
			v, _ := convert(t.params[x.param].schema, x.piece.text)
			f.take(x.param, v, x.piece)
			f.tied[x.param] = x.tied
		}
	}
	c.spread(t, f)
	c.fillFree(t, f)
	return f
}

// spread gives the rest of a list, as in "of A, B and C", to the parameter that
// took one of it. What is left of a list that several took is left over.
func (c *clause) spread(t *offlineTool, f *filled) {
	takers := map[int][]int{} // of a list
	for i, x := range f.pieces {
		if x != nil && x.list >= 0 {
			takers[x.list] = append(takers[x.list], i)
		}
	}
	for j := range c.pieces {
		x := &c.pieces[j]
		if x.from < c.from || x.to > c.to || len(takers[x.list]) == 0 || f.isUsed(x) {
			continue
		}
		i := takers[x.list][0]
		v, ok := convert(t.params[i].schema, x.text)
		switch {
		case len(takers[x.list]) > 1:
			f.leftover = x.text
		case ok:
			head := f.pieces[i]
			f.take(i, v, x)
			f.pieces[i] = head
		}
	}
}

// candidates returns the pieces of the clause that p may take: the values that
// its schema allows, the word after its name, or what all parameters may take.
func (c *clause) candidates(p *param) []*piece {
	if p.want == kindEnum {
		return c.enumPieces(p)
	}
	var out []*piece
	for j := range c.pieces {
		if x := &c.pieces[j]; x.from >= c.from && x.to <= c.to {
			out = append(out, x)
		}
	}
	for i := c.from + 1; i < c.to && p.required && p.want == kindName; i++ {
		if c.tokens[i].content() && !c.tokens[i].capital() && slices.Contains(p.words, c.tokens[i-1].stem) {
			out = append(out, &piece{kind: kindWord, text: c.tokens[i].text, from: i, to: i + 1, list: -1})
		}
	}
	return out
}

// enumPieces returns where the clause has one of the values that p allows.
func (c *clause) enumPieces(p *param) []*piece {
	var out []*piece
	for _, v := range p.schema.get("enum").vals {
		words := nameWords(v.text)
		for i := c.from; len(words) > 0 && i+len(words) <= c.to; i++ {
			match := true
			for k, w := range words {
				t := &c.tokens[i+k]
				match = match && (len(v.text) <= 2 && t.text == v.text || len(v.text) > 2 && (t.low == w || t.stem == stem(w)))
			}
			if match {
				out = append(out, &piece{kind: kindEnum, text: v.text, from: i, to: i + len(words), list: -1})
			}
		}
	}
	return out
}

// suits scores a piece as value of a parameter and says whether the words beside
// it name the parameter.
func (c *clause) suits(t *offlineTool, p *param, x *piece) (score float64, tied bool) {
	score, ok := fits[p.want][x.kind]
	if !ok || x.kind == kindPhrase && slices.Contains(p.words, c.tokens[x.from].stem) {
		return 0, false // the second is a name, not a value
	}
	before, of := 0.0, false
	for j, steps := x.from-1, 0; j >= 0 && steps < 2 && before == 0; j-- {
		tok := &c.tokens[j]
		if tok.kind != kindWord || tok.capital() && !tok.initial {
			break
		}
		before = names(p, tok)
		of = of || tok.low == "of"
		if !stop[tok.low] {
			steps++
		}
	}
	tied = before >= 3 && !of // in "the q of X", X need not be q: it may be what has it
	after := 0.0
	for j := x.to; (x.kind == kindNumber || x.kind == kindQuoted || tied) && j < min(x.to+2, len(c.tokens)); j++ {
		if tok := &c.tokens[j]; tok.kind != kindWord || tok.low == "and" || !spaceBetween(c.text, c.tokens, j-1) {
			break
		}
		after = max(after, names(p, &c.tokens[j]))
	}
	score += before + after
	if at := wordBefore(c.text, c.tokens, x.from); at >= 0 {
		if introduces := prepositions[c.tokens[at].low]; slices.ContainsFunc(p.words, func(w string) bool { return introduces[w] }) {
			score += 3
		}
	}
	return score, tied
}

// names says how much a word beside a piece names the parameter.
func names(p *param, tok *token) float64 {
	switch {
	case tok.preposition():
		return 0
	case slices.Contains(p.words, tok.stem):
		return 3
	case tok.content() && slices.Contains(p.desc, tok.stem):
		return 1.5
	}
	return 0
}

// fillFree gives a free text, as a message or a query, the words that come after
// those that name the tool, up to what something else has used.
func (c *clause) fillFree(t *offlineTool, f *filled) {
	for i := range t.params {
		p := &t.params[i]
		if p.want != kindFree || !p.required || f.vals[i] != nil {
			continue
		}
		at, named := c.from, false
		for ; at < c.to; at++ {
			tok := &c.tokens[at]
			naming := tok.kind == kindWord && (slices.ContainsFunc(t.words, func(w string) bool { return sameVerb(w, tok.stem) }) ||
				slices.Contains(p.words, tok.stem) || wants[tok.stem] == kindFree)
			small := tok.preposition() || articles[tok.low] || f.used[at] || !named && stop[tok.low] || tok.low == "me"
			if !naming && !small {
				break
			}
			named = named || naming
		}
		end := at
		for end < c.to && !f.used[end] {
			end++
		}
		for end > at && (end < c.to && c.tokens[end-1].preposition() || c.tokens[end-1].low == "please") {
			end--
		}
		if named && at < end {
			x := &piece{kind: kindFree, from: at, to: end, list: -1, text: c.text[c.tokens[at].start:c.tokens[end-1].end]}
			f.take(i, textValue(x.text), x)
		}
	}
}

// convert makes words of a request a value that the schema allows.
func convert(schema value, text string) (value, bool) {
	enum := schema.get("enum").vals
	for _, v := range enum {
		if v.scalar() && strings.EqualFold(v.text, text) {
			return v, true
		}
	}
	switch {
	case len(enum) > 0:
		return value{}, false
	case schema.is("string") || len(schema.types()) == 0:
		return textValue(text), schema.get("format").text != "date" || isoDate.MatchString(text)
	case schema.is("number"):
		return value{kind: '0', text: text}, decimalNumber.MatchString(text)
	case schema.is("integer"):
		return value{kind: '0', text: text}, wholeNumber.MatchString(text)
	}
	return value{}, false
}

var (
	wholeNumber   = regexp.MustCompile(`^-?\d+$`)
	decimalNumber = regexp.MustCompile(`^-?\d+(\.\d+)?$`)
	isoDate       = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
)
