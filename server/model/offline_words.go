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
	kindQuoted      // text in quotes, or a pattern with a star
	kindNumber
	kindDate // or a time of day
	kindPath // or the name of a file or of a host
	kindURL
	kindEmail
	kindCode   // letters and digits
	kindPhrase // plain words after a preposition
	kindEnum   // one of the values that a parameter allows
	kindFree   // the rest of the sentence
	kindObject // cannot be said in a sentence
)

// wants maps words in the names of parameters to what such a parameter wants.
var wants = func() map[string]kind {
	out := map[string]kind{}
	for k, words := range map[kind]string{
		kindPath:  "path file filename directory dir folder host hostname domain",
		kindURL:   "url uri link",
		kindEmail: "email mail",
		kindDate:  "date day since until time",
		kindCode:  "id identifier uuid key number code symbol",
		kindFree: `text message content contents body query question prompt search term keyword topic subject title note
			comment description expression statement sql summary reason pattern`,
	} {
		for w := range stems(words) {
			out[w] = k
		}
	}
	return out
}()

// verbs groups verbs that people use for one another. They alone never choose a
// tool.
var verbs = stemGroups("read show display view open print see", "list show enumerate", "search find look lookup query",
	"create make new add insert", "write save store put", "delete remove erase", "update change edit modify set",
	"move rename", "send post", "run execute", "check verify")

var nouns = stemGroups("directory folder", "file document", "where location place position", "who person user name",
	"when date time", "text content contents body message", "count number amount many", "information info details metadata")

// changing are verbs that change something. A request that begins with one is
// not answered by a tool that has none like it, and the reverse.
var changing = stems(`create make insert write save delete remove erase update change edit modify set move rename send post
	book cancel close archive approve assign buy pay install merge`)

// prepositions maps words before a value to words of the parameters that they
// introduce.
var prepositions = map[string]map[string]bool{
	"from": stems("from source origin start sender"), "to": stems("to target destination end recipient"),
	"into": stems("to target destination"), "in": stems("in to target location place"), "at": stems("at time place"),
	"on": stems("on date day"), "for": nil, "of": nil, "by": nil, "with": stems("content"),
	"about": stems("topic subject query"), "between": nil,
}

// stop are words that say nothing of which tool is meant.
var stop = set(`a an the this that these those i me my mine you your we us our they them their it its he she his her him some any
	is are was were be been being am do does did done has have had can could will would shall should may might must
	what which whose how why and or but not no if then so than also please tell give get fetch retrieve return returns returned
	want need like know let make let's what's there here now right just only very really currently current today's
	in on at to for of from by with about into as up out over between per via using use used
	everything anything something all every each both thing things hello hi hey thanks thank ok okay
	one ones same other more most set provided given say says much today tool tools function`)

var articles = set("a an the this that my our your his her their its")

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

func stems(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[stem(w)] = true
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

func isVerb(stem string) bool { return sameGroup(verbs, stem, stem) || changing[stem] }

// sameVerb says whether people use two stems for one another as verbs.
func sameVerb(a, b string) bool { return a == b || sameGroup(verbs, a, b) }

// nearest says how much a stem is one of words: 1 if it is there, less if one is
// there that people use for it.
func nearest(stem string, words []string) float64 {
	switch {
	case slices.Contains(words, stem):
		return 1
	case slices.ContainsFunc(words, func(w string) bool { return sameGroup(nouns, stem, w) }):
		return .6
	}
	return 0
}

var suffixes = []string{"ations", "ation", "ating", "ated", "ates", "ate", "ions", "ion", "ings", "ing", "ies", "ers", "er", "ees", "ee",
	"ed", "es", "s", "e", "y"}

// stem cuts the ending off a word, so that list and listing are one. It need
// not be right, only the same for words that are akin.
func stem(w string) string {
	w = strings.ToLower(w)
	for _, s := range suffixes {
		cut, ok := strings.CutSuffix(w, s)
		if ok && s == "s" && (strings.HasSuffix(cut, "s") || strings.HasSuffix(cut, "u")) {
			break // as in class and status
		}
		if ok && utf8.RuneCountInString(cut) >= 3 {
			w = cut
			break
		}
	}
	return w
}

var wordPattern = regexp.MustCompile(`\p{Lu}+(?:\p{Ll}[\p{Ll}\d]*)?|[\p{Ll}\p{Lo}\d]+`)

// nameWords returns the words of a text or of an identifier such as getUserName,
// user-name or user_name, in lower case.
func nameWords(id string) []string {
	id = strings.NewReplacer("e-mail", "email", "E-mail", "Email").Replace(id)
	words := wordPattern.FindAllString(id, -1)
	for i, w := range words {
		words[i] = strings.ToLower(w)
	}
	return words
}

func stemsOf(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = stem(w)
	}
	return out
}

