package mcptool

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/tramontane-dev/tramontane"
)

// serversOf returns the servers of a Toolset, as far as it is one of ours.
func serversOf(set tramontane.Toolset) []*Server {
	switch set := set.(type) {
	case *Server:
		return []*Server{set}
	case Servers:
		return set
	case *Guard:
		return serversOf(set.Toolset)
	default:
		return nil
	}
}

// mayOfferMore reports whether the server may have tools that it was not asked
// for: a run goes on without it, and it is not there.
func (s *Server) mayOfferMore() bool {
	state := s.Status().State
	return s.Need != Required && state != Ready && state != Degraded
}

// written is how a config file says that a server is reached, before variables
// are replaced.
type written struct {
	command string
	args    []string
	url     string
}

// identity returns how the server is reached, without secrets and without
// tools.
func (s *Server) identity() LockedServer {
	return s.reachedBy(written{s.Command, s.Args, s.URL})
}

// identityWritten is identity as a config file has it: the same on machines on
// which paths differ, and for people whose secrets do.
func (s *Server) identityWritten() LockedServer {
	if s.written == nil {
		return s.identity()
	}
	return s.reachedBy(*s.written)
}

func (s *Server) reachedBy(by written) LockedServer {
	id := LockedServer{
		URL:     maskURL(by.url),
		Env:     slices.Sorted(maps.Keys(s.Env)),
		Headers: slices.Sorted(maps.Keys(s.Header)),
		Tools:   make(map[string]LockedTool),
	}
	if by.command != "" {
		id.Command = append([]string{by.command}, maskArgs(by.args)...)
	}
	return id
}

// masked stands where a secret was.
const masked = "***"

var secretName = regexp.MustCompile(`(?i)key|token|secret|passw|pwd|auth|credential|bearer|cookie|session|signature`)

// maskArgs returns arguments of a command with *** for what looks like a
// secret: what stands after a name that says so, passwords and parameters in
// URLs, and what looks like chance.
func maskArgs(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		name, value, assigned := strings.Cut(arg, "=")
		header, text, isHeader := strings.Cut(arg, ":")
		switch {
		case i > 0 && !strings.HasPrefix(arg, "-") && isSecretFlag(args[i-1]):
			out[i] = maskValue(arg)
		case strings.Contains(arg, "://"):
			out[i] = maskURL(arg)
		case assigned && secretName.MatchString(name):
			out[i] = name + "=" + maskValue(value)
		case isHeader && secretName.MatchString(header):
			out[i] = header + ":" + maskValue(text)
		default:
			out[i] = maskRandom(arg)
		}
	}
	return out
}

// isSecretFlag reports whether a secret follows the argument.
func isSecretFlag(arg string) bool {
	return strings.HasPrefix(arg, "-") && !strings.ContainsAny(arg, "=:") && secretName.MatchString(arg)
}

// scheme stands before the credentials in a header.
var scheme = regexp.MustCompile(`(?i)^\s*(bearer|basic|token)?\s*$`)

// maskValue masks a secret. What a config file only refers to is none, but what
// stands beside it or for it may be.
func maskValue(value string) string {
	rest := variable.ReplaceAllString(value, "")
	if rest == value && value != "" || !scheme.MatchString(rest) {
		return masked
	}
	return variable.ReplaceAllStringFunc(value, func(ref string) string {
		if name, def, ok := strings.Cut(ref, ":-"); ok && def != "}" {
			return name + ":-" + masked + "}"
		}
		return ref
	})
}

// maskURL masks what can be secret in a URL: the user, the values of
// parameters, and what looks like chance in the path and in the fragment, which
// is a commit where git is asked.
func maskURL(u string) string {
	before, rest, ok := strings.Cut(u, "://")
	if !ok {
		return u
	}
	rest, fragment, hasFragment := strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	parts := strings.Split(rest, "/")
	if i := strings.LastIndex(parts[0], "@"); i >= 0 {
		parts[0] = masked + parts[0][i:]
	}
	for i, part := range parts[1:] {
		parts[i+1] = maskRandom(part)
	}
	u = before + "://" + strings.Join(parts, "/")
	if hasQuery {
		params := strings.Split(query, "&")
		for i, p := range params {
			if name, value, ok := strings.Cut(p, "="); ok {
				params[i] = name + "=" + maskValue(value)
			} else {
				params[i] = maskValue(p)
			}
		}
		u += "?" + strings.Join(params, "&")
	}
	switch {
	case hasFragment && strings.Contains(fragment, "="):
		u += "#" + maskValue(fragment)
	case hasFragment:
		u += maskRandom("#" + fragment)
	}
	return u
}

// longWord is a word that may be a key, with what makes it a digest.
var longWord = regexp.MustCompile(`(sha[0-9]+:|[@#])?([^/\\.@:#= ${}]{20,})`)

var hexDigits = regexp.MustCompile(`^[0-9a-f]+$`)

// maskRandom masks the words that look like chance. Digests of images and
// commits stay: they are what a lock is for.
func maskRandom(s string) string {
	return longWord.ReplaceAllStringFunc(s, func(found string) string {
		m := longWord.FindStringSubmatch(found)
		before, word := m[1], m[2]
		if !looksRandom(word) || before != "" && hexDigits.MatchString(word) {
			return found
		}
		return before + masked
	})
}

// looksRandom reports whether a word changes between digits, upper and lower
// case more often than names and versions do, with digits in several places.
func looksRandom(word string) bool {
	const digit, upper, lower = 1, 2, 3
	changes, digits, last := 0, 0, 0
	for _, r := range word {
		kind := 0
		switch {
		case unicode.IsDigit(r):
			kind = digit
		case unicode.IsUpper(r):
			kind = upper
		case unicode.IsLower(r):
			kind = lower
		default:
			continue
		}
		if kind != last {
			changes++
			if kind == digit {
				digits++
			}
		}
		last = kind
	}
	return changes*5 >= len(word) && digits > 1
}
