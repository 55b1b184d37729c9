package mcptool_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// What a rule says of a server that is not there cannot be checked, unless the
// run needs the server anyway.
func TestPolicyServerDown(t *testing.T) {
	t.Parallel()
	up := namedServer(t, "up", "read")
	down := &mcptool.Server{Name: "down", Command: "/does/not/exist", Need: mcptool.Optional}
	tests := []struct {
		rule mcptool.Rule
		want string // in the error, empty if there is none
		log  string
	}{
		{"down:read", "", "exclude rule down:read fits no tool of the servers that could be had; not there: down"},
		{"down:*", "", "not there: down"},
		{"nonesuch", "", "not there: down"},
		{"up:nonesuch", "there is no such tool on server up", ""},
		{"dwon:read", "did you mean down?", ""},
	}
	for _, tt := range tests {
		var log lockedBuffer
		g := &mcptool.Guard{
			Toolset: mcptool.Servers{up, down},
			Policy:  mcptool.Policy{Exclude: []mcptool.Rule{tt.rule}},
			Logger:  slog.New(slog.NewTextHandler(&log, nil)),
		}
		got := guarded(t, g)
		if tt.want == "" && got != "up/read" || !strings.Contains(got, tt.want) {
			t.Errorf("rule %s: %s, want %q", tt.rule, got, tt.want)
		}
		if !strings.Contains(log.String(), tt.log) {
			t.Errorf("rule %s: log %q lacks %q", tt.rule, log.String(), tt.log)
		}
	}
}

// What was forgotten is an error that names it.
func TestNothingToGuard(t *testing.T) {
	t.Parallel()
	up := namedServer(t, "up", "read")
	for want, set := range map[string]tramontane.Toolset{
		"mcp guard: its Toolset is nil":  &mcptool.Guard{},
		"server 1 of the Servers is nil": &mcptool.Guard{Toolset: mcptool.Servers{up, nil}, LockFile: "none"},
	} {
		if _, err := set.Tools(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Tools: %v, want %q", err, want)
		}
	}
	servers := mcptool.Servers{nil, up}
	if got := servers.Status(); len(got) != 2 || got[1].State == "" {
		t.Errorf("Status = %+v, want the second server's in the second place", got)
	}
	if err := servers.Close(); err != nil {
		t.Error(err)
	}
}
