package mcpauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

const documentURL = "https://client.example/metadata.json"

// The order of the specification: by hand, document, registration.
func TestClientOrder(t *testing.T) {
	t.Parallel()
	documents := map[string]oauthtest.Client{documentURL: {ID: documentURL, RedirectURIs: []string{callback}, Method: "none"}}
	for _, tt := range []struct {
		name          string
		as            oauthtest.Config
		login         *mcpauth.Login // its client; if nil, nothing is set
		want          string         // client id; if empty, one that registered itself
		wantErr       string
		registrations int
	}{
		{name: "by hand", as: oauthtest.Config{Documents: documents}, login: &mcpauth.Login{ClientID: "mine", ClientSecret: "secret-mine", MetadataURL: documentURL}, want: "mine"},
		{name: "document", as: oauthtest.Config{Documents: documents}, login: &mcpauth.Login{MetadataURL: documentURL}, want: documentURL},
		{name: "document that the server does not take", login: &mcpauth.Login{MetadataURL: documentURL}, registrations: 1},
		{name: "registration", registrations: 1},
		{name: "nothing", as: oauthtest.Config{Metadata: metadata("registration_endpoint", nil)}, wantErr: "give its client id"},
		{
			name:    "registration refused",
			as:      oauthtest.Config{Instead: map[string]http.Handler{"/register": oauthtest.Refuse(400, "invalid_client_metadata", "we do\x1b[31m not\nlike you")}},
			wantErr: "answers 400 invalid_client_metadata: we do[31m not like you; a client that was registered by hand works too",
		},
		{
			name:    "registration answered with a page",
			as:      oauthtest.Config{Instead: map[string]http.Handler{"/register": oauthtest.HTML}},
			wantErr: "it is text/html, not JSON",
		},
		{name: "by hand, for another server", login: &mcpauth.Login{ClientID: "mine", ClientIssuer: "https://other.example"}, wantErr: "the client id is for the authorization server https://other.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, tt.as)
			as.Add(oauthtest.Client{ID: "mine", Secret: "secret-mine", RedirectURIs: []string{callback}})
			server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
			login := tt.login
			if login == nil {
				login = &mcpauth.Login{}
			}
			login.Server, login.Prompter, login.Store = server.URL, &person{}, &mcpauth.MemoryStore{}
			_, err := call(t.Context(), login, server.URL, "any")
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("call: %v, want an error with %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			st, err := login.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if tt.want != "" && st.ClientID != tt.want {
				t.Errorf("client %q, want %q", st.ClientID, tt.want)
			}
			if got := as.Counts().Registrations; got != tt.registrations {
				t.Errorf("%d registrations, want %d", got, tt.registrations)
			}
			as.EndAccess()
			mustCall(t, login, server.URL) // the refresh goes out as the same client
			if got := as.Counts().Refreshes; got != 1 {
				t.Errorf("%d refreshes, want 1", got)
			}
		})
	}
}

func TestTokenEndpointAuth(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"none", "client_secret_basic", "client_secret_post"} {
		t.Run("registered for "+method, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, oauthtest.Config{RegisterMethod: method, Metadata: metadata("token_endpoint_auth_methods_supported", []string{method})})
			server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
			login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
			mustCall(t, login, server.URL)
			as.EndAccess()
			mustCall(t, login, server.URL)
			if err := login.Logout(t.Context(), nil); err != nil {
				t.Errorf("Logout: %v", err)
			}
		})
	}
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run("by hand with "+method, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, oauthtest.Config{})
			as.Add(oauthtest.Client{ID: "mine: ü&", Secret: "secret: ü%+", Method: method, RedirectURIs: []string{callback}})
			server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
			// The metadata names both: the person knows which.
			login := &mcpauth.Login{
				Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{},
				ClientID: "mine: ü&", ClientSecret: "secret: ü%+", ClientAuth: method,
			}
			mustCall(t, login, server.URL)
			as.EndAccess()
			mustCall(t, login, server.URL)
		})
	}
	t.Run("unknown to us", func(t *testing.T) {
		t.Parallel()
		as := oauthtest.New(t, oauthtest.Config{RegisterMethod: "private_key_jwt"})
		server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
		login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
		if _, err := call(t.Context(), login, server.URL, "any"); err == nil || !strings.Contains(err.Error(), `"private_key_jwt"`) {
			t.Errorf("call: %v, want an error that names the method", err)
		}
	})
}

