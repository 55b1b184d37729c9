package mistral_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/mistral"
)

// A digest is what internal/openapidigest makes of Mistral's OpenAPI.
type digest struct {
	Endpoints []struct {
		Method, Path string
		Query        map[string]*schema
	}
	Schemas map[string]*schema
}

type schema struct {
	Kind          string
	Types         []string
	Required      bool
	Nullable      bool
	Ref           string
	Const         any
	Enum          []any
	Items         *schema
	Values        *schema
	Variants      []*schema
	Discriminator *struct {
		Property string
		Mapping  map[string]string
	}
	Properties map[string]*schema
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// goTypes says which schemas each of our structs stands for. A property is
// required of a struct if it is required in each of its schemas.
var goTypes = map[reflect.Type][]string{
	reflect.TypeFor[mistral.Agent]():                {"Agent"},
	reflect.TypeFor[mistral.AgentRequest]():         {"AgentCreationRequest"},
	reflect.TypeFor[mistral.AgentUpdate]():          {"AgentUpdateRequest"},
	reflect.TypeFor[mistral.AgentList]():            {"AgentListPage"},
	reflect.TypeFor[mistral.CompletionArgs]():       {"CompletionArgs"},
	reflect.TypeFor[mistral.Prediction]():           {"Prediction"},
	reflect.TypeFor[mistral.ResponseFormat]():       {"ResponseFormat"},
	reflect.TypeFor[mistral.JSONSchema]():           {"JsonSchema"},
	reflect.TypeFor[mistral.Guardrail]():            {"GuardrailConfig"},
	reflect.TypeFor[mistral.ConversationRequest]():  {"ConversationRequest", "ConversationStreamRequest"},
	reflect.TypeFor[mistral.AppendRequest]():        {"ConversationAppendRequest", "ConversationAppendStreamRequest"},
	reflect.TypeFor[mistral.RestartRequest]():       {"ConversationRestartRequest", "ConversationRestartStreamRequest"},
	reflect.TypeFor[mistral.ToolConfirmation]():     {"ToolCallConfirmation"},
	reflect.TypeFor[mistral.ConversationResponse](): {"ConversationResponse"},
	reflect.TypeFor[mistral.Usage]():                {"ConversationUsageInfo"},
	reflect.TypeFor[mistral.Conversation]():         {"ModelConversation", "AgentConversation"},
	reflect.TypeFor[mistral.History]():              {"ConversationHistory"},
	reflect.TypeFor[mistral.Messages]():             {"ConversationMessages"},
	reflect.TypeFor[mistral.MessageInput]():         {"MessageInputEntry"},
	reflect.TypeFor[mistral.MessageOutput]():        {"MessageOutputEntry"},
	reflect.TypeFor[mistral.FunctionCall]():         {"FunctionCallEntry"},
	reflect.TypeFor[mistral.FunctionResult]():       {"FunctionResultEntry"},
	reflect.TypeFor[mistral.ToolExecution]():        {"ToolExecutionEntry"},
	reflect.TypeFor[mistral.AgentHandoff]():         {"AgentHandoffEntry"},
	reflect.TypeFor[mistral.ResponseStarted]():      {"ResponseStartedEvent"},
	reflect.TypeFor[mistral.ResponseDone]():         {"ResponseDoneEvent"},
	reflect.TypeFor[mistral.ResponseError]():        {"ResponseErrorEvent"},
	reflect.TypeFor[mistral.MessageOutputDelta]():   {"MessageOutputEvent"},
	reflect.TypeFor[mistral.FunctionCallDelta]():    {"FunctionCallEvent"},
	reflect.TypeFor[mistral.ToolExecutionStarted](): {"ToolExecutionStartedEvent"},
	reflect.TypeFor[mistral.ToolExecutionDelta]():   {"ToolExecutionDeltaEvent"},
	reflect.TypeFor[mistral.ToolExecutionDone]():    {"ToolExecutionDoneEvent"},
	reflect.TypeFor[mistral.AgentHandoffStarted]():  {"AgentHandoffStartedEvent"},
	reflect.TypeFor[mistral.AgentHandoffDone]():     {"AgentHandoffDoneEvent"},
	reflect.TypeFor[mistral.TextChunk]():            {"TextChunk"},
	reflect.TypeFor[mistral.ImageURLChunk]():        {"ImageURLChunk"},
	reflect.TypeFor[mistral.DocumentURLChunk]():     {"DocumentURLChunk"},
	reflect.TypeFor[mistral.ToolFileChunk]():        {"ToolFileChunk"},
	reflect.TypeFor[mistral.ToolReferenceChunk]():   {"ToolReferenceChunk"},
	reflect.TypeFor[mistral.ThinkChunk]():           {"ThinkChunk"},
	reflect.TypeFor[mistral.ReferenceChunk]():       {"ReferenceChunk"},
	reflect.TypeFor[mistral.FileChunk]():            {"FileChunk"},
	reflect.TypeFor[mistral.AudioChunk]():           {"AudioChunk"},
	reflect.TypeFor[mistral.FunctionTool]():         {"FunctionTool"},
	reflect.TypeFor[mistral.Function]():             {"Function"},
	reflect.TypeFor[mistral.WebSearchTool]():        {"WebSearchTool"},
	reflect.TypeFor[mistral.WebSearchPremiumTool](): {"WebSearchPremiumTool"},
	reflect.TypeFor[mistral.CodeInterpreterTool]():  {"CodeInterpreterTool"},
	reflect.TypeFor[mistral.ImageGenerationTool]():  {"ImageGenerationTool"},
	reflect.TypeFor[mistral.DocumentLibraryTool]():  {"DocumentLibraryTool"},
	reflect.TypeFor[mistral.ConnectorTool]():        {"CustomConnector"},
	reflect.TypeFor[mistral.ToolConfiguration]():    {"ToolConfiguration"},
	reflect.TypeFor[mistral.Model]():                {"BaseModelCard", "FTModelCard"},
	reflect.TypeFor[mistral.ModelCapabilities]():    {"ModelCapabilities"},
	reflect.TypeFor[mistral.ModelList]():            {"ModelList"},
	reflect.TypeFor[mistral.ChatRequest]():          {"ChatCompletionRequest"},
	reflect.TypeFor[mistral.SystemMessage]():        {"SystemMessage"},
	reflect.TypeFor[mistral.UserMessage]():          {"UserMessage"},
	reflect.TypeFor[mistral.AssistantMessage]():     {"AssistantMessage"},
	reflect.TypeFor[mistral.ToolMessage]():          {"ToolMessage"},
	reflect.TypeFor[mistral.ChatTool]():             {"Tool"},
	reflect.TypeFor[mistral.ToolCall]():             {"ToolCall"},
	reflect.TypeFor[mistral.ToolCallFunc]():         {"FunctionCall"},
	reflect.TypeFor[mistral.ChatResponse]():         {"ChatCompletionResponse"},
	reflect.TypeFor[mistral.ChatChoice]():           {"ChatCompletionChoice"},
	reflect.TypeFor[mistral.ChatUsage]():            {"UsageInfo"},
	reflect.TypeFor[mistral.TokenDetails]():         {"PromptTokensDetails"},
	reflect.TypeFor[mistral.ChatChunk]():            {"CompletionChunk"},
	reflect.TypeFor[mistral.ChatChunkChoice]():      {"CompletionResponseStreamChoice"},
	reflect.TypeFor[mistral.ChatDelta]():            {"DeltaMessage"},
}

// rawSchemas are passed through as JSON, or have no value of their own.
var rawSchemas = []string{
	"APIKeyAuth", "OAuth2TokenAuth", // ConnectorTool.Authorization
	"ModerationLLMV1Config", "ModerationLLMV2Config", "ModerationLLMV1CategoryThresholds", "ModerationLLMV2CategoryThresholds",
	"HTTPValidationError", "ValidationError", // Error.Detail
	"ImageURL", "ToolChoice", "FunctionName", // ImageURL and ChatToolChoice, which are more than objects
	"ConversationEvents", "CompletionEvent", // frames of a stream
	"AgentAliasResponse", // not spoken yet
	"ResponseBase", "ChatCompletionResponseBase", "ConversationRequestBase", "ConversationAppendRequestBase", "ConversationRestartRequestBase",
}

// requiredAnyway are members that we always send and miss, though the schema
// does not demand them: every server sends them.
var requiredAnyway = map[string]bool{
	"ChatCompletionResponse.id": true, "ChatCompletionResponse.object": true, "ChatCompletionResponse.model": true,
	"ChatCompletionResponse.usage": true, "ChatCompletionResponse.created": true,
}

// unionKinds are the JSON types of our types that are more than one.
var unionKinds = map[reflect.Type][]string{
	reflect.TypeFor[mistral.Content]():        {"array", "string"},
	reflect.TypeFor[mistral.DeltaContent]():   {"object", "string"},
	reflect.TypeFor[mistral.Inputs]():         {"array", "string"},
	reflect.TypeFor[mistral.Arguments]():      {"object", "string"},
	reflect.TypeFor[mistral.AgentVersion]():   {"integer", "string"},
	reflect.TypeFor[mistral.Stop]():           {"array", "string"},
	reflect.TypeFor[mistral.ImageURL]():       {"object", "string"},
	reflect.TypeFor[mistral.ChatToolChoice](): {"object", "string"},
	reflect.TypeFor[json.RawMessage]():        {"object"},
}

func kindsOf(t reflect.Type) []string {
	if kinds, ok := unionKinds[t]; ok {
		return kinds
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindsOf(t.Elem())
	case reflect.String:
		return []string{"string"}
	case reflect.Bool:
		return []string{"boolean"}
	case reflect.Int, reflect.Int64:
		return []string{"integer"}
	case reflect.Float64:
		return []string{"number"}
	case reflect.Slice:
		return []string{"array"}
	}
	return []string{"object"}
}

// A member is a member of a JSON object as one of our structs has it.
type member struct {
	required bool
	constant string
	typ      reflect.Type // nil for a constant
}

func membersOf(t reflect.Type) map[string]member {
	members := map[string]member{}
	for f := range fields(t) {
		if name, value, ok := strings.Cut(f.Tag.Get("wire"), "="); ok {
			members[name] = member{constant: value}
		}
		if name, option, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			members[name] = member{required: option == "" && f.Tag.Get("wire") != "always", typ: f.Type}
		}
	}
	return members
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func TestTypesAgainstOpenAPI(t *testing.T) {
	var d digest
	readJSON(t, "openapi.digest.json", &d)
	enums := constants(t)
	covered := map[string]bool{}
	for typ, names := range goTypes {
		ours := membersOf(typ)
		for _, name := range names {
			covered[name] = true
			s := d.Schemas[name]
			if s == nil {
				t.Errorf("%v: the OpenAPI has no schema %s", typ, name)
				continue
			}
			for property, p := range s.Properties {
				m, ok := ours[property]
				if !ok {
					t.Errorf("%v has no field for %s.%s", typ, name, property)
					continue
				}
				for _, problem := range d.compare(m, p, enums) {
					t.Errorf("%v, %s.%s: %s", typ, name, property, problem)
				}
			}
		}
		for property, m := range ours {
			in, required := 0, 0
			for _, name := range names {
				if p := d.Schemas[name].Properties[property]; p != nil {
					in++
					if p.Required {
						required++
					}
				}
			}
			if in == 0 {
				t.Errorf("%v.%s is in none of %v", typ, property, names)
			}
			if want := required == len(names) || requiredAnyway[names[0]+"."+property]; m.typ != nil && m.required != want {
				t.Errorf("%v.%s: required is %v, want %v", typ, property, m.required, want)
			}
		}
	}
	for name, s := range d.Schemas {
		if s.Kind == "object" && !covered[name] && !slices.Contains(rawSchemas, name) {
			t.Errorf("no Go type stands for schema %s", name)
		}
	}
}

// compare says how a member differs from a property. That the property may be
// null needs no counterpart: every member may (TestNullSurvives).
func (d *digest) compare(m member, p *schema, enums map[string][]string) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if m.typ == nil {
		if p.Const != m.constant && !(len(p.Enum) == 1 && p.Enum[0] == m.constant) {
			add("is always %q, want %v or one of %v", m.constant, p.Const, p.Enum)
		}
		return problems
	}
	want := slices.DeleteFunc(slices.Clone(p.Types), func(t string) bool { return t == "null" })
	if got := kindsOf(m.typ); !slices.Equal(got, want) {
		add("%v is %v on the wire, want %v", m.typ, got, want)
	}
	typ := m.typ
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if p.Ref != "" && d.Schemas[p.Ref].Kind == "object" && goTypes[typ] != nil && !slices.Contains(goTypes[typ], p.Ref) {
		add("%v does not stand for %s", typ, p.Ref)
	}
	if p.Items != nil && typ.Kind() == reflect.Slice && typ.Elem().Kind() != reflect.Interface {
		for _, problem := range d.compare(member{typ: typ.Elem()}, p.Items, enums) {
			add("item: %s", problem)
		}
	}
	if typ.Kind() != reflect.String || typ == reflect.TypeFor[mistral.Timestamp]() {
		return problems
	}
	values := p.Enum
	if p.Ref != "" {
		values = d.Schemas[p.Ref].Enum
	}
	if typ.PkgPath() == "" { // a plain string: nothing is promised
		return problems
	}
	var texts []string
	for _, v := range values {
		if v != nil {
			texts = append(texts, fmt.Sprint(v))
		}
	}
	slices.Sort(texts)
	// A stream has one reason less than a whole answer; the type is the same.
	if got := enums[typ.Name()]; !slices.Equal(got, texts) && !(typ.Name() == "FinishReason" && len(texts) == 4 && contains(got, texts)) {
		add("%v has the constants %v, want %v", typ, got, texts)
	}
	return problems
}

