package oauthtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Places of a protected resource's metadata (RFC 9728).
const (
	InHeader = "header" // at a URL that only WWW-Authenticate tells
	AtPath   = "path"   // /.well-known/oauth-protected-resource, before the path of the resource
	AtRoot   = "root"   // /.well-known/oauth-protected-resource
)

// elsewhere is where the metadata is that only the header tells of.
const elsewhere = "/about-this-resource"

// What a resource knows of DPoP.
const (
	Offered = "offered"
	Only    = "only"
)

// A ResourceConfig says how a [Resource] differs from one that does everything
// right.
type ResourceConfig struct {
	// Path is the path of the resource. If zero, "/mcp".
	Path string

	// Beside has the resource at the origin of its first server, as servers of
	// the protocol version 2025-03-26 are. Fixed when the resource is made.
	Beside bool

	// Places are where the metadata is. If nil, everywhere; if empty and not nil,
	// there is none.
	Places []string

	// Metadata changes the metadata document before it is sent. If nil, it stays
	// as it is.
	Metadata func(doc map[string]any)

	// Scopes are the scopes that the metadata names. If nil, it names none.
	Scopes []string

	// Challenge is the scope of the challenge in a 401. If zero, it names none.
	Challenge string

	// DPoP says what the resource knows of tokens that are bound to a key: "" is
	// nothing, [Offered] takes them and others, [Only] no others.
	DPoP string

	// Nonces wants a nonce of the resource in each proof.
	Nonces bool

	// Need returns the scopes, separated by spaces, that a request needs. If nil,
	// none.
	Need func(r *http.Request, body []byte) string
}

// ResourceCounts are how often things happened at a [Resource].
type ResourceCounts struct {
	Metadata  int            // metadata documents asked for, whether they exist or not
	Served    int            // requests that went through
	Refused   map[string]int // 401s, by the method of the request
	Forbidden int            // 403s
	InQuery   int            // requests with a token in the URL, which is forbidden

	Proofs       int // DPoP proofs that were right
	NoncesWanted int // requests that were refused for want of a nonce
}

// A Resource is an MCP server, or any other handler, that wants a token. Make
// one with [Protect]. All methods are safe for concurrent use.
type Resource struct {
	URL string // of the handler, which is also the resource's identifier

	origin  string
	path    string
	handler http.Handler

	mu      sync.Mutex // guards the fields below
	config  ResourceConfig
	servers []*Server
	counts  ResourceCounts

	proofs proofs
}

// Protect serves a handler to those who have a token of one of the servers, of
// which there is at least one. It ends with the test.
func Protect(tb testing.TB, handler http.Handler, config ResourceConfig, servers ...*Server) *Resource {
	r := &Resource{path: config.Path, handler: handler, config: config}
	if r.path == "" {
		r.path = "/mcp"
	}
	r.counts.Refused = map[string]int{}
	if config.Beside {
		r.origin = servers[0].URL
		servers[0].mux.Handle(r.path, r)
		servers[0].mux.Handle(r.path+"/", r)
		servers[0].mux.Handle("/.well-known/oauth-protected-resource/", r)
		servers[0].mux.Handle("/.well-known/oauth-protected-resource", r)
		servers[0].mux.Handle(elsewhere, r)
	} else {
		listener := httptest.NewServer(r)
		// Streams of an MCP server stay open for as long as its client wants.
		tb.Cleanup(func() { listener.CloseClientConnections(); listener.Close() })
		r.origin = listener.URL
	}
	r.URL = r.origin + r.path
	r.Move(servers...)
	return r
}

// Move has the resource trust these servers, and no others, from now on.
func (r *Resource) Move(servers ...*Server) {
	for _, s := range servers {
		s.knowResource(r.URL)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers = servers
}

// Change changes how the resource behaves from now on.
func (r *Resource) Change(change func(*ResourceConfig)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.config)
}

// Counts returns what has happened so far.
func (r *Resource) Counts() ResourceCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := r.counts
	counts.Refused = map[string]int{}
	for method, n := range r.counts.Refused {
		counts.Refused[method] = n
	}
	counts.Proofs, counts.NoncesWanted = r.proofs.counts()
	return counts
}

// ForgetNonces makes the nonces of proofs old.
func (r *Resource) ForgetNonces() { r.proofs.forget() }

