package mcpauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

// A person logs in with a browser, and comes back to a URL that nobody serves.
type person struct {
	oauthtest.Browser

	redirect string // if empty, callback
	hints    []string
}

const callback = "http://127.0.0.1:16010/oauth/callback"

func (p *person) Begin(_ context.Context, redirectURI string) (mcpauth.Prompt, error) {
	p.hints = append(p.hints, redirectURI)
	return prompt{p}, nil
}

type prompt struct{ *person }

func (p prompt) RedirectURI() string {
	if p.redirect == "" {
		return callback
	}
	return p.redirect
}

func (p prompt) Ask(ctx context.Context, authURL string) (string, error) {
	return p.Visit(ctx, authURL)
}

func (prompt) Close() error { return nil }

// auth is mcptool.Auth, which this package must not know.
type auth interface {
	Authorize(req *http.Request) error
	Refused(req *http.Request, resp *http.Response) error
}

// answerer is what mcptool looks for in an Auth.
type answerer interface {
	Answered(req *http.Request, resp *http.Response) (again bool)
}

// call sends a tool call as a transport does: with the credentials there are,
// and once more if that can help. It returns the status.
func call(ctx context.Context, a auth, url, tool string) (int, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	repeated := false
	for again := true; ; {
		body, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]string{"name": tool}})
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(string(body)))
		if err != nil {
			return 0, err
		}
		if err := a.Authorize(req); err != nil {
			return 0, err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if a, ok := a.(answerer); ok && a.Answered(req, resp) && !repeated {
			repeated = true
			continue
		}
		if !again || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
			return resp.StatusCode, nil
		}
		if err := a.Refused(req, resp); err != nil {
			return resp.StatusCode, err
		}
		again, repeated = false, false
	}
}

func mustCall(t *testing.T, a auth, url string) {
	t.Helper()
	if status, err := call(t.Context(), a, url, "any"); err != nil || status != http.StatusOK {
		t.Fatalf("call: status %d, %v", status, err)
	}
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
})

func TestLogin(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	p := &person{}
	store := &mcpauth.MemoryStore{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: store}

	mustCall(t, login, server.URL)
	mustCall(t, login, server.URL)
	if p.Visits() != 1 {
		t.Errorf("the person was asked %d times, want 1", p.Visits())
	}

	// Another program of the same person.
	again := &mcpauth.Login{Server: server.URL, Store: store}
	mustCall(t, again, server.URL)
	st, err := again.Status(t.Context())
	if err != nil || !st.LoggedIn || st.Issuer != as.Issuer || !st.Refreshable || st.ClientID == "" {
		t.Errorf("Status = %+v, %v", st, err)
	}

	as.EndAccess()
	mustCall(t, again, server.URL) // no prompter: by refresh
	mustCall(t, login, server.URL) // takes what the other got
	if got := as.Counts(); got.Refreshes != 1 || got.Registrations != 1 || got.Reuses != 0 || p.Visits() != 1 {
		t.Errorf("after the end of the token: %+v, %d prompts; want 1 refresh, 1 registration, 1 prompt", got, p.Visits())
	}

	as.RevokeAll()
	_, err = call(t.Context(), again, server.URL, "any")
	var needs *mcpauth.NeedsLoginError
	if !errors.As(err, &needs) || !needs.NeedsLogin() {
		t.Errorf("call without a prompter after revocation: %v, want a NeedsLoginError", err)
	}
	mustCall(t, login, server.URL)
	if got := as.Counts(); got.Registrations != 1 || p.Visits() != 2 {
		t.Errorf("after revocation: %+v, %d prompts; want the old registration and 2 prompts", got, p.Visits())
	}
}

// 20 calls at once on a login that is over: one prompt, and every call answered
// (fault A2 of go-sdk, see TestStockFaults).
func TestManyCallsOnePrompt(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{OneLive: true})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	mustCall(t, login, server.URL)
	for round, end := range []func(){as.EndAccess, as.RevokeAll} {
		before := as.Counts()
		end()
		callAll(t, 20, func(int) auth { return login }, server.URL)
		got := as.Counts()
		if p.Visits() != 1+round || got.Registrations != 1 || got.Refreshes-before.Refreshes != 1-round {
			t.Errorf("round %d: %d prompts, %d registrations, %d refreshes", round, p.Visits(), got.Registrations, got.Refreshes-before.Refreshes)
		}
	}
}

// callAll makes n calls at once, all of which have to succeed.
func callAll(t *testing.T, n int, a func(int) auth, url string) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if status, err := call(t.Context(), a(i), url, "any"); err != nil || status != http.StatusOK {
				t.Errorf("call %d: status %d, %v", i, status, err)
			}
		})
	}
	wg.Wait()
}
