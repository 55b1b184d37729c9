package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeIDToken   = "urn:ietf:params:oauth:token-type:id_token"
	typeIDJAG     = "urn:ietf:params:oauth:token-type:id-jag"
)

// Enterprise lets a person of a company in to one MCP server by their sign-in at
// the company: its identity provider decides, and the person is not asked
// ("Enterprise-Managed Authorization" of the MCP specification). Their id token
// is exchanged at the identity provider for an assertion to the MCP server's
// authorization server (RFC 8693), and that there for a token (RFC 7523). It can
// be the Auth of a server of package mcptool.
//
// When a token has ended, both steps are taken again. An id token that the
// identity provider refuses is a [*NeedsLoginError]: the person has to sign in at
// the company again. What either server has refused is not sent again for a
// minute.
//
// Set the exported fields before the first use and leave them alone then. All
// methods are safe for concurrent use; any number of goroutines cause one
// exchange. Nothing is saved.
type Enterprise struct {
	// Server is the URL of the MCP server: https, or http on this machine.
	// Required.
	Server string

	// IDToken returns the person's id token of the identity provider, anew for
	// each exchange. Required.
	IDToken JWTSource

	// IdP is the issuer URL of the identity provider: https, or http on this
	// machine. It may have a private address. Required.
	IdP string

	// IdPClientID is the client that the id token was issued to. If empty, the
	// identity provider is not told.
	IdPClientID string

	// IdPSecret or IdPKey proves to the identity provider that it is this client.
	// If both are zero, nothing does.
	IdPSecret Secret
	IdPKey    *Key

	// ClientID is who asks the MCP server's authorization server, as it was
	// registered there: by hand, or by the URL of a client metadata document.
	// Required.
	ClientID string

	// ClientKey, ClientSecret and ClientAuth prove that, as in [Login].
	ClientKey    *Key
	ClientSecret Secret
	ClientAuth   string

	// ClientIssuer is as in [ClientCredentials].
	ClientIssuer string

	// Scopes are as in [ClientCredentials].
	Scopes []string

	// RequireDPoP, HTTPClient, AllowHosts and ChooseIssuer are as in [Login].
	RequireDPoP  bool
	HTTPClient   *http.Client
	AllowHosts   []string
	ChooseIssuer func(ctx context.Context, issuers []string) (string, error)

	unattended unattended
	idp        *url.URL
	idpWeb     *web
}

func (e *Enterprise) grant() (grant, error) {
	g := grant{
		op: "exchange the identity assertion", server: e.Server, issuer: e.ClientIssuer, scopes: e.Scopes, bound: e.RequireDPoP,
		httpClient: e.HTTPClient, allowHosts: e.AllowHosts, choose: e.ChooseIssuer,
		client: func(methods []string) *client {
			return newClient(e.ClientID, e.ClientSecret, e.ClientKey, e.ClientAuth, methods)
		},
		subject: e.subject,
		form:    e.form,
	}
	switch {
	case e.IDToken == nil || e.IdP == "":
		return g, errors.New("enterprise-managed authorization needs an identity provider and a source of its id tokens")
	case e.ClientID == "":
		return g, errors.New("enterprise-managed authorization needs the client id at the server's authorization server")
	case e.IdPKey != nil && e.IdPClientID == "", e.IdPSecret != "" && e.IdPClientID == "":
		return g, errors.New("IdPKey and IdPSecret need the IdPClientID that they belong to")
	case e.ClientKey.roams(e.ClientID, e.ClientIssuer):
		return g, errAudience
	}
	idp, err := url.Parse(e.IdP)
	if err != nil || idp.User != nil {
		return g, errors.New("the URL of the identity provider is malformed")
	}
	if err := secure(idp, e.AllowHosts); err != nil {
		return g, fmt.Errorf("the URL of the identity provider, %s: %w", brief(idp), err)
	}
	e.idp = idp
	e.idpWeb, err = newWeb(e.HTTPClient, idp, e.AllowHosts)
	return g, err
}

// subject reads the id token. A person may have to sign in for that.
func (e *Enterprise) subject(ctx context.Context, from source) (Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	token, err := e.IDToken.read(ctx, JWTAudience{Issuer: e.IdP, Resource: from.Resource})
	if err != nil {
		return "", fmt.Errorf("read the id token: %w", err)
	}
	return token, nil
}

