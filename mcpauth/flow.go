package mcpauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
)

// A Flow is one login of a person, step by step: send them to [Flow.AuthURL],
// and give what they come back with to [Flow.Exchange]. [Login.Begin] makes one.
//
// It holds secrets, and prints none of them.
type Flow struct {
	web      *web
	realm    *realm
	client   *client
	binding  binding
	redirect string
	scopes   []string
	state    string
	verifier string
	used     atomic.Bool
}

func newFlow(w *web, r *realm, c *client, b binding, redirectURI string, scopes []string) *Flow {
	return &Flow{
		web: w, realm: r, client: c, binding: b, redirect: redirectURI, scopes: scopes,
		state: rand.Text(), verifier: oauth2.GenerateVerifier(),
	}
}

// AuthURL is where the person has to go.
func (f *Flow) AuthURL() string {
	u, err := url.Parse(f.realm.Authorization)
	if err != nil {
		return "" // find has checked it
	}
	q := u.Query() // an endpoint may have parameters of its own
	q.Set("response_type", "code")
	q.Set("client_id", f.client.id)
	q.Set("redirect_uri", f.redirect)
	q.Set("state", f.state)
	q.Set("resource", f.realm.resource)
	q.Set("code_challenge", oauth2.S256ChallengeFromVerifier(f.verifier))
	q.Set("code_challenge_method", "S256")
	if f.binding.key != nil {
		// The code as well is of use to nobody else then (RFC 9449 section 10).
		q.Set("dpop_jkt", f.binding.key.thumbprint())
	}
	if len(f.scopes) > 0 {
		q.Set("scope", strings.Join(f.scopes, " "))
	}
	if slices.Contains(f.scopes, offlineAccess) {
		// Without it OpenID Connect has offline_access ignored (Core, section 11).
		q.Set("prompt", "consent")
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// State is the value that comes back in the callback URL as the parameter state.
// Exchange compares it; a program that serves several people finds the flow by
// it.
func (f *Flow) State() string { return f.state }

// RedirectURI is where the person comes back to.
func (f *Flow) RedirectURI() string { return f.redirect }

// Issuer is the authorization server.
func (f *Flow) Issuer() string { return f.realm.Issuer }

// ClientID is the client that asks for access.
func (f *Flow) ClientID() string { return f.client.id }

// Scopes are what is asked for. If nil, the authorization server decides.
func (f *Flow) Scopes() []string { return slices.Clone(f.scopes) }

// Exchange reads the URL that the person came back with, and exchanges the code
// in it for a token, which [Login.SetToken] puts to use. It returns an error
// that is [ErrDenied] if they said no, and an [*Error] if the authorization
// server refused.
//
// A URL of another login, or of another authorization server, is refused and
// changes nothing, so that Exchange can be called again with the right one. An
// answer that is ours is exchanged once.
func (f *Flow) Exchange(ctx context.Context, callbackURL string) (*Token, error) {
	code, err := f.code(callbackURL)
	if err != nil {
		return nil, err
	}
	if f.used.Swap(true) {
		return nil, errors.New("the answer of this login was exchanged before")
	}
	// A code works once: giving up between its use and the answer would cost the
	// person another login. The request is bounded by itself.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	t, err := requestToken(ctx, f.web, "exchange the code", f.realm.source(f.client), f.client, f.binding, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {f.redirect},
		"code_verifier": {f.verifier},
	})
	if err != nil {
		return nil, err
	}
	if t.Scopes == nil {
		t.Scopes = slices.Clone(f.scopes) // RFC 6749 section 5.1: left out if it is what was asked for
	}
	return t, nil
}

