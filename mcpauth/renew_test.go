package mcpauth_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

// needs has tools need the scope of their name.
func needs(r *http.Request, body []byte) string {
	for _, tool := range []string{"read", "write", "never"} {
		if strings.Contains(string(body), `"`+tool+`"`) {
			return tool
		}
	}
	return ""
}

func TestStepUp(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{Challenge: "read", Need: needs}, as)
	p := &person{}
	var scopes []string
	p.Before = func(authURL string) { scopes = append(scopes, query(authURL).Get("scope")) }
	log := &transcript{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}, Logger: slog.New(slog.NewTextHandler(log, nil))}
	if status, err := call(t.Context(), login, server.URL, "read"); err != nil || status != http.StatusOK {
		t.Fatalf("read: %d, %v", status, err)
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if status, err := call(t.Context(), login, server.URL, "write"); err != nil || status != http.StatusOK {
				t.Errorf("write: %d, %v", status, err)
			}
		})
	}
	wg.Wait()
	if want := []string{"read", "read write"}; !slices.Equal(scopes, want) {
		t.Errorf("asked for %q, want %q: once more, with what was granted before", scopes, want)
	}
	if got := as.Counts(); got.Refreshes != 0 || got.Registrations != 2 {
		t.Errorf("%d refreshes, which bring no scope, and %d registrations, want one more for the scope", got.Refreshes, got.Registrations)
	}
	if got := log.buf.String(); strings.Count(got, "more scopes are asked for") != 1 || !strings.Contains(got, `operation="tools/call write"`) {
		t.Errorf("logged %s\nwant that more scopes are asked for, once", got)
	}
}

// Who wants no more scopes keeps what there is.
func TestStepUpDenied(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{Challenge: "read", Need: needs}, as)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	call(t.Context(), login, server.URL, "read")
	p.Deny = true
	for range 4 {
		_, err := call(t.Context(), login, server.URL, "write")
		var needs *mcpauth.NeedsLoginError
		if !errors.Is(err, mcpauth.ErrDenied) || errors.As(err, &needs) || !strings.Contains(err.Error(), `tools/call write needs the scopes ["read" "write"]`) {
			t.Errorf("write: %v, want a denial that names the scopes and is no NeedsLoginError", err)
		}
	}
	if status, err := call(t.Context(), login, server.URL, "read"); err != nil || status != http.StatusOK || p.Visits() != 2 {
		t.Errorf("read: %d, %v after %d prompts, want success after 2", status, err, p.Visits())
	}

	// Where nobody can be asked, that is the reason, however often.
	login = &mcpauth.Login{Server: server.URL, Store: login.Store}
	for range 4 {
		if _, err := call(t.Context(), login, server.URL, "write"); err == nil || !strings.Contains(err.Error(), `needs the scopes ["read" "write"]: nobody here can be asked; name them in Scopes`) {
			t.Errorf("write: %v, want that nobody can be asked, for what, and what to do", err)
		}
	}
}

// A server that is never content: the person is asked so often and no more.
func TestStepUpIsBounded(t *testing.T) {
	t.Parallel()
	// The authorization server grants less than it is asked for.
	as := oauthtest.New(t, oauthtest.Config{Token: metadata("scope", "read")})
	forbidden := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="never"`)
		w.WriteHeader(http.StatusForbidden)
	})
	server := oauthtest.Protect(t, forbidden, oauthtest.ResourceConfig{Challenge: "read"}, as)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	var last error
	for range 5 {
		_, last = call(t.Context(), login, server.URL, "never")
	}
	if last == nil || !strings.Contains(last.Error(), "after 2 logins") {
		t.Errorf("the last call: %v", last)
	}
	if p.Visits() != 3 {
		t.Errorf("%d prompts, want 1 for the login and 2 for more scopes", p.Visits())
	}
}

// What the token already has is not asked for again.
func TestStepUpForWhatIsThere(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	forbidden := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="read"`)
		w.WriteHeader(http.StatusForbidden)
	})
	server := oauthtest.Protect(t, forbidden, oauthtest.ResourceConfig{Challenge: "read"}, as)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	call(t.Context(), login, server.URL, "any")
	if _, err := call(t.Context(), login, server.URL, "any"); err == nil || !strings.Contains(err.Error(), `which its token has`) {
		t.Errorf("call: %v", err)
	}
	if p.Visits() != 1 {
		t.Errorf("%d prompts, want 1", p.Visits())
	}
}

