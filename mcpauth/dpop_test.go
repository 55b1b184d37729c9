package mcpauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

// bound are servers that know of DPoP.
func bound(t *testing.T, nonces bool) (*oauthtest.Server, *oauthtest.Resource) {
	as := oauthtest.New(t, oauthtest.Config{DPoP: []string{"RS256", "ES256"}, Nonces: nonces})
	return as, oauthtest.Protect(t, ok, oauthtest.ResourceConfig{DPoP: oauthtest.Offered, Nonces: nonces, Need: needs}, as)
}

// blunt hides Answered, as a transport does that does not know of it.
type blunt struct{ auth }

func TestDPoP(t *testing.T) {
	t.Parallel()
	for name, nonces := range map[string]bool{"plain": false, "nonces": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as, server := bound(t, nonces)
			p := &person{}
			store := &mcpauth.MemoryStore{}
			login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: store}
			callAll(t, 20, func(int) auth { return login }, server.URL)
			if st, err := login.Status(t.Context()); err != nil || !st.Bound || !st.LoggedIn {
				t.Errorf("Status = %+v, %v", st, err)
			}

			// The key is with the tokens: another program goes on, and can refresh.
			again := &mcpauth.Login{Server: server.URL, Store: store}
			mustCall(t, again, server.URL)
			as.EndAccess()
			as.ForgetNonces()
			server.ForgetNonces()
			mustCall(t, again, server.URL)
			mustCall(t, login, server.URL)
			if status, err := call(t.Context(), login, server.URL, "write"); err != nil || status != http.StatusOK {
				t.Errorf("a call that needs another scope: %d, %v", status, err)
			}
			if got := as.Counts(); got.Refreshes != 1 || p.Visits() != 2 || got.Reuses != 0 {
				t.Errorf("%+v and %d prompts, want one refresh, and a prompt for each scope", got, p.Visits())
			}
			if got := server.Counts(); got.Served != 24 || got.Proofs != 25 { // the 403 had a proof as well
				t.Errorf("%d requests served, with %d proofs", got.Served, got.Proofs)
			}
			if wanted := as.Counts().NoncesWanted; (wanted > 0) != nonces || wanted > 3 {
				t.Errorf("the authorization server wanted a nonce %d times, with nonces: %v", wanted, nonces)
			}

			// A thief who has the token.
			req := httptest.NewRequest(http.MethodPost, server.URL, nil)
			if err := login.Authorize(req); err != nil {
				t.Fatal(err)
			}
			_, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
			for _, scheme := range []string{"Bearer ", "DPoP "} {
				if status := send(t, server.URL, http.Header{"Authorization": {scheme + token}}); status != http.StatusUnauthorized {
					t.Errorf("a thief with %sgets %d", scheme, status)
				}
			}
			if err := login.Logout(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func send(t *testing.T, url string, header http.Header) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Where nobody calls Answered, Refused does its work, once the token is there.
func TestNoncesByRefused(t *testing.T) {
	t.Parallel()
	_, server := bound(t, true)
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	mustCall(t, blunt{login}, server.URL) // the first 401 brought a nonce
	server.ForgetNonces()
	for range 3 {
		mustCall(t, blunt{login}, server.URL)
	}
	if wanted := server.Counts().NoncesWanted; wanted != 1 {
		t.Errorf("a nonce was wanted %d times, want once", wanted)
	}
}

func TestDPoPForPrograms(t *testing.T) {
	t.Parallel()
	as, server := bound(t, true)
	as.Add(oauthtest.Client{ID: "robot", Secret: "secret-robot", GrantTypes: []string{"client_credentials"}})
	robot := &mcpauth.ClientCredentials{Server: server.URL, ClientID: "robot", ClientSecret: "secret-robot"}
	callAll(t, 20, func(int) auth { return robot }, server.URL)
	as.EndAccess()
	callAll(t, 20, func(int) auth { return blunt{robot} }, server.URL)
	if got := as.Counts(); got.ClientCredentials != 2 || got.NoncesWanted != 1 || server.Counts().Proofs != 40 {
		t.Errorf("%+v, and %d proofs at the server, want 2 tokens, one of them after a nonce, and 40 proofs", got, server.Counts().Proofs)
	}
}

// When tokens are bound.
func TestBinding(t *testing.T) {
	t.Parallel()
	algorithms := []string{"ES256"}
	for name, tt := range map[string]struct {
		as      []string // algorithms of the authorization server
		server  string   // what the resource knows
		prm     func(map[string]any)
		require bool
		want    string // "DPoP", "Bearer", or a part of the error
	}{
		"both know":                      {as: algorithms, server: oauthtest.Offered, want: "DPoP"},
		"both know, no common algorithm": {as: []string{"EdDSA"}, server: oauthtest.Offered, want: "Bearer"},
		"required":                       {as: algorithms, server: oauthtest.Only, want: "DPoP"},
		"required, no common algorithm":  {as: []string{"EdDSA"}, server: oauthtest.Only, want: `verifies DPoP proofs by ["EdDSA"] only`},
		"required, and not advertised":   {server: oauthtest.Only, want: `type "Bearer", and has to be bound`},
		"required by the challenge alone": {server: oauthtest.Only, prm: func(doc map[string]any) { delete(doc, "dpop_bound_access_tokens_required") },
			want: `type "Bearer", and has to be bound`},
		"only the authorization server":    {as: algorithms, want: "Bearer"},
		"only the resource":                {server: oauthtest.Offered, want: "Bearer"},
		"the resource says so in metadata": {as: algorithms, server: oauthtest.Offered, prm: metadata("dpop_signing_alg_values_supported", []string{"ES256"}), want: "DPoP"},
		"the person requires it":           {as: algorithms, server: oauthtest.Offered, require: true, want: "DPoP"},
		"the person requires it, in vain":  {require: true, want: `type "Bearer", and has to be bound`},
		"the person requires it, nonsense": {as: []string{"none\n"}, require: true, want: `verifies DPoP proofs by ["none "] only`},
		"metadata requires, nobody else":   {as: algorithms, server: oauthtest.Offered, prm: metadata("dpop_bound_access_tokens_required", true), want: "DPoP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, oauthtest.Config{DPoP: tt.as})
			server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{DPoP: tt.server, Metadata: tt.prm}, as)
			login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}, RequireDPoP: tt.require}
			_, err := call(t.Context(), login, server.URL, "any")
			if tt.want != "DPoP" && tt.want != "Bearer" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("call: %v, want an error with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			req := httptest.NewRequest(http.MethodGet, server.URL, nil)
			if err := login.Authorize(req); err != nil {
				t.Fatal(err)
			}
			if scheme, _, _ := strings.Cut(req.Header.Get("Authorization"), " "); scheme != tt.want || (req.Header.Get("DPoP") != "") != (tt.want == "DPoP") {
				t.Errorf("the token goes by %s, want %s", scheme, tt.want)
			}
			for _, c := range as.Clients() {
				if c.BoundTokens != (tt.require || tt.server == oauthtest.Only || strings.HasPrefix(name, "metadata requires")) {
					t.Errorf("the client said of itself that its tokens are bound: %v", c.BoundTokens)
				}
			}
		})
	}
}

