package mcptool

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// OAuth are the settings of a server's login in a config file. Each may be
// missing.
//
// They stand under "oauth", as Claude Code, VS Code and Gemini CLI write them
// (clientId, clientSecret, scopes, callbackPort, redirectUri), or under "auth",
// as Cursor does (CLIENT_ID, CLIENT_SECRET, scopes). Those that only this program
// has are clientMetadataUrl, issuer, allowHosts, privateKey and privateKeyFile,
// and grant and jwtFile for servers that let in the program itself.
type OAuth struct {
	// Grant is how a token is come by: "client_credentials" for the program itself,
	// "jwt-bearer" for a workload whose platform puts its JWT in JWTFile. If empty, a
	// person logs in.
	Grant   string
	JWTFile string

	ClientID     string
	ClientSecret string

	// PrivateKey belongs to ClientID or MetadataURL, in PEM; PrivateKeyFile has it
	// in a file, and counts if both are set. If both are empty, there is none.
	PrivateKey, PrivateKeyFile string

	// MetadataURL is that of a client metadata document.
	MetadataURL string

	// Issuer is the authorization server that knows ClientID.
	Issuer string

	Scopes []string

	// RedirectURL is where the person comes back to. The setting callbackPort is
	// http://localhost:<port>/callback.
	RedirectURL string

	// AllowHosts are hosts of the login that may have private addresses.
	AllowHosts []string
}

// LogValue implements [slog.LogValuer]: it leaves out the secrets.
func (o OAuth) LogValue() slog.Value {
	return slog.GroupValue(slog.String("client_id", o.ClientID), slog.Bool("client_secret", o.ClientSecret != ""),
		slog.String("issuer", o.Issuer), slog.String("redirect_url", o.RedirectURL))
}

// serverSettings are what is known of a server, in the order in which it is
// read; others are warned about.
var serverSettings = []string{"command", "args", "envFile", "env", "cwd", "url", "serverUrl", "httpUrl", "headers", "type", "transport",
	"transportType", "disabled", "enabled", "timeout", "includeTools", "excludeTools", "disabledTools", "tools", "oauth", "auth", "tramontane"}

// forPeople are settings that only say something to people, or about where the
// entry comes from.
var forPeople = []string{"description", "name", "title", "icon", "tags", "gallery", "version", "note", "notes", "comment"}

// allowing are settings that let a model call without a question.
var allowing = []string{"alwaysAllow", "autoApprove", "autoAllow", "trust"}

// A serverReader reads the settings of one server.
type serverReader struct {
	*configLoader
	server *Server
	urlKey string // the setting that gave the URL
	kind   string // "", "stdio", "http" or "sse"
	oauth  *OAuth
}

// readServer adds the server of an entry, unless it is disabled.
func (l *configLoader) readServer(m member) error {
	m.key.where = fmt.Sprintf("server %q", m.name)
	m.value.where = m.key.where
	switch {
	case m.name == "":
		return l.errorf(m.key, "the name is empty")
	case slices.ContainsFunc(l.config.Servers, func(s *Server) bool { return s.Name == m.name }):
		return l.errorf(m.key, "there is another server of this name")
	}
	settings, err := l.members(m.value)
	if err != nil {
		return err
	}
	settings = slices.DeleteFunc(settings, func(s member) bool { return s.value.null() })
	// What env says goes before what is in a file, null included.
	slices.SortStableFunc(settings, func(a, b member) int {
		return cmp.Compare(slices.Index(serverSettings, a.name), slices.Index(serverSettings, b.name))
	})
	for _, s := range settings {
		if s.name != "disabled" && s.name != "enabled" {
			continue
		}
		is, err := l.flag(s.value)
		if err != nil {
			return err
		}
		if is == (s.name == "disabled") {
			return nil
		}
	}
	r := &serverReader{configLoader: l, server: &Server{Name: m.name, Dir: l.vars.workspace, Logger: l.logger, written: new(written)}}
	for _, s := range settings {
		if err := r.read(s); err != nil {
			return err
		}
	}
	if err := r.check(m); err != nil {
		return err
	}
	l.config.Servers = append(l.config.Servers, r.server)
	if r.oauth != nil {
		l.config.OAuth[m.name] = *r.oauth
	}
	return nil
}

