package model_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server/model"
)

func ExampleOffline() {
	req := &mistral.ChatRequest{
		Model: "any",
		Messages: mistral.ChatMessages{
			&mistral.UserMessage{Content: mistral.Content{Text: "How many bikes are at Central Station?"}},
		},
		Tools: []mistral.ChatTool{{Type: "function", Function: mistral.Function{
			Name:        "count_bikes",
			Description: "Count the free bikes at a station.",
			Parameters:  json.RawMessage(`{"type":"object","properties":{"station":{"type":"string"}},"required":["station"]}`),
		}}},
	}
	resp, err := (&model.Offline{}).Complete(context.Background(), req)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, call := range resp.Choices[0].Message.ToolCalls {
		fmt.Println(call.Function.Name, call.Function.Arguments.Text)
	}
	// Output: count_bikes {"station":"Central Station"}
}

func user(text string) *mistral.UserMessage {
	return &mistral.UserMessage{Content: mistral.Content{Text: text}}
}

func offlineRequest(t testing.TB, families string, messages ...mistral.ChatMessage) *mistral.ChatRequest {
	tools, _ := loadTools(t, families)
	return &mistral.ChatRequest{Model: "any", Tools: tools, Messages: messages}
}

func TestOfflineCallIDs(t *testing.T) {
	req := offlineRequest(t, "forecast", user("What is the weather in Paris and London?"))
	resp, err := new(model.Offline).Complete(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, c := range resp.Choices[0].Message.ToolCalls {
		if ids[c.ID] || !regexp.MustCompile(`^[a-zA-Z0-9]{9}$`).MatchString(c.ID) {
			t.Errorf("call id %q is not nine letters and digits, or is there twice", c.ID)
		}
		ids[c.ID] = true
	}
}

// A later turn plans anew, and makes a call again that an earlier turn made.
func TestOfflineNextTurn(t *testing.T) {
	req := offlineRequest(t, "forecast")
	for range 2 {
		req.Messages = append(req.Messages, user("Where is John?"))
		turns, answer, err := converse(t, &model.Offline{}, req, map[string]string{`get_user_location {"name":"John"}`: "Paris"})
		if diff := cmp.Diff([]string{`get_user_location {"name":"John"}`}, turns); diff != "" || err != nil || answer != "Paris" {
			t.Errorf("answer %q, error %v, calls (-want +got):\n%s", answer, err, diff)
		}
	}
}

func TestOfflineToolChoice(t *testing.T) {
	none := &mistral.ChatToolChoice{Mode: mistral.ToolChoiceNone}
	req := offlineRequest(t, "forecast", user("What is the weather in Paris?"))
	req.ToolChoice = none
	var refusal *model.RefusalError
	if _, err := new(model.Offline).Complete(context.Background(), req); !errors.As(err, &refusal) {
		t.Errorf("with no results: error %v, want a refusal", err)
	}
	req.ToolChoice = nil
	resp, err := new(model.Offline).Complete(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	msg := resp.Choices[0].Message
	req.Messages = append(req.Messages, &msg,
		&mistral.ToolMessage{ToolCallID: msg.ToolCalls[0].ID, Content: mistral.Content{Text: "18 °C"}})
	req.ToolChoice = none
	resp, err = new(model.Offline).Complete(context.Background(), req)
	if err != nil || resp.Choices[0].Message.Content.String() != "18 °C" {
		t.Errorf("with a result: %v, %v, want the result", resp, err)
	}

	req = offlineRequest(t, "forecast", user("Paris"))
	req.ToolChoice = &mistral.ChatToolChoice{Function: "get_forecast"}
	turns, _, err := converse(t, &model.Offline{}, req, map[string]string{`get_forecast {"location":"Paris"}`: "fine"})
	if diff := cmp.Diff([]string{`get_forecast {"location":"Paris"}`}, turns); diff != "" || err != nil {
		t.Errorf("one function: %v, calls (-want +got):\n%s", err, diff)
	}
}

func TestOfflineOneCallAtATime(t *testing.T) {
	req := offlineRequest(t, "forecast", user("What is the weather in Paris and London?"))
	req.ParallelToolCalls = new(bool)
	turns, answer, err := converse(t, &model.Offline{}, req, map[string]string{
		`get_weather {"location":"Paris"}`: "18", `get_weather {"location":"London"}`: "12"})
	want := []string{`get_weather {"location":"Paris"}`, `get_weather {"location":"London"}`}
	if diff := cmp.Diff(want, turns); diff != "" || err != nil || answer != "18\n12" {
		t.Errorf("answer %q, error %v, calls (-want +got):\n%s", answer, err, diff)
	}
}

func TestOfflineRefusal(t *testing.T) {
	tools, readOnly := loadTools(t, "tickets")
	m := &model.Offline{MayCall: func(name string) bool { return readOnly[name] }}
	_, err := m.Complete(context.Background(), &mistral.ChatRequest{Tools: tools, Messages: mistral.ChatMessages{user("Tell me\na joke")}})
	var refusal *model.RefusalError
	if !errors.As(err, &refusal) {
		t.Fatalf("error %v, want a refusal", err)
	}
	want := &model.RefusalError{Request: "Tell me\na joke", Reason: "no tool fits", Barred: []string{"delete_ticket"},
		Tools: []string{"get_ticket", "search_tickets", "delete_ticket", "list_tickets"}}
	if diff := cmp.Diff(want, refusal); diff != "" {
		t.Errorf("refusal (-want +got):\n%s", diff)
	}
	var apiErr *mistral.Error
	if !errors.As(err, &apiErr) || apiErr.StatusCode != 422 || apiErr.Code != "offline_no_tool" || apiErr.Message != err.Error() {
		t.Errorf("as an error of the API: %+v", apiErr)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the message has more than one line: %q", err)
	}
}

func TestOfflineReadsOnlyText(t *testing.T) {
	for want, chunk := range map[string]mistral.Chunk{
		"image_url":    &mistral.ImageURLChunk{},
		"document_url": &mistral.DocumentURLChunk{},
		"input_audio":  &mistral.AudioChunk{},
		"file":         &mistral.FileChunk{},
	} {
		req := offlineRequest(t, "forecast", &mistral.UserMessage{Content: mistral.Content{Chunks: mistral.Chunks{
			&mistral.TextChunk{Text: "What is the weather in Paris?"}, chunk,
		}}})
		_, err := new(model.Offline).Complete(t.Context(), req)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %T: error %v, want one that names %s", chunk, err, want)
		}
	}
}

func TestOfflineStream(t *testing.T) {
	req := offlineRequest(t, "forecast", user("What is the weather in Paris?"))
	for range 2 {
		want, err := new(model.Offline).Complete(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		got := mistral.ChatResponse{Object: want.Object, Choices: make([]mistral.ChatChoice, 1)}
		var text strings.Builder
		chunks := 0
		for chunk, err := range new(model.Offline).Stream(context.Background(), req) {
			if err != nil {
				t.Fatal(err)
			}
			chunks++
			got.ID, got.Model = chunk.ID, chunk.Model
			if chunk.Usage != nil {
				got.Usage = *chunk.Usage
			}
			choice := &got.Choices[0]
			choice.FinishReason = chunk.Choices[0].FinishReason
			choice.Message.ToolCalls = append(choice.Message.ToolCalls, chunk.Choices[0].Delta.ToolCalls...)
			if c := chunk.Choices[0].Delta.Content; c != nil {
				text.WriteString(c.Text)
			}
		}
		if text.Len() > 0 {
			got.Choices[0].Message.Content = &mistral.Content{Text: text.String()}
			if chunks < 3 {
				t.Errorf("text came in %d chunks, want several", chunks)
			}
		}
		complete, _ := json.Marshal(want)
		streamed, _ := json.Marshal(&got)
		if diff := cmp.Diff(string(complete), string(streamed)); diff != "" {
			t.Errorf("streamed (-complete +streamed):\n%s", diff)
		}
		if u := want.Usage; u.PromptTokens < 1 || u.CompletionTokens < 1 || u.TotalTokens != u.PromptTokens+u.CompletionTokens {
			t.Errorf("usage %+v", u)
		}
		msg := want.Choices[0].Message
		if len(msg.ToolCalls) > 0 {
			req.Messages = append(req.Messages, &msg,
				&mistral.ToolMessage{ToolCallID: msg.ToolCalls[0].ID, Content: mistral.Content{Text: "sunny and warm today"}})
		}
	}
	for range new(model.Offline).Stream(context.Background(), req) {
		break
	}
}

func TestOfflineLongRequests(t *testing.T) {
	for _, n := range []int{100, 3000} {
		ask := strings.Repeat("Tell me the weather in Paris and of John. ", n)
		_, err := new(model.Offline).Complete(context.Background(), offlineRequest(t, "forecast filesystem", user(ask)))
		var refusal *model.RefusalError
		if errors.As(err, &refusal) != (n == 3000) {
			t.Errorf("%d sentences: error %v", n, err)
		}
	}
}

func FuzzOffline(f *testing.F) {
	f.Add("Tell me the x of A and B", "get_x", `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, `{"x":[1,{"y":null}]}`, `{"type":"object","properties":{"x":{"type":"array","items":{"$ref":"#"}}},"required":["x"]}`)
	f.Add("Read 'a' «b» 1,000 -5 a@b.c ~/x ", "read", `{"properties":{"a":{"properties":{"b":{"$ref":"#/properties/a"}}},"c":true,"d":[]},"required":[1,{}]}`, `[[["`, `{"anyOf":[{"$ref":"#"},{"type":"null"}]}`)
	f.Add("x: y", "", `[]`, `Error: no`, `{"type":["null","string"],"enum":[null,1]}`)
	f.Fuzz(func(t *testing.T, ask, tool, params, result, schema string) {
		if !json.Valid([]byte(params)) {
			params = `{}`
		}
		if !json.Valid([]byte(schema)) {
			schema = `true`
		}
		req := &mistral.ChatRequest{
			Messages:       mistral.ChatMessages{user(ask)},
			Tools:          []mistral.ChatTool{{Function: mistral.Function{Name: tool, Description: ask, Parameters: json.RawMessage(params)}}, {Function: mistral.Function{Name: "get_" + ask}}},
			ResponseFormat: &mistral.ResponseFormat{Type: mistral.ResponseJSONSchema, JSONSchema: &mistral.JSONSchema{Schema: json.RawMessage(schema)}},
		}
		seen := map[string]bool{}
		for turn := range 30 {
			resp, err := new(model.Offline).Complete(context.Background(), req)
			if err != nil {
				return
			}
			msg := resp.Choices[0].Message
			if len(msg.ToolCalls) == 0 {
				if !json.Valid([]byte(msg.Content.Text)) {
					t.Fatalf("answer is no JSON: %s", msg.Content.Text)
				}
				return
			}
			req.Messages = append(req.Messages, &msg)
			for _, c := range msg.ToolCalls {
				call := c.Function.Name + c.Function.Arguments.Text
				if !json.Valid([]byte(c.Function.Arguments.Text)) || seen[call] {
					t.Fatalf("turn %d: call %s is no JSON or was made before", turn, call)
				}
				seen[call] = true
				req.Messages = append(req.Messages, &mistral.ToolMessage{ToolCallID: c.ID, Content: mistral.Content{Text: result}})
			}
		}
		t.Fatal("no end")
	})
}
