package mcpauth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			// A server for programs has nothing for people.
			as := oauthtest.New(t, oauthtest.Config{Metadata: func(doc map[string]any) {
				doc["token_endpoint_auth_methods_supported"] = []string{method}
				delete(doc, "authorization_endpoint")
				delete(doc, "code_challenge_methods_supported")
			}})
			as.Add(oauthtest.Client{ID: "robot", Secret: "secret-robot", Method: method, GrantTypes: []string{"client_credentials"}})
			server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{Challenge: "read", Need: needs}, as)
			robot := &mcpauth.ClientCredentials{Server: server.URL, ClientID: "robot", ClientSecret: "secret-robot"}
			callAll(t, 20, func(int) auth { return robot }, server.URL)
			if got := as.Counts().ClientCredentials; got != 1 {
				t.Errorf("%d tokens for 20 calls, want 1", got)
			}
			as.EndAccess()
			callAll(t, 20, func(int) auth { return robot }, server.URL)
			if status, err := call(t.Context(), robot, server.URL, "write"); err != nil || status != http.StatusOK {
				t.Errorf("a call that needs another scope: %d, %v", status, err)
			}
			if status, err := call(t.Context(), robot, server.URL, "read"); err != nil || status != http.StatusOK {
				t.Errorf("a call that needs the first scope: %d, %v", status, err)
			}
			if got := as.Counts().ClientCredentials; got != 3 {
				t.Errorf("%d tokens in all, want 3", got)
			}
		})
	}
}

func TestClientCredentialsAhead(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{Lifetime: 5 * time.Second})
	as.Add(oauthtest.Client{ID: "robot", Secret: "secret-robot", GrantTypes: []string{"client_credentials"}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	robot := &mcpauth.ClientCredentials{Server: server.URL, ClientID: "robot", ClientSecret: "secret-robot"}
	mustCall(t, robot, server.URL)
	as.Change(func(c *oauthtest.Config) { c.Lifetime = 0 })
	mustCall(t, robot, server.URL)
	mustCall(t, robot, server.URL)
	if refused := server.Counts().Refused["POST"]; refused != 1 {
		t.Errorf("%d calls were refused, want the first only", refused)
	}
}

func TestClientCredentialsRefused(t *testing.T) {
	t.Parallel()
	as, other := oauthtest.New(t, oauthtest.Config{}), oauthtest.New(t, oauthtest.Config{})
	as.Add(oauthtest.Client{ID: "robot", Secret: "secret-robot", GrantTypes: []string{"client_credentials"}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{}, as)
	for _, tt := range []struct {
		robot *mcpauth.ClientCredentials
		want  string
	}{
		{&mcpauth.ClientCredentials{ClientID: "robot"}, "client id and its secret or private key"},
		{&mcpauth.ClientCredentials{ClientID: "robot", ClientSecret: "secret-wrong"}, "401 invalid_client"},
		{&mcpauth.ClientCredentials{ClientID: "robot", ClientSecret: "secret-robot", ClientIssuer: other.Issuer}, "the client id is for " + other.Issuer},
		{&mcpauth.ClientCredentials{ClientID: "robot", ClientSecret: "secret-robot", ClientAuth: "tls_client_auth"}, "not supported"},
		{&mcpauth.ClientCredentials{ClientID: "robot", ClientSecret: "secret-robot", ClientAuth: "private_key_jwt"}, "private key of the client is missing"},
	} {
		tt.robot.Server = server.URL
		if _, err := call(t.Context(), tt.robot, server.URL, "any"); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret-") {
			t.Errorf("call as %v: %v, want an error with %q and no secret", tt.robot, err, tt.want)
		}
	}

	// The secret stays with the server that it was first good for.
	robot := &mcpauth.ClientCredentials{Server: server.URL, ClientID: "robot", ClientSecret: "secret-robot"}
	mustCall(t, robot, server.URL)
	server.Move(other)
	if _, err := call(t.Context(), robot, server.URL, "any"); err == nil || other.Counts().TokenRequests != 0 {
		t.Errorf("call after the server changed its authorization server: %v, %d token requests there", err, other.Counts().TokenRequests)
	}

	// A server that refuses every token.
	server.Move(as)
	server.Change(func(c *oauthtest.ResourceConfig) {
		c.Metadata = metadata("authorization_servers", []string{as.Issuer})
	})
	server.Move(other)
	var err error
	for range 20 {
		_, err = call(t.Context(), robot, server.URL, "any")
	}
	if err == nil || !strings.Contains(err.Error(), "refuses every token") || as.Counts().ClientCredentials > 6 {
		t.Errorf("call: %v after %d tokens", err, as.Counts().ClientCredentials)
	}
}
