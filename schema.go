package tramontane

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// schemaFor infers the JSON Schema of t, as [Func] documents it.
func schemaFor(t reflect.Type) (*jsonschema.Schema, error) {
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[time.Time](): {Type: "string", Format: "date-time"},
	}})
	if err != nil {
		return nil, err
	}
	return s, refine(t, s)
}

// refine adds to a schema what only the Go type tells: enums from field tags.
// It also takes null out of the types of slices and maps, which models
// otherwise send for an empty list.
func refine(t reflect.Type, s *jsonschema.Schema) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		if i := slices.Index(s.Types, "null"); i >= 0 && len(s.Types) == 2 {
			s.Type, s.Types = s.Types[1-i], nil
		}
		elem := s.Items
		if t.Kind() == reflect.Map {
			elem = s.AdditionalProperties
		}
		if elem != nil {
			return refine(t.Elem(), elem)
		}
	case reflect.Struct:
		return refineFields(t, s)
	}
	return nil
}

func refineFields(t reflect.Type, s *jsonschema.Schema) error {
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		p := s.Properties[name]
		if p == nil || f.Anonymous {
			continue
		}
		if err := refine(f.Type, p); err != nil {
			return err
		}
		if tag, ok := f.Tag.Lookup("enum"); ok {
			if err := addEnum(f, p, strings.Split(tag, ",")); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
		}
	}
	return nil
}

func addEnum(f reflect.StructField, s *jsonschema.Schema, words []string) error {
	t := f.Type
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			s = s.Items
		}
		t = t.Elem()
	}
	for _, w := range words {
		switch t.Kind() {
		case reflect.String:
			s.Enum = append(s.Enum, w)
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
			reflect.Float32, reflect.Float64:
			var n json.Number
			if err := json.Unmarshal([]byte(w), &n); err != nil {
				return fmt.Errorf("enum value %q is no number", w)
			}
			v, err := n.Float64()
			if err != nil {
				return err
			}
			s.Enum = append(s.Enum, v)
		default:
			return fmt.Errorf("an enum of %v is not possible", t)
		}
	}
	if slices.Contains(s.Types, "null") {
		s.Enum = append(s.Enum, nil)
	}
	return nil
}

// A validator holds JSON to a schema.
type validator struct {
	schema   json.RawMessage
	resolved *jsonschema.Resolved
}

func newValidator(s *jsonschema.Schema) (*validator, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return nil, err
	}
	return &validator{schema: raw, resolved: resolved}, nil
}

// readSchema returns a validator for a schema that somebody wrote. It refuses
// what the library would only trip over when it validates.
func readSchema(raw json.RawMessage) (*validator, error) {
	var s *jsonschema.Schema
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	if s == nil {
		return nil, errors.New("want an object, got null")
	}
	var keywords any
	if err := json.Unmarshal(raw, &keywords); err != nil {
		return nil, err
	}
	if err := checkKeywords(keywords); err != nil {
		return nil, err
	}
	return newValidator(s)
}

var schemaTypes = []string{"null", "boolean", "object", "array", "number", "integer", "string"}

// checkKeywords looks for types that do not exist and for references to other
// documents, which are never fetched. Under properties and the like, names are
// not keywords, and values that are no schemas (const, enum, default, examples)
// are left alone.
func checkKeywords(value any) error {
	schema, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	types, _ := schema["type"].([]any)
	if t, ok := schema["type"].(string); ok {
		types = []any{t}
	}
	for _, t := range types {
		if name, ok := t.(string); !ok || !slices.Contains(schemaTypes, name) {
			return fmt.Errorf("there is no type %q; there are %s", t, strings.Join(schemaTypes, ", "))
		}
	}
	if ref, ok := schema["$ref"].(string); ok && strings.Contains(ref, "://") {
		return fmt.Errorf("$ref %q points to another document, which is not fetched; copy what it means under $defs, and refer to #/$defs/NAME", ref)
	}
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		var inner []any
		switch v := schema[keyword].(type) {
		case map[string]any:
			inner = []any{v}
			if slices.Contains([]string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}, keyword) {
				inner = slices.Collect(maps.Values(v))
			}
		case []any:
			inner = v
		}
		if slices.Contains([]string{"const", "enum", "default", "examples"}, keyword) {
			continue
		}
		for _, s := range inner {
			if err := checkKeywords(s); err != nil {
				return fmt.Errorf("%s: %w", keyword, err)
			}
		}
	}
	return nil
}

func (v *validator) validate(data []byte) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	if err := v.resolved.Validate(value); err != nil {
		return errors.New(schemaComplaint(err))
	}
	return nil
}

// schemaComplaint takes the Go side out of the validator's message, which the
// model has no use for.
func schemaComplaint(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "validating root: "), "validating ")
}
