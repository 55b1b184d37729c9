package mcpauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

// identity is what a platform says of a workload.
func identity(audience any, lifetime time.Duration) string {
	return oauthtest.SignJWT(ecKey(), "JWT", map[string]any{
		"iss": "https://platform.example", "sub": "secret-workload", "aud": audience, "exp": time.Now().Add(lifetime).Unix(),
	})
}

// federated are servers that trust a platform.
func federated(t *testing.T, config oauthtest.Config) (*oauthtest.Server, *oauthtest.Resource) {
	config.Trusted = ecKey().Public()
	as := oauthtest.New(t, config)
	return as, oauthtest.Protect(t, ok, oauthtest.ResourceConfig{Need: needs}, as)
}

func fixed(jwt string) mcpauth.JWTSource {
	return func(context.Context, mcpauth.JWTAudience) (mcpauth.Secret, error) { return mcpauth.Secret(jwt), nil }
}

func TestWorkload(t *testing.T) {
	as, server := federated(t, oauthtest.Config{})
	path := filepath.Join(t.TempDir(), "token")
	var asked []mcpauth.JWTAudience
	file, env := mcpauth.JWTFromFile(path), mcpauth.JWTFromEnv("MCPAUTH_TEST_JWT")
	for name, source := range map[string]mcpauth.JWTSource{
		"file":        file,
		"environment": env,
		"callback": func(ctx context.Context, to mcpauth.JWTAudience) (mcpauth.Secret, error) {
			asked = append(asked, to)
			return mcpauth.Secret(identity([]string{"https://elsewhere.example", to.TokenURL}, time.Minute)), nil
		},
	} {
		before := as.Counts()
		for range 2 { // the platform renews it
			token := identity(as.Issuer, time.Minute)
			if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("MCPAUTH_TEST_JWT", token)
		}
		w := &mcpauth.Workload{Server: server.URL, JWT: source}
		callAll(t, 20, func(int) auth { return w }, server.URL)
		as.EndAccess()
		mustCall(t, w, server.URL)
		if got := as.Counts(); got.Assertions-before.Assertions != 2 || got.TokenRequests-before.TokenRequests != 2 {
			t.Errorf("%s: %+v after %+v, want two exchanges", name, got, before)
		}
		if status, err := call(t.Context(), w, server.URL, "write"); err != nil || status != http.StatusOK {
			t.Errorf("%s: a call that needs a scope: %d, %v", name, status, err)
		}
	}
	want := mcpauth.JWTAudience{Issuer: as.Issuer, TokenURL: as.URL + "/token", Resource: server.URL}
	if len(asked) != 3 || asked[0] != want {
		t.Errorf("the callback was asked for %v, want three times %v", asked, want)
	}

	for name, tt := range map[string]struct {
		source mcpauth.JWTSource
		want   string
	}{
		"no file":     {mcpauth.JWTFromFile(path + "x"), "no such file"},
		"a directory": {mcpauth.JWTFromFile(filepath.Dir(path)), "read the workload's JWT"},
		"no variable": {mcpauth.JWTFromEnv("MCPAUTH_TEST_NONE"), "environment variable MCPAUTH_TEST_NONE: it is empty"},
		"no JWT":      {fixed("secret-api-key"), "it is no JWT"},
		"two lines":   {fixed("secret-a.b.c\nd"), "it is no JWT"},
		"no claims":   {fixed("secret-a.b.c"), "it is no JWT"},
		"other":       {fixed("a.W10.c"), "it is no JWT"},
		"too large":   {fixed(strings.Repeat("secret-", 1<<14)), "too large"},
		"for nobody":  {fixed("a.e30.c"), "JWT is for []"},
		"an error":    {func(context.Context, mcpauth.JWTAudience) (mcpauth.Secret, error) { return "", io.ErrClosedPipe }, "closed pipe"},
		"none":        {nil, "needs a source of JWTs"},
	} {
		before := as.Counts().TokenRequests
		_, err := call(t.Context(), &mcpauth.Workload{Server: server.URL, JWT: tt.source}, server.URL, "any")
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret-") || as.Counts().TokenRequests != before {
			t.Errorf("%s: %v, want an error with %q, without a request", name, err, tt.want)
		}
	}
}

// A JWT goes to nobody that it is not for, unless its owner says so.
func TestWorkloadAudience(t *testing.T) {
	t.Parallel()
	as, server := federated(t, oauthtest.Config{})
	foreign := fixed(identity("https://sts.example", time.Minute))
	_, err := call(t.Context(), &mcpauth.Workload{Server: server.URL, JWT: foreign}, server.URL, "any")
	if err == nil || !strings.Contains(err.Error(), `is for ["https://sts.example"]`) || as.Counts().TokenRequests != 0 {
		t.Errorf("call: %v, %d token requests", err, as.Counts().TokenRequests)
	}
	_, err = call(t.Context(), &mcpauth.Workload{Server: server.URL, JWT: foreign, Issuer: as.Issuer}, server.URL, "any")
	if err == nil || !strings.Contains(err.Error(), "400 invalid_grant") {
		t.Errorf("call with the issuer set: %v, want what the authorization server says", err)
	}
	_, err = call(t.Context(), &mcpauth.Workload{Server: server.URL, JWT: fixed(identity(as.Issuer, time.Minute)), Issuer: "https://sts.example"}, server.URL, "any")
	if err == nil || !strings.Contains(err.Error(), "is for https://sts.example") || len(as.Assertions()) != 1 {
		t.Errorf("call with another issuer set: %v, %d assertions sent", err, len(as.Assertions()))
	}
}