// A 403 for other reasons is no matter of a login.
func TestForbidden(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) }), oauthtest.ResourceConfig{}, as)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	call(t.Context(), login, server.URL, "any")
	_, err := call(t.Context(), login, server.URL, "any")
	if err == nil || !strings.Contains(err.Error(), "403") || p.Visits() != 1 {
		t.Errorf("call: %v, after %d prompts", err, p.Visits())
	}
}

// A person who says no is not asked again by itself (fault A1 of go-sdk), but
// when they want to be.
func TestDenial(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	p := &person{}
	p.Deny = true
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := call(t.Context(), login, server.URL, "any")
			var needs *mcpauth.NeedsLoginError
			if !errors.Is(err, mcpauth.ErrDenied) || !errors.As(err, &needs) {
				t.Errorf("call: %v, want the denial", err)
			}
		})
	}
	wg.Wait()
	if _, err := call(t.Context(), login, server.URL, "any"); !errors.Is(err, mcpauth.ErrDenied) {
		t.Errorf("call after that: %v, want the denial", err)
	}
	if p.Visits() != 1 {
		t.Errorf("%d prompts, want 1", p.Visits())
	}
	p.Deny = false
	if err := login.SignIn(t.Context()); err != nil {
		t.Errorf("SignIn: %v", err)
	}
	mustCall(t, login, server.URL)

	// A no is no sign that the registration is stale.
	p.Deny = true
	if err := login.SignIn(t.Context()); !errors.Is(err, mcpauth.ErrDenied) {
		t.Errorf("SignIn: %v, want the denial", err)
	}
	p.Deny = false
	if err := login.SignIn(t.Context()); err != nil || as.Counts().Registrations != 1 {
		t.Errorf("SignIn: %v, %d registrations, want 1", err, as.Counts().Registrations)
	}
}

// Nothing is known while the authorization server is ill: no prompt.
func TestRefreshFailsForNow(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	mustCall(t, login, server.URL)
	as.EndAccess()
	portal := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<h1>Pay first</h1>", http.StatusForbidden)
	})
	for want, ill := range map[string]http.Handler{
		"503 temporarily_unavailable: later": oauthtest.Refuse(503, "temporarily_unavailable", "later"),
		"400 server_error":                   oauthtest.Refuse(400, "server_error", ""),
		"429":                                oauthtest.Refuse(429, "slow_down", ""),
		"answers 403":                        portal,
		"not JSON":                           oauthtest.HTML,
	} {
		as.Change(func(c *oauthtest.Config) { c.Instead = map[string]http.Handler{"/token": ill} })
		if _, err := call(t.Context(), login, server.URL, "any"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("call: %v, want an error with %q", err, want)
		}
	}
	as.Change(func(c *oauthtest.Config) { c.Instead = nil })
	mustCall(t, login, server.URL)
	if got := as.Counts(); got.Refreshes != 1 || p.Visits() != 1 {
		t.Errorf("%d refreshes, %d prompts; want 1 and 1", got.Refreshes, p.Visits())
	}
}

// Who gives up while a token is refreshed, or a code exchanged, does not cost
// the person another login: what was sent is used up.
func TestGivingUpLosesNoToken(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	for _, end := range []func(){func() {}, as.EndAccess} {
		end()
		begun, goOn := make(chan struct{}), make(chan struct{})
		held := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			as.Change(func(c *oauthtest.Config) { c.Instead = nil })
			if err := r.ParseForm(); err != nil { // so that the server notices a client that is gone
				t.Error(err)
			}
			close(begun)
			<-goOn
			as.ServeHTTP(w, r)
		})
		as.Change(func(c *oauthtest.Config) { c.Instead = map[string]http.Handler{"/token": held} })
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() { _, err := call(ctx, login, server.URL, "any"); gaveUp <- err }()
		<-begun
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("call: %v, want the error of its context", err)
		}
		close(goOn)
		mustCall(t, login, server.URL)
	}
	if got := as.Counts(); got.Codes != 1 || got.Refreshes != 1 || got.Reuses != 0 || p.Visits() != 1 {
		t.Errorf("%d codes, %d refreshes, %d reuses, %d prompts; want 1, 1, 0, 1", got.Codes, got.Refreshes, got.Reuses, p.Visits())
	}
}

