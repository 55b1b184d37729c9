package model

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A kind says what a piece of a request looks like, and what a parameter wants.
type kind int

const (
	kindWord   kind = iota
	kindName        // capitalized words; what a parameter wants that says no more
	kindQuoted      // text in quotes
	kindNumber
	kindDate
	kindClock
	kindPath   // has a slash
	kindDotted // a file or host name
	kindURL
	kindEmail
	kindCode   // letters and digits, or capitals only
	kindPhrase // plain words after a preposition or a number
	kindEnum   // one of the values that a parameter allows
	kindFree   // the rest of the sentence
	kindBool
	kindObject // cannot be said in a sentence
)

// fits says how well a piece of a request (second key) suits what a parameter
// wants (first key). A pair that is not here never fits; one below zero does if
// other words of the request tie the two together.
var fits = map[kind]map[kind]float64{
	kindName: {kindQuoted: 3, kindName: 2.5, kindCode: 2, kindPhrase: 1, kindDotted: .5, kindEmail: .5, kindURL: .5,
		kindPath: .5, kindNumber: -1, kindDate: -1, kindClock: -1, kindWord: -1.4},
	kindNumber: {kindNumber: 3},
	kindDate:   {kindDate: 3, kindQuoted: 1},
	kindClock:  {kindClock: 3, kindDate: 2, kindQuoted: 1},
	kindPath:   {kindPath: 3, kindDotted: 3, kindQuoted: 2, kindName: -1.5, kindCode: -1.5},
	kindDotted: {kindDotted: 3, kindQuoted: 2, kindURL: 1, kindName: -2},
	kindURL:    {kindURL: 3, kindQuoted: 1, kindDotted: 1},
	kindEmail:  {kindEmail: 3},
	kindCode:   {kindCode: 3, kindQuoted: 3, kindNumber: 2, kindEmail: 1, kindDotted: 1, kindName: -1},
	kindFree:   {kindQuoted: 3, kindFree: 2.9},
	kindEnum:   {kindEnum: 3},
}

// wants maps words in the names of parameters to what such a parameter wants.
var wants = stemKeys(map[kind]string{
	kindPath:   "path file filename filepath directory dir folder",
	kindURL:    "url uri link href endpoint website",
	kindEmail:  "email mail",
	kindDate:   "date day since until deadline",
	kindClock:  "time",
	kindDotted: "host hostname domain",
	kindCode:   "id identifier uuid key number reference ref code symbol ticker",
	kindFree: `text message content contents body query question prompt search term terms keyword keywords topic
		subject title note comment description sentence phrase input expression statement sql summary reason pattern`,
})

// alike groups general words that people use for one another. The first group
// of each pair of lists is of verbs, which alone never choose a tool.
var verbs = stemGroups(
	"read show display view open print see cat", "list show enumerate", "search find look lookup query seek",
	"create make new add insert", "write save store put", "delete remove erase drop", "update change edit modify set",
	"move rename", "send post", "run execute", "check verify", "count many",
)

var nouns = stemGroups(
	"directory folder dir", "file document", "where location place position live", "who person user name",
	"when date time", "text content contents body message", "info information detail details metadata about",
	"count number amount quantity many",
)

// changing are verbs that change something. A request that begins with one is
// not answered by a tool that has none like it, and the reverse.
var changing = stems(`create make insert write save delete remove erase update change edit modify set move rename send post
	book cancel close archive approve assign buy pay install merge`)

// prepositions maps words before a value to words of the parameters they
// introduce.
var prepositions = map[string]map[string]bool{
	"from": stems("from source src origin start begin base since after"),
	"to":   stems("to into target dest destination end until recipient output new"),
	"into": stems("to into target dest destination output new"),
	"in":   stems("in to into target output location place"), "as": stems("as to name format type"), "at": stems("at time place"),
	"on": stems("on date day"), "for": stems("for"), "of": stems("of"), "by": stems("by"), "with": stems("with content"),
	"about": stems("about topic subject query"), "since": stems("since start from after"), "until": stems("until end to before"),
	"named": stems("name"), "called": stems("name"), "titled": stems("title name"), "between": nil, "than": nil, "against": nil,
}

var articles = set(`a an the this that these those my your our their its his her some any`)

