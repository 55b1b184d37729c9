package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/internal/wire"
)

type inner struct {
	_     struct{} `wire:"type=inner"`
	Name  string   `json:"name"`
	Extra wire.Extra
}

type outer struct {
	Text    string          `json:"text"`
	Option  string          `json:"option,omitzero"`
	Always  bool            `json:"always" wire:"always"`
	Number  *int            `json:"number,omitzero"`
	Float   float64         `json:"float,omitzero"`
	Raw     json.RawMessage `json:"raw,omitzero"`
	Inner   *inner          `json:"inner,omitzero"`
	List    []inner         `json:"list,omitzero"`
	Strings []string        `json:"strings,omitzero"`
	Counts  map[string]int  `json:"counts,omitzero"`
	Extra   wire.Extra
}

func TestRoundTrip(t *testing.T) {
	for _, in := range []string{
		`{"text":"","always":false}`,
		`{"text":"a\"\\\n\u0001é😀<&>","option":"","always":true}`,
		`{"text":"x","option":null,"always":false,"number":null,"float":null,"raw":null,"inner":null,"list":null,"strings":null,"counts":null}`,
		`{"text":"x","always":false,"number":0,"float":0,"list":[],"strings":[],"counts":{}}`,
		`{"text":"x","always":false,"number":-7,"float":1.5,"raw":{"a" : [1.0,2e3]},"inner":{"type":"inner","name":"n"},"list":[{"type":"inner","name":"a"},{"type":"inner","name":"b"}],"strings":["",","],"counts":{"a":1,"b":2}}`,
		`{"text":"x","always":false,"later":{"b" :  1.50,"a":"\u00e9"},"and":null,"and":[]}`,
		`{"text":"x","always":false,"inner":{"type":"inner","name":"n","more":[]}}`,
	} {
		var v outer
		if err := wire.Unmarshal([]byte(in), &v); err != nil {
			t.Errorf("Unmarshal(%s): %v", in, err)
			continue
		}
		got, err := wire.Marshal(v)
		if err != nil || string(got) != in {
			t.Errorf("round trip of %s = %s, %v", in, got, err)
		}
	}
}

func TestMarshalOfGoValues(t *testing.T) {
	n := 0
	for _, test := range []struct {
		in   any
		want string
	}{
		{outer{}, `{"text":"","always":false}`},
		{&outer{Number: &n, Raw: json.RawMessage(`1 `)}, `{"text":"","always":false,"number":0,"raw":1 }`},
		{inner{Name: "\xff"}, `{"type":"inner","name":"` + "\ufffd" + `"}`},
		{nil, `null`},
	} {
		got, err := wire.Marshal(test.in)
		if err != nil || string(got) != test.want {
			t.Errorf("Marshal(%+v) = %s, %v, want %s", test.in, got, err, test.want)
		}
	}
	if got, err := wire.Marshal(outer{Raw: json.RawMessage(`{"a":`)}); err == nil {
		t.Errorf("Marshal of malformed raw JSON = %s", got)
	}
}

func TestFieldSetToZeroAfterDecoding(t *testing.T) {
	var v outer
	if err := wire.Unmarshal([]byte(`{"text":"x","option":"y"}`), &v); err != nil {
		t.Fatal(err)
	}
	v.Option = ""
	if got, err := wire.Marshal(v); err != nil || string(got) != `{"text":"x","always":false}` {
		t.Errorf("Marshal = %s, %v", got, err)
	}
}

func TestNothingStaysOfWhatWasThere(t *testing.T) {
	v := outer{Option: "old", Inner: &inner{Name: "old"}}
	// Of equal members the last wins, and is not mixed with the first.
	in := `{"text":"x","always":false,"list":[{"name":"a"}],"list":[{"type":"inner","later":1}]}`
	if err := wire.Unmarshal([]byte(in), &v); err != nil {
		t.Fatal(err)
	}
	want := `{"text":"x","always":false,"list":[{"type":"inner","name":"","later":1}]}`
	if got, err := wire.Marshal(v); err != nil || string(got) != want {
		t.Errorf("Marshal = %s, %v, want %s", got, err, want)
	}
	type nested struct {
		Inner inner `json:"inner"`
		Extra wire.Extra
	}
	var n nested
	if err := wire.Unmarshal([]byte(`{"inner":{"name":"first"},"inner":{}}`), &n); err != nil || n.Inner.Name != "" {
		t.Errorf("of two members the name is %q, %v, want the last one's", n.Inner.Name, err)
	}
}

func TestNothingIsKeptOfTheData(t *testing.T) {
	const in = `{"text":"a","always":false,"raw":{"b":[1]},"inner":{"type":"inner","name":"n","later":"c"},"strings":["d"],"counts":{"e":1},"new":"f"}`
	var d wire.Decoder
	data := []byte(in)
	var v, w outer
	if err := errors.Join(d.Unmarshal(data, &v), wire.Unmarshal(data, &w)); err != nil {
		t.Fatal(err)
	}
	clear(data)
	for _, v := range []outer{v, w} {
		if got, err := wire.Marshal(v); err != nil || string(got) != in {
			t.Errorf("after the data was overwritten: %s, %v", got, err)
		}
	}
}