// What the authorization server decides is passed on, and not asked again.
func TestWorkloadRefused(t *testing.T) {
	t.Parallel()
	for code, tt := range map[string]struct {
		lifetime time.Duration
		scopes   []string
		status   int
	}{
		"invalid_grant":       {lifetime: -time.Minute},
		"invalid_scope":       {lifetime: time.Minute, scopes: []string{"all"}},
		"unauthorized_client": {lifetime: time.Minute, status: 400},
	} {
		as, server := federated(t, oauthtest.Config{Scopes: []string{"read"}})
		if tt.status != 0 {
			as.Change(func(c *oauthtest.Config) {
				c.Instead = map[string]http.Handler{"/token": oauthtest.Refuse(tt.status, code, "not this one")}
			})
		}
		jwt := identity(as.Issuer, tt.lifetime)
		w := &mcpauth.Workload{Server: server.URL, JWT: func(context.Context, mcpauth.JWTAudience) (mcpauth.Secret, error) { return mcpauth.Secret(jwt), nil }, Scopes: tt.scopes}
		for range 5 {
			_, err := call(t.Context(), w, server.URL, "any")
			var answer *mcpauth.Error
			if !errors.As(err, &answer) || answer.Code != code || strings.Contains(err.Error(), jwt) {
				t.Errorf("%s: %v", code, err)
			}
		}
		if got := as.Counts(); got.TokenRequests != 1 {
			t.Errorf("%s: %d token requests, want 1", code, got.TokenRequests)
		}
		jwt = identity([]string{as.Issuer}, tt.lifetime+time.Second) // another one is tried
		if _, err := call(t.Context(), w, server.URL, "any"); err == nil || as.Counts().TokenRequests != 2 {
			t.Errorf("%s with another JWT: %v, %d token requests", code, err, as.Counts().TokenRequests)
		}
	}

	// An error of the way is no decision.
	as, server := federated(t, oauthtest.Config{Instead: map[string]http.Handler{"/token": oauthtest.Refuse(503, "", "")}})
	w := &mcpauth.Workload{Server: server.URL, JWT: fixed(identity(as.Issuer, time.Minute))}
	if _, err := call(t.Context(), w, server.URL, "any"); err == nil {
		t.Error("no error")
	}
	as.Change(func(c *oauthtest.Config) { c.Instead = nil })
	mustCall(t, w, server.URL)
}

// A refusal holds for a minute.
func TestRefusalEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var requests int
		web := roundTripper(func(req *http.Request) (*http.Response, error) {
			rec := httptest.NewRecorder()
			if req.URL.Path == "/token" {
				requests++
				oauthtest.Refuse(400, "invalid_grant", "").ServeHTTP(rec, req)
			} else {
				(&tinyWeb{}).ServeHTTP(rec, req)
			}
			return rec.Result(), nil
		})
		w := &mcpauth.Workload{Server: tinyServer, JWT: fixed(identity("https://tiny.example", time.Hour)), HTTPClient: &http.Client{Transport: web}}
		req := httptest.NewRequest(http.MethodPost, tinyServer, nil)
		for _, want := range []int{1, 1, 1, 2, 2} {
			if err := w.Refused(req, &http.Response{StatusCode: 401}); err == nil || requests != want {
				t.Errorf("Refused: %v after %d requests, want %d", err, requests, want)
			}
			time.Sleep(25 * time.Second)
		}
	})
}

// A source that hangs is given up, and one goroutine waits for it.
func TestWorkloadSourceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &mcpauth.Workload{
			Server: tinyServer, HTTPClient: &http.Client{Transport: &tinyWeb{}},
			JWT: func(ctx context.Context, _ mcpauth.JWTAudience) (mcpauth.Secret, error) {
				<-ctx.Done()
				return "", ctx.Err()
			},
		}
		start := time.Now()
		req := httptest.NewRequest(http.MethodPost, tinyServer, nil)
		if err := w.Refused(req, &http.Response{StatusCode: 401}); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("Refused: %v after %v", err, time.Since(start))
		}
	})
}

func TestWorkloadAtOtherServers(t *testing.T) {
	t.Parallel()
	as, server := federated(t, oauthtest.Config{DPoP: []string{"ES256"}, Nonces: true})
	server.Change(func(c *oauthtest.ResourceConfig) { c.DPoP, c.Nonces = oauthtest.Only, true })
	w := &mcpauth.Workload{Server: server.URL, JWT: fixed(identity(as.Issuer, time.Minute)), RequireDPoP: true}
	callAll(t, 5, func(int) auth { return w }, server.URL)
	if err := w.Authorize(httptest.NewRequest(http.MethodPost, "https://evil.example/mcp", nil)); err == nil {
		t.Error("another origin gets the token")
	}
	if err := (&mcpauth.Workload{Server: "http://public.example/mcp", JWT: fixed("a.e30.c")}).Authorize(httptest.NewRequest(http.MethodPost, "http://public.example/mcp", nil)); err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("a server without https: %v", err)
	}
}