// stop are words that say nothing of which tool is meant.
var stop = set(`a an the this that these those i me my mine you your we us our they them their it its he she his her him some any
	is are was were be been being am do does did done has have had can could will would shall should may might must
	what which whose how why and or but not no if then so than also please tell give get fetch retrieve return returns returned
	want need like know let make let's what's there here now right just only very really currently current today's
	in on at to for of from by with about into as up out over between per via using use used
	everything anything something all every each both thing things hello hi hey thanks thank ok okay
	one ones same other more most set provided given say says much today tool tools function`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

func stems(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[stem(w)] = true
	}
	return m
}

func stemKeys(of map[kind]string) map[string]kind {
	m := map[string]kind{}
	for k, words := range of {
		for w := range stems(words) {
			m[w] = k
		}
	}
	return m
}

func stemGroups(groups ...string) []map[string]bool {
	out := make([]map[string]bool, len(groups))
	for i, g := range groups {
		out[i] = stems(g)
	}
	return out
}

func sameGroup(groups []map[string]bool, a, b string) bool {
	return slices.ContainsFunc(groups, func(g map[string]bool) bool { return g[a] && g[b] })
}

func inGroups(groups []map[string]bool, a string) bool { return sameGroup(groups, a, a) }

var suffixes = []string{"ations", "ation", "ators", "ator", "ating", "ated", "ates", "ate", "ions", "ion", "ings", "ing",
	"ments", "ment", "ies", "ers", "er", "ed", "es", "ly", "s", "e", "y"}

// stem cuts the ending off a word, so that list and listing are one. It need
// not be right, only the same for words that are akin.
func stem(w string) string {
	w = strings.ToLower(w)
	for _, s := range suffixes {
		if cut, ok := strings.CutSuffix(w, s); ok && utf8.RuneCountInString(cut) >= 3 {
			if s == "s" && (strings.HasSuffix(cut, "s") || strings.HasSuffix(cut, "u")) {
				break
			}
			w = cut
			break
		}
	}
	if n := len(w); n > 3 && w[n-1] == w[n-2] {
		return w[:n-1]
	}
	return w
}

// akin says how much two stems are one word: 1 if they are equal, less if one
// abbreviates the other or people use one for the other.
func akin(a, b string) float64 {
	if a == b {
		return 1
	}
	if sameGroup(nouns, a, b) {
		return .6
	}
	common := 0
	for common < len(a) && common < len(b) && a[common] == b[common] {
		common++
	}
	if common >= 6 || common >= 4 && common == min(len(a), len(b)) && max(len(a), len(b)) >= 7 {
		return .7
	}
	return 0
}

// nameWords returns the words of an identifier such as getUserName, user-name
// or user_name, in lower case.
func nameWords(id string) []string {
	id = hyphened.ReplaceAllString(id, "$1$2")
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = nil
		}
	}
	runes := []rune(id)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		small := i+1 < len(runes) && unicode.IsLower(runes[i+1])
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || small && unicode.IsUpper(runes[i-1])) {
			flush()
		}
		word = append(word, r)
	}
	flush()
	return words
}

// withoutNamespace returns the words of one of names without the namespace
// before it: what all the tools of a server share tells none of them apart. A
// verb that tools share is no namespace, and one that leaves only verbs is what
// the tool is about.
func withoutNamespace(name []string, names [][]string) []string {
	plain := func(w string) bool { return stop[w] || inGroups(verbs, stem(w)) || changing[stem(w)] }
	shared := 0
	for len(name) > 0 && shared < len(name) && !plain(name[shared]) {
		same, other := 0, 0
		for _, n := range names {
			switch {
			case len(n) > shared && slices.Equal(n[:shared+1], name[:shared+1]):
				same++
			case n[0] == name[0]:
				other++
			}
		}
		if same < 2 || other > 0 {
			break
		}
		shared++
	}
	if !slices.ContainsFunc(name[shared:], func(w string) bool { return !plain(w) }) {
		return name
	}
	return name[shared:]
}

var hyphened = regexp.MustCompile(`(?i)\b(e)-(mail)`)

