package tramontane_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// An api plays the API: it answers each start and append with the next of its
// replies, and keeps what it was sent.
type api struct {
	t *testing.T

	mu      sync.Mutex // guards the fields below
	replies []string   // outputs, as a JSON array, or events of a stream
	agent   string
	history string
	started string   // a conversation
	got     []string // "METHOD /path body"
}

func newAPI(t *testing.T, replies ...string) (*api, *mistral.Client) {
	a := &api{t: t, replies: replies}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return a, &mistral.Client{BaseURL: server.URL, HTTPClient: server.Client()}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body strings.Builder
	var in map[string]json.RawMessage
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			a.t.Errorf("%s %s: body: %v", r.Method, r.URL, err)
		}
		delete(in, "stream")
		json.NewEncoder(&body).Encode(in)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+body.String()))
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/agents/"):
		w.Write([]byte(a.agent))
	case a.history != "" && strings.HasSuffix(r.URL.Path, "/history"):
		w.Write([]byte(`{"object":"conversation.history","conversation_id":"conv_1","entries":` + a.history + `}`))
	case r.Method == http.MethodGet && a.started != "" && r.URL.Path == "/v1/conversations/conv_1":
		w.Write([]byte(a.started))
	case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/conversations"):
		if len(a.replies) == 0 {
			a.t.Error("more requests than replies")
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		reply := a.replies[0]
		a.replies = a.replies[1:]
		if strings.HasPrefix(reply, "event:") {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Write([]byte(reply))
			return
		}
		w.Write([]byte(`{"object":"conversation.response","conversation_id":"conv_1","outputs":` + reply + `,"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func call(id, name, arguments string) string {
	b, _ := json.Marshal(&mistral.FunctionCall{ID: "fc_" + id, ToolCallID: id, Name: name, Arguments: mistral.Arguments{Text: arguments}})
	return string(b)
}

func message(text string) string {
	b, _ := json.Marshal(&mistral.MessageOutput{ID: "msg", Role: "assistant", Content: mistral.Content{Text: text}})
	return string(b)
}

type place struct {
	Name string `json:"name" jsonschema:"name of the user"`
}

func locate(_ context.Context, in place) (string, error) {
	if in.Name == "nobody" {
		return "", errors.New("no such user")
	}
	if in.Name == "panic" {
		panic("boom")
	}
	return in.Name + "'s town", nil
}

type answer struct {
	User string `json:"user"`
	Town string `json:"town"`
}

func TestRun(t *testing.T) {
	a, client := newAPI(t,
		"["+call("a", "locate", `{"name":"John"}`)+","+call("b", "locate", `{"name":"nobody"}`)+","+call("c", "locate", `{"name":"panic"}`)+","+call("d", "locate", `{}`)+"]",
		"["+message(`{"user":"John","town":"x"}`)+"]")
	runner := &tramontane.Runner{
		Client: client,
		Model:  "m",
		Tools:  []tramontane.Tool{tramontane.Func("locate", "Finds a user.", locate, nil)},
		Output: tramontane.OutputOf[answer](),
	}
	result, err := runner.Run(t.Context(), tramontane.UserText("Where?"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tramontane.Decode[answer](result)
	if want := (answer{User: "John", Town: "x"}); err != nil || got != want {
		t.Errorf("Decode = %v, %v, want %v", got, err, want)
	}
	if len(result.Entries) != 9 {
		t.Errorf("got %d entries, want 4 calls, 4 results and a message", len(result.Entries))
	}
	var texts []string
	for _, e := range result.Entries {
		if r, ok := e.(*mistral.FunctionResult); ok {
			texts = append(texts, r.Result)
		}
	}
	want := []string{"John's town", "Error: no such user", "Error: tool locate panicked: boom", `Error: arguments of locate: required: missing properties: ["name"]`}
	for i := range want {
		if texts[i] != want[i] {
			t.Errorf("result %d = %q, want %q", i, texts[i], want[i])
		}
	}
	if want := `"inputs":[{"object":"entry","type":"function.result","tool_call_id":"a","result":"John's town"}`; len(a.got) != 2 || !strings.Contains(a.got[1], want) {
		t.Errorf("requests = %q, want a start and an append with the results", a.got)
	}
}