func contains(all, some []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}

// constants returns the values of the typed string constants of the package.
func constants(t *testing.T) map[string][]string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				typ, ok := v.Type.(*ast.Ident)
				if !ok {
					continue
				}
				text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				values[typ.Name] = append(values[typ.Name], text)
			}
		}
	}
	for _, v := range values {
		slices.Sort(v)
	}
	return values
}

// unspoken are endpoints, and parameters of endpoints, that the client does not
// use.
var unspoken = []string{
	"GET /v1/agents/pages", // Agents has pages too, by number
	"GET /v1/agents/{agent_id}/aliases", "PUT /v1/agents/{agent_id}/aliases", "DELETE /v1/agents/{agent_id}/aliases",
	"GET /v1/models model", "GET /v1/models provider",
}

// TestRequestsAgainstOpenAPI compares the requests of TestRequests with the
// endpoints, in both directions.
func TestRequestsAgainstOpenAPI(t *testing.T) {
	var d digest
	readJSON(t, "openapi.digest.json", &d)
	want := map[string]bool{}
	for _, e := range d.Endpoints {
		path, _, _ := strings.Cut(e.Path, "#")
		want[e.Method+" "+path] = true
		for name := range e.Query {
			want[e.Method+" "+path+" "+name] = true
		}
	}
	for _, name := range unspoken {
		if !want[name] {
			t.Errorf("the OpenAPI has no %s", name)
		}
		maps.DeleteFunc(want, func(k string, _ bool) bool { return k == name || strings.HasPrefix(k, name+" ") })
	}
	got := map[string]bool{}
	for _, r := range requests {
		endpoint := r.want.Method + " " + template(d, r.want.Path)
		got[endpoint] = true
		query, err := url.ParseQuery(r.want.Query)
		if err != nil {
			t.Fatal(err)
		}
		for name := range query {
			got[endpoint+" "+name] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("endpoints and their parameters (-OpenAPI +client):\n%s", diff)
	}
}

// template returns the path of the OpenAPI that a path is one of.
func template(d digest, path string) string {
	for _, e := range d.Endpoints {
		steps, of := strings.Split(path, "/"), strings.Split(e.Path, "/")
		same := len(steps) == len(of)
		for i := 0; same && i < len(steps); i++ {
			same = steps[i] == of[i] || strings.HasPrefix(of[i], "{") && !strings.Contains(of[i], "#")
		}
		if same {
			return e.Path
		}
	}
	return path
}

// TestUnionsAgainstOpenAPI decodes each variant that a union of the OpenAPI has.
func TestUnionsAgainstOpenAPI(t *testing.T) {
	var d digest
	readJSON(t, "openapi.digest.json", &d)
	goType := map[string]reflect.Type{}
	for typ, names := range goTypes {
		for _, name := range names {
			goType[name] = typ
		}
	}
	seen := 0
	for s := range d.unions() {
		for tag, name := range s.Discriminator.Mapping {
			if goType[name] == nil {
				continue // ConnectorTool.Authorization
			}
			got, err := decodeVariant(s.Discriminator.Property, tag, name)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if want := goType[name]; got != want {
				t.Errorf("%s %q is decoded as %v, want %v", s.Discriminator.Property, tag, got, want)
			}
			seen++
		}
	}
	if seen == 0 {
		t.Error("the digest has no unions")
	}
}

// unions returns every schema with a discriminator.
func (d *digest) unions() func(func(*schema) bool) {
	return func(yield func(*schema) bool) {
		var walk func(s *schema) bool
		walk = func(s *schema) bool {
			if s == nil {
				return true
			}
			if s.Discriminator != nil && !yield(s) {
				return false
			}
			for _, inner := range slices.Concat(s.Variants, []*schema{s.Items, s.Values}, slices.Collect(maps.Values(s.Properties))) {
				if !walk(inner) {
					return false
				}
			}
			return true
		}
		for _, s := range d.Schemas {
			if !walk(s) {
				return
			}
		}
	}
}

func decodeVariant(property, tag, name string) (reflect.Type, error) {
	text := fmt.Sprintf(`[{%q:%q}]`, property, tag)
	var err error
	var value any
	switch {
	case strings.HasSuffix(name, "ModelCard"):
		return reflect.TypeFor[mistral.Model](), nil // told by a field
	case property == "role":
		var all mistral.ChatMessages
		err = json.Unmarshal([]byte(text), &all)
		value = all[0]
	case strings.HasSuffix(name, "Event"):
		value, err = streamed(tag, text[1:len(text)-1])
	case strings.HasSuffix(name, "Chunk"):
		var all mistral.Chunks
		err = json.Unmarshal([]byte(text), &all)
		value = all[0]
	case strings.HasSuffix(name, "Entry"):
		var all mistral.Entries
		err = json.Unmarshal([]byte(text), &all)
		value = all[0]
	default:
		var all mistral.Tools
		err = json.Unmarshal([]byte(text), &all)
		value = all[0]
	}
	return reflect.TypeOf(value).Elem(), err
}

// TestNullSurvives sends every member through every type as null.
func TestNullSurvives(t *testing.T) {
	for typ := range goTypes {
		for name, m := range membersOf(typ) {
			if m.typ == nil {
				continue
			}
			v := reflect.New(typ).Interface()
			if err := json.Unmarshal([]byte(fmt.Sprintf(`{%q:null}`, name)), v); err != nil {
				t.Errorf("%v.%s: %v", typ, name, err)
				continue
			}
			text, err := json.Marshal(v)
			var got map[string]any
			if err == nil {
				err = json.Unmarshal(text, &got)
			}
			if value, ok := got[name]; err != nil || !ok || value != nil {
				t.Errorf("%v: %s came back as %s, %v", typ, name, text, err)
			}
		}
	}
}
