package model

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// A value is a JSON value whose members keep their order. Its zero value is
// null.
type value struct {
	kind byte   // '{', '[', '"', '0', 't' for true and false, or 0 for null
	text string // of a string, a number, true or false
	keys []string
	vals []value // members or elements
}

func textValue(s string) value { return value{kind: '"', text: s} }

// parseValue reads one JSON value and nothing after it.
func parseValue(data []byte) (value, bool) {
	if !json.Valid(data) {
		return value{}, false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v := readValue(d)
	_, err := d.Token()
	return v, err == io.EOF
}

func readValue(d *json.Decoder) value {
	t, err := d.Token()
	if err != nil {
		return value{}
	}
	switch t := t.(type) {
	case string:
		return textValue(t)
	case json.Number:
		return value{kind: '0', text: t.String()}
	case bool:
		if t {
			return value{kind: 't', text: "true"}
		}
		return value{kind: 't', text: "false"}
	case json.Delim:
		v := value{kind: byte(t)}
		for d.More() {
			if t == '{' {
				key, _ := d.Token()
				v.keys = append(v.keys, key.(string))
			}
			v.vals = append(v.vals, readValue(d))
		}
		d.Token() // the closing bracket
		return v
	}
	return value{}
}

// get returns the member of that name, or null.
func (v value) get(key string) value {
	if i := slices.Index(v.keys, key); i >= 0 {
		return v.vals[i]
	}
	return value{}
}

// set adds a member that is not there yet.
func (v *value) set(key string, x value) {
	v.kind = '{'
	v.keys = append(v.keys, key)
	v.vals = append(v.vals, x)
}

func (v value) scalar() bool { return v.kind != '{' && v.kind != '[' && v.kind != 0 }

// json returns the value as JSON.
func (v value) json() string {
	switch v.kind {
	case '"':
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.Encode(v.text) // a string always encodes
		return strings.TrimSuffix(b.String(), "\n")
	case '{', '[':
		parts := make([]string, len(v.vals))
		for i, x := range v.vals {
			parts[i] = x.json()
			if v.kind == '{' {
				parts[i] = textValue(v.keys[i]).json() + ":" + parts[i]
			}
		}
		return string(v.kind) + strings.Join(parts, ",") + string(v.kind+2)
	case 0:
		return "null"
	}
	return v.text
}

// String returns the value as a person reads it.
func (v value) String() string {
	switch v.kind {
	case '{':
		parts := make([]string, len(v.vals))
		for i, x := range v.vals {
			parts[i] = v.keys[i] + ": " + x.String()
			if x.kind == '{' {
				parts[i] = v.keys[i] + ": (" + x.String() + ")"
			}
		}
		return strings.Join(parts, ", ")
	case '[':
		sep := ", "
		parts := make([]string, len(v.vals))
		for i, x := range v.vals {
			parts[i] = x.String()
			if !x.scalar() {
				sep = "\n"
			}
		}
		return strings.Join(parts, sep)
	case 0:
		return "none"
	}
	return v.text
}

// types returns the JSON types that a schema allows, none for any.
func (v value) types() []string {
	t := v.get("type")
	if t.kind == '"' {
		return []string{t.text}
	}
	var out []string
	for _, x := range t.vals {
		out = append(out, x.text)
	}
	return out
}

// is says whether a schema asks for the type.
func (v value) is(name string) bool { return slices.Contains(v.types(), name) }

// maxDepth bounds schemas that refer to themselves.
const maxDepth = 8

// resolve follows a schema's reference within root and picks the first
// alternative that is not null, so that what is left has a type of its own.
func (v value) resolve(root value) value {
	for range maxDepth {
		if ref := v.get("$ref").text; strings.HasPrefix(ref, "#") {
			next := root
			for step := range strings.SplitSeq(strings.TrimPrefix(ref[1:], "/"), "/") {
				if step != "" {
					next = next.get(strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~"))
				}
			}
			v = next
			continue
		}
		next := value{}
		for _, word := range []string{"anyOf", "oneOf", "allOf"} {
			for _, alt := range v.get(word).vals {
				if next.kind == 0 && alt.get("type").text != "null" {
					next = alt
				}
			}
		}
		if next.kind == 0 || len(v.get("properties").keys) > 0 {
			return v
		}
		v = next
	}
	return v
}

// nullable says whether a schema allows null.
func (v value) nullable() bool {
	isNull := func(alt value) bool { return alt.get("type").text == "null" }
	return v.is("null") || slices.ContainsFunc(v.get("anyOf").vals, isNull) || slices.ContainsFunc(v.get("oneOf").vals, isNull)
}