// What is registered, and when that is done again.
func TestRegistration(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	p := &person{}
	store := &mcpauth.MemoryStore{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: store, ClientName: "A program"}
	mustCall(t, login, server.URL)
	c := as.Clients()[0]
	if c.Name != "A program" || c.Type != "native" || c.Method != "none" || !slices.Equal(c.RedirectURIs, []string{callback}) ||
		!slices.Equal(c.GrantTypes, []string{"authorization_code", "refresh_token"}) {
		t.Errorf("registered %+v", c)
	}

	// The next login is told the redirect URI, and cannot have it.
	if err := login.Logout(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	p.redirect = "http://127.0.0.1:16011/oauth/callback"
	mustCall(t, login, server.URL)
	if want := []string{"", callback}; !slices.Equal(p.hints, want) {
		t.Errorf("the prompter was told %q, want %q", p.hints, want)
	}
	if got := as.Counts().Registrations; got != 2 {
		t.Errorf("%d registrations, want a second one for the other redirect URI", got)
	}

	// The server forgets the client: its refresh says so.
	as.ForgetClients()
	as.EndAccess()
	mustCall(t, login, server.URL)
	if got := as.Counts().Registrations; got != 3 {
		t.Errorf("%d registrations, want a third one after invalid_client", got)
	}

	// The same without a refresh token: the browser shows a page that leads
	// nowhere. The next login registers again.
	if err := login.Logout(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	as.ForgetClients()
	if err := login.SignIn(t.Context()); err == nil {
		t.Error("SignIn succeeded with a client that the server has forgotten")
	}
	if err := login.SignIn(t.Context()); err != nil {
		t.Errorf("SignIn after that: %v", err)
	}

	if err := login.Logout(t.Context(), &mcpauth.LogoutOptions{Forget: true}); err != nil {
		t.Fatal(err)
	}
	mustCall(t, login, server.URL)
	if got := as.Counts().Registrations; got != 5 {
		t.Errorf("%d registrations, want 5 after all was forgotten", got)
	}
}

// What the answer to a registration may say.
func TestRegistrationAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, answer  string
		wantErr       string
		registrations int // for two logins
	}{
		{name: "a secret and no method", answer: `{"client_id":"given","client_secret":"secret-given"}`, registrations: 1},
		{name: "a secret that has ended", answer: `{"client_id":"given","client_secret":"secret-given","client_secret_expires_at":1}`, registrations: 2},
		{name: "a secret that lasts", answer: `{"client_id":"given","client_secret":"secret-given","client_secret_expires_at":99999999999}`, registrations: 1},
		{name: "a method and no secret", answer: `{"client_id":"given","token_endpoint_auth_method":"client_secret_basic"}`, wantErr: "no client_secret for client_secret_basic"},
		{name: "no client", answer: `{}`, wantErr: "no client_id"},
		{name: "no JSON", answer: `secret-`, wantErr: "it is no JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, oauthtest.Config{Instead: map[string]http.Handler{"/register": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusCreated)
				io.WriteString(w, tt.answer)
			})}})
			as.Add(oauthtest.Client{ID: "given", Secret: "secret-given", RedirectURIs: []string{callback}})
			server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
			login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
			_, err := call(t.Context(), login, server.URL, "any")
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || strings.Contains(err.Error(), "secret-") {
					t.Errorf("call: %v, want an error with %q and no secret", err, tt.wantErr)
				}
				return
			}
			if err := errors.Join(err, login.SignIn(t.Context())); err != nil {
				t.Errorf("two logins: %v", err)
			}
			if got := as.Counts().Registrations; got != tt.registrations {
				t.Errorf("%d registrations, want %d", got, tt.registrations)
			}
		})
	}
}

// A client of a web application says that it is one.
func TestRegistrationOfWebApplication(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	login := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}
	if _, err := login.Begin(t.Context(), "https://app.example/callback"); err != nil {
		t.Fatal(err)
	}
	if c := as.Clients()[0]; c.Type != "web" {
		t.Errorf("registered %+v, want the type web", c)
	}
}