// A Decoder gives each value its own texts, whatever those before had.
func TestDecoder(t *testing.T) {
	var d wire.Decoder
	for _, in := range []string{
		`{"text":"a","always":false}`, `{"text":"a","always":false}`, `{"text":"b","option":"a","always":false}`,
		`{"text":"","option":"a","always":false}`, `{"text":"c\n","always":false}`, `{"text":"b","always":false}`,
	} {
		var v outer
		if err := d.Unmarshal([]byte(in), &v); err != nil {
			t.Fatal(err)
		}
		if got, err := wire.Marshal(v); err != nil || string(got) != in {
			t.Errorf("round trip of %s = %s, %v", in, got, err)
		}
	}
}

func TestDepth(t *testing.T) {
	for in, want := range map[string]int{`"[["`: 0, `1`: 0, `{}`: 1, `[[],{"a":[0]}]`: 3, `[[[]],[]]`: 3, `{"]\"}":[["{"]]}`: 3} {
		if got := wire.Depth([]byte(in)); got != want {
			t.Errorf("Depth(%s) = %d, want %d", in, got, want)
		}
	}
}

func TestErrorsNameThePath(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{`{"text":1}`, `text: want a string, got a number`},
		{`{"list":[{"name":"a"},{"name":true}]}`, `list[1].name: want a string, got a boolean`},
		{`{"counts":{"a":1,"b":1.5}}`, `counts.b: want a whole number, got a number`},
		{`{"inner":{"type":"other"}}`, `inner.type: want "inner", got "other"`},
		{`{"inner":[]}`, `inner: want an object, got an array`},
		{`[]`, `want an object, got an array`},
		{`{"text":"x"`, `unexpected end of JSON`},
		{`{"text":"x"} x`, `invalid character 'x' after the JSON value`},
		{``, `unexpected end of JSON`},
	} {
		err := wire.Unmarshal([]byte(test.in), new(outer))
		if e := new(wire.Error); !errors.As(err, &e) || err.Error() != test.want {
			t.Errorf("Unmarshal(%s): %v, want %s", test.in, err, test.want)
		}
	}
}

func TestProblems(t *testing.T) {
	var v outer
	if err := wire.Unmarshal([]byte(`{"list":[{"nam":"a"}],"x":1}`), &v); err != nil {
		t.Fatal(err)
	}
	want := []wire.Problem{
		{Path: []any{"text"}, Missing: true},
		{Path: []any{"list", 0, "name"}, Missing: true},
		{Path: []any{"list", 0, "nam"}},
		{Path: []any{"x"}},
	}
	if diff := cmp.Diff(want, wire.Problems(v)); diff != "" {
		t.Errorf("Problems (-want +got):\n%s", diff)
	}
}

// seeds are JSON, well formed or not, where scanners go wrong.
var seeds = []string{
	``, ` `, `{}`, ` {} `, `{`, `}`, `{}}`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a" 1}`, `{a:1}`,
	`{"a":[}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":]}`, `{"a":[[[{}]]]}`, `{"a":{"b":{}}}`,
	`{"a":-}`, `{"a":+1}`, `{"a":01}`, `{"a":-01}`, `{"a":1.}`, `{"a":.1}`, `{"a":1e}`, `{"a":1e+}`, `{"a":1E-2}`, `{"a":-0.0}`, `{"a":1x}`,
	`{"a":tru}`, `{"a":true1}`, `{"a":nul}`, `{"a":null}`, `{"a":falsey}`, `{"a":NaN}`,
	`{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u12G4"}`, `{"a":"\ud800"}`, `{"a":"\ud83d\ude00"}`, "{\"a\":\"\n\"}", "{\"a\":\"\xff\"}", `{"a":"\`,
	`{"a\u0062":1}`, `{"te\u0078t":"x"}`, `{"text":"a","text":"b"}`, "{\"a\":1}\x00", "\ufeff{}", "{\v}", `{"a":1}{"b":2}`, `null`, `"x"`, `1`, `[]`,
	`{"text":"x","raw":[1, {"a":null}],"list":[{"name":"n"}]}`,
}

func TestMalformed(t *testing.T) {
	for _, in := range append(seeds, strings.Repeat(`{"a":`, 20_000), `{"a":`+strings.Repeat("[", 20_000)) {
		sameAsJSON(t, []byte(in))
	}
}

// FuzzUnmarshal holds what is accepted against encoding/json.
func FuzzUnmarshal(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { sameAsJSON(t, data) })
}

func sameAsJSON(t *testing.T, data []byte) {
	t.Helper()
	type object struct{ Extra wire.Extra }
	var v object
	err := wire.Unmarshal(data, &v)
	var m map[string]json.RawMessage
	valid := json.Unmarshal(data, &m) == nil && m != nil
	if valid != (err == nil) {
		t.Fatalf("Unmarshal(%.200q): %v, but encoding/json takes it for an object: %v", data, err, valid)
	}
	if err != nil {
		return
	}
	text, err := wire.Marshal(v)
	if err != nil {
		t.Fatalf("Marshal after %q: %v", data, err)
	}
	var want, got any
	if err := errors.Join(json.Unmarshal(data, &want), json.Unmarshal(text, &got)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("round trip of %q = %q", data, text)
	}
}

// FuzzString holds strings against encoding/json, both ways.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "é😀\u2028", "\xff\xc3", `A\u`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := wire.AppendString(nil, s)
		var want string
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("AppendString(%q) = %q: %v", s, text, err)
		}
		if got := wire.Text(text); got != want || got != strings.ToValidUTF8(s, "\ufffd") && !bytes.ContainsRune([]byte(want), '\ufffd') {
			t.Errorf("Text(%q) = %q, want %q", text, got, want)
		}
	})
}