// What a login has before its tokens have to be bound.
func TestBindingLater(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{DPoP: []string{"ES256"}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	store := &mcpauth.MemoryStore{}
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: store}
	mustCall(t, login, server.URL)

	strict := &mcpauth.Login{Server: server.URL, Store: store, RequireDPoP: true}
	_, err := call(t.Context(), strict, server.URL, "any")
	var needs *mcpauth.NeedsLoginError
	if !errors.As(err, &needs) {
		t.Errorf("a saved bearer token where none is wanted: %v", err)
	}

	server.Change(func(c *oauthtest.ResourceConfig) { c.DPoP = oauthtest.Only })
	mustCall(t, login, server.URL)
	if got := as.Counts(); got.Refreshes != 0 || p.Visits() != 2 {
		t.Errorf("%+v and %d prompts, want a second prompt and no refresh, which brings the same", got, p.Visits())
	}
	mustCall(t, strict, server.URL)

	// A bound token that comes back unbound from a refresh is not taken.
	as.EndAccess()
	as.Change(func(c *oauthtest.Config) { c.Token = func(doc map[string]any) { doc["token_type"] = "Bearer" } })
	if _, err := call(t.Context(), login, server.URL, "any"); err == nil || !strings.Contains(err.Error(), "has to be bound") {
		t.Errorf("a refresh without binding: %v", err)
	}
	as.Change(func(c *oauthtest.Config) { c.Token = func(doc map[string]any) { doc["token_type"] = "mac\x1b" } })
	if _, err := call(t.Context(), &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}, server.URL, "any"); err == nil || !strings.Contains(err.Error(), `"mac"`) {
		t.Errorf("a token of another type: %v", err)
	}
}

