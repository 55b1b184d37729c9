package mcpauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

// A person logs in with the browser of this machine. The second program of the
// same person finds the login in the store.
func ExampleLogin() {
	server, browser, end := exampleServer()
	defer end()
	ctx := context.Background()
	store := &mcpauth.MemoryStore{} // leave it out to use the keyring

	login := &mcpauth.Login{
		Server:   server.URL,
		Prompter: &mcpauth.Loopback{Open: browser.Open, Out: io.Discard}, // leave out both to open the real browser
		Store:    store,
	}
	if err := login.SignIn(ctx); err != nil {
		log.Fatal(err)
	}

	second := &mcpauth.Login{Server: server.URL, Store: store} // has nobody to ask
	status, err := second.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("logged in:", status.LoggedIn, "scopes:", status.Scopes, "refreshable:", status.Refreshable)
	// Output:
	// logged in: true scopes: [projects:read] refreshable: true
}

// Requests of any HTTP client get the token like this. Package mcptool does it
// for MCP servers: set the login as the Auth of a server.
func ExampleLogin_Authorize() {
	server, browser, end := exampleServer()
	defer end()
	login := &mcpauth.Login{
		Server:   server.URL,
		Prompter: &mcpauth.Loopback{Open: browser.Open, Out: io.Discard},
		Store:    &mcpauth.MemoryStore{},
	}
	send := func() (*http.Response, error) {
		req, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader("{}"))
		if err != nil {
			return nil, err
		}
		if err := login.Authorize(req); err != nil {
			return nil, err
		}
		resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirects
		if err != nil || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
			return resp, err
		}
		resp.Body.Close()
		return nil, login.Refused(req, resp)
	}
	resp, err := send()
	if resp == nil && err == nil {
		resp, err = send() // once more, with the new token
	}
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// 200 OK
}

// A program that has its own way to send people somewhere, such as a web
// application, goes step by step.
func ExampleLogin_Begin() {
	server, browser, end := exampleServer()
	defer end()
	ctx := context.Background()
	login := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}

	required, err := login.RequiresAuth(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("needs a login:", required)

	flow, err := login.Begin(ctx, "http://localhost:16010/oauth/callback")
	if err != nil {
		log.Fatal(err)
	}
	// Send the person to flow.AuthURL(). A program that serves several people
	// finds the flow again by flow.State(), which is in the URL they come back to.
	callbackURL, err := browser.Visit(ctx, flow.AuthURL())
	if err != nil {
		log.Fatal(err)
	}

	token, err := flow.Exchange(ctx, callbackURL)
	if err != nil {
		log.Fatal(err)
	}
	if err := login.SetToken(ctx, token); err != nil {
		log.Fatal(err)
	}
	fmt.Println("token:", token.Access)
	// Output:
	// needs a login: true
	// token: [secret]
}

func ExampleLogin_Logout() {
	server, browser, end := exampleServer()
	defer end()
	ctx := context.Background()
	login := &mcpauth.Login{
		Server:   server.URL,
		Prompter: &mcpauth.Loopback{Open: browser.Open, Out: io.Discard},
		Store:    &mcpauth.MemoryStore{},
	}
	if err := login.SignIn(ctx); err != nil {
		log.Fatal(err)
	}
	if err := login.Logout(ctx, nil); err != nil {
		log.Fatal(err)
	}
	status, err := login.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("logged in:", status.LoggedIn)
	// Output:
	// logged in: false
}

// A program without a person: an unattended job with a secret of its own.
func ExampleClientCredentials() {
	server, _, end := exampleServer()
	defer end()
	robot := &mcpauth.ClientCredentials{Server: server.URL, ClientID: "nightly-job", ClientSecret: "keep this out of the code"}
	status, err := call(context.Background(), robot, server.URL, "any")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status)
	// Output:
	// 200
}

// A program whose key stays out of reach of whoever reads its requests.
func ExampleKey() {
	key, err := mcpauth.KeyFromEnv("NIGHTLY_JOB_KEY") // or LoadKey, or a crypto.Signer
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(&mcpauth.ClientCredentials{Server: "https://mcp.example.com/mcp", ClientID: "nightly-job", ClientKey: key})
	// Output:
	// private key: the environment variable NIGHTLY_JOB_KEY is not set
}

// A program in a cluster, whose platform renews its token in a file.
func ExampleWorkload() {
	auth := &mcpauth.Workload{
		Server: "https://mcp.example.com/mcp",
		JWT:    mcpauth.JWTFromFile("/var/run/secrets/tokens/mcp"),
		Issuer: "https://login.example.com", // nobody else gets it
	}
	fmt.Println(auth)
	// Output:
	// workload identity for https://mcp.example.com/mcp
}

// A person who has signed in at their company, and is not asked again.
func ExampleEnterprise() {
	signedIn := func(ctx context.Context, to mcpauth.JWTAudience) (mcpauth.Secret, error) {
		return "the id token of the session", nil
	}
	auth := &mcpauth.Enterprise{
		Server:      "https://mcp.example.com/mcp",
		IDToken:     signedIn,
		IdP:         "https://sso.corp.example",
		IdPClientID: "desktop",
		ClientID:    "corp-desktop",
	}
	fmt.Println(auth)
	// Output:
	// enterprise-managed authorization for https://mcp.example.com/mcp
}

// Without somebody to ask, the error says that a login is needed.
func ExampleNeedsLoginError() {
	server, _, end := exampleServer()
	defer end()
	login := &mcpauth.Login{Server: server.URL, Store: &mcpauth.MemoryStore{}}
	_, err := call(context.Background(), login, server.URL, "any")
	var needs *mcpauth.NeedsLoginError
	if errors.As(err, &needs) {
		fmt.Println("log in first:", needs.Err)
	}
	// Output:
	// log in first: nobody here can be asked
}

// exampleServer starts a server behind an authorization server, and a person
// with a browser who allows everything.
func exampleServer() (server *oauthtest.Resource, browser *oauthtest.Browser, end func()) {
	tb := &examples{}
	as := oauthtest.New(tb, oauthtest.Config{})
	as.Add(oauthtest.Client{ID: "nightly-job", Secret: "keep this out of the code", GrantTypes: []string{"client_credentials"}})
	server = oauthtest.Protect(tb, ok, oauthtest.ResourceConfig{Scopes: []string{"projects:read"}}, as)
	return server, &oauthtest.Browser{}, func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		for _, clean := range tb.cleanups {
			clean()
		}
	}
}

// examples are not tests, and have nothing else to end with.
type examples struct {
	testing.TB

	cleanups []func()
}

func (e *examples) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }
func (e *examples) Helper()          {}
