package oauthtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// proofs verifies DPoP proofs (RFC 9449 section 4.3) for one server.
type proofs struct {
	mu     sync.Mutex // guards the fields below
	seen   map[string]bool
	nonces map[string]bool // given, and good until forgotten
	count  int             // proofs that were right
	wanted int             // requests that were refused for want of a nonce
}

var errNonce = errors.New("the proof does not hold a nonce of this server")

// check verifies the proof of a request to target, and returns the thumbprint of
// its key. The token is "" at a token endpoint.
func (p *proofs) check(r *http.Request, target, token string, nonces bool) (thumbprint string, err error) {
	values := r.Header.Values("DPoP")
	if len(values) != 1 {
		return "", fmt.Errorf("%d DPoP headers", len(values))
	}
	claims := jwt.MapClaims{}
	parsed, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"})).ParseWithClaims(values[0], claims, func(t *jwt.Token) (any, error) {
		jwk, _ := t.Header["jwk"].(map[string]any)
		if t.Header["typ"] != "dpop+jwt" || jwk == nil || jwk["d"] != nil {
			return nil, errors.New("the header is not one of a proof")
		}
		var public *ecdsa.PublicKey
		public, thumbprint, err = readJWK(jwk)
		return public, err
	})
	if err != nil || !parsed.Valid {
		return "", fmt.Errorf("the proof: %w", err)
	}
	jti, _ := claims["jti"].(string)
	iat, _ := claims["iat"].(float64)
	digest := sha256.Sum256([]byte(token))
	switch {
	case claims["htm"] != r.Method || claims["htu"] != target:
		return "", fmt.Errorf("the proof is for %v %v, not for %s %s", claims["htm"], claims["htu"], r.Method, target)
	case math.Abs(float64(time.Now().Unix())-iat) > 300:
		return "", errors.New("the proof is too old, or too new")
	case token == "" && claims["ath"] != nil, token != "" && claims["ath"] != base64.RawURLEncoding.EncodeToString(digest[:]):
		return "", errors.New("the proof is for another token")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if jti == "" || p.seen[jti] {
		return "", errors.New("the proof was seen before")
	}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	p.seen[jti] = true
	if nonce, _ := claims["nonce"].(string); nonces && !p.nonces[nonce] {
		p.wanted++
		return "", errNonce
	}
	p.count++
	return thumbprint, nil
}

func readJWK(jwk map[string]any) (*ecdsa.PublicKey, string, error) {
	if jwk["kty"] != "EC" || jwk["crv"] != "P-256" {
		return nil, "", errors.New("the key is not on P-256")
	}
	point := []byte{4}
	for _, name := range []string{"x", "y"} {
		text, _ := jwk[name].(string)
		n, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(n) != 32 {
			return nil, "", fmt.Errorf("%s of the key is no coordinate", name)
		}
		point = append(point, n...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, "", err
	}
	canonical, err := json.Marshal(map[string]any{"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"], "y": jwk["y"]})
	if err != nil {
		return nil, "", err
	}
	digest := sha256.Sum256(canonical)
	return public, base64.RawURLEncoding.EncodeToString(digest[:]), nil
}

// announce gives the client its next nonce.
func (p *proofs) announce(w http.ResponseWriter) {
	nonce := secret("nonce")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nonces == nil {
		p.nonces = map[string]bool{}
	}
	p.nonces[nonce] = true
	w.Header().Set("DPoP-Nonce", nonce)
}

// forget makes all nonces old.
func (p *proofs) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.nonces)
}

func (p *proofs) counts() (proofs, wanted int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count, p.wanted
}