// A refresh token may be bound where the access token is not.
func TestBoundRefresh(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{DPoP: []string{"ES256"}, Token: func(doc map[string]any) { doc["token_type"] = "Bearer" }})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{DPoP: oauthtest.Offered}, as)
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	call(t.Context(), login, server.URL, "any") // the test's resource takes no bound token from its bearer
	if got := as.Counts(); got.Codes != 1 {
		t.Fatalf("%+v", got)
	}
	call(t.Context(), login, server.URL, "any")
	if got := as.Counts(); got.Refreshes == 0 {
		t.Errorf("%+v, want a refresh, for which the key is needed", got)
	}
}

// The steps of a program that carries out the login itself.
func TestDPoPStepByStep(t *testing.T) {
	t.Parallel()
	_, server := bound(t, true)
	login := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}
	flow, err := login.Begin(t.Context(), callback)
	if err != nil {
		t.Fatal(err)
	}
	if jkt, err := base64.RawURLEncoding.DecodeString(query(flow.AuthURL()).Get("dpop_jkt")); err != nil || len(jkt) != 32 {
		t.Errorf("the code is bound to %x, %v", jkt, err)
	}
	token := tokenOf(t, flow)
	seen := &transcript{}
	seen.show(token)
	seen.show(*token)
	if text := seen.buf.String(); strings.Contains(text, "P-256") || strings.Contains(text, "secret-access") || strings.Contains(text, "secret-refresh") {
		t.Errorf("the token or its key is shown: %s", text)
	}
	other := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}
	if err := other.SetToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	mustCall(t, other, server.URL)

	req := httptest.NewRequest(http.MethodGet, server.URL, nil)
	if err := other.Authorize(req); err != nil {
		t.Fatal(err)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(req.Header.Get("DPoP"), ".")[1])
	if err != nil || !strings.Contains(string(claims), `"htm":"GET"`) {
		t.Errorf("the proof of a GET says %s, %v", claims, err)
	}

	strict := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}, RequireDPoP: true}
	if err := strict.SetToken(t.Context(), &mcpauth.Token{Access: "secret-bearer"}); err == nil || !strings.Contains(err.Error(), "not bound to a key") {
		t.Errorf("SetToken of a bearer token where none is wanted: %v", err)
	}
	if err := strict.SetToken(t.Context(), token); err != nil {
		t.Error(err)
	}
}

// A proof that the server does not take is nothing that a login mends.
func TestProofRefused(t *testing.T) {
	t.Parallel()
	as, server := bound(t, false)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	mustCall(t, login, server.URL)
	req := httptest.NewRequest(http.MethodPost, server.URL, nil)
	if err := login.Authorize(req); err != nil {
		t.Fatal(err)
	}
	resp := &http.Response{StatusCode: 401, Header: http.Header{"Www-Authenticate": {`DPoP error="invalid_dpop_proof"`}}}
	if err := login.Refused(req, resp); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("Refused: %v", err)
	}
	if got := as.Counts(); got.Refreshes != 0 || p.Visits() != 1 {
		t.Errorf("%+v and %d prompts", got, p.Visits())
	}
}

