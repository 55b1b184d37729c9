package mcpauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Ways in which a client proves to the token endpoint who it is (RFC 7591
// section 2).
const (
	authNone  = "none"
	authBasic = "client_secret_basic"
	authPost  = "client_secret_post"
	authKey   = "private_key_jwt"
)

// A client is who asks an authorization server for tokens.
type client struct {
	id     string
	secret string
	key    *Key
	method string // one of those above

	// registration is set for a client that was registered dynamically.
	registration *registration
}

// A registration is a client that an authorization server made for us, as it is
// kept in the store.
type registration struct {
	ClientID      string `json:"client_id"`
	Secret        string `json:"client_secret,omitempty"`
	SecretExpires int64  `json:"client_secret_expires_at,omitempty"` // Unix time; 0: never
	Method        string `json:"token_endpoint_auth_method,omitempty"`
	RedirectURI   string `json:"redirect_uri,omitempty"`
	Scope         string `json:"scope,omitempty"` // that it was registered with
}

func (r *registration) client() *client {
	return &client{id: r.ClientID, secret: r.Secret, method: r.Method, registration: r}
}

// fits reports whether the registration can be used for a login.
func (r *registration) fits(redirectURI string, scopes []string) bool {
	if r == nil || r.RedirectURI != redirectURI {
		return false
	}
	if r.SecretExpires != 0 && time.Now().Unix() >= r.SecretExpires {
		return false
	}
	registered := strings.Fields(r.Scope)
	return len(registered) == 0 || containsAll(registered, scopes)
}

// registrationRequest is the client metadata of RFC 7591 section 2.
type registrationRequest struct {
	Name            string   `json:"client_name"`
	RedirectURIs    []string `json:"redirect_uris"`
	GrantTypes      []string `json:"grant_types"`
	ResponseTypes   []string `json:"response_types"`
	Method          string   `json:"token_endpoint_auth_method"`
	ApplicationType string   `json:"application_type"`
	Scope           string   `json:"scope,omitempty"`
	BoundTokens     bool     `json:"dpop_bound_access_tokens,omitempty"` // RFC 9449 section 5.2
}

// register registers a client dynamically.
func register(ctx context.Context, w *web, r *realm, name, redirectURI string, scopes []string) (*registration, error) {
	const op = "register a client"
	ask := registrationRequest{
		Name:            name,
		RedirectURIs:    []string{redirectURI},
		GrantTypes:      []string{"authorization_code"},
		ResponseTypes:   []string{"code"},
		Method:          methodToRegister(r.Methods),
		ApplicationType: "native",
		Scope:           strings.Join(scopes, " "),
		BoundTokens:     r.boundOnly,
	}
	if u, err := url.Parse(redirectURI); err == nil && u.Scheme == "https" && !isLoopback(hostOf(u)) {
		ask.ApplicationType = "web"
	}
	if len(r.Grants) == 0 || slices.Contains(r.Grants, "refresh_token") || slices.Contains(r.Offered, offlineAccess) {
		ask.GrantTypes = append(ask.GrantTypes, "refresh_token")
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	got, err := w.post(ctx, r.Registration, "application/json", body, nil)
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", op, briefString(r.Registration), err)
	}
	if got.status != http.StatusCreated && got.status != http.StatusOK {
		if r.guessed {
			return nil, fmt.Errorf("%w; the server publishes nothing about OAuth, so it may want an API key in a header instead of a login", got.oauthError(op))
		}
		return nil, fmt.Errorf("%w; a client that was registered by hand works too: give its id", got.oauthError(op))
	}
	reg := new(registration)
	if err := got.decode(reg); err != nil {
		return nil, fmt.Errorf("%s: the answer of %s: %w", op, briefString(r.Registration), err)
	}
	if reg.ClientID == "" {
		return nil, fmt.Errorf("%s: the answer of %s has no client_id", op, briefString(r.Registration))
	}
	// What was asked for, not what was made of it: a server that always gives
	// less is not to be asked at each login.
	reg.RedirectURI, reg.Scope = redirectURI, ask.Scope
	switch reg.Method {
	case authNone, authBasic, authPost:
	case "":
		// Some servers give a secret to a client that wanted none, and do not say
		// how it is to be sent.
		reg.Method = methodFor(reg.Secret, r.Methods)
	default:
		return nil, fmt.Errorf("%s: the authorization server wants it to authenticate by %q, which is not supported", op, printable(reg.Method))
	}
	if reg.Method != authNone && reg.Secret == "" {
		return nil, fmt.Errorf("%s: the answer has no client_secret for %s", op, reg.Method)
	}
	return reg, nil
}

// methodToRegister prefers to have no secret: one that a program on a person's
// machine keeps is none (RFC 8252 section 8.5).
func methodToRegister(supported []string) string {
	if len(supported) == 0 || slices.Contains(supported, authNone) {
		return authNone
	}
	return methodFor("a secret", supported)
}

// methodFor returns how a client with that secret, or none, authenticates.
func methodFor(secret string, supported []string) string {
	switch {
	case secret == "":
		return authNone
	case len(supported) > 0 && !slices.Contains(supported, authBasic) && slices.Contains(supported, authPost):
		return authPost
	}
	return authBasic // the default of RFC 8414 and RFC 7591
}

// clientOf returns the client for a login, in the order of the specification:
// one that was registered by hand, a client metadata document, one that
// registers itself. registered is what the store has of the last kind; the
// client is another if that does not fit.
func (l *Login) clientOf(ctx context.Context, r *realm, registered *registration, redirectURI string, scopes []string) (*client, error) {
	switch {
	case l.ClientID != "":
		c := l.ownClient(r.Methods)
		return c, c.fits(r)
	case l.MetadataURL != "" && r.Documents:
		c := l.documentClient()
		return c, c.fits(r)
	case registered.fits(redirectURI, scopes):
		return registered.client(), nil
	case r.Registration != "":
		reg, err := register(ctx, l.web, r, l.clientName(), redirectURI, union(r.scopes, scopes))
		if err != nil {
			return nil, fmt.Errorf("authorization server %s: %w", briefString(r.Issuer), err)
		}
		return reg.client(), nil
	case l.MetadataURL != "":
		return nil, fmt.Errorf("authorization server %s takes no client metadata document and registers no clients: register one there by hand and give its client id", briefString(r.Issuer))
	}
	return nil, fmt.Errorf("authorization server %s does not register clients: register one there by hand and give its client id", briefString(r.Issuer))
}

// ownClient is the one that was registered by hand, where these methods are
// supported.
func (l *Login) ownClient(methods []string) *client {
	return newClient(l.ClientID, l.ClientSecret, l.ClientKey, l.ClientAuth, methods)
}

// documentClient is the one that MetadataURL describes.
func (l *Login) documentClient() *client {
	if l.ClientKey != nil {
		return &client{id: l.MetadataURL, key: l.ClientKey, method: authKey}
	}
	return &client{id: l.MetadataURL, method: authNone}
}

// newClient returns a client that authenticates as its owner says (method), else
// by its key, else in a way that is supported.
func newClient(id string, secret Secret, key *Key, method string, supported []string) *client {
	c := &client{id: id, secret: string(secret), key: key, method: method}
	switch {
	case c.method != "":
	case key != nil:
		c.method = authKey
	default:
		c.method = methodFor(c.secret, supported)
	}
	return c
}

// fits reports why the client cannot authenticate at an authorization server.
func (c *client) fits(r *realm) error {
	if c.method != authKey || c.key == nil {
		return nil // authenticate tells
	}
	if err := c.key.fits(r.SigningAlgorithms); err != nil {
		return fmt.Errorf("authorization server %s: %w", briefString(r.Issuer), err)
	}
	return nil
}

// checkIssuer keeps the credentials of a client that was registered by hand from
// an authorization server that they are not for. last is the issuer of the last
// login, if there was one.
func (l *Login) checkIssuer(issuer, last string) error {
	switch {
	case l.ClientID == "":
		return nil
	case l.ClientIssuer != "" && !sameIssuer(issuer, l.ClientIssuer):
		return fmt.Errorf("the client id is for the authorization server %s, and %s now names %s", briefString(l.ClientIssuer), l.name(), briefString(issuer))
	case l.ClientIssuer == "" && last != "" && !sameIssuer(issuer, last):
		return fmt.Errorf("%s has changed its authorization server from %s to %s: say for which one the client id is (ClientIssuer)", l.name(), briefString(last), briefString(issuer))
	}
	return nil
}

// authenticate adds to a request to an authorization server who sends it.
func (c *client) authenticate(form url.Values, header http.Header, issuer string) error {
	switch c.method {
	case authNone:
		if c.id != "" {
			form.Set("client_id", c.id)
		}
		return nil
	case authKey:
		if c.key == nil {
			return errors.New("the private key of the client is missing")
		}
		return c.key.assert(form, c.id, issuer)
	case authPost:
		form.Set("client_id", c.id)
		form.Set("client_secret", c.secret)
	case authBasic:
		header.Set("Authorization", basic(c.id, c.secret))
	default:
		return fmt.Errorf("client authentication %q is not supported: it is %s, %s, %s or %s", c.method, authNone, authBasic, authPost, authKey)
	}
	if c.secret == "" {
		return errors.New("the client secret is missing")
	}
	return nil
}
