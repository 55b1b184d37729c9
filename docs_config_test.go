package tramontane_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// Each example of docs/config.md is a file that is read without a warning.
func TestConfigPageExamples(t *testing.T) {
	text, err := os.ReadFile("docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ISSUES_TOKEN", "WEATHER_KEY", "TRAMONTANE_INPUT_API_KEY"} {
		t.Setenv(name, "x")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("A=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```json\n(.*?)^```$").FindAllSubmatchIndex(text, -1)
	for _, b := range blocks {
		line := 1 + bytes.Count(text[:b[2]], []byte("\n"))
		path := filepath.Join(dir, "mcp.json")
		if err := os.WriteFile(path, text[b[2]:b[3]], 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		config, err := mcptool.LoadConfig(path, &mcptool.ConfigOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Errorf("docs/config.md:%d: %v", line, err)
			continue
		}
		if log.Len() > 0 || len(config.Servers) == 0 {
			t.Errorf("docs/config.md:%d: %d servers, and warnings:\n%s", line, len(config.Servers), &log)
		}
	}
	if marks := bytes.Count(text, []byte("```json")); len(blocks) < 8 || len(blocks) != marks {
		t.Errorf("docs/config.md has %d examples that were tried, and %d that begin", len(blocks), marks)
	}
}

// docs/config.md names every word that the reader of config files knows.
func TestConfigPageSettings(t *testing.T) {
	text, err := os.ReadFile("docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("mcptool/config*.go")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(string(text))) // types of servers are read so
	n := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range regexp.MustCompile(`(?m)^\s*case (".*):$`).FindAllStringSubmatch(string(code), -1) {
			for _, word := range regexp.MustCompile(`"([A-Za-z_]+)"`).FindAllStringSubmatch(line[1], -1) {
				n++
				name := strings.ReplaceAll(strings.ToLower(word[1]), "_", "")
				if !regexp.MustCompile("[`\"{]" + name + "[`\"}]").MatchString(page) {
					t.Errorf("docs/config.md does not say what %q means, which %s reads", word[1], file)
				}
			}
		}
	}
	if n < 60 {
		t.Errorf("there are %d words in the reader; is it written otherwise?", n)
	}
}
