package mcptool

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
)

// A Config is what a config file says.
type Config struct {
	// Servers are those of the file, in its order, none of them started. The
	// caller closes them. Those with a URL have no Auth.
	Servers Servers

	// Policy is about their tools.
	Policy Policy

	// OAuth are settings for logging in to servers, by their names. Servers
	// without any have no entry, and may want a login all the same.
	OAuth map[string]OAuth

	// LockFile and OnDrift are for a [Guard]. If zero, the file says nothing of
	// them.
	LockFile string
	OnDrift  DriftMode
}

// ConfigOptions are the options of [LoadConfig].
type ConfigOptions struct {
	// Input is asked for the value of each of the file's "inputs" that a server
	// uses, once. The variable TRAMONTANE_INPUT_<ID> is looked at before, with the
	// id in upper case and _ for all that is neither a letter nor a digit. If
	// nil, the input's default is taken.
	Input func(Input) (string, error)

	// Workspace is what ${workspaceFolder} stands for: where servers start, and
	// relative paths. If zero, it is the directory of the file, or the one above
	// if that is .vscode, .cursor or the like.
	Workspace string

	// CacheDir becomes that of the lazy servers. If zero, they are as good as
	// optional.
	CacheDir string

	// Logger receives a warning for each setting that has no effect here, and
	// becomes the Logger of the servers. If nil, it is discarded.
	Logger *slog.Logger
}

// LoadConfig reads MCP servers from a JSON file as other clients write it:
// with the servers under "mcpServers" (Claude Desktop, Claude Code, Cursor,
// Cline, Gemini CLI, Windsurf and others), or under "servers" (VS Code). The
// file may have comments and commas behind the last member. Those servers that
// are disabled are left out, with all that the file says of them.
//
// # Settings of a server
//
//	command, args, env, cwd   a local server; env values may be numbers, and null sets nothing
//	envFile                   a file with lines of NAME=value; env goes before it
//	url, serverUrl, httpUrl   a remote server
//	headers                   sent with each request to it
//	type, transport           stdio, http (also streamable-http, streamableHttp), sse; if missing, it is found out
//	disabled, enabled         whether it is there
//	timeout                   of each request; see below
//	includeTools, excludeTools, disabledTools, tools
//	                          names of tools, as rules of the Policy
//	oauth, auth               settings of a login, see [OAuth]
//	tramontane                what only this program knows, see below
//
// A number as timeout is in milliseconds from 1000 on, as Claude Code, Gemini CLI
// and GitHub Copilot CLI have it, and in seconds below, as Cline and Roo Code do.
// A string has its unit: "90s".
//
// Other settings are warned about with their place, among them those that allow
// calls (alwaysAllow, autoApprove, trust): nobody's config file does that here.
//
// # Settings of this program
//
// They stand under "tramontane", where other clients do not look. In a server:
//
//	need            "required" (the default), "optional" or "lazy", see [Need]
//	trusted         true if what the server says of its tools is believed
//	resourceTools   true if the model can list and read the server's resources
//	startTimeout    a time, as timeout
//	tools           {"include": [...], "exclude": [...], "confirm": [...]} with patterns of a
//	                [Rule], for the tools of this server
//
// And beside the servers:
//
//	tools           the same with whole rules
//	lock            the path of a lock file
//	drift           "block", "ask" or "warn", see [DriftMode]
//
// What is not known there is an error.
//
// # Variables
//
// In all settings of a server, ${NAME} and ${env:NAME} stand for a variable of
// this program's environment, and ${NAME:-default} for one that may be missing or
// empty. ${input:ID} is one of the file's "inputs", ${workspaceFolder} the
// directory of the project, ${workspaceFolderBasename} its last part, ${userHome}
// that of the person, ${cwd} that of this program, and ${/} or ${pathSeparator}
// what stands between directories.
//
// # Errors
//
// An error names the file, the line, the column, the server and the setting, but
// no value that may be a secret.
func LoadConfig(path string, opts *ConfigOptions) (*Config, error) {
	if opts == nil {
		opts = new(ConfigOptions)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("mcp config: %w", err) // it names the file
	}
	workspace := opts.Workspace
	if workspace == "" {
		workspace = filepath.Dir(path)
	}
	if workspace, err = filepath.Abs(workspace); err != nil {
		return nil, fmt.Errorf("mcp config: %w", err)
	}
	if opts.Workspace == "" && slices.Contains(projectDirs, filepath.Base(workspace)) {
		workspace = filepath.Dir(workspace)
	}
	logger := opts.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	file := &configFile{path: path, data: data, logger: logger}
	l := &configLoader{
		configFile: file,
		vars:       &variables{file: file, workspace: workspace, ask: opts.Input, answers: make(map[string]string)},
		config:     &Config{OAuth: make(map[string]OAuth)},
	}
	if err := l.load(); err != nil {
		return nil, err
	}
	for _, s := range l.config.Servers {
		if s.Need == Lazy {
			s.CacheDir = opts.CacheDir
		}
	}
	return l.config, nil
}

