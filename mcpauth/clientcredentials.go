package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
)

// ClientCredentials lets a program in to one MCP server as itself, not as a
// person: by the client credentials grant (RFC 6749 section 4.4) with a private
// key or a secret that was registered by hand. It can be the Auth of a server of package
// mcptool.
//
// Set the exported fields before the first use and leave them alone then. All
// methods are safe for concurrent use; any number of goroutines cause one token
// request. Tokens are kept in memory only: there is always another one to have.
type ClientCredentials struct {
	// Server is the URL of the MCP server: https, or http on this machine.
	// Required.
	Server string

	// ClientID is what the client was registered with. Required.
	ClientID string

	// ClientKey is the client's private key, ClientSecret its secret. One of them
	// is required; a key is better, since it is not sent.
	ClientKey    *Key
	ClientSecret Secret

	// ClientAuth is how the client proves who it is: "private_key_jwt",
	// "client_secret_basic" or "client_secret_post". If empty, by the key if there
	// is one, else as the authorization server says that it takes the secret.
	ClientAuth string

	// ClientIssuer is the authorization server that knows ClientID: the secret
	// goes to no other. If empty, it is the first one that the MCP server names.
	ClientIssuer string

	// Scopes are asked for besides those that the server names in its challenge.
	// If nil, those of the challenge are, else all that the server says it
	// supports, else none.
	Scopes []string

	// RequireDPoP, HTTPClient and AllowHosts are as in [Login].
	RequireDPoP bool
	HTTPClient  *http.Client
	AllowHosts  []string

	// ChooseIssuer chooses one of several authorization servers. If nil, it is
	// the first that works.
	ChooseIssuer func(ctx context.Context, issuers []string) (string, error)

	unattended unattended
}

func (c *ClientCredentials) grant() (grant, error) {
	g := grant{
		op: "ask for a token", server: c.Server, issuer: c.ClientIssuer, scopes: c.Scopes, bound: c.RequireDPoP,
		httpClient: c.HTTPClient, allowHosts: c.AllowHosts, choose: c.ChooseIssuer,
		client: func(methods []string) *client {
			return newClient(c.ClientID, c.ClientSecret, c.ClientKey, c.ClientAuth, methods)
		},
		form: func(context.Context, source, Secret, []string) (url.Values, error) {
			return url.Values{"grant_type": {"client_credentials"}}, nil
		},
	}
	if c.ClientID == "" || c.ClientSecret == "" && c.ClientKey == nil {
		return g, errors.New("client credentials need a client id and its secret or private key")
	}
	if c.ClientKey.roams(c.ClientID, c.ClientIssuer) {
		return g, errAudience
	}
	return g, nil
}

// Authorize sets the access token on a request to the server, if there is one.
// The first request goes without: the server's answer says where a token comes
// from. For another origin than the server's it returns an error. Whoever sends
// the request must not follow redirects with it.
func (c *ClientCredentials) Authorize(req *http.Request) error {
	return c.unattended.authorize(c.grant, req)
}

// Refused is told that the server answered req with 401 or 403. It returns nil
// when there is a new token with which the request is to be sent again, once.
// The body of resp is left alone.
func (c *ClientCredentials) Refused(req *http.Request, resp *http.Response) error {
	return c.unattended.refusedBy(c.grant, req, resp)
}

// Answered is as [Login.Answered].
func (c *ClientCredentials) Answered(req *http.Request, resp *http.Response) (again bool) {
	return c.unattended.answered(c.grant, req, resp)
}

// String says what the credentials are for, without the secret.
func (c *ClientCredentials) String() string {
	return "client credentials for " + briefString(c.Server)
}

// Format writes what String returns, for every verb.
func (c *ClientCredentials) Format(s fmt.State, _ rune) { io.WriteString(s, c.String()) }

// LogValue implements [slog.LogValuer].
func (c *ClientCredentials) LogValue() slog.Value { return slog.StringValue(c.String()) }