func (r *serverReader) read(m member) (err error) {
	s := r.server
	switch m.name {
	case "command":
		if s.written.command, err = r.text(m.value); err == nil {
			s.Command, err = r.expanded(m.value)
		}
	case "args":
		if s.written.args, _, err = r.texts(m.value); err == nil {
			s.Args, err = r.expandedList(m.value)
		}
	case "env":
		err = r.readEnv(m.value)
	case "envFile":
		err = r.readEnvFile(m.value)
	case "cwd":
		s.Dir, err = r.path(m.value)
	case "url", "serverUrl", "httpUrl":
		err = r.readURL(m)
	case "headers":
		err = r.readHeaders(m.value)
	case "type", "transport", "transportType":
		err = r.readKind(m.value)
	case "timeout":
		s.CallTimeout, err = r.duration(m.value)
	case "includeTools", "tools":
		err = r.includeTools(m.value)
	case "excludeTools", "disabledTools":
		var rules []Rule
		rules, err = r.toolNames(m.value)
		r.config.Policy.Exclude = append(r.config.Policy.Exclude, rules...)
	case "oauth", "auth":
		err = r.readOAuth(m)
	case "tramontane":
		err = r.readOwn(m.value)
	default:
		r.warn(m)
	}
	return err
}

// warn tells of a setting that has no effect.
func (r *serverReader) warn(m member) {
	switch string(m.value.raw) {
	case "[]", "{}", "false", `""`:
		return // it would have none elsewhere, either
	}
	if slices.Contains(forPeople, m.name) || strings.HasPrefix(m.name, "_") || strings.HasPrefix(m.name, "//") || m.name == "disabled" || m.name == "enabled" {
		return
	}
	attrs := []any{"server", r.server.Name, "key", m.name, "at", r.at(m.key.offset)}
	if slices.Contains(allowing, m.name) {
		attrs = append(attrs, "cause", "no config file allows calls; who runs the program does")
	} else if near := didYouMean(m.name, serverSettings); near != "" {
		attrs = append(attrs, "hint", strings.TrimPrefix(near, "; "))
	}
	r.logger.Warn("mcp config: setting has no effect", attrs...)
}

// check looks at the settings together.
func (r *serverReader) check(m member) error {
	s := r.server
	switch {
	case s.Command != "" && s.URL != "":
		return r.errorf(m.value, `it has a "command" and a %q; a server is reached by one of them`, r.urlKey)
	case s.Command != "" && r.kind != "" && r.kind != "stdio":
		return r.errorf(m.value, `its type is a remote one, and it has a "command"; give it a "url", or the type "stdio"`)
	case s.URL != "" && r.kind == "stdio":
		return r.errorf(m.value, `its type is "stdio", and it has a %q; give it a "command", or the type "http"`, r.urlKey)
	case s.Command == "" && s.URL == "" && (r.kind == "http" || r.kind == "sse"):
		return r.errorf(m.value, `it has no "url"`)
	case s.Command == "" && s.URL == "" && r.kind == "":
		return r.errorf(m.value, `it has neither a "command" nor a "url"`)
	case s.Command == "" && s.URL == "":
		return r.errorf(m.value, `it has no "command"`)
	}
	if s.URL == "" {
		if len(s.Header) > 0 || r.oauth != nil {
			r.logger.Warn("mcp config: headers and logins are for servers with a url", "server", s.Name, "at", r.at(m.value.offset))
		}
		s.Header, r.oauth = nil, nil
		return nil
	}
	if len(s.Args) > 0 || len(s.Env) > 0 {
		r.logger.Warn("mcp config: args and env are for servers with a command", "server", s.Name, "at", r.at(m.value.offset))
	}
	s.Args, s.Env, s.Dir = nil, nil, ""
	s.written.args = nil
	s.Transport = Transport(r.kind)
	return nil
}

// expanded returns a string with its variables replaced.
func (r *serverReader) expanded(n node) (string, error) {
	text, err := r.text(n)
	if err != nil {
		return "", err
	}
	return r.vars.expand(n, text)
}

