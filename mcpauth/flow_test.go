package mcpauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

// The seed of the step-by-step API: does the server need a login, parameters,
// URL and state, exchange, token.
func TestStepByStep(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	login := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}
	if required, err := login.RequiresAuth(t.Context()); !required || err != nil {
		t.Fatalf("RequiresAuth = %v, %v", required, err)
	}
	flow, err := login.Begin(t.Context(), callback)
	if err != nil {
		t.Fatal(err)
	}
	if flow.Issuer() != as.Issuer || flow.ClientID() == "" || flow.RedirectURI() != callback || flow.State() == "" {
		t.Errorf("flow of %s for client %q, back to %s", flow.Issuer(), flow.ClientID(), flow.RedirectURI())
	}
	answer := follow(t, flow)

	if _, err := flow.Exchange(t.Context(), strings.Replace(answer, flow.State(), "another", 1)); err == nil || !strings.Contains(err.Error(), "state") {
		t.Errorf("Exchange with another state: %v", err)
	}
	token, err := flow.Exchange(t.Context(), answer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flow.Exchange(t.Context(), answer); err == nil || !strings.Contains(err.Error(), "before") {
		t.Errorf("second Exchange: %v", err)
	}
	if token.Access == "" || token.Refresh == "" || token.Expiry.IsZero() || token.Issuer() != as.Issuer {
		t.Errorf("token %v of %q, ends %v", token, token.Issuer(), token.Expiry)
	}

	// Another object uses it, and can refresh it.
	other := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}
	if err := other.SetToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	mustCall(t, other, server.URL)
	as.EndAccess()
	mustCall(t, other, server.URL)
	if got := as.Counts(); got.Refreshes != 1 || got.Registrations != 1 {
		t.Errorf("%+v, want 1 refresh and 1 registration", got)
	}

	if _, err := login.Begin(t.Context(), "http://192.0.2.1/callback"); err == nil || !strings.Contains(err.Error(), "https, or http on loopback") {
		t.Errorf("Begin with a redirect URL without https: %v", err)
	}
	if err := other.SetToken(t.Context(), &mcpauth.Token{Access: "a b"}); err == nil {
		t.Error("SetToken took what fits no header")
	}
}

func follow(t *testing.T, flow *mcpauth.Flow) string {
	t.Helper()
	var browser oauthtest.Browser
	answer, err := browser.Visit(t.Context(), flow.AuthURL())
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestRequiresAuth(t *testing.T) {
	t.Parallel()
	var ended []string
	only := func(method string, status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Error("the probe has credentials")
			}
			switch {
			case r.Method == http.MethodDelete:
				ended = append(ended, r.Header.Get("Mcp-Session-Id"))
			case r.Method == method:
				w.WriteHeader(status)
			case r.Method == http.MethodPost:
				w.Header().Set("Mcp-Session-Id", "session")
				ok.ServeHTTP(w, r)
			default:
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
		})
	}
	for _, tt := range []struct {
		name    string
		handler http.Handler
		want    bool
		wantErr bool
	}{
		{name: "401 to GET", handler: only("GET", 401), want: true},
		{name: "401 to POST", handler: only("POST", 401), want: true},
		{name: "open", handler: only("none", 0)},
		{name: "no such path", handler: http.NotFoundHandler()},
		{name: "403 without a challenge", handler: only("POST", 403)},
		{name: "broken", handler: only("POST", 500), wantErr: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			login := &mcpauth.Login{Server: serve(t, tt.handler), Store: &mcpauth.MemoryStore{}}
			got, err := login.RequiresAuth(t.Context())
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("RequiresAuth = %v, %v; want %v, error %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
	if !slices.Equal(ended, []string{"session"}) {
		t.Errorf("sessions ended: %q, want the one that the probe began", ended)
	}
}

// RFC 9207 section 2.4, and that nothing of the answer is believed before.
func TestIssuerOfAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		advertised bool
		iss        string // "right", "" for none, or as it is
		want       bool
	}{
		{"advertised and right", true, "right", true},
		{"advertised and missing", true, "", false},
		{"advertised and wrong", true, "https://evil.example", false},
		{"not advertised and missing", false, "", true},
		{"not advertised and right", false, "right", true},
		{"not advertised and wrong", false, "https://evil.example", false},
		{"a slash more", true, "right/", false},
		{"other letters", true, "HTTP right", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, oauthtest.Config{Metadata: metadata("authorization_response_iss_parameter_supported", tt.advertised)})
			server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
			login := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}
			flow, err := login.Begin(t.Context(), callback)
			if err != nil {
				t.Fatal(err)
			}
			iss := strings.Replace(strings.Replace(tt.iss, "right", as.Issuer, 1), "HTTP http", "HTTP", 1)
			change := func(q url.Values) {
				q.Del("iss")
				if iss != "" {
					q.Set("iss", iss)
				}
			}
			_, err = flow.Exchange(t.Context(), edit(t, follow(t, flow), change))
			if (err == nil) != tt.want {
				t.Errorf("Exchange: %v, want success: %v", err, tt.want)
			}
			if !tt.want && as.Counts().TokenRequests != 0 {
				t.Error("the code was sent to the token endpoint")
			}

			// An error of the answer is shown only if the answer is from there.
			_, err = flow.Exchange(t.Context(), edit(t, callback, func(q url.Values) {
				q.Set("state", flow.State())
				q.Set("error", "please-call")
				q.Set("error_description", "0800-evil")
				change(q)
			}))
			if err == nil || strings.Contains(err.Error(), "please-call") != tt.want || strings.Contains(err.Error(), "evil") != tt.want {
				t.Errorf("Exchange of an error: %v, want its text shown: %v", err, tt.want)
			}
		})
	}
}

