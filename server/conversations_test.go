package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/sqlite"
)

const (
	conversations = "/v1/conversations"
	locationTool  = `{"type":"function","function":{"name":"get_location","parameters":{"type":"object"}}}`
)

// start starts a conversation of a model that says the text.
func (h *host) start(text string) (id string) {
	h.t.Helper()
	h.model.add(says(text))
	return h.ok("POST", conversations, `{"model":"m","inputs":"Hello."}`).get("conversation_id")
}

// history returns the entries of a conversation, each as "type content".
func (h *host) history(id string) (entries []string) {
	h.t.Helper()
	a := h.ok("GET", conversations+"/"+id+"/history", "")
	for i := 0; a.get("entries", i) != ""; i++ {
		text := ""
		for _, member := range []string{"content", "name", "result"} {
			text += a.get("entries", i, member)
		}
		entries = append(entries, a.get("entries", i, "type")+" "+text)
	}
	return entries
}

func (h *host) wantHistory(id string, want ...string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.history(id)); diff != "" {
		h.t.Errorf("history of %s (-want +got):\n%s", id, diff)
	}
}

func (h *host) wantPrompt(want string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.model.last(h.t)); diff != "" {
		h.t.Errorf("prompt (-want +got):\n%s", diff)
	}
}

func TestConversation(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(calls(`a1B2c3D4e get_location {"name":"John"}`))
	r := h.ok("POST", conversations, `{"model":"m","inputs":"Where is John?","instructions":"Be brief.","tools":[`+locationTool+`]}`)
	id := r.get("conversation_id")
	for _, member := range []string{"created_at", "completed_at"} {
		if r.get("outputs", 0, member) == "" {
			t.Errorf("the call has no %s: %s", member, r.body)
		}
	}
	r.want("conversation.response", "object")
	r.want("function.call", "outputs", 0, "type")
	r.want("entry", "outputs", 0, "object")
	r.want("a1B2c3D4e", "outputs", 0, "tool_call_id")
	r.want(`{"name":"John"}`, "outputs", 0, "arguments")

	h.model.add(says("In Paris."))
	r = h.ok("POST", conversations+"/"+id, `{"inputs":[{"object":"entry","type":"function.result","tool_call_id":"a1B2c3D4e","result":"Paris"}],"stream":false,"store":true,"handoff_execution":"server"}`)
	r.want(id, "conversation_id")
	r.want("In Paris.", "outputs", 0, "content")
	r.want(`{"completion_tokens":2,"prompt_tokens":10,"total_tokens":12}`, "usage")
	h.wantPrompt(`[{"role":"system","content":"Be brief."},{"role":"user","content":"Where is John?"},` +
		`{"role":"assistant","tool_calls":[{"id":"a1B2c3D4e","type":"function","function":{"name":"get_location","arguments":"{\"name\":\"John\"}"}}]},` +
		`{"role":"tool","content":"Paris","tool_call_id":"a1B2c3D4e","name":"get_location"}]`)

	h.wantHistory(id, "message.input Where is John?", "function.call get_location", "function.result Paris", "message.output In Paris.")
	m := h.ok("GET", conversations+"/"+id+"/messages", "")
	m.want("conversation.messages", "object")
	m.want("In Paris.", "messages", 1, "content")
	m.want("", "messages", 2)
}

