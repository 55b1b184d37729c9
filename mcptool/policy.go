package mcptool

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tramontane-dev/tramontane"
)

// A Policy says which tools a run may use, and which of their calls need a
// person's word each time. A [Guard] applies it. Its zero value lets every tool
// through as it is.
//
// Exclude beats Include, and Confirm is about what is left. The order of rules
// in a list means nothing.
//
// A rule that speaks of nothing is a mistake, and ends the run before the model
// is called: a name, glob or regular expression that fits no tool, and a server
// that there is not. It is none as long as a server that might offer such a tool
// is [Optional] or [Lazy] and cannot be had; then it is logged. Of rules by hint
// only those of Include must fit a tool.
type Policy struct {
	// Include are the tools that are let through. Rules for one server say
	// nothing of the tools of others: a server that no rule is about keeps all
	// of its tools. If nil, all tools are let through.
	Include []Rule

	// Exclude are the tools that are left out. If nil, none is.
	Exclude []Rule

	// Confirm are the tools whose calls a person must allow: their Definition
	// gets Confirm. If nil, none gets it.
	Confirm []Rule
}

// A Rule names tools, in one text form for programs, config files and flags:
//
//	read_file           the tools of this name
//	delete_*            the tools whose names are like it: * is any text, ? any character
//	/^(get|list)_/      the tools with this regular expression (package regexp) in their names
//	@writes             the tools with this hint
//	files:read_file     the same for the tools of one server: its name, a colon, one of the above
//
// A name is the one that the server gives the tool, or the one that the model
// sees. Upper and lower case are different.
//
// Names that would be read as something else are quoted, as in JSON: "a:b" is the
// tool a:b, "@x" the tool @x, "my:server":read the tool read of my:server. A
// quoted name is exact. [ExactRule] quotes where it must.
//
// The hints are
//
//	@read-only      changes nothing
//	@writes         the others: may change things
//	@destructive    may destroy what was there before
//	@open-world     may reach beyond its own domain, such as the open web
//
// They count only for tools of the program and of servers that are trusted (see
// [tramontane.Definition]). All others may do anything: @read-only fits none of
// them, and the other three fit all.
type Rule string

// ParseRule returns text as a Rule, or an error that says what is wrong with
// it.
func ParseRule(text string) (Rule, error) {
	_, err := Rule(text).parse()
	return Rule(text), err
}

// ExactRule returns the rule that fits only the tool of this name, on the server
// of this name, or on all servers if that is empty.
func ExactRule(server, tool string) Rule {
	if tool == "" || !utf8.ValidString(tool) || strings.ContainsAny(tool, "*?") || strings.ContainsAny(tool[:1], `/"@`) ||
		server == "" && strings.Contains(tool, ":") {
		tool = strconv.Quote(tool)
	}
	return onServer(server, tool)
}

// onServer returns a rule for one server, or for all if that is empty.
func onServer(server, pattern string) Rule {
	switch {
	case server == "":
		return Rule(pattern)
	case strings.Contains(server, ":") || strings.ContainsAny(server[:1], `/"`) || !utf8.ValidString(server):
		server = strconv.Quote(server)
	}
	return Rule(server + ":" + pattern)
}

// A matcher is a rule that was read. One of its last three fields is set.
type matcher struct {
	rule    Rule
	server  string // empty for all
	name    string
	pattern *regexp.Regexp
	hint    func(tramontane.Definition) bool
}

// hints are told of a tool whose hints count.
var hints = map[string]func(tramontane.Definition) bool{
	"@read-only":   func(d tramontane.Definition) bool { return d.ReadOnly },
	"@writes":      func(d tramontane.Definition) bool { return !d.ReadOnly },
	"@destructive": func(d tramontane.Definition) bool { return !d.ReadOnly && !d.Additive },
	"@open-world":  func(d tramontane.Definition) bool { return !d.Closed },
}

const hintNames = "@read-only, @writes, @destructive and @open-world"

func (r Rule) parse() (*matcher, error) {
	m := &matcher{rule: r}
	server, pattern, err := splitRule(string(r))
	if err == nil {
		m.server = server
		err = m.read(pattern)
	}
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", visible(string(r)), err)
	}
	return m, nil
}

