package mcpauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

// A company has an identity provider, and an MCP server that trusts it.
type company struct {
	idp, as *oauthtest.Server
	server  *oauthtest.Resource
	signIns atomic.Int32 // id tokens given out
	ended   atomic.Bool  // those given out are over
}

func newCompany(t *testing.T, idp oauthtest.Config) *company {
	c := &company{}
	c.as = oauthtest.New(t, oauthtest.Config{Trusted: rsaKey().Public()})
	c.server = oauthtest.Protect(t, ok, oauthtest.ResourceConfig{Need: needs}, c.as)
	c.as.Add(oauthtest.Client{ID: "agent", Secret: "secret-agent"})
	idp.IdP, idp.Audiences, idp.ClientElsewhere = rsaKey(), []string{c.as.Issuer}, "agent"
	change := idp.Metadata
	idp.Metadata = func(doc map[string]any) {
		// An identity provider says nothing of codes here.
		delete(doc, "code_challenge_methods_supported")
		delete(doc, "authorization_endpoint")
		if change != nil {
			change(doc)
		}
	}
	c.idp = oauthtest.New(t, idp)
	c.idp.Add(oauthtest.Client{ID: "sso"})
	return c
}

func (c *company) idToken(context.Context, mcpauth.JWTAudience) (mcpauth.Secret, error) {
	c.signIns.Add(1)
	lifetime := time.Minute
	if c.ended.Load() {
		lifetime = -time.Minute
	}
	return mcpauth.Secret(c.idp.IDToken("sso", lifetime)), nil
}

func (c *company) employee() *mcpauth.Enterprise {
	return &mcpauth.Enterprise{
		Server: c.server.URL, IDToken: c.idToken, IdP: c.idp.Issuer, IdPClientID: "sso",
		ClientID: "agent", ClientSecret: "secret-agent",
	}
}

func TestEnterprise(t *testing.T) {
	t.Parallel()
	c := newCompany(t, oauthtest.Config{WellKnown: []string{oauthtest.OpenIDMetadata}})
	e := c.employee()
	callAll(t, 20, func(int) auth { return e }, c.server.URL)
	c.as.EndAccess()
	mustCall(t, e, c.server.URL)
	if status, err := call(t.Context(), e, c.server.URL, "write"); err != nil || status != http.StatusOK {
		t.Errorf("a call that needs a scope: %d, %v", status, err)
	}
	if c.idp.Counts().Exchanges != 3 || c.as.Counts().Assertions != 3 || c.signIns.Load() != 3 {
		t.Errorf("%d exchanges, %d assertions, %d id tokens, want 3 each", c.idp.Counts().Exchanges, c.as.Counts().Assertions, c.signIns.Load())
	}
	if prompts := c.idp.Counts().Prompts + c.as.Counts().Prompts; prompts != 0 {
		t.Errorf("%d prompts", prompts)
	}
}

// Either client proves who it is by a key.
func TestEnterpriseKeys(t *testing.T) {
	t.Parallel()
	c := newCompany(t, oauthtest.Config{})
	c.idp.Add(oauthtest.Client{ID: "sso", Key: ecKey().Public()})
	c.as.Add(oauthtest.Client{ID: "agent", Key: rsaKey().Public()})
	c.as.Change(func(as *oauthtest.Config) { as.DPoP, as.Nonces = []string{"ES256"}, true })
	c.server.Change(func(rs *oauthtest.ResourceConfig) { rs.DPoP, rs.Nonces = oauthtest.Offered, true })
	e := c.employee()
	e.IdPKey, e.ClientSecret, e.ClientKey = &mcpauth.Key{Signer: ecKey()}, "", &mcpauth.Key{Signer: rsaKey()}
	mustCall(t, e, c.server.URL)
	if got := c.server.Counts().Proofs; got != 1 {
		t.Errorf("%d proofs, want the token bound", got)
	}

	c.idp.Add(oauthtest.Client{ID: "sso", Secret: "secret-sso"})
	e = c.employee()
	e.IdPSecret, e.ClientSecret, e.ClientKey = "secret-sso", "", &mcpauth.Key{Signer: rsaKey()}
	mustCall(t, e, c.server.URL)

	e = c.employee()
	e.IdPKey = &mcpauth.Key{Signer: ecKey()}
	c.idp.Change(func(idp *oauthtest.Config) {
		idp.Metadata = func(doc map[string]any) { doc["token_endpoint_auth_signing_alg_values_supported"] = []string{"RS256"} }
	})
	if _, err := call(t.Context(), e, c.server.URL, "any"); err == nil || !strings.Contains(err.Error(), "signs by ES256") {
		t.Errorf("a key that the identity provider does not verify: %v", err)
	}
}

