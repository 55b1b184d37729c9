package model_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server/model"
)

// offlineCase is one request with the results of the calls that it leads to.
type offlineCase struct {
	name     string
	families string // files of testdata/offline, by name
	readOnly bool   // tools not marked read-only may not be called
	ask      string
	schema   string            // of the answer; if empty, text
	results  map[string]string // of a call, as in calls
	calls    []string          // each turn: calls joined by " + "
	answer   string
	refusal  string // part of the error
}

type testTool struct {
	Name        string
	Description string
	InputSchema json.RawMessage
	ReadOnly    bool
}

func loadTools(t testing.TB, families string) ([]mistral.ChatTool, map[string]bool) {
	t.Helper()
	var tools []mistral.ChatTool
	readOnly := map[string]bool{}
	for family := range strings.FieldsSeq(families) {
		data, err := os.ReadFile(filepath.Join("testdata", "offline", family+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var list []testTool
		if err := json.Unmarshal(data, &list); err != nil {
			t.Fatalf("%s: %v", family, err)
		}
		for _, x := range list {
			readOnly[x.Name] = x.ReadOnly
			tools = append(tools, mistral.ChatTool{Type: "function", Function: mistral.Function{
				Name: x.Name, Description: x.Description, Parameters: x.InputSchema}})
		}
	}
	return tools, readOnly
}

// converse runs a request to its end and returns the calls of each turn.
func converse(t *testing.T, m *model.Offline, req *mistral.ChatRequest, results map[string]string) ([]string, string, error) {
	t.Helper()
	var turns []string
	for range 10 {
		resp, err := m.Complete(context.Background(), req)
		if err != nil {
			return turns, "", err
		}
		msg := resp.Choices[0].Message
		req.Messages = append(req.Messages, &msg)
		if len(msg.ToolCalls) == 0 {
			return turns, msg.Content.String(), nil
		}
		var calls []string
		for _, c := range msg.ToolCalls {
			call := c.Function.Name + " " + c.Function.Arguments.Text
			calls = append(calls, call)
			result, ok := results[call]
			if !ok {
				t.Errorf("%q: no result for the call %s", req.Messages[0], call)
			}
			req.Messages = append(req.Messages, &mistral.ToolMessage{
				ToolCallID: c.ID, Name: c.Function.Name, Content: mistral.Content{Text: result}})
		}
		turns = append(turns, strings.Join(calls, " + "))
	}
	t.Error("no answer after ten turns")
	return turns, "", nil
}

func TestOffline(t *testing.T) {
	for _, c := range offlineCases {
		t.Run(c.name, func(t *testing.T) {
			tools, readOnly := loadTools(t, c.families)
			req := &mistral.ChatRequest{Model: "any", Tools: tools, Messages: mistral.ChatMessages{
				&mistral.UserMessage{Content: mistral.Content{Text: c.ask}}}}
			if c.schema != "" {
				req.ResponseFormat = &mistral.ResponseFormat{Type: mistral.ResponseJSONSchema,
					JSONSchema: &mistral.JSONSchema{Name: "result", Schema: json.RawMessage(c.schema)}}
			}
			m := &model.Offline{}
			if c.readOnly {
				m.MayCall = func(name string) bool { return readOnly[name] }
			}
			turns, answer, err := converse(t, m, req, c.results)
			if diff := cmp.Diff(c.calls, turns); diff != "" {
				t.Errorf("%q: calls (-want +got):\n%s", c.ask, diff)
			}
			if answer != c.answer {
				t.Errorf("%q: answer\n got %q\nwant %q", c.ask, answer, c.answer)
			}
			var refusal *model.RefusalError
			if got := errors.As(err, &refusal); got != (c.refusal != "") {
				t.Fatalf("%q: error %v, want a refusal with %q", c.ask, err, c.refusal)
			}
			if err != nil && !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("%q: error %v, want it to say %q", c.ask, err, c.refusal)
			}
		})
	}
}
