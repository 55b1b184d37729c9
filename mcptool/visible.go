package mcptool

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible returns s as it can be shown on a terminal and in an error: what a
// server wrote must not move the cursor, change the order of letters or hide
// among them. Two different strings stay different.
func visible(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r == utf8.RuneError || hidden(r) }) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case hidden(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
		s = s[size:]
	}
	return b.String()
}

// hidden reports whether a character shows nothing of its own: controls, marks
// of direction, zero width, tags, spaces that are none, and the variation
// selectors, which can carry whole texts.
func hidden(r rune) bool {
	return !unicode.IsPrint(r) || 0xfe00 <= r && r <= 0xfe0f || 0xe0100 <= r && r <= 0xe01ef
}