// contentStems returns the stems of the words that say something, each once.
func contentStems(words []string) []string {
	var out []string
	for _, w := range words {
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
		`("[^"\n]+"|“[^”]+”|«[^»]+»|` + "`[^`]+`" + `)`,
		`([a-z][a-z0-9+.-]*://[^\s"'<>]+)`,
		`([\w.+-]+@[\w-]+(?:\.[\w-]+)+)`,
		`(\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b|\b\d{1,2}:\d\d(?::\d\d)?(?: ?[ap]m\b)?)`,
		`((?:~|\.{1,2})?/[^\s"'<>]*|[a-z]:\\[^\s"'<>]+|[\w.*-]+(?:/[\w.*-]+)+/?|\*\*?[\w./*-]+|\d+(?:\.\d+){3}|\.?[\w-]*[a-z_][\w-]*(?:\.[\w-]*\w)+)`,
		`(#?[0-9a-f]{8}-[0-9a-f-]+|[a-z]+(?:[-_][a-z0-9]+)*[-_]?\d[\w-]*|\d+[a-z]+\d\w*)`,
		`([-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)`,
		`(\pL[\pL\pM]*(?:['’_-][\pL\pM]+)*['’]?)`,
	}, "|"))
	tokenKinds   = []kind{kindQuoted, kindURL, kindEmail, kindDate, kindPath, kindCode, kindNumber, kindWord}
	singleQuoted = regexp.MustCompile(`(^|[\s(,:])'([^'\n]+)'`)
	sentenceEnd  = regexp.MustCompile(`[.!?;]["')]*\s|\n`)
)

// tokenize splits a request into words and values.
func tokenize(text string) []token {
	// A quote and an apostrophe are told apart by what is before them.
	marked := singleQuoted.ReplaceAllString(text, "$1`$2`")
	var out []token
	last := 0
	for _, m := range tokenPattern.FindAllStringSubmatchIndex(marked, -1) {
		t := token{start: m[0], end: m[1], text: text[m[0]:m[1]]}
		for g, k := range tokenKinds {
			if m[2*g+2] >= 0 {
				t.kind = k
			}
		}
		t.initial = len(out) == 0 || sentenceEnd.MatchString(text[last:t.start]+" ")
		t.clean(text[:t.start])
		last = t.end
		out = append(out, t)
	}
	return out
}

func (t *token) clean(before string) {
	switch t.kind {
	case kindQuoted:
		_, first := utf8.DecodeRuneInString(t.text)
		_, final := utf8.DecodeLastRuneInString(t.text)
		t.text = t.text[first : len(t.text)-final]
	case kindURL, kindPath:
		if cut := strings.TrimRight(t.text, `.,;:!?)]`); cut != "" {
			t.end -= len(t.text) - len(cut)
			t.text = cut
		}
		if t.kind == kindPath && strings.Contains(t.text, "*") {
			t.kind = kindQuoted
		}
	case kindNumber:
		t.text = strings.NewReplacer(",", "", "−", "-").Replace(t.text)
		digits := strings.TrimPrefix(t.text, "-")
		sign := t.text[:len(t.text)-len(digits)]
		if r, _ := utf8.DecodeLastRuneInString(before); unicode.IsLetter(r) || unicode.IsDigit(r) || r == ')' {
			sign = "" // a hyphen
		}
		digits = strings.TrimLeft(digits, "0") // JSON has no leading zeros
		if digits == "" || digits[0] == '.' {
			digits = "0" + digits
		}
		t.text = sign + digits
	case kindWord:
		t.text = strings.ReplaceAll(t.text, "’", "'")
		for _, ending := range []string{"'s", "'"} {
			if cut, ok := strings.CutSuffix(t.text, ending); ok && !t.possessive {
				t.text, t.possessive = cut, true
			}
		}
	}
	t.low = strings.ToLower(t.text)
	t.stem = stem(t.text)
}

