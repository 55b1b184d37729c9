package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/tramontane-dev/tramontane/internal/playcalls"
	"github.com/tramontane-dev/tramontane/mcpauth"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// metadataURL is where the suite takes our client metadata document to be. It
// is not there: the suite's authorization server does not fetch it.
const metadataURL = "https://conformance-test.local/client-metadata.json"

// withLogin is the peer as a server behind OAuth, and a person who says yes to
// everything: their browser follows the redirects back to the loopback listener.
func (p *peer) withLogin() *mcptool.Server {
	s := p.server()
	s.Auth = &mcpauth.Login{
		Server:       p.url,
		ClientID:     p.ClientID,
		ClientSecret: mcpauth.Secret(p.ClientSecret),
		MetadataURL:  metadataURL,
		Store:        &mcpauth.MemoryStore{},
		Prompter:     &mcpauth.Loopback{Open: browse, Out: io.Discard},
		Logger:       s.Logger,
	}
	return s
}

func browse(url string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// loggedIn logs in where the server asks for it, and then calls its tool.
func loggedIn(ctx context.Context, p *peer) error {
	s := p.withLogin()
	defer s.Close()
	return call(ctx, s, playcalls.Call{Tool: "test-tool"})
}

// asItself has the program let in as itself, without a person, by its private
// key or its secret.
func asItself(ctx context.Context, p *peer) error {
	auth := &mcpauth.ClientCredentials{Server: p.url, ClientID: p.ClientID, ClientSecret: mcpauth.Secret(p.ClientSecret)}
	if p.PrivateKey != "" {
		key, err := mcpauth.ParseKey([]byte(p.PrivateKey))
		if err != nil {
			return err
		}
		auth.ClientKey = key
	}
	return letIn(ctx, p, auth)
}

// asWorkload has the program let in by the token of its platform.
func asWorkload(ctx context.Context, p *peer) error {
	return letIn(ctx, p, &mcpauth.Workload{Server: p.url, ClientID: p.ClientID, JWT: given(p.WorkloadJWT)})
}

// asEmployee has a person let in by their sign-in at their company.
func asEmployee(ctx context.Context, p *peer) error {
	return letIn(ctx, p, &mcpauth.Enterprise{
		Server:       p.url,
		IdP:          p.IdP,
		IdPClientID:  p.IdPClientID,
		IDToken:      given(p.IDToken),
		ClientID:     p.ClientID,
		ClientSecret: mcpauth.Secret(p.ClientSecret),
	})
}

func given(jwt string) mcpauth.JWTSource {
	return func(context.Context, mcpauth.JWTAudience) (mcpauth.Secret, error) { return mcpauth.Secret(jwt), nil }
}

func letIn(ctx context.Context, p *peer, auth mcptool.Auth) error {
	s := p.server()
	s.Auth = auth
	defer s.Close()
	return call(ctx, s, playcalls.Call{Tool: "test-tool"})
}

// notLetIn finds that no login helps, because of what the server says of itself
// or because it wants what the token has, and says so.
func notLetIn(ctx context.Context, p *peer) error {
	s := p.withLogin()
	defer s.Close()
	_, err := s.Tools(ctx)
	var answer *mcptool.HTTPError
	if !errors.As(err, &answer) || answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusForbidden {
		return fmt.Errorf("the server had to be refused with its 401 or 403, not with %v", err)
	}
	return nil
}

// refused finds that the person's login is not to be trusted, and says that
// another is needed.
func refused(ctx context.Context, p *peer) error {
	s := p.withLogin()
	defer s.Close()
	_, err := s.Tools(ctx)
	var needed *mcpauth.NeedsLoginError
	if !errors.As(err, &needed) {
		return fmt.Errorf("the login had to end in a *NeedsLoginError, not in %v", err)
	}
	if state := s.Status().State; state != mcptool.NeedsLogin {
		return fmt.Errorf("the server is in state %s, not %s", state, mcptool.NeedsLogin)
	}
	return nil
}
