package oauthtest

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
)

// Places of an authorization server's metadata.
const (
	OAuthMetadata  = "oauth"           // /.well-known/oauth-authorization-server, before the issuer's path (RFC 8414)
	OpenIDMetadata = "openid"          // /.well-known/openid-configuration, before the issuer's path
	OpenIDAppended = "openid-appended" // the same, behind the issuer's path
)

func wellKnownPath(place, issuerPath string) string {
	switch place {
	case OAuthMetadata:
		return "/.well-known/oauth-authorization-server" + issuerPath
	case OpenIDMetadata:
		return "/.well-known/openid-configuration" + issuerPath
	}
	return issuerPath + "/.well-known/openid-configuration"
}

func (s *Server) metadata(place string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		config := s.config
		s.mu.Unlock()
		if config.WellKnown != nil && !slices.Contains(config.WellKnown, place) {
			http.NotFound(w, r)
			return
		}
		doc := map[string]any{
			"issuer":                                         s.Issuer,
			"authorization_endpoint":                         s.URL + "/authorize",
			"token_endpoint":                                 s.URL + "/token",
			"registration_endpoint":                          s.URL + "/register",
			"revocation_endpoint":                            s.URL + "/revoke",
			"response_types_supported":                       []string{"code"},
			"grant_types_supported":                          []string{"authorization_code", "refresh_token", "client_credentials"},
			"code_challenge_methods_supported":               []string{"S256"},
			"token_endpoint_auth_methods_supported":          []string{"none", "client_secret_basic", "client_secret_post"},
			"authorization_response_iss_parameter_supported": config.Iss != "none",
		}
		if config.Scopes != nil {
			doc["scopes_supported"] = config.Scopes
		}
		if config.DPoP != nil {
			doc["dpop_signing_alg_values_supported"] = config.DPoP
		}
		if config.Documents != nil {
			doc["client_id_metadata_document_supported"] = true
		}
		if config.Metadata != nil {
			config.Metadata(doc)
		}
		writeJSON(w, http.StatusOK, doc)
	}
}

// register is dynamic client registration, RFC 7591.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	var c Client
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_client_metadata", err.Error())
		return
	}
	for _, uri := range c.RedirectURIs {
		if u, err := url.Parse(uri); err != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u)) {
			refuse(w, http.StatusBadRequest, "invalid_redirect_uri", "a redirect URI is https, or http on loopback: "+uri)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.RegisterMethod != "" {
		c.Method = s.config.RegisterMethod
	}
	if c.Method == "" {
		c.Method = "client_secret_basic" // the default of RFC 7591
	}
	if c.GrantTypes == nil {
		c.GrantTypes = []string{"authorization_code"}
	}
	if len(c.RedirectURIs) == 0 && slices.Contains(c.GrantTypes, "authorization_code") {
		refuse(w, http.StatusBadRequest, "invalid_redirect_uri", "redirect_uris is empty")
		return
	}
	c.ID, c.Secret = secret("client"), ""
	if c.Method != "none" {
		c.Secret = secret("client-secret")
	}
	s.clients[c.ID] = c
	writeJSON(w, http.StatusCreated, struct {
		Client
		SecretExpires int64 `json:"client_secret_expires_at"`
	}{Client: c})
}

func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// client returns the client of that id: one that is known, or one that a
// document describes. It is called with the lock held.
func (s *Server) client(id string) (Client, bool) {
	if c, ok := s.clients[id]; ok {
		return c, true
	}
	c, ok := s.config.Documents[id]
	return c, ok && c.ID == id
}

// authenticate returns the client that sends a form, if it proves who it is in
// the one way that was agreed. It is called with the lock held.
func (s *Server) authenticate(r *http.Request) (Client, bool) {
	id, pass, basic := r.BasicAuth()
	if basic {
		// RFC 6749 section 2.3.1: both were encoded as in a form.
		id, _ = url.QueryUnescape(id)
		pass, _ = url.QueryUnescape(pass)
		c, ok := s.client(id)
		return c, ok && c.method() == "client_secret_basic" && pass == c.Secret && !r.PostForm.Has("client_secret")
	}
	c, ok := s.client(r.PostForm.Get("client_id"))
	if r.PostForm.Has("client_assertion") {
		return c, ok && c.method() == "private_key_jwt" && s.checkAssertion(c, r.PostForm) == nil
	}
	if r.PostForm.Get("grant_type") == jwtBearer && !r.PostForm.Has("client_id") {
		return Client{}, true // the assertion says who asks
	}
	if r.PostForm.Has("client_secret") {
		return c, ok && c.method() == "client_secret_post" && r.PostForm.Get("client_secret") == c.Secret
	}
	return c, ok && c.method() == "none"
}
