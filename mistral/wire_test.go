package mistral_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/mistral"
)

func TestEntriesRoundTrip(t *testing.T) {
	// Entries as the API sends them, in the order in which they are written.
	for _, in := range []string{
		`{"object":"entry","type":"message.input","created_at":"2025-06-01T10:00:00.120000Z","completed_at":null,"id":"msg_1","role":"user","content":"hi","prefix":false}`,
		`{"object":"entry","type":"message.input","role":"user","content":[{"type":"text","text":"a\"b"},{"type":"image_url","image_url":"data:x"},{"type":"image_url","image_url":{"url":"u","detail":null}}],"prefix":false}`,
		`{"object":"entry","type":"message.output","agent_id":null,"model":"m","id":"x","role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}],"signature":"s"},{"type":"new_kind","n":  1.0}]}`,
		`{"object":"entry","type":"function.call","id":"fc","tool_call_id":"a","name":"f","arguments":{"x": 1.50},"confirmation_status":"pending"}`,
		`{"object":"entry","type":"function.call","tool_call_id":"a","name":"f","arguments":"{\"x\": 1"}`,
		`{"object":"entry","type":"function.result","tool_call_id":"a","result":"é<&>"}`,
		`{"object":"entry","type":"tool.execution","name":"web_search","arguments":"{}","info":{"b":  2,"a":1},"later":[1, 2]}`,
		`{"object":"entry","type":"agent.handoff","previous_agent_id":"a","previous_agent_name":"A","next_agent_id":"b","next_agent_name":"B"}`,
		`{"type":"entry.of.tomorrow", "n": 1.0e2,  "s":"\u00e9"}`,
	} {
		var entries mistral.Entries
		if err := json.Unmarshal([]byte("["+in+"]"), &entries); err != nil {
			t.Errorf("decode %s: %v", in, err)
			continue
		}
		got, err := (mistral.Inputs{Entries: entries}).AppendJSON(nil)
		if err != nil {
			t.Errorf("encode %s: %v", in, err)
			continue
		}
		if want := "[" + in + "]"; string(got) != want {
			t.Errorf("round trip:\n got %s\nwant %s", got, want)
		}
	}
}

// The wire has some things in two forms, and each comes back as it was.
func TestRequestsRoundTrip(t *testing.T) {
	for _, in := range []string{
		`{"inputs":""}`, `{"inputs":[]}`, `{"inputs":null}`, `{}`, `{"store":false,"completion_args":{"stop":"a"}}`, `{"completion_args":{"stop":["a"]}}`,
		`{"completion_args":{"stop":[]}}`,
	} {
		var v mistral.AppendRequest
		if err := json.Unmarshal([]byte(in), &v); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got, err := json.Marshal(v); err != nil || string(got) != in {
			t.Errorf("%s came back as %s, %v", in, got, err)
		}
	}
	for in, want := range map[string]int{`""`: 1, `"a"`: 1, `[]`: 0} {
		var inputs mistral.Inputs
		if err := json.Unmarshal([]byte(in), &inputs); err != nil || len(inputs.List()) != want {
			t.Errorf("%s: List() = %v, %v, want %d", in, inputs.List(), err, want)
		}
	}
}

// The schemas give type a default, so clients may leave it out.
func TestValuesWithoutType(t *testing.T) {
	var entries mistral.Entries
	var chunks mistral.Chunks
	var tools mistral.Tools
	err := errors.Join(
		json.Unmarshal([]byte(`[{"role":"user","content":"a"},{"tool_call_id":"a","name":"f","arguments":{}},{"tool_call_id":"a","result":"b"},
			{"name":"web_search","arguments":"{}"},{"next_agent_id":"a"},{"new":1}]`), &entries),
		json.Unmarshal([]byte(`[{"text":"a"},{"new":1}]`), &chunks),
		json.Unmarshal([]byte(`[{"function":{"name":"f","parameters":{}}},{"new":1}]`), &tools),
	)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, e := range entries {
		got += fmt.Sprintf("%T ", e)
	}
	for _, c := range chunks {
		got += fmt.Sprintf("%T ", c)
	}
	for _, tool := range tools {
		got += fmt.Sprintf("%T ", tool)
	}
	want := "*mistral.MessageInput *mistral.FunctionCall *mistral.FunctionResult *mistral.ToolExecution *mistral.AgentHandoff *mistral.UnknownEntry " +
		"*mistral.TextChunk *mistral.UnknownChunk *mistral.FunctionTool *mistral.UnknownTool "
	if got != want {
		t.Errorf("decoded as %s\nwant       %s", got, want)
	}
}

