package mcpauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// An unattended gets tokens for one server where no person is asked. It is what
// the grants for programs have in common. Tokens are kept in memory only: there
// is always another one to have.
type unattended struct {
	once    sync.Once
	initErr error
	grant   grant
	server  *url.URL
	web     *web

	keeper keeper

	mu      sync.Mutex // guards the fields below
	issuer  string     // that gave the first token
	refused refusal
}

// A grant is how an unattended gets its tokens.
type grant struct {
	op         string // for errors
	server     string
	issuer     string // of the authorization server; "": the first that the server names
	scopes     []string
	bound      bool // tokens have to be bound to a key
	httpClient *http.Client
	allowHosts []string
	choose     func(ctx context.Context, issuers []string) (string, error)

	// client returns who asks, given the methods that are supported.
	client func(methods []string) *client

	// subject returns what the grant is made of, if that is from somebody else:
	// once an authorization server has refused it, it is not sent again for a
	// while. If nil, there is none.
	subject func(ctx context.Context, from source) (Secret, error)

	// form returns the parameters of the token request, without client, resource
	// and scope.
	form func(ctx context.Context, from source, subject Secret, scopes []string) (url.Values, error)
}

// A refusal is what an authorization server has decided.
type refusal struct {
	of    [sha256.Size]byte // issuer, scopes and subject
	err   error
	until time.Time
}

// init makes ready for the first use; prepare also says what is missing. It
// comes first in authorize, refusedBy and answered, so their callers need not
// think of it.
func (u *unattended) init(prepare func() (grant, error)) error {
	u.once.Do(func() {
		if u.grant, u.initErr = prepare(); u.initErr != nil {
			u.initErr = fmt.Errorf("%s: %w", briefString(u.grant.server), u.initErr)
			return
		}
		if u.server, u.initErr = parseServer(u.grant.server); u.initErr != nil {
			return
		}
		if u.initErr = secureServer(u.server, u.grant.allowHosts); u.initErr != nil {
			return
		}
		u.web, u.initErr = newWeb(u.grant.httpClient, u.server, u.grant.allowHosts)
	})
	return u.initErr
}

func (u *unattended) name() string { return brief(u.server) }

func (u *unattended) authorize(prepare func() (grant, error), req *http.Request) error {
	if err := u.init(prepare); err != nil {
		return err
	}
	if t := u.keeper.current(); t != nil && t.ended(early) {
		// As in Login.Authorize.
		_ = u.keeper.renew(req.Context(), need{refused: string(t.Access), expired: true}, u.renew)
		if err := req.Context().Err(); err != nil {
			return err
		}
	}
	return u.keeper.authorize(req, u.server, u.name())
}

func (u *unattended) answered(prepare func() (grant, error), req *http.Request, resp *http.Response) (again bool) {
	return u.init(prepare) == nil && u.keeper.hear(req, resp, u.server)
}

func (u *unattended) refusedBy(prepare func() (grant, error), req *http.Request, resp *http.Response) error {
	if err := u.init(prepare); err != nil {
		return err
	}
	if u.keeper.hear(req, resp, u.server) {
		u.keeper.answer()
		return nil
	}
	n, err := u.keeper.readNeed(req, resp, u.server)
	if err != nil {
		return fmt.Errorf("%s: %w", u.name(), err)
	}
	return u.keeper.renew(req.Context(), n, u.renew)
}

// renew is the work of a flight.
func (u *unattended) renew(ctx context.Context, n need) error {
	old := u.keeper.current()
	if old != nil && n.expired {
		return u.request(ctx, old.from, u.grant.client([]string{old.from.Method}), binding{old.key, old.bound}, old.Scopes)
	}
	if may, _ := u.keeper.learn(n.refused); !may && old != nil {
		return fmt.Errorf("%s: the server refuses every token that %s issues for it", u.name(), briefString(old.Issuer()))
	}
	u.mu.Lock()
	known := u.issuer
	u.mu.Unlock()
	if u.grant.issuer != "" {
		known = u.grant.issuer
	}
	f := &finder{web: u.web, server: u.server, own: true, bound: u.grant.bound, known: known, choose: u.grant.choose}
	r, err := f.find(ctx, n.challenge)
	if err != nil {
		return fmt.Errorf("%s: %w", u.name(), err)
	}
	if known != "" && !sameIssuer(r.Issuer, known) {
		return fmt.Errorf("%s names the authorization server %s, and the client id is for %s", u.name(), briefString(r.Issuer), briefString(known))
	}
	scopes := scopesFor(r, n.challenge, u.grant.scopes)
	if old != nil {
		if n.stepUp && len(scopes) > 0 && containsAll(old.Scopes, scopes) {
			return fmt.Errorf("%s: it wants the scopes %q for %s, which its token has", u.name(), scopes, n.operation)
		}
		scopes = union(old.Scopes, scopes)
	}
	c := u.grant.client(r.Methods)
	if err := c.fits(r); err != nil {
		return fmt.Errorf("%s: %w", u.name(), err)
	}
	b, err := r.binding()
	if err != nil {
		return fmt.Errorf("%s: %w", u.name(), err)
	}
	if err := u.request(ctx, r.source(c), c, b, scopes); err != nil {
		return err
	}
	u.keeper.renewed(&u.keeper.refreshes)
	return nil
}

func (u *unattended) request(ctx context.Context, from source, c *client, b binding, scopes []string) error {
	t, err := u.exchange(ctx, from, c, b, scopes)
	if err != nil {
		return fmt.Errorf("%s: %w", u.name(), err)
	}
	if t.Scopes == nil {
		t.Scopes = scopes
	}
	t.Refresh = "" // the grant is used again instead
	u.mu.Lock()
	u.issuer = from.Issuer
	u.mu.Unlock()
	u.keeper.set(t)
	return nil
}

func (u *unattended) exchange(ctx context.Context, from source, c *client, b binding, scopes []string) (*Token, error) {
	var subject Secret
	if u.grant.subject != nil {
		var err error
		if subject, err = u.grant.subject(ctx, from); err != nil {
			return nil, err
		}
	}
	of := sha256.Sum256([]byte(strings.Join([]string{from.Issuer, strings.Join(scopes, " "), string(subject)}, "\x00")))
	if err := u.held(of); err != nil {
		return nil, err
	}
	t, err := u.ask(ctx, from, c, b, subject, scopes)
	var answer *Error
	if subject != "" && errors.As(err, &answer) && answer.final() {
		u.mu.Lock()
		u.refused = refusal{of, err, time.Now().Add(denialHolds)}
		u.mu.Unlock()
	}
	return t, err
}

// held returns the error of an attempt that would only be repeated. A client
// that connects in several attempts would otherwise send what was refused again
// and again.
func (u *unattended) held(of [sha256.Size]byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refused.of == of && time.Now().Before(u.refused.until) {
		return u.refused.err
	}
	return nil
}

func (u *unattended) ask(ctx context.Context, from source, c *client, b binding, subject Secret, scopes []string) (*Token, error) {
	form, err := u.grant.form(ctx, from, subject, scopes)
	if err != nil {
		return nil, err
	}
	setScope(form, scopes)
	return requestToken(ctx, u.web, u.grant.op, from, c, b, form)
}

func setScope(form url.Values, scopes []string) {
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
}
