package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/sqlite"
)

func TestRoutes(t *testing.T) {
	h := newHost(t, nil)
	h.fails("GET", "/v1/teapots", "", 404, `"object":"error"`, "GET /v1/teapots")
	h.fails("GET", "/", "", 404, "GET /")
	h.fails("POST", "/v1/agents/ag_1/completions", "{}", 404, "/v1/agents/ag_1/completions")
	for path, allow := range map[string]string{
		conversations: "GET, POST", conversations + "/c": "DELETE, GET, POST", agents + "/pages": "GET", "/v1/models": "GET",
	} {
		resp := h.send("PUT", path, `{}`)
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 405 || resp.Header.Get("Allow") != allow || !strings.Contains(string(data), "PUT") {
			t.Errorf("PUT %s: status %d, Allow %q: %s", path, resp.StatusCode, resp.Header.Get("Allow"), data)
		}
	}
	if resp := h.send("HEAD", conversations, ""); resp.StatusCode != 200 {
		t.Errorf("HEAD: status %d", resp.StatusCode)
	}
}

func TestAdmission(t *testing.T) {
	h := newHost(t, &server.Options{AllowedHosts: []string{"tramontane.internal", "other:99"}})
	port := h.url[strings.LastIndex(h.url, ":"):]
	for _, test := range []struct {
		host, origin, kind string
		want               int
	}{
		{"127.0.0.1" + port, "", "application/json", 422},
		{"localhost:1", "", "application/json; charset=utf-8", 422},
		{"LOCALHOST", "", "application/json", 422},
		{"[::1]:80", "", "application/json", 422},
		{"127.8.9.10", "", "application/json", 422},
		{"tramontane.internal:80", "", "application/json", 422},
		{"other:99", "", "application/json", 422},
		{"other:98", "", "application/json", 403},
		{"evil.example", "", "application/json", 403},
		{"localhost.evil.example", "", "application/json", 403},
		{"192.168.1.1", "", "application/json", 403},
		{"0.0.0.0", "", "application/json", 403},
		{"localhost", "http://localhost:3000", "application/json", 422},
		{"localhost", "http://evil.example", "application/json", 403},
		{"localhost", "null", "application/json", 403},
		{"localhost", "http://localhost@evil.example", "application/json", 403},
		{"localhost", "", "text/plain", 415},
		{"localhost", "", "", 415},
		{"localhost", "", "application/x-www-form-urlencoded", 415},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", h.url+conversations, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = test.host
		for name, value := range map[string]string{"Origin": test.origin, "Content-Type": test.kind} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != test.want || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("host %q, origin %q, content type %q: status %d, want %d: %s", test.host, test.origin, test.kind, resp.StatusCode, test.want, data)
		}
	}
}

func TestKey(t *testing.T) {
	h := newHost(t, &server.Options{Key: "secret"})
	for token, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer secre": 401, "Bearer secrets": 401, "Basic secret": 401, "secret": 401,
		"Bearer secret": 200, "bearer secret": 200,
	} {
		for _, path := range []string{conversations, "/v1/models", agents} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", h.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			data, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want || strings.Contains(string(data), "secret") {
				t.Errorf("%s with %q: status %d, want %d: %s", path, token, resp.StatusCode, want, data)
			}
		}
	}
	h.fails("GET", "/v1/teapots", "", 401, "Bearer")
}

func TestBodyLimit(t *testing.T) {
	h := newHost(t, &server.Options{MaxBody: 100})
	h.fails("POST", agents, `{"model":"m","name":"`+strings.Repeat("n", 100)+`"}`, 413, "100 bytes")
	h.ok("POST", agents, `{"model":"m","name":"n"}`)
}

func TestModels(t *testing.T) {
	models := func(context.Context) ([]mistral.Model, error) {
		return []mistral.Model{{ID: "org/model", Aliases: []string{"latest"}}, {ID: "b"}}, nil
	}
	h := newHost(t, &server.Options{Models: models})
	list := h.ok("GET", "/v1/models", "")
	list.want("list", "object")
	list.want("org/model", "data", 0, "id")
	list.want("base", "data", 0, "type")
	list.want("model", "data", 0, "object")
	list.want("false", "data", 0, "capabilities", "vision")
	h.ok("GET", "/v1/models/org/model", "").want("org/model", "id")
	h.ok("GET", "/v1/models/org%2Fmodel", "").want("org/model", "id")
	h.ok("GET", "/v1/models/latest", "").want("org/model", "id")
	h.ok("GET", "/v1/models?model=b", "").want("b", "data", 0, "id")
	h.fails("GET", "/v1/models?provider=p", "", 422, "not_supported", `"loc":["query","provider"]`)
	h.fails("GET", "/v1/models/c", "", 404, `\"c\"`)
	newHost(t, nil).ok("GET", "/v1/models", "").want("[]", "data")
}

// A failure of the server is logged with its cause, which the caller is not
// told; a failure of the caller is not logged.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	h := newHost(t, &server.Options{Key: "secret", Logger: slog.New(slog.NewTextHandler(&log, nil)), Models: func(context.Context) ([]mistral.Model, error) {
		return nil, errors.New("no list today")
	}})
	get := func(path string) int {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", h.url+path, nil)
		req.Header.Set("Authorization", "Bearer secret")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := get(agents + "/ag_0"); status != 404 || log.Len() > 0 {
		t.Errorf("status %d, log %q", status, &log)
	}
	if status := get("/v1/models"); status != 503 || !strings.Contains(log.String(), "no list today") || strings.Contains(log.String(), "secret") {
		t.Errorf("status %d, log %q", status, &log)
	}
}

func TestCheckLoopback(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:8787": true, "localhost:0": true, "[::1]:1": true, "127.1.2.3:1": true,
		":8787": false, "0.0.0.0:1": false, "[::]:1": false, "192.168.0.1:1": false, "example.com:1": false, "8787": false, "": false,
	} {
		err := server.CheckLoopback(addr)
		if (err == nil) != ok {
			t.Errorf("CheckLoopback(%q) = %v", addr, err)
		}
		if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%q", addr)) {
			t.Errorf("CheckLoopback(%q) does not name it: %v", addr, err)
		}
	}
}

func Example() {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, ":memory:", nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	model := new(script)
	model.add(says("Bonjour !"))
	srv := httptest.NewServer(server.New(store, model, nil))
	defer srv.Close()

	resp, err := srv.Client().Post(srv.URL+"/v1/conversations", "application/json",
		strings.NewReader(`{"model":"mistral-small-latest","inputs":"Hello."}`))
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(err)
	}
	var r mistral.ConversationResponse
	if err := r.UnmarshalJSON(data); err != nil {
		panic(err)
	}
	fmt.Println(r.Outputs[0].(*mistral.MessageOutput).Content)
	// Output: Bonjour !
}
