package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tramontane-dev/tramontane/mcpauth"
	"github.com/tramontane-dev/tramontane/mcptool"
)

var encode = base64.RawURLEncoding.EncodeToString

// clientKey is that of the client "robot", clientKeys what the provider knows of
// it.
var clientKey, clientKeys = newClientKey()

func newClientKey() (*ecdsa.PrivateKey, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	keys, err := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "robot", "x": encode(point[1:33]), "y": encode(point[33:]),
	}}})
	if err != nil {
		panic(err)
	}
	return key, string(keys)
}

// boundTokens is a login whose tokens are bound to a key: the provider wants its
// nonce in each proof, and the resource takes no other token.
func boundTokens(ctx context.Context) error {
	const lifetime = 13 * time.Second
	w, err := newWorld(ctx, mcptool.StreamableHTTP, jwtFormat, lifetime)
	if err != nil {
		return err
	}
	defer w.end()
	w.resource.bound = true
	login := w.login()
	server := w.server(login)
	defer server.Close()
	if err := errors.Join(call(ctx, server, "read"), w.happened(ctx, counts{Prompts: 1, Registrations: 1, Logins: 1})); err != nil {
		return err
	}
	if status, err := login.Status(ctx); err != nil || !status.Bound {
		return fmt.Errorf("after a login: %+v, %v; want a token that is bound", status, err)
	}
	ok("a login whose token is bound to a key, with the provider's nonce")
	again := w.server(w.login())
	err = errors.Join(call(ctx, again, "read"), w.happened(ctx, counts{}))
	again.Close()
	if err != nil {
		return fmt.Errorf("a second program: %w", err)
	}
	ok("a second program has the key as well")
	if err := w.untilRenewal(ctx, login); err != nil {
		return err
	}
	if err := errors.Join(call(ctx, server, "read"), w.happened(ctx, counts{Refreshes: 1})); err != nil {
		return err
	}
	ok("a refresh with a proof of the same key")
	return nil
}

// signedClient is a program that signs for itself (private_key_jwt).
func signedClient(ctx context.Context) error {
	w, err := newWorld(ctx, mcptool.StreamableHTTP, jwtFormat, time.Minute)
	if err != nil {
		return err
	}
	defer w.end()
	w.resource.subject = "robot"
	for _, bound := range []bool{false, true} {
		w.resource.bound = bound
		server := w.server(&mcpauth.ClientCredentials{Server: w.resource.url, ClientID: "robot", ClientKey: &mcpauth.Key{Signer: clientKey, ID: "robot"}})
		err := call(ctx, server, "read")
		server.Close()
		if err != nil {
			return err
		}
		ok("a program that signs for itself; token bound: %t", bound)
	}
	w.resource.bound = false
	other, _ := newClientKey()
	server := w.server(&mcpauth.ClientCredentials{Server: w.resource.url, ClientID: "robot", ClientKey: &mcpauth.Key{Signer: other}})
	defer server.Close()
	var answer *mcpauth.Error
	if err := call(ctx, server, "read"); !errors.As(err, &answer) || answer.Code != "invalid_client" {
		return fmt.Errorf("a program with another key: %w", err)
	}
	ok("a program with another key is told invalid_client")
	return nil
}

// checkProof verifies that a request has a proof of the key that its token is
// bound to (RFC 9449 section 4.3).
func (r *resource) checkProof(req *http.Request, token, thumbprint string) error {
	if !r.bound {
		if thumbprint != "" {
			return errors.New("the token is bound to a key")
		}
		return nil
	}
	c := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"})).ParseWithClaims(req.Header.Get("DPoP"), c, func(t *jwt.Token) (any, error) {
		jwk, _ := t.Header["jwk"].(map[string]any)
		canonical, err := json.Marshal(map[string]any{"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"], "y": jwk["y"]})
		if err != nil {
			return nil, err
		}
		if digest := sha256.Sum256(canonical); t.Header["typ"] != "dpop+jwt" || encode(digest[:]) != thumbprint {
			return nil, errors.New("it is of another key")
		}
		point := []byte{4}
		for _, name := range []string{"x", "y"} {
			text, _ := jwk[name].(string)
			n, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil {
				return nil, err
			}
			point = append(point, n...)
		}
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	})
	digest := sha256.Sum256([]byte(token))
	if err == nil && (c["htm"] != req.Method || c["htu"] != r.url || c["ath"] != encode(digest[:])) {
		err = fmt.Errorf("it is for another request: %v", c)
	}
	if err != nil {
		return fmt.Errorf("the proof: %w", err)
	}
	return nil
}