// splitRule cuts the server off a rule, if there is one.
func splitRule(rule string) (server, pattern string, err error) {
	if !utf8.ValidString(rule) {
		return "", "", errors.New("it is not UTF-8")
	}
	if strings.HasPrefix(rule, "/") {
		return "", rule, nil
	}
	name, rest, err := unquote(rule)
	switch {
	case err != nil:
		return "", "", err
	case strings.HasPrefix(rest, ":"):
		server, pattern = name, rest[1:]
	case strings.HasPrefix(rule, `"`) || !strings.Contains(rule, ":"):
		return "", rule, nil
	default:
		server, pattern, _ = strings.Cut(rule, ":")
	}
	if server == "" {
		return "", "", errors.New("there is no server before the colon")
	}
	return server, pattern, nil
}

// unquote cuts a quoted string off the beginning of s. Without one, it returns
// nothing.
func unquote(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", nil
	}
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", errors.New(`the name that begins with " is not quoted to its end, as in JSON`)
	}
	value, err = strconv.Unquote(quoted)
	return value, s[len(quoted):], err
}

// read reads what stands after the server.
func (m *matcher) read(pattern string) error {
	switch {
	case pattern == "":
		return errors.New("there is no name of a tool; * stands for all")
	case pattern[0] == '"':
		name, rest, err := unquote(pattern)
		switch {
		case err != nil:
			return err
		case rest != "":
			return errors.New("there is something behind the quoted name")
		case name == "":
			return errors.New("the name is empty")
		}
		m.name = name
	case pattern[0] == '/':
		if len(pattern) < 3 || !strings.HasSuffix(pattern, "/") {
			return errors.New(`a regular expression stands between two slashes, with (?i) and the like inside; quote a name that begins with a slash, as in "/name"`)
		}
		re, err := regexp.Compile(pattern[1 : len(pattern)-1])
		if err != nil {
			return err // which names the part that is wrong
		}
		m.pattern = re
	case pattern[0] == '@':
		if m.hint = hints[pattern]; m.hint == nil {
			return fmt.Errorf("there is no such hint, only %s; quote a name that begins with @", hintNames)
		}
	case strings.ContainsAny(pattern, "*?"):
		expr := regexp.QuoteMeta(pattern)
		expr = strings.ReplaceAll(expr, `\*`, `.*`)
		expr = strings.ReplaceAll(expr, `\?`, `.`)
		m.pattern = regexp.MustCompile(`(?s)^` + expr + `$`)
	default:
		m.name = pattern
	}
	return nil
}

// about reports whether the rule speaks of the server of a tool.
func (m *matcher) about(d tramontane.Definition) bool { return m.server == "" || m.server == d.Server }

func (m *matcher) fits(d tramontane.Definition) bool {
	if !m.about(d) {
		return false
	}
	switch {
	case m.hint != nil:
		if d.Server != "" && !d.Trusted {
			d.ReadOnly, d.Additive, d.Closed = false, false, false
		}
		return m.hint(d)
	case m.pattern != nil:
		return m.pattern.MatchString(original(d)) || m.pattern.MatchString(d.Name)
	default:
		return m.name == original(d) || m.name == d.Name
	}
}

func original(d tramontane.Definition) string {
	if d.Original == "" {
		return d.Name
	}
	return d.Original
}

// matchers are the rules of a Policy, read.
type matchers struct {
	include, exclude, confirm []*matcher
}

func (p *Policy) parse() (*matchers, error) {
	var errs []error
	parse := func(list string, rules []Rule) []*matcher {
		var all []*matcher
		for _, rule := range rules {
			m, err := rule.parse()
			if err != nil {
				errs = append(errs, fmt.Errorf("%s %w", list, err))
				continue
			}
			all = append(all, m)
		}
		return all
	}
	m := &matchers{parse("include", p.Include), parse("exclude", p.Exclude), parse("confirm", p.Confirm)}
	return m, errors.Join(errs...)
}

// keeps reports whether a tool is let through.
func (m *matchers) keeps(d tramontane.Definition) bool {
	fits := func(r *matcher) bool { return r.fits(d) }
	if slices.ContainsFunc(m.exclude, fits) {
		return false
	}
	about := func(r *matcher) bool { return r.about(d) }
	return !slices.ContainsFunc(m.include, about) || slices.ContainsFunc(m.include, fits)
}

// confirms reports whether a person must allow each call of a tool.
func (m *matchers) confirms(d tramontane.Definition) bool {
	return slices.ContainsFunc(m.confirm, func(r *matcher) bool { return r.fits(d) })
}

// An offer is what there is for rules to speak of.
type offer struct {
	tools   []tramontane.Definition
	servers []string // all of them
	down    []string // those that may offer more than is known
}

// check returns what is wrong with rules that speak of nothing, and a note for
// each that may speak of a tool of a server that is down.
func (m *matchers) check(o *offer) (notes []string, err error) {
	var errs []error
	check := func(list string, rules []*matcher) {
		for _, r := range rules {
			rule := fmt.Sprintf("%s rule %s", list, visible(string(r.rule)))
			mayBeDown := func(server string) bool { return r.server == "" || r.server == server }
			switch {
			case r.server != "" && !slices.Contains(o.servers, r.server):
				errs = append(errs, fmt.Errorf("%s: there is no server %s%s", rule, visible(r.server), r.otherServer(o)))
			case slices.ContainsFunc(o.tools, r.fits), r.hint != nil && list != "include":
			case slices.ContainsFunc(o.down, mayBeDown):
				notes = append(notes, fmt.Sprintf("%s fits no tool of the servers that could be had; not there: %s", rule, names(o.down)))
			case r.hint != nil:
				errs = append(errs, fmt.Errorf("%s fits no tool%s; hints count only for servers that are trusted", rule, r.where(o.servers)))
			case r.pattern != nil:
				errs = append(errs, fmt.Errorf("%s fits no tool%s", rule, r.where(o.servers)))
			default:
				errs = append(errs, fmt.Errorf("%s: there is no such tool%s%s", rule, r.where(o.servers), r.otherTool(o)))
			}
		}
	}
	check("include", m.include)
	check("exclude", m.exclude)
	check("confirm", m.confirm)
	return notes, errors.Join(errs...)
}

// otherServer says what may have been meant by a rule for a server that there
// is not.
func (m *matcher) otherServer(o *offer) string {
	whole := m.server + ":" + m.name
	if slices.ContainsFunc(o.tools, func(d tramontane.Definition) bool { return original(d) == whole }) {
		return fmt.Sprintf("; the tool of this name is written %s", ExactRule("", whole))
	}
	if meant := didYouMean(m.server, o.servers); meant != "" || len(o.servers) == 0 {
		return meant
	}
	return "; there is " + names(o.servers)
}

// where names the servers that a rule is about.
func (m *matcher) where(known []string) string {
	switch {
	case m.server != "":
		return " on server " + visible(m.server)
	case len(known) == 0:
		return ""
	case len(known) == 1:
		return " on server " + visible(known[0])
	default:
		return " on the servers " + names(known)
	}
}

// otherTool says what may have been meant by a rule for a tool that there is
// not.
func (m *matcher) otherTool(o *offer) string {
	var own, all []string
	for _, d := range o.tools {
		if m.about(d) {
			own = append(own, original(d))
			all = append(all, original(d), d.Name)
		}
	}
	slices.Sort(all)
	meant := didYouMean(m.name, slices.Compact(all))
	if meant == "" && m.server != "" && len(own) > 0 {
		return "; it offers " + names(own)
	}
	return meant
}

// names lists names, the first twenty of them.
func names(all []string) string {
	const most = 20
	shown := make([]string, 0, most)
	for _, name := range all[:min(len(all), most)] {
		shown = append(shown, visible(name))
	}
	list := strings.Join(shown, ", ")
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", list, len(all)-most)
	}
	return list
}

// didYouMean names up to three of the candidates that are written most like
// name, if they are much like it.
func didYouMean(name string, candidates []string) string {
	nearest := max(1, len(name)/3)
	var all []string
	for _, c := range candidates {
		if len(c) > 2*len(name)+1 || len(name) > 2*len(c)+1 {
			continue
		}
		switch d := editDistance(strings.ToLower(name), strings.ToLower(c)); {
		case d < nearest || d == nearest && all == nil:
			nearest, all = d, []string{c}
		case d == nearest:
			all = append(all, c)
		}
	}
	if all == nil {
		return ""
	}
	return "; did you mean " + names(all[:min(len(all), 3)]) + "?"
}

// editDistance is how many characters must be put in, left out, replaced or
// swapped with the next one to make b of a.
func editDistance(a, b string) int {
	from, to := []rune(a), []rune(b)
	// d[i][j] is the distance of the first i and the first j characters.
	d := make([][]int, len(from)+1)
	for i := range d {
		d[i] = make([]int, len(to)+1)
		d[i][0] = i
	}
	for j := range to {
		d[0][j+1] = j + 1
	}
	for i, r := range from {
		for j, s := range to {
			replaced := d[i][j]
			if r != s {
				replaced++
			}
			d[i+1][j+1] = min(replaced, d[i][j+1]+1, d[i+1][j]+1)
			if i > 0 && j > 0 && r == to[j-1] && from[i-1] == s {
				d[i+1][j+1] = min(d[i+1][j+1], d[i-1][j-1]+1)
			}
		}
	}
	return d[len(from)][len(to)]
}
