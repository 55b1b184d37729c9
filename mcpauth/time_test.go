package mcpauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tramontane-dev/tramontane/mcpauth"
)

// A tinyWeb is a server and its authorization server without a network, so that
// time can be made to pass.
type tinyWeb struct {
	deny   bool
	asks   int
	tokens int
	at     string // where tokens are, behind /token
	accept string // the token that is let in
	never  bool   // none is
	more   bool   // a scope is wanted that no token has
}

const tinyServer = "https://tiny.example/mcp"

func (w *tinyWeb) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/mcp":
		if w.never || w.accept == "" || r.Header.Get("Authorization") != "Bearer "+w.accept {
			rw.WriteHeader(http.StatusUnauthorized)
		} else if w.more {
			rw.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="more"`)
			rw.WriteHeader(http.StatusForbidden)
		}
	case "/.well-known/oauth-protected-resource/mcp":
		io.WriteString(rw, `{"resource":"https://tiny.example/mcp","authorization_servers":["https://tiny.example"]}`)
	case "/.well-known/oauth-authorization-server":
		io.WriteString(rw, `{"issuer":"https://tiny.example","authorization_endpoint":"https://tiny.example/authorize",
			"token_endpoint":"https://tiny.example/token`+w.at+`","code_challenge_methods_supported":["S256"]}`)
	case "/token" + w.at:
		w.tokens++
		w.accept = strings.Repeat("t", w.tokens)
		io.WriteString(rw, `{"access_token":"`+w.accept+`","token_type":"Bearer","expires_in":3600,"refresh_token":"r","scope":"less"}`)
	default:
		rw.WriteHeader(http.StatusNotFound)
	}
}

func (w *tinyWeb) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, req)
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

func (w *tinyWeb) Begin(context.Context, string) (mcpauth.Prompt, error) { return tinyPrompt{w}, nil }

type tinyPrompt struct{ *tinyWeb }

func (tinyPrompt) RedirectURI() string { return callback }
func (tinyPrompt) Close() error        { return nil }
func (p tinyPrompt) Ask(_ context.Context, authURL string) (string, error) {
	p.asks++
	answer := callback + "?state=" + query(authURL).Get("state")
	if p.deny {
		return answer + "&error=access_denied", nil
	}
	return answer + "&code=c", nil
}

func (w *tinyWeb) login() *mcpauth.Login {
	return &mcpauth.Login{
		Server: tinyServer, ClientID: "c", Prompter: w, Store: &mcpauth.MemoryStore{},
		HTTPClient: &http.Client{Transport: w},
	}
}

// call is one request, sent again where Refused says so.
func (w *tinyWeb) call(login auth) (int, error) {
	for again := true; ; again = false {
		req, err := http.NewRequest(http.MethodPost, tinyServer, nil)
		if err != nil {
			return 0, err
		}
		if err := login.Authorize(req); err != nil {
			return 0, err
		}
		resp, err := w.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden || !again {
			return resp.StatusCode, nil
		}
		if err := login.Refused(req, resp); err != nil {
			return resp.StatusCode, err
		}
	}
}

// A denial holds for a minute.
func TestDenialEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &tinyWeb{deny: true}
		login := w.login()
		for range 3 {
			if _, err := w.call(login); !errors.Is(err, mcpauth.ErrDenied) {
				t.Fatalf("call: %v", err)
			}
			time.Sleep(20*time.Second - time.Millisecond)
		}
		if w.asks != 1 {
			t.Errorf("%d prompts within a minute, want 1", w.asks)
		}
		time.Sleep(time.Second)
		w.deny = false
		if status, err := w.call(login); err != nil || status != http.StatusOK || w.asks != 2 {
			t.Errorf("call after a minute: %d, %v, %d prompts; want a second one", status, err, w.asks)
		}
	})
}

// A token is replaced shortly before it ends, without a refusal.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &tinyWeb{}
		login := w.login()
		for _, tt := range []struct {
			pass time.Duration
			want int // tokens issued so far
		}{{0, 1}, {time.Hour - 11*time.Second, 1}, {2 * time.Second, 2}, {time.Minute, 2}, {24 * time.Hour, 3}} {
			time.Sleep(tt.pass)
			if status, err := w.call(login); err != nil || status != http.StatusOK || w.tokens != tt.want || w.asks != 1 {
				t.Errorf("%v later: %d, %v, %d tokens, %d prompts; want %d tokens and 1 prompt", tt.pass, status, err, w.tokens, w.asks, tt.want)
			}
		}
	})
}

// A person who takes the matter in hand begins anew: after a denial, and after
// renewals that led nowhere.
func TestPersonBeginsAnew(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, *mcpauth.Login){
		"SignIn": func(t *testing.T, login *mcpauth.Login) {
			if err := login.SignIn(t.Context()); err != nil {
				t.Errorf("SignIn: %v", err)
			}
		},
		"Logout": func(t *testing.T, login *mcpauth.Login) {
			if err := login.Logout(t.Context(), nil); err != nil {
				t.Errorf("Logout: %v", err)
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &tinyWeb{deny: true}
			login := w.login()
			w.call(login)
			w.deny = false
			begin(t, login)
			if status, err := w.call(login); err != nil || status != http.StatusOK || w.asks != 2 {
				t.Errorf("%s after a denial: %d, %v, %d prompts; want success after 2", name, status, err, w.asks)
			}

			w = &tinyWeb{never: true}
			login = w.login()
			for range 10 {
				w.call(login)
			}
			if w.asks != 3 {
				t.Errorf("%d prompts, want 3", w.asks)
			}
			begin(t, login)
			asks, tokens := w.asks, w.tokens
			w.call(login)
			if w.asks+w.tokens == asks+tokens {
				t.Errorf("%s after renewals that led nowhere: nothing more is tried", name)
			}
		})
	}
}

// A server that refuses everything costs few prompts, and is tried again later.
func TestUselessLoginsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &tinyWeb{never: true}
		login := w.login()
		for range 30 {
			w.call(login)
			time.Sleep(time.Second)
		}
		if w.asks != 3 {
			t.Errorf("%d prompts in half a minute, want 3", w.asks)
		}
		time.Sleep(10 * time.Minute)
		for range 30 {
			w.call(login)
			time.Sleep(time.Second)
		}
		if w.asks != 6 {
			t.Errorf("%d prompts in all after ten minutes, want 6", w.asks)
		}
		time.Sleep(10 * time.Minute)
		w.never = false
		if status, err := w.call(login); err != nil || status != http.StatusOK {
			t.Errorf("call after the server came to its senses: %d, %v", status, err)
		}
	})
}

// A person is asked for more scopes for one operation so often in ten minutes,
// and again later.
func TestStepUpsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &tinyWeb{more: true}
		login := w.login()
		for _, tt := range []struct {
			pass time.Duration
			want int // prompts so far
		}{{0, 1}, {time.Minute, 1 + 1}, {time.Minute, 1 + 2}, {8 * time.Minute, 1 + 2}, {3 * time.Minute, 1 + 3}} {
			time.Sleep(tt.pass)
			status, err := w.call(login)
			if status != http.StatusForbidden || w.asks != tt.want {
				t.Errorf("%v later: %d, %v, %d prompts; want 403 and %d", tt.pass, status, err, w.asks, tt.want)
			}
		}
	})
}

// Tokens that are good, and end often without notice, are refreshed as often.
func TestRefreshesThatHelpAreNotBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &tinyWeb{}
		login := w.login()
		for range 20 {
			for range 3 {
				if status, err := w.call(login); err != nil || status != http.StatusOK {
					t.Fatalf("call with token %d: %d, %v", w.tokens, status, err)
				}
			}
			w.accept = ""
			time.Sleep(time.Second)
		}
		if w.asks != 1 || w.tokens != 20 {
			t.Errorf("%d prompts, %d tokens; want 1 and 20", w.asks, w.tokens)
		}
	})
}

// A person who never answers does not hold a call for ever.
func TestPersonNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &tinyWeb{}
		login := w.login()
		login.Prompter = &slow{asked: make(chan struct{}), gaveUp: make(chan struct{})}
		begun := time.Now()
		_, err := w.call(login)
		var needs *mcpauth.NeedsLoginError
		if !errors.As(err, &needs) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 10*time.Minute {
			t.Errorf("call: %v after %v", err, time.Since(begun))
		}
	})
}

// A token endpoint that is found no more, when the token ends, is looked for
// again.
func TestTokenEndpointMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, login := range map[string]func(*tinyWeb) auth{
			"person": func(w *tinyWeb) auth { return w.login() },
			"program": func(w *tinyWeb) auth {
				return &mcpauth.ClientCredentials{Server: tinyServer, ClientID: "c", ClientSecret: "s", HTTPClient: &http.Client{Transport: w}}
			},
		} {
			w := &tinyWeb{}
			login := login(w)
			for _, at := range []string{"", "/2"} {
				w.at = at
				if status, err := w.call(login); err != nil || status != http.StatusOK {
					t.Errorf("%s, tokens at /token%s: %d, %v", name, at, status, err)
				}
				time.Sleep(2 * time.Hour)
				w.accept = ""
			}
			if w.asks > 1 {
				t.Errorf("%s: %d prompts, want one at most", name, w.asks)
			}
		}
	})
}
