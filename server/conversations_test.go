package server_test

import (
	"testing"
)

const start = "/v1/conversations"

func TestConversation(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(calls(`a1B2c3D4e get_location {"name":"John"}`))
	r := h.ok("POST", start, `{"model":"m","inputs":"Where is John?","instructions":"Be brief.","tools":[{"type":"function","function":{"name":"get_location","parameters":{"type":"object"}}}]}`)
	id := r.get("conversation_id")
	r.want("function.call", "outputs", 0, "type")
	r.want("entry", "outputs", 0, "object")
	r.want("a1B2c3D4e", "outputs", 0, "tool_call_id")

	h.model.add(says("In Paris."))
	r = h.ok("POST", start+"/"+id, `{"inputs":[{"object":"entry","type":"function.result","tool_call_id":"a1B2c3D4e","result":"Paris"}],"stream":false,"store":true,"handoff_execution":"server"}`)
	r.want(id, "conversation_id")
	r.want("In Paris.", "outputs", 0, "content")
	r.want("12", "usage", "total_tokens")

	want := `[{"role":"system","content":"Be brief."},{"role":"user","content":"Where is John?"},` +
		`{"role":"assistant","tool_calls":[{"id":"a1B2c3D4e","type":"function","function":{"name":"get_location","arguments":"{\"name\":\"John\"}"}}]},` +
		`{"role":"tool","content":"Paris","tool_call_id":"a1B2c3D4e","name":"get_location"}]`
	if got := h.model.last(t); got != want {
		t.Errorf("prompt:\n got %s\nwant %s", got, want)
	}

	h.model.add(`{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`,
		`{"choices":[{"index":0,"delta":{"content":"Bon"}}]}`, `{"choices":[{"index":0,"delta":{"content":"jour"}}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`)
	events, _ := h.stream(start+"/"+id, `{"inputs":"Say hello.","stream":true}`)
	for _, e := range events {
		t.Log(e.kind, e.body)
	}
	t.Log(h.ok("GET", start+"/"+id+"/history", "").body)
	t.Log(h.ok("GET", start+"/"+id, "").body)
	t.Log(h.ok("GET", start, "").body)
}
