package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/tramontane-dev/tramontane"
)

// checkOutput compares a result with what the tool promises (specification
// 2025-11-25, "Output Schema"). A tool that broke its promise has run all the
// same, so that is said in the log and in a note that the model sees, and the
// result stays as it is. A schema that cannot be used is a warning, once.
func (s *Server) checkOutput(ctx context.Context, def tramontane.Definition, result *tramontane.ToolResult) {
	if def.Output == nil || result.IsError {
		return
	}
	schema, err, first := s.outputs.read(def.Output)
	if err != nil {
		if first {
			s.logger().WarnContext(ctx, "the results of an mcp tool cannot be checked against its output schema",
				"server", s.Name, "tool", def.Original, "cause", err)
		}
		return
	}
	problem := "there is none, though the tool has an output schema"
	if result.Structured != nil {
		err := schema.check(result.Structured)
		var unchecked *uncheckedError
		if errors.As(err, &unchecked) {
			s.logger().WarnContext(ctx, "the result of an mcp tool was not checked", "server", s.Name, "tool", def.Original, "cause", err)
			return
		}
		if err == nil {
			return
		}
		problem = err.Error()
	}
	s.logger().WarnContext(ctx, "the structured result of an mcp tool is not what its output schema says",
		"server", s.Name, "tool", def.Original, "cause", problem)
	result.Content = append(result.Content, &tramontane.TextContent{
		Text: fmt.Sprintf("[the structured result does not match the tool's output schema: %s]", problem),
	})
}

// An uncheckedError says why a result was not checked, which may yet be right.
type uncheckedError struct{ why string }

func (e *uncheckedError) Error() string { return e.why }

// outputSchemas remembers the schemas of results, by their text. The zero value
// is empty.
type outputSchemas struct {
	mu     sync.Mutex // guards the field below
	byText map[string]*outputSchema
}

// maxSchemas bounds what is remembered, of servers that change their tools over
// and over.
const maxSchemas = 1000

// read returns the schema, and whether it was not read before.
func (o *outputSchemas) read(raw json.RawMessage) (schema *outputSchema, err error, first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	schema, ok := o.byText[string(raw)]
	if !ok {
		schema = readOutputSchema(raw)
		if o.byText == nil || len(o.byText) == maxSchemas {
			o.byText = make(map[string]*outputSchema)
		}
		o.byText[string(raw)] = schema
	}
	return schema, schema.err, !ok
}

// An outputSchema is a schema that a server wrote: it may be anything.
type outputSchema struct {
	err      error // why it cannot be used
	resolved *jsonschema.Resolved
	work     *work
}

const (
	maxSchema = 256 << 10 // bytes
	maxDepth  = 64        // of a result
	maxWork   = 5_000_000 // schemas looked at for one result
)

func readOutputSchema(raw json.RawMessage) *outputSchema {
	if len(raw) > maxSchema {
		return &outputSchema{err: fmt.Errorf("the schema has %d bytes, and more than %d are not read", len(raw), maxSchema)}
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(raw, &schema); err != nil {
		return &outputSchema{err: err}
	}
	// The library looks at this only when it validates.
	if dialect := strings.TrimSuffix(schema.Schema, "#"); dialect != "" && dialect != "https://json-schema.org/draft/2020-12/schema" &&
		dialect != "http://json-schema.org/draft-07/schema" && dialect != "https://json-schema.org/draft-07/schema" {
		return &outputSchema{err: fmt.Errorf("the schema is of a dialect that is not known: %s", schema.Schema)}
	}
	resolved, err := schema.Resolve(nil) // without a Loader, nothing is fetched
	if err != nil {
		return &outputSchema{err: err}
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return &outputSchema{err: err}
	}
	o := &outputSchema{resolved: resolved, work: newWork(tree)}
	_, o.err = o.work.bound(1)
	return o
}

// maxFlat bounds the work for one value of a form.
const maxFlat = 50_000

// flat returns an error if the schema is not usable for a form: an object of
// plain fields. The SDK validates answers once more, without bounds, so a schema
// that asks for much is not for it to see.
func (o *outputSchema) flat() error {
	if o.err != nil {
		return o.err
	}
	perValue, err := o.work.bound(3) // the object, its fields, and lists of strings
	if err == nil && perValue > maxFlat {
		err = errors.New("the schema asks for too much work")
	}
	return err
}

// check returns an error if the result does not fit, an *uncheckedError if that
// was not found out.
func (o *outputSchema) check(result json.RawMessage) error {
	var value any
	if err := json.Unmarshal(result, &value); err != nil {
		return err
	}
	depth, size := measure(value)
	if depth > maxDepth {
		return &uncheckedError{fmt.Sprintf("it is nested deeper than %d", maxDepth)}
	}
	perValue, err := o.work.bound(depth)
	if err != nil {
		return &uncheckedError{err.Error()}
	}
	if perValue > maxWork/size {
		return &uncheckedError{"its schema asks for too much work"}
	}
	if err := o.resolved.Validate(value); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "validating root: "))
	}
	return nil
}

// textUnit is how many bytes of text count as one value: to look at a character
// is less work than to look at a schema.
const textUnit = 8

// measure returns how deep a value is nested, from 1 on, and of how many values
// it is made, long texts counting as several.
func measure(value any) (depth, size int) {
	size = 1
	add := func(inner any) {
		d, n := measure(inner)
		depth, size = max(depth, d), size+n
	}
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			size += len(name) / textUnit
			add(inner)
		}
	case string:
		size += len(v) / textUnit
	case []any:
		for _, inner := range v {
			add(inner)
		}
	}
	return depth + 1, size
}
