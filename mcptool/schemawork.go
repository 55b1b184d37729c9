package mcptool

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"
)

// A work says how much a validator may have to do for a schema. Ten lines of
// allOf and $ref can ask for more than any machine can do, or, if they refer to
// themselves, for ever; the library has no bound of its own.
type work struct {
	root any

	mu   sync.Mutex // guards the field below
	memo map[workKey]int
}

type workKey struct {
	schema uintptr // of the map
	depth  int     // of the value
}

const underCount = -1 // in the memo: being counted

var errSelfReference = errors.New("the schema refers to itself for the same value")

func newWork(root any) *work { return &work{root: root, memo: make(map[workKey]int)} }

// Keywords whose schemas speak of the same value, and of the values in it. Where
// the value of a keyword is a map of schemas, or a list, all count.
var (
	sameValue  = []string{"allOf", "anyOf", "oneOf", "not", "if", "then", "else"}
	innerValue = []string{
		"additionalProperties", "propertyNames", "unevaluatedProperties",
		"items", "additionalItems", "prefixItems", "contains", "unevaluatedItems",
	}
	sameValueMaps  = []string{"dependentSchemas", "dependencies"}
	innerValueMaps = []string{"properties", "patternProperties"}
)

// bound returns how many schemas are looked at, at most, on a way down from the
// root of a value that is nested so deep.
func (w *work) bound(depth int) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count(w.root, depth)
}

func (w *work) count(schema any, depth int) (int, error) {
	s, ok := schema.(map[string]any)
	if !ok || depth == 0 {
		return 1, nil // true, false, or no value to look at
	}
	key := workKey{reflect.ValueOf(s).Pointer(), depth}
	if n, ok := w.memo[key]; ok {
		if n == underCount {
			return 0, errSelfReference
		}
		return n, nil
	}
	if id, ok := s["$id"].(string); ok && key.schema != reflect.ValueOf(w.root).Pointer() {
		return 0, fmt.Errorf("the schema has another one in it, %q, which is not followed", id)
	}
	w.memo[key] = underCount
	once := workKey{key.schema, 0} // the same at any depth, and worth to be counted once
	own, ok := w.memo[once]
	if !ok {
		own = ownWork(s)
		w.memo[once] = own
	}
	total := min(1+own, maxWork)
	add := func(schema any, depth int) error {
		n, err := w.count(schema, depth)
		total = min(total+n, maxWork)
		return err
	}
	err := each(s, sameValue, sameValueMaps, func(inner any) error { return add(inner, depth) })
	if err == nil {
		err = each(s, innerValue, innerValueMaps, func(inner any) error { return add(inner, depth-1) })
	}
	for _, keyword := range []string{"$ref", "$dynamicRef"} {
		ref, ok := s[keyword].(string)
		if !ok || err != nil {
			continue
		}
		var target any
		if target, err = w.refer(ref); err == nil {
			err = add(target, depth)
		}
	}
	if err != nil {
		delete(w.memo, key)
		return 0, err
	}
	w.memo[key] = total
	return total, nil
}

// ownWork returns how much more than a look a schema asks for by itself: values
// to compare with, names to look for, and the steps of regular expressions.
func ownWork(schema map[string]any) int {
	n := 0
	for _, keyword := range []string{"enum", "const", "required", "dependentRequired"} {
		if v, ok := schema[keyword]; ok {
			_, size := measure(v)
			n += size
		}
	}
	if p, ok := schema["pattern"].(string); ok {
		n += patternWork(p)
	}
	if patterns, ok := schema["patternProperties"].(map[string]any); ok {
		for p := range patterns {
			n += patternWork(p)
		}
	}
	return n
}

// patternWork returns how many states a regular expression has, each of which
// may be looked at for each character of a text.
func patternWork(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 1 // the schema cannot be used anyway
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 1
	}
	return len(prog.Inst)
}

// each calls f with the schemas under the keywords, up to the first error.
func each(schema map[string]any, keywords, maps []string, f func(any) error) error {
	var inner []any
	for _, keyword := range keywords {
		switch v := schema[keyword].(type) {
		case []any:
			inner = append(inner, v...)
		case map[string]any:
			inner = append(inner, v)
		}
	}
	for _, keyword := range maps {
		if v, ok := schema[keyword].(map[string]any); ok {
			for _, s := range v {
				inner = append(inner, s)
			}
		}
	}
	for _, s := range inner {
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

// refer returns what a reference points to: a place in the schema, named by a
// JSON pointer.
func (w *work) refer(ref string) (any, error) {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok || path != "" && path[0] != '/' {
		return nil, fmt.Errorf("the reference %q is not followed: it is no place in the schema", ref)
	}
	at := w.root
	for _, step := range strings.Split(path, "/")[1:] {
		if plain, err := url.PathUnescape(step); err == nil {
			step = plain
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch v := at.(type) {
		case map[string]any:
			at = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return nil, fmt.Errorf("the reference %q points nowhere", ref)
			}
			at = v[i]
		default:
			return nil, fmt.Errorf("the reference %q points nowhere", ref)
		}
	}
	return at, nil
}
