package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// loginTimeout bounds how long a person may take. The lock of the store is held
// meanwhile, and other processes wait for it.
const loginTimeout = 10 * time.Minute

// denialHolds is how long a login that went wrong is not tried again by itself.
// A client that connects in several attempts would otherwise ask a person again
// who just said no.
const denialHolds = time.Minute

// defaultStepUps is how often a person is asked for more scopes for the same
// operation within stepUpWindow.
const (
	defaultStepUps = 2
	stepUpWindow   = 10 * time.Minute
)

// A Login lets a program in to one MCP server as one person, by OAuth. It can be
// the Auth of a server of package mcptool.
//
// Only Server is required. Without a Prompter nobody is asked: saved tokens are
// used and refreshed, and where a person is needed, the error is a
// [*NeedsLoginError].
//
// Set the exported fields before the first use and leave them alone then. All
// methods are safe for concurrent use: however many goroutines and processes
// find at once that a token is no longer good, it is refreshed once, or one
// person is asked once.
type Login struct {
	// Server is the URL of the MCP server: https, or http on this machine. With
	// http to another host, requests go without credentials, and there is no
	// login, unless AllowHosts names it. Required.
	Server string

	// Prompter sends the person to the authorization server. If nil, no person
	// is asked.
	Prompter Prompter

	// ClientID is that of a client which was registered by hand. If empty,
	// MetadataURL is used, or the client registers itself.
	ClientID string

	// ClientSecret belongs to ClientID. If empty, the client has none.
	ClientSecret Secret

	// ClientKey belongs to ClientID, or to the key in the document of
	// MetadataURL. If nil, the client has none.
	ClientKey *Key

	// ClientAuth is how the client proves who it is: "private_key_jwt",
	// "client_secret_basic", "client_secret_post" or "none". If empty, by
	// ClientKey, else what the authorization server says that it takes.
	ClientAuth string

	// ClientIssuer is the authorization server that knows ClientID. If empty, it
	// is the first one that the MCP server names; another one later is an error
	// for as long as there is a token of the first.
	ClientIssuer string

	// MetadataURL is where the web has a client metadata document, whose URL is
	// the client's id at servers that support it. If empty, there is none.
	MetadataURL string

	// ClientName is what the authorization server shows to people. If empty, it
	// is "Tramontane".
	ClientName string

	// Scopes are asked for besides those that the server names in its challenge.
	// If nil, those of the challenge are, else all that the server says it
	// supports, else none.
	Scopes []string

	// RequireDPoP takes only tokens that are bound to a key of this login, and so
	// of no use to a thief (RFC 9449). If false, they are bound where both servers
	// know of that, or the MCP server requires it.
	RequireDPoP bool

	// Store keeps tokens and registrations. If nil, it is [DefaultStore].
	Store Store

	// HTTPClient makes all requests of the login, within the bounds that
	// AllowHosts tells of. Where a proxy, or a Transport that is not an
	// [*http.Transport], looks up the names, only addresses that stand in URLs
	// are judged. If nil, it is like [http.DefaultClient].
	HTTPClient *http.Client

	// AllowHosts names hosts, besides that of the server, which may have private
	// addresses, as in a corporate network: "sso.corp.example". One that may be
	// asked without https is written as "http://sso:8080". If nil, a login goes
	// to public addresses only.
	AllowHosts []string

	// ChooseIssuer chooses one of several authorization servers. If nil, it is
	// the one that there is a token of, else the first that works.
	ChooseIssuer func(ctx context.Context, issuers []string) (string, error)

	// MaxStepUps is how often the person is asked for more scopes for the same
	// operation within ten minutes. If zero, twice.
	MaxStepUps int

	// Logger is told of what is worth knowing but no error, such as that more
	// scopes are asked for. If nil, nothing is.
	Logger *slog.Logger

	once    sync.Once
	initErr error
	server  *url.URL
	clear   error // why no credential may go to the server
	store   Store
	web     *web

	keeper keeper

	mu      sync.Mutex // guards the fields below
	loaded  bool       // the store was read
	denied  error      // how the last login went wrong
	until   time.Time  // when that is forgotten
	saveErr error      // of the last change
	stepUps map[string]stepUp
}

type stepUp struct {
	times int
	last  time.Time
}

