package mcpauth_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

var ecKey = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) })

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func pkcs8(key any) string {
	data, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return block("PRIVATE KEY", data)
}

func sec1(key *ecdsa.PrivateKey) string {
	data, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	return block("EC PRIVATE KEY", data)
}

func block(kind string, data []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
}

func TestReadKeys(t *testing.T) {
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey()))
	path := filepath.Join(t.TempDir(), "key.pem")
	for name, tt := range map[string]struct{ pem, want string }{
		"EC in PKCS #8":          {pkcs8(ecKey()), ""},
		"EC in SEC 1":            {sec1(ecKey()), ""},
		"EC with its parameters": {block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}) + sec1(ecKey()), ""},
		"RSA in PKCS #8":         {pkcs8(rsaKey()), ""},
		"RSA in PKCS #1":         {pkcs1, ""},
		"text before it":         {"the key of the robot:\n" + pkcs1, ""},
		"P-384":                  {pkcs8(newEC(elliptic.P384())), "curve P-384"},
		"Ed25519":                {pkcs8(edKey), "has to be ECDSA on P-256, or RSA"},
		"X25519":                 {block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(must(ecdh.X25519().GenerateKey(rand.Reader))))), "does not sign"},
		"encrypted PKCS #8":      {block("ENCRYPTED PRIVATE KEY", []byte("x")), "passphrase"},
		"encrypted PKCS #1":      {string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x")})), "passphrase"},
		"malformed":              {block("PRIVATE KEY", []byte("secret-key")), "malformed"},
		"public":                 {block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(ecKey().Public()))), "no private key"},
		"no PEM":                 {"secret-key", "no private key"},
		"empty file":             {"\n", "no private key"},
	} {
		t.Setenv("MCPAUTH_TEST_KEY", strings.ReplaceAll(tt.pem, "\n", `\n`))
		if err := os.WriteFile(path, []byte(tt.pem), 0o600); err != nil {
			t.Fatal(err)
		}
		_, parsed := mcpauth.ParseKey([]byte(tt.pem))
		_, inOneLine := mcpauth.ParseKey([]byte(os.Getenv("MCPAUTH_TEST_KEY")))
		_, fromEnv := mcpauth.KeyFromEnv("MCPAUTH_TEST_KEY")
		_, fromFile := mcpauth.LoadKey(path)
		for _, err := range []error{parsed, inOneLine, fromEnv, fromFile} {
			if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) || err != nil && strings.Contains(err.Error(), "secret-") {
				t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
			}
		}
	}
	t.Setenv("MCPAUTH_TEST_KEY", "")
	if _, err := mcpauth.KeyFromEnv("MCPAUTH_TEST_KEY"); err == nil || !strings.Contains(err.Error(), "MCPAUTH_TEST_KEY is not set") {
		t.Errorf("a variable that is not set: %v", err)
	}
	if _, err := mcpauth.LoadKey(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := mcpauth.LoadKey(filepath.Dir(path)); err == nil {
		t.Error("a directory is a key")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key        crypto.Signer
		id         string
		algorithms []string
		want       string // of the error
	}{
		"ES256":             {key: ecKey(), algorithms: []string{"ES256"}},
		"RS256":             {key: rsaKey(), id: "one", algorithms: []string{"PS256", "RS256"}},
		"none named":        {key: ecKey()},
		"others named":      {key: ecKey(), algorithms: []string{"RS256", "EdDSA"}, want: `signs by ES256, and the authorization server verifies only ["RS256" "EdDSA"]`},
		"weak":              {key: must(rsa.GenerateKey(rand.Reader, 1024)), want: "1024 bits is too weak"},
		"signs not":         {key: badSigner{ecKey(), nil}, want: "sign the client assertion: the device is gone"},
		"signs nonsense":    {key: badSigner{ecKey(), []byte("secret-signature")}, want: "no ECDSA signature"},
		"signs for another": {key: badSigner{ecKey(), must(ecdsa.SignASN1(rand.Reader, newEC(elliptic.P521()), make([]byte, 64)))}, want: "another curve"},
		"none":              {key: nil, want: "no signer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as := oauthtest.New(t, oauthtest.Config{Metadata: func(doc map[string]any) {
				doc["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"}
				if tt.algorithms != nil {
					doc["token_endpoint_auth_signing_alg_values_supported"] = tt.algorithms
				}
			}})
			if tt.key != nil {
				as.Add(oauthtest.Client{ID: "robot", Key: tt.key.Public(), KeyID: tt.id, GrantTypes: []string{"client_credentials"}})
			}
			server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
			robot := &mcpauth.ClientCredentials{Server: server.URL, ClientID: "robot", ClientKey: &mcpauth.Key{Signer: tt.key, ID: tt.id}}
			if tt.want != "" {
				_, err := call(t.Context(), robot, server.URL, "any")
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret-") || as.Counts().TokenRequests != 0 {
					t.Errorf("call: %v after %d token requests, want an error with %q before the first", err, as.Counts().TokenRequests, tt.want)
				}
				return
			}
			callAll(t, 20, func(int) auth { return robot }, server.URL)
			as.EndAccess()
			mustCall(t, robot, server.URL) // with another assertion: the server takes each once
			if got := as.Counts().ClientCredentials; got != 2 {
				t.Errorf("%d tokens, want 2", got)
			}
		})
	}
}

