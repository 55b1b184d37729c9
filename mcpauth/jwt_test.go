package mcpauth

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The numbers of RFC 9449: the key of its examples, and its token.
func TestProofVectors(t *testing.T) {
	k := &proofKey{public: map[string]string{
		"kty": "EC", "crv": "P-256",
		"x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
	}}
	if got, want := k.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"; got != want {
		t.Errorf("thumbprint = %s, want %s", got, want)
	}
	own, err := newProofKey()
	if err != nil {
		t.Fatal(err)
	}
	proof, err := own.proof("POST", "https://x.example/mcp", "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU", "n")
	if err != nil {
		t.Fatal(err)
	}
	head, claims := parts(t, proof)
	if head["typ"] != "dpop+jwt" || head["alg"] != es256 || claims["ath"] != "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" || claims["nonce"] != "n" {
		t.Errorf("proof = %v %v", head, claims)
	}
	if jwk, _ := head["jwk"].(map[string]any); len(jwk) != 4 || jwk["d"] != nil {
		t.Errorf("jwk = %v", jwk)
	}
	if proof, err = own.proof("POST", "https://x.example/token", "", ""); err != nil {
		t.Fatal(err)
	}
	_, claims = parts(t, proof)
	if _, with := claims["ath"]; with || claims["nonce"] != nil || len(claims) != 4 {
		t.Errorf("claims of a token request = %v", claims)
	}

	again, err := decodeProofKey(own.encode())
	if err != nil || again.thumbprint() != own.thumbprint() || !again.private.Equal(own.private) {
		t.Errorf("the key after the store: %v", err)
	}
}

func parts(t *testing.T, token string) (head, claims map[string]any) {
	t.Helper()
	for i, into := range []*map[string]any{&head, &claims} {
		data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return head, claims
}

func TestTarget(t *testing.T) {
	for _, tt := range []struct{ url, host, want string }{
		{"https://x.example/mcp?key=secret#part", "", "https://x.example/mcp"},
		{"HTTPS://X.Example:443/MCP/", "", "https://x.example/MCP/"},
		{"http://localhost:80", "", "http://localhost/"},
		{"http://[::1]:8080/a%2Fb", "", "http://[::1]:8080/a%2Fb"},
		{"https://10.0.0.1/mcp", "x.example:443", "https://x.example/mcp"},
		{"https://me:secret@x.example:8443/mcp", "", "https://x.example:8443/mcp"},
	} {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := target(u, tt.host); got != tt.want {
			t.Errorf("target(%s, %q) = %s, want %s", tt.url, tt.host, got, tt.want)
		}
	}
}

func TestNoncesAreBounded(t *testing.T) {
	var n nonces
	for i := range 10 * maxNonces {
		n.set(strings.Repeat("x", i), "n")
	}
	if len(n.last) > maxNonces || n.get(strings.Repeat("x", 10*maxNonces-1)) != "n" {
		t.Errorf("%d nonces are kept", len(n.last))
	}
}

func TestReadJWT(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	for body, want := range map[string]jwtClaims{
		`{"aud":"a","nonce":"n"}`:          {Audience: []string{"a"}, Nonce: "n"},
		`{"aud":["a",7,"b",null]}`:         {Audience: []string{"a", "b"}},
		`{"aud":{"a":1},"nonce":{"b":[]}}`: {},
		`{}`:                               {},
	} {
		got, err := readJWT("x." + encode([]byte(body)) + ".z")
		if err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("readJWT of %s = %+v, %v, want %+v", body, got, err, want)
		}
	}
}

func FuzzReadJWT(f *testing.F) {
	f.Add("eyJhbGciOiJub25lIn0.eyJhdWQiOlsiYSJdLCJub25jZSI6Im4ifQ.")
	f.Add("..")
	f.Add("a.e30.b")
	f.Fuzz(func(t *testing.T, token string) {
		_, err := readJWT(token)
		if err != nil && len(token) > 12 && strings.Contains(err.Error(), token) {
			t.Errorf("the error shows the token: %v", err)
		}
		if err == nil && !isHeaderValue(token) {
			t.Errorf("%q fits no header", token)
		}
	})
}

// Whatever a server gives as a nonce, the proof that holds it can be sent and
// says the same.
func FuzzNonce(f *testing.F) {
	f.Add("eyJ7S_zG.eyJH0-Z.HX4w-7v")
	f.Add("a\"b")
	f.Add("\x00")
	key, err := newProofKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, nonce string) {
		got := readNonce(http.Header{"Dpop-Nonce": {nonce}})
		if got == "" {
			return
		}
		proof, err := key.proof("POST", "https://x.example/mcp", "token", got)
		if err != nil || !isHeaderValue(proof) {
			t.Fatalf("proof for %q: %q, %v", nonce, proof, err)
		}
		claims, err := readJWT(proof)
		if err != nil || claims.Nonce != nonce {
			t.Errorf("the proof holds %q, %v, want %q", claims.Nonce, err, nonce)
		}
	})
}

func FuzzExchangeAnswer(f *testing.F) {
	f.Add(`{"access_token":"a.b.c","issued_token_type":"urn:ietf:params:oauth:token-type:id-jag","token_type":"N_A"}`)
	f.Add(`{"access_token":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		got, err := readExchange(&answer{status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(body)})
		if err == nil && (got == "" || !isHeaderValue(string(got)) || len(got) > maxJWT) {
			t.Errorf("readExchange(%q) = %q", body, string(got))
		}
	})
}

// A signature in ASN.1, of any signer, becomes one that verifies, or an error.
func FuzzSignature(f *testing.F) {
	key, err := newProofKey()
	if err != nil {
		f.Fatal(err)
	}
	digest := sha256.Sum256([]byte("x"))
	good, err := ecdsa.SignASN1(rand.Reader, key.private, digest[:])
	if err == nil {
		f.Add(good)
	}
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	f.Add([]byte{0x30, 6, 2, 1, 0xff, 2, 1, 1})
	f.Fuzz(func(t *testing.T, signature []byte) {
		out, err := joined(signature)
		if err != nil {
			return
		}
		r, s := new(big.Int).SetBytes(out[:32]), new(big.Int).SetBytes(out[32:])
		if len(out) != 64 || ecdsa.VerifyASN1(&key.private.PublicKey, digest[:], signature) != ecdsa.Verify(&key.private.PublicKey, digest[:], r, s) {
			t.Errorf("joined(%x) = %x says something else", signature, out)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN EC PRIVATE KEY-----\nDEK-Info: x\n\nAAAA\n-----END EC PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseKey(data)
		if err != nil {
			return
		}
		if _, err := signJWT(k.Signer, map[string]any{}, map[string]any{}); err != nil {
			t.Errorf("the key does not sign: %v", err)
		}
	})
}
