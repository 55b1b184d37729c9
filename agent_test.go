package tramontane_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

const theAgent = `{"object":"agent","id":"ag_1","name":"a","model":"am","version":3,"versions":[0,1,2,3],"created_at":"2025-01-01T00:00:00Z","updated_at":"2025-01-01T00:00:00Z","deployment_chat":false,"source":"api",` +
	`"instructions":"Be kind.","tools":[{"type":"web_search"},{"type":"function","function":{"name":"locate","parameters":{"old":true}}},{"type":"tool_of_tomorrow", "x": 1}],"completion_args":{"temperature":0.3,"later":true},"guardrails":[{"block_on_error":true,"new":1}]}`

func writes(got []string) (n int) {
	for _, g := range got {
		if strings.HasPrefix(g, "PATCH") || strings.HasPrefix(g, "POST /v1/agents") {
			n++
		}
	}
	return n
}

func TestAgentAsItIs(t *testing.T) {
	a, client := newAPI(t, "["+message("Hi.")+"]")
	runner := &tramontane.Runner{Client: client, AgentID: "ag_1"}
	if _, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil); err != nil {
		t.Fatal(err)
	}
	if len(a.got) != 1 || !strings.Contains(a.got[0], `"agent_id":"ag_1"`) || strings.Contains(a.got[0], `"tools"`) {
		t.Errorf("requests = %q, want one start with the agent's id alone", a.got)
	}
}

func TestAgentInline(t *testing.T) {
	a, client := newAPI(t, "["+message(`{"user":"u","town":"t"}`)+"]", "["+message(`{"user":"u","town":"t"}`)+"]")
	a.agent = theAgent
	runner := &tramontane.Runner{
		Client:       client,
		AgentID:      "ag_1",
		AgentVersion: &mistral.AgentVersion{Number: 3},
		Instructions: "Be brief.",
		Tools:        []tramontane.Tool{tramontane.Func("locate", "", locate, nil)},
		Output:       tramontane.OutputOf[answer](),
	}
	for range 2 {
		if _, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := writes(a.got); n != 0 {
		t.Errorf("%d writes to the agent, want none", n)
	}
	if len(a.got) != 3 {
		t.Errorf("requests = %q, want the pinned agent read once, and two starts", a.got)
	}
	start := a.got[1]
	for _, want := range []string{
		`"model":"am"`, `"instructions":"Be kind.\n\nBe brief."`, `{"type":"web_search"}`, `{"type":"tool_of_tomorrow","x":1}`,
		`"temperature":0.3`, `"later":true`, `"response_format"`, `"new":1`, `"name":{"type":"string"`,
	} {
		if !strings.Contains(start, want) {
			t.Errorf("start lacks %s: %s", want, start)
		}
	}
	for _, not := range []string{`"agent_id"`, `"old"`} {
		if strings.Contains(start, not) {
			t.Errorf("start has %s: %s", not, start)
		}
	}
}

func TestAgentWithHandoffs(t *testing.T) {
	a, client := newAPI(t)
	a.agent = strings.Replace(theAgent, `"tools"`, `"handoffs":["ag_2"],"tools"`, 1)
	runner := &tramontane.Runner{Client: client, AgentID: "ag_1", Output: tramontane.OutputOf[answer]()}
	_, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil)
	if err == nil || !strings.Contains(err.Error(), "OwnVersion") {
		t.Errorf("err = %v, want one that names OwnVersion", err)
	}
}

// versions is an API whose agents have versions, unlike that of api.
type versions struct {
	*api
	made []mistral.Agent
}

func (v *versions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/v1/agents/ag_1/versions":
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v.made)
	case r.Method == http.MethodPatch && r.URL.Path == "/v1/agents/ag_1":
		var a mistral.Agent
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			v.t.Error(err)
		}
		a.ID, a.Version = "ag_1", 4+len(v.made)
		v.made = append(v.made, a)
		v.got = append(v.got, "PATCH "+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(a)
	case r.Method == http.MethodPatch && r.URL.Path == "/v1/agents/ag_1/version":
		v.got = append(v.got, "PATCH "+r.URL.String())
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(theAgent))
	default:
		v.api.ServeHTTP(w, r)
	}
}

func TestAgentOwnVersion(t *testing.T) {
	reply := "[" + message(`{"user":"u","town":"t"}`) + "]"
	a, client := newAPI(t, reply, reply, reply)
	a.agent = theAgent
	v := &versions{api: a, made: []mistral.Agent{}}
	client.HTTPClient = &http.Client{Transport: handlerTransport{v}}
	for i, wantWrites := range []int{2, 2, 2} { // one PATCH, and one to switch back; then no more
		if i == 2 {
			v.got = v.got[:0]
			wantWrites = 0
		}
		runner := &tramontane.Runner{Client: client, AgentID: "ag_1", OwnVersion: true, Output: tramontane.OutputOf[answer]()}
		if _, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil); err != nil {
			t.Fatal(err)
		}
		if n := writes(v.got); n != wantWrites {
			t.Errorf("after run %d: %d writes, want %d: %q", i, n, wantWrites, v.got)
		}
	}
	if last := v.got[len(v.got)-1]; !strings.Contains(last, `"agent_id":"ag_1"`) || !strings.Contains(last, `"agent_version":4`) {
		t.Errorf("start = %s, want the agent pinned to version 4", last)
	}
}

func TestAgentOwnVersionIsMadeOnceThoughTheRunIsResumed(t *testing.T) {
	a, client := newAPI(t, "["+message("Hi.")+"]")
	a.agent = theAgent
	v := &versions{api: a, made: []mistral.Agent{}}
	down := true
	client.MaxRetries = -1
	client.HTTPClient = &http.Client{Transport: handlerTransport{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down && r.Method == http.MethodPost {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		v.ServeHTTP(w, r)
	})}}
	runner := &tramontane.Runner{Client: client, AgentID: "ag_1", OwnVersion: true, Instructions: "Be brief."}
	result, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil)
	if err == nil {
		t.Fatal("the run went through though the API was down")
	}
	down = false
	// Another program knows nothing but the State.
	runner = &tramontane.Runner{Client: client, AgentID: "ag_1", OwnVersion: true, Instructions: "Be brief."}
	if _, err := runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: result.State}); err != nil {
		t.Fatal(err)
	}
	if len(v.made) != 1 {
		t.Errorf("%d versions were made, want 1", len(v.made))
	}
}

// handlerTransport answers requests by a handler, without a network.
type handlerTransport struct{ handler http.Handler }

func (h handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	h.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}
