package model_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server/model"
)

const tools = `"tools":[{"type":"function","function":{"name":"search","parameters":{"type":"object"}}}]`

// Each row is one of Dialect's table: what a request says, and what the
// dialects make of it. The model and, unless named, the messages are left out.
var dialects = []struct {
	name, request   string
	mistral, openAI string
}{
	{"plain", `{"temperature":0.5,"max_tokens":9}`, `{"temperature":0.5,"max_tokens":9}`, `{"temperature":0.5,"max_tokens":9}`},
	{"seed", `{"random_seed":7}`, `{"random_seed":7}`, `{"seed":7}`},
	{"unknown members", `{"top_k":3,"random_seed":7}`, `{"top_k":3,"random_seed":7}`, `{"top_k":3,"seed":7}`},
	{"metadata", `{"metadata":{"a":1}}`, `{"metadata":{"a":1}}`, `{}`},
	{
		"schema",
		`{"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object"},"strict":true}}}`,
		`{"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object"},"strict":true}}}`,
		`{"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object"},"strict":true}}}`,
	},
	{"any tool", `{` + tools + `,"tool_choice":"any"}`, `{` + tools + `,"tool_choice":"any"}`, `{` + tools + `,"tool_choice":"required"}`},
	{"auto", `{` + tools + `,"tool_choice":"auto"}`, `{` + tools + `,"tool_choice":"auto"}`, `{` + tools + `,"tool_choice":"auto"}`},
	{"no tool", `{` + tools + `,"tool_choice":"none","parallel_tool_calls":false}`, `{` + tools + `,"tool_choice":"none","parallel_tool_calls":false}`, `{}`},
	{
		"one tool",
		`{` + tools + `,"tool_choice":{"type":"function","function":{"name":"search"}}}`,
		`{` + tools + `,"tool_choice":{"type":"function","function":{"name":"search"}}}`,
		`{` + tools + `,"tool_choice":{"type":"function","function":{"name":"search"}}}`,
	},
	{"a choice among none", `{"tools":[],"tool_choice":"auto"}`, `{"tools":[],"tool_choice":"auto"}`, `{}`},
	{
		"prefix",
		`{"messages":[{"role":"user","content":"?"},{"role":"assistant","content":"Well,","prefix":true}]}`,
		`{"messages":[{"role":"user","content":"?"},{"role":"assistant","content":"Well,","prefix":true}]}`,
		`{"messages":[{"role":"user","content":"?"},{"role":"assistant","content":"Well,"}],"continue_final_message":true,"add_generation_prompt":false}`,
	},
	{
		"text chunks",
		`{"messages":[{"role":"system","content":[{"type":"text","text":"Be "},{"type":"text","text":"brief."}]},{"role":"user","content":[{"type":"text","text":"Hi"}]}]}`,
		`{"messages":[{"role":"system","content":[{"type":"text","text":"Be "},{"type":"text","text":"brief."}]},{"role":"user","content":[{"type":"text","text":"Hi"}]}]}`,
		`{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]}`,
	},
	{
		"images",
		`{"messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":"data:image/png;base64,AA=="},{"type":"image_url","image_url":{"url":"http://a/b.png","detail":"low"}}]}]}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":"data:image/png;base64,AA=="},{"type":"image_url","image_url":{"url":"http://a/b.png","detail":"low"}}]}]}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"auto"}},{"type":"image_url","image_url":{"url":"http://a/b.png","detail":"low"}}]}]}`,
	},
	{
		"thoughts and references",
		`{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]},{"type":"text","text":"Yes."},{"type":"reference","reference_ids":[1]}]}]}`,
		`{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]},{"type":"text","text":"Yes."},{"type":"reference","reference_ids":[1]}]}]}`,
		`{"messages":[{"role":"assistant","content":"Yes."}]}`,
	},
	{
		"calls",
		`{"messages":[{"role":"assistant","tool_calls":[{"id":"WJfo42Ow3","type":"function","function":{"name":"a","arguments":{"x":1}},"index":1}]},{"role":"tool","content":[{"type":"text","text":"2"}],"tool_call_id":"WJfo42Ow3","name":"a"}]}`,
		`{"messages":[{"role":"assistant","tool_calls":[{"id":"WJfo42Ow3","type":"function","function":{"name":"a","arguments":"{\"x\":1}"}}]},{"role":"tool","content":[{"type":"text","text":"2"}],"tool_call_id":"WJfo42Ow3","name":"a"}]}`,
		`{"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"WJfo42Ow3","type":"function","function":{"name":"a","arguments":"{\"x\":1}"}}]},{"role":"tool","content":"2","tool_call_id":"WJfo42Ow3","name":"a"}]}`,
	},
	{
		"long ids",
		`{"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"call_hk81qg8b","type":"function","function":{"name":"a","arguments":"{}"}}]},{"role":"tool","content":"2","tool_call_id":"call_hk81qg8b"}]}`,
		`{"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"ID","type":"function","function":{"name":"a","arguments":"{}"}}]},{"role":"tool","content":"2","tool_call_id":"ID"}]}`,
		`{"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"ID","type":"function","function":{"name":"a","arguments":"{}"}}]},{"role":"tool","content":"2","tool_call_id":"ID"}]}`,
	},
	{
		"malformed arguments",
		`{"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"WJfo42Ow3","type":"function","function":{"name":"a","arguments":"{\"x\":"}},{"id":"NqCFiwvSV","type":"function","function":{"name":"a","arguments":"[1]"}}]}]}`,
		`{"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"WJfo42Ow3","type":"function","function":{"name":"a","arguments":"{}"}},{"id":"NqCFiwvSV","type":"function","function":{"name":"a","arguments":"{}"}}]}]}`,
		`{"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"WJfo42Ow3","type":"function","function":{"name":"a","arguments":"{}"}},{"id":"NqCFiwvSV","type":"function","function":{"name":"a","arguments":"{}"}}]}]}`,
	},
}

