package mcpauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	stockauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

// protectMCP starts an MCP server behind an authorization server.
func protectMCP(t *testing.T, as *oauthtest.Server, config oauthtest.ResourceConfig) *oauthtest.Resource {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "any"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{}, nil, nil
	})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	return oauthtest.Protect(t, handler, config, as)
}

// connectStock connects go-sdk's client with go-sdk's own handler. asked is
// called for each prompt.
func connectStock(t *testing.T, server *oauthtest.Resource, p *person) (*mcp.ClientSession, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	handler, err := stockauth.NewAuthorizationCodeHandler(&stockauth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &stockauth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "stock", RedirectURIs: []string{callback}, TokenEndpointAuthMethod: "none",
			GrantTypes: []string{"authorization_code", "refresh_token"},
		}},
		AcceptUnadvertisedIss: true,
		Client:                client,
		AuthorizationCodeFetcher: func(ctx context.Context, args *stockauth.AuthorizationArgs) (*stockauth.AuthorizationResult, error) {
			answer, err := p.Visit(ctx, args.URL)
			if err != nil {
				return nil, err
			}
			u, err := url.Parse(answer)
			if err != nil {
				return nil, err
			}
			q := u.Query()
			if problem := q.Get("error"); problem != "" {
				return nil, errors.New(problem)
			}
			return &stockauth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, &mcp.StreamableClientTransport{Endpoint: server.URL, HTTPClient: client, OAuthHandler: handler, DisableStandaloneSSE: true, MaxRetries: -1})
}

// connectOurs connects go-sdk's client with our login under it.
func connectOurs(t *testing.T, server *oauthtest.Resource, login *mcpauth.Login) (*mcp.ClientSession, error) {
	t.Helper()
	return connect(t, &mcp.StreamableClientTransport{Endpoint: server.URL, HTTPClient: &http.Client{Transport: authorized{login}}, DisableStandaloneSSE: true, MaxRetries: -1})
}

func connect(t *testing.T, transport mcp.Transport) (*mcp.ClientSession, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}})
	session, err := client.Connect(t.Context(), transport, nil)
	if err == nil {
		t.Cleanup(func() { session.Close() })
	}
	return session, err
}

// authorized is what package mcptool does with an Auth.
type authorized struct{ auth }

func (a authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	for again := true; ; again = false {
		own := req.Clone(req.Context())
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			own.Body = body
		}
		own.Close = true
		if err := a.Authorize(own); err != nil {
			return nil, err
		}
		resp, err := http.DefaultTransport.RoundTrip(own)
		if err != nil || !again || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
			return resp, err
		}
		err = a.Refused(own, resp)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
	}
}

func callTool(ctx context.Context, session *mcp.ClientSession) error {
	_, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "any"})
	return err
}