// An id token that is over is a matter of the person, and of one request.
func TestEnterpriseSignInEnds(t *testing.T) {
	t.Parallel()
	c := newCompany(t, oauthtest.Config{})
	c.ended.Store(true)
	over := mcpauth.Secret(c.idp.IDToken("sso", -time.Minute))
	fresh := false
	e := c.employee()
	e.IDToken = func(ctx context.Context, to mcpauth.JWTAudience) (mcpauth.Secret, error) {
		if to.Issuer != c.idp.Issuer || to.Resource != c.server.URL {
			t.Errorf("the id token is for %+v", to)
		}
		if fresh {
			return c.idToken(ctx, to)
		}
		return over, nil
	}
	for range 5 {
		_, err := call(t.Context(), e, c.server.URL, "any")
		var needs *mcpauth.NeedsLoginError
		var answer *mcpauth.Error
		if !errors.As(err, &needs) || needs.Server != c.idp.Issuer || !errors.As(err, &answer) || answer.Code != "invalid_grant" || strings.Contains(err.Error(), string(over)) {
			t.Errorf("call: %v, want a NeedsLoginError about the identity provider", err)
		}
	}
	if got := c.idp.Counts().TokenRequests; got != 1 {
		t.Errorf("the id token was sent %d times", got)
	}
	c.ended.Store(false)
	fresh = true
	mustCall(t, e, c.server.URL)
}

func TestEnterpriseRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*company, *mcpauth.Enterprise)
		want   string
		sent   int // assertions
	}{
		"the company says no": {func(c *company, _ *mcpauth.Enterprise) {
			c.idp.Change(func(idp *oauthtest.Config) { idp.Audiences = nil })
		}, "400 invalid_target: the company does not know", 0},
		"not the client": {func(c *company, e *mcpauth.Enterprise) { e.ClientSecret = "secret-wrong" }, "exchange the identity assertion: the authorization server answers 401 invalid_client", 0},
		"another client": {func(c *company, _ *mcpauth.Enterprise) {
			c.idp.Change(func(idp *oauthtest.Config) { idp.ClientElsewhere = "other" })
		}, "400 invalid_grant: the assertion is for another client", 1},
		"not trusted": {func(c *company, _ *mcpauth.Enterprise) {
			c.as.Change(func(as *oauthtest.Config) { as.Trusted = ecKey().Public() })
		}, "400 invalid_grant", 1},
		"an access token": {answering("issued_token_type", "urn:ietf:params:oauth:token-type:access_token"), `the type "urn:ietf:params:oauth:token-type:access_token"`, 0},
		"no type":         {answering("issued_token_type", nil), `it is a token of the type ""`, 0},
		"another use":     {answering("token_type", "DPoP"), `its token_type is "DPoP"`, 0},
		"no JWT":          {answering("access_token", "secret-opaque"), "the assertion: it is no JWT", 0},
		"nothing":         {answering("access_token", ""), "the assertion: it is empty", 0},
		"a number":        {answering("access_token", 7), "no JSON of the form expected", 0},
		"no metadata": {func(c *company, _ *mcpauth.Enterprise) {
			c.idp.Change(func(idp *oauthtest.Config) { idp.WellKnown = []string{} })
		}, "identity provider http://127.0.0.1", 0},
		"another identity": {func(c *company, _ *mcpauth.Enterprise) {
			c.idp.Change(func(idp *oauthtest.Config) { idp.Metadata = metadata("issuer", "https://evil.example") })
		}, `its issuer is "https://evil.example"`, 0},
		"a bare 400":         {func(c *company, _ *mcpauth.Enterprise) { c.instead(oauthtest.Refuse(400, "", "")) }, "exchange the id token: the authorization server answers 400", 0},
		"it is a page":       {func(c *company, _ *mcpauth.Enterprise) { c.instead(oauthtest.HTML) }, "it is text/html", 0},
		"no id token":        {func(_ *company, e *mcpauth.Enterprise) { e.IDToken = nil }, "needs an identity provider and a source", 0},
		"no provider":        {func(_ *company, e *mcpauth.Enterprise) { e.IdP = "" }, "needs an identity provider and a source", 0},
		"not safe":           {func(_ *company, e *mcpauth.Enterprise) { e.IdP = "http://idp.example" }, "only https is safe", 0},
		"with a user":        {func(_ *company, e *mcpauth.Enterprise) { e.IdP = "https://me:secret-x@idp.example" }, "identity provider is malformed", 0},
		"no client":          {func(_ *company, e *mcpauth.Enterprise) { e.ClientID = "" }, "needs the client id", 0},
		"secret of nobody":   {func(_ *company, e *mcpauth.Enterprise) { e.IdPClientID, e.IdPSecret = "", "secret-x" }, "need the IdPClientID", 0},
		"no client at idp":   {func(_ *company, e *mcpauth.Enterprise) { e.IdPClientID = "" }, "401 invalid_client", 0},
		"an id token, or so": {func(_ *company, e *mcpauth.Enterprise) { e.IDToken = fixed("secret-code") }, "read the id token: it is no JWT", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCompany(t, oauthtest.Config{})
			e := c.employee()
			tt.change(c, e)
			_, err := call(t.Context(), e, c.server.URL, "any")
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret-") {
				t.Errorf("call: %v, want an error with %q", err, tt.want)
			}
			sent := c.as.Assertions()
			if len(sent) != tt.sent {
				t.Errorf("%d assertions were sent, want %d", len(sent), tt.sent)
			}
			for _, assertion := range sent {
				if strings.Contains(err.Error(), assertion) {
					t.Error("the assertion is in the error")
				}
			}
		})
	}
}

func (c *company) instead(h http.Handler) {
	c.idp.Change(func(idp *oauthtest.Config) { idp.Instead = map[string]http.Handler{"/token": h} })
}

// answering has the identity provider answer a token exchange otherwise.
func answering(name string, value any) func(*company, *mcpauth.Enterprise) {
	return func(c *company, _ *mcpauth.Enterprise) {
		c.idp.Change(func(idp *oauthtest.Config) { idp.Token = func(doc map[string]any) { doc[name] = value } })
	}
}

// The provider may have a private address, as the MCP server may not name one.
func TestEnterpriseAddresses(t *testing.T) {
	t.Parallel()
	var asked []string
	web := roundTripper(func(req *http.Request) (*http.Response, error) {
		asked = append(asked, req.URL.Host)
		rec := httptest.NewRecorder()
		(&tinyWeb{}).ServeHTTP(rec, req)
		return rec.Result(), nil
	})
	e := &mcpauth.Enterprise{Server: tinyServer, IdP: "https://10.0.0.1", IDToken: fixed("a.e30.c"), ClientID: "agent", HTTPClient: &http.Client{Transport: web}}
	err := e.Refused(httptest.NewRequest(http.MethodPost, tinyServer, nil), &http.Response{StatusCode: 401})
	if err == nil || !strings.Contains(strings.Join(asked, " "), "10.0.0.1") {
		t.Errorf("Refused: %v; asked were %v", err, asked)
	}
}
