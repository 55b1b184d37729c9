package tramontane_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	made    []mistral.Agent
	update  string // the last one
	patched func() // called after an update
}

func (v *versions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/v1/agents/ag_1/versions":
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v.made)
	case r.Method == http.MethodPatch && r.URL.Path == "/v1/agents/ag_1":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			v.t.Error(err)
		}
		v.update = string(body)
		var a mistral.Agent
		if err := json.Unmarshal(body, &a); err != nil {
			v.t.Error(err)
		}
		if v.patched != nil {
			v.patched()
		}
		a.ID, a.Version = "ag_1", 4+len(v.made)
		v.made = append(v.made, a)
		v.got = append(v.got, "PATCH "+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(a)
	case r.Method == http.MethodPatch && r.URL.Path == "/v1/agents/ag_1/version":
		v.got = append(v.got, "PATCH "+r.URL.RequestURI())
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

// elder answers as v, save that version 2 of the agent, also known as "prod",
// has fewer things than the current one, 3.
func elder(v *versions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query().Get("agent_version"); q != "2" && q != "prod" {
			v.ServeHTTP(w, r)
			return
		}
		v.got = append(v.got, "GET "+r.URL.RequestURI())
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"object":"agent","id":"ag_1","name":"a","model":"am","version":2,"versions":[0,1,2,3],"created_at":"2025-01-01T00:00:00Z","updated_at":"2025-01-01T00:00:00Z","deployment_chat":false,"source":"api"}`))
	})
}

// What is current stays so, and what it has does not reach a version that is
// made from another.
func TestAgentOwnVersionOfAPinnedOne(t *testing.T) {
	for name, version := range map[string]*mistral.AgentVersion{"number": {Number: 2}, "alias": {Alias: "prod"}} {
		t.Run(name, func(t *testing.T) {
			a, client := newAPI(t, "["+message("Hi.")+"]")
			a.agent = theAgent
			v := &versions{api: a, made: []mistral.Agent{}}
			client.HTTPClient = &http.Client{Transport: handlerTransport{elder(v)}}
			runner := &tramontane.Runner{Client: client, AgentID: "ag_1", AgentVersion: version, OwnVersion: true, CompletionArgs: &mistral.CompletionArgs{MaxTokens: new(int)}}
			if _, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil); err != nil {
				t.Fatal(err)
			}
			if want := "PATCH /v1/agents/ag_1/version?version=3"; !slices.Contains(v.got, want) {
				t.Errorf("requests = %q, want %s among them", v.got, want)
			}
			for _, want := range []string{`"instructions":null`, `"guardrails":null`, `"handoffs":null`, `"tools":[]`} {
				if !strings.Contains(v.update, want) {
					t.Errorf("update = %s, want %s in it", v.update, want)
				}
			}
			if last := v.got[len(v.got)-1]; !strings.Contains(last, `"agent_version":4`) {
				t.Errorf("start = %s, want the agent pinned to version 4", last)
			}
		})
	}
}

// An alias may be given to another version at any time.
func TestAgentAliasIsReadAnew(t *testing.T) {
	a, client := newAPI(t, "["+message("Hi.")+"]", "["+message("Hi.")+"]")
	v := &versions{api: a}
	client.HTTPClient = &http.Client{Transport: handlerTransport{elder(v)}}
	runner := &tramontane.Runner{Client: client, AgentID: "ag_1", AgentVersion: &mistral.AgentVersion{Alias: "prod"}, Instructions: "Be brief."}
	for range 2 {
		if _, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if read := strings.Count(strings.Join(v.got, "\n"), "agent_version=prod"); read != 2 {
		t.Errorf("the agent was read %d times in 2 runs: %q", read, v.got)
	}
}

func TestAgentIsSwitchedBackThoughTheRunIsCancelled(t *testing.T) {
	a, client := newAPI(t)
	a.agent = theAgent
	v := &versions{api: a, made: []mistral.Agent{}}
	ctx, cancel := context.WithCancel(t.Context())
	v.patched = cancel
	client.HTTPClient = &http.Client{Transport: handlerTransport{v}}
	runner := &tramontane.Runner{Client: client, AgentID: "ag_1", OwnVersion: true, Instructions: "Be brief."}
	if _, err := runner.Run(ctx, tramontane.UserText("Hi"), nil); err != context.Canceled {
		t.Errorf("err = %v, want the context's", err)
	}
	if want := "PATCH /v1/agents/ag_1/version?version=3"; v.got[len(v.got)-1] != want {
		t.Errorf("requests = %q, want %s at last", v.got, want)
	}
}

func TestAgentWithTheVersionOfAnotherRun(t *testing.T) {
	a, client := newAPI(t)
	a.agent = strings.Replace(theAgent, `"tools"`, `"version_message":"tramontane 0123","tools"`, 1)
	v := &versions{api: a, made: []mistral.Agent{}}
	client.HTTPClient = &http.Client{Transport: handlerTransport{elder(v)}}
	for _, version := range []*mistral.AgentVersion{nil, {Number: 2}} {
		runner := &tramontane.Runner{Client: client, AgentID: "ag_1", AgentVersion: version, OwnVersion: true, Instructions: "Be brief."}
		_, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil)
		if err == nil || !strings.Contains(err.Error(), "version 3 was made for a run") || writes(v.got) != 0 {
			t.Errorf("from version %v: err = %v after %q, want a refusal and no write", version, err, v.got)
		}
	}
}

// Runs of one Runner that start at once make one version.
func TestAgentOwnVersionOfRunsAtOnce(t *testing.T) {
	reply := "[" + message("Hi.") + "]"
	a, client := newAPI(t, reply, reply, reply, reply)
	a.agent = theAgent
	v := &versions{api: a, made: []mistral.Agent{}}
	var mu sync.Mutex // versions is for one request at a time
	var read atomic.Int32
	all := make(chan struct{})
	client.HTTPClient = &http.Client{Transport: handlerTransport{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/versions") {
			if read.Add(1) == 4 {
				close(all)
			}
			select { // let the others come as far, if they can
			case <-all:
			case <-time.After(50 * time.Millisecond):
			}
		}
		mu.Lock()
		defer mu.Unlock()
		v.ServeHTTP(w, r)
	})}}
	runner := &tramontane.Runner{Client: client, AgentID: "ag_1", OwnVersion: true, Instructions: "Be brief."}
	var runs sync.WaitGroup
	for range 4 {
		runs.Go(func() {
			if _, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil); err != nil {
				t.Error(err)
			}
		})
	}
	runs.Wait()
	if len(v.made) != 1 {
		t.Errorf("%d versions were made, want 1", len(v.made))
	}
}

// Nothing is read or written for a run that cannot be: its tools failed.
func TestAgentOwnVersionWithoutTools(t *testing.T) {
	a, client := newAPI(t)
	a.agent = theAgent
	v := &versions{api: a, made: []mistral.Agent{}}
	client.HTTPClient = &http.Client{Transport: handlerTransport{v}}
	dead := errors.New("server weather: it does not start")
	runner := &tramontane.Runner{
		Client: client, AgentID: "ag_1", OwnVersion: true, Instructions: "Be brief.",
		Toolsets: []tramontane.Toolset{toolset(func(context.Context) ([]tramontane.Tool, error) { return nil, dead })},
	}
	if _, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil); !errors.Is(err, dead) || len(v.got) != 0 {
		t.Errorf("err = %v after %q, want the toolset's and no request", err, v.got)
	}
}

func TestAgentMissing(t *testing.T) {
	_, client := newAPI(t)
	client.HTTPClient = &http.Client{Transport: handlerTransport{http.NotFoundHandler()}}
	runner := &tramontane.Runner{Client: client, AgentID: "ag_1", Instructions: "Be brief."}
	_, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil)
	var apiErr *mistral.Error
	if !errors.As(err, &apiErr) || apiErr.StatusCode != http.StatusNotFound {
		t.Errorf("err = %v, want the API's", err)
	}
}

// A run changes neither the agent that it remembers nor what the Runner has.
func TestAgentIsRememberedAsItIs(t *testing.T) {
	reply := "[" + message(`{"user":"u","town":"t"}`) + "]"
	a, client := newAPI(t, reply, reply, reply)
	a.agent = theAgent
	args := &mistral.CompletionArgs{MaxTokens: new(int)}
	runner := &tramontane.Runner{
		Client: client, AgentID: "ag_1", AgentVersion: &mistral.AgentVersion{Number: 3}, CompletionArgs: args,
		Tools:  []tramontane.Tool{tramontane.Func("locate", "", locate, nil)},
		Output: tramontane.OutputOf[answer](),
	}
	run := func() {
		if _, err := runner.Run(t.Context(), tramontane.UserText("Hi"), nil); err != nil {
			t.Error(err)
		}
	}
	run()
	var runs sync.WaitGroup // at once, for the race detector
	runs.Go(run)
	runs.Go(run)
	runs.Wait()
	if a.got[1] != a.got[2] || a.got[1] != a.got[3] {
		t.Errorf("starts differ: %q", a.got[1:])
	}
	for want, n := range map[string]int{`"name":"locate"`: 1, `"max_tokens":0`: 1, `"temperature":0.3`: 1} {
		if got := strings.Count(a.got[2], want); got != n {
			t.Errorf("start has %s %d times, want %d: %s", want, got, n, a.got[2])
		}
	}
	if args.ResponseFormat != nil || args.Temperature != nil {
		t.Errorf("the Runner's arguments became %+v", args)
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
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	h.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}
