package mcptool_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// writeConfig returns the path of a config file with that content.
func writeConfig(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mcp.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadConfig(t *testing.T) {
	t.Setenv("GREETING", "hello")
	t.Setenv("EMPTY", "")
	path := writeConfig(t, `{
		"mcpServers": {
			"weather": {"command": "go", "args": ["run", "./server"]},
			"all": {
				"type": "stdio", "command": "./bin/${NOT_SET:-tool}", "args": ["${GREETING}", "${env:GREETING}!", "$HOME", "${EMPTY:-x}", "${EMPTY}"],
				"env": {"A": "${GREETING} ${NOT_SET:-}"}, "cwd": "sub/dir", "alwaysAllow": ["x"], "disabled": false
			},
			"off": {"command": "x", "disabled": true, "args": ["${NOT_SET}"]},
			"away": {"command": "x", "cwd": "/abs"}
		}
	}`)
	dir := filepath.Dir(path)
	var log bytes.Buffer
	got, err := mcptool.LoadConfig(path, &mcptool.ConfigOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	want := mcptool.Servers{
		{Name: "weather", Command: "go", Args: []string{"run", "./server"}, Dir: dir},
		{Name: "all", Command: "./bin/tool", Args: []string{"hello", "hello!", "$HOME", "x", ""},
			Env: map[string]string{"A": "hello "}, Dir: filepath.Join(dir, "sub/dir")},
		{Name: "away", Command: "x", Dir: "/abs"},
	}
	ignore := cmp.Options{cmpopts.IgnoreUnexported(mcptool.Server{}), cmpopts.IgnoreFields(mcptool.Server{}, "Logger")}
	if diff := cmp.Diff(want, got.Servers, ignore); diff != "" {
		t.Errorf("servers (-want +got):\n%s", diff)
	}
	if !strings.Contains(log.String(), "server=all key=alwaysAllow") {
		t.Errorf("log lacks a warning about alwaysAllow: %s", &log)
	}
}

func TestLoadConfigErrors(t *testing.T) {
	tests := []struct {
		config string
		want   []string
	}{
		{`{"mcpServers": {` + "\n" + `"a": }}`, []string{"line 2", "not JSON"}},
		{``, []string{"not JSON"}},
		{`[]`, []string{"not a JSON object"}},
		{`{"tools": {}}`, []string{`"mcpServers"`, `"servers"`}},
		{`{"mcpServers": []}`, []string{`"mcpServers"`, "not a JSON object"}},
		{`{"mcpServers": {"a": 1}}`, []string{`server "a"`, "not a JSON object"}},
		{`{"mcpServers": {"a": {}, "a": {}}}`, []string{`"a" stands there twice`}},
		{`{"mcpServers": {"a": {"args": []}}}`, []string{`server "a"`, `no "command"`}},
		{`{"servers": {"a": {"command": ["x"]}}}`, []string{`server "a"`, `"command"`, "must be a string", "array"}},
		{`{"servers": {"a": {"command": "x", "args": "y z"}}}`, []string{`server "a"`, `"args"`, "list of strings"}},
		{`{"servers": {"a": {"command": "x", "env": {"N": 1}}}}`, []string{`server "a"`, `"env"`, "string"}},
		{`{"servers": {"a": {"command": "x", "env": {"K": "${NO_SUCH_VAR}"}}}}`, []string{`server "a"`, `"env"`, `"K"`, "NO_SUCH_VAR", "not set"}},
		{`{"servers": {"a": {"command": "x", "args": ["", "${input:key}"]}}}`, []string{`server "a"`, `"args"[1]`, "${input:key}", "not supported"}},
		{`{"servers": {"a": {"command": "x", "envFile": ".env"}}}`, []string{`server "a"`, `"envFile"`, "not supported"}},
		{`{"servers": {"a": {"url": "https://example.com/mcp"}}}`, []string{`server "a"`, "remote servers are not supported yet"}},
		{`{"servers": {"a": {"type": "sse"}}}`, []string{`server "a"`, "remote servers are not supported yet"}},
	}
	for _, tt := range tests {
		path := writeConfig(t, tt.config)
		_, err := mcptool.LoadConfig(path, nil)
		if err == nil {
			t.Errorf("%s: no error", tt.config)
			continue
		}
		for _, want := range append(tt.want, path) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", tt.config, err, want)
			}
		}
	}
	missing := filepath.Join(t.TempDir(), "none.json")
	if _, err := mcptool.LoadConfig(missing, nil); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v, want an error that names it", err)
	}
}

// The weather example runs by its own config, with "go run" as a wrapper.
func TestWeatherExample(t *testing.T) {
	config, err := mcptool.LoadConfig("../examples/weather/mcp.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	servers := config.Servers
	defer func() {
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
	}()
	tools, err := servers.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, tt := range tools {
		if d := tt.Definition(); d.ReadOnly {
			got = append(got, d.Name)
		}
	}
	if diff := cmp.Diff([]string{"weather_get_user_location", "weather_get_weather"}, got); diff != "" {
		t.Errorf("read-only tools (-want +got):\n%s", diff)
	}
	res, err := tool{tools[0]}.callWith(t, `{"name":"John"}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(res.Structured), `{"location":"Sydney","user":"John"}`; got != want {
		t.Errorf("John is at %s, want %s", got, want)
	}
}