// form exchanges the id token for the assertion that the grant is made of.
func (e *Enterprise) form(ctx context.Context, from source, idToken Secret, scopes []string) (url.Values, error) {
	f := &finder{web: e.idpWeb}
	// No code comes from there to be protected by PKCE, so metadata need not name
	// any.
	as, err := f.authServer(ctx, e.IdP)
	if err != nil {
		return nil, fmt.Errorf("identity provider %s: %w", brief(e.idp), err)
	}
	assertion, err := e.exchange(ctx, as, from, idToken, scopes)
	if hasCode(err, "invalid_grant") {
		return nil, &NeedsLoginError{Server: brief(e.idp), Err: err}
	}
	if err != nil {
		return nil, err
	}
	return url.Values{"grant_type": {jwtBearer}, "assertion": {string(assertion)}}, nil
}

func (e *Enterprise) exchange(ctx context.Context, as *authServer, from source, idToken Secret, scopes []string) (Secret, error) {
	const op = "exchange the id token"
	c := newClient(e.IdPClientID, e.IdPSecret, e.IdPKey, "", as.Methods)
	if err := c.fits(&realm{authServer: *as}); err != nil {
		return "", err
	}
	form := url.Values{
		"grant_type":           {tokenExchange},
		"requested_token_type": {typeIDJAG},
		"subject_token":        {string(idToken)},
		"subject_token_type":   {typeIDToken},
		"audience":             {from.Issuer},
		"resource":             {from.Resource},
	}
	setScope(form, scopes)
	got, err := e.idpWeb.postForm(ctx, as.Token, as.Issuer, c, nil, form)
	if err != nil {
		return "", fmt.Errorf("%s at %s: %w", op, briefString(as.Token), err)
	}
	if got.status != http.StatusOK {
		return "", fmt.Errorf("identity provider %s: %w", brief(e.idp), got.oauthError(op))
	}
	assertion, err := readExchange(got)
	if err != nil {
		return "", fmt.Errorf("%s: the answer of %s: %w", op, briefString(as.Token), err)
	}
	return assertion, nil
}

// readExchange reads the answer to a token exchange (RFC 8693 section 2.2). Its
// access_token is none, but the assertion.
func readExchange(got *answer) (Secret, error) {
	var a struct {
		Assertion string `json:"access_token"`
		Issued    string `json:"issued_token_type"`
		Type      string `json:"token_type"`
	}
	if err := got.decode(&a); err != nil {
		return "", err
	}
	if a.Issued != typeIDJAG {
		return "", fmt.Errorf("it is a token of the type %q, not %q", printable(a.Issued), typeIDJAG)
	}
	// Some say Bearer, or nothing; the type above decides.
	if !slices.Contains([]string{"", "n_a", "bearer"}, strings.ToLower(a.Type)) {
		return "", fmt.Errorf("its token_type is %q, not N_A", printable(a.Type))
	}
	if err := checkJWT(a.Assertion); err != nil {
		return "", fmt.Errorf("the assertion: %w", err)
	}
	return Secret(a.Assertion), nil
}

// Authorize is as [ClientCredentials.Authorize].
func (e *Enterprise) Authorize(req *http.Request) error {
	return e.unattended.authorize(e.grant, req)
}

// Refused is as [ClientCredentials.Refused], and may take as long as IDToken does.
func (e *Enterprise) Refused(req *http.Request, resp *http.Response) error {
	return e.unattended.refusedBy(e.grant, req, resp)
}

// Answered is as [Login.Answered].
func (e *Enterprise) Answered(req *http.Request, resp *http.Response) (again bool) {
	return e.unattended.answered(e.grant, req, resp)
}

// String says what it is for, without its secrets.
func (e *Enterprise) String() string {
	return "enterprise-managed authorization for " + briefString(e.Server)
}

// Format writes what String returns, for every verb.
func (e *Enterprise) Format(s fmt.State, _ rune) { io.WriteString(s, e.String()) }

// LogValue implements [slog.LogValuer].
func (e *Enterprise) LogValue() slog.Value { return slog.StringValue(e.String()) }
