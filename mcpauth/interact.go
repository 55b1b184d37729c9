package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// SignIn has a person log in now, whether or not there are tokens, and also if
// they said no a moment ago. Requests that need a login meanwhile wait for it.
func (l *Login) SignIn(ctx context.Context) error {
	if err := l.initSafe(); err != nil {
		return err
	}
	if err := l.loadOnce(ctx); err != nil {
		return err
	}
	n := need{signIn: true}
	if t := l.keeper.current(); t != nil {
		n.refused = string(t.Access)
	}
	return l.keeper.renew(ctx, n, func(ctx context.Context, _ need) error {
		unlock, err := l.store.Lock(ctx, l.key())
		if err != nil {
			return fmt.Errorf("%s: wait for another login: %w", l.name(), err)
		}
		defer unlock()
		l.forgetDenial()
		l.keeper.restart()
		rec, realm, scopes, err := l.prepare(ctx)
		if err != nil {
			return err
		}
		return l.interact(ctx, rec, realm, scopes)
	})
}

// Begin prepares a login that the program carries out itself, step by step: it
// finds the authorization server, registers a client if there is none for that
// redirect URL, and returns the flow. The person has to come back to
// redirectURL, which is https or on loopback.
//
// Most programs set a [Prompter] instead.
func (l *Login) Begin(ctx context.Context, redirectURL string) (*Flow, error) {
	if err := l.initSafe(); err != nil {
		return nil, err
	}
	unlock, err := l.store.Lock(ctx, l.key())
	if err != nil {
		return nil, fmt.Errorf("%s: wait for another login: %w", l.name(), err)
	}
	defer unlock()
	rec, realm, scopes, err := l.prepare(ctx)
	if err != nil {
		return nil, err
	}
	flow, _, err := l.flow(ctx, rec, realm, redirectURL, scopes)
	return flow, err
}

// prepare finds out what a login that no refusal called for has to ask for.
func (l *Login) prepare(ctx context.Context) (*record, *realm, []string, error) {
	rec, err := l.load(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	// The challenge may say where the metadata is. A server that cannot be asked
	// now may have it at the well-known place all the same.
	ch, _, _ := l.probe(ctx)
	realm, err := l.find(ctx, rec, ch)
	if err == nil {
		err = l.checkIssuer(realm.Issuer, rec.issuer())
	}
	if err != nil {
		return nil, nil, nil, err
	}
	return rec, realm, withOffline(realm, scopesFor(realm, ch, l.Scopes)), nil
}

var errNobody = errors.New("nobody here can be asked")

// mayAsk reports why nobody can be asked now.
func (l *Login) mayAsk() error {
	l.mu.Lock()
	denied := l.denied
	if !time.Now().Before(l.until) {
		denied = nil
	}
	l.mu.Unlock()
	switch {
	case denied != nil:
		return l.needsLogin(denied)
	case l.Prompter == nil:
		return l.needsLogin(errNobody)
	}
	return nil
}

// interact has the person log in, and puts the token to use. It is called with
// the store's lock held.
func (l *Login) interact(ctx context.Context, rec *record, realm *realm, scopes []string) error {
	if err := l.mayAsk(); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	err := l.ask(asking, rec, realm, scopes)
	if err == nil || ctx.Err() != nil {
		return err
	}
	l.mu.Lock()
	l.denied, l.until = err, time.Now().Add(denialHolds)
	l.mu.Unlock()
	return l.needsLogin(err)
}

func (l *Login) needsLogin(err error) error { return &NeedsLoginError{Server: l.name(), Err: err} }

func (l *Login) forgetDenial() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.denied = nil
}

// ask prompts the person: once, or twice if the authorization server turns out
// to have forgotten the client that it registered.
func (l *Login) ask(ctx context.Context, rec *record, realm *realm, scopes []string) error {
	stale, err := l.askOnce(ctx, rec, realm, scopes)
	if stale && hasCode(err, "invalid_client", "unauthorized_client") {
		l.logger().InfoContext(ctx, "the authorization server has forgotten the client: registering again", "server", l.name(), "issuer", realm.Issuer)
		_, err = l.askOnce(ctx, rec, realm, scopes)
	}
	return err
}