func edit(t *testing.T, s string, change func(url.Values)) string {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	change(q)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestAnswersRefused(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{Metadata: metadata("authorization_response_iss_parameter_supported", false)})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	login := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}
	flow, err := login.Begin(t.Context(), callback)
	if err != nil {
		t.Fatal(err)
	}
	state := "?state=" + flow.State()
	for answer, want := range map[string]string{
		"":                                     "state",
		"?code=secret-c":                       "state",
		state:                                  "neither a code nor an error",
		"%zz?code=secret-c":                    "malformed",
		"?code=secret-c%zz":                    "malformed",
		"\x7f?code=secret-c":                   "malformed",
		state + "&state=other":                 "more than one state",
		state + "&code=secret-c&code=secret-d": "more than one code",
		"?error=access_denied&state=secret-another": "state",
	} {
		_, err := flow.Exchange(t.Context(), callback+answer)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret-") {
			t.Errorf("Exchange(%q): %v, want an error with %q and no secret", answer, err, want)
		}
	}
	if _, err := flow.Exchange(t.Context(), callback+state+"&error=access_denied"); !errors.Is(err, mcpauth.ErrDenied) {
		t.Errorf("Exchange of a denial: %v", err)
	}
	var e *mcpauth.Error
	if _, err := flow.Exchange(t.Context(), callback+state+"&error=server_error&error_description=%1b%5b31mred"); !errors.As(err, &e) || e.Code != "server_error" || e.Description != "[31mred" {
		t.Errorf("Exchange of an error: %v", err)
	}
	long := strings.Repeat("ü", 1000)
	if _, err := flow.Exchange(t.Context(), callback+state+"&error=server_error&error_description="+long); !errors.As(err, &e) || len(e.Description) > 400 || !strings.HasPrefix(long, strings.TrimSuffix(e.Description, "...")) {
		t.Errorf("Exchange of a long error: %v", err)
	}
}

// What the token endpoint may answer.
func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		change  func(map[string]any)
		wantErr string
	}{
		{name: "bearer in lower case", change: metadata("token_type", "bearer")},
		{name: "no type", change: metadata("token_type", nil)},
		{name: "another type", change: metadata("token_type", "DPoP"), wantErr: `type "DPoP"`},
		{name: "no token", change: metadata("access_token", nil), wantErr: "no access_token"},
		{name: "a token that is none", change: metadata("access_token", "secret-\r\nX: y"), wantErr: "no access_token"},
		{name: "expires_in as a string", change: metadata("expires_in", "3600")},
		{name: "expires_in that means never", change: metadata("expires_in", 1e30)},
		{name: "no expires_in", change: metadata("expires_in", nil)},
		{name: "scope as a list", change: metadata("scope", []string{"a"})},
		{name: "a large answer", change: metadata("more", strings.Repeat("x", 2<<20)), wantErr: "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, oauthtest.Config{Token: tt.change})
			server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
			login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
			_, err := call(t.Context(), login, server.URL, "any")
			if tt.wantErr == "" && err != nil || tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr) || strings.Contains(err.Error(), "secret-")) {
				t.Errorf("call: %v, want an error with %q", err, tt.wantErr)
			}
		})
	}
}