// What the answer to a refresh does not say stays as it was.
func TestRefreshThatSaysLittle(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{KeepRefresh: true})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{Challenge: "read"}, as)
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	mustCall(t, login, server.URL)
	as.Change(func(c *oauthtest.Config) {
		c.Token = func(doc map[string]any) { delete(doc, "refresh_token"); delete(doc, "scope") }
	})
	for range 2 {
		as.EndAccess()
		mustCall(t, login, server.URL)
	}
	st, err := login.Status(t.Context())
	if err != nil || !st.Refreshable || !slices.Equal(st.Scopes, []string{"read"}) || p.Visits() != 1 {
		t.Errorf("Status = %+v, %v after %d prompts", st, err, p.Visits())
	}
}

// A refresh does not need the metadata of the server.
func TestRefreshWithoutMetadata(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	mustCall(t, login, server.URL)
	as.EndAccess()
	as.Change(func(c *oauthtest.Config) { c.WellKnown = []string{} })
	mustCall(t, login, server.URL)
}

// A token that ends is replaced before it is refused.
func TestRefreshAhead(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{Lifetime: 5 * time.Second})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	store := &mcpauth.MemoryStore{}
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: store}
	mustCall(t, login, server.URL) // which sends the request again with the token refreshed
	as.Change(func(c *oauthtest.Config) { c.Lifetime = 0 })
	callAll(t, 20, func(int) auth { return login }, server.URL)
	refreshes, refused := as.Counts().Refreshes, server.Counts().Refused["POST"]
	if refreshes != 2 || refused != 1 {
		t.Errorf("%d refreshes, %d refusals; want 2 and 1", refreshes, refused)
	}
	mustCall(t, login, server.URL)
	if got := as.Counts().Refreshes; got != refreshes {
		t.Errorf("a token that lasts was refreshed")
	}
}

// A server that refuses every token does not make a person log in for ever.
func TestTokenThatNeverWorks(t *testing.T) {
	t.Parallel()
	as, other := oauthtest.New(t, oauthtest.Config{}), oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	server.Change(func(c *oauthtest.ResourceConfig) {
		c.Metadata = metadata("authorization_servers", []string{as.Issuer})
	})
	server.Move(other) // which is the one that it trusts, whatever it says
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	for range 20 {
		call(t.Context(), login, server.URL, "any")
	}
	_, err := call(t.Context(), login, server.URL, "any")
	if err == nil || !strings.Contains(err.Error(), "refuses every token that "+as.Issuer) {
		t.Errorf("call: %v, want an error that says whose tokens are refused", err)
	}
	if p.Visits() > 3 {
		t.Errorf("%d prompts, want 3 at most", p.Visits())
	}
}

// Two processes, each with ten goroutines, on a login that is over.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{OneLive: true})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	dir := filepath.Join(t.TempDir(), "logins")
	for _, tt := range []struct {
		name               string
		end                func()
		refreshes, prompts int
	}{{"nothing there", func() {}, 0, 1}, {"token ended", as.EndAccess, 1, 0}, {"all revoked", as.RevokeAll, 0, 1}} {
		tt.end()
		before := as.Counts()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.count=1")
				cmd.Env = append(os.Environ(), childEnv+"="+server.URL+" "+dir, "GORACE=atexit_sleep_ms=0")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", tt.name, err, out)
				}
			})
		}
		wg.Wait()
		got := as.Counts()
		got.Refreshes -= before.Refreshes
		got.Prompts -= before.Prompts
		if got.Refreshes != tt.refreshes || got.Prompts != tt.prompts || got.Registrations != 1 || got.Reuses != 0 {
			t.Errorf("%s: %d refreshes, %d prompts, %d registrations in all, %d reuses; want %d, %d, 1, 0",
				tt.name, got.Refreshes, got.Prompts, got.Registrations, got.Reuses, tt.refreshes, tt.prompts)
		}
	}
}

const childEnv = "TRAMONTANE_TEST_LOGIN"

// TestChild is the other process of TestTwoProcesses.
func TestChild(t *testing.T) {
	server, dir, found := strings.Cut(os.Getenv(childEnv), " ")
	if !found {
		t.Skip("it is a part of TestTwoProcesses")
	}
	login := &mcpauth.Login{Server: server, Prompter: &person{}, Store: &mcpauth.FileStore{Dir: dir}}
	callAll(t, 10, func(int) auth { return login }, server)
}

