package mcptool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// A configFile is the text of a config file, which knows where in it things
// are.
type configFile struct {
	path   string
	data   []byte
	logger *slog.Logger
}

// A node is a JSON value of a file.
type node struct {
	raw    json.RawMessage
	offset int    // where it begins in the file
	where  string // the way to it, for people
}

// A member is a name of a JSON object with its value.
type member struct {
	name  string
	key   node // the name
	value node
}

// null reports whether the value is as good as none.
func (n node) null() bool { return string(n.raw) == "null" }

// at returns <path>:<line>:<column>.
func (f *configFile) at(offset int) string {
	before := f.data[:min(max(offset, 0), len(f.data))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return fmt.Sprintf("%s:%d:%d", f.path, line, column)
}

func (f *configFile) errorf(n node, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if n.where != "" {
		err = fmt.Errorf("%s: %w", n.where, err)
	}
	return fmt.Errorf("mcp config %s: %w", f.at(n.offset), err)
}

// root returns the whole file as a node. Comments and commas behind the last
// member are allowed, as VS Code writes them.
func (f *configFile) root() (node, error) {
	switch {
	case bytes.HasPrefix(f.data, []byte("\xff\xfe")), bytes.HasPrefix(f.data, []byte("\xfe\xff")):
		return node{}, f.errorf(node{}, "it is UTF-16, as PowerShell writes it; save it as UTF-8")
	case len(bytes.TrimSpace(bytes.TrimPrefix(f.data, []byte("\ufeff")))) == 0:
		return node{}, f.errorf(node{}, `it is empty; the least that it may hold is {"mcpServers": {}}`)
	}
	plain := plainJSON(f.data)
	var value json.RawMessage
	err := json.Unmarshal(plain, &value)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		// Offset counts the byte that was wrong, too, unless the input just ended.
		offset := int(syntax.Offset)
		if offset <= len(plain) && !strings.HasPrefix(err.Error(), "unexpected end") {
			offset--
		}
		return node{}, f.errorf(node{offset: offset}, "it is not JSON: %w", err)
	}
	if err != nil {
		return node{}, f.errorf(node{}, "it is not JSON: %w", err)
	}
	return node{raw: plain}, nil
}

// plainJSON returns JSON with spaces in the place of comments, of commas behind
// the last member, and of a byte order mark, so that everything else stays where
// it is.
func plainJSON(data []byte) []byte {
	out := bytes.Clone(data)
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	if bytes.HasPrefix(out, []byte("\ufeff")) {
		blank(0, len("\ufeff"))
	}
	comma := -1       // where the last thing was a comma behind a value
	last := byte('{') // the last thing that was no space or comment
	for i := 0; i < len(out); i++ {
		c := out[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			continue
		case c == '"':
			for i++; i < len(out) && out[i] != '"'; i++ {
				if out[i] == '\\' {
					i++
				}
			}
		case bytes.HasPrefix(out[i:], []byte("//")):
			end := bytes.IndexByte(out[i:], '\n')
			if end < 0 {
				end = len(out) - i
			}
			blank(i, i+end)
			i += end - 1
			continue
		case bytes.HasPrefix(out[i:], []byte("/*")):
			end := bytes.Index(out[i+2:], []byte("*/"))
			if end < 0 {
				return out // which is an error where the comment begins
			}
			blank(i, i+2+end+2)
			i += 2 + end + 1
			continue
		case c == ',' && !strings.ContainsRune("{[,:", rune(last)):
			comma = i
			last = c
			continue
		case (c == '}' || c == ']') && comma >= 0:
			out[comma] = ' '
		}
		comma, last = -1, c
	}
	return out
}

// members returns those of a JSON object, in order.
func (f *configFile) members(n node) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(n.raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, f.errorf(n, "want an object, as in {...}, and there is %s", kindOf(n))
	}
	var all []member
	names := make(map[string]bool)
	for dec.More() {
		// The whole was valid JSON, so no error can come from here on.
		key := node{offset: n.offset + skipTo(n.raw, int(dec.InputOffset()), '"'), where: n.where}
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: t.(string), key: key}
		where := strings.TrimPrefix(fmt.Sprintf("%s: %q", n.where, m.name), ": ")
		if m.value, err = next(dec, n, where); err != nil {
			return nil, err
		}
		if names[m.name] {
			return nil, f.errorf(key, "%q stands there twice", m.name)
		}
		names[m.name] = true
		all = append(all, m)
	}
	return all, nil
}

// elements returns those of a JSON array.
func (f *configFile) elements(n node) ([]node, error) {
	dec := json.NewDecoder(bytes.NewReader(n.raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, f.errorf(n, "want a list, as in [...], and there is %s", kindOf(n))
	}
	var all []node
	for dec.More() {
		value, err := next(dec, n, fmt.Sprintf("%s[%d]", n.where, len(all)))
		if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
	return all, nil
}

// next returns the next value of a decoder of n.
func next(dec *json.Decoder, n node, where string) (node, error) {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return node{}, err
	}
	return node{raw, n.offset + int(dec.InputOffset()) - len(raw), where}, nil
}

func skipTo(data []byte, from int, c byte) int {
	return from + max(0, bytes.IndexByte(data[from:], c))
}

// kindOf says what a value is, but not which: it may be a secret.
func kindOf(n node) string {
	switch n.raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// text returns a string.
func (f *configFile) text(n node) (string, error) {
	var s string
	if json.Unmarshal(n.raw, &s) != nil {
		return "", f.errorf(n, "want a string, and there is %s", kindOf(n))
	}
	return s, nil
}

// texts returns the strings of a list.
func (f *configFile) texts(n node) ([]string, []node, error) {
	elements, err := f.elements(n)
	if err != nil {
		return nil, nil, err
	}
	all := make([]string, len(elements))
	for i, e := range elements {
		if all[i], err = f.text(e); err != nil {
			return nil, nil, err
		}
	}
	return all, elements, nil
}

// flag returns a boolean.
func (f *configFile) flag(n node) (bool, error) {
	var b bool
	if json.Unmarshal(n.raw, &b) != nil {
		return false, f.errorf(n, "want true or false, and there is %s", kindOf(n))
	}
	return b, nil
}

// duration returns a time that something may take. A string has its unit. A
// number is in milliseconds from 1000 on, as Claude Code, Gemini CLI and GitHub
// Copilot CLI write it, and in seconds below, as Cline and Roo Code do: none of
// the former can mean less than a second.
func (f *configFile) duration(n node) (time.Duration, error) {
	var text string
	if json.Unmarshal(n.raw, &text) == nil {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return 0, f.errorf(n, `want a time with its unit, such as "90s" or "2m"`)
		}
		return d, nil
	}
	var number float64
	if json.Unmarshal(n.raw, &number) != nil {
		return 0, f.errorf(n, `want a time, such as "90s" or 90000, and there is %s`, kindOf(n))
	}
	unit := time.Second
	if number >= 1000 {
		unit = time.Millisecond
	}
	if number < 0 || number > float64(math.MaxInt64/unit) {
		return 0, f.errorf(n, "want a time that is not below zero and not above 290 years")
	}
	const most = 3600 // seconds, of Cline and Roo Code
	if number >= 1000 && number <= most {
		f.logger.Warn("mcp config: a number from 1000 on is taken as milliseconds; write the unit to be sure",
			"at", f.at(n.offset), "as seconds", fmt.Sprintf(`"%ds"`, int(number)))
	}
	return time.Duration(number * float64(unit)), nil
}
