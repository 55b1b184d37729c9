package tramontane_test

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/tramontane-dev/tramontane"

// An edge that must not be: from a package (or a tree of them, with "/...") to
// a package or a tree, directly or through others.
var forbidden = []struct{ from, to, reason string }{
	{"internal/wire", "mistral", "a mechanism knows none of our nouns"},
	{"internal/sse", "mistral", "a mechanism knows none of our nouns"},
	{"mistral", "", "the client is of use without the run"},
	{"mistral", "mcptool", "the client is of use without MCP"},
	{"", "mcptool", "a run without MCP servers links no MCP"},
	{"", "server", "a program that embeds an agent links no server"},
	{"mcpauth", "", "a login is of use without a run"},
	{"mcpauth", "mcptool", "mcptool takes any Auth, and a login serves any HTTP client"},
	{"mcptool", "mcpauth", "servers without a login link no OAuth"},
	{"mcpauth", "github.com/modelcontextprotocol/...", "a login speaks OAuth, not MCP"},
	{"mcptool", "server", "a program that embeds an agent links no server"},
	{"mcptool", "mcpauth", "who needs no login links none; both meet in an interface"},
	{"mcpauth", "mcptool", "a login is of use to any HTTP client"},
	{"mcpauth", "", "a login is of use without runs"},
	{"", "mcpauth", "a run knows nothing of logins"},
	{"mcpauth", "server", "a program that embeds an agent links no server"},
	{"mcpauth", "github.com/spf13/...", "only the command line has flags"},
	{"server", "", "the server speaks the API; it knows nothing of runs"},
	{"server", "mcptool", "the server calls no tools of MCP servers yet"},
	{"server", "server/sqlite", "the server takes any Store"},
	{"server", "server/model", "the server takes any Model"},
	{"server/sqlite", "server/model", "a store knows no models"},
	{"server/model", "server/sqlite", "a model knows no stores"},
	{"", "github.com/spf13/...", "only the command line has flags"},
	{"mcptool", "github.com/spf13/...", "only the command line has flags"},
	{"server/...", "github.com/spf13/...", "only the command line has flags"},
	{"", "zombiezen.com/...", "only the server stores"},
	{"mcptool", "zombiezen.com/...", "only the server stores"},
	{"server", "zombiezen.com/...", "only server/sqlite knows SQLite"},
	{"", "github.com/modelcontextprotocol/...", "only mcptool speaks MCP"},
	{"mistral", "github.com/...", "the client needs nothing but the standard library"},
}

// purity is what internal/loop may import: no clock, randomness, I/O or
// goroutines.
var purity = []string{"cmp", "encoding/json", "errors", "fmt", "maps", "slices", "strings", module + "/mistral"}

func TestImports(t *testing.T) {
	deps := map[string][]string{}
	for _, rule := range forbidden {
		from := "./" + rule.from
		if deps[from] == nil {
			deps[from] = goList(t, "-deps", from)
		}
		for _, dep := range deps[from] {
			if matches(dep, rule.to) && !(strings.HasPrefix(dep, module) && strings.HasPrefix(rule.to, "github.com/...")) {
				t.Errorf("%s imports %s: %s", from, dep, rule.reason)
			}
		}
	}
}

// matches reports whether the import path is the package or in the tree. Paths
// without a domain are ours.
func matches(path, pattern string) bool {
	if first, _, _ := strings.Cut(pattern, "/"); !strings.Contains(first, ".") {
		pattern = strings.TrimSuffix(module+"/"+pattern, "/")
	}
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(path, tree+"/")
	}
	return path == pattern
}

func TestLoopIsPure(t *testing.T) {
	for _, path := range goList(t, "-f", `{{join .Imports "\n"}}`, "./internal/loop") {
		allowed := false
		for _, p := range purity {
			allowed = allowed || p == path
		}
		if !allowed {
			t.Errorf("internal/loop imports %s: it may import only %v", path, purity)
		}
	}
}

func TestNobodyImports(t *testing.T) {
	for _, line := range goList(t, "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}} {{.}}{{"\n"}}{{end}}`, "./...") {
		from, to, _ := strings.Cut(line, " ")
		if strings.HasPrefix(to, module+"/cmd/") {
			t.Errorf("%s imports %s: the command wires everything and nobody imports it", from, to)
		}
		if to == module+"/mcptest" {
			t.Errorf("%s imports %s: servers that fail on purpose are for tests", from, to)
		}
	}
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}
