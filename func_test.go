package tramontane_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane"
)

type address struct {
	City string `json:"city" jsonschema:"name of the city"`
	Zip  *int   `json:"zip,omitempty"`
}

type everything struct {
	Text   string            `json:"text" jsonschema:"what to say"`
	Unit   string            `json:"unit,omitempty" enum:"celsius,fahrenheit"`
	Level  int               `json:"level,omitzero" enum:"1,2,3"`
	Days   []string          `json:"days" enum:"mon,tue"`
	Home   address           `json:"home"`
	Places []address         `json:"places"`
	Labels map[string]string `json:"labels"`
	When   time.Time         `json:"when"`
	Ratio  float64           `json:"ratio"`
	Sure   bool              `json:"sure"`
	Maybe  *string           `json:"maybe"`
	Hidden string            `json:"-"`
}

func TestFuncSchema(t *testing.T) {
	tool := tramontane.Func("f", "Does it.", func(context.Context, everything) (string, error) { return "", nil }, nil)
	var got any
	if err := json.Unmarshal(tool.Definition().Parameters, &got); err != nil {
		t.Fatal(err)
	}
	place := `{"type":"object","properties":{"city":{"type":"string","description":"name of the city"},"zip":{"type":["null","integer"]}},"required":["city"],"additionalProperties":false}`
	var want any
	if err := json.Unmarshal([]byte(`{"type":"object","properties":{
		"text":{"type":"string","description":"what to say"},
		"unit":{"type":"string","enum":["celsius","fahrenheit"]},
		"level":{"type":"integer","enum":[1,2,3]},
		"days":{"type":"array","items":{"type":"string","enum":["mon","tue"]}},
		"home":`+place+`,
		"places":{"type":"array","items":`+place+`},
		"labels":{"type":"object","additionalProperties":{"type":"string"}},
		"when":{"type":"string","format":"date-time"},
		"ratio":{"type":"number"},
		"sure":{"type":"boolean"},
		"maybe":{"type":["null","string"]}
	},"required":["text","days","home","places","labels","when","ratio","sure","maybe"],"additionalProperties":false}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}

func TestFuncCall(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tool := tramontane.Func("f", "", func(_ context.Context, in everything) (map[string]any, error) {
		if !in.When.Equal(when) || in.Home.City != "Nice" || *in.Home.Zip != 6000 {
			return nil, fmt.Errorf("got %+v", in)
		}
		return map[string]any{"ok": true}, nil
	}, nil)
	good := `{"text":"a","days":["mon"],"home":{"city":"Nice","zip":6000},"places":[],"labels":{},"when":"2026-01-02T03:04:05Z","ratio":1,"sure":true,"maybe":null}`
	result, err := tool.Call(t.Context(), &tramontane.Call{Arguments: json.RawMessage(good)})
	if err != nil {
		t.Fatal(err)
	}
	if got := result.Text(); got != `{"ok":true}` || string(result.Structured) != got {
		t.Errorf("result = %q, structured %s", got, result.Structured)
	}
	for change, want := range map[string]string{
		`"text":"a"->"text":1`:                           "text",
		`"mon"->"sat"`:                                   "enum",
		`"ratio":1,->`:                                   "ratio",
		`"sure":true->"sure":true,"more":1`:              "more",
		`"2026-01-02T03:04:05Z"->"soon"`:                 "soon",
		`"level":9,"text":"a"<-"text":"a"`:               "level",
		`"city":"Nice"->"city":"Nice","street":` + `"x"`: "street",
	} {
		from, to, ok := strings.Cut(change, "->")
		if !ok {
			to, from, _ = strings.Cut(change, "<-")
		}
		bad := strings.Replace(good, from, to, 1)
		if bad == good {
			t.Fatalf("%s changes nothing", change)
		}
		_, err := tool.Call(t.Context(), &tramontane.Call{Arguments: json.RawMessage(bad)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: err = %v, want one that names %s", change, err, want)
		}
	}
}

func TestFuncMistakes(t *testing.T) {
	for name, f := range map[string]func(){
		"bad name":  func() { tramontane.Func("a b", "", locate, nil) },
		"long name": func() { tramontane.Func(strings.Repeat("a", 65), "", locate, nil) },
		"no object": func() { tramontane.Func("f", "", func(context.Context, int) (string, error) { return "", nil }, nil) },
		"no schema": func() {
			tramontane.Func("f", "", func(context.Context, struct{ C chan int }) (string, error) { return "", nil }, nil)
		},
		"bad enum": func() {
			tramontane.Func("f", "", func(context.Context, struct {
				N int `enum:"one"`
			}) (string, error) {
				return "", nil
			}, nil)
		},
		"bad output": func() { tramontane.OutputOf[func()]() },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestContentText(t *testing.T) {
	result := &tramontane.ToolResult{Content: []tramontane.Content{
		&tramontane.TextContent{Text: "a"},
		&tramontane.ImageContent{Data: []byte{1, 2}, MIMEType: "image/png"},
		&tramontane.AudioContent{Data: []byte{1}, MIMEType: "audio/wav"},
		&tramontane.ResourceContent{URI: "file:///x", MIMEType: "text/plain", Text: "inside"},
		&tramontane.ResourceContent{URI: "file:///y", MIMEType: "application/zip", Blob: []byte{1, 2, 3}},
		&tramontane.ResourceLink{URI: "file:///z", Name: "z"},
		&tramontane.UnknownContent{Type: "smell", Raw: json.RawMessage(`{"type":"smell"}`)},
	}}
	want := "a\n[image image/png, 2 bytes: not shown to the model]\n[audio audio/wav, 1 bytes: not played to the model]\n[resource file:///x, text/plain]\ninside\n" +
		"[resource file:///y, application/zip, 3 bytes: not shown to the model]\n[resource file:///z, z]\n{\"type\":\"smell\"}"
	if got := result.Text(); got != want {
		t.Errorf("Text:\n got %q\nwant %q", got, want)
	}
}
