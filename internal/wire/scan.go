package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a value, as encoding/json does, so that a
// hostile one cannot exhaust the stack.
const maxDepth = 10_000

var errTruncated = errors.New("unexpected end of JSON")

// skipSpace returns the index of the first byte at or after i that is not
// white space.
func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// skipValue checks the value that starts at i and returns the index after it.
func skipValue(data []byte, i, depth int) (int, error) {
	if i >= len(data) {
		return i, errTruncated
	}
	if depth > maxDepth {
		return i, errors.New("JSON nested too deeply")
	}
	switch c := data[i]; {
	case c == '"':
		return skipString(data, i)
	case c == '{':
		return skipObject(data, i, depth)
	case c == '[':
		return skipArray(data, i, depth)
	case c == 't':
		return skipLiteral(data, i, "true")
	case c == 'f':
		return skipLiteral(data, i, "false")
	case c == 'n':
		return skipLiteral(data, i, "null")
	case c == '-' || '0' <= c && c <= '9':
		return skipNumber(data, i)
	}
	return i, fmt.Errorf("invalid character %q at offset %d of JSON", data[i], i)
}

func skipLiteral(data []byte, i int, lit string) (int, error) {
	if len(data)-i < len(lit) {
		return i, errTruncated
	}
	if string(data[i:i+len(lit)]) != lit {
		return i, fmt.Errorf("invalid literal at offset %d of JSON", i)
	}
	return i + len(lit), nil
}

// plain says which bytes stand for themselves in a string.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return t
}()

func skipString(data []byte, i int) (int, error) {
	for j := i + 1; j < len(data); j++ {
		switch c := data[j]; {
		case plain[c]:
		case c == '"':
			return j + 1, nil
		case c < 0x20:
			return j, fmt.Errorf("control character in string at offset %d of JSON", j)
		case c == '\\':
			j++
			if j >= len(data) {
				return j, errTruncated
			}
			switch data[j] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(data)-j < 5 {
					return j, errTruncated
				}
				for k := j + 1; k < j+5; k++ {
					if !isHex(data[k]) {
						return k, fmt.Errorf("invalid escape at offset %d of JSON", j)
					}
				}
				j += 4
			default:
				return j, fmt.Errorf("invalid escape at offset %d of JSON", j)
			}
		}
	}
	return len(data), errTruncated
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func skipNumber(data []byte, i int) (int, error) {
	bad := func() (int, error) { return i, fmt.Errorf("invalid number at offset %d of JSON", i) }
	j := i
	if data[j] == '-' {
		j++
	}
	switch {
	case j < len(data) && data[j] == '0':
		j++
	case j < len(data) && '1' <= data[j] && data[j] <= '9':
		j = skipDigits(data, j)
	default:
		return bad()
	}
	if j < len(data) && data[j] == '.' {
		k := skipDigits(data, j+1)
		if k == j+1 {
			return bad()
		}
		j = k
	}
	if j < len(data) && (data[j] == 'e' || data[j] == 'E') {
		j++
		if j < len(data) && (data[j] == '+' || data[j] == '-') {
			j++
		}
		k := skipDigits(data, j)
		if k == j {
			return bad()
		}
		j = k
	}
	return j, nil
}

func skipDigits(data []byte, i int) int {
	for i < len(data) && '0' <= data[i] && data[i] <= '9' {
		i++
	}
	return i
}

func skipObject(data []byte, i, depth int) (int, error) {
	return eachMember(data, i, depth, func(_, _ []byte) error { return nil })
}

func skipArray(data []byte, i, depth int) (int, error) {
	return eachElement(data, i, depth, func([]byte) error { return nil })
}

// eachMember calls f with the name, still quoted, and the value of each member
// of the object that starts at i, and returns the index after it.
func eachMember(data []byte, i, depth int, f func(name, value []byte) error) (int, error) {
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(data) {
			return i, errTruncated
		}
		if data[i] != '"' {
			return i, fmt.Errorf("want a member name at offset %d of JSON, got %q", i, data[i])
		}
		end, err := skipString(data, i)
		if err != nil {
			return end, err
		}
		name := data[i:end]
		i = skipSpace(data, end)
		if i >= len(data) {
			return i, errTruncated
		}
		if data[i] != ':' {
			return i, fmt.Errorf("want ':' at offset %d of JSON, got %q", i, data[i])
		}
		i = skipSpace(data, i+1)
		end, err = skipValue(data, i, depth+1)
		if err != nil {
			return end, err
		}
		if err := f(name, data[i:end]); err != nil {
			return end, err
		}
		i = skipSpace(data, end)
		if i >= len(data) {
			return i, errTruncated
		}
		switch data[i] {
		case '}':
			return i + 1, nil
		case ',':
			i = skipSpace(data, i+1)
		default:
			return i, fmt.Errorf("want ',' or '}' at offset %d of JSON, got %q", i, data[i])
		}
	}
}

// eachElement calls f with each element of the array that starts at i, and
// returns the index after it.
func eachElement(data []byte, i, depth int, f func(value []byte) error) (int, error) {
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == ']' {
		return i + 1, nil
	}
	for {
		end, err := skipValue(data, i, depth+1)
		if err != nil {
			return end, err
		}
		if err := f(data[i:end]); err != nil {
			return end, err
		}
		i = skipSpace(data, end)
		if i >= len(data) {
			return i, errTruncated
		}
		switch data[i] {
		case ']':
			return i + 1, nil
		case ',':
			i = skipSpace(data, i+1)
		default:
			return i, fmt.Errorf("want ',' or ']' at offset %d of JSON, got %q", i, data[i])
		}
	}
}

// unquote returns the text of a string that skipString has checked.
func unquote(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if !hasEscape(inner) && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		// skipString accepts nothing that encoding/json refuses.
		panic("wire: unquote: " + err.Error())
	}
	return s
}

func hasEscape(b []byte) bool { return bytes.IndexByte(b, '\\') >= 0 }
