package oauthtest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A login is what a person, or a client for itself, was granted. All tokens
// that come of it point to it.
type login struct {
	client   string
	resource string
	scopes   []string
	jkt      string // of the key that its tokens are bound to, or ""
}

const (
	jwtBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
)

type token struct {
	login   *login
	scopes  []string // of a refresh token: none
	expires time.Time
	used    bool
}

type code struct {
	login     *login
	challenge string
	redirect  string
	used      bool
}

// showConsent is what the browser gets for the authorization URL: a page with
// two buttons. Nothing is granted before one is pressed.
func (s *Server) showConsent(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.counts.Prompts++
	c, status, problem := s.checkRedirect(r.URL.Query())
	s.mu.Unlock()
	if problem != "" {
		http.Error(w, problem, status)
		return
	}
	fmt.Fprintf(w, `<!doctype html><p>%s asks for %s</p><form method="post"><button name="decision" value="allow">Allow</button>`+
		`<button name="decision" value="deny">Deny</button></form>`, html.EscapeString(c.Name), html.EscapeString(r.URL.Query().Get("scope")))
}

// checkRedirect says whether the redirect URI may be used at all: if not,
// nothing is sent there (RFC 6749 section 4.1.2.1).
func (s *Server) checkRedirect(q url.Values) (c Client, status int, problem string) {
	c, ok := s.client(q.Get("client_id"))
	if !ok {
		return c, http.StatusUnauthorized, "unknown client_id"
	}
	if !slices.Contains(c.RedirectURIs, q.Get("redirect_uri")) {
		return c, http.StatusBadRequest, "redirect_uri is not registered: " + q.Get("redirect_uri")
	}
	return c, 0, ""
}

func (s *Server) decide(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	_, status, problem := s.checkRedirect(q)
	if problem != "" {
		http.Error(w, problem, status)
		return
	}
	answer := url.Values{}
	if q.Has("state") {
		answer.Set("state", q.Get("state"))
	}
	switch s.config.Iss {
	case "none":
	case "":
		answer.Set("iss", s.Issuer)
	default:
		answer.Set("iss", s.config.Iss)
	}
	if code, description := s.checkAuthorization(q); code != "" {
		answer.Set("error", code)
		answer.Set("error_description", description)
	} else if r.PostFormValue("decision") != "allow" {
		answer.Set("error", "access_denied")
		answer.Set("error_description", "<script>alert('the person said no')</script>")
	} else {
		answer.Set("code", s.newCode(q))
	}
	to, _ := url.Parse(q.Get("redirect_uri"))
	own := to.Query()
	for name, values := range answer {
		own[name] = values
	}
	to.RawQuery = own.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

func (s *Server) checkAuthorization(q url.Values) (code, description string) {
	switch {
	case q.Get("response_type") != "code":
		return "unsupported_response_type", "response_type must be code"
	case q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43:
		return "invalid_request", "PKCE with S256 is required"
	case q.Get("state") == "":
		return "invalid_request", "state is missing"
	}
	if problem := s.checkResource(q); problem != "" {
		return "invalid_target", problem
	}
	if unknown := s.unknownScope(q.Get("scope")); unknown != "" {
		return "invalid_scope", "no such scope: " + unknown
	}
	return "", ""
}

func (s *Server) checkResource(q url.Values) string {
	if !q.Has("resource") && s.config.ResourceOptional {
		return ""
	}
	if len(q["resource"]) != 1 || !s.resources[q.Get("resource")] {
		return fmt.Sprintf("resource is %q, which names no resource of this server", q["resource"])
	}
	return ""
}

func (s *Server) unknownScope(scope string) string {
	for _, name := range strings.Fields(scope) {
		if s.config.Scopes != nil && !slices.Contains(s.config.Scopes, name) {
			return name
		}
	}
	return ""
}

func (s *Server) newCode(q url.Values) string {
	name := secret("code")
	jkt := ""
	if s.config.DPoP != nil {
		jkt = q.Get("dpop_jkt")
	}
	s.codes[name] = &code{
		login:     &login{client: q.Get("client_id"), resource: q.Get("resource"), scopes: strings.Fields(q.Get("scope")), jkt: jkt},
		challenge: q.Get("code_challenge"),
		redirect:  q.Get("redirect_uri"),
	}
	return name
}

// exchange is the token endpoint.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.authenticate(r)
	if !ok {
		refuse(w, http.StatusUnauthorized, "invalid_client", "the client is unknown, or did not prove who it is in the agreed way")
		return
	}
	jkt, ok := s.checkProof(w, r)
	if !ok {
		return
	}
	if problem := s.checkResource(r.PostForm); problem != "" && r.PostForm.Get("grant_type") != tokenExchange {
		refuse(w, http.StatusBadRequest, "invalid_target", problem)
		return
	}
	switch grant := r.PostForm.Get("grant_type"); grant {
	case "authorization_code":
		s.exchangeCode(w, r.PostForm, c, jkt)
	case "refresh_token":
		s.exchangeRefresh(w, r.PostForm, c, jkt)
	case "client_credentials":
		s.exchangeSecret(w, r.PostForm, c, jkt)
	case jwtBearer:
		s.exchangeAssertion(w, r.PostForm, c, jkt)
	case tokenExchange:
		s.exchangeToken(w, r.PostForm, c)
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", grant)
	}
}