func TestDialectRequests(t *testing.T) {
	for _, test := range dialects {
		t.Run(test.name, func(t *testing.T) {
			req := requestOf(t, test.request)
			before := string(marshal(t, req))
			for dialect, want := range map[model.Dialect]string{model.DialectMistral: test.mistral, model.DialectOpenAI: test.openAI} {
				c, got := chatTo(t, reply{200, "application/json", `{"choices":[{"message":{"content":"Hello."}}]}`})
				c.Dialect = dialect
				if _, err := c.Complete(t.Context(), req); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(members(t, want), withoutModel(t, got.body)); diff != "" {
					t.Errorf("%s request (-want +got):\n%s", dialect, diff)
				}
			}
			if after := string(marshal(t, req)); after != before {
				t.Errorf("the request was changed to\n%s, was\n%s", after, before)
			}
		})
	}
}

func TestDialectStreamOptions(t *testing.T) {
	for dialect, want := range map[model.Dialect]any{
		model.DialectMistral: nil,
		model.DialectOpenAI:  map[string]any{"include_usage": true},
	} {
		c, got := chatTo(t, reply{200, streamType, "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"})
		c.Dialect = dialect
		if _, err := fromStream(t, c.Stream(t.Context(), ask("?"))); err != nil {
			t.Fatal(err)
		}
		body := members(t, got.body)
		if diff := cmp.Diff(want, body["stream_options"]); diff != "" || body["stream"] != true {
			t.Errorf("%s: stream is %v, stream_options (-want +got):\n%s", dialect, body["stream"], diff)
		}
	}
}

func TestDialectRefuses(t *testing.T) {
	for request, want := range map[string]string{
		`{"guardrails":[{}]}`:         "guardrails",
		`{"safe_prompt":true}`:        "safe_prompt",
		`{"prompt_mode":"reasoning"}`: "prompt_mode",
		`{"messages":[{"role":"user","content":[{"type":"document_url","document_url":"http://a/b.pdf"}]}]}`: "document_url",
		`{"messages":[{"role":"user","content":[{"type":"hologram"}]}]}`:                                     "hologram",
	} {
		req := requestOf(t, request)
		c := &model.Chat{BaseURL: "http://127.0.0.1:1"}
		_, err := c.Complete(t.Context(), req)
		if statusOf(err) != 400 || !strings.Contains(err.Error(), want) {
			t.Errorf("Complete(%s) returned %v, want an error with status 400 that names %s", request, err, want)
		}
		c, _ = chatTo(t, reply{200, "application/json", `{"choices":[{"message":{"content":"Hello."}}]}`})
		c.Dialect = model.DialectMistral
		if _, err := c.Complete(t.Context(), req); err != nil {
			t.Errorf("Complete(%s) for Mistral returned %v", request, err)
		}
	}
}

// The host tells the dialect, unless the field does.
func TestDialectOfHost(t *testing.T) {
	for base, wantSeed := range map[string]string{
		"https://api.mistral.ai/v1":          "random_seed",
		"https://eu.api.mistral.ai":          "random_seed",
		"https://api.mistral.ai.example/v1":  "seed",
		"https://codestral.mistral.ai/v1":    "random_seed",
		"http://127.0.0.1:11434/v1":          "seed",
		"https://example.com/api.mistral.ai": "seed",
	} {
		c, got := chatTo(t, reply{200, "application/json", `{"choices":[{"message":{"content":"Hello."}}]}`})
		c.HTTPClient = redirected(c.BaseURL, c.HTTPClient)
		c.BaseURL, c.Key = base, "some key"
		if _, err := c.Complete(t.Context(), requestOf(t, `{"random_seed":7}`)); err != nil {
			t.Fatal(err)
		}
		if _, ok := members(t, got.body)[wantSeed]; !ok {
			t.Errorf("%s got %s, want %s", base, got.body, wantSeed)
		}
	}
}

// requestOf returns a request with the members, and with one message if they
// have none.
func requestOf(t *testing.T, text string) *mistral.ChatRequest {
	t.Helper()
	req := ask("?")
	messages := req.Messages
	if err := json.Unmarshal([]byte(text), req); err != nil {
		t.Fatal(err)
	}
	req.Model = "some-model"
	if req.Messages == nil {
		req.Messages = messages
	}
	return req
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func members(t *testing.T, text string) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// withoutModel returns the members of a request that a row of the table tells
// of. An id that was made short is named ID.
func withoutModel(t *testing.T, body string) map[string]any {
	t.Helper()
	m := members(t, body)
	delete(m, "model")
	delete(m, "stream")
	messages := m["messages"].([]any)
	if cmp.Equal(messages, []any{map[string]any{"role": "user", "content": "?"}}) {
		delete(m, "messages")
	}
	for _, message := range messages {
		message := message.(map[string]any)
		rename(t, message, "tool_call_id")
		calls, _ := message["tool_calls"].([]any)
		for _, c := range calls {
			rename(t, c.(map[string]any), "id")
		}
	}
	return m
}

func rename(t *testing.T, m map[string]any, name string) {
	t.Helper()
	id, ok := m[name].(string)
	if !ok || known[id] {
		return
	}
	if !shortID.MatchString(id) {
		t.Errorf("%s is %q, want nine letters and digits", name, id)
	}
	m[name] = "ID"
}
