package oauthtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	idToken = "urn:ietf:params:oauth:token-type:id_token"
	idJAG   = "urn:ietf:params:oauth:token-type:id-jag"
)

// SignJWT signs claims by a key on P-256 or an RSA key, with typ in the header.
func SignJWT(key crypto.Signer, typ string, claims map[string]any) string {
	var method jwt.SigningMethod = jwt.SigningMethodRS256
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		method = jwt.SigningMethodES256
	}
	t := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	t.Header["typ"] = typ
	signed, err := t.SignedString(key)
	if err != nil {
		panic(err) // the test has another kind of key
	}
	return signed
}

// verifyJWT returns the claims of a JWT that the key has signed, for one of the
// audiences, and that has not ended.
func verifyJWT(token string, key crypto.PublicKey, audiences ...string) (*jwt.Token, jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	t, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256", "RS256"}), jwt.WithExpirationRequired(), jwt.WithAudience(audiences...)).
		ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return key, nil })
	return t, claims, err
}

// checkAssertion verifies that a client has signed its request (RFC 7523 section
// 3). It is called with the lock held.
func (s *Server) checkAssertion(c Client, form url.Values) error {
	if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return errors.New("client_assertion_type")
	}
	t, claims, err := verifyJWT(form.Get("client_assertion"), c.Key, s.Issuer)
	if err != nil {
		return err
	}
	jti, _ := claims["jti"].(string)
	exp, _ := claims.GetExpirationTime()
	switch {
	case claims["iss"] != c.ID || claims["sub"] != c.ID:
		return fmt.Errorf("iss %v, sub %v", claims["iss"], claims["sub"])
	case time.Until(exp.Time) > 5*time.Minute:
		return errors.New("it lives too long")
	case jti == "" || s.jtis[jti]:
		return errors.New("it was seen before")
	case c.KeyID != "" && t.Header["kid"] != c.KeyID:
		return fmt.Errorf("kid %v", t.Header["kid"])
	}
	s.jtis[jti] = true
	return nil
}

// exchangeAssertion is the grant of RFC 7523 section 2.1: an assertion of an
// identity provider, which is for one client and resource, or the identity of a
// workload.
func (s *Server) exchangeAssertion(w http.ResponseWriter, form url.Values, c Client, jkt string) {
	assertion := form.Get("assertion")
	s.assertions = append(s.assertions, assertion)
	t, claims, err := verifyJWT(assertion, s.config.Trusted, s.Issuer, s.URL+"/token")
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid_grant", "the assertion "+assertion+" is not good: "+err.Error())
		return
	}
	if t.Header["typ"] == "oauth-id-jag+jwt" && (claims["client_id"] != c.ID || c.method() == "none" || claims["resource"] != form.Get("resource")) {
		refuse(w, http.StatusBadRequest, "invalid_grant", "the assertion is for another client or resource, or the client did not prove who it is")
		return
	}
	if unknown := s.unknownScope(form.Get("scope")); unknown != "" {
		refuse(w, http.StatusBadRequest, "invalid_scope", "no such scope: "+unknown)
		return
	}
	if t.Header["typ"] == "oauth-id-jag+jwt" && claims["scope"] != form.Get("scope") {
		refuse(w, http.StatusBadRequest, "invalid_scope", "the company allows other scopes")
		return
	}
	s.counts.Assertions++
	l := &login{client: c.ID, resource: form.Get("resource"), scopes: strings.Fields(form.Get("scope")), jkt: jkt}
	s.grant(w, l, l.scopes, "")
}

// IDToken is that of a person who has signed in at the server with a client.
func (s *Server) IDToken(client string, lifetime time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SignJWT(s.config.IdP, "JWT", map[string]any{
		"iss": s.Issuer, "sub": "secret-person", "aud": client, "jti": rand.Text(), "exp": time.Now().Add(lifetime).Unix(),
	})
}

// exchangeToken is the token exchange of an identity provider (RFC 8693, as the
// draft of identity assertion grants has it).
func (s *Server) exchangeToken(w http.ResponseWriter, form url.Values, c Client) {
	if s.config.IdP == nil || form.Get("requested_token_type") != idJAG || form.Get("subject_token_type") != idToken || form.Get("audience") == "" {
		refuse(w, http.StatusBadRequest, "invalid_request", "this is an exchange of id tokens for assertions only")
		return
	}
	subject := form.Get("subject_token")
	_, claims, err := verifyJWT(subject, s.config.IdP.Public(), c.ID)
	if err != nil || claims["iss"] != s.Issuer {
		refuse(w, http.StatusBadRequest, "invalid_grant", fmt.Sprintf("the id token %s is not good: %v", subject, err))
		return
	}
	if !slices.Contains(s.config.Audiences, form.Get("audience")) {
		refuse(w, http.StatusBadRequest, "invalid_target", "the company does not know "+form.Get("audience"))
		return
	}
	s.counts.Exchanges++
	doc := map[string]any{
		"access_token": SignJWT(s.config.IdP, "oauth-id-jag+jwt", map[string]any{
			"iss": s.Issuer, "sub": claims["sub"], "aud": form.Get("audience"), "resource": form.Get("resource"), "scope": form.Get("scope"),
			"client_id": s.config.ClientElsewhere, "jti": "secret-" + rand.Text(), "exp": time.Now().Add(5 * time.Minute).Unix(),
		}),
		"issued_token_type": idJAG,
		"token_type":        "N_A",
		"expires_in":        300,
	}
	if s.config.Token != nil {
		s.config.Token(doc)
	}
	writeJSON(w, http.StatusOK, doc)
}

// Assertions returns those of the jwt-bearer grant that were sent, in order.
func (s *Server) Assertions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.assertions)
}