// askOnce reports whether an old registration was used, which an error then has
// made forgotten: the page of a server that does not know the client leads
// nowhere, so that there may be no better sign of it.
func (l *Login) askOnce(ctx context.Context, rec *record, realm *realm, scopes []string) (stale bool, err error) {
	redirectURI := ""
	if reg := rec.Clients[realm.Issuer]; reg != nil && l.ClientID == "" {
		redirectURI = reg.RedirectURI
	}
	prompt, err := l.Prompter.Begin(ctx, redirectURI)
	if err != nil {
		return false, err
	}
	defer prompt.Close()
	flow, reused, err := l.flow(ctx, rec, realm, prompt.RedirectURI(), scopes)
	if err != nil {
		return false, err
	}
	token, err := l.complete(ctx, prompt, flow)
	if err != nil {
		if reused && !errors.Is(err, ErrDenied) {
			rec.setClient(realm.Issuer, nil)
			l.saveQuietly(ctx, rec)
		}
		return reused, err
	}
	rec.setToken(token)
	l.keepToken(ctx, rec, token)
	return false, nil
}

func (l *Login) complete(ctx context.Context, prompt Prompt, flow *Flow) (*Token, error) {
	callback, err := prompt.Ask(ctx, flow.AuthURL())
	if err != nil {
		return nil, err
	}
	return flow.Exchange(ctx, callback)
}

// flow chooses the client, and saves it if it was registered for this. It
// reports whether the client is one that was registered before.
func (l *Login) flow(ctx context.Context, rec *record, realm *realm, redirectURL string, scopes []string) (_ *Flow, reused bool, _ error) {
	if u, err := url.Parse(redirectURL); err != nil || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(hostOf(u))) || u.Host == "" {
		return nil, false, fmt.Errorf("the redirect URL %s has to be https, or http on loopback", briefString(redirectURL))
	}
	known := rec.Clients[realm.Issuer]
	c, err := l.clientOf(ctx, realm, known, redirectURL, scopes)
	if err != nil {
		return nil, false, err
	}
	// Nobody is sent for a code that could not be exchanged.
	if err := c.authenticate(url.Values{}, http.Header{}, realm.Issuer); err != nil {
		return nil, false, err
	}
	if c.registration != nil && c.registration != known {
		rec.setClient(realm.Issuer, c.registration)
		l.saveQuietly(ctx, rec)
	}
	b, err := realm.binding()
	if err != nil {
		return nil, false, err
	}
	return newFlow(l.web, realm, c, b, redirectURL, scopes), c.registration != nil && c.registration == known, nil
}

// saveQuietly saves what can be had again.
func (l *Login) saveQuietly(ctx context.Context, rec *record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	if err := l.save(ctx, rec); err != nil {
		l.logger().WarnContext(ctx, "a client registration could not be saved", "server", l.name(), "cause", err)
	}
}

// SetToken saves a token and puts it to use in place of any other: one that
// [Flow.Exchange] returned, also for another Login of the same server, or one
// that came by other ways, which then cannot be refreshed.
func (l *Login) SetToken(ctx context.Context, t *Token) error {
	if err := l.initSafe(); err != nil {
		return err
	}
	if t == nil || t.Access == "" || !isHeaderValue(string(t.Access)) {
		return fmt.Errorf("%s: that is no token", l.name())
	}
	if l.RequireDPoP && !t.bound {
		return fmt.Errorf("%s: the token is not bound to a key (RequireDPoP)", l.name())
	}
	if u, err := url.Parse(t.from.Resource); t.from.Resource != "" && (err != nil || origin(u) != origin(l.server)) {
		return fmt.Errorf("%s: the token is for another server, %s", l.name(), briefString(t.from.Resource))
	}
	if t.from.Resource == "" {
		own := *t
		own.Refresh = "" // nobody could say where to
		t = &own
	}
	return l.change(ctx, func(rec *record) (*Token, error) {
		rec.setToken(t)
		return t, nil
	})
}

