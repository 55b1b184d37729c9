package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcpauth"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// serverFlags are the flags that name MCP servers, and what of them is used.
type serverFlags struct {
	configs []string
	mcp     []string
	include []string
	exclude []string
	confirm []string
	lock    string
	onDrift string
}

// A toolbox is the MCP servers of a command, and what of them is used.
type toolbox struct {
	servers  mcptool.Servers
	guard    *mcptool.Guard
	oauth    map[string]mcptool.OAuth  // of config files, by server
	logins   map[string]*mcpauth.Login // by server
	lockFlag string
	flags    []string          // that name the servers again, without secrets
	origin   map[string]string // the one of them that names a server
}

// add adds all of the flags.
func (f *serverFlags) add(flags *pflag.FlagSet) {
	f.addServers(flags)
	f.addChoice(flags)
	f.addConfirm(flags)
	f.addLock(flags)
	f.addDrift(flags)
}

// addServers adds the flags that name servers, for commands that look at no tool.
func (f *serverFlags) addServers(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.configs, "mcp-config", nil, "JSON `FILE` with \"mcpServers\", as other MCP clients have it; relative paths start at the file (repeatable)")
	flags.StringArrayVar(&f.mcp, "mcp", nil, "MCP server as `'NAME=COMMAND ARG...'` or 'NAME=https://...' (repeatable)")
}

func (f *serverFlags) addChoice(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.include, "include", nil, "use only the tools with this `RULE`: NAME, a glob, /regexp/, @read-only, SERVER:RULE; a server that no such rule is about keeps all of its tools (repeatable)")
	flags.StringArrayVar(&f.exclude, "exclude", nil, "leave the tools with this `RULE` out (repeatable)")
}

func (f *serverFlags) addConfirm(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.confirm, "confirm", nil, "ask before each call of the tools with this `RULE` (repeatable)")
}

func (f *serverFlags) addLock(flags *pflag.FlagSet) {
	flags.StringVar(&f.lock, "lock", "", "lock `FILE` that pins the tools, as tramontane mcp lock writes it (default: as the config file says)")
}

func (f *serverFlags) addDrift(flags *pflag.FlagSet) {
	flags.StringVar(&f.onDrift, "on-drift", "", "`MODE` for tools that are not as they are pinned: block, ask or warn (default: as the config file says, or block)")
}

// load returns the servers of the config files and of the --mcp flags, none of
// them started. They turn to the person, who may be nil, with their questions.
func (f *serverFlags) load(ctx context.Context, logger *slog.Logger, p *person) (*toolbox, error) {
	box := &toolbox{
		lockFlag: f.lock,
		guard:    &mcptool.Guard{LockFile: f.lock, Logger: logger},
		oauth:    map[string]mcptool.OAuth{},
		origin:   map[string]string{},
	}
	if err := f.rules(&box.guard.Policy); err != nil {
		return nil, err
	}
	if f.onDrift != "" {
		mode, err := mcptool.ParseDriftMode(f.onDrift)
		if err != nil {
			return nil, usageErrorf("--on-drift: %w", err)
		}
		box.guard.OnDrift = mode
	}
	if err := f.loadServers(ctx, box, logger, p); err != nil {
		return nil, err
	}
	box.guard.Toolset = box.servers
	if err := box.newLogins(p); err != nil {
		return nil, err
	}
	if p != nil {
		box.guard.Ask = p.acceptDrift
		p.grants.Servers = box.servers
		for _, s := range box.servers {
			s.Elicit = p.elicit
		}
	}
	if dir, err := os.UserCacheDir(); err == nil {
		for _, s := range box.servers {
			s.CacheDir = filepath.Join(dir, "tramontane", "tools")
		}
	}
	return box, nil
}

// rules adds the rules of the flags to a policy.
func (f *serverFlags) rules(p *mcptool.Policy) error {
	for _, kind := range []struct {
		flag  string
		texts []string
		to    *[]mcptool.Rule
	}{{"include", f.include, &p.Include}, {"exclude", f.exclude, &p.Exclude}, {"confirm", f.confirm, &p.Confirm}} {
		for _, text := range kind.texts {
			rule, err := mcptool.ParseRule(text)
			if err != nil {
				return usageErrorf("--%s: %w", kind.flag, err)
			}
			*kind.to = append(*kind.to, rule)
		}
	}
	return nil
}

