package server_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func delta(member string) string {
	return `{"choices":[{"index":0,"delta":{` + member + `}}]}`
}

const end = `{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`

// Back-ends send calls in many ways; all become the same entries. The calls of
// each row are given as "tool_call_id name arguments", NEW being an id of nine
// letters and digits that the server made.
func TestCallsOfBackEnds(t *testing.T) {
	for _, test := range []struct {
		name   string
		chunks []string
		want   []string
	}{
		{"whole, as Mistral", []string{delta(`"content":"","tool_calls":[{"id":"AbCdEfGh1","function":{"name":"f","arguments":"{\"x\":1}"},"index":0}]`), end},
			[]string{`AbCdEfGh1 f {"x":1}`}},
		{"in pieces by index, as vLLM", []string{
			delta(`"tool_calls":[{"index":0,"id":"chatcmpl-tool-1","type":"function","function":{"name":"f"}}]`),
			delta(`"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]`),
			delta(`"tool_calls":[{"index":0,"function":{"arguments":": 1}"}}]`),
			delta(`"tool_calls":[{"index":1,"id":"chatcmpl-tool-2","type":"function","function":{"name":"g"}}]`),
			delta(`"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]`), end},
			[]string{`chatcmpl-tool-1 f {"x": 1}`, `chatcmpl-tool-2 g {}`}},
		{"all of index 0 with ids, as Ollama", []string{
			delta(`"tool_calls":[{"index":0,"id":"call_a","function":{"name":"f","arguments":"{}"}}]`),
			delta(`"tool_calls":[{"index":0,"id":"call_b","function":{"name":"f","arguments":"{}"}}]`), end},
			[]string{`call_a f {}`, `call_b f {}`}},
		{"all of index 0 without ids", []string{
			delta(`"tool_calls":[{"function":{"name":"f","arguments":"{\"x\":1}"}},{"function":{"name":"f","arguments":"{\"x\":2}"}}]`), end},
			[]string{`NEW f {"x":1}`, `NEW f {"x":2}`}},
		{"the id null", []string{delta(`"tool_calls":[{"id":"null","function":{"name":"f","arguments":"{}"}}]`), end}, []string{`NEW f {}`}},
		{"an id that is taken", []string{delta(`"tool_calls":[{"id":"AAAAAAAA0","function":{"name":"f","arguments":"{}"}}]`), end}, []string{`NEW f {}`}},
		{"the same id twice", []string{
			delta(`"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"a","function":{"name":"g","arguments":"{}"}}]`), end},
			[]string{`a f {}`, `NEW g {}`}},
		{"an odd id", []string{delta(`"tool_calls":[{"id":"call:1 ","function":{"name":"f","arguments":"{}"}}]`), end}, []string{`NEW f {}`}},
		{"no arguments", []string{delta(`"tool_calls":[{"id":"a","function":{"name":"f","arguments":""}}]`), end}, []string{`a f {}`}},
		{"the arguments null", []string{delta(`"tool_calls":[{"id":"a","function":{"name":"f","arguments":"nu"}}]`),
			delta(`"tool_calls":[{"function":{"arguments":"ll"}}]`), end}, []string{`a f {}`}},
		{"arguments as an object", []string{delta(`"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"x":1}}}]`), end}, []string{`a f {"x":1}`}},
		{"malformed arguments", []string{delta(`"tool_calls":[{"id":"a","function":{"name":"f","arguments":"x=1"}}]`), end}, []string{`a f x=1`}},
		{"another answer beside it", []string{
			`{"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"stop"}]}`,
			delta(`"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]`), end}, []string{`a f {}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t, nil)
			h.model.add(calls("AAAAAAAA0 f {}"))
			id := h.ok("POST", conversations, `{"model":"m","inputs":"x"}`).get("conversation_id")
			h.model.add(test.chunks...)
			events, _ := h.stream(conversations+"/"+id, `{"inputs":[{"tool_call_id":"AAAAAAAA0","result":"r"}],"stream":true}`)

			var told []string // joined as the SDKs do it
			for _, e := range events {
				if e.kind != "function.call.delta" {
					continue
				}
				head := e.get("tool_call_id") + " " + e.get("name") + " "
				if n := len(told); n == 0 || !strings.HasPrefix(told[n-1], head) {
					told = append(told, head)
				}
				told[len(told)-1] += e.get("arguments")
			}
			a := h.ok("GET", conversations+"/"+id+"/history", "")
			var got []string
			for i := 3; a.get("entries", i) != ""; i++ {
				got = append(got, a.get("entries", i, "tool_call_id")+" "+a.get("entries", i, "name")+" "+a.get("entries", i, "arguments"))
			}
			if diff := cmp.Diff(got, told); diff != "" {
				t.Errorf("the events tell other calls (-stored +told):\n%s", diff)
			}
			made := regexp.MustCompile(`^[A-Za-z0-9]{9} `)
			for i := range got {
				if i < len(test.want) && strings.HasPrefix(test.want[i], "NEW ") && !strings.HasPrefix(got[i], "AAAAAAAA0") {
					got[i] = made.ReplaceAllString(got[i], "NEW ")
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// Plain answers go the same way, with indexes that mean nothing.
func TestPlainCalls(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(delta(`"content":"Both.","tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"f","arguments":"{}"}}]`), end)
	r := h.ok("POST", conversations, `{"model":"m","inputs":"x"}`)
	r.want("message.output", "outputs", 0, "type")
	r.want("function.call", "outputs", 1, "type")
	r.want("function.call", "outputs", 2, "type")
	if a, b := r.get("outputs", 1, "tool_call_id"), r.get("outputs", 2, "tool_call_id"); a == b || len(a) != 9 || len(b) != 9 {
		t.Errorf("tool_call_ids %q and %q", a, b)
	}
}

// Some back-ends do not add up.
func TestUsageWithoutTotal(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(`{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}`)
	h.ok("POST", conversations, `{"model":"m","inputs":"x"}`).want("7", "usage", "total_tokens")
}

func TestThoughts(t *testing.T) {
	h := newHost(t, nil)
	thought := func(text string) string {
		return delta(`"content":[{"type":"thinking","thinking":[{"type":"text","text":"` + text + `"}]}]`)
	}
	h.model.add(thought("Hm"), thought("m."), delta(`"content":"Fo"`), delta(`"content":"ur."`),
		delta(`"content":[{"type":"tool_reference","tool":"t","title":"T"}]`), delta(`"content":" Yes."`), `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)
	events, _ := h.stream(conversations, `{"model":"m","inputs":"2+2?","stream":true}`)
	var indexes []string
	for _, e := range events[1 : len(events)-1] {
		e.want("0", "output_index")
		indexes = append(indexes, e.get("content_index"))
	}
	if diff := cmp.Diff([]string{"0", "0", "1", "1", "2", "3"}, indexes); diff != "" {
		t.Errorf("content_index (-want +got):\n%s", diff)
	}
	events[1].want("thinking", "content", "type")
	id := events[0].get("conversation_id")
	h.ok("GET", conversations+"/"+id+"/history", "").want(`[{"thinking":[{"text":"Hmm.","type":"text"}],"type":"thinking"},{"text":"Four.","type":"text"},`+
		`{"title":"T","tool":"t","type":"tool_reference"},{"text":" Yes.","type":"text"}]`, "entries", 1, "content")

	// Thoughts are not told to the model again.
	h.model.add(says("Good."))
	h.ok("POST", conversations+"/"+id, `{"inputs":"Sure?"}`)
	h.wantPrompt(`[{"role":"user","content":"2+2?"},{"role":"assistant","content":"Four.[T]() Yes."},{"role":"user","content":"Sure?"}]`)
}

func TestAnswersThatAreNotWhole(t *testing.T) {
	h := newHost(t, nil)
	id := h.start("Hi.")
	call := func(arguments string) string {
		return delta(`"tool_calls":[{"id":"a","function":{"name":"f","arguments":"` + arguments + `"}}]`)
	}
	finish := func(reason string) string {
		return `{"choices":[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]}`
	}
	for _, test := range []struct {
		text   string
		chunks []string
	}{
		{"cut off", []string{delta(`"content":"Half"`)}},
		{"cut off", nil},
		{"finish reason error", []string{delta(`"content":"Half"`), finish("error")}},
		{"raise max_tokens", []string{call(`{\"x\":`), finish("length")}},
		{"without a name", []string{delta(`"tool_calls":[{"id":"a","function":{"name":"","arguments":"{}"}}]`), finish("tool_calls")}},
	} {
		h.model.add(test.chunks...)
		events, _ := h.stream(conversations+"/"+id, `{"inputs":"x","stream":true}`)
		last := events[len(events)-1]
		if last.kind != "conversation.response.error" || !strings.Contains(last.get("message"), test.text) {
			t.Errorf("last event %s, want an error with %q", last.body, test.text)
		}
		h.model.add(test.chunks...)
		h.fails("POST", conversations+"/"+id, `{"inputs":"x"}`, 503, test.text)
	}
	h.wantHistory(id, "message.input Hello.", "message.output Hi.")

	// A message that ran out of tokens is an answer; so is silence, which is not
	// told to the model again.
	h.model.add(delta(`"content":"Half a"`), finish("length"))
	h.ok("POST", conversations+"/"+id, `{"inputs":"1"}`).want("Half a", "outputs", 0, "content")
	h.model.add(delta(`"content":""`), finish("stop"))
	h.ok("POST", conversations+"/"+id, `{"inputs":"2"}`).want("", "outputs", 0, "content")
	h.model.add(says("Here."))
	h.ok("POST", conversations+"/"+id, `{"inputs":"3"}`)
	h.wantPrompt(`[{"role":"user","content":"Hello."},{"role":"assistant","content":"Hi."},{"role":"user","content":"1"},` +
		`{"role":"assistant","content":"Half a"},{"role":"user","content":"2"},{"role":"user","content":"3"}]`)
}

// A raw value of the model may have line ends, which must not end the frame.
func TestLineEndsInAChunk(t *testing.T) {
	h := newHost(t, nil)
	h.model.add(`{"choices":[{"index":0,"delta":{"content":[{"type":"new",` + "\r\n\n" + `"x":"a\nb"}]},"finish_reason":"stop"}]}`)
	events, _ := h.stream(conversations, `{"model":"m","inputs":"x","stream":true}`)
	if len(events) != 3 {
		t.Fatalf("%d events, want 3: %v", len(events), events)
	}
	events[1].want("{\"type\":\"new\",\"x\":\"a\\nb\"}", "content")
}

// Models make up names that they, or others, do not take back. The client sees
// them as they are.
func TestNamesThatModelsMakeUp(t *testing.T) {
	h := newHost(t, nil)
	name := "functions.süch a " + strings.Repeat("long_", 20)
	h.model.add(delta(`"tool_calls":[{"id":"AAAAAAAA1","function":{"name":"`+name+`","arguments":"null"}}]`), end)
	r := h.ok("POST", conversations, `{"model":"m","inputs":"x"}`)
	r.want(name, "outputs", 0, "name")
	h.model.add(says("Sorry."))
	h.ok("POST", conversations+"/"+r.get("conversation_id"), `{"inputs":[{"tool_call_id":"AAAAAAAA1","result":"no such function"}]}`)
	taken := "functions_s_ch_a_" + strings.Repeat("long_", 20)[:64-17]
	h.wantPrompt(`[{"role":"user","content":"x"},` +
		`{"role":"assistant","tool_calls":[{"id":"AAAAAAAA1","type":"function","function":{"name":"` + taken + `","arguments":"{}"}}]},` +
		`{"role":"tool","content":"no such function","tool_call_id":"AAAAAAAA1","name":"` + taken + `"}]`)

	h.model.add(says("Fine."))
	h.ok("POST", conversations, `{"model":"m","inputs":[{"tool_call_id":"a","name":"f","arguments":"null"},{"tool_call_id":"a","result":"r"}]}`)
	h.wantPrompt(`[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},` +
		`{"role":"tool","content":"r","tool_call_id":"a","name":"f"}]`)
}

func TestPrefix(t *testing.T) {
	h := newHost(t, nil)
	for _, answer := range []string{"deux.", "Un, deux."} {
		h.model.add(says(answer))
		id := h.ok("POST", conversations, `{"model":"m","inputs":[{"role":"user","content":"Count."},{"role":"assistant","content":"Un, ","prefix":true}]}`).get("conversation_id")
		h.wantPrompt(`[{"role":"user","content":"Count."},{"role":"assistant","content":"Un, ","prefix":true}]`)

		// Mistral refuses a prefix before other messages.
		h.model.add(says("Trois."))
		h.ok("POST", conversations+"/"+id, `{"inputs":"Go on."}`)
		h.wantPrompt(`[{"role":"user","content":"Count."},{"role":"assistant","content":"Un, deux."},{"role":"user","content":"Go on."}]`)
	}
	h.model.add(says("Oui."))
	h.ok("POST", conversations, `{"model":"m","inputs":[{"role":"assistant","content":"Un, ","prefix":true},{"role":"user","content":"Count."},{"role":"assistant","content":"Non. "},{"role":"user","content":"?"}]}`)
	h.wantPrompt(`[{"role":"assistant","content":"Un, "},{"role":"user","content":"Count."},{"role":"assistant","content":"Non. "},{"role":"user","content":"?"}]`)
	h.fails("POST", conversations, `{"model":"m","inputs":[{"role":"assistant","content":"Un, "}]}`, 400, "prefix: true")
}
