package main

import (
	"io"
	"net/url"
	"strconv"

	"github.com/tramontane-dev/tramontane/mcpauth"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// newLogin returns the login to a remote server. The prompter is nil if nobody
// is to be asked.
func newLogin(s *mcptool.Server, o mcptool.OAuth, prompter mcpauth.Prompter) *mcpauth.Login {
	return &mcpauth.Login{
		Server:       s.URL,
		Prompter:     prompter,
		ClientID:     o.ClientID,
		ClientSecret: mcpauth.Secret(o.ClientSecret),
		ClientIssuer: o.Issuer,
		MetadataURL:  o.MetadataURL,
		Scopes:       o.Scopes,
		HTTPClient:   s.HTTPClient,
		AllowHosts:   o.AllowHosts,
		Logger:       s.Logger,
	}
}

// newLogins gives each remote server a login, except where its settings bring
// credentials: an Authorization header, or a user in the URL. They are there by
// the names of the servers.
func (b *toolbox) newLogins(p *person) {
	b.logins = map[string]*mcpauth.Login{}
	for _, s := range b.servers {
		u, err := url.Parse(s.URL)
		if s.URL == "" || err != nil || u.User != nil || s.Header.Get("Authorization") != "" {
			continue
		}
		var prompter mcpauth.Prompter
		if p != nil {
			prompter = p.prompter(loopback(b.oauth[s.Name], p.out))
		}
		b.logins[s.Name] = newLogin(s, b.oauth[s.Name], prompter)
		s.Auth = b.logins[s.Name]
	}
}

// loopback sends the person to their browser, and waits for it where the config
// file says.
func loopback(o mcptool.OAuth, out io.Writer) *mcpauth.Loopback {
	l := &mcpauth.Loopback{Out: out}
	if u, err := url.Parse(o.RedirectURL); err == nil && o.RedirectURL != "" {
		l.Host, l.Path = u.Hostname(), u.Path
		// A port that is no number is left to the listener to choose.
		l.Port, _ = strconv.Atoi(u.Port())
	}
	return l
}
