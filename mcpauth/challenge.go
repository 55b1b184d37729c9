package mcpauth

import (
	"net/http"
	"strings"
)

// A challenge is what a server says in WWW-Authenticate about a request that it
// refused (RFC 6750 section 3, RFC 9728 section 5.1).
type challenge struct {
	problem  string   // error
	scopes   []string // scope
	metadata string   // resource_metadata
	dpop     bool     // tokens that are bound to a key are welcome (RFC 9449 section 7.1)
	dpopOnly bool     // and others are not
	nonce    bool     // the proof needs the nonce of this answer
}

// readChallenge reads the WWW-Authenticate headers of an answer. Scope and error
// count only for Bearer and DPoP. What is malformed is left out: a server's mistake in
// one parameter shall not make its login impossible.
func readChallenge(h http.Header) challenge {
	var c challenge
	bearer := false
	for _, value := range h.Values("WWW-Authenticate") {
		for _, s := range parseChallenges(value) {
			if c.metadata == "" {
				c.metadata = s.params["resource_metadata"]
			}
			switch s.scheme {
			case "bearer":
				bearer = true
			case "dpop":
				c.dpop = true
				c.nonce = c.nonce || s.params["error"] == useNonce
			default:
				continue
			}
			if c.problem == "" {
				c.problem = s.params["error"]
			}
			if scope := s.params["scope"]; c.scopes == nil && scope != "" {
				c.scopes = strings.Fields(scope)
			}
		}
	}
	c.dpopOnly = c.dpop && !bearer
	return c
}

type schemeParams struct {
	scheme string // in lower case
	params map[string]string
}

// parseChallenges splits a WWW-Authenticate value (RFC 9110 section 11.6.1). The
// same comma separates challenges and their parameters; a word that no "="
// follows begins a challenge.
func parseChallenges(s string) []schemeParams {
	var all []schemeParams
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return all
		}
		word := s[:tokenLen(s)]
		if word == "" {
			s = skipJunk(s)
			continue
		}
		rest := strings.TrimLeft(s[len(word):], " \t")
		if !strings.HasPrefix(rest, "=") || len(all) == 0 {
			all = append(all, schemeParams{strings.ToLower(word), map[string]string{}})
			s = rest
			continue
		}
		value, after, ok := parseValue(strings.TrimLeft(rest[1:], " \t"))
		s = after
		name, params := strings.ToLower(word), all[len(all)-1].params
		if _, twice := params[name]; ok && !twice {
			params[name] = value
		}
	}
}

// parseValue reads a token or a quoted string. It is not ok if there is neither,
// or no end of the quotes.
func parseValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		n := tokenLen(s)
		if n == 0 {
			return "", skipJunk(s), false
		}
		// Unquoted URLs are not allowed, and sent; they end as parameters do.
		end := strings.IndexAny(s, ", \t")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// skipJunk leaves out what belongs to no grammar, up to the next comma.
func skipJunk(s string) string {
	if i := strings.IndexByte(s, ','); i >= 0 {
		return s[i:]
	}
	return ""
}

// tokenLen is the length of the token that s begins with (RFC 9110 section
// 5.6.2).
func tokenLen(s string) int {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return i
		}
	}
	return len(s)
}