func (t *token) capital() bool {
	r, _ := utf8.DecodeRuneInString(t.text)
	return t.kind == kindWord && unicode.IsUpper(r) && !stop[t.low]
}

// content says whether the token is a word that says what is asked for.
func (t *token) content() bool {
	return t.kind == kindWord && !stop[t.low] && len(t.text) > 1
}

func (t *token) preposition() bool {
	_, ok := prepositions[t.low]
	return ok && t.kind == kindWord
}

// A piece is a run of tokens that may be the value of a parameter.
type piece struct {
	kind     kind
	text     string
	from, to int // tokens, to excluded
	list     int // the first piece of the list that it is in, as in "of A, B and C"
}

var joint = regexp.MustCompile(`^\s*(?:,|and|or|&|,\s*and|,\s*or)\s*$`)

// valuesIn returns the values in a request, in order. known says whether a word
// is one that the tools use of themselves.
func valuesIn(text string, tokens []token, known func(stem string) bool) []piece {
	var out []piece
	add := func(k kind, from, to int) {
		x := piece{kind: k, from: from, to: to, list: len(out), text: tokens[from].text}
		if to > from+1 {
			x.text = text[tokens[from].start:tokens[to-1].start] + tokens[to-1].text
		}
		for i := len(out) - 1; i >= 0 && out[i].to >= from-4; i-- { // a joint is a few words at most
			if out[i].kind == k && joint.MatchString(text[tokens[out[i].to-1].end:tokens[from].start]) {
				x.list = out[i].list
				break
			}
		}
		out = append(out, x)
	}
	for i := 0; i < len(tokens); {
		t := &tokens[i]
		end := i + 1
		switch {
		case t.kind != kindWord:
			add(t.kind, i, end)
		case !t.capital():
			if end = phraseEnd(text, tokens, i); end > i {
				add(kindPhrase, i, end)
			}
			end = max(end, i+1)
		case t.initial && !t.possessive && (known(t.stem) || isVerb(t.stem)):
		default:
			for end < len(tokens) && tokens[end].capital() && !tokens[end].initial && !tokens[end-1].possessive &&
				spaceBetween(text, tokens, end-1) {
				end++
			}
			add(kindName, i, end)
		}
		i = end
	}
	return out
}

// spaceBetween says whether there is only space between the tokens i and i+1.
func spaceBetween(text string, tokens []token, i int) bool {
	return strings.TrimSpace(text[tokens[i].end:tokens[i+1].start]) == ""
}

// wordBefore returns the index of the word before the token at i and its article, or
// -1 if there is none in the sentence.
func wordBefore(text string, tokens []token, i int) int {
	for j := i - 1; j >= 0 && spaceBetween(text, tokens, j); j-- {
		if !articles[tokens[j].low] {
			return j
		}
	}
	return -1
}

// phraseEnd returns the end of the plain words that begin at i and are the
// object of a preposition or a part of a list of such, or i if there are none.
func phraseEnd(text string, tokens []token, i int) int {
	at := wordBefore(text, tokens, i)
	if at < 0 || !tokens[at].preposition() && tokens[at].low != "and" {
		return i
	}
	end := i
	for end < len(tokens) && tokens[end].kind == kindWord && !stop[tokens[end].low] && !tokens[end].capital() {
		if end > i && !spaceBetween(text, tokens, end-1) {
			break
		}
		end++
	}
	return end
}
