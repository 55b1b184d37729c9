package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tramontane-dev/tramontane/internal/wire"
	"github.com/tramontane-dev/tramontane/mistral"
)

// decode reads a request's body into v, a struct of package mistral. Members
// that v does not know are errors, save those of the outermost object if the
// request is lenient.
func decode(data []byte, v any, lenient bool) error {
	if len(strings.TrimSpace(string(data))) == 0 {
		return invalid(detail{loc: []any{"body"}, kind: "missing", msg: "Field required: the request has no body"})
	}
	if !utf8.Valid(data) {
		return invalid(detail{loc: []any{"body"}, kind: "json_invalid", msg: "JSON decode error: the body is not UTF-8"})
	}
	if err := wire.Unmarshal(data, v); err != nil {
		return invalid(decodeDetail(data, err))
	}
	var c checker
	for _, p := range wire.Problems(v) {
		loc := append([]any{"body"}, p.Path...)
		switch {
		case p.Missing:
			c.add("missing", "Field required", loc...)
		case lenient && len(p.Path) == 1, hostedExtra(p.Path):
		default:
			c.add("extra_forbidden", "Extra inputs are not permitted", loc...)
		}
	}
	return c.err()
}

// hostedExtra reports whether the hosted API itself writes this member, though
// its OpenAPI does not have it: a history read there can be sent here.
func hostedExtra(path []any) bool {
	if path[0] == "guardrails" {
		return true // the one schema without additionalProperties: false
	}
	switch path[len(path)-1] {
	case "function": // of tool.execution
		return len(path) == 3 && path[0] == "inputs"
	case "signature", "source": // of thinking and tool_reference chunks
		return len(path) > 3 && path[0] == "inputs"
	}
	return false
}

// decodeTypes are the error types of the hosted API by what was wanted.
var decodeTypes = []struct{ prefix, kind string }{
	{"want a string", "string_type"},
	{"want true or false", "bool_type"},
	{"want a whole number", "int_type"},
	{"want a number", "float_type"},
	{"want an object", "dict_type"},
	{"want an array", "list_type"},
	{"want ", "value_error"},
}

func decodeDetail(data []byte, err error) detail {
	if !json.Valid(data) {
		return detail{loc: []any{"body"}, kind: "json_invalid", msg: "JSON decode error: " + err.Error()}
	}
	d := detail{loc: []any{"body"}, kind: "value_error", msg: err.Error()}
	var e *wire.Error
	if errors.As(err, &e) {
		d.loc, d.msg = append(d.loc, e.Path...), e.Msg
		for _, t := range decodeTypes {
			if strings.HasPrefix(e.Msg, t.prefix) {
				d.kind = t.kind
				break
			}
		}
	}
	return d
}

// A checker collects what is wrong with a request that could be decoded: the
// first maxDetails of it.
type checker struct{ details []detail }

// maxDetails bounds an answer: a body of 32 MiB has room for millions of faults.
const maxDetails = 100

func (c *checker) err() error {
	if c.details == nil {
		return nil
	}
	return invalid(c.details...)
}

func (c *checker) add(kind, msg string, loc ...any) {
	if len(c.details) < maxDetails {
		c.details = append(c.details, detail{loc: loc, kind: kind, msg: msg})
	}
}

// refuse refuses what this server does not do yet, by name.
func (c *checker) refuse(format string, name any, loc ...any) {
	c.add("not_supported", fmt.Sprintf(format, name), loc...)
}

func within(path []any, steps ...any) []any {
	return append(path[:len(path):len(path)], steps...)
}

func checkRange[N int | float64](c *checker, v *N, low, high N, loc ...any) {
	switch {
	case v == nil:
	case *v < low:
		c.add("greater_than_equal", fmt.Sprintf("Input should be greater than or equal to %v", low), loc...)
	case *v > high:
		c.add("less_than_equal", fmt.Sprintf("Input should be less than or equal to %v", high), loc...)
	}
}

func checkEnum[S ~string](c *checker, v S, loc []any, allowed ...S) {
	if v == "" {
		return
	}
	var quoted []string
	for _, a := range allowed {
		if v == a {
			return
		}
		quoted = append(quoted, "'"+string(a)+"'")
	}
	c.add("enum", "Input should be "+strings.Join(quoted, " or "), loc...)
}

const maxInt = int(^uint(0) >> 1)