// Everything that goes out obeys the official SDKs: each entry has its type,
// object, id and moments with six digits, and where the schema has no null,
// there is none.
func TestShapes(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(says("Yes."))
	id := h.ok("POST", conversations, `{"model":"m","inputs":[{"role":"user","content":"Yes?","created_at":null,"prefix":null}],"stream":null,"store":null,
		"tools":null,"completion_args":null,"guardrails":null,"name":null,"description":null,"metadata":null,"agent_id":null,"agent_version":null,
		"handoff_execution":null,"instructions":null}`).get("conversation_id")
	c := h.ok("GET", conversations+"/"+id, "")
	c.want("conversation", "object")
	c.want("[]", "tools")
	c.want("{}", "completion_args")
	c.want("m", "model")
	c.want("", "agent_id")
	moment := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)
	a := h.ok("GET", conversations+"/"+id+"/history", "")
	a.want("conversation.history", "object")
	a.want(id, "conversation_id")
	for i := range 2 {
		a.want("entry", "entries", i, "object")
		for _, member := range []string{"created_at", "completed_at"} {
			if got := a.get("entries", i, member); !moment.MatchString(got) {
				t.Errorf("entry %d: %s is %q", i, member, got)
			}
		}
		if got := a.get("entries", i, "id"); !regexp.MustCompile(`^msg_[0-9a-f]{32}$`).MatchString(got) {
			t.Errorf("entry %d: id is %q", i, got)
		}
	}
	if strings.Contains(a.body, "null") {
		t.Errorf("history has a null: %s", a.body)
	}

	ag := h.ok("POST", "/v1/agents", `{"model":"m","name":"n","description":null,"completion_args":{"tool_choice":null,"stop":null},
		"tools":[{"type":"function","function":{"name":"f","parameters":{},"description":null}}]}`)
	ag.want("{}", "completion_args")
	ag.want(`{"name":"f","parameters":{}}`, "tools", 0, "function")
	ag.want("function", "tools", 0, "type")
}