// contentStems returns the stems of the words of a text that say something.
func contentStems(text string) []string {
	var out []string
	for _, w := range nameWords(text) {
		if s := stem(w); !stop[w] && len(w) > 1 && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// A token is a word or a value in a request.
type token struct {
	kind       kind
	text       string // without quotes, and without a possessive ending
	low        string // in lower case
	stem       string
	start, end int  // in the request
	initial    bool // it begins a sentence
	possessive bool
}

var (
	tokenPattern = regexp.MustCompile(`(?i)` + strings.Join([]string{
		`(?P<quoted>"[^"\n]+"|“[^”]+”|«[^»]+»|` + "`[^`]+`" + `)`,
		`(?P<url>[a-z][a-z0-9+.-]*://[^\s"'<>]+)`,
		`(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)`,
		`(?P<date>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b)`,
		`(?P<clock>\b\d{1,2}:\d\d(?::\d\d)?(?: ?[ap]m\b)?)`,
		`(?P<path>(?:~|\.{1,2})?/[^\s"'<>]*|[a-z]:\\[^\s"'<>]+|[\w.*-]+(?:/[\w.*-]+)+/?|\*\*?[\w./*-]+)`,
		`(?P<dotted>\d+(?:\.\d+){3}|\.?[\w-]*[a-z_][\w-]*(?:\.[\w-]*\w)+)`,
		`(?P<code>#?[0-9a-f]{8}-[0-9a-f-]+|[a-z]+(?:[-_][a-z0-9]+)*[-_]?\d[\w-]*|\d+[a-z]+\d\w*)`,
		`(?P<number>[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)`,
		`(?P<word>\pL[\pL\pM]*(?:['’-][\pL\pM]+)*['’]?)`,
	}, "|"))
	singleQuoted  = regexp.MustCompile(`(^|[\s(,:])'([^'\n]+)'`)
	calendarWord  = set(`today tomorrow yesterday tonight monday tuesday wednesday thursday friday saturday sunday`)
	tokenKinds    = map[string]kind{"quoted": kindQuoted, "url": kindURL, "email": kindEmail, "date": kindDate, "clock": kindClock, "path": kindPath, "dotted": kindDotted, "code": kindCode, "number": kindNumber, "word": kindWord}
	sentenceBreak = regexp.MustCompile(`[.!?;]["')]*\s|\n`)
)

// tokenize splits a request into words and values.
func tokenize(text string) []token {
	// A quote and an apostrophe are told apart by what is before them.
	marked := singleQuoted.ReplaceAllString(text, "$1`$2`")
	names := tokenPattern.SubexpNames()
	var out []token
	last := 0
	for _, m := range tokenPattern.FindAllStringSubmatchIndex(marked, -1) {
		t := token{start: m[0], end: m[1], text: text[m[0]:m[1]]}
		for g := 1; g < len(names); g++ {
			if m[2*g] >= 0 {
				t.kind = tokenKinds[names[g]]
			}
		}
		gap := text[last:t.start] + " "
		t.initial = len(out) == 0 || sentenceBreak.MatchString(gap)
		last = t.end
		t.clean(text)
		out = append(out, t)
	}
	return out
}

func (t *token) clean(text string) {
	switch t.kind {
	case kindQuoted:
		_, first := utf8.DecodeRuneInString(t.text)
		_, final := utf8.DecodeLastRuneInString(t.text)
		t.text = t.text[first : len(t.text)-final]
	case kindURL, kindPath:
		cut := strings.TrimRight(t.text, `.,;:!?)]`)
		if strings.Contains(t.text, "*") {
			t.kind = kindQuoted // a pattern, not a place
		}
		if cut != "" && !strings.Contains(cut, `\`) || t.kind == kindURL {
			t.end -= len(t.text) - len(cut)
			t.text = cut
		}
	case kindNumber:
		if r, _ := utf8.DecodeLastRuneInString(text[:t.start]); unicode.IsLetter(r) || unicode.IsDigit(r) || r == ')' {
			t.text = strings.TrimLeft(t.text, "-−")
		}
		t.text = strings.ReplaceAll(strings.ReplaceAll(t.text, ",", ""), "−", "-")
		if neg, ok := strings.CutPrefix(t.text, "-"); ok {
			t.text = "-" + trimZeros(neg)
			break
		}
		t.text = trimZeros(t.text)
	case kindWord:
		t.text = strings.ReplaceAll(t.text, "’", "'")
		if cut, ok := strings.CutSuffix(t.text, "'s"); ok {
			t.text, t.possessive = cut, true
		} else if cut, ok := strings.CutSuffix(t.text, "'"); ok {
			t.text, t.possessive = cut, true
		}
	}
	t.low = strings.ToLower(t.text)
	t.stem = stem(t.text)
	if t.kind == kindWord && calendarWord[t.low] {
		t.kind = kindDate
	}
}

// trimZeros makes digits a JSON number, which has no leading zeros.
func trimZeros(digits string) string {
	cut := strings.TrimLeft(digits, "0")
	if cut == "" || cut[0] == '.' {
		return "0" + cut
	}
	return cut
}

func (t *token) capital() bool {
	r, _ := utf8.DecodeRuneInString(t.text)
	return t.kind == kindWord && unicode.IsUpper(r) && !stop[t.low]
}

// content says whether the token is a word that says what is asked for.
func (t *token) content() bool {
	return t.kind == kindWord && !stop[t.low] && prepositions[t.low] == nil && len(t.text) > 1
}

// A piece is a run of tokens that may be the value of a parameter.
type piece struct {
	kind     kind
	text     string
	from, to int    // tokens, to excluded
	prep     string // the preposition before it
	prev     int    // index of the piece that it is joined to by a comma or "and"; -1 for none
	weak     bool   // it may be no name at all
}

var joined = regexp.MustCompile(`^\s*(?:,|and|or|&|,\s*and|,\s*or|vs\.?|versus|plus|und|et|y)\s*(?:(?:in|for|of|to|at|from|the)\s+)*$`)

// valuesIn returns the values in a request, in order. ours says whether a word is
// one that the tools use of themselves, and named whether it is in their names
// or those of their parameters.
func valuesIn(text string, tokens []token, ours, named func(stem string) bool) []piece {
	var out []piece
	add := func(k kind, from, to int, weak bool) {
		p := piece{kind: k, from: from, to: to, prev: -1, weak: weak, prep: prepBefore(text, tokens, from)}
		p.text = tokens[from].text
		if to > from+1 {
			p.text = strings.TrimSpace(text[tokens[from].start:tokens[to-1].start] + tokens[to-1].text)
		}
		for i := len(out) - 1; i >= 0 && out[i].to >= from-4; i-- { // a link is a few words at most
			if out[i].kind == p.kind && out[i].to <= from && joined.MatchString(text[tokens[out[i].to-1].end:tokens[from].start]) {
				p.prev = i
				if p.prep == "" || p.prep == "and" {
					p.prep = out[i].prep
				}
				break
			}
		}
		out = append(out, p)
	}
	for i := 0; i < len(tokens); i++ {
		t := &tokens[i]
		if t.kind != kindWord {
			add(t.kind, i, i+1, false)
			continue
		}
		if !t.capital() {
			if end := phraseEnd(text, tokens, i); end > i {
				add(kindPhrase, i, end, true)
				i = end - 1
			}
			continue
		}
		end := i + 1
		for end < len(tokens) && tokens[end].capital() && !tokens[end].initial && !tokens[end-1].possessive && isSpace(text[tokens[end-1].end:tokens[end].start]) {
			end++
		}
		if t.initial && !t.possessive && (ours(t.stem) || inGroups(verbs, t.stem)) {
			i++
			if i < end {
				add(kindName, i, end, false)
			}
			i = end - 1
			continue
		}
		k := kindName
		if end == i+1 && len(t.text) > 1 && t.text == strings.ToUpper(t.text) {
			if named(t.stem) {
				continue
			}
			k = kindCode
		}
		add(k, i, end, t.initial && !t.possessive && end == i+1)
		i = end - 1
	}
	return out
}

func isSpace(s string) bool { return strings.TrimSpace(s) == "" }

// prepBefore returns the preposition that introduces the token at i.
func prepBefore(text string, tokens []token, i int) string {
	for j := i - 1; j >= 0 && j >= i-3; j-- {
		t := &tokens[j]
		if t.kind != kindWord || !isSpace(text[t.end:tokens[j+1].start]) {
			return ""
		}
		if _, ok := prepositions[t.low]; ok {
			return t.low
		}
	}
	return ""
}

// phraseEnd returns the end of the plain words that begin at i and are the
// object of a preposition, the unit of a number or a part of a list of such, or
// i if there are none.
func phraseEnd(text string, tokens []token, i int) int {
	at := i - 1
	for at >= 0 && articles[tokens[at].low] {
		at--
	}
	if at < 0 || stop[tokens[i].low] || !isSpace(text[tokens[i-1].end:tokens[i].start]) {
		return i
	}
	before := &tokens[at]
	_, prep := prepositions[before.low]
	if !prep && before.kind != kindNumber && before.low != "and" {
		return i
	}
	end := i
	for end < len(tokens) && tokens[end].kind == kindWord && !stop[tokens[end].low] && !tokens[end].capital() {
		if _, prep := prepositions[tokens[end].low]; prep {
			break
		}
		if end > i && !isSpace(text[tokens[end-1].end:tokens[end].start]) {
			break
		}
		end++
	}
	return end
}