// checkProof returns the thumbprint of the key that tokens are to be bound to, or
// "" for none. It is called with the lock held, and answers if it is not ok.
func (s *Server) checkProof(w http.ResponseWriter, r *http.Request) (jkt string, ok bool) {
	if s.config.DPoP == nil {
		return "", true
	}
	if s.config.Nonces {
		s.proofs.announce(w)
	}
	if r.Header.Get("DPoP") == "" && !s.config.BoundOnly {
		return "", true
	}
	jkt, err := s.proofs.check(r, s.URL+"/token", "", s.config.Nonces)
	switch {
	case err == errNonce:
		refuse(w, http.StatusBadRequest, "use_dpop_nonce", err.Error())
	case err != nil:
		refuse(w, http.StatusBadRequest, "invalid_dpop_proof", err.Error())
	}
	return jkt, err == nil
}

func (s *Server) exchangeCode(w http.ResponseWriter, form url.Values, c Client, jkt string) {
	code := s.codes[form.Get("code")]
	if code == nil || code.login.client != c.ID || code.redirect != form.Get("redirect_uri") {
		refuse(w, http.StatusBadRequest, "invalid_grant", "the code is not one of this client and redirect URI")
		return
	}
	if code.used {
		s.counts.Reuses++
		s.end(code.login)
		refuse(w, http.StatusBadRequest, "invalid_grant", "the code was used before")
		return
	}
	code.used = true
	digest := sha256.Sum256([]byte(form.Get("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(digest[:]) != code.challenge {
		refuse(w, http.StatusBadRequest, "invalid_grant", "code_verifier does not match code_challenge")
		return
	}
	if form.Get("resource") != code.login.resource {
		refuse(w, http.StatusBadRequest, "invalid_target", "the person was asked for another resource")
		return
	}
	if code.login.jkt != "" && code.login.jkt != jkt {
		refuse(w, http.StatusBadRequest, "invalid_grant", "the code is bound to another key")
		return
	}
	code.login.jkt = jkt
	s.counts.Codes++
	refresh := ""
	if c.mayRefresh() && (!s.config.OfflineOnly || slices.Contains(code.login.scopes, "offline_access")) {
		refresh = s.newRefresh(code.login)
	}
	s.grant(w, code.login, code.login.scopes, refresh)
}

func (c Client) mayRefresh() bool {
	return c.GrantTypes == nil || slices.Contains(c.GrantTypes, "refresh_token")
}

func (s *Server) exchangeRefresh(w http.ResponseWriter, form url.Values, c Client, jkt string) {
	name := form.Get("refresh_token")
	old := s.refresh[name]
	if old == nil || old.login.client != c.ID {
		refuse(w, http.StatusBadRequest, "invalid_grant", "the refresh token is not one of this client, or was revoked")
		return
	}
	if old.used {
		s.counts.Reuses++
		s.end(old.login)
		refuse(w, http.StatusBadRequest, "invalid_grant", "the refresh token was used before")
		return
	}
	if old.login.jkt != jkt {
		refuse(w, http.StatusBadRequest, "invalid_grant", "the refresh token is bound to another key, or none")
		return
	}
	if form.Get("resource") != old.login.resource {
		refuse(w, http.StatusBadRequest, "invalid_target", "the login was for another resource")
		return
	}
	scopes := old.login.scopes
	if form.Has("scope") {
		scopes = strings.Fields(form.Get("scope"))
	}
	for _, scope := range scopes {
		if !slices.Contains(old.login.scopes, scope) {
			refuse(w, http.StatusBadRequest, "invalid_scope", "a refresh cannot add the scope "+scope)
			return
		}
	}
	s.counts.Refreshes++
	if !s.config.KeepRefresh {
		old.used = true
		name = s.newRefresh(old.login)
	}
	s.grant(w, old.login, scopes, name)
}

func (s *Server) exchangeSecret(w http.ResponseWriter, form url.Values, c Client, jkt string) {
	if c.method() == "none" || !slices.Contains(c.GrantTypes, "client_credentials") {
		refuse(w, http.StatusBadRequest, "unauthorized_client", "this client may not act for itself")
		return
	}
	if unknown := s.unknownScope(form.Get("scope")); unknown != "" {
		refuse(w, http.StatusBadRequest, "invalid_scope", "no such scope: "+unknown)
		return
	}
	s.counts.ClientCredentials++
	l := &login{client: c.ID, resource: form.Get("resource"), scopes: strings.Fields(form.Get("scope")), jkt: jkt}
	s.grant(w, l, l.scopes, "")
}

func (s *Server) newRefresh(l *login) string {
	name := secret("refresh")
	s.refresh[name] = &token{login: l}
	return name
}

// grant makes an access token and sends the answer of the token endpoint.
func (s *Server) grant(w http.ResponseWriter, l *login, scopes []string, refresh string) {
	if s.config.OneLive {
		for name, t := range s.access {
			if t.login.client == l.client && t.login.resource == l.resource {
				delete(s.access, name)
			}
		}
	}
	lifetime := s.config.Lifetime
	if lifetime == 0 {
		lifetime = time.Hour
	}
	name := secret("access")
	s.access[name] = &token{login: l, scopes: scopes, expires: time.Now().Add(lifetime)}
	doc := map[string]any{
		"access_token": name,
		"token_type":   "Bearer",
		"expires_in":   int(lifetime.Seconds()),
		"scope":        strings.Join(scopes, " "),
	}
	if l.jkt != "" {
		doc["token_type"] = "DPoP"
	}
	if refresh != "" {
		doc["refresh_token"] = refresh
	}
	if s.config.Token != nil {
		s.config.Token(doc)
	}
	writeJSON(w, http.StatusOK, doc)
}

// end ends a login and all its tokens. It is called with the lock held.
func (s *Server) end(l *login) {
	for _, tokens := range []map[string]*token{s.access, s.refresh} {
		for name, t := range tokens {
			if t.login == l {
				delete(tokens, name)
			}
		}
	}
}

// revoke is token revocation, RFC 7009: an unknown token is a success. A login
// ends with either of its tokens.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.authenticate(r)
	if !ok {
		refuse(w, http.StatusUnauthorized, "invalid_client", "the client is unknown, or did not prove who it is in the agreed way")
		return
	}
	for _, tokens := range []map[string]*token{s.access, s.refresh} {
		if t := tokens[r.PostForm.Get("token")]; t != nil && t.login.client == c.ID {
			s.end(t.login)
		}
	}
}

// check returns the scopes of a live access token for the resource, and the
// thumbprint of the key that it is bound to, or "".
func (s *Server) check(name, resource string) (scopes []string, jkt string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.access[name]
	if t == nil || !time.Now().Before(t.expires) {
		return nil, "", false
	}
	if t.login.resource == "" && s.config.ResourceOptional {
		return t.scopes, t.login.jkt, true
	}
	return t.scopes, t.login.jkt, t.login.resource == resource
}
