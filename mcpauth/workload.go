package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
)

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// A JWTSource returns a JWT that somebody else has issued and that is sent to the
// authorization server to. It is asked anew for each exchange, since such tokens
// are short-lived, by one goroutine at a time, and has until ctx ends.
type JWTSource func(ctx context.Context, to JWTAudience) (Secret, error)

// A JWTAudience is who a JWT is sent to, for sources that issue one for it.
type JWTAudience struct {
	Issuer   string // of the authorization server
	TokenURL string // its token endpoint
	Resource string // that access is wanted to: the MCP server, as it calls itself
}

// JWTFromFile returns a source that reads the file anew each time: where a
// platform puts and renews the token of a workload.
func JWTFromFile(path string) JWTSource {
	return func(context.Context, JWTAudience) (Secret, error) {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxJWT+2))
		if err != nil {
			return "", err
		}
		token := strings.TrimSpace(string(data))
		if err := checkJWT(token); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		return Secret(token), nil
	}
}

// JWTFromEnv returns a source that reads the environment variable each time.
func JWTFromEnv(name string) JWTSource {
	return func(context.Context, JWTAudience) (Secret, error) {
		token := strings.TrimSpace(os.Getenv(name))
		if err := checkJWT(token); err != nil {
			return "", fmt.Errorf("environment variable %s: %w", name, err)
		}
		return Secret(token), nil
	}
}

// read asks the source, within a time.
func (s JWTSource) read(ctx context.Context, to JWTAudience) (Secret, error) {
	token, err := s(ctx, to)
	if err != nil {
		return "", err
	}
	return token, checkJWT(string(token))
}

// Workload lets a program in to one MCP server by the identity that its platform
// gives it: a JWT of Kubernetes, SPIFFE, a cloud or a CI system is exchanged for
// a token (workload identity federation, RFC 7523 section 2.1). There is no
// secret to keep. It can be the Auth of a server of package mcptool.
//
// What the authorization server answers about the JWT is final: the error, which
// wraps an [*Error], is returned for a minute without sending the same JWT again,
// and no other way is tried.
//
// Set the exported fields before the first use and leave them alone then. All
// methods are safe for concurrent use; any number of goroutines cause one
// exchange. Tokens are kept in memory only.
type Workload struct {
	// Server is the URL of the MCP server: https, or http on this machine.
	// Required.
	Server string

	// JWT is the program's identity, read anew for each exchange. Required.
	JWT JWTSource

	// Issuer is the authorization server that the JWT may be sent to. If empty,
	// it is the first one that the MCP server names, and then the JWT has to be
	// for it (aud): a server could otherwise name one that uses it elsewhere.
	Issuer string

	// ClientID is sent with the JWT. If empty, none is: the JWT says who asks.
	ClientID string

	// Scopes are as in [ClientCredentials].
	Scopes []string

	// RequireDPoP, HTTPClient, AllowHosts and ChooseIssuer are as in [Login].
	RequireDPoP  bool
	HTTPClient   *http.Client
	AllowHosts   []string
	ChooseIssuer func(ctx context.Context, issuers []string) (string, error)

	unattended unattended
}

func (w *Workload) grant() (grant, error) {
	g := grant{
		op: "exchange the workload's JWT", server: w.Server, issuer: w.Issuer, scopes: w.Scopes, bound: w.RequireDPoP,
		httpClient: w.HTTPClient, allowHosts: w.AllowHosts, choose: w.ChooseIssuer,
		client:  func([]string) *client { return &client{id: w.ClientID, method: authNone} },
		subject: w.subject,
		form: func(_ context.Context, _ source, subject Secret, _ []string) (url.Values, error) {
			return url.Values{"grant_type": {jwtBearer}, "assertion": {string(subject)}}, nil
		},
	}
	if w.JWT == nil {
		return g, errors.New("workload identity needs a source of JWTs")
	}
	return g, nil
}

// subject reads the JWT, and keeps it from whom it is not for.
func (w *Workload) subject(ctx context.Context, from source) (Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	token, err := w.JWT.read(ctx, JWTAudience{from.Issuer, from.Token, from.Resource})
	if err != nil {
		return "", fmt.Errorf("read the workload's JWT: %w", err)
	}
	if w.Issuer != "" {
		return token, nil
	}
	claims, err := readJWT(string(token))
	if err != nil {
		return "", fmt.Errorf("read the workload's JWT: %w", err)
	}
	for _, audience := range claims.Audience {
		if sameIssuer(audience, from.Issuer) || audience == from.Token {
			return token, nil
		}
	}
	return "", fmt.Errorf("the workload's JWT is for %q, and the server names the authorization server %s: if that may have it, set it as the Issuer",
		printableAll(claims.Audience), briefString(from.Issuer))
}

// Authorize is as [ClientCredentials.Authorize].
func (w *Workload) Authorize(req *http.Request) error {
	return w.unattended.authorize(w.grant, req)
}

// Refused is as [ClientCredentials.Refused].
func (w *Workload) Refused(req *http.Request, resp *http.Response) error {
	return w.unattended.refusedBy(w.grant, req, resp)
}

// Answered is as [Login.Answered].
func (w *Workload) Answered(req *http.Request, resp *http.Response) (again bool) {
	return w.unattended.answered(w.grant, req, resp)
}

// String says what it is for, without its secrets.
func (w *Workload) String() string { return "workload identity for " + briefString(w.Server) }

// Format writes what String returns, for every verb.
func (w *Workload) Format(s fmt.State, _ rune) { io.WriteString(s, w.String()) }

// LogValue implements [slog.LogValuer].
func (w *Workload) LogValue() slog.Value { return slog.StringValue(w.String()) }