func (r *serverReader) expandedList(n node) ([]string, error) {
	texts, nodes, err := r.texts(n)
	for i := range texts {
		if err == nil {
			texts[i], err = r.vars.expand(nodes[i], texts[i])
		}
	}
	return texts, err
}

// readEnv reads variables. As in VS Code, a number is as good as its text.
func (r *serverReader) readEnv(n node) error {
	all, err := r.members(n)
	if err != nil {
		return err
	}
	if r.server.Env == nil {
		r.server.Env = make(map[string]string)
	}
	for _, m := range all {
		var value string
		var err error
		switch kindOf(m.value) {
		case "null":
			delete(r.server.Env, m.name)
			continue
		case "a number":
			value = string(m.value.raw)
		default:
			value, err = r.expanded(m.value)
		}
		if err != nil {
			return err
		}
		if m.name == "" || strings.ContainsAny(m.name, "=\x00") || strings.Contains(value, "\x00") {
			return r.errorf(m.key, "no variable can have this name or this value")
		}
		if bareVariable.MatchString(value) {
			r.logger.Warn("mcp config: a variable is replaced only in braces, as in ${NAME}",
				"server", r.server.Name, "key", m.name, "at", r.at(m.value.offset))
		}
		r.server.Env[m.name] = value
	}
	return nil
}

// bareVariable is what Gemini CLI replaces, and no other client.
var bareVariable = regexp.MustCompile(`^\$[A-Z_][A-Z0-9_]*$`)

// readEnvFile reads a file of variables.
func (r *serverReader) readEnvFile(n node) error {
	path, err := r.path(n)
	if err != nil {
		return err
	}
	if r.server.Env, err = readEnvFile(path); err != nil {
		return r.errorf(n, "%w", err)
	}
	return nil
}

func (r *serverReader) readURL(m member) error {
	if r.urlKey != "" {
		return r.errorf(m.key, "it has a %q, too; a server has one URL", r.urlKey)
	}
	r.urlKey = m.name
	var err error
	if r.server.written.url, err = r.text(m.value); err != nil {
		return err
	}
	text, err := r.expanded(m.value)
	if err != nil {
		return err
	}
	// The URL may hold a secret, and an error of package url quotes it.
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return r.errorf(m.value, "want a URL that begins with https:// or http://")
	}
	r.server.URL = text
	if m.name == "httpUrl" && r.kind == "" {
		r.kind = "http" // Gemini CLI means streamable HTTP by it
	}
	return nil
}

func (r *serverReader) readHeaders(n node) error {
	all, err := r.members(n)
	if err != nil {
		return err
	}
	r.server.Header = make(http.Header)
	for _, m := range all {
		if m.value.null() {
			continue
		}
		value, err := r.expanded(m.value)
		if err != nil {
			return err
		}
		if !headerName.MatchString(m.name) {
			return r.errorf(m.key, "%q cannot be the name of a header", m.name)
		}
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return r.errorf(m.value, "there is the end of a line or another control character in it")
		}
		r.server.Header.Set(m.name, strings.TrimSpace(value))
	}
	return nil
}

// headerName is a token (RFC 9110, section 5.6.2).
var headerName = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")

// readKind reads how a server is reached, by the names that clients have for it.
func (r *serverReader) readKind(n node) error {
	name, err := r.text(n)
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)) {
	case "stdio", "local":
		r.kind = "stdio"
	case "http", "streamablehttp":
		r.kind = "http"
	case "sse":
		r.kind = "sse"
	default:
		return r.errorf(n, `there is no type %q, only "stdio", "http" and "sse"`, name)
	}
	return nil
}

// includeTools reads names of tools that are let through. An empty list lets
// through none.
func (r *serverReader) includeTools(n node) error {
	rules, err := r.toolNames(n)
	if err == nil && len(rules) == 0 {
		r.config.Policy.Exclude = append(r.config.Policy.Exclude, onServer(r.server.Name, "*"))
	}
	r.config.Policy.Include = append(r.config.Policy.Include, rules...)
	return err
}