func (l *Login) init() error {
	l.once.Do(func() {
		l.server, l.initErr = parseServer(l.Server)
		if l.initErr != nil {
			return
		}
		l.clear = secureServer(l.server, l.AllowHosts)
		if l.clear != nil && (l.server.Scheme != "http" || l.server.Hostname() == "") {
			l.initErr = l.clear
			return
		}
		if l.MetadataURL != "" {
			if u, err := url.Parse(l.MetadataURL); err != nil || u.Scheme != "https" || u.Host == "" || u.Path == "" || u.Path == "/" || u.User != nil || u.Fragment != "" {
				l.initErr = fmt.Errorf("%s: MetadataURL has to be an https URL with a path, and without user and fragment", l.name())
				return
			}
		}
		if l.ClientKey != nil && l.ClientID == "" && l.MetadataURL == "" {
			l.initErr = fmt.Errorf("%s: ClientKey needs the ClientID or the MetadataURL that it belongs to", l.name())
			return
		}
		if l.ClientKey.roams(l.ClientID, l.ClientIssuer) {
			l.initErr = fmt.Errorf("%s: %w", l.name(), errAudience)
			return
		}
		l.store = l.Store
		if l.store == nil {
			l.store = DefaultStore()
		}
		l.web, l.initErr = newWeb(l.HTTPClient, l.server, l.AllowHosts)
	})
	return l.initErr
}

// initSafe is init for what has a credential go to the server.
func (l *Login) initSafe() error {
	if err := l.init(); err != nil {
		return err
	}
	return l.clear
}