// invalid_client at the code exchange, where the registration is stale: the
// person is asked once more.
func TestStaleRegistrationAtExchange(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	mustCall(t, login, server.URL)
	if err := login.Logout(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	refuseNext := true
	token := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuseNext {
			refuseNext = false
			as.Change(func(c *oauthtest.Config) { c.Instead = nil })
			oauthtest.Refuse(401, "invalid_client", "who?").ServeHTTP(w, r)
		}
	})
	as.Change(func(c *oauthtest.Config) { c.Instead = map[string]http.Handler{"/token": token} })
	mustCall(t, login, server.URL)
	if got := as.Counts(); got.Registrations != 2 || p.Visits() != 3 {
		t.Errorf("%d registrations and %d prompts, want 2 and 3", got.Registrations, p.Visits())
	}
}

// A resource that moves to another authorization server (SEP-2352).
func TestAuthorizationServerChanges(t *testing.T) {
	t.Parallel()
	first, second := oauthtest.New(t, oauthtest.Config{}), oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, first)
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	mustCall(t, login, server.URL)
	server.Move(second)
	mustCall(t, login, server.URL)
	if first.Counts().Refreshes != 0 || second.Counts().Registrations != 1 || second.Counts().TokenRequests != 1 {
		t.Errorf("first: %+v\nsecond: %+v\nwant no refresh at the first, one registration and one token request at the second", first.Counts(), second.Counts())
	}
	server.Move(first)
	mustCall(t, login, server.URL)
	if first.Counts().Registrations != 1 {
		t.Error("registered again at a server that knows the client")
	}
}

// The redirect URI of a client that registered itself is not that of another.
func TestOwnClientHasItsOwnRedirect(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	as.Add(oauthtest.Client{ID: "mine", RedirectURIs: []string{callback}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	store, p := &mcpauth.MemoryStore{}, &person{}
	for _, id := range []string{"", "mine"} {
		mustCall(t, &mcpauth.Login{Server: server.URL, Prompter: p, Store: store, ClientID: id}, server.URL)
	}
	if want := []string{"", ""}; !slices.Equal(p.hints, want) {
		t.Errorf("the prompter was told %q, want %q", p.hints, want)
	}
}

// A client that was registered by hand, and does not say where, stays with the
// authorization server that it was first used at.
func TestOwnClientStays(t *testing.T) {
	t.Parallel()
	first, second := oauthtest.New(t, oauthtest.Config{}), oauthtest.New(t, oauthtest.Config{})
	first.Add(oauthtest.Client{ID: "mine", Secret: "secret-mine", RedirectURIs: []string{callback}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, first)
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}, ClientID: "mine", ClientSecret: "secret-mine"}
	mustCall(t, login, server.URL)
	server.Move(second)
	if _, err := call(t.Context(), login, server.URL, "any"); err == nil || !strings.Contains(err.Error(), "ClientIssuer") {
		t.Errorf("call: %v, want an error that names ClientIssuer", err)
	}
	// Nor does the end of the login make it forget where that is.
	server.Move(first)
	first.RevokeAll()
	login.Prompter = nil
	if _, err := call(t.Context(), login, server.URL, "any"); err == nil {
		t.Error("call: a revoked login is used")
	}
	server.Move(second)
	login = &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: login.Store, ClientID: "mine", ClientSecret: "secret-mine"}
	if err := login.SignIn(t.Context()); err == nil || !strings.Contains(err.Error(), "ClientIssuer") {
		t.Errorf("SignIn: %v, want an error that names ClientIssuer", err)
	}
	if got := second.Counts(); got.TokenRequests+got.Prompts != 0 {
		t.Errorf("the other server was asked: %+v", got)
	}
}

// A client that was registered by hand is for one authorization server: that one
// being down does not send its secret to the next.
func TestOwnClientIsForTheFirst(t *testing.T) {
	t.Parallel()
	first, second := oauthtest.New(t, oauthtest.Config{WellKnown: []string{}}), oauthtest.New(t, oauthtest.Config{})
	client := oauthtest.Client{ID: "mine", Secret: "secret-mine", RedirectURIs: []string{callback}, GrantTypes: []string{"authorization_code", "client_credentials"}}
	second.Add(client)
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, first, second)
	var last func(context.Context, []string) (string, error) = chooseLast(new([]string))
	for name, tt := range map[string]struct {
		auth auth
		want int // token requests to the second
	}{
		"person":         {&mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}, ClientID: "mine", ClientSecret: "secret-mine"}, 0},
		"person chooses": {&mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}, ClientID: "mine", ClientSecret: "secret-mine", ChooseIssuer: last}, 1},
		"program":        {&mcpauth.ClientCredentials{Server: server.URL, ClientID: "mine", ClientSecret: "secret-mine"}, 0},
		"program, named": {&mcpauth.ClientCredentials{Server: server.URL, ClientID: "mine", ClientSecret: "secret-mine", ClientIssuer: second.Issuer}, 1},
	} {
		before := second.Counts().TokenRequests
		_, err := call(t.Context(), tt.auth, server.URL, "any")
		if got := second.Counts().TokenRequests - before; got != tt.want || (err == nil) != (tt.want == 1) {
			t.Errorf("%s: %v after %d token requests to the second server, want %d", name, err, got, tt.want)
		}
	}
}