// toolNames returns rules for tools of the server by their names. Some clients
// write * for all.
func (r *serverReader) toolNames(n node) ([]Rule, error) {
	names, nodes, err := r.texts(n)
	if err != nil {
		return nil, err
	}
	var rules []Rule
	for i, name := range names {
		switch name {
		case "":
			return nil, r.errorf(nodes[i], "the name is empty")
		case "*":
			rules = append(rules, onServer(r.server.Name, name))
		default:
			rules = append(rules, ExactRule(r.server.Name, name))
		}
	}
	return rules, nil
}

// readOwn reads what only this program knows of a server.
func (r *serverReader) readOwn(n node) error {
	settings, err := r.members(n)
	if err != nil {
		return err
	}
	for _, m := range settings {
		switch m.name {
		case "need":
			r.server.Need, err = parsed(r.configLoader, m.value, parseNeed)
		case "trusted":
			r.server.Trusted, err = r.flag(m.value)
		case "resourceTools":
			r.server.ResourceTools, err = r.flag(m.value)
		case "startTimeout":
			r.server.StartTimeout, err = r.duration(m.value)
		case "tools":
			err = r.readRules(m.value, r.server.Name)
		default:
			return r.unknown(m, "need", "trusted", "resourceTools", "startTimeout", "tools")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseNeed(name string) (Need, error) {
	switch name {
	case "required":
		return Required, nil
	case "optional":
		return Optional, nil
	case "lazy":
		return Lazy, nil
	}
	return 0, fmt.Errorf(`there is no %q, only "required", "optional" and "lazy"`, name)
}

// readOAuth reads the settings of a login.
func (r *serverReader) readOAuth(m member) error {
	if kindOf(m.value) != "an object" {
		r.warn(m) // "auth": "oauth", "oauth": true: a login is tried anyway
		return nil
	}
	settings, err := r.members(m.value)
	if err != nil {
		return err
	}
	if r.oauth == nil {
		r.oauth = new(OAuth)
	}
	o := r.oauth
	for _, s := range settings {
		if s.value.null() {
			continue
		}
		switch s.name {
		case "clientId", "CLIENT_ID":
			o.ClientID, err = r.expanded(s.value)
		case "grant":
			if o.Grant, err = r.expanded(s.value); err == nil && o.Grant != "client_credentials" && o.Grant != "jwt-bearer" {
				return r.errorf(s.value, `want "client_credentials" or "jwt-bearer"`)
			}
		case "jwtFile":
			o.JWTFile, err = r.path(s.value)
		case "privateKey":
			o.PrivateKey, err = r.expanded(s.value)
		case "privateKeyFile":
			o.PrivateKeyFile, err = r.path(s.value)
		case "clientSecret", "CLIENT_SECRET":
			o.ClientSecret, err = r.expanded(s.value)
		case "clientMetadataUrl":
			o.MetadataURL, err = r.expanded(s.value)
		case "issuer":
			o.Issuer, err = r.expanded(s.value)
		case "scopes", "scope":
			o.Scopes, err = r.scopes(s.value)
		case "callbackPort":
			var port uint16
			if json.Unmarshal(s.value.raw, &port) != nil || port == 0 {
				return r.errorf(s.value, "want the number of a port, from 1 to 65535")
			}
			o.RedirectURL = "http://localhost:" + strconv.Itoa(int(port)) + "/callback"
		case "redirectUri", "redirectUrl":
			o.RedirectURL, err = r.expanded(s.value)
		case "allowHosts":
			o.AllowHosts, err = r.expandedList(s.value)
		default:
			r.warn(s)
		}
		if err != nil {
			return err
		}
	}
	if (o.Grant == "jwt-bearer") != (o.JWTFile != "") {
		return r.errorf(m.value, `"grant": "jwt-bearer" and "jwtFile" need each other`)
	}
	return nil
}

// scopes are a list, or words in one string, as in OAuth itself.
func (r *serverReader) scopes(n node) ([]string, error) {
	if kindOf(n) == "a list" {
		return r.expandedList(n)
	}
	text, err := r.expanded(n)
	return strings.Fields(text), err
}