// A badSigner does not sign, or wrong.
type badSigner struct {
	*ecdsa.PrivateKey
	signature []byte
}

func (s badSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	if s.signature == nil {
		return nil, errors.New("the device is gone")
	}
	return s.signature, nil
}

func TestAssertionAudience(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	as.Add(oauthtest.Client{ID: "robot", Key: ecKey().Public(), GrantTypes: []string{"client_credentials"}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	for audience, right := range map[string]bool{"": true, as.Issuer: true, as.URL + "/token": false} {
		robot := &mcpauth.ClientCredentials{Server: server.URL, ClientID: "robot", ClientIssuer: as.Issuer, ClientKey: &mcpauth.Key{Signer: ecKey(), Audience: audience}}
		_, err := call(t.Context(), robot, server.URL, "any")
		if right && err != nil || !right && (err == nil || !strings.Contains(err.Error(), "401 invalid_client")) {
			t.Errorf("assertion for %q: %v", audience, err)
		}
	}
}

// An assertion for one authorization server does not go to another, which could
// use it there.
func TestAssertionForOneServer(t *testing.T) {
	t.Parallel()
	evil := oauthtest.New(t, oauthtest.Config{})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, evil)
	const honest = "https://honest.example/token"
	key := &mcpauth.Key{Signer: ecKey(), Audience: honest}
	for name, a := range map[string]auth{
		"program":            &mcpauth.ClientCredentials{Server: server.URL, ClientID: "robot", ClientKey: key},
		"program of another": &mcpauth.ClientCredentials{Server: server.URL, ClientID: "robot", ClientKey: key, ClientIssuer: "https://honest.example"},
		"person":             &mcpauth.Login{Server: server.URL, ClientID: "mine", ClientKey: key, Prompter: &person{}, Store: &mcpauth.MemoryStore{}},
		"person of another":  &mcpauth.Login{Server: server.URL, ClientID: "mine", ClientKey: key, ClientIssuer: "https://honest.example", Prompter: &person{}, Store: &mcpauth.MemoryStore{}},
		"document":           &mcpauth.Login{Server: server.URL, MetadataURL: documentURL, ClientKey: key, ClientIssuer: evil.Issuer, Prompter: &person{}, Store: &mcpauth.MemoryStore{}},
		"employee":           &mcpauth.Enterprise{Server: server.URL, ClientID: "agent", ClientKey: key, IdP: evil.Issuer, IDToken: fixed("a.e30.c")},
	} {
		want := "needs the ClientID and ClientIssuer"
		if strings.HasSuffix(name, "of another") {
			want = "https://honest.example"
		}
		if _, err := call(t.Context(), a, server.URL, "any"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", name, err, want)
		}
	}
	if got := evil.Counts().TokenRequests; got != 0 {
		t.Errorf("%d token requests", got)
	}
}

// A login with a key authenticates the exchange, the refresh and the logout.
func TestLoginWithKey(t *testing.T) {
	t.Parallel()
	const document = "https://me.example/client.json"
	own := oauthtest.Client{ID: "mine", Key: rsaKey().Public(), RedirectURIs: []string{callback}}
	described := own
	described.ID = document
	as := oauthtest.New(t, oauthtest.Config{Documents: map[string]oauthtest.Client{document: described}})
	as.Add(own)
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	key := &mcpauth.Key{Signer: rsaKey()}
	store := &mcpauth.MemoryStore{}
	for _, login := range []*mcpauth.Login{{ClientID: "mine"}, {MetadataURL: document}} {
		login.Server, login.Prompter, login.Store, login.ClientKey = server.URL, &person{}, store, key
		mustCall(t, login, server.URL)
		before := as.Counts()
		as.EndAccess()
		mustCall(t, login, server.URL)
		if got := as.Counts().Refreshes - before.Refreshes; got != 1 {
			t.Errorf("%d refreshes, want 1", got)
		}
		if err := login.Logout(t.Context(), nil); err != nil {
			t.Error(err)
		}
		data, err := store.Load(t.Context(), server.URL)
		if err != nil || strings.Contains(string(data), "PRIVATE") || len(data) > 0 && strings.Contains(string(data), "client_assertion") {
			t.Errorf("the store has %s, %v", data, err)
		}
	}
	if got := as.Counts(); got.Registrations != 0 {
		t.Errorf("%+v, want no registration", got)
	}

	alone := &mcpauth.Login{Server: server.URL, Store: store, ClientKey: key}
	if _, err := call(t.Context(), alone, server.URL, "any"); err == nil || !strings.Contains(err.Error(), "ClientKey needs") {
		t.Errorf("a key of no client: %v", err)
	}
	wrong := &mcpauth.Login{Server: server.URL, Store: store, Prompter: &person{}, ClientID: "mine", ClientKey: &mcpauth.Key{Signer: ecKey()}}
	as.Change(func(c *oauthtest.Config) {
		c.Metadata = func(doc map[string]any) { doc["token_endpoint_auth_signing_alg_values_supported"] = []string{"RS256"} }
	})
	if _, err := call(t.Context(), wrong, server.URL, "any"); err == nil || !strings.Contains(err.Error(), "signs by ES256") {
		t.Errorf("a key that the server does not verify: %v", err)
	}
}

func TestKeysStayHidden(t *testing.T) {
	t.Parallel()
	seen := &transcript{}
	key := mcpauth.Key{Signer: ecKey()}
	seen.show(key)
	seen.show(&key)
	seen.show(&mcpauth.ClientCredentials{ClientKey: &key})
	seen.show(&mcpauth.Login{ClientKey: &key})
	seen.show(&mcpauth.Enterprise{IdPKey: &key, IdPSecret: "secret-idp", ClientSecret: "secret-mine"})
	seen.show(&mcpauth.Workload{})
	text := seen.buf.String()
	for _, shown := range []string{"Curve", "PublicKey", "PrivateKey", "secret-"} {
		if strings.Contains(text, shown) {
			t.Errorf("a key was shown, by %q", shown)
		}
	}
	if !strings.Contains(text, "[secret]") {
		t.Error("nothing was shown in place of keys: is the test right?")
	}
}

// An authorization server that repeats what it was sent has nothing of it shown.
func TestAssertionsStayHidden(t *testing.T) {
	t.Parallel()
	var sent []string
	as := oauthtest.New(t, oauthtest.Config{Instead: map[string]http.Handler{"/token": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		sent = append(sent, r.PostForm.Get("client_assertion"))
		oauthtest.Refuse(401, "invalid_client", "no "+r.PostForm.Get("client_assertion")).ServeHTTP(w, r)
	})}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	robot := &mcpauth.ClientCredentials{Server: server.URL, ClientID: "robot", ClientKey: &mcpauth.Key{Signer: ecKey()}}
	_, err := call(t.Context(), robot, server.URL, "any")
	if err == nil || len(sent) != 1 || strings.Contains(err.Error(), sent[0]) || !strings.Contains(err.Error(), "[secret]") {
		t.Errorf("call: %v, after %d assertions", err, len(sent))
	}
}
