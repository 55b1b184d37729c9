// Package oauthtest holds an OAuth authorization server, MCP servers that it
// protects and a person with a browser, for tests of clients. All of it runs in
// the test's process, on loopback.
//
// What is not configured is right and strict: PKCE with S256 is verified, the
// resource of RFC 8707 must be in every request, redirect URIs match exactly,
// codes and refresh tokens work once, and a refresh token that is used twice
// revokes its login.
package oauthtest

import (
	"crypto"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Config says how a [Server] departs from a server that does everything right.
type Config struct {
	// IssuerPath is the path of the issuer, as "/tenant". If zero, the issuer is
	// the bare origin. Fixed when the server is made.
	IssuerPath string

	// WellKnown are the places where metadata is. If nil, all of [OAuthMetadata],
	// [OpenIDMetadata] and [OpenIDAppended]; if empty and not nil, there is none.
	WellKnown []string

	// Metadata changes the metadata document before it is sent: other PKCE
	// methods, another issuer, no registration. If nil, it stays as it is.
	Metadata func(doc map[string]any)

	// Instead answers requests to a path in place of the server, which still
	// counts them. If nil, nothing does. See [HTML] and [Refuse].
	Instead map[string]http.Handler

	// Scopes are the scopes that exist, which the metadata then names. If nil,
	// every scope is granted and none is named.
	Scopes []string

	// RegisterMethod is the client authentication method that registration
	// gives, whatever was asked for. If zero, what was asked for.
	RegisterMethod string

	// Iss stands in the callback in place of the issuer (RFC 9207). "none" sends
	// none. If zero, the issuer.
	Iss string

	// Lifetime is how long access tokens live. If zero, an hour.
	Lifetime time.Duration

	// OneLive has a new access token end the older ones of its client and
	// resource.
	OneLive bool

	// KeepRefresh has a refresh token work as often as it is used, and not be
	// replaced.
	KeepRefresh bool

	// OfflineOnly gives a refresh token only to who has the scope
	// offline_access.
	OfflineOnly bool

	// ResourceOptional accepts requests without a resource, as older servers do.
	ResourceOptional bool

	// Token changes a successful answer of the token endpoint before it is sent.
	// If nil, it stays as it is.
	Token func(doc map[string]any)

	// DPoP are the algorithms of proofs that the metadata names; a token that is
	// asked for with a proof is bound to its key. If nil, proofs are not looked at.
	DPoP []string

	// BoundOnly refuses requests of tokens without a proof.
	BoundOnly bool

	// Nonces wants a nonce of the server in each proof.
	Nonces bool

	// Trusted is the key that assertions for the jwt-bearer grant are signed by.
	// If nil, none is good.
	Trusted crypto.PublicKey

	// IdP makes the server an identity provider, which signs by this key: id
	// tokens, and assertions for the servers that Audiences names, where the client
	// is ClientElsewhere.
	IdP             crypto.Signer
	Audiences       []string
	ClientElsewhere string

	// Documents are the client metadata documents of the web, by their URL,
	// which is the client's id. If nil, the server takes no such ids.
	Documents map[string]Client
}

// A Client is one that the server knows.
type Client struct {
	ID           string   `json:"client_id"`
	Secret       string   `json:"client_secret,omitempty"`
	Name         string   `json:"client_name,omitempty"`
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	GrantTypes   []string `json:"grant_types,omitempty"`
	Type         string   `json:"application_type,omitempty"`

	// Method is none, client_secret_basic, client_secret_post or private_key_jwt.
	// If zero, it is private_key_jwt for a client with a key, none for one without
	// key and secret and client_secret_basic for others.
	Method string `json:"token_endpoint_auth_method,omitempty"`

	// Key is what the client signs by, KeyID the name of that in its assertions,
	// if it is to have one.
	Key   crypto.PublicKey `json:"-"`
	KeyID string           `json:"-"`

	// BoundTokens is what the client said of itself when it was registered.
	BoundTokens bool `json:"dpop_bound_access_tokens,omitempty"`
}

func (c Client) method() string {
	if c.Method != "" {
		return c.Method
	}
	if c.Key != nil {
		return "private_key_jwt"
	}
	if c.Secret == "" {
		return "none"
	}
	return "client_secret_basic"
}

// Counts are how often things happened at a [Server].
type Counts struct {
	Metadata          int // metadata documents asked for, whether they exist or not
	Registrations     int // POST /register
	Prompts           int // pages shown to a person
	TokenRequests     int // POST /token, of all kinds
	Codes             int // codes exchanged with success
	Refreshes         int // refresh tokens exchanged with success
	ClientCredentials int // client_credentials with success
	Revocations       int // POST /revoke
	Reuses            int // refresh tokens and codes that were used twice
	Assertions        int // assertions exchanged with success, by the jwt-bearer grant
	Exchanges         int // id tokens exchanged with success
	Proofs            int // DPoP proofs that were right
	NoncesWanted      int // requests that were refused for want of a nonce
}

// A Server is an authorization server. Make one with [New]. All methods are
// safe for concurrent use.
type Server struct {
	URL    string // the origin, without a slash
	Issuer string

	mux *http.ServeMux

	mu        sync.Mutex // guards the fields below
	config    Config
	counts    Counts
	requests  []string
	clients   map[string]Client
	resources map[string]bool
	codes     map[string]*code
	access    map[string]*token
	refresh   map[string]*token
	jtis      map[string]bool // of client assertions

	assertions []string

	proofs proofs
}

// New starts a server that ends with the test.
func New(tb testing.TB, config Config) *Server {
	s := &Server{
		mux:       http.NewServeMux(),
		config:    config,
		clients:   map[string]Client{},
		resources: map[string]bool{},
		codes:     map[string]*code{},
		access:    map[string]*token{},
		refresh:   map[string]*token{},
		jtis:      map[string]bool{},
	}
	s.mux.HandleFunc("GET /authorize", s.showConsent)
	s.mux.HandleFunc("POST /authorize", s.decide)
	s.mux.HandleFunc("POST /token", s.exchange)
	s.mux.HandleFunc("POST /register", s.register)
	s.mux.HandleFunc("POST /revoke", s.revoke)
	s.mux.HandleFunc("GET "+wellKnownPath(OAuthMetadata, config.IssuerPath), s.metadata(OAuthMetadata))
	s.mux.HandleFunc("GET "+wellKnownPath(OpenIDMetadata, config.IssuerPath), s.metadata(OpenIDMetadata))
	if config.IssuerPath != "" { // else both OpenID places are one
		s.mux.HandleFunc("GET "+wellKnownPath(OpenIDAppended, config.IssuerPath), s.metadata(OpenIDAppended))
	}
	listener := httptest.NewServer(s)
	tb.Cleanup(listener.Close)
	s.URL = listener.URL
	s.Issuer = s.URL + config.IssuerPath
	return s
}

// ServeHTTP answers a request to the server.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	instead := s.config.Instead[r.URL.Path]
	if strings.Contains(r.URL.Path, "/.well-known/o") && !strings.Contains(r.URL.Path, "/oauth-protected-resource") {
		s.counts.Metadata++
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /token":
		s.counts.TokenRequests++
	case "POST /register":
		s.counts.Registrations++
	case "POST /revoke":
		s.counts.Revocations++
	}
	s.mu.Unlock()
	if instead != nil {
		instead.ServeHTTP(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Change changes how the server behaves from now on.
func (s *Server) Change(change func(*Config)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.config)
}

// Counts returns what has happened so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.counts
	counts.Proofs, counts.NoncesWanted = s.proofs.counts()
	return counts
}

// ForgetNonces makes the nonces of proofs old.
func (s *Server) ForgetNonces() { s.proofs.forget() }

// Requests returns the method and the path of each request so far.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Add makes a client known, as one that was registered by hand.
func (s *Server) Add(c Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[c.ID] = c
}

// Clients returns the clients that were added or registered themselves.
func (s *Server) Clients() []Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.clients))
}

// ForgetClients forgets all clients, as a server does that was set up anew.
func (s *Server) ForgetClients() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.clients)
}

// EndAccess ends all access tokens, as time would. Refresh tokens stay good.
func (s *Server) EndAccess() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
}

// RevokeAll ends every login: access and refresh tokens.
func (s *Server) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
	clear(s.refresh)
}

func (s *Server) knowResource(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources[uri] = true
}

// HTML answers with a web page and status 200, as single-page applications and
// captive portals do for every path.
var HTML http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write([]byte("<!doctype html><title>Welcome</title>"))
})

// Refuse answers with an OAuth error.
func Refuse(status int, code, description string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, status, code, description)
	})
}

func refuse(w http.ResponseWriter, status int, code, description string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Basic")
	}
	writeJSON(w, status, map[string]any{"error": code, "error_description": description})
}

func writeJSON(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(doc)
}

// secret returns an unguessable name of a kind, which a test can look for where
// it must not be.
func secret(kind string) string { return "secret-" + kind + "-" + rand.Text() }
