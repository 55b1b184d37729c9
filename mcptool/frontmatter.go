package mcptool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// compareFrontmatter returns an error if the YAML at the head of a SKILL.md does
// not say what an entry says of it, field by field.
func compareFrontmatter(file []byte, entry json.RawMessage) error {
	head, err := frontmatter(file)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseBytes(head, 0)
	if err != nil {
		return errors.New("the front matter is no YAML")
	}
	if len(parsed.Docs) != 1 {
		return errors.New("the front matter is not one document")
	}
	got, err := plainYAML(parsed.Docs[0].Body, maxDepth)
	if err != nil {
		return fmt.Errorf("front matter: %w", err)
	}
	fields, ok := got.(map[string]any)
	if !ok {
		return errors.New("the front matter is no mapping")
	}
	var want map[string]any
	d := json.NewDecoder(bytes.NewReader(entry))
	d.UseNumber()
	if err := d.Decode(&want); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if value, there := fields[name]; !there || !sameValues(value, want[name]) {
			return fmt.Errorf("the field %s of the front matter is not that of the entry", visible(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if _, there := want[name]; !there {
			return fmt.Errorf("the entry lacks the field %s of the front matter", visible(name))
		}
	}
	return nil
}

// frontmatter returns what stands between the first line, ---, and the next of
// its kind.
func frontmatter(file []byte) ([]byte, error) {
	file = bytes.TrimPrefix(file, []byte("\ufeff"))
	isMark := func(line []byte) bool { return string(bytes.TrimRight(line, " \t\r")) == "---" }
	first, rest, ok := bytes.Cut(file, []byte("\n"))
	if !ok || !isMark(first) {
		return nil, errors.New("it has no front matter")
	}
	for at := 0; at <= min(len(rest), maxFrontmatter); {
		line, _, more := bytes.Cut(rest[at:], []byte("\n"))
		if isMark(line) {
			return rest[:at], nil
		}
		if !more {
			break
		}
		at += len(line) + 1
	}
	return nil, fmt.Errorf("its front matter does not end, or not within %d bytes", maxFrontmatter)
}

// plainYAML returns a node as JSON would have it. Of YAML it takes what JSON can
// say: aliases, by which a few lines become gigabytes, and tags are refused, and
// a date is text.
func plainYAML(node ast.Node, depth int) (any, error) {
	if depth == 0 {
		return nil, fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.IntegerNode:
		return json.Number(fmt.Sprint(n.Value)), nil
	case *ast.FloatNode:
		return json.Number(fmt.Sprint(n.Value)), nil
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, value := range n.Values {
			var err error
			if list[i], err = plainYAML(value, depth-1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case *ast.MappingNode:
		return plainMapping(n.Values, depth)
	case *ast.MappingValueNode:
		return plainMapping([]*ast.MappingValueNode{n}, depth)
	}
	return nil, fmt.Errorf("it has what JSON has not: %s", node.Type())
}

func plainMapping(values []*ast.MappingValueNode, depth int) (any, error) {
	fields := make(map[string]any, len(values))
	for _, v := range values {
		key, err := plainYAML(v.Key, depth-1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			name = fmt.Sprint(key) // 1: x
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("the field %s is there twice", visible(name))
		}
		if fields[name], err = plainYAML(v.Value, depth-1); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

// sameValues compares two values of JSON, numbers by what they are worth.
func sameValues(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, sameValues)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameValues)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && (a == b || sameNumbers(a, b))
	}
	return a == b
}

func sameNumbers(a, b json.Number) bool {
	const longest = 64 // 1e999999999 is a number, too
	if len(a) > longest || len(b) > longest {
		return false
	}
	x, _, errX := big.ParseFloat(string(a), 10, 256, big.ToNearestEven)
	y, _, errY := big.ParseFloat(string(b), 10, 256, big.ToNearestEven)
	return errX == nil && errY == nil && x.Cmp(y) == 0
}
