package tramontane

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
)

// FuncOptions says more of a function.
type FuncOptions struct {
	// ReadOnly says that the function changes nothing. If zero, it may.
	ReadOnly bool

	// Safe says that the function may be called twice with the same arguments
	// without harm. If zero, a call whose outcome is unknown is not repeated.
	Safe bool

	// Strict asks the model API to hold the arguments to the schema, which not
	// every API does. If zero, only the tool does so, and tells the model.
	Strict bool
}

// Func makes a [Tool] of a Go function. A nil opts means the zero FuncOptions.
//
// In is a struct, or a map with string keys, of which the model fills the
// fields. Its JSON Schema is inferred: names are those of encoding/json, fields
// with omitempty or omitzero are optional and all others required, pointers may
// be null, and structs, slices, maps and [time.Time] nest. The tag jsonschema
// describes a field to the model, and the tag enum lists what it may be:
//
//	type Query struct {
//		City string `json:"city" jsonschema:"name of the city"`
//		Unit string `json:"unit,omitempty" enum:"celsius,fahrenheit"`
//	}
//
// Arguments that do not meet the schema never reach f: the model is told what
// is wrong with them. A result that is a string goes to the model as it is, a
// *[ToolResult] too, and any other as JSON. An error of f goes where
// [Runner.OnToolError] says.
//
// Func panics if no schema can be inferred from In, which is a mistake in the
// program, or if name is not one that models accept (see [Definition]). f must
// be safe for concurrent use.
func Func[In, Out any](name, description string, f func(context.Context, In) (Out, error), opts *FuncOptions) Tool {
	if opts == nil {
		opts = new(FuncOptions)
	}
	if !validName(name) {
		panic(fmt.Sprintf("tramontane: Func(%q): %s", name, nameRule))
	}
	t := reflect.TypeFor[In]()
	schema, err := schemaFor(t)
	if err != nil {
		panic(fmt.Sprintf("tramontane: Func(%q): %v", name, err))
	}
	if schema.Type != "object" {
		panic(fmt.Sprintf("tramontane: Func(%q): arguments are an object: %v is no struct or map", name, t))
	}
	v, err := newValidator(schema)
	if err != nil {
		panic(fmt.Sprintf("tramontane: Func(%q): %v", name, err))
	}
	return &function[In, Out]{
		definition: Definition{
			Name:        name,
			Description: description,
			Parameters:  v.schema,
			Strict:      opts.Strict,
			ReadOnly:    opts.ReadOnly,
			Safe:        opts.Safe,
		},
		arguments: v,
		call:      f,
	}
}

type function[In, Out any] struct {
	definition Definition
	arguments  *validator
	call       func(context.Context, In) (Out, error)
}

func (f *function[In, Out]) Definition() Definition { return f.definition }

func (f *function[In, Out]) Call(ctx context.Context, call *Call) (*ToolResult, error) {
	if err := f.arguments.validate(call.Arguments); err != nil {
		return nil, fmt.Errorf("arguments of %s: %w", f.definition.Name, err)
	}
	var in In
	if err := json.Unmarshal(call.Arguments, &in); err != nil {
		return nil, fmt.Errorf("arguments of %s: %w", f.definition.Name, err)
	}
	out, err := f.call(ctx, in)
	if err != nil {
		return nil, err
	}
	switch out := any(out).(type) {
	case string:
		return TextResult(out), nil
	case *ToolResult:
		if out == nil {
			out = new(ToolResult)
		}
		return out, nil
	}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("result of %s: %w", f.definition.Name, err)
	}
	return &ToolResult{Content: []Content{&TextContent{Text: string(data)}}, Structured: data}, nil
}

// nameRule says what validName asks for.
const nameRule = "a name is 1 to 64 characters of a-z, A-Z, 0-9, '_' and '-'"

// validName reports whether models accept the name of a tool.
func validName(name string) bool {
	if len(name) == 0 || len(name) > 64 {
		return false
	}
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
