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
func newLogin(s *mcptool.Server, o mcptool.OAuth, key *mcpauth.Key, prompter mcpauth.Prompter) *mcpauth.Login {
	return &mcpauth.Login{
		ClientKey:    key,
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

// newAuth returns what lets in this program, or nil if that is up to a person.
func newAuth(s *mcptool.Server, o mcptool.OAuth, key *mcpauth.Key) mcptool.Auth {
	switch o.Grant {
	case "client_credentials":
		return &mcpauth.ClientCredentials{
			Server:       s.URL,
			ClientID:     o.ClientID,
			ClientKey:    key,
			ClientSecret: mcpauth.Secret(o.ClientSecret),
			ClientIssuer: o.Issuer,
			Scopes:       o.Scopes,
			HTTPClient:   s.HTTPClient,
			AllowHosts:   o.AllowHosts,
		}
	case "jwt-bearer":
		return &mcpauth.Workload{
			Server:     s.URL,
			JWT:        mcpauth.JWTFromFile(o.JWTFile),
			Issuer:     o.Issuer,
			ClientID:   o.ClientID,
			Scopes:     o.Scopes,
			HTTPClient: s.HTTPClient,
			AllowHosts: o.AllowHosts,
		}
	}
	return nil
}

// privateKey returns the key of a client, or nil if it has none.
func privateKey(o mcptool.OAuth) (*mcpauth.Key, error) {
	switch {
	case o.PrivateKeyFile != "":
		return mcpauth.LoadKey(o.PrivateKeyFile)
	case o.PrivateKey != "":
		return mcpauth.ParseKey([]byte(o.PrivateKey))
	}
	return nil, nil
}

// newLogins gives each remote server a login, except where its settings bring
// credentials: an Authorization header, or a user in the URL; or lets in the
// program itself, where they say so. Logins are there by the names of the
// servers.
func (b *toolbox) newLogins(p *person) error {
	b.logins = map[string]*mcpauth.Login{}
	for _, s := range b.servers {
		u, err := url.Parse(s.URL)
		if s.URL == "" || err != nil || u.User != nil || s.Header.Get("Authorization") != "" {
			continue
		}
		o := b.oauth[s.Name]
		key, err := privateKey(o)
		if err != nil {
			return usageErrorf("MCP server %s: the private key of its login: %w", s.Name, err)
		}
		if s.Auth = newAuth(s, o, key); s.Auth != nil {
			continue
		}
		var prompter mcpauth.Prompter
		if p != nil {
			prompter = p.prompter(loopback(o, p.out))
		}
		b.logins[s.Name] = newLogin(s, o, key, prompter)
		s.Auth = b.logins[s.Name]
	}
	return nil
}

// loopback sends the person to their browser, and waits for it where the config
// file says.
func loopback(o mcptool.OAuth, out io.Writer) *mcpauth.Loopback {
	l := &mcpauth.Loopback{Out: out, Elsewhere: "start again with: tramontane mcp login --paste"}
	if u, err := url.Parse(o.RedirectURL); err == nil && o.RedirectURL != "" {
		l.Host, l.Path = u.Hostname(), u.Path
		// A port that is no number is left to the listener to choose.
		l.Port, _ = strconv.Atoi(u.Port())
	}
	return l
}
