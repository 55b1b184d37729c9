package mcptool

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// inherited are the variables that every server gets. They are those of the
// official MCP SDKs, and those that say where things are: locale, temporary and
// cache directories, certificates, the Go toolchain (without them "go run"
// would build from nothing). None of them holds a secret by its purpose.
var inherited = []string{
	"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER",
	"LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
	"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
	"GOROOT", "GOPATH", "GOMODCACHE", "GOCACHE", "GOTOOLCHAIN", "GOFLAGS",
}

var inheritedWindows = []string{
	"APPDATA", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATHEXT", "PROCESSOR_ARCHITECTURE",
	"PROGRAMDATA", "PROGRAMFILES", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERNAME", "USERPROFILE",
}

// environ returns the whole environment of the server, sorted.
func (s *Server) environ() []string {
	names := slices.Concat(inherited, s.InheritEnv)
	if runtime.GOOS == "windows" {
		names = append(names, inheritedWindows...)
	}
	vars := make(map[string]string)
	for _, name := range names {
		value, ok := os.LookupEnv(name)
		// A value that begins so is a shell function: code, not data.
		if ok && !strings.HasPrefix(value, "()") {
			vars[name] = value
		}
	}
	for name, value := range s.Env {
		vars[name] = value
	}
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// command returns the server's command, ready to start.
func (s *Server) command() *exec.Cmd {
	name := s.Command
	if path, ok := s.Env["PATH"]; ok && !strings.ContainsAny(name, `/\`) {
		// Config files set PATH so that the command is found there; package
		// exec would look in ours.
		for _, dir := range filepath.SplitList(path) {
			if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				name = found
				break
			}
		}
	}
	cmd := exec.Command(name, s.Args...)
	cmd.Dir = s.Dir
	cmd.Env = s.environ()
	return cmd
}
