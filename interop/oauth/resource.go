package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A resource is an MCP server that wants a token for itself with the scope
// mcp:read, and for its tool "write" with mcp:write besides.
type resource struct {
	url      string
	path     string
	handler  http.Handler
	provider *provider
	check    func(ctx context.Context, p *provider, token string) (*claims, error)
	server   *http.Server
	bound    bool   // only tokens that are bound to a key are of use
	subject  string // who may come; "ada" if empty
}

// claims are what a token says.
type claims struct {
	Active   bool   `json:"active"` // only of an introspection
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Subject  string `json:"sub"`
	Scope    string `json:"scope"`
	Expiry   int64  `json:"exp"`
	Bound    struct {
		Thumbprint string `json:"jkt"`
	} `json:"cnf"`
}

func newMCP(*http.Request) *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	for _, name := range []string{"read", "write"} {
		mcp.AddTool(server, &mcp.Tool{Name: name}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name + " done"}}}, nil, nil
		})
	}
	return server
}

// serve starts an MCP server; start has to be called before it is asked.
func serve(path string, handler http.Handler, check func(context.Context, *provider, string) (*claims, error)) (*resource, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &resource{url: "http://" + listener.Addr().String() + path, path: path, handler: handler, check: check}
	r.server = &http.Server{Handler: r}
	go r.server.Serve(listener)
	return r, nil
}

func (r *resource) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	about := "http://" + req.Host + "/.well-known/oauth-protected-resource" + r.path
	if req.URL.Path == "/.well-known/oauth-protected-resource"+r.path {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{
			"resource": r.url, "authorization_servers": []string{r.provider.issuer}, "scopes_supported": []string{"mcp:read", "mcp:write"},
		})
		return
	}
	scheme, subject := "Bearer", "ada"
	if r.bound {
		scheme = "DPoP"
	}
	if r.subject != "" {
		subject = r.subject
	}
	token, ok := strings.CutPrefix(req.Header.Get("Authorization"), scheme+" ")
	c, err := new(claims), errors.New("there is no token")
	if ok {
		c, err = r.check(req.Context(), r.provider, token)
	}
	if err == nil && (c.Issuer != r.provider.issuer || c.Audience != r.url || c.Subject != subject || time.Now().Unix() >= c.Expiry) {
		err = fmt.Errorf("it is for another server or person, or over: %+v", c)
	}
	if err == nil {
		err = r.checkProof(req, token, c.Bound.Thumbprint)
	}
	if err != nil {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`%s error="invalid_token", resource_metadata=%q, scope="mcp:read"`, scheme, about))
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	var message struct {
		Method string
		Params struct{ Name string }
	}
	json.Unmarshal(body, &message) // what is no message is for the handler to refuse
	need := "mcp:read"
	if message.Method == "tools/call" && message.Params.Name == "write" {
		need = "mcp:write"
	}
	if !slices.Contains(strings.Fields(c.Scope), need) {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`%s error="insufficient_scope", resource_metadata=%q, scope=%q`, scheme, about, need))
		http.Error(w, "the token has the scopes "+c.Scope, http.StatusForbidden)
		return
	}
	r.handler.ServeHTTP(w, req)
}

// introspect asks the provider about an opaque token (RFC 7662).
func introspect(ctx context.Context, p *provider, token string) (*claims, error) {
	form := url.Values{"token": {token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.issuer+"/token/introspection", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("resource-server", p.secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	c := new(claims)
	if err := json.NewDecoder(resp.Body).Decode(c); err != nil {
		return nil, err
	}
	if !c.Active {
		return nil, errors.New("the token is not active")
	}
	return c, nil
}

// verify checks a token that is a JWT with the provider's key (RFC 9068).
func verify(ctx context.Context, p *provider, token string) (*claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("the token is no JWT")
	}
	var header struct{ Alg, Typ string }
	c := new(claims)
	for i, into := range []any{&header, c} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, into); err != nil {
			return nil, err
		}
	}
	if header.Alg != "RS256" || header.Typ != "at+jwt" {
		return nil, fmt.Errorf("the token is of the kind %+v", header)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	key, err := p.key(ctx)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return c, rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
}

func (p *provider) key(ctx context.Context) (*rsa.PublicKey, error) {
	var set struct{ Keys []struct{ N, E string } }
	if err := p.do(ctx, http.MethodGet, "/jwks", &set); err != nil {
		return nil, err
	}
	if len(set.Keys) != 1 {
		return nil, fmt.Errorf("the provider has %d keys", len(set.Keys))
	}
	n, err := base64.RawURLEncoding.DecodeString(set.Keys[0].N)
	if err != nil {
		return nil, err
	}
	e, err := base64.RawURLEncoding.DecodeString(set.Keys[0].E)
	if err != nil {
		return nil, err
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}
