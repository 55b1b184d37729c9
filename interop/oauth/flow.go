package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcpauth"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A world is an MCP server, its authorization server, and a person with a
// directory for their logins.
type world struct {
	*provider
	resource  *resource
	transport mcptool.Transport
	format    string // of the tokens
	person    person
	dir       string
	last      counts
}

// newWorld starts one. The tokens are a JWT, which is good until it ends, or
// opaque, and then the authorization server is asked about each.
func newWorld(ctx context.Context, transport mcptool.Transport, format string, lifetime time.Duration) (*world, error) {
	w := &world{transport: transport, format: format}
	handler, path := http.Handler(mcp.NewStreamableHTTPHandler(newMCP, nil)), "/mcp"
	if transport == mcptool.SSE {
		handler, path = mcp.NewSSEHandler(newMCP, nil), "/sse"
	}
	check := introspect
	if format == jwtFormat {
		check = verify
	}
	var err error
	if w.resource, err = serve(path, handler, check); err != nil {
		return nil, err
	}
	if w.provider, err = startProvider(ctx, lifetime, map[string]string{w.resource.url: format}); err != nil {
		return nil, err
	}
	w.resource.provider = w.provider
	w.dir, err = os.MkdirTemp("", "oauth") // with mode 0700
	return w, err
}

const jwtFormat, opaque = "jwt", "opaque"

func (w *world) end() {
	w.resource.server.Close()
	w.provider.stop()
	os.RemoveAll(w.dir)
}

func (w *world) login() *mcpauth.Login {
	return &mcpauth.Login{
		Server:   w.resource.url,
		Prompter: mcpauth.Loopback{Open: w.person.open, Out: io.Discard},
		Store:    mcpauth.FileStore{Dir: w.dir},
	}
}

func (w *world) server(auth mcptool.Auth) *mcptool.Server {
	return &mcptool.Server{Name: "notes", URL: w.resource.url, Transport: w.transport, Auth: auth}
}

// call makes one call and wants its result.
func call(ctx context.Context, server *mcptool.Server, name string) error {
	tools, err := server.Tools(ctx)
	if err != nil {
		return err
	}
	for _, tool := range tools {
		definition := tool.Definition()
		if definition.Original != name {
			continue
		}
		result, err := tool.Call(ctx, &tramontane.Call{Key: "k", ID: "k", Name: definition.Name, Arguments: json.RawMessage("{}")})
		if err != nil {
			return err
		}
		text, err := json.Marshal(result)
		if err == nil && !strings.Contains(string(text), name+" done") {
			err = fmt.Errorf("the result of %s is %s", name, text)
		}
		return err
	}
	return fmt.Errorf("the server has no tool %s", name)
}

// happened checks what the provider counted since it was last asked.
func (w *world) happened(ctx context.Context, want counts) error {
	now, err := w.counts(ctx)
	if err != nil {
		return err
	}
	got := counts{now.Prompts - w.last.Prompts, now.Registrations - w.last.Registrations, now.Logins - w.last.Logins,
		now.Refreshes - w.last.Refreshes, now.Revocations - w.last.Revocations, now.WithoutResource - w.last.WithoutResource}
	w.last = now
	if got != want {
		return fmt.Errorf("at the authorization server happened %+v, want %+v", got, want)
	}
	return nil
}

func loginOverHTTP(ctx context.Context) error {
	return wholeFlow(ctx, mcptool.StreamableHTTP, jwtFormat)
}

func loginOverSSE(ctx context.Context) error { return wholeFlow(ctx, mcptool.SSE, opaque) }

