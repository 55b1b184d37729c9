package tramontane

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// An Output is the shape that a run's answer has. Make one with [OutputOf] or
// [OutputSchema].
type Output struct {
	name   string
	schema *validator
}

// OutputOf returns the shape of a T, whose JSON Schema is inferred as by
// [Func]. [Decode] reads the answer back into a T. It panics if no schema can
// be inferred, which is a mistake in the program.
func OutputOf[T any]() *Output {
	t := reflect.TypeFor[T]()
	schema, err := schemaFor(t)
	if err != nil {
		panic(fmt.Sprintf("tramontane: OutputOf[%v]: %v", t, err))
	}
	v, err := newValidator(schema)
	if err != nil {
		panic(fmt.Sprintf("tramontane: OutputOf[%v]: %v", t, err))
	}
	name := t.Name()
	if !validName(name) { // an unnamed or generic type
		name = "output"
	}
	return &Output{name: name, schema: v}
}

// OutputSchema returns the shape that a JSON Schema describes, which goes to
// the API as it is. The name tells the model what it is: 1 to 64 characters of
// a-z, A-Z, 0-9, '_' and '-'.
func OutputSchema(name string, schema json.RawMessage) (*Output, error) {
	if !validName(name) {
		return nil, fmt.Errorf("output %q: %s", name, nameRule)
	}
	v, err := readSchema(schema)
	if err != nil {
		return nil, fmt.Errorf("JSON Schema of output %q: %w", name, err)
	}
	v.schema = slices.Clone(schema)
	return &Output{name: name, schema: v}, nil
}

// format is the response format that asks the API for the shape.
func (o *Output) format() *mistral.ResponseFormat {
	return &mistral.ResponseFormat{
		Type:       mistral.ResponseJSONSchema,
		JSONSchema: &mistral.JSONSchema{Name: o.name, Schema: o.schema.schema, Strict: true},
	}
}

// read returns the JSON in the text of an answer, if it has the shape.
func (o *Output) read(text string) (json.RawMessage, error) {
	data := json.RawMessage(unfence(text))
	if err := o.schema.validate(data); err != nil {
		return nil, fmt.Errorf("the answer is not the %s that was asked for: %w", o.name, err)
	}
	return data, nil
}

// unfence takes away the Markdown fence that models without support for
// schemas put around JSON.
func unfence(text string) string {
	text = strings.TrimSpace(text)
	inner, ok := strings.CutPrefix(text, "```")
	if !ok {
		return text
	}
	_, inner, ok = strings.Cut(inner, "\n")
	inner, closed := strings.CutSuffix(inner, "```")
	if !ok || !closed {
		return text
	}
	return strings.TrimSpace(inner)
}

// Decode returns the answer of a run whose Runner has the Output of a T. It
// returns an error if the run has no typed answer, or if the answer does not
// fit a T.
func Decode[T any](r *Result) (T, error) {
	var v T
	if r.Output == nil {
		return v, errors.New("the run has no typed answer: it ended early, or its Runner has no Output")
	}
	err := json.Unmarshal(r.Output, &v)
	return v, err
}