func TestStream(t *testing.T) {
	h := newHost(t, nil)
	id := h.start("Hi.")
	h.model.add(
		`{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`,
		`{"choices":[{"index":0,"delta":{"content":"Let me "}}]}`,
		`{"choices":[{"index":0,"delta":{"content":"look."}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"AAAAAAAA1","function":{"name":"f","arguments":""}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"AAAAAAAA2","function":{"name":"g","arguments":""}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
		`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`)
	events, _ := h.stream(conversations+"/"+id, `{"inputs":"Look it up.","stream":true}`)

	var got []string
	ids := map[string]string{}
	for _, e := range events {
		line := e.kind
		if index := e.get("output_index"); index != "" {
			line += " " + index + " " + e.get("name") + e.get("tool_call_id") + " " + e.get("content") + e.get("arguments")
			if before, ok := ids[index]; ok && before != e.get("id") {
				t.Errorf("events of output %s have ids %s and %s", index, before, e.get("id"))
			}
			ids[index] = e.get("id")
		}
		got = append(got, line)
	}
	want := []string{
		"conversation.response.started",
		"message.output.delta 0  Let me ",
		"message.output.delta 0  look.",
		`function.call.delta 1 fAAAAAAAA1 {"x"`,
		`function.call.delta 1 fAAAAAAAA1 :1}`,
		`function.call.delta 2 gAAAAAAAA2 {}`,
		"conversation.response.done",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	events[0].want(id, "conversation_id")
	events[len(events)-1].want("3", "usage", "total_tokens")

	a := h.ok("GET", conversations+"/"+id+"/history", "")
	for i, index := range []string{"0", "1", "2"} {
		a.want(ids[index], "entries", 3+i, "id")
	}
	a.want("Let me look.", "entries", 3, "content")
	a.want(`{"x":1}`, "entries", 4, "arguments")
	a.want(`{}`, "entries", 5, "arguments")
}

// fullDisk is a store that can begin conversations but not go on with them.
type fullDisk struct{ *sqlite.Store }

func (fullDisk) AppendEntries(context.Context, string, int, mistral.Entries, mistral.Timestamp) error {
	return errors.New("disk is full")
}

// done comes after the commit: what cannot be stored is not acknowledged.
func TestDoneIsAfterTheCommit(t *testing.T) {
	h := newHostOver(t, nil, func(s *sqlite.Store) server.Store { return fullDisk{s} })
	path := conversations + "/" + h.start("Hi.")
	h.model.add(says("Sure."))
	events, _ := h.stream(path, `{"inputs":"Again.","stream":true}`)
	var told []string
	for _, e := range events {
		told = append(told, e.kind)
	}
	if diff := cmp.Diff([]string{"conversation.response.started", "message.output.delta", "conversation.response.error"}, told); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	h.model.add(says("Sure."))
	h.fails("POST", path, `{"inputs":"Again."}`, 500, "server_error")
}

func TestEntryTypes(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(says("Fine."))
	r := h.ok("POST", conversations, `{"model":"m","inputs":[
		{"role":"user","content":[{"text":"Search, "},{"type":"image_url","image_url":"data:x"}]},
		{"object":"entry","type":"tool.execution","id":"tool_exec_1","name":"web_search","arguments":"{\"q\":1}","info":{"n": 1},"function":"web_search"},
		{"type":"message.output","content":[{"type":"text","text":"Found "},{"type":"tool_reference","tool":"web_search","title":"T","url":"http://t","source":"brave"}]},
		{"type":"agent.handoff","previous_agent_id":"a","previous_agent_name":"A","next_agent_id":"b","next_agent_name":"B"},
		{"role":"user","content":"Call both."},
		{"type":"message.output","role":"assistant","content":"Calling."},
		{"tool_call_id":"c1","name":"f","arguments":{"x": 1.0}},
		{"type":"function.call","tool_call_id":"c2","name":"g","arguments":"not json"},
		{"tool_call_id":"c2","result":"two"},
		{"tool_call_id":"c1","result":"one"},
		{"role":"user","content":"And now?"}]}`)
	h.wantPrompt(`[{"role":"user","content":[{"type":"text","text":"Search, "},{"type":"image_url","image_url":"data:x"}]},` +
		`{"role":"assistant","tool_calls":[{"id":"x65021cea","type":"function","function":{"name":"web_search","arguments":"{\"q\":1}"}}]},` +
		`{"role":"tool","content":"{\"n\": 1}","tool_call_id":"x65021cea","name":"web_search"},` +
		`{"role":"assistant","content":"Found [T](http://t)"},` +
		`{"role":"user","content":"Call both."},` +
		`{"role":"assistant","content":"Calling.","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\": 1.0}"}},` +
		`{"id":"c2","type":"function","function":{"name":"g","arguments":"{\"malformed_arguments\":\"not json\"}"}}]},` +
		`{"role":"tool","content":"two","tool_call_id":"c2","name":"g"},{"role":"tool","content":"one","tool_call_id":"c1","name":"f"},` +
		`{"role":"assistant","content":"OK."},{"role":"user","content":"And now?"}]`)
	a := h.ok("GET", conversations+"/"+r.get("conversation_id")+"/history", "")
	for i, kind := range []string{"message.input", "tool.execution", "message.output", "agent.handoff", "message.input", "message.output",
		"function.call", "function.call", "function.result", "function.result", "message.input", "message.output"} {
		a.want(kind, "entries", i, "type")
	}
	a.want("tool_exec_1", "entries", 1, "id")
	a.want(`{"x":1.0}`, "entries", 6, "arguments")
}

func TestStoreFalse(t *testing.T) {
	h := newHost(t, nil)
	for _, stream := range []bool{false, true} {
		h.model.add(says("Hi."))
		body := fmt.Sprintf(`{"model":"m","inputs":"Hello.","store":false,"stream":%v}`, stream)
		var id string
		if stream {
			events, _ := h.stream(conversations, body)
			id = events[0].get("conversation_id")
		} else {
			id = h.ok("POST", conversations, body).get("conversation_id")
		}
		h.fails("GET", conversations+"/"+id, "", 404, id)
		h.fails("POST", conversations+"/"+id, `{"inputs":"More."}`, 404, id)
	}
	h.ok("GET", conversations, "").want("[]")

	id := h.start("Hi.")
	h.model.add(says("Not kept."))
	h.ok("POST", conversations+"/"+id, `{"inputs":"More.","store":false}`).want("Not kept.", "outputs", 0, "content")
	h.wantPrompt(`[{"role":"user","content":"Hello."},{"role":"assistant","content":"Hi."},{"role":"user","content":"More."}]`)
	h.wantHistory(id, "message.input Hello.", "message.output Hi.")
}

func TestRestart(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(says("One."))
	id := h.ok("POST", conversations, `{"model":"m","inputs":"1","name":"n","metadata":{"a":1},"instructions":"i"}`).get("conversation_id")
	h.model.add(says("Two."))
	h.ok("POST", conversations+"/"+id, `{"inputs":"2"}`)
	anchor := h.ok("GET", conversations+"/"+id+"/history", "").get("entries", 1, "id")

	h.model.add(says("Other."))
	r := h.ok("POST", conversations+"/"+id+"/restart", `{"inputs":"two","from_entry_id":"`+anchor+`"}`)
	other := r.get("conversation_id")
	if other == id {
		t.Error("the restart has the conversation's id")
	}
	h.wantPrompt(`[{"role":"system","content":"i"},{"role":"user","content":"1"},{"role":"assistant","content":"One."},{"role":"user","content":"two"}]`)
	h.wantHistory(other, "message.input 1", "message.output One.", "message.input two", "message.output Other.")
	h.wantHistory(id, "message.input 1", "message.output One.", "message.input 2", "message.output Two.")
	c := h.ok("GET", conversations+"/"+other, "")
	c.want("n", "name")
	c.want(`{"a":1}`, "metadata")

	// A restart at the user's words asks the model again.
	first := h.ok("GET", conversations+"/"+id+"/history", "").get("entries", 0, "id")
	h.model.add(says("Again."))
	events, _ := h.stream(conversations+"/"+id+"/restart", `{"from_entry_id":"`+first+`","stream":true,"metadata":{}}`)
	h.wantHistory(events[0].get("conversation_id"), "message.input 1", "message.output Again.")

	h.fails("POST", conversations+"/"+id+"/restart", `{"inputs":"x","from_entry_id":"msg_0"}`, 404, "msg_0")
	h.fails("POST", conversations+"/conv_0/restart", `{"inputs":"x","from_entry_id":"msg_0"}`, 404, "conv_0")
	h.fails("POST", conversations+"/"+id+"/restart", `{"inputs":"x"}`, 422, `"loc":["body","from_entry_id"]`, `"type":"missing"`)
	h.fails("POST", conversations+"/"+id+"/restart", `{"inputs":"x","from_entry_id":"a","tool_confirmations":[]}`, 422, "extra_forbidden")
	h.fails("POST", conversations+"/"+id+"/restart", `{"from_entry_id":"`+anchor+`"}`, 400, "the last entry must be")
}

func TestRestartAtACall(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(calls("AAAAAAAA1 f {}", "AAAAAAAA2 g {}"))
	id := h.ok("POST", conversations, `{"model":"m","inputs":"1"}`).get("conversation_id")
	a := h.ok("GET", conversations+"/"+id+"/history", "")
	first, second := a.get("entries", 1, "id"), a.get("entries", 2, "id")

	h.fails("POST", conversations+"/"+id+"/restart", `{"inputs":"x","from_entry_id":"`+first+`"}`, 400, "3230", "AAAAAAAA1")
	h.fails("POST", conversations+"/"+id+"/restart", `{"inputs":[{"tool_call_id":"AAAAAAAA1","result":"r"}],"from_entry_id":"`+second+`"}`, 400, "3230", "AAAAAAAA2")
	h.model.add(says("Done."))
	r := h.ok("POST", conversations+"/"+id+"/restart", `{"inputs":[{"tool_call_id":"AAAAAAAA1","result":"r"}],"from_entry_id":"`+first+`"}`)
	h.wantHistory(r.get("conversation_id"), "message.input 1", "function.call f", "function.result r", "message.output Done.")
}

func TestCallsAndResults(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(calls("AAAAAAAA1 f {}", "AAAAAAAA2 g {}"))
	id := h.ok("POST", conversations, `{"model":"m","inputs":"1"}`).get("conversation_id")
	result := func(id string) string { return `{"tool_call_id":"` + id + `","result":"r"}` }
	one, two, other := result("AAAAAAAA1"), result("AAAAAAAA2"), result("other")
	message := "Not the same number of function calls and responses"
	for _, test := range []struct{ inputs, names string }{
		{`"Never mind."`, "AAAAAAAA1, AAAAAAAA2"},
		{`[]`, "AAAAAAAA1, AAAAAAAA2"},
		{`[` + one + `]`, "AAAAAAAA2"},
		{`[` + one + `,` + two + `,` + other + `]`, "other"},
		{`[` + one + `,` + two + `,` + one + `]`, "AAAAAAAA1"},
		{`[` + one + `,{"role":"user","content":"x"},` + two + `]`, "AAAAAAAA2"},
	} {
		h.fails("POST", conversations+"/"+id, `{"inputs":`+test.inputs+`}`, 400,
			`"object":"error"`, message, test.names, `"type":"invalid_request_error"`, `"code":3230`)
	}
	h.wantHistory(id, "message.input 1", "function.call f", "function.call g")

	h.model.add(says("Done."))
	h.ok("POST", conversations+"/"+id, `{"inputs":[`+two+`,`+one+`,{"role":"user","content":"And?"}]}`)
	h.fails("POST", conversations+"/"+id, `{"inputs":[`+one+`]}`, 400, message, "AAAAAAAA1")

	// An append that is not stored answers the calls for itself alone.
	h.model.add(calls("AAAAAAAA3 f {}"))
	h.ok("POST", conversations+"/"+id, `{"inputs":"Go on."}`)
	h.model.add(says("Done."))
	h.ok("POST", conversations+"/"+id, `{"inputs":[`+result("AAAAAAAA3")+`],"store":false}`)
	h.fails("POST", conversations+"/"+id, `{"inputs":"x"}`, 400, "AAAAAAAA3")
}

// A replayed history has to keep the order too: the model says nothing, and
// calls nothing more, while some results are there and others are not.
func TestCallsOfReplayedHistory(t *testing.T) {
	h := newHost(t, nil)
	call := func(id string) string { return `{"tool_call_id":"` + id + `","name":"f","arguments":"{}"}` }
	result := func(id string) string { return `{"tool_call_id":"` + id + `","result":"r"}` }
	for _, inputs := range [][]string{
		{call("aa"), call("bb"), result("aa"), `{"type":"message.output","content":"x"}`, result("bb")},
		{call("aa"), call("bb"), result("aa"), call("cc"), result("bb"), result("cc")},
		{call("bb"), call("bb"), result("bb")},
		{call("aa"), call("bb"), result("aa"), `{"type":"tool.execution","name":"t","arguments":"{}"}`, result("bb")},
	} {
		h.fails("POST", conversations, `{"model":"m","inputs":[`+strings.Join(inputs, ",")+`]}`, 400, "3230", "bb")
	}
	h.model.add(says("Fine."))
	h.ok("POST", conversations, `{"model":"m","inputs":[`+strings.Join([]string{
		call("aa"), `{"type":"message.output","content":"x"}`, call("bb"), result("bb"), result("aa"), call("cc"), result("cc")}, ",")+`]}`)
}

// Ids that a client gives stay, as long as they are unique in the conversation.
func TestIDsOfInputs(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(says("Hi."))
	id := h.ok("POST", conversations, `{"model":"m","inputs":[{"id":"mine","role":"user","content":"1","created_at":"2026-01-02T03:04:05+01:00"},{"id":"mine","role":"user","content":"2"}]}`).get("conversation_id")
	h.model.add(says("Hi."))
	h.ok("POST", conversations+"/"+id, `{"inputs":[{"id":"mine","role":"user","content":"3"}]}`)
	a := h.ok("GET", conversations+"/"+id+"/history", "")
	a.want("mine", "entries", 0, "id")
	a.want("2026-01-02T02:04:05.000000Z", "entries", 0, "created_at")
	for _, i := range []int{1, 3} {
		if got := a.get("entries", i, "id"); !strings.HasPrefix(got, "msg_") {
			t.Errorf("entry %d has the id %s", i, got)
		}
	}
}

func TestModelFails(t *testing.T) {
	h := newHost(t, nil)
	id := h.start("Hi.")
	path := conversations + "/" + id
	fail := func(err error) {
		h.model.before = func(context.Context, *mistral.ChatRequest) error { return err }
	}
	for _, test := range []struct {
		err    error
		status int
		text   string
	}{
		{errors.New("http://127.0.0.1:1/v1: connection refused"), 503, "model m: http://127.0.0.1:1/v1: connection refused; nothing was stored"},
		{&mistral.Error{Method: "POST", StatusCode: 500, Message: "oops"}, 503, "oops"},
		{&mistral.Error{Method: "POST", StatusCode: 401, Message: "no key"}, 503, "no key"},
		{&mistral.Error{Method: "POST", StatusCode: 400, Message: "too long"}, 400, "too long"},
		{&mistral.Error{Method: "POST", StatusCode: 429, Message: "slow down", RetryAfter: 1500 * time.Millisecond}, 429, "slow down"},
		{&mistral.Error{StatusCode: 409, Type: "no_tool_fits", Code: "77", Message: "no tool fits"}, 409, `"message":"no tool fits","type":"no_tool_fits","param":null,"code":77`},
		{&mistral.Error{StatusCode: 1000, Message: "no status"}, 503, "no status"},
		{&mistral.Error{StatusCode: 422, Type: "odd", Message: "odd words"}, 422, "odd words"},
		{context.DeadlineExceeded, 504, "deadline"},
	} {
		fail(test.err)
		h.fails("POST", path, `{"inputs":"x"}`, test.status, test.text)
		events, _ := h.stream(path, `{"inputs":"x","stream":true}`)
		if len(events) != 2 || events[1].kind != "conversation.response.error" {
			t.Fatalf("events of a failure: %v", events)
		}
		events[1].want(fmt.Sprint(test.status), "code")
	}
	fail(&mistral.Error{StatusCode: 422, Message: "odd words"})
	h.fails("POST", path, `{"inputs":"x"}`, 422, `"detail":[]`) // SDKs parse it
	fail(context.DeadlineExceeded)
	h.wantHistory(id, "message.input Hello.", "message.output Hi.")
	h.fails("POST", conversations, `{"model":"m","inputs":"x"}`, 504)
	h.ok("GET", conversations, "").want("", 1)

	fail(&mistral.Error{Method: "POST", StatusCode: 429, RetryAfter: 1500 * time.Millisecond})
	resp := h.send("POST", path, `{"inputs":"x"}`)
	resp.Body.Close()
	if got := resp.Header.Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After is %q, want 2", got)
	}

	// The stream breaks after the first words.
	h.model.before = nil
	h.model.add(`{"choices":[{"index":0,"delta":{"content":"Half a"}}]}`)
	events, _ := h.stream(path, `{"inputs":"x","stream":true}`)
	events[len(events)-1].want("conversation.response.error", "type")
	h.wantHistory(id, "message.input Hello.", "message.output Hi.")
}

func TestDisconnect(t *testing.T) {
	h := newHost(t, nil)
	id := h.start("Hi.")
	for _, body := range []string{`{"inputs":"x"}`, `{"inputs":"x","stream":true}`} {
		asked, ended := make(chan struct{}), make(chan struct{})
		h.model.before = func(ctx context.Context, _ *mistral.ChatRequest) error {
			close(asked)
			<-ctx.Done()
			close(ended)
			return nil // a model that does not care
		}
		h.model.add(says("Too late."))
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", h.url+conversations+"/"+id, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		var wg sync.WaitGroup
		wg.Go(func() {
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		})
		<-asked
		cancel()
		<-ended
		wg.Wait()
		h.model.before = nil
		h.model.add(says("Here."))
		h.ok("POST", conversations+"/"+id, `{"inputs":"y","store":false}`)
		h.wantHistory(id, "message.input Hello.", "message.output Hi.")
	}
}

// A server that stops cancels requests whose callers wait: these get an error,
// and not an empty answer of status 200.
func TestServerStops(t *testing.T) {
	h := newHost(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	var log bytes.Buffer
	srv := httptest.NewUnstartedServer(server.New(h.store, h.model, &server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}))
	srv.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	srv.Start()
	defer srv.Close()
	h.url = srv.URL
	asked := make(chan struct{})
	h.model.before = func(ctx context.Context, _ *mistral.ChatRequest) error {
		asked <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	go func() {
		<-asked
		<-asked
		stop()
	}()
	var wg sync.WaitGroup
	wg.Go(func() { h.fails("POST", conversations, `{"model":"m","inputs":"x"}`, 503, `"object":"error"`, "stops") })
	wg.Go(func() {
		events, _ := h.stream(conversations, `{"model":"m","inputs":"x","stream":true}`)
		last := events[len(events)-1]
		last.want("conversation.response.error", "type")
		last.want("503", "code")
	})
	wg.Wait()
	if log.Len() > 0 {
		t.Errorf("the log has %q", &log)
	}
}

// Who is slow to read a reply keeps no one else from the conversation.
func TestSlowReader(t *testing.T) {
	h := newHost(t, nil)
	id := h.start("Hi.")
	h.model.add(says(strings.Repeat("x", 24<<20))) // more than sockets hold
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"inputs":"Much."}`
	fmt.Fprintf(conn, "POST %s/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", conversations, id, len(body), body)
	if _, err := conn.Read(make([]byte, 1)); err != nil { // the reply has begun
		t.Fatal(err)
	}
	h.model.add(says("Sure."))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", h.url+conversations+"/"+id, strings.NewReader(`{"inputs":"More."}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("status %d, want 200", resp.StatusCode)
	}
}

