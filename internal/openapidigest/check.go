package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checkRaw says where a value does not agree with a type, in a fixed order; nothing if it agrees.
func (d *Digest) checkRaw(text json.RawMessage, t *Type) []string {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return []string{err.Error()}
	}
	return d.check("$", value, t)
}

func (d *Digest) check(path string, value any, t *Type) []string {
	kind := kindOfValue(value)
	if kind == "null" && slices.Contains(t.Types, kind) { // a reference may allow null where the schema itself does not
		return nil
	}
	if t.Ref != "" {
		t = d.Schemas[t.Ref]
	}
	if !allows(t.Types, kind) {
		return []string{fmt.Sprintf("%s is %s, not %s", path, kind, strings.Join(t.Types, " or "))}
	}
	if fixed := slices.Concat(t.Enum, constant(t)); len(fixed) > 0 && !slices.ContainsFunc(fixed, equals(value)) {
		return []string{fmt.Sprintf("%s is %v, which is not among the allowed values", path, value)}
	}
	if t.Variants != nil {
		return d.checkVariants(path, value, t)
	}
	switch value := value.(type) {
	case map[string]any:
		return d.checkObject(path, value, t)
	case []any:
		var all []string
		for i, item := range value {
			if t.Items != nil {
				all = append(all, d.check(fmt.Sprintf("%s[%d]", path, i), item, t.Items)...)
			}
		}
		return all
	}
	return nil
}

func kindOfValue(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if _, err := value.Int64(); err == nil {
			return "integer"
		}
		return "number"
	}
	panic(fmt.Sprintf("%T is no JSON value", value))
}

func allows(types []string, kind string) bool {
	return slices.Contains(types, "any") || slices.Contains(types, kind) || kind == "integer" && slices.Contains(types, "number")
}

func constant(t *Type) []json.RawMessage {
	if t.Const == nil {
		return nil
	}
	return []json.RawMessage{t.Const}
}

func equals(value any) func(json.RawMessage) bool {
	text, err := json.Marshal(value)
	return func(other json.RawMessage) bool { return err == nil && bytes.Equal(text, other) }
}

// checkVariants follows the discriminator, or reports about the variant that the value agrees with best.
func (d *Digest) checkVariants(path string, value any, t *Type) []string {
	if object, ok := value.(map[string]any); ok && t.Discriminator != nil {
		tag, _ := object[t.Discriminator.Property].(string)
		ref, ok := t.Discriminator.Mapping[tag]
		if !ok {
			return []string{fmt.Sprintf("%s has %s %q, which names no variant", path, t.Discriminator.Property, tag)}
		}
		return d.check(path, value, &Type{Ref: ref})
	}
	var best []string
	first := true
	for _, variant := range t.Variants {
		if !allows(variant.Types, kindOfValue(value)) {
			continue // else "not a string" would always win over several faults in a list
		}
		if found := d.check(path, value, variant); first || len(found) < len(best) {
			best, first = found, false
		}
	}
	return best
}

func (d *Digest) checkObject(path string, object map[string]any, t *Type) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(t.Properties)) {
		value, ok := object[name]
		switch {
		case ok:
			all = append(all, d.check(path+"."+name, value, t.Properties[name])...)
		case t.Properties[name].Required:
			all = append(all, fmt.Sprintf("%s.%s is missing", path, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		_, known := t.Properties[name]
		switch {
		case known:
		case t.Values != nil:
			all = append(all, d.check(path+"."+name, object[name], t.Values)...)
		case t.Properties != nil:
			all = append(all, fmt.Sprintf("%s.%s is not in the schema", path, name))
		}
	}
	return all
}
