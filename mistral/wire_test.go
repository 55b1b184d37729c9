package mistral_test

import (
	"encoding/json"
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