// code checks an authorization response and returns its code. No error holds the
// URL, nor, before the response is known to come from the right server, any
// text of it.
func (f *Flow) code(callbackURL string) (string, error) {
	u, err := url.Parse(callbackURL)
	if err != nil {
		return "", errors.New("the callback URL is malformed")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", errors.New("the query of the callback URL is malformed")
	}
	for _, name := range []string{"state", "iss", "code", "error"} {
		if len(q[name]) > 1 {
			return "", fmt.Errorf("the callback URL has more than one %s", name)
		}
	}
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(f.state)) != 1 {
		return "", errors.New("the callback URL is not of this login: its state is another")
	}
	// RFC 9207 section 2.4: compared byte by byte, before anything else is
	// believed. An issuer that is given counts also if none was promised.
	switch iss := q.Get("iss"); {
	case iss == "" && f.realm.Iss:
		return "", fmt.Errorf("the callback URL does not say that it is from %s (parameter iss), which always does: it may be from another server", briefString(f.realm.Issuer))
	case q.Has("iss") && iss != f.realm.Issuer:
		return "", fmt.Errorf("the callback URL is from another authorization server than %s (parameter iss)", briefString(f.realm.Issuer))
	}
	if problem := q.Get("error"); problem != "" {
		e := &Error{Op: "ask for access", Code: printable(problem), Description: printable(q.Get("error_description"))}
		if problem == "access_denied" {
			return "", fmt.Errorf("%w: %w", ErrDenied, e)
		}
		return "", e
	}
	if q.Get("code") == "" {
		return "", errors.New("the callback URL has neither a code nor an error")
	}
	return q.Get("code"), nil
}

// String says what the flow is for, without its secrets.
func (f *Flow) String() string {
	return fmt.Sprintf("login to %s at %s", briefString(f.realm.resource), briefString(f.realm.Issuer))
}

// Format writes what String returns, for every verb.
func (f *Flow) Format(s fmt.State, _ rune) { io.WriteString(s, f.String()) }

// LogValue implements [slog.LogValuer].
func (f *Flow) LogValue() slog.Value { return slog.StringValue(f.String()) }

// scopesFor selects what to ask for (specification, "Scope Selection Strategy"):
// what the challenge names, else what the resource supports, else nothing.
func scopesFor(r *realm, ch challenge, own []string) []string {
	scopes := union(ch.scopes, own)
	if len(scopes) > 0 {
		return scopes
	}
	for _, scope := range union(r.scopes) {
		if scope != offlineAccess { // the authorization server's to offer: see withOffline
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// withOffline adds offline_access where the authorization server knows it. Alone
// it would replace the scopes that the server gives by itself.
func withOffline(r *realm, scopes []string) []string {
	if len(scopes) == 0 || !slices.Contains(r.Offered, offlineAccess) {
		return scopes
	}
	return union(scopes, []string{offlineAccess})
}

// RequiresAuth asks the server, without credentials, whether it wants any. It
// does so by GET and by the first message of MCP, since some servers refuse only
// the second.
func (l *Login) RequiresAuth(ctx context.Context) (bool, error) {
	if err := l.initSafe(); err != nil {
		return false, err
	}
	_, required, err := l.probe(ctx)
	return required, err
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"tramontane","version":"1"}}}`

// probe returns the challenge of the server, if it refuses.
func (l *Login) probe(ctx context.Context) (ch challenge, required bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var problem error
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		resp, err := l.probeBy(ctx, method)
		if err != nil {
			problem = fmt.Errorf("%s: %s: %w", l.name(), method, withoutURL(err))
			continue
		}
		resp.Body.Close() // unread: it may be a stream without an end
		ch := readChallenge(resp.Header)
		if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden && (ch.metadata != "" || ch.problem != "") {
			return ch, true, nil
		}
		if session := resp.Header.Get("Mcp-Session-Id"); session != "" {
			l.endSession(ctx, session)
		}
		if resp.StatusCode >= 500 {
			problem = fmt.Errorf("%s: %s: status %d", l.name(), method, resp.StatusCode)
		} else if resp.StatusCode < 300 && method == http.MethodPost {
			return challenge{}, false, nil
		}
	}
	return challenge{}, false, problem
}

func (l *Login) probeBy(ctx context.Context, method string) (*http.Response, error) {
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(initialize)
	}
	req, err := http.NewRequestWithContext(ctx, method, l.server.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Close = true
	return l.web.guarded.Do(req)
}

// endSession is a courtesy: what the probe began, nobody will use.
func (l *Login) endSession(ctx context.Context, session string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, l.server.String(), nil)
	if err != nil {
		return
	}
	req.Header.Set("Mcp-Session-Id", session)
	req.Close = true
	if resp, err := l.web.guarded.Do(req); err == nil {
		resp.Body.Close()
	}
}