// Authorize sets the access token on a request to the server, if there is one:
// the saved one, or a new one if that has ended and can be refreshed. Without a
// token the request stays as it is, and a token that could not be refreshed goes
// out as it is; the server's answer then tells [Login.Refused] what is wanted.
//
// The token goes only to the origin of the server: for another one Authorize
// returns an error, as it does if there is a token and Server is not safe for
// it. Whoever sends the request must not follow redirects with it.
func (l *Login) Authorize(req *http.Request) error {
	if err := l.init(); err != nil {
		return err
	}
	ctx := req.Context()
	if err := l.loadOnce(ctx); err != nil {
		return err
	}
	if l.clear != nil && l.keeper.current() != nil {
		return l.clear
	}
	if t := l.keeper.current(); t != nil && t.Refresh != "" && t.ended(early) {
		// Where that fails, the server's answer to the old token leads to another
		// attempt, by what it says then: the authorization server may have moved.
		_ = l.keeper.renew(ctx, need{refused: string(t.Access), expired: true}, l.renew)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return l.keeper.authorize(req, l.server, l.name())
}

// Refused is told that the server answered req with 401 or 403. It returns nil
// when there is a token with which the request is to be sent again, once. For
// that it refreshes the token, or has the person log in, or asks them for more
// scopes; it returns when that is done or the context of the request ends. The
// body of resp is left alone.
//
// The error is a [*NeedsLoginError] if a person has to log in and could not be
// asked, or said no ([ErrDenied]); that answer holds for a minute. A no to more
// scopes is an ErrDenied only: the server is still of use with those there are.
func (l *Login) Refused(req *http.Request, resp *http.Response) error {
	if err := l.init(); err != nil {
		return err
	}
	if l.keeper.hear(req, resp, l.server) {
		l.keeper.answer()
		return nil
	}
	n, err := l.keeper.readNeed(req, resp, l.server)
	if err != nil {
		return fmt.Errorf("%s: %w", l.name(), err)
	}
	if l.clear != nil {
		return l.clear
	}
	return l.keeper.renew(req.Context(), n, l.renew)
}

// Answered may be told of every response to a request that Authorize was called
// for: those of a server that wants nonces in the proofs of a key (DPoP) bring
// the next one. It returns true if the request was refused for want of it and
// is to be sent again, with new credentials; nobody has to be asked for that,
// and [Login.Refused] need not be told. Whoever does not call it loses a request
// for each new nonce.
func (l *Login) Answered(req *http.Request, resp *http.Response) (again bool) {
	return l.init() == nil && l.keeper.hear(req, resp, l.server)
}

// loadOnce reads the saved token, the first time.
func (l *Login) loadOnce(ctx context.Context) error {
	l.mu.Lock()
	loaded := l.loaded
	l.mu.Unlock()
	if loaded {
		return nil
	}
	rec, err := l.load(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.loaded {
		l.loaded = true
		l.keeper.set(l.usable(rec))
	}
	return nil
}

// usable returns the saved token, unless it was given to another client than the
// one that the person set, or by an authorization server that is not the client's.
func (l *Login) usable(rec *record) *Token {
	t := rec.token()
	if t != nil && l.RequireDPoP && !t.bound {
		return nil
	}
	if t == nil || l.ClientID == "" || t.from.ClientID == "" || l.gave(t.from) {
		return t
	}
	return nil
}

// gave reports whether the source gave a token to the client that the person
// set.
func (l *Login) gave(from source) bool {
	return l.ClientID != "" && from.ClientID == l.ClientID && (l.ClientIssuer == "" || sameIssuer(from.Issuer, l.ClientIssuer))
}

// renew is the work of a flight: it gets a token for n.
func (l *Login) renew(ctx context.Context, n need) error {
	unlock, err := l.store.Lock(ctx, l.key())
	if err != nil {
		return fmt.Errorf("%s: wait for another login: %w", l.name(), err)
	}
	defer unlock()
	rec, err := l.load(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.loaded = true
	l.mu.Unlock()
	// Another process may have been faster.
	token := l.unsaved()
	if token == nil {
		token = l.usable(rec)
	}
	if token != nil && string(token.Access) != n.refused && !token.ended(0) && (!n.stepUp || containsAll(token.Scopes, n.scopes)) {
		l.keeper.set(token)
		return nil
	}
	if n.expired {
		return l.renewExpired(ctx, rec, token)
	}
	return l.renewRefused(ctx, rec, token, n)
}

// unsaved returns a token that is only in memory since the store did not take
// it.
func (l *Login) unsaved() *Token {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.saveErr == nil {
		return nil
	}
	return l.keeper.current()
}

// renewExpired refreshes before a request, without looking for the authorization
// server again. If that is refused, there is no token, and the server's answer
// to the request says what to do.
func (l *Login) renewExpired(ctx context.Context, rec *record, token *Token) error {
	if token == nil {
		l.keeper.set(nil)
		return nil
	}
	_, err := l.refresh(ctx, rec, token, token.from)
	return err
}

// renewRefused asks the authorization server that the resource names now, by a
// refresh if that can help, else by a person.
func (l *Login) renewRefused(ctx context.Context, rec *record, token *Token, n need) error {
	mayRefresh, mayLogin := l.keeper.learn(n.refused)
	realm, err := l.find(ctx, rec, n.challenge)
	if token != nil && realm != nil && realm.boundOnly && !token.bound {
		token = nil // it is refused for what it is, and so would be what came of it
	}
	if token != nil && token.Refresh != "" && !n.stepUp && mayRefresh && (err != nil || sameIssuer(realm.Issuer, token.Issuer())) {
		from := token.from
		if err == nil {
			from.Token, from.Revocation, from.Resource = realm.Token, realm.Revocation, realm.resource
		}
		done, err := l.refresh(ctx, rec, token, from)
		if done {
			l.keeper.renewed(&l.keeper.refreshes)
		}
		if done || err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if err := l.checkIssuer(realm.Issuer, rec.issuer()); err != nil {
		return err
	}
	if !mayLogin && !n.stepUp {
		return fmt.Errorf("%s: the server refuses every token that %s issues for it", l.name(), briefString(realm.Issuer))
	}
	scopes := scopesFor(realm, n.challenge, l.Scopes)
	if token != nil && sameIssuer(realm.Issuer, token.Issuer()) {
		if n.stepUp && len(scopes) > 0 && containsAll(token.Scopes, scopes) {
			return fmt.Errorf("%s: it wants the scopes %q for %s, which its token has: another login would bring the same", l.name(), scopes, n.operation)
		}
		scopes = union(token.Scopes, scopes) // what was granted before shall not be lost
	}
	err = l.mayAsk()
	if err == nil && n.stepUp {
		if err := l.countStepUp(n.operation); err != nil {
			return err
		}
		l.logger().InfoContext(ctx, "more scopes are asked for", "server", l.name(), "operation", n.operation, "scopes", scopes)
	}
	if err == nil {
		err = l.interact(ctx, rec, realm, withOffline(realm, scopes))
	}
	var needs *NeedsLoginError
	switch {
	case err == nil && !n.stepUp:
		l.keeper.renewed(&l.keeper.logins)
	case n.stepUp && errors.As(err, &needs):
		// The server is of use all the same, for what the token allows.
		if errors.Is(needs.Err, errNobody) {
			return fmt.Errorf("%s: %s needs the scopes %q: %w; name them in Scopes (oauth.scopes in a config file) and log in again where somebody can be asked",
				l.name(), n.operation, scopes, needs.Err)
		}
		return fmt.Errorf("%s: %s needs the scopes %q: %w", l.name(), n.operation, scopes, needs.Err)
	}
	return err
}

// find looks for the authorization server.
func (l *Login) find(ctx context.Context, rec *record, ch challenge) (*realm, error) {
	known := rec.issuer()
	if l.ClientID != "" && l.ClientIssuer != "" {
		known = l.ClientIssuer
	}
	f := &finder{web: l.web, server: l.server, code: true, own: l.ClientID != "", bound: l.RequireDPoP, known: known, choose: l.ChooseIssuer}
	realm, err := f.find(ctx, ch)
	if err != nil {
		return nil, fmt.Errorf("%s: login: %w", l.name(), err)
	}
	return realm, nil
}

// refresh exchanges the refresh token, and reports whether that brought a new
// one. The old is forgotten if the authorization server refuses it, or if the
// client that it was given to has lost its secret. An error says that nothing is
// known: another attempt may succeed.
//
// It is not broken off when nobody waits any more: the old refresh token may be
// used up, and the new one would be lost.
func (l *Login) refresh(ctx context.Context, rec *record, old *Token, from source) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	c := l.clientOfToken(rec, from)
	token, err := refreshToken(ctx, l.web, old, from, c)
	if err == nil {
		rec.setToken(token)
		l.keepToken(ctx, rec, token)
		return true, nil
	}
	var answer *Error
	final := errors.As(err, &answer) && answer.final()
	if !final && !c.lostSecret() {
		return false, fmt.Errorf("%s: %w", l.name(), err)
	}
	l.logger().InfoContext(ctx, "the saved login is over", "server", l.name(), "cause", err)
	if c.registration != nil && hasCode(err, "invalid_client") {
		rec.setClient(from.Issuer, nil)
	}
	// The issuer stays: a change of it is still noticed.
	rec.Token = &savedToken{From: source{Issuer: from.Issuer}}
	l.keepToken(ctx, rec, nil)
	return false, nil
}

// clientOfToken returns the client that a token was given to. What proves the one
// that the person set stays away from where other clients got theirs.
func (l *Login) clientOfToken(rec *record, from source) *client {
	if l.gave(from) {
		method := l.ClientAuth
		if method == "" && l.ClientKey == nil {
			method = from.Method
		}
		return newClient(l.ClientID, l.ClientSecret, l.ClientKey, method, nil)
	}
	if from.Method == authKey && from.ClientID == l.MetadataURL {
		return l.documentClient()
	}
	if reg := rec.Clients[from.Issuer]; reg != nil && reg.ClientID == from.ClientID {
		return reg.client()
	}
	return &client{id: from.ClientID, method: from.Method}
}

// lostSecret reports whether nothing that the client asks for can succeed. That
// of a registration goes when another registration takes its place.
func (c *client) lostSecret() bool {
	switch c.method {
	case authBasic, authPost:
		return c.secret == ""
	case authKey:
		return c.key == nil
	}
	return false
}

// keepToken saves the record, and then puts the token to use. Where it cannot be
// saved, this process at least goes on with it.
func (l *Login) keepToken(ctx context.Context, rec *record, token *Token) {
	err := l.save(ctx, rec)
	if err != nil {
		l.logger().WarnContext(ctx, "a login could not be saved and lasts for this process only", "server", l.name(), "cause", err)
	}
	l.mu.Lock()
	l.saveErr = err
	l.mu.Unlock()
	l.keeper.set(token)
}

func (l *Login) countStepUp(operation string) error {
	limit := l.MaxStepUps
	if limit <= 0 {
		limit = defaultStepUps
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stepUps == nil {
		l.stepUps = map[string]stepUp{}
	}
	for op, s := range l.stepUps {
		if time.Since(s.last) > stepUpWindow {
			delete(l.stepUps, op)
		}
	}
	s := l.stepUps[operation]
	if s.times >= limit {
		return fmt.Errorf("%s: it still refuses %s for want of scopes after %d logins for it", l.name(), operation, s.times)
	}
	l.stepUps[operation] = stepUp{s.times + 1, time.Now()}
	return nil
}

// name is the server for a message.
func (l *Login) name() string {
	if l.server != nil {
		return brief(l.server)
	}
	return briefString(l.Server)
}

func (l *Login) clientName() string {
	if l.ClientName == "" {
		return "Tramontane"
	}
	return l.ClientName
}

func (l *Login) logger() *slog.Logger {
	if l.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l.Logger
}

// String says what the login is for, without its secrets.
func (l *Login) String() string { return "login to " + briefString(l.Server) }

// Format writes what String returns, for every verb.
func (l *Login) Format(s fmt.State, _ rune) { io.WriteString(s, l.String()) }

// LogValue implements [slog.LogValuer].
func (l *Login) LogValue() slog.Value { return slog.StringValue(l.String()) }
