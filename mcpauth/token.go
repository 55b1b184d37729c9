package mcpauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	offlineAccess = "offline_access"

	// early is how long before its end a token is replaced, so that it does not
	// end on its way.
	early = 10 * time.Second
)

// A Token lets its bearer in to one MCP server. If it is bound to a key (DPoP),
// it has that inside.
type Token struct {
	// Access is the access token.
	Access Secret

	// Refresh brings a new access token. If empty, only a person can.
	Refresh Secret

	// Expiry is when Access ends. If zero, nobody knows.
	Expiry time.Time

	// Scopes are what it was granted for, or asked for where the authorization
	// server says nothing. If nil, nobody knows.
	Scopes []string

	// from is needed to refresh it.
	from source

	// key is what the tokens are bound to: the refresh token, and if bound is set
	// the access token. If nil, to nothing.
	key   *proofKey
	bound bool
}

// A source is where a token came from. It holds no secrets.
type source struct {
	Issuer     string `json:"issuer,omitempty"`
	Resource   string `json:"resource,omitempty"`
	Token      string `json:"token_endpoint,omitempty"`
	Revocation string `json:"revocation_endpoint,omitempty"`
	ClientID   string `json:"client_id,omitempty"`
	Method     string `json:"client_auth,omitempty"`
}

// Issuer is the authorization server that the token is from. It is empty for a
// token that was made by hand.
func (t *Token) Issuer() string { return t.from.Issuer }

// String says where the token is from.
func (t Token) String() string { return "token of " + briefString(t.from.Issuer) }

// Format writes what String returns, for every verb: fmt would show even a
// [Secret] inside a pointer to a struct with a verb that does not fit.
func (t Token) Format(s fmt.State, _ rune) { io.WriteString(s, t.String()) }

// LogValue implements [slog.LogValuer].
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

func (t *Token) ended(in time.Duration) bool {
	return !t.Expiry.IsZero() && time.Until(t.Expiry) <= in
}

func (r *realm) source(c *client) source {
	return source{r.Issuer, r.resource, r.Token, r.Revocation, c.id, c.method}
}

// tokenAnswer is RFC 6749 section 5.1.
type tokenAnswer struct {
	Access  string      `json:"access_token"`
	Type    string      `json:"token_type"`
	Expires json.Number `json:"expires_in"`
	Refresh string      `json:"refresh_token"`
	Scope   any         `json:"scope"`
}

// requestToken asks a token endpoint for a token. The form holds the grant; the
// resource and the client are added here.
func requestToken(ctx context.Context, w *web, op string, from source, c *client, b binding, form url.Values) (*Token, error) {
	if from.Resource != "" {
		form.Set("resource", from.Resource)
	}
	got, err := w.postForm(ctx, from.Token, from.Issuer, c, b.key, form)
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", op, briefString(from.Token), err)
	}
	if got.status != http.StatusOK {
		return nil, got.oauthError(op)
	}
	var a tokenAnswer
	if err := got.decode(&a); err != nil {
		return nil, fmt.Errorf("%s: the answer of %s: %w", op, briefString(from.Token), err)
	}
	if a.Access == "" || !isHeaderValue(a.Access) {
		return nil, fmt.Errorf("%s: the answer of %s has no access_token that can be used", op, briefString(from.Token))
	}
	bound := b.key != nil && strings.EqualFold(a.Type, dpopHeader)
	switch {
	case b.required && !bound:
		return nil, fmt.Errorf("%s: the token is of the type %q, and has to be bound to a key (DPoP)", op, printable(a.Type))
	case a.Type != "" && !bound && !strings.EqualFold(a.Type, "bearer"):
		return nil, fmt.Errorf("%s: the token is of the type %q, which is not supported", op, printable(a.Type))
	}
	// The key stays also where the answer is a bearer token: the refresh token may
	// be bound alone (RFC 9449 section 5).
	t := &Token{Access: Secret(a.Access), Refresh: Secret(a.Refresh), from: from, key: b.key, bound: bound}
	if seconds, err := a.Expires.Float64(); err == nil && seconds > 0 {
		// Some servers mean "never" by more seconds than a Duration has.
		t.Expiry = time.Now().Add(time.Duration(min(seconds, 1e9)) * time.Second)
	}
	if scope, ok := a.Scope.(string); ok {
		t.Scopes = strings.Fields(scope)
	}
	return t, nil
}