// TestStockFaults shows faults of go-sdk's own login, each beside what ours
// does. When upstream mends one, its half fails, and the remedy may go.
func TestStockFaults(t *testing.T) {
	t.Parallel()
	newLogin := func(server *oauthtest.Resource, p *person) *mcpauth.Login {
		return &mcpauth.Login{Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}}
	}

	t.Run("A1 asks again who said no", func(t *testing.T) {
		t.Parallel()
		as := oauthtest.New(t, oauthtest.Config{})
		server := protectMCP(t, as, oauthtest.ResourceConfig{})
		stock, ours := &person{}, &person{}
		stock.Deny, ours.Deny = true, true
		if _, err := connectStock(t, server, stock); err == nil {
			t.Error("connected without a token")
		}
		if _, err := connectOurs(t, server, newLogin(server, ours)); err == nil {
			t.Error("connected without a token")
		}
		if stock.Visits() != 2 || ours.Visits() != 1 {
			t.Errorf("prompts: stock %d, ours %d; want 2 and 1", stock.Visits(), ours.Visits())
		}
	})

	t.Run("A2 asks for each of many calls", func(t *testing.T) {
		t.Parallel()
		for name, connect := range map[string]func(*oauthtest.Resource, *person) (*mcp.ClientSession, error){
			"stock": func(r *oauthtest.Resource, p *person) (*mcp.ClientSession, error) { return connectStock(t, r, p) },
			"ours": func(r *oauthtest.Resource, p *person) (*mcp.ClientSession, error) {
				return connectOurs(t, r, newLogin(r, p))
			},
		} {
			as := oauthtest.New(t, oauthtest.Config{OneLive: true})
			server := protectMCP(t, as, oauthtest.ResourceConfig{})
			p := &person{}
			session, err := connect(server, p)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			as.RevokeAll()
			if name == "stock" {
				// The first prompt is not answered before the second: otherwise a
				// quick person could serve all calls that come later.
				p.Before = waitForSecond(t.Context())
			}
			var wg sync.WaitGroup
			failed := make(chan error, 20)
			for range 20 {
				wg.Go(func() {
					if err := callTool(t.Context(), session); err != nil {
						failed <- err
					}
				})
			}
			wg.Wait()
			prompts, registrations := p.Visits()-1, as.Counts().Registrations-1
			switch {
			case name == "stock" && (prompts < 2 || registrations < 2):
				t.Errorf("stock: %d more prompts, %d more registrations for 20 calls", prompts, registrations)
			case name == "ours" && (prompts != 1 || registrations != 0 || len(failed) != 0):
				t.Errorf("ours: %d more prompts, %d more registrations, %d calls failed; want 1, 0, 0", prompts, registrations, len(failed))
			}
		}
	})

	t.Run("A3 takes PKCE that protects nothing", func(t *testing.T) {
		t.Parallel()
		as := oauthtest.New(t, oauthtest.Config{Metadata: metadata("code_challenge_methods_supported", []string{"plain"})})
		server := protectMCP(t, as, oauthtest.ResourceConfig{})
		stock, ours := &person{}, &person{}
		if _, err := connectStock(t, server, stock); err != nil {
			t.Errorf("stock: %v", err)
		}
		if _, err := connectOurs(t, server, newLogin(server, ours)); err == nil || ours.Visits() != 0 {
			t.Errorf("ours: %v after %d prompts, want an error before the first", err, ours.Visits())
		}
	})

	t.Run("A4 refreshes for any resource", func(t *testing.T) {
		t.Parallel()
		// Tokens that end at once: each request begins with a refresh, and the
		// server wants to know for what.
		as := oauthtest.New(t, oauthtest.Config{ResourceOptional: true, Lifetime: time.Second})
		server := protectMCP(t, as, oauthtest.ResourceConfig{})
		if _, err := connectStock(t, server, &person{}); err == nil || !strings.Contains(err.Error(), "invalid_target") {
			t.Errorf("stock: %v, want that the refresh is refused", err)
		}
		before := as.Counts().Refreshes
		if _, err := connectOurs(t, server, newLogin(server, &person{})); err != nil || as.Counts().Refreshes == before {
			t.Errorf("ours: %v after %d refreshes", err, as.Counts().Refreshes-before)
		}
	})

	t.Run("A5 stops at a page of HTML", func(t *testing.T) {
		t.Parallel()
		as := oauthtest.New(t, oauthtest.Config{Instead: map[string]http.Handler{"/.well-known/oauth-authorization-server": oauthtest.HTML}})
		server := protectMCP(t, as, oauthtest.ResourceConfig{})
		if _, err := connectStock(t, server, &person{}); err == nil {
			t.Error("stock: it connects")
		}
		if _, err := connectOurs(t, server, newLogin(server, &person{})); err != nil {
			t.Errorf("ours: %v", err)
		}
	})

	t.Run("A6 asks a person where a refresh would do", func(t *testing.T) {
		t.Parallel()
		as := oauthtest.New(t, oauthtest.Config{})
		server := protectMCP(t, as, oauthtest.ResourceConfig{})
		stock, ours := &person{}, &person{}
		theirs, err := connectStock(t, server, stock)
		if err != nil {
			t.Fatal(err)
		}
		session, err := connectOurs(t, server, newLogin(server, ours))
		if err != nil {
			t.Fatal(err)
		}
		as.EndAccess()
		if err := errors.Join(callTool(t.Context(), theirs), callTool(t.Context(), session)); err != nil {
			t.Error(err)
		}
		if stock.Visits() != 2 || ours.Visits() != 1 {
			t.Errorf("prompts: stock %d, ours %d; want 2 and 1", stock.Visits(), ours.Visits())
		}
	})

	t.Run("issuer that ends in a slash", func(t *testing.T) {
		t.Parallel()
		as := oauthtest.New(t, oauthtest.Config{})
		as.Change(func(c *oauthtest.Config) { c.Metadata, c.Iss = metadata("issuer", as.URL+"/"), as.URL+"/" })
		server := protectMCP(t, as, oauthtest.ResourceConfig{Metadata: metadata("authorization_servers", []string{as.URL + "/"})})
		if _, err := connectStock(t, server, &person{}); err == nil {
			t.Error("stock: it connects")
		}
		if _, err := connectOurs(t, server, newLogin(server, &person{})); err != nil {
			t.Errorf("ours: %v", err)
		}
	})
}

// waitForSecond returns a function whose first call returns once there was a
// second one, or none for so long that none is to be expected.
func waitForSecond(ctx context.Context) func(string) {
	var calls atomic.Int32
	second := make(chan struct{})
	return func(string) {
		switch calls.Add(1) {
		case 1:
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			select {
			case <-second:
			case <-ctx.Done():
			}
		case 2:
			close(second)
		}
	}
}
