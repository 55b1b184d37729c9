package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tramontane-dev/tramontane/mcpauth"
)

const mcpLoginHelp = `Login has you log in to a remote MCP server: it opens your browser, waits until
it comes back, and keeps what it brings in the keyring of the system, or in a file
that only you can read. Later commands use and renew it without asking.

On a machine without a browser, --paste shows the address instead: open it
anywhere, log in, and paste the address that the browser is sent to in the end.`

func newMCPLoginCommand() *cobra.Command {
	f := new(mcpFlags)
	var paste bool
	cmd := &cobra.Command{
		Use:     "login [flags] NAME",
		Short:   "Log in to a remote MCP server",
		Long:    mcpLoginHelp,
		Example: "  tramontane mcp login --mcp 'linear=https://mcp.linear.app/mcp' linear",
		Args:    oneServer,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, j, err := f.begin(cmd)
			if err != nil {
				return err
			}
			defer j.end()
			login, err := j.login(args[0])
			if err != nil {
				return err
			}
			switch {
			case paste:
				login.Prompter = &mcpauth.Paste{RedirectURL: j.oauth[args[0]].RedirectURL, In: cmd.InOrStdin(), Out: cmd.ErrOrStderr()}
			case login.Prompter == nil:
				login.Prompter = loopback(j.oauth[args[0]], cmd.ErrOrStderr())
			}
			return j.signIn(ctx, args[0], login)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&paste, "paste", false, "ask for the address that the browser is sent to, instead of waiting for it")
	return cmd
}

// oneServer is for commands that take the name of a server.
func oneServer(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageErrorf("%s takes the name of one MCP server, and there are %d arguments; see %[1]s --help", cmd.CommandPath(), len(args))
	}
	return nil
}

// login returns the login of a server.
func (j *mcpJob) login(name string) (*mcpauth.Login, error) {
	servers, err := j.named([]string{name})
	if err != nil {
		return nil, err
	}
	login := j.logins[name]
	switch {
	case login != nil:
		return login, nil
	case servers[0].URL == "":
		return nil, usageErrorf("MCP server %s is a local command: there is no login; give it what it needs under \"env\" in the config file", name)
	}
	if grant := j.oauth[name].Grant; grant != "" {
		return nil, usageErrorf("MCP server %s lets in this program by %s, as the config file has it: nobody has to log in", name, grant)
	}
	return nil, usageErrorf("MCP server %s brings credentials of its own, an Authorization header or a user in its URL, which are sent as they are; remove them to log in", name)
}

func (j *mcpJob) signIn(ctx context.Context, name string, login *mcpauth.Login) error {
	needed, err := login.RequiresAuth(ctx)
	switch {
	case err != nil:
	case needed:
		err = login.SignIn(ctx)
	default:
		// What asks for no login may be no MCP server at all.
		servers, _ := j.named([]string{name})
		err = servers[0].Connect(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return ended(ctx)
	case err != nil:
		return &exitError{exitServer, err}
	}
	if !needed {
		return j.writeLogin(ctx, login, "No login is needed: %s answers without one.\n")
	}
	return j.writeLogin(ctx, login, "Logged in to %s.\n")
}

// writeLogin writes what is known of a login now: as JSON, or that it is done.
func (j *mcpJob) writeLogin(ctx context.Context, login *mcpauth.Login, done string) error {
	st, err := login.Status(ctx)
	if err == nil && st.Err != nil {
		err = st.Err
	}
	switch {
	case err != nil:
		return &exitError{exitFailed, err}
	case j.json:
		return j.out.line(newLoginReport(st))
	}
	return j.out.write(fmt.Appendf(nil, done, printable(st.Server)))
}

// A loginReport says what is known of a login, and no secret.
type loginReport struct {
	LoggedIn    bool     `json:"logged_in"`
	Issuer      string   `json:"issuer,omitempty"`
	Scopes      []string `json:"scopes,omitempty"`
	Expiry      string   `json:"expiry,omitempty"`
	Refreshable bool     `json:"refreshable"`
}

func newLoginReport(st mcpauth.Status) *loginReport {
	r := &loginReport{LoggedIn: st.LoggedIn, Issuer: st.Issuer, Scopes: st.Scopes, Refreshable: st.Refreshable}
	if !st.Expiry.IsZero() {
		r.Expiry = st.Expiry.UTC().Format("2006-01-02T15:04:05Z")
	}
	return r
}

const mcpLogoutHelp = `Logout revokes the tokens of a remote MCP server where its authorization server
lets it, and forgets them. --forget also forgets how this program registered there.`

func newMCPLogoutCommand() *cobra.Command {
	f := new(mcpFlags)
	var forget bool
	cmd := &cobra.Command{
		Use:     "logout [flags] NAME",
		Short:   "Forget the login to a remote MCP server",
		Long:    mcpLogoutHelp,
		Example: "  tramontane mcp logout --mcp-config mcp.json linear",
		Args:    oneServer,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, j, err := f.begin(cmd)
			if err != nil {
				return err
			}
			defer j.end()
			login, err := j.login(args[0])
			if err != nil {
				return err
			}
			err = login.Logout(ctx, &mcpauth.LogoutOptions{Forget: forget})
			if ctx.Err() != nil {
				return ended(ctx)
			}
			if err != nil {
				return &exitError{exitFailed, err}
			}
			return j.writeLogin(ctx, login, "Logged out of %s.\n")
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&forget, "forget", false, "forget the registration of this program as well")
	return cmd
}

// loginAdvice adds to an error what to do when a server wants a login.
func (b *toolbox) loginAdvice(name string, err error) error {
	if _, needed := errors.AsType[*mcpauth.NeedsLoginError](err); !needed {
		return err
	}
	return fmt.Errorf("%w; log in with: %s", err, b.loginCommand(name))
}

func (b *toolbox) loginCommand(name string) string {
	return fmt.Sprintf("tramontane mcp login %s %s", b.origin[name], shellWord(name))
}