// Scope selection, and what goes with offline_access.
func TestScopes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		offered  []string // by the authorization server; nil: not said
		resource oauthtest.ResourceConfig
		own      []string
		want     string
		prompt   string
	}{
		{name: "none", want: ""},
		{name: "supported", resource: oauthtest.ResourceConfig{Scopes: []string{"a", "b"}}, want: "a b"},
		{name: "challenge", resource: oauthtest.ResourceConfig{Scopes: []string{"a", "b"}, Challenge: "b"}, want: "b"},
		{name: "own", resource: oauthtest.ResourceConfig{Scopes: []string{"a", "b"}}, own: []string{"b"}, want: "b"},
		{name: "own and challenge", resource: oauthtest.ResourceConfig{Challenge: "a"}, own: []string{"b"}, want: "a b"},
		{name: "offline_access offered", offered: []string{"a", "offline_access"}, resource: oauthtest.ResourceConfig{Challenge: "a"}, want: "a offline_access", prompt: "consent"},
		{name: "offline_access alone", offered: []string{"a", "offline_access"}, want: ""},
		{name: "offline_access not offered", offered: []string{"a"}, resource: oauthtest.ResourceConfig{Scopes: []string{"a", "offline_access"}}, want: "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, oauthtest.Config{Scopes: tt.offered})
			server := oauthtest.Protect(t, ok, tt.resource, as)
			p := &person{}
			var asked url.Values
			p.Before = func(authURL string) { asked = query(authURL) }
			login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}, Scopes: tt.own}
			mustCall(t, login, server.URL)
			if asked.Get("scope") != tt.want || asked.Has("scope") != (tt.want != "") || asked.Get("prompt") != tt.prompt {
				t.Errorf("asked for scope %q, prompt %q; want %q, %q", asked["scope"], asked["prompt"], tt.want, tt.prompt)
			}
			if asked.Get("resource") != server.URL || asked.Get("code_challenge_method") != "S256" {
				t.Errorf("asked for resource %q with %q", asked["resource"], asked["code_challenge_method"])
			}
		})
	}
}

func query(s string) url.Values {
	u, err := url.Parse(s)
	if err != nil {
		return nil
	}
	return u.Query()
}

// The person says what the token is needed for; a context that ends ends it.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	asked, gaveUp := make(chan struct{}), make(chan struct{})
	login := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}, Prompter: &slow{asked: asked, gaveUp: gaveUp}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := call(ctx, login, server.URL, "any"); !errors.Is(err, context.Canceled) {
		t.Errorf("call: %v, want the error of its context", err)
	}
	<-gaveUp // else the test hangs

	// That was no denial, and holds no lock.
	login.Prompter.(*slow).next = &person{}
	mustCall(t, login, server.URL)
}

// Slow people wait for their context, and then are another person.
type slow struct {
	asked, gaveUp chan struct{}
	next          *person
}

func (s *slow) Begin(ctx context.Context, redirectURI string) (mcpauth.Prompt, error) {
	if s.next != nil {
		return s.next.Begin(ctx, redirectURI)
	}
	return slowPrompt{s}, nil
}

type slowPrompt struct{ *slow }

func (slowPrompt) RedirectURI() string { return callback }

func (s slowPrompt) Ask(ctx context.Context, _ string) (string, error) {
	close(s.asked)
	<-ctx.Done()
	close(s.gaveUp)
	return "", ctx.Err()
}

func (slowPrompt) Close() error { return nil }

// The first of two callers gives up while the person is reading: the login goes
// on for the other.
func TestFirstCallerGivesUp(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	reading, goOn := make(chan struct{}), make(chan struct{})
	p := &person{}
	p.Before = func(string) { close(reading); <-goOn }
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := call(ctx, login, server.URL, "any"); first <- err }()
	<-reading
	waits := &watched{Login: login, refused: make(chan struct{})}
	go func() { _, err := call(t.Context(), waits, server.URL, "any"); second <- err }()
	<-waits.refused
	mcpauth.WaitForWaiters(login, 2)
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first caller: %v", err)
	}
	close(goOn)
	if err := <-second; err != nil {
		t.Errorf("the second caller: %v", err)
	}
	if p.Visits() != 1 {
		t.Errorf("%d prompts, want 1", p.Visits())
	}
}

type watched struct {
	*mcpauth.Login
	refused chan struct{}
}

func (w *watched) Refused(req *http.Request, resp *http.Response) error {
	close(w.refused)
	return w.Login.Refused(req, resp)
}

// A token that was made by hand is used as it is, and not refreshed: nobody
// knows where.
func TestTokenByHand(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	login := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}
	if err := login.SetToken(t.Context(), &mcpauth.Token{Access: "a", Refresh: "r"}); err != nil {
		t.Fatal(err)
	}
	if st, err := login.Status(t.Context()); err != nil || !st.LoggedIn || st.Refreshable || st.Issuer != "" {
		t.Errorf("Status = %+v, %v", st, err)
	}
	var needs *mcpauth.NeedsLoginError
	if _, err := call(t.Context(), login, server.URL, "any"); !errors.As(err, &needs) || as.Counts().TokenRequests != 0 {
		t.Errorf("call: %v after %d token requests, want a NeedsLoginError after none", err, as.Counts().TokenRequests)
	}
}

// An authorization endpoint may have parameters of its own.
func TestAuthURLKeepsParameters(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	as.Change(func(c *oauthtest.Config) {
		c.Metadata = metadata("authorization_endpoint", as.URL+"/authorize?tenant=a%26b&state=theirs")
	})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	flow, err := (&mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}).Begin(t.Context(), callback)
	if err != nil {
		t.Fatal(err)
	}
	q := query(flow.AuthURL())
	if q.Get("tenant") != "a&b" || !slices.Equal(q["state"], []string{flow.State()}) {
		t.Errorf("authorization URL %s", flow.AuthURL())
	}
}