// loadServers adds the servers to the box, and what the config files say of
// them. Flags go before files, and files before those after them.
func (f *serverFlags) loadServers(ctx context.Context, box *toolbox, logger *slog.Logger, p *person) error {
	opts := &mcptool.ConfigOptions{Logger: logger}
	if p != nil {
		opts.Input = func(in mcptool.Input) (string, error) { return p.input(ctx, in) }
	}
	for _, path := range f.configs {
		loaded, err := mcptool.LoadConfig(path, opts)
		switch {
		case ctx.Err() != nil: // the person was asked for an input
			return ended(ctx)
		case err != nil:
			return usageErrorf("%w", err)
		}
		box.servers = append(box.servers, loaded.Servers...)
		box.cameFrom("--mcp-config "+shellWord(path), loaded.Servers...)
		maps.Copy(box.oauth, loaded.OAuth)
		policy := &box.guard.Policy
		policy.Include = append(policy.Include, loaded.Policy.Include...)
		policy.Exclude = append(policy.Exclude, loaded.Policy.Exclude...)
		policy.Confirm = append(policy.Confirm, loaded.Policy.Confirm...)
		box.guard.LockFile = cmp.Or(box.guard.LockFile, loaded.LockFile)
		box.guard.OnDrift = cmp.Or(box.guard.OnDrift, loaded.OnDrift)
	}
	for _, flag := range f.mcp {
		s, err := parseServerFlag(flag)
		if err != nil {
			return err
		}
		s.Logger = logger
		box.servers = append(box.servers, s)
		box.cameFrom("--mcp "+shellWord(s.Name+"="+publicPlace(s)), s)
	}
	names := map[string]bool{}
	for _, s := range box.servers {
		if names[s.Name] {
			return usageErrorf("two MCP servers have the name %q; rename one", s.Name)
		}
		names[s.Name] = true
	}
	return nil
}

func (b *toolbox) cameFrom(flag string, servers ...*mcptool.Server) {
	b.flags = append(b.flags, flag)
	for _, s := range servers {
		b.origin[s.Name] = flag
	}
}

// publicPlace is the command line or the URL of a server, with "..." for what
// may be secret in it.
func publicPlace(s *mcptool.Server) string {
	switch public := s.Status().URL; {
	case s.URL != "" && public != s.URL:
		return "..."
	case s.URL != "":
		return public
	case len(s.Args) > 0:
		return s.Command + " ..."
	}
	return s.Command
}

// shellWord quotes a word for a shell, if it needs that.
func shellWord(s string) string {
	if !strings.ContainsAny(s, " \t\n'\"\\$&;|<>()*?[]#~!`{}") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// parseServerFlag reads NAME=COMMAND ARG... and NAME=https://...
func parseServerFlag(flag string) (*mcptool.Server, error) {
	name, line, ok := strings.Cut(flag, "=")
	name = strings.TrimSpace(name)
	if !ok || name == "" || strings.ContainsAny(name, " \t/?") { // as in a URL without a NAME, with "=" in its query
		// The flag itself may hold a secret.
		return nil, usageErrorf("--mcp: want 'NAME=COMMAND ARG...' or 'NAME=https://...', with a NAME that has no space, / or ?, such as --mcp 'files=npx -y @modelcontextprotocol/server-filesystem .'")
	}
	if u := strings.TrimSpace(line); strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://") {
		if err := checkURL("--mcp "+name+"=...", u, "https://example.com/mcp"); err != nil {
			return nil, err
		}
		return &mcptool.Server{Name: name, URL: u}, nil
	}
	words, err := splitWords(line)
	if err != nil {
		return nil, usageErrorf("--mcp %s=...: %w", name, err)
	}
	if len(words) == 0 {
		return nil, usageErrorf("--mcp %s=: there is no command", name)
	}
	if looksRemote(words[0]) {
		return nil, usageErrorf("--mcp %s=...: this is no command, and a URL begins with https:// or http://", name)
	}
	return &mcptool.Server{Name: name, Command: words[0], Args: words[1:]}, nil
}

// looksRemote reports whether a command looks like an address: it has a scheme,
// or begins with the name of a host and is no file.
func looksRemote(command string) bool {
	if scheme, _, ok := strings.Cut(command, "://"); ok && !strings.Contains(scheme, "/") {
		return true
	}
	host, _, path := strings.Cut(command, "/")
	if !path || strings.HasPrefix(host, ".") || !strings.ContainsAny(host, ".:") || filepath.VolumeName(command) != "" {
		return false
	}
	_, err := os.Stat(command)
	return err != nil
}