// completionArgs checks the settings and makes them fit to be sent out again:
// the TypeScript SDK drops an object with a null where the schema has none.
func (c *checker) completionArgs(a *mistral.CompletionArgs, loc ...any) {
	if a == nil {
		return
	}
	at := func(name string) []any { return within(loc, name) }
	checkRange(c, a.PresencePenalty, -2, 2, at("presence_penalty")...)
	checkRange(c, a.FrequencyPenalty, -2, 2, at("frequency_penalty")...)
	checkRange(c, a.Temperature, 0, 1, at("temperature")...)
	checkRange(c, a.TopP, 0, 1, at("top_p")...)
	checkRange(c, a.MaxTokens, 0, maxInt, at("max_tokens")...)
	checkRange(c, a.RandomSeed, 0, maxInt, at("random_seed")...)
	checkEnum(c, a.ToolChoice, at("tool_choice"), mistral.ToolChoiceAuto, mistral.ToolChoiceNone, mistral.ToolChoiceAny, mistral.ToolChoiceRequired)
	checkEnum(c, a.ReasoningEffort, at("reasoning_effort"), mistral.ReasoningHigh, mistral.ReasoningNone)
	a.Extra = mistral.Extra{}
	if p := a.Prediction; p != nil {
		p.Extra = mistral.Extra{}
	}
	f := a.ResponseFormat
	if f == nil {
		return
	}
	f.Extra = mistral.Extra{}
	checkEnum(c, f.Type, within(loc, "response_format", "type"), mistral.ResponseText, mistral.ResponseJSONObject, mistral.ResponseJSONSchema)
	if f.Type == mistral.ResponseJSONSchema && f.JSONSchema == nil {
		c.add("missing", "Field required: the type json_schema needs a schema", within(loc, "response_format", "json_schema")...)
	}
	if f.JSONSchema != nil {
		f.JSONSchema.Extra = mistral.Extra{}
		c.object(f.JSONSchema.Schema, within(loc, "response_format", "json_schema", "schema")...)
	}
}

// object checks that raw is absent or a JSON object. That it may be absent is
// seen before: a required member that is not there, or null, is missing.
func (c *checker) object(raw json.RawMessage, loc ...any) {
	if raw != nil && raw[0] != '{' {
		c.add("dict_type", "Input should be an object", loc...)
	}
}

func (c *checker) nonEmpty(s string, loc ...any) {
	if s == "" {
		c.add("string_too_short", "String should have at least 1 character", loc...)
	}
}

// functionName is what chat models take as the name of a function.
var functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// tools checks tools. If run is set, the tools are those of a conversation, and
// those that this server does not run are refused.
func (c *checker) tools(tools mistral.Tools, run bool, loc ...any) {
	seen := map[string]bool{}
	for i, t := range tools {
		at := within(loc, i)
		switch t := t.(type) {
		case *mistral.FunctionTool:
			c.function(&t.Function, seen, within(at, "function"))
			t.Extra = mistral.Extra{}
		case *mistral.DocumentLibraryTool:
			if len(t.LibraryIDs) == 0 {
				c.add("too_short", "List should have at least 1 item", within(at, "library_ids")...)
			}
			c.configuration(t.Configuration, within(at, "tool_configuration"))
		case *mistral.ConnectorTool:
			c.nonEmpty(t.ConnectorID, within(at, "connector_id")...)
			c.object(t.Authorization, within(at, "authorization")...)
			c.configuration(t.Configuration, within(at, "tool_configuration"))
		case *mistral.UnknownTool:
			c.add("union_tag_invalid", fmt.Sprintf("Input tag %q is not a type of tool that this server knows", t.Type), at...)
			continue
		case *mistral.WebSearchTool:
			c.configuration(t.Configuration, within(at, "tool_configuration"))
		case *mistral.WebSearchPremiumTool:
			c.configuration(t.Configuration, within(at, "tool_configuration"))
		case *mistral.CodeInterpreterTool:
			c.configuration(t.Configuration, within(at, "tool_configuration"))
		case *mistral.ImageGenerationTool:
			c.configuration(t.Configuration, within(at, "tool_configuration"))
		}
		if name := builtIn(t); run && name != "" {
			c.refuse("this server does not run the tool %s yet; remove it, or use functions", name, at...)
		}
	}
}

