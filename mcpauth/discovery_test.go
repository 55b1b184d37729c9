package mcpauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

// metadata returns a change of a metadata document.
func metadata(name string, value any) func(map[string]any) {
	return func(doc map[string]any) {
		if value == nil {
			delete(doc, name)
			return
		}
		doc[name] = value
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	const oauthPath = "/.well-known/oauth-authorization-server"
	for _, tt := range []struct {
		name     string
		as       oauthtest.Config
		resource oauthtest.ResourceConfig
		prepare  func(*oauthtest.Server, *oauthtest.Resource)
		wantErr  string // if empty, the login succeeds
		prompts  int    // if it does not
	}{
		{name: "metadata only in the header", resource: oauthtest.ResourceConfig{Places: []string{oauthtest.InHeader}}},
		{name: "metadata at the path", resource: oauthtest.ResourceConfig{Places: []string{oauthtest.AtPath}}},
		{name: "metadata at the root", resource: oauthtest.ResourceConfig{Path: "/", Places: []string{oauthtest.AtRoot}}},
		{name: "issuer with a path", as: oauthtest.Config{IssuerPath: "/tenant", WellKnown: []string{oauthtest.OAuthMetadata}}},
		{name: "issuer with a path, OpenID", as: oauthtest.Config{IssuerPath: "/tenant", WellKnown: []string{oauthtest.OpenIDMetadata}}},
		{name: "issuer with a path, OpenID behind it", as: oauthtest.Config{IssuerPath: "/tenant", WellKnown: []string{oauthtest.OpenIDAppended}}},
		{name: "OpenID", as: oauthtest.Config{WellKnown: []string{oauthtest.OpenIDMetadata}}},
		{name: "a page instead of metadata", as: oauthtest.Config{Instead: map[string]http.Handler{oauthPath: oauthtest.HTML}}},
		{name: "an error instead of metadata", as: oauthtest.Config{Instead: map[string]http.Handler{oauthPath: broken}}},
		{name: "a JSON page instead of metadata", as: oauthtest.Config{Instead: map[string]http.Handler{oauthPath: oauthtest.Refuse(200, "nothing", "here")}}},
		{
			name: "issuer that ends in a slash",
			prepare: func(as *oauthtest.Server, r *oauthtest.Resource) {
				as.Change(func(c *oauthtest.Config) { c.Metadata, c.Iss = metadata("issuer", as.URL+"/"), as.URL+"/" })
				r.Change(func(c *oauthtest.ResourceConfig) {
					c.Metadata = metadata("authorization_servers", []string{as.URL + "/"})
				})
			},
		},
		{
			name: "issuer whose slash is disputed",
			prepare: func(as *oauthtest.Server, r *oauthtest.Resource) {
				r.Change(func(c *oauthtest.ResourceConfig) {
					c.Metadata = metadata("authorization_servers", []string{as.URL + "/"})
				})
			},
		},
		{
			name: "the second of two authorization servers works",
			prepare: func(as *oauthtest.Server, r *oauthtest.Resource) {
				r.Change(func(c *oauthtest.ResourceConfig) {
					c.Metadata = metadata("authorization_servers", []string{r.URL + "/none", as.Issuer})
				})
			},
		},
		{name: "2025-03-26 with metadata", as: oauthtest.Config{ResourceOptional: true}, resource: oauthtest.ResourceConfig{Beside: true, Places: []string{}}},
		{name: "2025-03-26 without metadata", as: oauthtest.Config{ResourceOptional: true, WellKnown: []string{}}, resource: oauthtest.ResourceConfig{Beside: true, Places: []string{}}},
		{
			name:     "2025-03-26 with metadata without S256",
			as:       oauthtest.Config{Metadata: metadata("code_challenge_methods_supported", nil)},
			resource: oauthtest.ResourceConfig{Beside: true, Places: []string{}},
			wantErr:  "PKCE with S256",
		},
		{name: "PKCE not announced", as: oauthtest.Config{Metadata: metadata("code_challenge_methods_supported", nil)}, wantErr: "PKCE with S256"},
		{name: "PKCE only plain (A3)", as: oauthtest.Config{Metadata: metadata("code_challenge_methods_supported", []string{"plain"})}, wantErr: "PKCE with S256"},
		{name: "metadata of another issuer", as: oauthtest.Config{Metadata: metadata("issuer", "https://attacker.example.com")}, wantErr: `"https://attacker.example.com"`},
		{name: "no metadata of the authorization server", as: oauthtest.Config{WellKnown: []string{}}, wantErr: "there is none"},
		{name: "token endpoint without https", as: oauthtest.Config{Metadata: metadata("token_endpoint", "http://192.0.2.1/token")}, wantErr: "only https is safe"},
		{name: "authorization endpoint that is a script", as: oauthtest.Config{Metadata: metadata("authorization_endpoint", "javascript:alert(1)")}, wantErr: "authorization_endpoint"},
		{name: "token endpoint in the own network", as: oauthtest.Config{Metadata: metadata("token_endpoint", "https://10.0.0.1/token")}, wantErr: "private", prompts: 1},
		{name: "registration endpoint without https", as: oauthtest.Config{Metadata: metadata("registration_endpoint", "http://192.0.2.1/register")}, wantErr: "its registration_endpoint"},
		{name: "revocation endpoint without https", as: oauthtest.Config{Metadata: metadata("revocation_endpoint", "http://192.0.2.1/revoke")}, wantErr: "its revocation_endpoint"},
		{name: "another resource", resource: oauthtest.ResourceConfig{Metadata: metadata("resource", "https://evil.example.com/mcp")}, wantErr: `"https://evil.example.com/mcp"`},
		{name: "no authorization server", resource: oauthtest.ResourceConfig{Metadata: metadata("authorization_servers", []string{})}, wantErr: "names no authorization server"},
		{name: "authorization server without https", resource: oauthtest.ResourceConfig{Metadata: metadata("authorization_servers", []string{"http://192.0.2.1"})}, wantErr: "only https is safe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, tt.as)
			server := oauthtest.Protect(t, ok, tt.resource, as)
			if tt.prepare != nil {
				tt.prepare(as, server)
			}
			p := &person{}
			login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
			status, err := call(t.Context(), login, server.URL, "any")
			if tt.wantErr == "" && (err != nil || status != http.StatusOK) {
				t.Errorf("call: status %d, %v\n%s", status, err, strings.Join(as.Requests(), "\n"))
			}
			if tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Errorf("call: %v, want an error with %q", err, tt.wantErr)
			}
			if got := as.Counts(); tt.wantErr != "" && (got.Prompts != tt.prompts || got.TokenRequests != 0) {
				t.Errorf("%d prompts and %d token requests, want %d and 0", got.Prompts, got.TokenRequests, tt.prompts)
			}
		})
	}
}