// startGrace is how long the others are waited for once a server that is
// required has failed: those that fail as well are told in the same error.
const startGrace = time.Second

// start starts the servers side by side and returns the tools that are used.
// When a server that is required cannot be had, the others are not waited for
// long.
func (b *toolbox) start(ctx context.Context) ([]tramontane.Tool, error) {
	startCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(b.servers))
	var wg sync.WaitGroup
	for i, s := range b.servers {
		if s.Need != mcptool.Required {
			continue
		}
		// The guard shares what comes of this. It waits for all of them.
		wg.Go(func() {
			_, err := s.Tools(startCtx)
			if err != nil && !errors.Is(err, context.Canceled) {
				errs[i] = b.startError(s.Status(), err)
				time.AfterFunc(startGrace, cancel)
			}
		})
	}
	tools, err := b.guard.Tools(startCtx)
	wg.Wait()
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	if failed := errors.Join(errs...); failed != nil {
		return nil, &exitError{exitServer, failed}
	}
	drift, drifted := errors.AsType[*mcptool.DriftError](err)
	switch {
	case err == nil:
		b.adviseLogins()
		return tools, nil
	case drifted && drift.Missing:
		return nil, &exitError{exitDrift, b.lockAdvice(err)}
	case drifted:
		return nil, &exitError{exitDrift, fmt.Errorf("%s\n%w", strings.TrimSpace(drift.Drift.String()), b.lockAdvice(err))}
	}
	return nil, &exitError{exitUsage, err}
}

// lockAdvice completes the command that a *mcptool.DriftError ends with.
func (b *toolbox) lockAdvice(err error) error {
	flags := slices.Clone(b.flags)
	if b.lockFlag != "" {
		flags = append(flags, "--lock "+shellWord(b.lockFlag))
	}
	return fmt.Errorf("%w %s", err, strings.Join(flags, " "))
}

// adviseLogins says how to log in to the servers without which a run goes on.
func (b *toolbox) adviseLogins() {
	for _, s := range b.servers {
		if s.Status().State == mcptool.NeedsLogin {
			b.guard.Logger.Warn("an mcp server wants a login first", "server", s.Name, "login", b.loginCommand(s.Name))
		}
	}
}

// isDown reports whether the server cannot be called.
func isDown(s *mcptool.Server) bool {
	state := s.Status().State
	return state == mcptool.Failed || state == mcptool.NeedsLogin
}

// startError says of a server that it did not start. It names the command
// without the arguments, which may hold secrets.
func (b *toolbox) startError(s mcptool.Status, err error) error {
	switch {
	case s.Command == "":
		return b.loginAdvice(s.Name, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; in a config file a relative path starts at the directory of that file, or at its \"cwd\"", err)
	case s.ExitCode < 0 && !found(s.Command):
		return err // which says so
	case s.ExitCode < 0:
		return fmt.Errorf("%w; its command is %s: run it by itself to see what it does", err, s.Command)
	}
	printed := "printed nothing on stderr"
	switch lines := telling(s.Stderr); len(lines) {
	case 0:
	case 1:
		printed = "its last line on stderr: " + lines[0]
	default:
		printed = "its last lines on stderr: " + strings.Join(lines, " | ")
	}
	return fmt.Errorf("mcp server %s did not start: command %s ended with exit code %d, %s; run the command by itself to see more",
		s.Name, s.Command, s.ExitCode, printed)
}

// telling returns the last lines of standard error that say something: no
// rulers, no stack, and not what runtimes print at the end of each failure.
func telling(stderr []string) []string {
	const most, width = 4, 200
	var lines []string
	for _, line := range stderr {
		line = printable(line)
		switch {
		case !strings.ContainsFunc(line, unicode.IsLetter):
		case strings.HasPrefix(line, "at "), strings.HasPrefix(line, "node:internal/"), strings.HasPrefix(line, "Node.js v"):
		case strings.Contains(line, "A complete log of this run can be found in"):
		default:
			lines = append(lines, shorten(line, width))
		}
	}
	return lines[max(0, len(lines)-most):]
}

// found says whether a command that is a bare name is in PATH.
func found(command string) bool {
	_, err := exec.LookPath(command)
	return err == nil || filepath.Base(command) != command
}

// newLogger returns a logger that writes warnings, one a line.
func newLogger(stderr io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
