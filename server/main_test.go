package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/sqlite"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashDB); path != "" {
		serveUntilKilled(path)
	}
	goleak.VerifyTestMain(m)
}

// A script is a model that gives one answer after the other, each a list of
// chunks as JSON, and keeps what it was asked.
type script struct {
	mu      sync.Mutex // guards the fields below
	answers [][]string
	asked   []*mistral.ChatRequest

	// before is called with each request, without the lock. If it returns an
	// error, that is the answer.
	before func(ctx context.Context, req *mistral.ChatRequest) error
}

// add appends an answer to the script.
func (m *script) add(chunks ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers = append(m.answers, chunks)
}

// last returns the messages of the last request as JSON.
func (m *script) last(t *testing.T) string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.asked) == 0 {
		t.Fatal("the model was not asked")
	}
	data, err := json.Marshal(m.asked[len(m.asked)-1].Messages)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (m *script) next(ctx context.Context, req *mistral.ChatRequest) ([]*mistral.ChatChunk, error) {
	if m.before != nil {
		if err := m.before(ctx, req); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, req)
	if len(m.answers) == 0 {
		return nil, errors.New("the script is at its end")
	}
	var chunks []*mistral.ChatChunk
	for _, text := range m.answers[0] {
		chunk := new(mistral.ChatChunk)
		if err := chunk.UnmarshalJSON([]byte(text)); err != nil {
			return nil, err
		}
		chunks = append(chunks, chunk)
	}
	m.answers = m.answers[1:]
	return chunks, nil
}

// Stream implements [server.Model].
func (m *script) Stream(ctx context.Context, req *mistral.ChatRequest) iter.Seq2[*mistral.ChatChunk, error] {
	return func(yield func(*mistral.ChatChunk, error) bool) {
		chunks, err := m.next(ctx, req)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, chunk := range chunks {
			if !yield(chunk, nil) {
				return
			}
		}
	}
}

// Complete implements [server.Model]. It joins the chunks, whose calls have to
// be whole.
func (m *script) Complete(ctx context.Context, req *mistral.ChatRequest) (*mistral.ChatResponse, error) {
	chunks, err := m.next(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := &mistral.ChatResponse{Choices: make([]mistral.ChatChoice, 1)}
	choice := &resp.Choices[0]
	for _, chunk := range chunks {
		if chunk.Usage != nil {
			resp.Usage = *chunk.Usage
		}
		for _, c := range chunk.Choices {
			choice.FinishReason = c.FinishReason
			if c.Delta.Content != nil {
				content := mistral.Content{}
				if choice.Message.Content != nil {
					content = *choice.Message.Content
				}
				content.Text += c.Delta.Content.Text
				content.Chunks = append(content.Chunks, c.Delta.Content.Chunks...)
				choice.Message.Content = &content
			}
			choice.Message.ToolCalls = append(choice.Message.ToolCalls, c.Delta.ToolCalls...)
		}
	}
	return resp, nil
}

// says is an answer in one piece of text.
func says(text string) string {
	quoted, _ := json.Marshal(text)
	return `{"choices":[{"index":0,"delta":{"role":"assistant","content":` + string(quoted) + `},"finish_reason":"stop"}],
		"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}`
}

// calls is an answer that calls functions, each given as "id name arguments".
func calls(list ...string) string {
	var out []string
	for _, call := range list {
		part := strings.SplitN(call, " ", 3)
		arguments, _ := json.Marshal(part[2])
		out = append(out, `{"id":"`+part[0]+`","function":{"name":"`+part[1]+`","arguments":`+string(arguments)+`}}`)
	}
	return `{"choices":[{"index":0,"delta":{"tool_calls":[` + strings.Join(out, ",") + `]},"finish_reason":"tool_calls"}]}`
}

// A host is a server under test.
type host struct {
	t     *testing.T
	url   string
	model *script
	store *sqlite.Store
}

func newHost(t *testing.T, opts *server.Options) *host {
	t.Helper()
	return newHostOver(t, opts, func(s *sqlite.Store) server.Store { return s })
}

// newHostOver returns a server that has what wrap makes of its store.
func newHostOver(t *testing.T, opts *server.Options, wrap func(*sqlite.Store) server.Store) *host {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, model: new(script), store: store}
	srv := httptest.NewServer(server.New(wrap(store), h.model, opts))
	t.Cleanup(func() {
		srv.Close()
		http.DefaultClient.CloseIdleConnections()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	h.url = srv.URL
	return h
}

// do makes a request and returns the status and the body.
func (h *host) do(method, path, body string) (int, string) {
	h.t.Helper()
	resp := h.send(method, path, body)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, string(data)
}

func (h *host) send(method, path, body string) *http.Response {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp
}

// ok makes a request that has to succeed and returns the answer.
func (h *host) ok(method, path, body string) answer {
	h.t.Helper()
	status, data := h.do(method, path, body)
	if status != http.StatusOK {
		h.t.Fatalf("%s %s %s: status %d: %s", method, path, body, status, data)
	}
	return answer{h.t, data}
}

// fails makes a request that has to fail with the status and with each of the
// texts in its body.
func (h *host) fails(method, path, body string, status int, texts ...string) {
	h.t.Helper()
	got, data := h.do(method, path, body)
	if got != status {
		h.t.Errorf("%s %s %s: status %d, want %d: %s", method, path, body, got, status, data)
	}
	for _, text := range texts {
		if !strings.Contains(data, text) {
			h.t.Errorf("%s %s %s: answer without %q: %s", method, path, body, text, data)
		}
	}
}

// An answer is a JSON body.
type answer struct {
	t    *testing.T
	body string
}

// get returns the value at a path of names and indexes, as JSON, or "" if there
// is none. A string is without its quotes.
func (a answer) get(path ...any) string {
	a.t.Helper()
	var v any
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := v.(map[string]any)
			member, ok := object[step]
			if !ok {
				return ""
			}
			v = member
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return ""
			}
			v = list[step]
		}
	}
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(data)
}

// want checks the value at a path.
func (a answer) want(want string, path ...any) {
	a.t.Helper()
	if got := a.get(path...); got != want {
		a.t.Errorf("%v = %q, want %q, in %s", path, got, want, a.body)
	}
}

// An event is one frame of a stream.
type event struct {
	kind string // of the event line
	answer
}

// stream makes a request that has to be answered with a stream, and returns its
// events and comments.
func (h *host) stream(path, body string) (events []event, comments int) {
	h.t.Helper()
	resp := h.send("POST", path, body)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		data, _ := io.ReadAll(resp.Body)
		h.t.Fatalf("POST %s %s: status %d, %s: %s", path, body, resp.StatusCode, resp.Header.Get("Content-Type"), data)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	var frame event
	for lines.Scan() {
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(name) {
		case "event":
			frame.kind = string(value)
		case "data":
			frame.answer = answer{h.t, string(value)}
		case "":
			if value != nil {
				comments++
			} else if frame.kind != "" {
				frame.want(frame.kind, "type")
				events = append(events, frame)
				frame = event{}
			}
		default:
			h.t.Errorf("line %q in a stream", lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		h.t.Error(err)
	}
	return events, comments
}
