package mcptool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ConfigOptions are the options of [LoadConfig].
type ConfigOptions struct {
	// Logger receives a warning for each setting that has no effect here, and
	// becomes the Logger of the servers. If nil, it is discarded.
	Logger *slog.Logger
}

// A Config is what a config file says.
type Config struct {
	// Servers are those of the file, in its order, none of them started. The
	// caller closes them.
	Servers Servers
}

// LoadConfig reads MCP servers from a JSON file as Claude, Cursor and others
// write it, with the servers under "mcpServers", or as VS Code does, under
// "servers". The servers come in the order of the file; those that are
// disabled are left out.
//
// In "command", "args", "env" and "cwd", ${NAME} and ${env:NAME} stand for a
// variable of this program's environment, and ${NAME:-default} for one that
// may be missing. A relative "cwd" starts at the file's directory, which is
// also the working directory of a server that has none.
//
// An error names the file, the server and the key. Servers that are reached by
// a URL are an error: only local processes can be run so far.
func LoadConfig(path string, opts *ConfigOptions) (*Config, error) {
	logger := slog.New(slog.DiscardHandler)
	if opts != nil && opts.Logger != nil {
		logger = opts.Logger
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("mcp config: %w", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("mcp config: %w", err) // it names the file
	}
	servers, err := parseConfig(data, filepath.Dir(path), logger)
	if err != nil {
		return nil, fmt.Errorf("mcp config %s: %w", path, err)
	}
	for _, s := range servers {
		s.Logger = logger
	}
	return &Config{Servers: servers}, nil
}

func parseConfig(data []byte, dir string, logger *slog.Logger) (Servers, error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, syntaxError(data, err)
	}
	key := "mcpServers"
	if _, ok := file[key]; !ok {
		key = "servers"
	}
	if _, ok := file[key]; !ok {
		return nil, errors.New(`it has neither "mcpServers" nor "servers"`)
	}
	entries, err := members(file[key])
	if err != nil {
		return nil, fmt.Errorf("%q: %w", key, err)
	}
	var servers Servers
	for _, e := range entries {
		s, err := parseServer(e.name, e.value, dir, logger)
		if err != nil {
			return nil, fmt.Errorf("server %q: %w", e.name, err)
		}
		if s != nil {
			servers = append(servers, s)
		}
	}
	return servers, nil
}

// parseServer returns the server of an entry, or nil if it is disabled.
func parseServer(name string, raw json.RawMessage, dir string, logger *slog.Logger) (*Server, error) {
	if name == "" {
		return nil, errors.New("the name is empty")
	}
	settings, err := members(raw)
	if err != nil {
		return nil, err
	}
	s := &Server{Name: name, Dir: dir}
	var kind, url, envFile string
	var disabled bool
	for _, m := range settings {
		var to any
		switch m.name {
		case "command":
			to = &s.Command
		case "args":
			to = &s.Args
		case "env":
			to = &s.Env
		case "cwd":
			to = &s.Dir
		case "disabled":
			to = &disabled
		case "type", "transport":
			to = &kind
		case "url", "serverUrl", "httpUrl":
			to = &url
		case "envFile":
			to = &envFile
		default:
			logger.Warn("mcp config: setting has no effect", "server", name, "key", m.name)
			continue
		}
		if err := json.Unmarshal(m.value, to); err != nil {
			return nil, fmt.Errorf("%q: %s", m.name, wrongType(err))
		}
	}
	switch {
	case disabled:
		return nil, nil
	case url != "" || kind != "" && kind != "stdio":
		return nil, errors.New("remote servers are not supported yet; it needs a \"command\"")
	case envFile != "":
		return nil, errors.New(`"envFile" is not supported yet; use "env"`)
	case s.Command == "":
		return nil, errors.New(`it has no "command"`)
	}
	if err := s.expand(); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(s.Dir) {
		s.Dir = filepath.Join(dir, s.Dir)
	}
	return s, nil
}

// expand replaces variables in all settings.
func (s *Server) expand() error {
	var err error
	if s.Command, err = expand(s.Command); err != nil {
		return fmt.Errorf(`"command": %w`, err)
	}
	if s.Dir, err = expand(s.Dir); err != nil {
		return fmt.Errorf(`"cwd": %w`, err)
	}
	for i, arg := range s.Args {
		if s.Args[i], err = expand(arg); err != nil {
			return fmt.Errorf(`"args"[%d]: %w`, i, err)
		}
	}
	for name, value := range s.Env {
		if s.Env[name], err = expand(value); err != nil {
			return fmt.Errorf(`"env": %q: %w`, name, err)
		}
	}
	return nil
}

var variable = regexp.MustCompile(`\$\{([^{}]*)\}`)

// expand replaces the variables in v. Values are not expanded again, and a
// $ without braces stands for itself, as in other clients.
func expand(v string) (string, error) {
	var failed error
	v = variable.ReplaceAllStringFunc(v, func(found string) string {
		name, def, hasDefault := strings.Cut(found[2:len(found)-1], ":-")
		name = strings.TrimPrefix(name, "env:")
		if strings.Contains(name, ":") {
			failed = fmt.Errorf("%s is not supported yet", found)
			return found
		}
		value, ok := os.LookupEnv(name)
		switch {
		case ok && (value != "" || !hasDefault):
			return value
		case hasDefault:
			return def
		}
		if failed == nil {
			failed = fmt.Errorf("variable %s is not set; set it or write ${%s:-default}", name, name)
		}
		return found
	})
	return v, failed
}

// A member is a name of a JSON object with its value.
type member struct {
	name  string
	value json.RawMessage
}

// members returns those of a JSON object, in order.
func members(raw json.RawMessage) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is not a JSON object")
	}
	var all []member
	for dec.More() {
		// The whole was valid JSON, so no error can come from here on.
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: t.(string)}
		if err := dec.Decode(&m.value); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o member) bool { return o.name == m.name }) {
			return nil, fmt.Errorf("%q stands there twice", m.name)
		}
		all = append(all, m)
	}
	return all, nil
}

// syntaxError says where in the file JSON went wrong.
func syntaxError(data []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return errors.New("it is not a JSON object")
	}
	before := data[:min(int(syntax.Offset), len(data))]
	return fmt.Errorf("line %d: it is not JSON: %w", 1+bytes.Count(before, []byte{'\n'}), err)
}

// wrongType says what a setting should have been, without Go's type names.
func wrongType(err error) string {
	var typ *json.UnmarshalTypeError
	if !errors.As(err, &typ) {
		return err.Error()
	}
	want := map[string]string{
		"string": "a string", "bool": "true or false", "[]string": "a list of strings", "map[string]string": "an object of strings",
	}[typ.Type.String()]
	return fmt.Sprintf("it must be %s, and there is %s", want, typ.Value)
}
