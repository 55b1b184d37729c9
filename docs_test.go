package tramontane_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/mcp.md says which test shows what. Each has to be there.
func TestNamedTests(t *testing.T) {
	text, err := os.ReadFile("docs/mcp.md")
	if err != nil {
		t.Fatal(err)
	}
	score, err := os.ReadFile("docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]string) // tests of a package
	tests := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz|Example)\\w*)(?:/([^`]*))?`").FindAllStringSubmatch(string(text), -1)
	for _, m := range tests {
		dir, name, script := m[1], m[2], m[3]
		if dir == "tramontane" {
			dir = "."
		}
		if known[dir] == "" {
			known[dir] = source(t, dir)
		}
		if !strings.Contains(known[dir], "\nfunc "+name+"(") {
			t.Errorf("docs/mcp.md names %s, which is no test of %s", name, dir)
		}
		if script == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "testdata/script", script+".txtar")); err != nil {
			t.Errorf("docs/mcp.md names the script %s of %s: %v", script, name, err)
		}
	}
	for _, list := range regexp.MustCompile("scenarios? (`[^|\n]*)").FindAllStringSubmatch(string(text), -1) {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(list[1], -1) {
			if !strings.Contains(string(score), "| `"+m[1]+"` |") {
				t.Errorf("docs/mcp.md names the scenario %s, which docs/conformance.md does not have", m[1])
			}
		}
	}
	// What is spelled otherwise would not be looked at.
	if loose := regexp.MustCompile(`[^.\w](?:Test|Fuzz)[A-Z]\w*`).FindAllString(string(text), -1); len(loose) != 1 {
		t.Errorf("docs/mcp.md names tests without their package: %q", loose)
	}
	if len(tests) < 100 {
		t.Errorf("docs/mcp.md names %d tests; is it spelled otherwise?", len(tests))
	}
}

// source returns the test files of a directory.
func source(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteByte('\n')
		all.Write(data)
	}
	return all.String()
}
