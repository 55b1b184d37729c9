package mcpauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	dpopHeader  = "DPoP"
	nonceHeader = "DPoP-Nonce"

	// useNonce is the error of both servers that a proof needs their nonce
	// (RFC 9449 sections 8 and 9).
	useNonce = "use_dpop_nonce"

	// invalidProof is the error of both that they do not take a proof.
	invalidProof = "invalid_dpop_proof"

	// maxNonce is more than any nonce has; some are encrypted times.
	maxNonce = 4 << 10
)

// A proofKey is the key that tokens are bound to (RFC 9449). There is one for
// each login: servers cannot tell by it that two logins are of one person.
type proofKey struct {
	private *ecdsa.PrivateKey
	public  map[string]string // as a JWK (RFC 7517)
}

func newProofKey() (*proofKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for DPoP: %w", err)
	}
	return proofKeyOf(private)
}

func proofKeyOf(private *ecdsa.PrivateKey) (*proofKey, error) {
	point, err := private.PublicKey.ECDH()
	if err != nil || private.Curve != elliptic.P256() {
		return nil, errors.New("a key for DPoP has to be on the curve P-256")
	}
	xy := point.Bytes()[1:] // after the byte that says that it is not compressed
	return &proofKey{private, map[string]string{"kty": "EC", "crv": "P-256", "x": base64URL(xy[:32]), "y": base64URL(xy[32:])}}, nil
}

// encode returns the key for the store, where it is as safe as the refresh token
// beside it.
func (k *proofKey) encode() []byte {
	if k == nil {
		return nil
	}
	data, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil // not for a key on P-256
	}
	return data
}

func decodeProofKey(data []byte) (*proofKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(data)
	private, ok := key.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("the saved key is malformed")
	}
	return proofKeyOf(private)
}

// thumbprint names the key (RFC 7638).
func (k *proofKey) thumbprint() string {
	canonical, _ := json.Marshal(k.public) // its members in order, as of every map of strings
	digest := sha256.Sum256(canonical)
	return base64URL(digest[:])
}

// proof proves for one request that its sender has the key (RFC 9449 section
// 4.2). The token is the one that goes with the request, and nonce the last
// that the server gave; either may be empty.
func (k *proofKey) proof(method, target, token, nonce string) (string, error) {
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": target, "iat": time.Now().Unix()}
	if token != "" {
		digest := sha256.Sum256([]byte(token))
		claims["ath"] = base64URL(digest[:])
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	proof, err := signJWT(k.private, map[string]any{"typ": "dpop+jwt", "jwk": k.public}, claims)
	if err != nil {
		return "", fmt.Errorf("sign the DPoP proof: %w", err)
	}
	return proof, nil
}

// target is the URL of a request for its proof: as the server sees it, without
// query and fragment, in the form that comparisons expect (RFC 9449 sections
// 4.2 and 4.3).
func target(u *url.URL, host string) string {
	if host == "" {
		host = u.Host
	}
	to := url.URL{Scheme: strings.ToLower(u.Scheme), Host: strings.ToLower(host), Path: u.Path, RawPath: u.RawPath}
	if port := to.Port(); to.Scheme == "https" && port == "443" || to.Scheme == "http" && port == "80" {
		to.Host = strings.TrimSuffix(to.Host, ":"+port)
	}
	if to.Path == "" {
		to.Path = "/"
	}
	return to.String()
}

// readNonce returns the nonce that a response brings, or "".
func readNonce(h http.Header) string {
	values := h.Values(nonceHeader)
	if len(values) != 1 || len(values[0]) > maxNonce || !isHeaderValue(values[0]) || strings.ContainsAny(values[0], `"\`) {
		return ""
	}
	return values[0]
}

// nonces are the last ones of authorization servers, by origin. A server may
// give another with every answer.
type nonces struct {
	mu   sync.Mutex // guards the field below
	last map[string]string
}

// maxNonces is more than a login has authorization servers.
const maxNonces = 16

func (n *nonces) get(origin string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last[origin]
}

func (n *nonces) set(origin, nonce string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == nil || len(n.last) >= maxNonces {
		n.last = map[string]string{}
	}
	n.last[origin] = nonce
}

// A binding says what tokens are bound to. The zero value: to nothing.
type binding struct {
	key      *proofKey // nil: none
	required bool      // a token that is not bound is of no use
}

// bind decides whether tokens of the realm are to be bound to a key. They have to
// be if the person says so (asked), or the server, which does so in its metadata
// or by a challenge for nothing else. Otherwise they are if both servers know of
// it. That the authorization server alone does is not enough: many offer it to
// all, and a server behind one that never heard of DPoP would refuse the token.
func (r *realm) bind(ch challenge, prm *protectedResource, asked bool) error {
	required := asked || prm.BoundTokens || ch.dpopOnly
	knows := required || ch.dpop || len(prm.DPoP) > 0
	offered := slices.Contains(r.DPoP, es256)
	if required && len(r.DPoP) > 0 && !offered {
		return fmt.Errorf("it verifies DPoP proofs by %q only, and they are signed by %s here", printableAll(r.DPoP), es256)
	}
	r.bound, r.boundOnly = required || knows && offered, required
	return nil
}

// binding makes the key for a login.
func (r *realm) binding() (binding, error) {
	if !r.bound {
		return binding{}, nil
	}
	key, err := newProofKey()
	return binding{key, r.boundOnly}, err
}