// wholeFlow is the life of a login, from the first 401 to the logout.
func wholeFlow(ctx context.Context, transport mcptool.Transport, format string) error {
	// Tokens are renewed ten seconds before they end.
	const lifetime = 13 * time.Second
	w, err := newWorld(ctx, transport, format, lifetime)
	if err != nil {
		return err
	}
	defer w.end()
	login := w.login()
	server := w.server(login)
	defer server.Close()
	step := func(tool string, want counts, what string) error {
		if err := errors.Join(call(ctx, server, tool), w.happened(ctx, want)); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		ok("%s", what)
		return nil
	}

	if err := step("read", counts{Prompts: 1, Registrations: 1, Logins: 1}, "a first call: discovery, registration, login"); err != nil {
		return err
	}
	if err := step("read", counts{}, "a second call with the same token"); err != nil {
		return err
	}
	if err := step("write", counts{Prompts: 1, Logins: 1}, "a call that needs more scopes: one login more"); err != nil {
		return err
	}
	again := w.server(w.login())
	err = errors.Join(call(ctx, again, "write"), w.happened(ctx, counts{}))
	again.Close()
	if err != nil {
		return fmt.Errorf("a second program: %w", err)
	}
	ok("a second program finds the login of the first, with its scopes")

	if err := w.untilRenewal(ctx, login); err != nil {
		return err
	}
	if err := step("write", counts{Refreshes: 1}, "a token that ends: a refresh, and nobody is asked"); err != nil {
		return err
	}
	if format == opaque {
		if err := w.endAccess(ctx); err != nil {
			return err
		}
		if err := step("read", counts{Refreshes: 1}, "a 401 while the refresh token is good: a refresh, and nobody is asked"); err != nil {
			return err
		}
	}
	if err := w.revoke(ctx); err != nil {
		return err
	}
	if format == jwtFormat {
		if err := w.untilRenewal(ctx, login); err != nil {
			return err
		}
	}
	if err := step("read", counts{Prompts: 1, Logins: 1}, "a login that was revoked: one login more, with the old registration"); err != nil {
		return err
	}
	return w.leave(ctx, login, server)
}

// untilRenewal waits until the token is about to end.
func (w *world) untilRenewal(ctx context.Context, login *mcpauth.Login) error {
	status, err := login.Status(ctx)
	if err != nil {
		return err
	}
	select {
	case <-time.After(time.Until(status.Expiry.Add(-9 * time.Second))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave logs out, and shows that what is left then is a person to ask.
func (w *world) leave(ctx context.Context, login *mcpauth.Login, server *mcptool.Server) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.resource.url, nil)
	if err != nil {
		return err
	}
	if err := login.Authorize(req); err != nil {
		return err
	}
	token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	if err := login.Logout(ctx, nil); err != nil {
		return fmt.Errorf("logout: %w", err)
	}
	if w.format == opaque {
		if c, err := introspect(ctx, w.provider, token); err == nil {
			return fmt.Errorf("after logout the token is good: %+v", c)
		}
	}
	now, err := w.counts(ctx)
	if err != nil {
		return err
	}
	if now.Revocations == w.last.Revocations {
		return errors.New("the logout revoked nothing at the authorization server")
	}
	w.last = now
	ok("a logout that the authorization server knows of")

	unattended := w.login()
	unattended.Prompter = nil
	alone := w.server(unattended)
	err = call(ctx, alone, "read")
	alone.Close()
	var needs interface{ NeedsLogin() bool }
	if !errors.As(err, &needs) || !needs.NeedsLogin() {
		return fmt.Errorf("a call without a login and a person: %v, want that a login is needed", err)
	}
	ok("a call without a login and a person says that a login is needed")

	w.person.denies.Store(true)
	before := w.person.visits.Load()
	denied := w.server(w.login())
	err = call(ctx, denied, "read")
	denied.Close()
	if asked := w.person.visits.Load() - before; err == nil || asked != 1 {
		return fmt.Errorf("a person who says no: err = %v, and they were asked %d times", err, asked)
	}
	w.person.denies.Store(false)
	ok("a person who says no is asked once")
	if w.last, err = w.counts(ctx); err != nil {
		return err
	}
	if err := call(ctx, server, "read"); err != nil {
		return fmt.Errorf("a call after the logout: %w", err)
	}
	if err := w.happened(ctx, counts{Prompts: 1, Logins: 1}); err != nil {
		return fmt.Errorf("a call after the logout: %w", err)
	}
	ok("a call after the logout: one login more")
	return nil
}