// refreshToken exchanges a refresh token. What the answer does not say anew
// stays as it was.
func refreshToken(ctx context.Context, w *web, old *Token, from source, c *client) (*Token, error) {
	t, err := requestToken(ctx, w, "refresh the token", from, c, binding{old.key, old.bound}, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {string(old.Refresh)},
	})
	if err != nil {
		return nil, err
	}
	if t.Refresh == "" {
		t.Refresh = old.Refresh
	}
	if t.Scopes == nil {
		t.Scopes = old.Scopes
	}
	return t, nil
}

// revoke ends a token (RFC 7009).
func revoke(ctx context.Context, w *web, t *Token, c *client) error {
	const op = "revoke the token"
	form := url.Values{"token": {string(t.Access)}, "token_type_hint": {"access_token"}}
	if t.Refresh != "" {
		// With it go the access tokens that came of it.
		form = url.Values{"token": {string(t.Refresh)}, "token_type_hint": {"refresh_token"}}
	}
	got, err := w.postForm(ctx, t.from.Revocation, t.from.Issuer, c, nil, form)
	if err != nil {
		return fmt.Errorf("%s at %s: %w", op, briefString(t.from.Revocation), err)
	}
	if got.status != http.StatusOK && got.status != http.StatusNoContent {
		return got.oauthError(op)
	}
	return nil
}

// secretFields are the parameters of a form that nobody else may see.
var secretFields = []string{"code", "code_verifier", "refresh_token", "token", "client_secret", "client_assertion", "assertion", "subject_token"}

// postForm sends a form to an endpoint of an authorization server, with a proof
// of the key if there is one: twice, if the server wants a nonce in the proof
// that only its answer tells.
func (w *web) postForm(ctx context.Context, endpoint, issuer string, c *client, key *proofKey, form url.Values) (*answer, error) {
	for again := key != nil; ; again = false {
		header := http.Header{}
		if err := c.authenticate(form, header, issuer); err != nil {
			return nil, err
		}
		nonce := ""
		if key != nil {
			u, err := url.Parse(endpoint)
			if err != nil {
				return nil, errors.New("its URL is malformed")
			}
			nonce = w.nonces.get(origin(u))
			proof, err := key.proof(http.MethodPost, target(u, ""), "", nonce)
			if err != nil {
				return nil, err
			}
			header.Set(dpopHeader, proof)
		}
		got, err := w.post(ctx, endpoint, "application/x-www-form-urlencoded", []byte(form.Encode()), header)
		if err != nil {
			return nil, err
		}
		got.secrets = []string{c.secret, strings.TrimPrefix(header.Get("Authorization"), "Basic ")}
		for _, name := range secretFields {
			got.secrets = append(got.secrets, form.Get(name))
		}
		if key == nil {
			return got, nil
		}
		next := readNonce(got.header)
		if next != "" {
			u, _ := url.Parse(endpoint)
			w.nonces.set(origin(u), next)
		}
		if !again || next == "" || next == nonce || got.status < 400 || got.status >= 500 || got.oauthError("").Code != useNonce {
			return got, nil
		}
	}
}

// oauthError reads an answer that refuses a form (RFC 6749 section 5.2). The body
// is shown only in its fields for that, and without what the request had to keep
// secret, which some servers repeat.
func (a *answer) oauthError(op string) *Error {
	var body struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := a.decode(&body); err != nil {
		body.Code, body.Description = "", ""
	}
	for _, secret := range a.secrets {
		if secret != "" {
			body.Code = strings.ReplaceAll(body.Code, secret, hidden)
			body.Description = strings.ReplaceAll(body.Description, secret, hidden)
		}
	}
	return &Error{Op: op, Code: printable(body.Code), Description: printable(body.Description), StatusCode: a.status}
}

// basic is HTTP Basic for a client (RFC 6749 section 2.3.1: encoded first).
func basic(id, secret string) string {
	pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

// isHeaderValue reports whether s can stand in a header, so that no error of
// net/http about it has to hold it.
func isHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

func containsAll(have, want []string) bool {
	return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(have, s) })
}

// union keeps the order in which the scopes come.
func union(sets ...[]string) []string {
	var all []string
	for _, set := range sets {
		for _, s := range set {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}
