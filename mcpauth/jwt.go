package mcpauth

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
)

// maxJWT is more than any token of a platform or company has.
const maxJWT = 64 << 10

// signJWT signs claims in the compact form (RFC 7515 section 7.1), by the
// algorithm of the key, which it sets in the header.
func signJWT(key crypto.Signer, header, claims map[string]any) (string, error) {
	if key == nil {
		return "", errors.New("the private key has no signer")
	}
	algorithm, err := algorithmOf(key.Public())
	if err != nil {
		return "", err
	}
	header["alg"] = algorithm
	head, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := base64URL(head) + "." + base64URL(body)
	digest := sha256.Sum256([]byte(signed))
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err == nil && algorithm == es256 {
		signature, err = joined(signature)
	}
	if err != nil {
		return "", err
	}
	return signed + "." + base64URL(signature), nil
}

// joined turns the ASN.1 form of a signature on P-256 into that of RFC 7518
// section 3.4.
func joined(signature []byte) ([]byte, error) {
	var both struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(signature, &both); err != nil || len(rest) > 0 {
		return nil, errors.New("the signer returned no ECDSA signature in ASN.1")
	}
	out := make([]byte, 64)
	for i, n := range []*big.Int{both.R, both.S} {
		if n.Sign() <= 0 || n.BitLen() > 256 {
			return nil, errors.New("the signer returned a signature of another curve")
		}
		n.FillBytes(out[32*i : 32*i+32])
	}
	return out, nil
}

// jwtClaims are those that a JWT which somebody else made is looked at for. None
// is believed: they are not verified.
type jwtClaims struct {
	Nonce    string
	Audience []string
}

// readJWT reads the claims of a JWT in compact form.
func readJWT(token string) (jwtClaims, error) {
	var c jwtClaims
	if err := checkJWT(token); err != nil {
		return c, err
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return c, errNoJWT
	}
	var claims struct {
		Nonce    any `json:"nonce"`
		Audience any `json:"aud"`
	}
	if json.Unmarshal(body, &claims) != nil {
		return c, errNoJWT
	}
	c.Nonce, _ = claims.Nonce.(string)
	switch aud := claims.Audience.(type) {
	case string:
		c.Audience = []string{aud}
	case []any:
		for _, a := range aud {
			if s, ok := a.(string); ok {
				c.Audience = append(c.Audience, s)
			}
		}
	}
	return c, nil
}

var errNoJWT = errors.New("it is no JWT")

// checkJWT reports whether token looks like a signed JWT. The error shows
// nothing of it.
func checkJWT(token string) error {
	switch {
	case token == "":
		return errors.New("it is empty")
	case len(token) > maxJWT:
		return errors.New("it is too large for a JWT")
	case strings.Count(token, ".") != 2 || !isHeaderValue(token):
		return errNoJWT
	}
	return nil
}

func base64URL(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
