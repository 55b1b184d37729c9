package tramontane_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane"
)

func TestOutput(t *testing.T) {
	const good = `{"user":"u","town":"t"}`
	for text, want := range map[string]string{
		good:                               good,
		" \n" + good + "\n":                good,
		"```json\n" + good + "\n```":       good,
		"```\n" + good + "\n```\n":         good,
		"```" + good + "```":               "",
		"```json\n" + good:                 "",
		"Here it is: " + good:              "",
		`{"user":"u"}`:                     "",
		`{"user":"u","town":"t","x":1}`:    "",
		"":                                 "",
		"```json\n{\"user\":\"u\"}\n```\n": "",
	} {
		_, client := newAPI(t, "["+message(text)+"]")
		runner := &tramontane.Runner{Client: client, Model: "m", Output: tramontane.OutputOf[answer]()}
		result, err := runner.Run(t.Context(), tramontane.UserText("Where?"), nil)
		if string(result.Output) != want || (err == nil) != (want != "") {
			t.Errorf("answer %q: output %s, %v; want %q", text, result.Output, err, want)
		}
		if result.Text != text || result.Reason != tramontane.ReasonDone {
			t.Errorf("answer %q: text %q, reason %s", text, result.Text, result.Reason)
		}
		if _, err := tramontane.Decode[answer](result); (err == nil) != (want != "") {
			t.Errorf("answer %q: Decode: %v", text, err)
		}
	}
}

func TestOutputSchema(t *testing.T) {
	schema := json.RawMessage(`{"type": "object", "required": ["a"]}`)
	output, err := tramontane.OutputSchema("thing", schema)
	if err != nil {
		t.Fatal(err)
	}
	copy(schema, strings.Repeat("x", len(schema))) // the caller's to reuse
	a, client := newAPI(t, "["+message(`{"a":1}`)+"]")
	runner := &tramontane.Runner{Client: client, Model: "m", Output: output}
	result, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil)
	if err != nil || string(result.Output) != `{"a":1}` {
		t.Errorf("Run = %s, %v", result.Output, err)
	}
	if want := `"required":["a"]`; !strings.Contains(a.got[0], want) {
		t.Errorf("start = %s, want %s in it", a.got[0], want)
	}
	for name, schema := range map[string]string{"a b": `{}`, "a": `null`, "b": `{`, "c": `{"type": 7}`,
		"d": `{"type":"objekt"}`, "e": `{"properties":{"x":{"items":{"type":["string","nul"]}}}}`, "f": `{"anyOf":[{"$ref":"https://example.com/s"}]}`} {
		if _, err := tramontane.OutputSchema(name, json.RawMessage(schema)); err == nil {
			t.Errorf("OutputSchema(%q, %s): no error", name, schema)
		}
	}
	for _, schema := range []string{`{"properties":{"type":{"type":"string"},"$ref":{"type":"object"}}}`, `{"enum":[{"type":"objekt"}]}`, `{"const":{"$ref":"x://y"}}`} {
		if _, err := tramontane.OutputSchema("x", json.RawMessage(schema)); err != nil {
			t.Errorf("OutputSchema(%s): %v", schema, err)
		}
	}
}