func TestKeepAlive(t *testing.T) {
	h := newHost(t, &server.Options{KeepAlive: time.Millisecond})
	seen := make(chan struct{})
	h.model.before = func(context.Context, *mistral.ChatRequest) error {
		<-seen
		return nil
	}
	h.model.add(says("Slow."))
	resp := h.send("POST", conversations, `{"model":"m","inputs":"x","stream":true}`)
	defer resp.Body.Close()
	closed, done := false, false
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if lines.Text() == ": keep-alive" && !closed {
			close(seen)
			closed = true
		}
		done = done || lines.Text() == "event: conversation.response.done"
	}
	if !closed || !done {
		t.Errorf("comment seen: %v, end seen: %v", closed, done)
	}
}

// Appends at once wait for each other: each reply knows what was said before.
func TestAppendsAtOnce(t *testing.T) {
	h := newHost(t, nil)
	id := h.start("Hi.")
	var wg sync.WaitGroup
	const n = 12
	for i := range n {
		h.model.add(says("Sure."))
		wg.Go(func() {
			if i%2 == 0 {
				h.ok("POST", conversations+"/"+id, `{"inputs":"x"}`)
			} else {
				h.stream(conversations+"/"+id, `{"inputs":"x","stream":true}`)
			}
		})
	}
	wg.Wait()
	entries := h.history(id)
	if len(entries) != 2*(n+1) {
		t.Fatalf("%d entries, want %d", len(entries), 2*(n+1))
	}
	for i := 2; i < len(entries); i += 2 {
		if entries[i] != "message.input x" || entries[i+1] != "message.output Sure." {
			t.Errorf("turn %d: %q, %q", i/2, entries[i], entries[i+1])
		}
	}
	if got := strings.Count(h.model.last(t), "Sure."); got != n-1 {
		t.Errorf("the last reply knew of %d others, want %d", got, n-1)
	}
}