// LogoutOptions change what [Login.Logout] does.
type LogoutOptions struct {
	// Forget forgets the registrations of clients as well, so that the next
	// login registers again. If zero, they are kept.
	Forget bool
}

// Logout revokes the token, where the authorization server offers that
// (RFC 7009), and deletes it here in any case. An error about the revocation
// says that it may live on there, one about the store that it may be found there
// again. A nil opts means the zero value.
func (l *Login) Logout(ctx context.Context, opts *LogoutOptions) error {
	if err := l.init(); err != nil {
		return err
	}
	var revocation error
	err := l.change(ctx, func(rec *record) (*Token, error) {
		t := l.unsaved()
		if t == nil {
			t = rec.token()
		}
		l.keeper.set(nil) // whatever becomes of the rest
		if t != nil && t.from.Revocation != "" {
			revocation = revoke(ctx, l.web, t, l.clientOfToken(rec, t.from))
		}
		rec.Token = nil
		if opts != nil && opts.Forget {
			rec.Clients = nil
		}
		return nil, nil
	})
	if revocation != nil {
		revocation = fmt.Errorf("%s: the token was deleted here, but: %w", l.name(), revocation)
	}
	return errors.Join(err, revocation)
}

// change changes what is saved, and the token in use.
func (l *Login) change(ctx context.Context, f func(*record) (*Token, error)) error {
	unlock, err := l.store.Lock(ctx, l.key())
	if err != nil {
		return fmt.Errorf("%s: wait for another login: %w", l.name(), err)
	}
	defer unlock()
	rec, err := l.load(ctx)
	if err != nil {
		return err
	}
	t, err := f(rec)
	if err != nil {
		return err
	}
	if err := l.save(ctx, rec); err != nil {
		return fmt.Errorf("%s: save the login: %w", l.name(), err)
	}
	l.mu.Lock()
	l.loaded, l.saveErr, l.denied = true, nil, nil
	l.mu.Unlock()
	l.keeper.set(t)
	l.keeper.restart()
	return nil
}

// A Status is what is known of a login at one moment.
type Status struct {
	// Server is the URL of the MCP server, without its query.
	Server string

	// LoggedIn says that there is an access token. It may have ended or been
	// revoked all the same: only the server knows.
	LoggedIn bool

	// Issuer is the authorization server of the token, ClientID the client that
	// it was given to. If zero, there is no token, or it was made by hand.
	Issuer, ClientID string

	// Expiry is when the access token ends. If zero, nobody knows.
	Expiry time.Time

	// Bound says that the access token is of use only with a key that this login
	// has (DPoP).
	Bound bool

	// Refreshable says that no person is needed then.
	Refreshable bool

	// Scopes are what the token is for. If nil, nobody knows.
	Scopes []string

	// Err says why the login could not be saved, so that it lasts for this
	// process only. If nil, it is saved.
	Err error
}

// Status returns how the login is doing, without asking any server.
func (l *Login) Status(ctx context.Context) (Status, error) {
	if err := l.init(); err != nil {
		return Status{}, err
	}
	st := Status{Server: l.name()}
	l.mu.Lock()
	st.Err = l.saveErr
	l.mu.Unlock()
	t := l.unsaved()
	if t == nil {
		rec, err := l.load(ctx)
		if err != nil {
			return Status{}, err
		}
		t = l.usable(rec)
	}
	if t != nil {
		st.LoggedIn, st.Bound = true, t.bound
		st.Issuer, st.ClientID = t.from.Issuer, t.from.ClientID
		st.Expiry, st.Scopes, st.Refreshable = t.Expiry, t.Scopes, t.Refresh != ""
	}
	return st, nil
}
