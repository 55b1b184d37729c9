package model_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server/model"
)

// weather plays a model with two tools. Its first two replies are for everyone
// who asks for the weather, the last two for everyone else.
const weather = `{"when": "weather", "expect": {"last_role": "user", "tools": ["get_location", "get_weather"]}, "tool_calls": [{"function": {"name": "get_location", "arguments": {"user": "John"}}}, {"id": "NqCFiwvSV", "function": {"name": "get_weather"}}]}
{"when": "weather", "expect": {"last_role": "tool", "last_content": "Paris"}, "content": "It is 21 °C in Paris."}

{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Hello there."}]}
{"error": {"status": 429, "message": "too busy"}}
`

func TestScripted(t *testing.T) {
	user := func(text string) mistral.ChatMessage {
		return &mistral.UserMessage{Content: mistral.Content{Text: text}}
	}
	assistant := &mistral.AssistantMessage{Content: &mistral.Content{Text: "?"}}
	result := &mistral.ToolMessage{Content: mistral.Content{Text: "Paris"}}
	calls := answer{
		Calls:  []call{{fresh, "get_location", `{"user": "John"}`}, {"NqCFiwvSV", "get_weather", "{}"}},
		Finish: mistral.FinishToolCalls, Prompt: 2, Completion: 2,
	}
	tests := []struct {
		name     string
		messages mistral.ChatMessages
		want     answer
		wantErr  string
	}{
		{"first call", mistral.ChatMessages{user("weather, please")}, calls, ""},
		{
			"answer to a result",
			mistral.ChatMessages{user("weather, please"), assistant, assistant, result, result},
			answer{Text: "It is 21 °C in Paris.", Finish: mistral.FinishStop, Prompt: 6, Completion: 6}, "",
		},
		{"no text", mistral.ChatMessages{user("hi")}, answer{Thought: "Hm.", Text: "Hello there.", Finish: mistral.FinishStop, Prompt: 1, Completion: 2}, ""},
		{"an error", mistral.ChatMessages{user("hi"), assistant, user("hi")}, answer{}, "429 Too Many Requests: too busy"},
		{"a question begins anew", mistral.ChatMessages{user("weather"), assistant, user("the weather")}, answer{Calls: calls.Calls, Finish: mistral.FinishToolCalls, Prompt: 4, Completion: 2}, ""},
		{"too long", mistral.ChatMessages{user("hi"), assistant, user("hi"), assistant, user("bye")}, answer{}, `has no reply for turn 3 of a chat, which ends with "bye"`},
		{"too long after a question", mistral.ChatMessages{user("weather"), assistant, result, assistant, result}, answer{}, `has no reply for turn 3 after "weather"`},
		{"unexpected", mistral.ChatMessages{user("weather"), assistant, user("weather"), assistant, assistant}, answer{}, `script.jsonl:2 expects another request: the last message is of the role "assistant", want "tool"`},
	}
	s := load(t, weather)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req := &mistral.ChatRequest{Model: "m", Messages: test.messages, Tools: []mistral.ChatTool{
				{Function: mistral.Function{Name: "get_location"}}, {Function: mistral.Function{Name: "get_weather"}},
			}}
			resp, err := s.Complete(t.Context(), req)
			checkError(t, err, test.wantErr)
			if err == nil {
				if diff := cmp.Diff(test.want, fromResponse(t, resp)); diff != "" {
					t.Errorf("Complete (-want +got):\n%s", diff)
				}
			}
			got, err := fromStream(t, s.Stream(t.Context(), req))
			checkError(t, err, test.wantErr)
			if err == nil {
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("Stream (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// The same chat gets the same pieces, whoever else asks meanwhile.
func TestScriptedIsDeterministic(t *testing.T) {
	s := load(t, `{"content": "déjà vu, and again"}`)
	want := []string{"déjà v", "u, and", " again"}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var got []string
			for piece, err := range s.Stream(t.Context(), ask("?")) {
				if err != nil {
					t.Error(err)
					return
				}
				got = append(got, piece.Choices[0].Delta.Content.Text)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pieces (-want +got):\n%s", diff)
			}
		})
	}
	wg.Wait()
}

func TestScriptedExpectations(t *testing.T) {
	for expect, want := range map[string]string{
		`{"model": "other"}`:        `the model is "some-model", want "other"`,
		`{"last_role": "tool"}`:     `the last message is of the role "user", want "tool"`,
		`{"last_content": "Paris"}`: `the last message is "Who?", want "Paris" in it`,
		`{"system": "brief"}`:       `the system says "Be kind.", want "brief" in it`,
		`{"tools": []}`:             `the tools are ["search"], want []`,
		`{"model": "some-model", "last_role": "user", "last_content": "Wh", "system": "kind", "tools": ["search"]}`: "",
	} {
		s := load(t, `[{"expect": `+expect+`, "content": "Me."}]`)
		req := requestOf(t, `{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Who?"}],`+tools+`}`)
		_, err := s.Complete(t.Context(), req)
		checkError(t, err, want)
	}
}

func TestScriptedStops(t *testing.T) {
	s := load(t, `{"content": "one two three four"}`)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	enough := errors.New("enough")
	var last error
	n := 0
	for _, err := range s.Stream(ctx, ask("?")) {
		cancel(enough)
		last = err
		n++
	}
	if n != 2 || last != enough {
		t.Errorf("Stream gave %d pieces and ended with %v, want 2 and %v", n, last, enough)
	}
	if _, err := s.Complete(ctx, ask("?")); err != enough {
		t.Errorf("Complete returned %v, want %v", err, enough)
	}
}

func TestLoadScriptedErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "script.jsonl holds no replies",
		"[]":                                     "script.jsonl holds no replies",
		"{\"content\": \"a\"}\n{\"content\": }":  "script.jsonl:2: invalid character '}'",
		"{\"content\": \"a\"}\n{\"content\":":    "script.jsonl:2: unexpected EOF",
		"[{\"content\": \"a\"},\n\n{\"a\": 1}]":  `script.jsonl:3: json: unknown field "a"`,
		"[\n{\"content\": \"a\"}":                "script.jsonl:2: unexpected EOF",
		"[{\"content\": \"a\"}\n{}]":             "script.jsonl:2: ",
		"\n{}":                                   "script.jsonl:2: a reply has content, tool_calls, finish_reason or error",
		`{"error": {"status": 200}}`:             "script.jsonl:1: an error has a status from 400 to 599 and a message",
		`{"tool_calls": [{"function": {}}]}`:     "script.jsonl:1: tool_calls[0]: the function has no name",
		`{"tool_calls": [{"name": "a"}]}`:        `script.jsonl:1: tool_calls[0]: unknown field "name"`,
		`{"content": 7}`:                         "script.jsonl:1: want text or a list of chunks",
		`{"content": "a", "expect": {"tol": 1}}`: `script.jsonl:1: json: unknown field "tol"`,
	} {
		_, err := model.LoadScripted(write(t, text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("LoadScripted(%q) returned %v, want %q", text, err, want)
		}
	}
	missing := filepath.Join(t.TempDir(), "missing.json")
	if _, err := model.LoadScripted(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("LoadScripted of a missing file returned %v, want an error that names it", err)
	}
}

func load(t *testing.T, text string) *model.Scripted {
	t.Helper()
	s, err := model.LoadScripted(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil {
		t.Errorf("got the error %v", err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got the error %v, want %q", err, want)
	}
}