// builtIn names a tool that the server would have to run by itself, or returns
// "" for a function.
func builtIn(t mistral.Tool) string {
	switch t := t.(type) {
	case *mistral.FunctionTool:
		return ""
	case *mistral.WebSearchTool:
		return "web_search"
	case *mistral.WebSearchPremiumTool:
		return "web_search_premium"
	case *mistral.CodeInterpreterTool:
		return "code_interpreter"
	case *mistral.ImageGenerationTool:
		return "image_generation"
	case *mistral.DocumentLibraryTool:
		return "document_library"
	case *mistral.ConnectorTool:
		return "connector " + t.ConnectorID
	case *mistral.UnknownTool:
		return t.Type
	}
	panic(fmt.Sprintf("server: tool of type %T", t))
}

func (c *checker) function(f *mistral.Function, seen map[string]bool, loc []any) {
	if !functionName.MatchString(f.Name) {
		c.add("string_pattern_mismatch", "String should match pattern '"+functionName.String()+"'", within(loc, "name")...)
	}
	if seen[f.Name] {
		c.add("value_error", fmt.Sprintf("two functions have the name %q", f.Name), within(loc, "name")...)
	}
	seen[f.Name] = true
	c.object(f.Parameters, within(loc, "parameters")...)
	f.Extra = mistral.Extra{}
}

func (c *checker) configuration(t *mistral.ToolConfiguration, loc []any) {
	if t != nil && t.Include != nil && t.Exclude != nil {
		c.add("value_error", "include and exclude exclude each other", loc...)
	}
}

// guardrails refuses guardrails: nothing here would check them.
func (c *checker) guardrails(g []mistral.Guardrail, loc ...any) {
	if len(g) > 0 {
		c.refuse("this server does not run %s yet; remove them", "guardrails", loc...)
	}
}

// version checks the number of an agent's version.
func (c *checker) version(v *mistral.AgentVersion) {
	if v != nil {
		checkRange(c, &v.Number, 0, maxInt, "body", "agent_version")
	}
}

// A query reads query parameters and collects what is wrong with them.
type query struct {
	checker
	values url.Values
}

// queryOf returns the query of a request. Of one that is malformed, net/url
// would leave out the bad parts without a word.
func queryOf(r *http.Request) query {
	var q query
	var err error
	if q.values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		q.add("value_error", err.Error(), "query")
	}
	return q
}

func (q *query) integer(name string, def, low, high int) int {
	text := q.values.Get(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		q.add("int_parsing", "Input should be a valid integer, unable to parse string as an integer", "query", name)
		return def
	}
	checkRange(&q.checker, &n, low, high, "query", name)
	return n
}

func (q *query) boolean(name string) *bool {
	text := q.values.Get(name)
	if text == "" {
		return nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		q.add("bool_parsing", "Input should be true or false", "query", name)
	}
	return &b
}

// metadata reads a filter: one value that holds a JSON object.
func (q *query) metadata() map[string]any {
	text := q.values.Get("metadata")
	// The Python SDKs send the last of these (1.12.4, 2.10.1 and 3.7.0) when the
	// caller gives no filter: their mark of an argument that is not set.
	if text == "" || text == "null" || text == `"~?~unset~?~sentinel~?~"` {
		return nil
	}
	var filter map[string]any
	if err := json.Unmarshal([]byte(text), &filter); err != nil {
		q.add("json_invalid", "metadata should be a JSON object: "+err.Error(), "query", "metadata")
	}
	return filter
}

// hasMetadata reports whether each member of the filter is in the metadata with
// an equal value.
func hasMetadata(metadata json.RawMessage, filter map[string]any) bool {
	if len(filter) == 0 {
		return true
	}
	var have map[string]any
	if json.Unmarshal(metadata, &have) != nil {
		return false
	}
	for name, want := range filter {
		got, ok := have[name]
		if !ok || !reflect.DeepEqual(got, want) {
			return false
		}
	}
	return true
}

// timestamp checks a moment that a client sent and returns it with the six
// fractional digits that all official SDKs read.
func (c *checker) timestamp(t mistral.Timestamp, loc ...any) mistral.Timestamp {
	if t == "" {
		return ""
	}
	moment, err := time.Parse(time.RFC3339Nano, string(t))
	// In UTC, the last hours of the year 9999 may be in one of five digits.
	if year := moment.UTC().Year(); err != nil || year < 0 || year > 9999 {
		c.add("datetime_parsing", "Input should be a valid datetime with an offset or Z", loc...)
		return ""
	}
	return mistral.NewTimestamp(moment)
}