// Everything that can be decoded is told malformed JSON, by whoever calls
// UnmarshalJSON.
func TestMalformedJSON(t *testing.T) {
	types := slices.Concat(slices.Collect(maps.Keys(goTypes)), slices.Collect(maps.Keys(unionKinds)), []reflect.Type{
		reflect.TypeFor[mistral.Entries](), reflect.TypeFor[mistral.Chunks](), reflect.TypeFor[mistral.Tools](), reflect.TypeFor[mistral.ChatMessages](),
	})
	for _, typ := range types {
		if typ == reflect.TypeFor[json.RawMessage]() {
			continue
		}
		for _, data := range []string{"", " ", `"`, `"a`, `"\x"`, `"a" "b"`, "{", `{"type":}`, "[", "[}", "[] x", "nul", "-"} {
			if err := reflect.New(typ).Interface().(json.Unmarshaler).UnmarshalJSON([]byte(data)); err == nil {
				t.Errorf("%v takes %q", typ, data)
			}
		}
	}
}

func TestNilListsComeBack(t *testing.T) {
	type saved struct {
		Entries  mistral.Entries
		Chunks   mistral.Chunks
		Tools    mistral.Tools
		Messages mistral.ChatMessages
	}
	data, err := json.Marshal(saved{})
	if err != nil {
		t.Fatal(err)
	}
	got := saved{Entries: mistral.Entries{}}
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, saved{}) {
		t.Errorf("%s is read as %+v, %v", data, got, err)
	}
}

func TestRawThatIsNoJSON(t *testing.T) {
	for _, raw := range []string{"{", "{} x", "x"} {
		for _, in := range []mistral.Entry{
			&mistral.UnknownEntry{Raw: json.RawMessage(raw)},
			&mistral.FunctionCall{Arguments: mistral.Arguments{Text: raw, Object: true}},
			&mistral.ToolExecution{Info: json.RawMessage(raw)},
			&mistral.MessageInput{Content: mistral.Content{Chunks: mistral.Chunks{&mistral.UnknownChunk{Raw: json.RawMessage(raw)}}}},
		} {
			if got, err := (mistral.Inputs{Entries: mistral.Entries{in}}).AppendJSON(nil); err == nil {
				t.Errorf("%T with %s is sent as %s", in, raw, got)
			}
		}
	}
}

// Each level of thoughts in thoughts is read anew, so that their number has to
// be bounded; what is beyond is kept as it is.
func TestThoughtsInThoughts(t *testing.T) {
	in := strings.Repeat(`{"type":"thinking","thinking":[`, 4000) + strings.Repeat(`]}`, 4000)
	var got mistral.Chunks
	if err := json.Unmarshal([]byte("["+in+"]"), &got); err != nil {
		t.Fatal(err)
	}
	unknown, ok := got[0].(*mistral.UnknownChunk)
	if !ok || unknown.Type != "thinking" || string(unknown.Raw) != in {
		t.Errorf("thoughts nested 4000 times are a %T", got[0])
	}
	if err := json.Unmarshal([]byte(`[{"type":"thinking","thinking":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}]`), &got); err != nil {
		t.Fatal(err)
	}
	if _, ok := got[0].(*mistral.ThinkChunk); !ok {
		t.Errorf("a thought in a thought is a %T", got[0])
	}
}