// Who waits for a login in another program can stop waiting.
func TestWaitForAnotherProgram(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	store := &mcpauth.MemoryStore{}
	reading, goOn := make(chan struct{}), make(chan struct{})
	p := &person{}
	p.Before = func(string) { close(reading); <-goOn }
	first := &mcpauth.Login{Server: server.URL, Prompter: p, Store: store}
	second := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: store}
	done := make(chan error, 1)
	go func() { done <- first.SignIn(t.Context()) }()
	<-reading
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := call(ctx, second, server.URL, "any"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("call: %v, want the error of its context", err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Errorf("SignIn: %v", err)
	}
	mustCall(t, second, server.URL)
	if got := as.Counts().Prompts; got != 1 {
		t.Errorf("%d prompts, want 1 for both", got)
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	store := &mcpauth.MemoryStore{}
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: store}
	mustCall(t, login, server.URL)
	for _, broken := range []bool{false, true} {
		if broken {
			as.Change(func(c *oauthtest.Config) {
				c.Instead = map[string]http.Handler{"/revoke": oauthtest.Refuse(503, "", "")}
			})
		}
		err := login.Logout(t.Context(), &mcpauth.LogoutOptions{Forget: true})
		if broken != (err != nil) || broken && !strings.Contains(err.Error(), "deleted here, but") {
			t.Errorf("Logout: %v, revocation broken: %v", err, broken)
		}
		if st, err := login.Status(t.Context()); err != nil || st.LoggedIn {
			t.Errorf("Status after Logout = %+v, %v", st, err)
		}
		if data, err := store.Load(t.Context(), server.URL); data != nil || err != nil {
			t.Errorf("the store still has %d bytes, %v", len(data), err)
		}
		other := &mcpauth.Login{Server: server.URL, Store: store}
		if _, err := call(t.Context(), other, server.URL, "any"); err == nil {
			t.Error("a call succeeds after Logout")
		}
		mustCall(t, login, server.URL)
	}
	if err := login.Logout(t.Context(), nil); err == nil {
		t.Error("the revocation was not tried")
	}
	if err := login.Logout(t.Context(), nil); err != nil {
		t.Errorf("Logout without a token: %v", err)
	}
}