// projectDirs are where clients keep their files in a project.
var projectDirs = []string{".vscode", ".cursor", ".claude", ".gemini", ".roo", ".github"}

// A configLoader makes a Config of a file.
type configLoader struct {
	*configFile
	vars   *variables
	config *Config
}

func (l *configLoader) load() error {
	root, err := l.root()
	if err != nil {
		return err
	}
	top, err := l.members(root)
	if err != nil {
		return err
	}
	// VS Code's settings.json has all of it one level below.
	if i := slices.IndexFunc(top, func(m member) bool { return m.name == "mcp" }); i >= 0 && kindOf(top[i].value) == "an object" {
		inner, err := l.members(top[i].value)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(inner, func(m member) bool { return m.name == "servers" }) {
			top = append(top, inner...)
		}
	}
	var servers []member
	found := false
	for _, m := range top {
		switch m.name {
		case "mcpServers", "servers":
			found = true
			some, err := l.members(m.value)
			if err != nil {
				return err
			}
			servers = append(servers, some...)
		case "inputs":
			err = l.vars.readInputs(m.value)
		case "tramontane":
			err = l.readOwn(m.value)
		}
		// Other names are those of other programs' settings, of which a file
		// such as ~/.claude.json has many.
		if err != nil {
			return err
		}
	}
	if !found {
		return l.errorf(root, `it has neither "mcpServers" nor "servers"%s`, l.lost(top))
	}
	for _, m := range servers {
		if err := l.readServer(m); err != nil {
			return err
		}
	}
	return nil
}

// lost says where the servers are in a file that has them elsewhere.
func (l *configLoader) lost(top []member) string {
	for _, m := range top {
		if near := didYouMean(m.name, []string{"mcpServers", "servers"}); near != "" {
			return fmt.Sprintf(", but %q%s", m.name, near)
		}
		if settings, err := l.members(m.value); err == nil && slices.ContainsFunc(settings, func(s member) bool {
			return s.name == "command" || s.name == "url"
		}) {
			return fmt.Sprintf(", and %q seems to be a server; put it under %q", m.name, "mcpServers")
		}
	}
	return ""
}

// readOwn reads the settings of this program beside the servers.
func (l *configLoader) readOwn(n node) error {
	settings, err := l.members(n)
	if err != nil {
		return err
	}
	for _, m := range settings {
		switch m.name {
		case "tools":
			err = l.readRules(m.value, "")
		case "lock":
			l.config.LockFile, err = l.path(m.value)
		case "drift":
			l.config.OnDrift, err = parsed(l, m.value, ParseDriftMode)
		default:
			return l.unknown(m, "tools", "lock", "drift")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unknown is the error of a setting of this program that there is not: a typo
// in a rule must not let a tool through.
func (l *configLoader) unknown(m member, known ...string) error {
	return l.errorf(m.key, "there is no setting %q%s", m.name, didYouMean(m.name, known))
}

// readRules adds to the Policy the rules of "include", "exclude" and "confirm",
// which are for one server unless that is empty.
func (l *configLoader) readRules(n node, server string) error {
	lists, err := l.members(n)
	if err != nil {
		return err
	}
	for _, m := range lists {
		var to *[]Rule
		switch m.name {
		case "include":
			to = &l.config.Policy.Include
		case "exclude":
			to = &l.config.Policy.Exclude
		case "confirm":
			to = &l.config.Policy.Confirm
		default:
			return l.unknown(m, "include", "exclude", "confirm")
		}
		texts, nodes, err := l.texts(m.value)
		if err != nil {
			return err
		}
		for i, text := range texts {
			rule, err := ParseRule(string(onServer(server, text)))
			if err != nil {
				return l.errorf(nodes[i], "%w", err)
			}
			*to = append(*to, rule)
		}
	}
	return nil
}

// parsed returns what a string means.
func parsed[T any](l *configLoader, n node, parse func(string) (T, error)) (T, error) {
	text, err := l.text(n)
	if err != nil {
		var zero T
		return zero, err
	}
	value, err := parse(text)
	if err != nil {
		return value, l.errorf(n, "%w", err)
	}
	return value, nil
}

// path returns a path, which starts at the workspace if it is relative.
func (l *configLoader) path(n node) (string, error) {
	path, err := l.text(n)
	if err != nil {
		return "", err
	}
	if path, err = l.vars.expand(n, path); err != nil {
		return "", err
	}
	if path == "" {
		return "", l.errorf(n, "the path is empty")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.vars.workspace, path)
	}
	return path, nil
}
