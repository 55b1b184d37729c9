package server_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// Each request is answered 422 with a detail that has the place and the type,
// as the official SDKs parse it.
func TestInvalid(t *testing.T) {
	h := newHost(t, nil)
	id := h.start("Hi.")
	for _, test := range []struct{ method, path, body, loc, kind string }{
		{"POST", conversations, ``, `["body"]`, "missing"},
		{"POST", conversations, `{`, `["body"]`, "json_invalid"},
		{"POST", conversations, `{"model":"m"} x`, `["body"]`, "json_invalid"},
		{"POST", conversations, `[]`, `["body"]`, "dict_type"},
		{"POST", conversations, `{"model":"m","inputs":"x","metadata":{"a":"` + "\xff" + `"}}`, `["body"]`, "json_invalid"},
		{"POST", conversations, strings.Repeat("[", 100_000), `["body"]`, "json_invalid"},
		{"POST", conversations, `{"inputs":"x","agent_id":"a","agent_version":-1}`, `["body","agent_version"]`, "greater_than_equal"},
		{"POST", conversations, `{"inputs":"x","model":"m","completion_args":{"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":null}}}}`, `["body","completion_args","response_format","json_schema","schema"]`, "missing"},
		{"POST", conversations, `{"inputs":"x","model":"m","tools":[{"type":"function","function":{"name":"f","parameters":null}}]}`, `["body","tools",0,"function","parameters"]`, "missing"},
		{"POST", conversations, `{"inputs":[{"role":"user","content":null}],"model":"m"}`, `["body","inputs",0,"content"]`, "missing"},
		{"POST", conversations, `{"model":"m","inputs":[{"role":"user","content":"x","created_at":"9999-12-31T23:59:59-01:00"}]}`, `["body","inputs",0,"created_at"]`, "datetime_parsing"},
		{"POST", conversations + "/" + id + "/restart", `{"from_entry_id":"a","agent_version":-1}`, `["body","agent_version"]`, "greater_than_equal"},
		{"POST", agents, `{"name":"n","model":"m","guardrails":[{"block_on_error":null}]}`, `["body","guardrails",0,"block_on_error"]`, "bool_type"},
		{"POST", agents, `{"name":"n","model":"m","tools":[{"type":"connector","connector_id":"c","authorization":"secret"}]}`, `["body","tools",0,"authorization"]`, "dict_type"},
		{"POST", conversations, `{"model":"m"}`, `["body","inputs"]`, "missing"},
		{"POST", conversations, `{"model":"m","inputs":null}`, `["body","inputs"]`, "missing"},
		{"POST", conversations, `{"model":"m","inputs":[]}`, `["body","inputs"]`, "missing"},
		{"POST", conversations, `{"model":"m","inputs":5}`, `["body","inputs"]`, "value_error"},
		{"POST", conversations, `{"inputs":"x"}`, `["body","model"]`, "missing"},
		{"POST", conversations, `{"inputs":"x","model":"m","agent_id":"a"}`, `["body","agent_id"]`, "value_error"},
		{"POST", conversations, `{"inputs":"x","model":"m","agent_version":1}`, `["body","agent_version"]`, "value_error"},
		{"POST", conversations, `{"inputs":"x","agent_id":"a","instructions":"i"}`, `["body","instructions"]`, "value_error"},
		{"POST", conversations, `{"inputs":"x","agent_id":"a","tools":[` + locationTool + `]}`, `["body","tools"]`, "value_error"},
		{"POST", conversations, `{"inputs":"x","model":5}`, `["body","model"]`, "string_type"},
		{"POST", conversations, `{"inputs":"x","model":"m","stream":"yes"}`, `["body","stream"]`, "bool_type"},
		{"POST", conversations, `{"inputs":"x","model":"m","metadata":[]}`, `["body","metadata"]`, "dict_type"},
		{"POST", conversations, `{"inputs":"x","model":"m","handoff_execution":"me"}`, `["body","handoff_execution"]`, "enum"},
		{"POST", conversations, `{"inputs":"x","model":"m","completion_args":{"temperature":1.1}}`, `["body","completion_args","temperature"]`, "less_than_equal"},
		{"POST", conversations, `{"inputs":"x","model":"m","completion_args":{"top_p":-1}}`, `["body","completion_args","top_p"]`, "greater_than_equal"},
		{"POST", conversations, `{"inputs":"x","model":"m","completion_args":{"presence_penalty":3}}`, `["body","completion_args","presence_penalty"]`, "less_than_equal"},
		{"POST", conversations, `{"inputs":"x","model":"m","completion_args":{"max_tokens":-1}}`, `["body","completion_args","max_tokens"]`, "greater_than_equal"},
		{"POST", conversations, `{"inputs":"x","model":"m","completion_args":{"max_tokens":1.5}}`, `["body","completion_args","max_tokens"]`, "int_type"},
		{"POST", conversations, `{"inputs":"x","model":"m","completion_args":{"tool_choice":"maybe"}}`, `["body","completion_args","tool_choice"]`, "enum"},
		{"POST", conversations, `{"inputs":"x","model":"m","completion_args":{"n":2}}`, `["body","completion_args","n"]`, "extra_forbidden"},
		{"POST", conversations, `{"inputs":"x","model":"m","completion_args":{"response_format":{"type":"xml"}}}`, `["body","completion_args","response_format","type"]`, "enum"},
		{"POST", conversations, `{"inputs":"x","model":"m","completion_args":{"response_format":{"type":"json_schema"}}}`, `["body","completion_args","response_format","json_schema"]`, "missing"},
		{"POST", conversations, `{"inputs":"x","model":"m","tools":[{"type":"function","function":{"name":"f"}}]}`, `["body","tools",0,"function","parameters"]`, "missing"},
		{"POST", conversations, `{"inputs":"x","model":"m","tools":[{"type":"function","function":{"name":"a b","parameters":{}}}]}`, `["body","tools",0,"function","name"]`, "string_pattern_mismatch"},
		{"POST", conversations, `{"inputs":"x","model":"m","tools":[` + locationTool + `,` + locationTool + `]}`, `["body","tools",1,"function","name"]`, "value_error"},
		{"POST", conversations, `{"inputs":"x","model":"m","tools":[{"type":"teapot"}]}`, `["body","tools",0]`, "union_tag_invalid"},
		{"POST", conversations, `{"model":"m","inputs":[{"type":"poem"}]}`, `["body","inputs",0]`, "union_tag_invalid"},
		{"POST", conversations, `{"model":"m","inputs":[{"role":"king","content":"x"}]}`, `["body","inputs",0,"role"]`, "enum"},
		{"POST", conversations, `{"model":"m","inputs":[{"type":"function.result","tool_call_id":"a"}]}`, `["body","inputs",0,"result"]`, "missing"},
		{"POST", conversations, `{"model":"m","inputs":[{"role":"user","content":"x","mood":"good"}]}`, `["body","inputs",0,"mood"]`, "extra_forbidden"},
		{"POST", conversations, `{"model":"m","inputs":[{"role":"user","content":[{"type":"smell"}]}]}`, `["body","inputs",0,"content",0]`, "union_tag_invalid"},
		{"POST", conversations, `{"model":"m","inputs":[{"role":"user","content":[{"type":"tool_reference","tool":"t","title":"t"}]}]}`, `["body","inputs",0,"content",0]`, "union_tag_invalid"},
		{"POST", conversations, `{"model":"m","inputs":[{"role":"user","content":"x","created_at":"today"}]}`, `["body","inputs",0,"created_at"]`, "datetime_parsing"},
		{"POST", conversations + "/" + id, `{"inputs":"x","tools":[]}`, `["body","tools"]`, "extra_forbidden"},
		{"POST", conversations + "/" + id, `{"inputs":"x","model":"m"}`, `["body","model"]`, "extra_forbidden"},
		{"POST", conversations, `{"model":"m","inputs":[{"role":"user","content":[{"type":"thinking","thinking":[{"type":"smell"}]}]}]}`, `["body","inputs",0,"content",0,"thinking",0]`, "union_tag_invalid"},
		{"GET", conversations + "?page=1;page_size=2", ``, `["query"]`, "value_error"},
		{"GET", "/v1/models?model=%zz", ``, `["query"]`, "value_error"},
		{"GET", agents + "/ag_1?agent_version=%zz", ``, `["query"]`, "value_error"},
		{"POST", agents, `{"name":"n"}`, `["body","model"]`, "missing"},
		{"POST", agents, `{"name":"","model":"m"}`, `["body","name"]`, "string_too_short"},
		{"POST", agents, `{"name":"n","model":"m","handoffs":[]}`, `["body","handoffs"]`, "too_short"},
		{"POST", agents, `{"name":"n","model":"m","handoffs":["ag_0"]}`, `["body","handoffs",0]`, "value_error"},
		{"POST", agents, `{"name":"n","model":"m","colour":"red"}`, `["body","colour"]`, "extra_forbidden"},
		{"POST", agents, `{"name":"n","model":"m","tools":[{"type":"document_library","library_ids":[]}]}`, `["body","tools",0,"library_ids"]`, "too_short"},
		{"POST", agents, `{"name":"n","model":"m","tools":[{"type":"web_search","tool_configuration":{"include":[],"exclude":[]}}]}`, `["body","tools",0,"tool_configuration"]`, "value_error"},
		{"POST", agents, `{"name":"n","model":"m","version_message":"` + strings.Repeat("é", 501) + `"}`, `["body","version_message"]`, "string_too_long"},
	} {
		status, body := h.do(test.method, test.path, test.body)
		var got struct {
			Detail []struct {
				Loc       json.RawMessage
				Msg, Type string
			}
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 422 || len(got.Detail) == 0 {
			t.Errorf("%s %s: status %d, %v: %s", test.path, test.body, status, err, body)
			continue
		}
		if d := got.Detail[0]; string(d.Loc) != test.loc || d.Type != test.kind || d.Msg == "" {
			t.Errorf("%s %s: detail %s, want %s at %s", test.path, test.body, body, test.kind, test.loc)
		}
	}
	if len(h.model.asked) != 1 {
		t.Errorf("the model was asked %d times, want once", len(h.model.asked))
	}
}

// An answer does not grow with the faults of a request.
func TestManyFaults(t *testing.T) {
	h := newHost(t, nil)
	for _, entry := range []string{`1`, `{"role":"user","content":"x","mood":1}`} {
		_, body := h.do("POST", conversations, `{"model":"m","inputs":[`+strings.Repeat(entry+",", 1000)+entry+`]}`)
		a := answer{t, body}
		if a.get("detail", 99) == "" || a.get("detail", 100) != "" {
			t.Errorf("%s: the answer has not 100 details: %.200s", entry, body)
		}
	}
}

// A start takes members that it does not know, as the hosted API does, and does
// not keep them.
func TestStartTakesUnknownMembers(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(says("Hi."))
	id := h.ok("POST", conversations, `{"model":"m","inputs":"x","colour":"red"}`).get("conversation_id")
	h.ok("GET", conversations+"/"+id, "").want("", "colour")
}
