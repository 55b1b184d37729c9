package mistral_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/internal/sse"
	"github.com/tramontane-dev/tramontane/mistral"
)

// streamed returns what a client makes of one event of a conversation.
func streamed(name, data string) (mistral.Event, error) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write(sse.AppendEvent(nil, name, []byte(data)))
	}))
	defer server.Close()
	client := &mistral.Client{BaseURL: server.URL, HTTPClient: server.Client(), MaxRetries: -1}
	for ev, err := range client.StreamStart(context.Background(), &mistral.ConversationRequest{}) {
		return ev, err
	}
	return nil, io.ErrUnexpectedEOF
}

// TestSamples sends the samples of the OpenAPI, of the documentation and of
// recorded traffic through our types.
func TestSamples(t *testing.T) {
	var samples []struct {
		File, Schema string
		Deviations   []string
	}
	readJSON(t, "examples/index.json", &samples)
	if len(samples) == 0 {
		t.Fatal("no samples")
	}
	for _, s := range samples {
		t.Run(s.File, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata/examples", s.File))
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Ext(s.File) == ".sse" {
				roundTripFrames(t, s.Schema, data)
				return
			}
			typ := sampleType(t, strings.TrimPrefix(s.Schema, "[]"))
			if data = bytes.TrimSpace(data); data[0] == '[' {
				typ = arrayOf(typ)
			}
			v := reflect.New(typ)
			if err := json.Unmarshal(data, v.Interface()); err != nil {
				t.Fatal(err)
			}
			checkRoundTrip(t, data, v.Interface())
		})
	}
}

// arrayOf is for samples that are lists: the OpenAPI's example of a ModelList
// is its data alone.
func arrayOf(t reflect.Type) reflect.Type {
	switch t {
	case reflect.TypeFor[mistral.ModelList]():
		return reflect.TypeFor[[]mistral.Model]()
	case reflect.TypeFor[mistral.AgentHandoff]():
		return reflect.TypeFor[mistral.Entries]()
	}
	return reflect.SliceOf(t)
}

func sampleType(t *testing.T, schema string) reflect.Type {
	t.Helper()
	for typ, names := range goTypes {
		if slices.Contains(names, schema) {
			return typ
		}
	}
	t.Fatalf("no Go type stands for %s", schema)
	return nil
}

func roundTripFrames(t *testing.T, schema string, data []byte) {
	r := sse.NewReader(bytes.NewReader(data), 1<<20)
	for {
		ev, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if string(ev.Data) == "[DONE]" {
			continue
		}
		var v any = new(mistral.ChatChunk)
		if schema == "ConversationEvents" {
			v, err = streamed(ev.Name, string(ev.Data))
		} else {
			err = json.Unmarshal(ev.Data, v)
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprintf("%T", v), "Unknown") {
			t.Errorf("%s is not known", ev.Data)
		}
		checkRoundTrip(t, bytes.Clone(ev.Data), v)
	}
}

// checkRoundTrip encodes v, which was decoded from data. Members that data does
// not have may be there with their default value.
func checkRoundTrip(t *testing.T, data []byte, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	want, got := anyOf(t, data), anyOf(t, text)
	dropDefaults(got, want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
}

func anyOf(t *testing.T, data []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// dropDefaults removes members from got that are not in want: constants, and
// those with the zero value.
func dropDefaults(got, want any) {
	switch got := got.(type) {
	case map[string]any:
		want, _ := want.(map[string]any)
		for name, value := range got {
			if _, ok := want[name]; ok {
				dropDefaults(value, want[name])
				continue
			}
			constant := name == "type" || name == "object" || name == "role"
			if isZero(value) || constant {
				delete(got, name)
			}
		}
	case []any:
		want, _ := want.([]any)
		for i := range min(len(got), len(want)) {
			dropDefaults(got[i], want[i])
		}
	}
}

func isZero(v any) bool {
	switch v := v.(type) {
	case string:
		return v == ""
	case bool:
		return !v
	case json.Number:
		return v == "0"
	case []any:
		return len(v) == 0
	case map[string]any:
		// An object that was missing, with its own defaults.
		for name, value := range v {
			if name != "role" && name != "type" && !isZero(value) {
				return false
			}
		}
		return true
	}
	return false
}
