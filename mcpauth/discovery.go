package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A protectedResource is what a server says of its protection (RFC 9728).
type protectedResource struct {
	Resource string   `json:"resource"`
	Issuers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`

	// RFC 9449 and RFC 9728: what is known of tokens that are bound to a key.
	DPoP        []string `json:"dpop_signing_alg_values_supported"`
	BoundTokens bool     `json:"dpop_bound_access_tokens_required"`
}

// An authServer is an authorization server's description of itself (RFC 8414,
// OpenID Connect Discovery).
type authServer struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Registration  string   `json:"registration_endpoint"`
	Revocation    string   `json:"revocation_endpoint"`
	Offered       []string `json:"scopes_supported"`
	Grants        []string `json:"grant_types_supported"`
	Methods       []string `json:"token_endpoint_auth_methods_supported"`
	PKCE          []string `json:"code_challenge_methods_supported"`
	Documents     bool     `json:"client_id_metadata_document_supported"`
	Iss           bool     `json:"authorization_response_iss_parameter_supported"`

	SigningAlgorithms []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	DPoP              []string `json:"dpop_signing_alg_values_supported"`
}

// A realm is where a token for a server comes from.
type realm struct {
	authServer
	resource string   // for the parameter resource, as the server publishes it
	scopes   []string // scopes_supported of the server
	guessed  bool     // there is no metadata; the endpoints are where they once used to be

	bound     bool // tokens are to be bound to a key
	boundOnly bool // and no others are of use
}

// A finder finds out where a token for a server comes from.
type finder struct {
	web    *web
	server *url.URL

	// code says that the authorization code flow is wanted, for which a server
	// needs more than a token endpoint.
	code bool

	// known is the issuer that there are tokens or a client of. If empty, none.
	known string

	// own says that the client was registered by hand, and so for one
	// authorization server: where nobody says for which, for the first.
	own bool

	// bound says that tokens have to be bound to a key, whatever the server says.
	bound bool

	// choose is [Login.ChooseIssuer].
	choose func(ctx context.Context, issuers []string) (string, error)
}

// errAbsent is in the error of a metadata URL that has no metadata.
var errAbsent = errors.New("there is none")

// find asks the server, and then its authorization server.
func (f *finder) find(ctx context.Context, ch challenge) (*realm, error) {
	prm, err := f.protectedResource(ctx, ch)
	if errors.Is(err, errAbsent) {
		r, err := f.legacy(ctx)
		if err == nil {
			err = r.bind(ch, &protectedResource{}, f.bound)
		}
		return r, err
	}
	if err != nil {
		return nil, fmt.Errorf("protected resource metadata of %s: %w", brief(f.server), err)
	}
	issuers, err := f.order(ctx, prm.Issuers)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, issuer := range issuers {
		as, err := f.authServer(ctx, issuer)
		if err == nil {
			r := &realm{authServer: *as, resource: prm.Resource, scopes: prm.Scopes}
			if err = r.bind(ch, prm, f.bound); err == nil {
				return r, nil
			}
		}
		problems = append(problems, fmt.Errorf("authorization server %s: %w", briefString(issuer), err))
	}
	return nil, errors.Join(problems...)
}

// order puts the issuers in the order in which they are to be tried.
func (f *finder) order(ctx context.Context, issuers []string) ([]string, error) {
	for _, issuer := range issuers {
		if sameIssuer(issuer, f.known) {
			return []string{issuer}, nil
		}
	}
	switch {
	case f.choose == nil && f.own:
		return issuers[:1], nil
	case f.choose == nil || len(issuers) == 1:
		return issuers, nil
	}
	chosen, err := f.choose(ctx, slices.Clone(issuers))
	if err != nil {
		return nil, fmt.Errorf("choose an authorization server: %w", err)
	}
	if !slices.Contains(issuers, chosen) {
		return nil, fmt.Errorf("choose an authorization server: %s was chosen, which the server does not name", briefString(chosen))
	}
	return []string{chosen}, nil
}

// protectedResource tries the place that the challenge names, the well-known
// path of the server, and that of its root. It returns errAbsent if metadata is
// in none of them.
func (f *finder) protectedResource(ctx context.Context, ch challenge) (*protectedResource, error) {
	root := *f.server
	root.Path, root.RawPath, root.RawQuery = "", "", ""
	whole := f.server.String()
	const wellKnown = "/.well-known/oauth-protected-resource"
	type place struct {
		url      string
		resource string
	}
	var places []place
	if ch.metadata != "" {
		places = append(places, place{ch.metadata, whole})
	}
	places = append(places, place{wellKnownURL(f.server, wellKnown), whole})
	if strings.Trim(f.server.Path, "/") != "" {
		places = append(places, place{wellKnownURL(&root, wellKnown), root.String()})
	}

	var problems []error
	for _, p := range places {
		prm := new(protectedResource)
		err := f.document(ctx, p.url, prm)
		if err == nil {
			err = f.checkResource(prm, p.resource)
		}
		if err == nil {
			return prm, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !errors.Is(err, errAbsent) {
			problems = append(problems, fmt.Errorf("%s: %w", briefString(p.url), err))
		}
	}
	if problems == nil {
		return nil, errAbsent
	}
	// One place that has something wrong, or cannot be asked now, must not lead
	// to the rules for servers that have no metadata.
	return nil, errors.Join(problems...)
}

func (f *finder) checkResource(prm *protectedResource, want string) error {
	if prm.Resource == "" {
		return fmt.Errorf("%w: it names no resource", errAbsent)
	}
	if withoutRoot(prm.Resource) != withoutRoot(want) {
		return fmt.Errorf("it is about the resource %q, not %q", printable(prm.Resource), briefString(want))
	}
	if len(prm.Issuers) == 0 {
		return errors.New("it names no authorization server")
	}
	for _, issuer := range prm.Issuers {
		if err := f.web.check("an authorization server", issuer); err != nil {
			return err
		}
	}
	return nil
}

// withoutRoot leaves out the slash of a URL that has no other path: with and
// without it is the same URL (RFC 3986 section 6.2.3). All else of a resource is
// compared byte by byte (RFC 9728 section 3.3).
func withoutRoot(resource string) string {
	if u, err := url.Parse(resource); err == nil && u.Path == "/" && u.RawQuery == "" && u.Fragment == "" {
		return strings.TrimSuffix(resource, "/")
	}
	return resource
}

// authServer reads the metadata of an issuer, from the first of the well-known
// places that has any (specification, "Authorization Server Metadata
// Discovery"). Servers that answer every path, with a page or an error, are
// common, so whatever is wrong with one place leads to the next.
func (f *finder) authServer(ctx context.Context, issuer string) (*authServer, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("its issuer is malformed")
	}
	places := []string{
		wellKnownURL(u, "/.well-known/oauth-authorization-server"),
		wellKnownURL(u, "/.well-known/openid-configuration"),
	}
	if strings.Trim(u.Path, "/") != "" {
		appended := *u
		appended.Path = strings.TrimSuffix(u.Path, "/") + "/.well-known/openid-configuration"
		appended.RawPath = ""
		places = append(places, appended.String())
	}
	absent := true
	var problems []error
	for _, place := range places {
		as := new(authServer)
		err := f.document(ctx, place, as)
		if err == nil {
			err = f.checkServer(as, issuer)
		}
		if err == nil {
			return as, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		absent = absent && errors.Is(err, errAbsent)
		problems = append(problems, fmt.Errorf("metadata at %s: %w", briefString(place), err))
	}
	if absent {
		return nil, fmt.Errorf("metadata: %w at %s", errAbsent, strings.Join(briefAll(places), ", "))
	}
	return nil, errors.Join(problems...)
}

func (f *finder) checkServer(as *authServer, issuer string) error {
	if as.Issuer == "" {
		return fmt.Errorf("%w: it names no issuer", errAbsent)
	}
	if !sameIssuer(as.Issuer, issuer) {
		return fmt.Errorf("its issuer is %q, not %q", printable(as.Issuer), printable(issuer))
	}
	required := map[string]string{"its token_endpoint": as.Token}
	if f.code {
		required["its authorization_endpoint"] = as.Authorization
		// Without this the server may not verify what PKCE sends, and "plain"
		// protects nothing (specification, "Authorization Code Protection").
		if !slices.Contains(as.PKCE, "S256") {
			return errors.New("it does not support PKCE with S256 (code_challenge_methods_supported)")
		}
	}
	for what, endpoint := range required {
		if endpoint == "" {
			return fmt.Errorf("%s is missing", what)
		}
		if err := f.web.check(what, endpoint); err != nil {
			return err
		}
	}
	for what, endpoint := range map[string]string{"its registration_endpoint": as.Registration, "its revocation_endpoint": as.Revocation} {
		if endpoint == "" {
			continue
		}
		if err := f.web.check(what, endpoint); err != nil {
			return err
		}
	}
	return nil
}

// legacy follows the specification of 2025-03-26, where a server is its own
// authorization server: metadata at its root, or endpoints at fixed paths. With
// fixed paths nobody says that PKCE is supported; it is used all the same.
func (f *finder) legacy(ctx context.Context) (*realm, error) {
	root := url.URL{Scheme: f.server.Scheme, Host: f.server.Host}
	base := root.String()
	as, err := f.authServer(ctx, base)
	if err == nil {
		return &realm{authServer: *as, resource: f.server.String()}, nil
	}
	if !errors.Is(err, errAbsent) {
		return nil, fmt.Errorf("%s has no protected resource metadata, and as an authorization server: %w", brief(f.server), err)
	}
	return &realm{
		authServer: authServer{
			Issuer:        base,
			Authorization: base + "/authorize",
			Token:         base + "/token",
			Registration:  base + "/register",
		},
		resource: f.server.String(),
		guessed:  true,
	}, nil
}

// document reads a JSON document. It returns errAbsent where there is none,
// which a page for people also says.
func (f *finder) document(ctx context.Context, place string, v any) error {
	if err := f.web.check("the URL", place); err != nil {
		return err
	}
	got, err := f.web.get(ctx, place)
	if err != nil {
		return err
	}
	switch {
	case got.status >= 400 && got.status < 500 && got.status != http.StatusTooManyRequests:
		return fmt.Errorf("%w: status %d", errAbsent, got.status)
	case got.status != http.StatusOK:
		return fmt.Errorf("status %d", got.status)
	}
	if err := got.decode(v); err != nil {
		return fmt.Errorf("%w: %w", errAbsent, err)
	}
	return nil
}

// wellKnownURL puts a well-known path between host and path (RFC 8414 section
// 3.1, RFC 9728 section 3.1): a slash at the end of the path goes.
func wellKnownURL(u *url.URL, wellKnown string) string {
	at := *u
	at.Path = wellKnown + strings.TrimSuffix(u.Path, "/")
	at.RawPath = ""
	if u.RawPath != "" {
		at.RawPath = wellKnown + strings.TrimSuffix(u.RawPath, "/")
	}
	return at.String()
}

// sameIssuer compares the issuer of a metadata document with the one that it was
// found by. One slash at the end may differ: products disagree on it, the same
// place is asked for both, and nobody else can answer there. The iss of an
// answer gets no such latitude.
func sameIssuer(a, b string) bool {
	return a != "" && strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/")
}

func printableAll(words []string) []string {
	short := make([]string, len(words))
	for i, w := range words {
		short[i] = printable(w)
	}
	return short
}

func briefAll(urls []string) []string {
	short := make([]string, len(urls))
	for i, u := range urls {
		short[i] = briefString(u)
	}
	return short
}