// ServeHTTP answers a request to the resource or for its metadata.
func (r *Resource) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	config, servers := r.config, r.servers
	r.mu.Unlock()
	if strings.HasPrefix(req.URL.Path, "/.well-known/") || req.URL.Path == elsewhere {
		r.serveMetadata(w, req, config, servers)
		return
	}
	if req.URL.Path != r.path && !strings.HasPrefix(req.URL.Path, strings.TrimSuffix(r.path, "/")+"/") {
		http.NotFound(w, req)
		return
	}
	scheme, name, given := strings.Cut(req.Header.Get("Authorization"), " ")
	var scopes []string
	var jkt string
	ok := false
	for _, s := range servers {
		if !ok {
			scopes, jkt, ok = s.check(name, r.URL)
		}
	}
	problem := ""
	if given {
		problem = "invalid_token"
	}
	if config.DPoP != "" && config.Nonces {
		r.proofs.announce(w)
	}
	switch {
	case config.DPoP != "" && scheme == "DPoP" && ok:
		got, err := r.proofs.check(req, r.URL, name, config.Nonces)
		ok = err == nil && got == jkt
		if err == errNonce {
			problem = "use_dpop_nonce"
		} else if err != nil {
			problem = "invalid_dpop_proof"
		}
	default: // a bound token is of no use to its bearer
		ok = ok && scheme == "Bearer" && jkt == "" && config.DPoP != Only
	}
	if req.URL.Query().Has("access_token") {
		r.count(func(c *ResourceCounts) { c.InQuery++ })
		ok = false
	}
	if !ok {
		r.count(func(c *ResourceCounts) { c.Refused[req.Method]++ })
		r.challenge(w, http.StatusUnauthorized, config, problem, config.Challenge)
		return
	}
	if missing := missingScopes(config, req, scopes); missing != "" {
		r.count(func(c *ResourceCounts) { c.Forbidden++ })
		r.challenge(w, http.StatusForbidden, config, "insufficient_scope", missing)
		return
	}
	r.count(func(c *ResourceCounts) { c.Served++ })
	r.handler.ServeHTTP(w, req)
}

func (r *Resource) count(change func(*ResourceCounts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.counts)
}

// missingScopes returns all scopes that the request needs if it lacks one.
func missingScopes(config ResourceConfig, req *http.Request, have []string) string {
	if config.Need == nil {
		return ""
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return ""
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	need := config.Need(req, body)
	for _, scope := range strings.Fields(need) {
		if !slices.Contains(have, scope) {
			return need
		}
	}
	return ""
}

func (r *Resource) challenge(w http.ResponseWriter, status int, config ResourceConfig, problem, scope string) {
	var params []string
	add := func(name, value string) {
		if value != "" {
			params = append(params, fmt.Sprintf("%s=%q", name, value))
		}
	}
	add("error", problem)
	add("scope", scope)
	if config.has(InHeader) {
		add("resource_metadata", r.origin+elsewhere)
	}
	if config.DPoP != Only {
		w.Header().Add("WWW-Authenticate", strings.TrimSpace("Bearer "+strings.Join(params, ", ")))
	}
	if config.DPoP != "" {
		add("algs", "ES256")
		w.Header().Add("WWW-Authenticate", "DPoP "+strings.Join(params, ", "))
	}
	http.Error(w, http.StatusText(status), status)
}

func (c ResourceConfig) has(place string) bool {
	return c.Places == nil || slices.Contains(c.Places, place)
}

func (r *Resource) serveMetadata(w http.ResponseWriter, req *http.Request, config ResourceConfig, servers []*Server) {
	r.count(func(c *ResourceCounts) { c.Metadata++ })
	place := ""
	switch strings.TrimSuffix(req.URL.Path, "/") {
	case elsewhere:
		place = InHeader
	case "/.well-known/oauth-protected-resource":
		place = AtRoot
	case "/.well-known/oauth-protected-resource" + strings.TrimSuffix(r.path, "/"):
		place = AtPath
	}
	if place == "" || !config.has(place) {
		http.NotFound(w, req)
		return
	}
	doc := map[string]any{"resource": r.URL, "bearer_methods_supported": []string{"header"}}
	var issuers []string
	for _, s := range servers {
		issuers = append(issuers, s.Issuer)
	}
	doc["authorization_servers"] = issuers
	if config.Scopes != nil {
		doc["scopes_supported"] = config.Scopes
	}
	if config.DPoP == Only {
		doc["dpop_bound_access_tokens_required"] = true
	}
	if config.Metadata != nil {
		config.Metadata(doc)
	}
	writeJSON(w, http.StatusOK, doc)
}
