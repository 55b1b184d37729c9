package model_test

import (
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server/model"
)

// An answer is what a caller makes of an answer, whole or in pieces.
type answer struct {
	Thought, Text      string
	Calls              []call
	Finish             mistral.FinishReason
	Prompt, Completion int // tokens
}

type call struct{ ID, Name, Args string }

// fresh stands for an id that was drawn.
const fresh = "a fresh id"

var shortID = regexp.MustCompile(`^[a-zA-Z0-9]{9}$`)

// known are the ids that the tests' answers have and that are kept.
var known = map[string]bool{"WJfo42Ow3": true, "NqCFiwvSV": true, "4189fdfaG": true}

func (a *answer) addCall(t *testing.T, c mistral.ToolCall) {
	t.Helper()
	if !shortID.MatchString(c.ID) {
		t.Errorf("call %s has the id %q, want nine letters and digits", c.Function.Name, c.ID)
	}
	if c.Type != "function" {
		t.Errorf("call %s has the type %q, want function", c.Function.Name, c.Type)
	}
	if c.Index != len(a.Calls) {
		t.Errorf("call %s has the index %d, want %d", c.Function.Name, c.Index, len(a.Calls))
	}
	id := c.ID
	if !known[id] {
		id = fresh
	}
	a.Calls = append(a.Calls, call{id, c.Function.Name, c.Function.Arguments.Text})
}

func (a *answer) addContent(c *mistral.Content) {
	if c == nil {
		return
	}
	a.Text += c.String()
	for _, chunk := range c.Chunks {
		if think, ok := chunk.(*mistral.ThinkChunk); ok {
			a.Thought += mistral.Content{Chunks: think.Thinking}.String()
		}
	}
}

func fromResponse(t *testing.T, resp *mistral.ChatResponse) answer {
	t.Helper()
	choice := resp.Choices[0]
	a := answer{Finish: choice.FinishReason, Prompt: resp.Usage.PromptTokens, Completion: resp.Usage.CompletionTokens}
	a.addContent(choice.Message.Content)
	for _, c := range choice.Message.ToolCalls {
		a.addCall(t, c)
	}
	return a
}

// fromStream joins the pieces of a stream, and checks what Chat promises of
// them.
func fromStream(t *testing.T, pieces iter.Seq2[*mistral.ChatChunk, error]) (a answer, err error) {
	t.Helper()
	first := true
	for piece, err := range pieces {
		if err != nil {
			return a, err
		}
		if a.Finish != "" {
			t.Errorf("a piece comes after the last: %+v", piece)
		}
		if len(piece.Choices) != 1 {
			t.Fatalf("a piece has %d choices, want 1", len(piece.Choices))
		}
		choice := piece.Choices[0]
		if said := choice.Delta.Content != nil || choice.Delta.ToolCalls != nil; (choice.Delta.Role != "") != (first && said) {
			t.Errorf("a piece has the role %q (the first: %t)", choice.Delta.Role, first)
		}
		first = false
		a.Finish = choice.FinishReason
		if piece.Usage != nil {
			a.Prompt, a.Completion = piece.Usage.PromptTokens, piece.Usage.CompletionTokens
		}
		a.addContent(choice.Delta.Content)
		for _, c := range choice.Delta.ToolCalls {
			if c.Index == len(a.Calls) {
				a.addCall(t, c)
				continue
			}
			if c.Index > len(a.Calls) || c.ID != "" || c.Function.Name != "" {
				t.Fatalf("fragment %+v goes on with no call of %+v", c, a.Calls)
			}
			a.Calls[c.Index].Args += c.Function.Arguments.Text
		}
	}
	return a, nil
}

// A reply is what an endpoint answers.
type reply struct {
	status     int
	kind, body string
}

// chatTo returns a model at an endpoint that answers r, and what it was asked
// last.
func chatTo(t *testing.T, r reply) (*model.Chat, *received) {
	t.Helper()
	got := new(received)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		*got = received{path: req.URL.Path, auth: req.Header.Get("Authorization"), body: string(body)}
		w.Header().Set("Content-Type", r.kind)
		w.WriteHeader(r.status)
		io.WriteString(w, r.body)
	}))
	t.Cleanup(srv.Close)
	return &model.Chat{BaseURL: srv.URL + "/v1", HTTPClient: srv.Client()}, got
}

type received struct{ path, auth, body string }

// ask returns a request with one message of the user.
func ask(text string) *mistral.ChatRequest {
	return &mistral.ChatRequest{
		Model:    "some-model",
		Messages: mistral.ChatMessages{&mistral.UserMessage{Content: mistral.Content{Text: text}}},
	}
}

// redirected returns a client that makes every request to base.
func redirected(base string, client *http.Client) *http.Client {
	to, _ := http.NewRequest(http.MethodGet, base, nil)
	out := *client
	out.Transport = transport(func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		req.URL.Scheme, req.URL.Host = to.URL.Scheme, to.URL.Host
		return client.Transport.RoundTrip(req)
	})
	return &out
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