// Another server on the same database is found out when the reply is stored.
func TestAppendOfAnotherServer(t *testing.T) {
	h := newHost(t, nil)
	id := h.start("Hi.")
	intrude := func(context.Context, *mistral.ChatRequest) error {
		entries, err := h.store.Entries(t.Context(), id)
		if err != nil {
			return err
		}
		entry := mistral.Entries{&mistral.MessageInput{ID: "msg_x", Role: "user"}}
		return h.store.AppendEntries(t.Context(), id, len(entries), entry, "2026-01-01T00:00:00.000000Z")
	}
	h.model.before = intrude
	h.model.add(says("Lost."))
	h.fails("POST", conversations+"/"+id, `{"inputs":"x"}`, 409, id, "read its history")

	h.model.before = func(context.Context, *mistral.ChatRequest) error {
		return h.store.DeleteConversation(t.Context(), id)
	}
	h.model.add(says("Lost."))
	h.fails("POST", conversations+"/"+id, `{"inputs":"x"}`, 404, id)
}

func TestListConversations(t *testing.T) {
	h := newHost(t, nil)
	var ids []string
	for i := range 5 {
		h.model.add(says("Hi."))
		body := fmt.Sprintf(`{"model":"m","inputs":"x","metadata":{"n":%d,"even":%v,"deep":{"a":[1]}}}`, i, i%2 == 0)
		ids = append(ids, h.ok("POST", conversations, body).get("conversation_id"))
	}
	list := func(query string, want ...int) {
		t.Helper()
		a := h.ok("GET", conversations+"?"+query, "")
		for i, n := range want {
			a.want(ids[n], i, "id")
		}
		a.want("", len(want))
	}
	list("", 0, 1, 2, 3, 4)
	list("page=1&page_size=2", 2, 3)
	list("page=3&page_size=2")
	list("metadata=%7B%22even%22%3Atrue%7D", 0, 2, 4)
	list("metadata=%7B%22even%22%3Atrue,%22n%22%3A2%7D", 2)
	list("metadata=%7B%22deep%22%3A%7B%22a%22%3A%5B1%5D%7D%7D&page=1&page_size=3", 3, 4)
	list("metadata=null", 0, 1, 2, 3, 4)
	h.fails("GET", conversations+"?page=-1", "", 422, `"loc":["query","page"]`, "greater_than_equal")
	h.fails("GET", conversations+"?page_size=0", "", 422, `"loc":["query","page_size"]`)
	h.fails("GET", conversations+"?page_size=x", "", 422, "int_parsing")
	h.ok("GET", conversations+"?metadata=%22~%3F~unset~%3F~sentinel~%3F~%22", "")
	h.fails("GET", conversations+"?metadata=x", "", 422, `"loc":["query","metadata"]`)
}