// The order of the places, and that the search ends with the first that fits.
func TestDiscoveryOrder(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{IssuerPath: "/tenant", WellKnown: []string{oauthtest.OpenIDAppended}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	mustCall(t, login, server.URL)
	want := []string{
		"GET /.well-known/oauth-authorization-server/tenant",
		"GET /.well-known/openid-configuration/tenant",
		"GET /tenant/.well-known/openid-configuration",
		"POST /register",
	}
	if got := as.Requests(); len(got) < 4 || !slices.Equal(got[:4], want) {
		t.Errorf("requests %q, want %q first", got, want)
	}
	if got := server.Counts().Metadata; got != 1 {
		t.Errorf("the resource's metadata was asked for %d times, want once, where the header says", got)
	}
}

// A server that cannot say now where its metadata is, is not one without.
func TestNoFallbackAfterError(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource") {
				w.WriteHeader(status)
				return
			}
			if r.URL.Path != "/mcp" {
				t.Errorf("%s %s was asked for", r.Method, r.URL.Path)
			}
			w.WriteHeader(http.StatusUnauthorized)
		})
		url := serve(t, handler)
		login := &mcpauth.Login{Server: url + "/mcp", Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
		if _, err := call(t.Context(), login, url+"/mcp", "any"); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("status %d", status)) {
			t.Errorf("call: %v, want an error with the status %d", err, status)
		}
	}
}

// A server that wants something else than OAuth.
func TestNotOAuth(t *testing.T) {
	t.Parallel()
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mcp" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `ApiKey realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	login := &mcpauth.Login{Server: url + "/mcp", Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	if _, err := call(t.Context(), login, url+"/mcp", "any"); err == nil || !strings.Contains(err.Error(), "API key") {
		t.Errorf("call: %v, want an error that names API keys", err)
	}
}