// What Answered says of a response.
func TestAnswered(t *testing.T) {
	t.Parallel()
	_, server := bound(t, false)
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	mustCall(t, login, server.URL)
	authorized := func() *http.Request {
		req := httptest.NewRequest(http.MethodPost, server.URL, nil)
		if err := login.Authorize(req); err != nil {
			t.Fatal(err)
		}
		return req
	}
	const wants = `DPoP error="use_dpop_nonce"`
	for _, tt := range []struct {
		status    int
		challenge string
		nonces    []string
		want      bool
	}{
		{200, "", nil, false},
		{200, "", []string{"n1"}, false},
		{401, wants, []string{"n1"}, false}, // which the proof had
		{401, wants, []string{"n2"}, true},
		{401, wants, nil, false},
		{401, wants, []string{"n3", "n4"}, false},
		{401, wants, []string{"a b"}, false},
		{401, wants, []string{`a"b`}, false},
		{401, wants, []string{strings.Repeat("n", 5000)}, false},
		{401, `Bearer error="use_dpop_nonce"`, []string{"n5"}, false},
		{403, wants, []string{"n6"}, false},
		{401, `Bearer, DPoP algs="ES256", error="use_dpop_nonce"`, []string{"n7"}, true},
	} {
		req := authorized()
		resp := &http.Response{StatusCode: tt.status, Header: http.Header{"Www-Authenticate": {tt.challenge}, "Dpop-Nonce": tt.nonces}}
		if got := login.Answered(req, resp); got != tt.want {
			t.Errorf("Answered(%d, %q, %.20q) = %v, want %v", tt.status, tt.challenge, tt.nonces, got, tt.want)
		}
	}
	elsewhere := httptest.NewRequest(http.MethodPost, "https://evil.example/mcp", nil)
	elsewhere.Header = authorized().Header
	if login.Answered(elsewhere, &http.Response{StatusCode: 401, Header: http.Header{"Www-Authenticate": {wants}, "Dpop-Nonce": {"evil"}}}) {
		t.Error("another server is heard")
	}
	if broken := (&mcpauth.Login{}); broken.Answered(elsewhere, &http.Response{}) {
		t.Error("a login without a server answers")
	}
	bare := httptest.NewRequest(http.MethodPost, server.URL, nil)
	if login.Answered(bare, &http.Response{StatusCode: 401, Header: http.Header{"Www-Authenticate": {wants}, "Dpop-Nonce": {"n8"}}}) {
		t.Error("a request without a proof is sent again without a token")
	}
}

// Nonces that change for ever, at both servers, end in an error.
func TestNoncesForEver(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	as, server := bound(t, false)
	as.Change(func(c *oauthtest.Config) {
		c.Instead = map[string]http.Handler{"/token": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("DPoP-Nonce", "n"+time.Now().Format("150405.000000000"))
			requests.Add(1)
			oauthtest.Refuse(400, "use_dpop_nonce", "another").ServeHTTP(w, r)
		})}
	})
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	if _, err := call(t.Context(), login, server.URL, "any"); err == nil || !strings.Contains(err.Error(), "use_dpop_nonce") || requests.Load() != 2 {
		t.Errorf("call: %v after %d token requests, want 2", err, requests.Load())
	}
}

// A server that refuses every bound token, for want of nonces and for itself, is
// not asked for ever.
func TestBoundTokenThatNeverWorks(t *testing.T) {
	t.Parallel()
	as, server := bound(t, true)
	other := oauthtest.New(t, oauthtest.Config{})
	server.Change(func(c *oauthtest.ResourceConfig) { c.Metadata = metadata("authorization_servers", []string{as.Issuer}) })
	server.Move(other)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	var err error
	for range 30 {
		server.ForgetNonces()
		_, err = call(t.Context(), login, server.URL, "any")
	}
	if err == nil || !strings.Contains(err.Error(), "refuses every token") || p.Visits() > 3 {
		t.Errorf("call: %v after %d prompts", err, p.Visits())
	}
}

// A refresh that is refused for its proof costs nobody their login.
func TestRefreshRefusedForProof(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"use_dpop_nonce", "invalid_dpop_proof"} {
		as, server := bound(t, false)
		p := &person{}
		login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
		mustCall(t, login, server.URL)
		as.EndAccess()
		as.Change(func(c *oauthtest.Config) {
			c.Instead = map[string]http.Handler{"/token": oauthtest.Refuse(400, code, "")}
		})
		if _, err := call(t.Context(), login, server.URL, "any"); err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: call: %v", code, err)
		}
		as.Change(func(c *oauthtest.Config) { c.Instead = nil })
		mustCall(t, login, server.URL)
		if got := as.Counts(); got.Refreshes != 1 || p.Visits() != 1 {
			t.Errorf("%s: %d refreshes and %d prompts, want one each", code, got.Refreshes, p.Visits())
		}
	}
}