// The refresh token is what is revoked: the access tokens go with it.
func TestRevocation(t *testing.T) {
	t.Parallel()
	hints := make(chan string, 9)
	as := oauthtest.New(t, oauthtest.Config{Instead: map[string]http.Handler{"/revoke": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hints <- r.PostFormValue("token_type_hint") + strings.TrimRight(r.PostFormValue("token"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
	})}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: &mcpauth.MemoryStore{}}
	for want, change := range map[string]func(map[string]any){"refresh_token secret-refresh-": nil, "access_token secret-access-": metadata("refresh_token", nil)} {
		as.Change(func(c *oauthtest.Config) { c.Token = change })
		mustCall(t, login, server.URL)
		if err := login.Logout(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if got := <-hints; got != strings.Replace(want, " ", "", 1) {
			t.Errorf("revoked %s, want %s", got, want)
		}
	}
}

// The secret of the client that is set now stays away from the authorization
// server that an earlier client got its token from.
func TestRevocationOfAnotherClient(t *testing.T) {
	t.Parallel()
	sent := make(chan string, 1)
	as := oauthtest.New(t, oauthtest.Config{Instead: map[string]http.Handler{"/revoke": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, secret, _ := r.BasicAuth()
		sent <- r.PostFormValue("client_id") + " " + r.PostFormValue("client_secret") + secret
	})}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	store := &mcpauth.MemoryStore{}
	mustCall(t, &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: store}, server.URL)
	registered := as.Clients()[0].ID
	other := &mcpauth.Login{Server: server.URL, Store: store, ClientID: "mine", ClientSecret: "secret-mine", ClientIssuer: "https://other.example"}
	if err := other.Logout(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := <-sent; got != registered+" " {
		t.Errorf("the revocation came from %q, want %s without a secret", got, registered)
	}
}

// A store that does not take what it is given costs the login of the next
// program, not that of this one.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	store := &failing{Store: &mcpauth.MemoryStore{}}
	p := &person{}
	login := &mcpauth.Login{Server: server.URL, Prompter: p, Store: store}
	mustCall(t, login, server.URL)
	store.fail.Store(true)
	for range 3 {
		as.EndAccess()
		mustCall(t, login, server.URL)
	}
	if got := as.Counts(); got.Refreshes != 3 || got.Reuses != 0 || p.Visits() != 1 {
		t.Errorf("%d refreshes, %d reuses, %d prompts; want 3, 0, 1", got.Refreshes, got.Reuses, p.Visits())
	}
	if st, err := login.Status(t.Context()); err != nil || !errors.Is(st.Err, errFull) || !st.LoggedIn {
		t.Errorf("Status = %+v, %v; want it to tell of the store", st, err)
	}
	store.fail.Store(false)
	as.EndAccess()
	mustCall(t, login, server.URL)
	mustCall(t, &mcpauth.Login{Server: server.URL, Store: store}, server.URL)
}

// Logout ends also the token that only this program has.
func TestLogoutWhereTheStoreFails(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	store := &failing{Store: &mcpauth.MemoryStore{}}
	login := &mcpauth.Login{Server: server.URL, Prompter: &person{}, Store: store}
	mustCall(t, login, server.URL)
	store.fail.Store(true)
	as.RevokeAll()
	mustCall(t, login, server.URL) // by another login, which is not saved
	req, err := http.NewRequest(http.MethodPost, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := login.Authorize(req); err != nil {
		t.Fatal(err)
	}
	if err := login.Logout(t.Context(), nil); !errors.Is(err, errFull) {
		t.Errorf("Logout: %v, want what the store says", err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the token after Logout: status %d, want it revoked", resp.StatusCode)
	}
	again, err := http.NewRequest(http.MethodPost, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := login.Authorize(again); err != nil || again.Header.Get("Authorization") != "" {
		t.Errorf("Authorize after Logout: %v, token in use: %v", err, again.Header.Get("Authorization") != "")
	}
}

var errFull = errors.New("the disk is full")

type failing struct {
	mcpauth.Store
	fail atomic.Bool
}

func (s *failing) Save(ctx context.Context, key string, data []byte) error {
	if s.fail.Load() {
		return errFull
	}
	return s.Store.Save(ctx, key, data)
}

// What is kept for one server is of no use for another.
func TestServersApart(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	one := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	two := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	store := &mcpauth.MemoryStore{}
	login := &mcpauth.Login{Server: one.URL, Prompter: &person{}, Store: store}
	mustCall(t, login, one.URL)

	req, err := http.NewRequest(http.MethodPost, two.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := login.Authorize(req); err == nil || req.Header.Get("Authorization") != "" {
		t.Errorf("a token for %s was given to %s: %v", one.URL, two.URL, err)
	}
	if err := login.Refused(req, &http.Response{StatusCode: 401}); err == nil {
		t.Error("the refusal of another server was heeded")
	}
	if _, err := call(t.Context(), &mcpauth.Login{Server: two.URL, Store: store}, two.URL, "any"); err == nil {
		t.Error("the token of one server was used for another")
	}
	flow, err := login.Begin(t.Context(), callback)
	if err != nil {
		t.Fatal(err)
	}
	other := &mcpauth.Login{Server: two.URL, Store: store}
	if err := other.SetToken(t.Context(), tokenOf(t, flow)); err == nil || !strings.Contains(err.Error(), one.URL) {
		t.Errorf("SetToken of a token for %s: %v", one.URL, err)
	}
	if st, err := other.Status(t.Context()); err != nil || st.LoggedIn {
		t.Errorf("Status after that = %+v, %v", st, err)
	}
	if n := one.Counts().InQuery + two.Counts().InQuery; n != 0 {
		t.Errorf("%d tokens in URLs", n)
	}
}

func TestBadServerURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                                "missing",
		"mcp.example.com/mcp":             "no host",
		"http://mcp.example.com/mcp":      "only https is safe",
		"ftp://mcp.example.com":           "only https is safe",
		"https://u:secret-p@example.com/": "user name",
		"https://exa mple.com/?secret-k":  "malformed",
		"http://example.com/?k=secret-k":  "only https is safe",
		"http://127.0.0.1:1/?k=secret-k":  "refused",
	} {
		login := &mcpauth.Login{Server: url, Store: &mcpauth.MemoryStore{}}
		_, err := login.RequiresAuth(t.Context())
		if err != nil {
			err = errors.Join(err, login.SignIn(t.Context()))
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret-") {
			t.Errorf("RequiresAuth(%q): %v, want an error with %q and no secret", url, err, want)
		}
	}
}
