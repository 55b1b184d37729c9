package mcpauth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// ClientCredentials lets a program in to one MCP server as itself, not as a
// person: by the client credentials grant (RFC 6749 section 4.4) with a secret
// that was registered by hand. It can be the Auth of a server of package
// mcptool.
//
// Set the exported fields before the first use and leave them alone then. All
// methods are safe for concurrent use; any number of goroutines cause one token
// request. Tokens are kept in memory only: there is always another one to have.
type ClientCredentials struct {
	// Server is the URL of the MCP server: https, or http on this machine.
	// Required.
	Server string

	// ClientID and ClientSecret are what the client was registered with.
	// Required.
	ClientID     string
	ClientSecret Secret

	// ClientAuth is how the client proves who it is: "client_secret_basic" or
	// "client_secret_post". If empty, what the authorization server says that it
	// takes.
	ClientAuth string

	// ClientIssuer is the authorization server that knows ClientID: the secret
	// goes to no other. If empty, it is the first one that the MCP server names.
	ClientIssuer string

	// Scopes are asked for besides those that the server names in its challenge.
	// If nil, those of the challenge are, else all that the server says it
	// supports, else none.
	Scopes []string

	// HTTPClient and AllowHosts are as in [Login].
	HTTPClient *http.Client
	AllowHosts []string

	// ChooseIssuer chooses one of several authorization servers. If nil, it is
	// the first that works.
	ChooseIssuer func(ctx context.Context, issuers []string) (string, error)

	once    sync.Once
	initErr error
	server  *url.URL
	web     *web

	keeper keeper

	mu     sync.Mutex // guards the field below
	issuer string     // that gave the first token
}

func (c *ClientCredentials) init() error {
	c.once.Do(func() {
		c.server, c.initErr = parseServer(c.Server, c.AllowHosts)
		if c.initErr != nil {
			return
		}
		if c.ClientID == "" || c.ClientSecret == "" {
			c.initErr = fmt.Errorf("%s: client credentials need a client id and its secret", c.name())
			return
		}
		c.web, c.initErr = newWeb(c.HTTPClient, c.server, c.AllowHosts)
	})
	return c.initErr
}

// Authorize sets the access token on a request to the server, if there is one.
// The first request goes without: the server's answer says where a token comes
// from. For another origin than the server's it returns an error. Whoever sends
// the request must not follow redirects with it.
func (c *ClientCredentials) Authorize(req *http.Request) error {
	if err := c.init(); err != nil {
		return err
	}
	if t := c.keeper.current(); t != nil && t.ended(early) {
		// As in Login.Authorize.
		_ = c.keeper.renew(req.Context(), need{refused: string(t.Access), expired: true}, c.renew)
		if err := req.Context().Err(); err != nil {
			return err
		}
	}
	return c.keeper.authorize(req, c.server, c.name())
}

// Refused is told that the server answered req with 401 or 403. It returns nil
// when there is a new token with which the request is to be sent again, once.
// The body of resp is left alone.
func (c *ClientCredentials) Refused(req *http.Request, resp *http.Response) error {
	if err := c.init(); err != nil {
		return err
	}
	n, err := c.keeper.readNeed(req, resp, c.server)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name(), err)
	}
	return c.keeper.renew(req.Context(), n, c.renew)
}

// renew is the work of a flight.
func (c *ClientCredentials) renew(ctx context.Context, n need) error {
	old := c.keeper.current()
	if old != nil && n.expired {
		return c.request(ctx, old.from, old.Scopes)
	}
	if may, _ := c.keeper.learn(n.refused); !may && old != nil {
		return fmt.Errorf("%s: the server refuses every token that %s issues for it", c.name(), briefString(old.Issuer()))
	}
	c.mu.Lock()
	known := c.issuer
	c.mu.Unlock()
	if c.ClientIssuer != "" {
		known = c.ClientIssuer
	}
	f := &finder{web: c.web, server: c.server, own: true, known: known, choose: c.ChooseIssuer}
	r, err := f.find(ctx, n.challenge)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name(), err)
	}
	if known != "" && !sameIssuer(r.Issuer, known) {
		return fmt.Errorf("%s names the authorization server %s, and the client id is for %s", c.name(), briefString(r.Issuer), briefString(known))
	}
	scopes := scopesFor(r, n.challenge, c.Scopes)
	if old != nil {
		if n.stepUp && len(scopes) > 0 && containsAll(old.Scopes, scopes) {
			return fmt.Errorf("%s: it wants the scopes %q for %s, which its token has", c.name(), scopes, n.operation)
		}
		scopes = union(old.Scopes, scopes)
	}
	method := c.ClientAuth
	if method == "" {
		method = methodFor(string(c.ClientSecret), r.Methods)
	}
	if err := c.request(ctx, r.source(&client{id: c.ClientID, method: method}), scopes); err != nil {
		return err
	}
	c.keeper.renewed(&c.keeper.refreshes)
	return nil
}

func (c *ClientCredentials) request(ctx context.Context, from source, scopes []string) error {
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	self := &client{id: c.ClientID, secret: string(c.ClientSecret), method: from.Method}
	t, err := requestToken(ctx, c.web, "ask for a token", from, self, form)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name(), err)
	}
	if t.Scopes == nil {
		t.Scopes = scopes
	}
	c.mu.Lock()
	c.issuer = from.Issuer
	c.mu.Unlock()
	c.keeper.set(t)
	return nil
}

func (c *ClientCredentials) name() string {
	if c.server != nil {
		return brief(c.server)
	}
	return briefString(c.Server)
}

// String says what the credentials are for, without the secret.
func (c *ClientCredentials) String() string {
	return "client credentials for " + briefString(c.Server)
}

// Format writes what String returns, for every verb.
func (c *ClientCredentials) Format(s fmt.State, _ rune) { io.WriteString(s, c.String()) }

// LogValue implements [slog.LogValuer].
func (c *ClientCredentials) LogValue() slog.Value { return slog.StringValue(c.String()) }