// What the store has of a key and cannot be read is no login.
func TestDamagedKey(t *testing.T) {
	t.Parallel()
	as, server := bound(t, false)
	store := &mcpauth.MemoryStore{}
	mustCall(t, &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: store}, server.URL)
	data, err := store.Load(t.Context(), server.URL)
	if err != nil || !strings.Contains(string(data), `"dpop_key":"`) {
		t.Fatalf("the store has %.40s, %v", data, err)
	}
	for _, key := range []string{"AAAA", base64.StdEncoding.EncodeToString([]byte("secret-key"))} {
		head, rest, _ := strings.Cut(string(data), `"dpop_key":"`)
		_, tail, _ := strings.Cut(rest, `"`)
		if err := store.Save(context.Background(), server.URL, []byte(head+`"dpop_key":"`+key+`"`+tail)); err != nil {
			t.Fatal(err)
		}
		_, err := call(t.Context(), &mcpauth.Login{Server: server.URL, Store: store}, server.URL, "any")
		var needs *mcpauth.NeedsLoginError
		if !errors.As(err, &needs) {
			t.Errorf("call with the key %q: %v", key, err)
		}
		if got := as.Counts().TokenRequests; got != 1 {
			t.Errorf("%d token requests, want those of the login alone", got)
		}
	}
}

// A fickleWeb refuses every token, the second time for want of a nonce.
type fickleWeb struct {
	tokens int
	seen   map[string]int // requests, by token
}

func (w *fickleWeb) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/mcp":
		problem, token := "invalid_token", r.Header.Get("Authorization")
		if w.seen[token]++; token != "" && w.seen[token] == 2 {
			problem = "use_dpop_nonce"
			rw.Header().Set("DPoP-Nonce", fmt.Sprint("n", w.tokens))
		}
		rw.Header().Set("WWW-Authenticate", `DPoP error="`+problem+`"`)
		rw.WriteHeader(http.StatusUnauthorized)
	case "/.well-known/oauth-authorization-server":
		rw.Header().Set("Content-Type", "application/json")
		io.WriteString(rw, `{"issuer":"https://tiny.example","token_endpoint":"https://tiny.example/token","dpop_signing_alg_values_supported":["ES256"]}`)
	case "/token":
		w.tokens++
		rw.Header().Set("Content-Type", "application/json")
		io.WriteString(rw, `{"access_token":"`+strings.Repeat("t", w.tokens)+`","token_type":"DPoP","expires_in":3600}`)
	default:
		(&tinyWeb{}).ServeHTTP(rw, r)
	}
}

func (w *fickleWeb) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, req)
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// A refusal for want of a nonce is no sign that the token works: tokens that are
// refused for themselves in the end are few.
func TestNoncesAreNoSign(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]bool{"with Answered": true, "without": false} {
		w := &fickleWeb{seen: map[string]int{}}
		robot := &mcpauth.ClientCredentials{Server: tinyServer, ClientID: "c", ClientSecret: "s", HTTPClient: &http.Client{Transport: w}}
		var err error
		for range 30 {
			err = func() error { // one call, as a transport makes it
				for asked, repeated := false, false; ; {
					req := httptest.NewRequest(http.MethodPost, tinyServer, nil)
					if err := robot.Authorize(req); err != nil {
						return err
					}
					resp, err := w.RoundTrip(req)
					if err != nil {
						return err
					}
					if answers && robot.Answered(req, resp) && !repeated {
						repeated = true
						continue
					}
					if asked {
						return nil
					}
					if err := robot.Refused(req, resp); err != nil {
						return err
					}
					asked, repeated = true, false
				}
			}()
		}
		if err == nil || !strings.Contains(err.Error(), "refuses every token") || w.tokens > 4 {
			t.Errorf("%s: %v after %d tokens", name, err, w.tokens)
		}
	}
}

// A nonce that the token endpoint has refused is not sent a second time.
func TestSameNonce(t *testing.T) {
	t.Parallel()
	as, server := bound(t, false)
	as.Change(func(c *oauthtest.Config) {
		c.Instead = map[string]http.Handler{"/token": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("DPoP-Nonce", "always-this")
			oauthtest.Refuse(400, "use_dpop_nonce", "").ServeHTTP(w, r)
		})}
	})
	robot := &mcpauth.ClientCredentials{Server: server.URL, ClientID: "robot", ClientSecret: "secret-robot"}
	for _, want := range []int{2, 3, 4} {
		if _, err := call(t.Context(), robot, server.URL, "any"); err == nil || as.Counts().TokenRequests != want {
			t.Errorf("call: %v after %d token requests, want %d", err, as.Counts().TokenRequests, want)
		}
	}
}