// What is sent to the token endpoint is for it alone.
func TestTokenRequestIsNotRedirected(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was redirected", r.Method, r.URL) }))
	redirect := http.RedirectHandler(elsewhere+"/token", http.StatusTemporaryRedirect)
	as := oauthtest.New(t, oauthtest.Config{Instead: map[string]http.Handler{"/token": redirect}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	if _, err := call(t.Context(), login, server.URL, "any"); err == nil || !strings.Contains(err.Error(), "answers 307") {
		t.Errorf("call: %v, want the status of the redirect", err)
	}
}

func TestChooseIssuer(t *testing.T) {
	t.Parallel()
	first, second := oauthtest.New(t, oauthtest.Config{}), oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, first, second)
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	var offered []string
	login.ChooseIssuer = chooseLast(&offered)
	mustCall(t, login, server.URL)
	if want := []string{first.Issuer, second.Issuer}; !slices.Equal(offered, want) {
		t.Errorf("offered %q, want %q", offered, want)
	}
	offered = nil
	second.RevokeAll()
	mustCall(t, login, server.URL)
	if offered != nil || first.Counts().Codes != 0 || second.Counts().Codes != 2 {
		t.Errorf("asked to choose %q again, or the wrong server", offered)
	}
}

func TestChooseIssuerWrongly(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as, oauthtest.New(t, oauthtest.Config{}))
	for want, choose := range map[string]func() (string, error){
		"https://another.example was chosen": func() (string, error) { return "https://another.example", nil },
		"no idea":                            func() (string, error) { return "", errors.New("no idea") },
	} {
		login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
		login.ChooseIssuer = func(context.Context, []string) (string, error) { return choose() }
		if _, err := call(t.Context(), login, server.URL, "any"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("call: %v, want an error with %q", err, want)
		}
	}
}

// A server of a corporate network, as far as a person allows it.
func TestAllowHosts(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	for _, tt := range []struct {
		server string
		allow  []string
		want   string
	}{
		{"http://mcp.corp.example:8080/mcp", nil, "only https is safe"},
		{"http://mcp.corp.example:8080/mcp", []string{"mcp.corp.example"}, "only https is safe"},
		{"http://mcp.corp.example:8080/mcp", []string{"http://mcp.corp.example:8080"}, "on this machine, where the server is not"},
		{"http://mcp.corp.example:8080/mcp", []string{"http://mcp.corp.example:8080", "127.0.0.1"}, ""},
	} {
		// A public server that names an authorization server on this machine.
		transport := roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.URL.Hostname() != "mcp.corp.example" {
				return (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
			}
			rec := httptest.NewRecorder()
			rec.Header().Set("Content-Type", "application/json")
			if strings.HasPrefix(req.URL.Path, "/.well-known/oauth-protected-resource") {
				rec.WriteString(`{"resource":"` + tt.server + `","authorization_servers":["` + as.Issuer + `"]}`)
			} else {
				rec.WriteHeader(http.StatusUnauthorized)
			}
			resp := rec.Result()
			resp.Request = req
			return resp, nil
		})
		login := &mcpauth.Login{Server: tt.server, AllowHosts: tt.allow, Store: &mcpauth.MemoryStore{}, HTTPClient: &http.Client{Transport: transport}}
		_, err := login.Begin(t.Context(), callback)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("Begin at %s, allowed %q: %v, want %q", tt.server, tt.allow, err, tt.want)
		}
	}
}

// A server without https gets requests, but no credentials, and the person
// learns what would change that.
func TestServerInTheClear(t *testing.T) {
	t.Parallel()
	const server = "http://vm:3901/mcp"
	store := &mcpauth.MemoryStore{}
	send := func(login *mcpauth.Login) (*http.Request, error) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, server, nil)
		req.Header.Set("X-Api-Key", "k")
		return req, login.Authorize(req)
	}
	says := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "name http://vm:3901 in AllowHosts (oauth.allowHosts in a config file)") {
			t.Errorf("%s: %v, want an error that says what allows it", what, err)
		}
	}
	login := &mcpauth.Login{Server: server, Store: store}
	req, err := send(login)
	if err != nil || req.Header.Get("Authorization") != "" {
		t.Errorf("Authorize with nothing to send: %v, header %q", err, req.Header)
	}
	says("refused with 401", login.Refused(req, &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody}))
	says("a login", login.SignIn(t.Context()))
	says("a token by hand", login.SetToken(t.Context(), &mcpauth.Token{Access: "secret"}))

	allowed := &mcpauth.Login{Server: server, Store: store, AllowHosts: []string{"http://vm:3901"}}
	if err := allowed.SetToken(t.Context(), &mcpauth.Token{Access: "secret"}); err != nil {
		t.Fatal(err)
	}
	if req, err := send(allowed); err != nil || req.Header.Get("Authorization") != "Bearer secret" {
		t.Errorf("Authorize where it is allowed: %v, header %q", err, req.Header)
	}
	login = &mcpauth.Login{Server: server, Store: store}
	req, err = send(login)
	says("a saved token", err)
	if req.Header.Get("Authorization") != "" {
		t.Error("the token is on a request that is not safe")
	}
	if err := login.Logout(t.Context(), nil); err != nil {
		t.Errorf("Logout: %v", err)
	}
	if _, err := send(login); err != nil {
		t.Errorf("Authorize after the logout: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