func TestDeleteConversation(t *testing.T) {
	h := newHost(t, nil)
	id := h.start("Hi.")
	if status, body := h.do("DELETE", conversations+"/"+id, ""); status != 204 || body != "" {
		t.Errorf("status %d, body %q, want 204 and none", status, body)
	}
	for _, path := range []string{"", "/history", "/messages"} {
		h.fails("GET", conversations+"/"+id+path, "", 404, `"object":"error"`, id)
	}
	h.fails("DELETE", conversations+"/"+id, "", 404, id)
}

// Settings of the conversation and of one append reach the model.
func TestCompletionArgs(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(says("Hi."))
	id := h.ok("POST", conversations, `{"model":"m","inputs":"x","tools":[`+locationTool+`],"completion_args":{"temperature":0.5,"stop":"s","tool_choice":"any",
		"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}}}}`).get("conversation_id")
	asked := func() *mistral.ChatRequest { return h.model.asked[len(h.model.asked)-1] }
	if a := asked(); *a.Temperature != 0.5 || a.ToolChoice.Mode != "any" || a.ResponseFormat.JSONSchema.Name != "n" || a.Stop.Texts[0] != "s" ||
		a.Tools[0].Function.Name != "get_location" || a.Model != "m" {
		t.Errorf("the model was asked %+v", a)
	}
	h.model.add(says("Hi."))
	h.ok("POST", conversations+"/"+id, `{"inputs":"x","completion_args":{"temperature":0,"tool_choice":"none","max_tokens":5}}`)
	if a := asked(); *a.Temperature != 0 || a.ToolChoice.Mode != "none" || *a.MaxTokens != 5 || a.Stop.Texts[0] != "s" {
		t.Errorf("with other settings the model was asked %+v", a)
	}
	h.model.add(says("Hi."))
	h.ok("POST", conversations+"/"+id, `{"inputs":"x"}`)
	if a := asked(); *a.Temperature != 0.5 || a.MaxTokens != nil {
		t.Errorf("after the append with other settings the model was asked %+v", a)
	}
	h.ok("GET", conversations+"/"+id, "").want("0.5", "completion_args", "temperature")
}