// A saved token is of no use when the person says that the client is another
// authorization server's: its refresh would send the secret there.
func TestOwnClientMoves(t *testing.T) {
	t.Parallel()
	first, second := oauthtest.New(t, oauthtest.Config{Lifetime: time.Second}), oauthtest.New(t, oauthtest.Config{})
	for _, as := range []*oauthtest.Server{first, second} {
		as.Add(oauthtest.Client{ID: "mine", Secret: "secret-mine", RedirectURIs: []string{callback}})
	}
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, first, second)
	store := &mcpauth.MemoryStore{}
	var requests int
	for _, as := range []*oauthtest.Server{first, second} {
		requests = first.Counts().TokenRequests
		login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: store, ClientID: "mine", ClientSecret: "secret-mine", ClientIssuer: as.Issuer}
		mustCall(t, login, server.URL)
	}
	if got := first.Counts().TokenRequests - requests; got != 0 || second.Counts().Codes != 1 {
		t.Errorf("%d more token requests to the first, %d codes exchanged at the second; want 0 and 1", got, second.Counts().Codes)
	}
}

// A token whose client has no secret any more cannot be refreshed: a person is
// asked, and no error stays for ever.
func TestClientLosesItsSecret(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*mcpauth.Login, *mcpauth.Login) error{
		"another registration": func(login, _ *mcpauth.Login) error {
			_, err := login.Begin(t.Context(), "http://127.0.0.1:16011/oauth/callback")
			return err
		},
		"another store": func(login, other *mcpauth.Login) error {
			flow, err := other.Begin(t.Context(), callback)
			if err != nil {
				return err
			}
			return login.SetToken(t.Context(), tokenOf(t, flow))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, oauthtest.Config{RegisterMethod: "client_secret_basic"})
			server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
			p := &person{}
			login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
			mustCall(t, login, server.URL)
			if err := lose(login, &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}); err != nil {
				t.Fatal(err)
			}
			as.EndAccess()
			mustCall(t, login, server.URL)
			if got := as.Counts(); got.Refreshes != 0 || p.Visits() != 2 {
				t.Errorf("%d refreshes, %d prompts; want 0 and 2", got.Refreshes, p.Visits())
			}
		})
	}
}

// A person is not sent for a code that could not be exchanged.
func TestClientWithoutItsSecret(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	for method, want := range map[string]string{"client_secret_basic": "secret is missing", "private_key_jwt": "key of the client is missing", "client_secret": "not supported"} {
		p := &person{}
		login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}, ClientID: "mine", ClientAuth: method}
		if _, err := call(t.Context(), login, server.URL, "any"); err == nil || !strings.Contains(err.Error(), want) || p.Visits() != 0 {
			t.Errorf("call: %v after %d prompts, want an error with %q before the first", err, p.Visits(), want)
		}
	}
}

// A metadata document is at a plain URL.
func TestMetadataURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"http://client.example/m.json", "https://client.example", "https://client.example/", "https:///m.json", "https://u@client.example/m.json", "https://client.example/m.json#x", "%"} {
		login := &mcpauth.Login{Server: "https://mcp.example", MetadataURL: bad, Store: &mcpauth.MemoryStore{}}
		if _, err := login.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "MetadataURL") {
			t.Errorf("MetadataURL %q: %v", bad, err)
		}
	}
	login := &mcpauth.Login{Server: "https://mcp.example", MetadataURL: documentURL, Store: &mcpauth.MemoryStore{}}
	if _, err := login.Status(t.Context()); err != nil {
		t.Errorf("MetadataURL %q: %v", documentURL, err)
	}
}
