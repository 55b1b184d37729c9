package mistral_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tramontane-dev/tramontane/mistral"
)

// FuzzEntries decodes entries, encodes them and decodes them again: the second
// time nothing may change, and what the first JSON held must still be there.
func FuzzEntries(f *testing.F) {
	names, err := filepath.Glob("testdata/examples/*response*.json")
	if err != nil || len(names) == 0 {
		f.Fatal("no samples: ", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var reply struct{ Outputs json.RawMessage }
		if json.Unmarshal(data, &reply) == nil && reply.Outputs != nil {
			f.Add([]byte(reply.Outputs))
		}
	}
	for _, s := range []string{
		`[]`, `[{}]`, `[{"type":null}]`, `[1]`, `[null]`, `{"type":"x"}`,
		`[{"role":"user","content":[{"text":"a"},{"type":"image_url","image_url":{"url":"u"}}]}]`,
		`[{"tool_call_id":"a","result":"b","x":{}}]`,
		`[{"type":"function.call","tool_call_id":"a","name":"f","arguments":{"a":1.0,"a":2}}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second mistral.Entries
		if json.Unmarshal(data, &first) != nil {
			return
		}
		text, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("encode after %q: %v", data, err)
		}
		if err := json.Unmarshal(text, &second); err != nil {
			t.Fatalf("decode of our own %q: %v", text, err)
		}
		again, err := json.Marshal(second)
		if err != nil || string(again) != string(text) {
			t.Fatalf("the second time %q became %q, %v", text, again, err)
		}
		var want, got []any
		if json.Unmarshal(data, &want) != nil || json.Unmarshal(text, &got) != nil || len(want) != len(got) {
			t.Fatalf("%q became %q", data, text)
		}
		for i := range want {
			checkKept(t, want[i], got[i])
		}
	})
}

// checkKept reports members of want that got does not have. Their values are
// the business of TestSamples: a constant or a repeated member may differ.
func checkKept(t *testing.T, want, got any) {
	object, ok := want.(map[string]any)
	if !ok {
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%v became %v", want, got)
		}
		return
	}
	kept, _ := got.(map[string]any)
	for name := range object {
		if _, ok := kept[name]; !ok {
			t.Errorf("%q was lost: %v became %v", name, want, got)
		}
	}
}
