package mcptool_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// writeConfig returns the path of a config file with that content.
func writeConfig(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mcp.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var ignoreUnset = cmp.Options{
	cmpopts.IgnoreUnexported(mcptool.Server{}),
	cmpopts.IgnoreFields(mcptool.Server{}, "Logger"),
	cmpopts.EquateEmpty(),
}

// Files as the documentation of each client has them, with as little of ours as
// they have.
func TestLoadConfigOfClients(t *testing.T) {
	t.Setenv("API_KEY", "sekret")
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	bearer := http.Header{"Authorization": {"Bearer sekret"}}
	const dir = "<workspace>" // of the file
	tests := []struct {
		client, path, config string
		want                 mcptool.Config
		warn                 []string
	}{
		{"Claude Desktop", "claude_desktop_config.json", `{
			"globalShortcut": "Ctrl+Space",
			"mcpServers": {
				"filesystem": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/Users/me/Desktop"]},
				"windows": {"command": "cmd", "args": ["/c", "npx", "-y", "C:\\Users\\me\\server"], "env": {"APPDATA": "C:\\Users\\me\\AppData\\Roaming\\"}}
			}
		}`, mcptool.Config{Servers: mcptool.Servers{
			{Name: "filesystem", Command: "npx", Args: []string{"-y", "@modelcontextprotocol/server-filesystem", "/Users/me/Desktop"}, Dir: dir},
			{Name: "windows", Command: "cmd", Args: []string{"/c", "npx", "-y", `C:\Users\me\server`}, Env: map[string]string{"APPDATA": `C:\Users\me\AppData\Roaming\`}, Dir: dir},
		}}, nil},
		{"Claude Code", ".mcp.json", `{
			"mcpServers": {
				"api-server": {"type": "http", "url": "${API_BASE_URL:-https://api.example.com}/mcp", "headers": {"Authorization": "Bearer ${API_KEY}"}, "timeout": 600000},
				"old": {"type": "sse", "url": "https://mcp.example.com/sse"},
				"slack": {"type": "http", "url": "https://mcp.slack.com/mcp", "headersHelper": "/opt/headers.sh",
					"oauth": {"clientId": "1.2", "callbackPort": 3118, "scopes": "channels:read chat:write", "authServerMetadataUrl": "https://x.example"}}
			}
		}`, mcptool.Config{Servers: mcptool.Servers{
			{Name: "api-server", URL: "https://api.example.com/mcp", Transport: mcptool.StreamableHTTP, Header: bearer, CallTimeout: 10 * time.Minute},
			{Name: "old", URL: "https://mcp.example.com/sse", Transport: mcptool.SSE},
			{Name: "slack", URL: "https://mcp.slack.com/mcp", Transport: mcptool.StreamableHTTP},
		}, OAuth: map[string]mcptool.OAuth{"slack": {ClientID: "1.2", RedirectURL: "http://localhost:3118/callback", Scopes: []string{"channels:read", "chat:write"}}}},
			[]string{"server=slack key=headersHelper at=<path>:5:67", "key=authServerMetadataUrl"}},
		{"Cursor", ".cursor/mcp.json", `{
			"mcpServers": {
				"local": {"command": "${workspaceFolder}${/}bin${pathSeparator}server", "args": ["${workspaceFolderBasename}"], "envFile": "${userHome}/.env"},
				"remote": {"url": "https://mcp.example.com/mcp", "headers": {"Authorization": "Bearer ${env:API_KEY}"}},
				"oauth": {"url": "https://mcp.example.com/mcp", "auth": {"CLIENT_ID": "id", "CLIENT_SECRET": "${env:API_KEY}", "scopes": ["read", "write"]}}
			}
		}`, mcptool.Config{Servers: mcptool.Servers{
			{Name: "local", Command: filepath.Join(dir, "bin", "server"), Args: []string{"<base>"}, Dir: dir, Env: map[string]string{"FROM_FILE": "yes"}},
			{Name: "remote", URL: "https://mcp.example.com/mcp", Header: bearer},
			{Name: "oauth", URL: "https://mcp.example.com/mcp"},
		}, OAuth: map[string]mcptool.OAuth{"oauth": {ClientID: "id", ClientSecret: "sekret", Scopes: []string{"read", "write"}}}}, nil},
		{"VS Code", ".vscode/mcp.json", `{
			// The editor writes comments,
			"inputs": [
				{"type": "promptString", "id": "perplexity-key", "description": "Perplexity API Key", "password": true},
				{"type": "pickString", "id": "region", "options": ["eu", {"label": "America", "value": "us"}], "default": "eu"},
				{"type": "command", "id": "unused", "command": "x.y", "args": {}},
			],
			"servers": {
				"perplexity": {"type": "stdio", "command": "npx", "args": ["-y", "server-perplexity-ask", "--region=${input:region}"],
					"env": {"PERPLEXITY_API_KEY": "${input:perplexity-key}", "AGAIN": "${input:perplexity-key}", "PORT": 3000, "GONE": null, "FROM_FILE": null}, /* here, too */
					"cwd": "${workspaceFolder}/sub", "envFile": "${userHome}/.env", "dev": {"watch": "src/**/*.ts"}, "gallery": true},
				"github": {"type": "http", "url": "https://api.githubcopilot.com/mcp/", "oauth": {"clientId": "id"}}, // and commas.
			},
		}`, mcptool.Config{Servers: mcptool.Servers{
			{Name: "perplexity", Command: "npx", Args: []string{"-y", "server-perplexity-ask", "--region=us"},
				Env: map[string]string{"PERPLEXITY_API_KEY": "answer to perplexity-key", "AGAIN": "answer to perplexity-key", "PORT": "3000"}, Dir: filepath.Join(dir, "sub")},
			{Name: "github", URL: "https://api.githubcopilot.com/mcp/", Transport: mcptool.StreamableHTTP},
		}, OAuth: map[string]mcptool.OAuth{"github": {ClientID: "id"}}}, []string{"server=perplexity key=dev"}},
		{"VS Code settings", ".vscode/settings.json", `{"editor.tabSize": 4, "mcp": {"inputs": [], "servers": {"time": {"command": "python", "args": ["-m", "mcp_server_time"]}}}}`,
			mcptool.Config{Servers: mcptool.Servers{{Name: "time", Command: "python", Args: []string{"-m", "mcp_server_time"}, Dir: dir}}}, nil},
		{"Cline", "cline_mcp_settings.json", `{"mcpServers": {
			"github.com/upstash/context7-mcp": {"autoApprove": ["resolve"], "disabled": false, "timeout": 60, "type": "stdio", "command": "npx", "args": ["-y", "x"]},
			"off": {"autoApprove": [], "disabled": true, "timeout": 60, "command": "${NOT_SET}", "excludeTools": ["x"]},
			"remote": {"url": "https://example.com/mcp", "type": "streamableHttp", "disabled": false, "autoApprove": [], "args": [], "env": {}},
			"legacy": {"url": "https://example.com/sse", "transportType": "sse", "timeout": 1800}
		}}`, mcptool.Config{Servers: mcptool.Servers{
			{Name: "github.com/upstash/context7-mcp", Command: "npx", Args: []string{"-y", "x"}, CallTimeout: time.Minute, Dir: dir},
			{Name: "remote", URL: "https://example.com/mcp", Transport: mcptool.StreamableHTTP},
			{Name: "legacy", URL: "https://example.com/sse", Transport: mcptool.SSE, CallTimeout: 1800 * time.Millisecond},
		}}, []string{"key=autoApprove", "no config file allows calls", `"as seconds"="\"1800s\""`}},
		{"Roo Code", ".roo/mcp.json", `{"mcpServers": {"r": {"type": "streamable-http", "url": "https://example.com/mcp", "alwaysAllow": ["a"], "disabledTools": ["b", "c:d"], "timeout": 300}}}`,
			mcptool.Config{Servers: mcptool.Servers{{Name: "r", URL: "https://example.com/mcp", Transport: mcptool.StreamableHTTP, CallTimeout: 5 * time.Minute}},
				Policy: mcptool.Policy{Exclude: []mcptool.Rule{"r:b", "r:c:d"}}}, []string{"key=alwaysAllow"}},
		{"Gemini CLI", ".gemini/settings.json", `{"theme": "Dark", "mcp": {"allowed": ["p"]}, "mcpServers": {
			"p": {"command": "python", "env": {"API_KEY": "$API_KEY"}, "cwd": "./server", "timeout": 15000, "trust": true, "includeTools": ["safe", "*"], "excludeTools": ["what?"]},
			"h": {"httpUrl": "http://localhost:3000/mcp", "oauth": {"enabled": true, "clientId": "id", "clientSecret": "s", "redirectUri": "http://localhost:7777/oauth/callback", "scopes": ["a"]}},
			"none": {"httpUrl": "http://localhost:3000/mcp", "includeTools": []}
		}}`, mcptool.Config{Servers: mcptool.Servers{
			{Name: "p", Command: "python", Env: map[string]string{"API_KEY": "$API_KEY"}, Dir: filepath.Join(dir, "server"), CallTimeout: 15 * time.Second},
			{Name: "h", URL: "http://localhost:3000/mcp", Transport: mcptool.StreamableHTTP},
			{Name: "none", URL: "http://localhost:3000/mcp", Transport: mcptool.StreamableHTTP},
		}, Policy: mcptool.Policy{Include: []mcptool.Rule{"p:safe", "p:*"}, Exclude: []mcptool.Rule{`p:"what?"`, "none:*"}},
			OAuth: map[string]mcptool.OAuth{"h": {ClientID: "id", ClientSecret: "s", RedirectURL: "http://localhost:7777/oauth/callback", Scopes: []string{"a"}}}},
			[]string{"key=trust", "key=API_KEY", "in braces"}},
		{"Windsurf", "mcp_config.json", `{"mcpServers": {"remote": {"serverUrl": "https://example.com/mcp", "headers": {"API_KEY": "${env:API_KEY}"}, "disabled": false, "disabledTools": []}}}`,
			mcptool.Config{Servers: mcptool.Servers{{Name: "remote", URL: "https://example.com/mcp", Header: http.Header{"Api_key": {"sekret"}}}}}, nil},
		{"GitHub Copilot CLI", "mcp-config.json", `{"mcpServers": {"l": {"type": "local", "command": "npx", "args": [], "tools": ["*"]}}}`,
			mcptool.Config{Servers: mcptool.Servers{{Name: "l", Command: "npx", Dir: dir}}, Policy: mcptool.Policy{Include: []mcptool.Rule{"l:*"}}}, nil},
		{"ours", "mcp.json", `{
			"tramontane": {"tools": {"exclude": ["@destructive"], "confirm": ["a b:/x/", "*"]}, "lock": "lock.json", "drift": "warn"},
			"mcpServers": {
				"a b": {"command": "x", "tramontane": {"need": "optional", "trusted": true, "resourceTools": true, "startTimeout": "2m", "tools": {"include": ["read_*"], "confirm": ["@writes", "c:d"]}}},
				"plug:in": {"url": "https://example.com/?key=${API_KEY}", "timeout": 1.5, "oauth": {"clientMetadataUrl": "https://me.example/c.json", "issuer": "https://i.example", "allowHosts": ["sso.corp"],
						"grant": "jwt-bearer", "jwtFile": "token", "privateKey": "${API_KEY}", "privateKeyFile": "key.pem"},
					"tramontane": {"need": "lazy", "startTimeout": 5000, "tools": {"exclude": ["/y/"]}}}
			}
		}`, mcptool.Config{Servers: mcptool.Servers{
			{Name: "a b", Command: "x", Dir: dir, Need: mcptool.Optional, Trusted: true, ResourceTools: true, StartTimeout: 2 * time.Minute},
			{Name: "plug:in", URL: "https://example.com/?key=sekret", CallTimeout: 1500 * time.Millisecond, Need: mcptool.Lazy, CacheDir: "cache", StartTimeout: 5 * time.Second},
		}, OAuth: map[string]mcptool.OAuth{"plug:in": {MetadataURL: "https://me.example/c.json", Issuer: "https://i.example", AllowHosts: []string{"sso.corp"},
			Grant: "jwt-bearer", JWTFile: filepath.Join(dir, "token"), PrivateKey: "sekret", PrivateKeyFile: filepath.Join(dir, "key.pem")}},
			Policy: mcptool.Policy{Include: []mcptool.Rule{"a b:read_*"}, Exclude: []mcptool.Rule{"@destructive", `"plug:in":/y/`},
				Confirm: []mcptool.Rule{"a b:/x/", "*", "a b:@writes", "a b:c:d"}},
			LockFile: filepath.Join(dir, "lock.json"), OnDrift: mcptool.WarnDrift}, nil},
	}
	if err := os.WriteFile(filepath.Join(home, ".env"), []byte("FROM_FILE=yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.client, func(t *testing.T) {
			workspace := t.TempDir()
			path := filepath.Join(workspace, tt.path)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(tt.config), 0o600)); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			asked := map[string]int{}
			got, err := mcptool.LoadConfig(path, &mcptool.ConfigOptions{
				Logger:   slog.New(slog.NewTextHandler(&log, nil)),
				CacheDir: "cache",
				Input: func(in mcptool.Input) (string, error) {
					asked[in.ID]++
					if in.Options != nil {
						return in.Options[len(in.Options)-1], nil
					}
					if !in.Secret || in.Description == "" {
						t.Errorf("input %+v, want a description and a secret", in)
					}
					return "answer to " + in.ID, nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			here := strings.NewReplacer(dir, workspace, "<base>", filepath.Base(workspace))
			paths := cmp.Comparer(func(want, got string) bool { return here.Replace(want) == here.Replace(got) })
			if diff := cmp.Diff(&tt.want, got, ignoreUnset, paths); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
			for id, n := range asked {
				if n != 1 || id == "unused" {
					t.Errorf("asked %d times for %s", n, id)
				}
			}
			for _, want := range tt.warn {
				if want = strings.ReplaceAll(want, "<path>", path); !strings.Contains(log.String(), want) {
					t.Errorf("log lacks %q:\n%s", want, &log)
				}
			}
			if lines := strings.Count(log.String(), "\n"); len(tt.warn) == 0 && lines > 0 {
				t.Errorf("there are warnings:\n%s", &log)
			}
			if strings.Contains(log.String(), "sekret") || strings.Contains(log.String(), "answer to") {
				t.Errorf("the log holds a secret:\n%s", &log)
			}
		})
	}
}

func TestLoadConfigVariables(t *testing.T) {
	t.Setenv("GREETING", "hello")
	t.Setenv("EMPTY", "")
	t.Setenv("NESTED", "${GREETING}")
	t.Setenv("TRAMONTANE_INPUT_API_KEY_2", "from the environment")
	path := writeConfig(t, `{
		"inputs": [{"id": "api-key.2"}, {"id": "defaulted", "default": "by default"}],
		"mcpServers": {"s": {"command": "./bin/${NOT_SET:-tool}",
			"args": ["${GREETING}", "${env:GREETING}!", "$HOME", "${EMPTY:-x}", "${EMPTY}", "${env:NOT_SET:-}", "${NESTED}", "${NOT_SET:-a:b}",
				"${input:api-key.2}", "${input:defaulted}", "$${GREETING}", "${", "{GREETING}"],
			"cwd": "/abs", "env": {"${GREETING}": "${GREETING} ${NOT_SET:-}"}}}
	}`)
	got, err := mcptool.LoadConfig(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := mcptool.Servers{{Name: "s", Command: "./bin/tool", Dir: "/abs", Env: map[string]string{"${GREETING}": "hello "}, Args: []string{
		"hello", "hello!", "$HOME", "x", "", "", "${GREETING}", "a:b", "from the environment", "by default", "$hello", "${", "{GREETING}"}}}
	if diff := cmp.Diff(want, got.Servers, ignoreUnset); diff != "" {
		t.Errorf("servers (-want +got):\n%s", diff)
	}
	// Where relative paths start can be said.
	other := t.TempDir()
	got, err = mcptool.LoadConfig(writeConfig(t, `{"servers": {"s": {"command": "x", "cwd": "a", "args": ["${workspaceFolder}"]}}}`),
		&mcptool.ConfigOptions{Workspace: other})
	if err != nil || got.Servers[0].Dir != filepath.Join(other, "a") || got.Servers[0].Args[0] != other {
		t.Errorf("with a workspace: %+v, %v", got, err)
	}
}

func TestEnvFile(t *testing.T) {
	dir := t.TempDir()
	load := func(env string) (map[string]string, error) {
		path := filepath.Join(dir, "mcp.json")
		err := errors.Join(os.WriteFile(filepath.Join(dir, "my.env"), []byte(env), 0o600),
			os.WriteFile(path, []byte(`{"servers": {"s": {"command": "x", "env": {"FIRST": "env"}, "envFile": "my.env"}}}`), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		config, err := mcptool.LoadConfig(path, nil)
		if err != nil {
			return nil, err
		}
		return config.Servers[0].Env, nil
	}
	got, err := load("\ufeff# comment\n\nA=1\r\n export B = two words # comment\nC='single # \\n $A'\nD=\"double\\n\\\"q\\\" \\d\" # c\nE=\nF=a#b=c\nG=`x`\nFIRST=file\nA.b-c=x")
	want := map[string]string{"A": "1", "B": "two words", "C": `single # \n $A`, "D": "double\n\"q\" \\d", "E": "", "F": "a#b=c", "G": "x", "FIRST": "env", "A.b-c": "x"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("variables (-want +got): %v\n%s", err, diff)
	}
	for env, want := range map[string]string{
		"A=1\nsekret\n":            "my.env:2: want NAME=value",
		"A='sekret":                "my.env:1: a quote is not closed",
		"A=\"sekret\" and":         "my.env:1: a quote is not closed",
		"1A=sekret":                "my.env:1: want NAME=value",
		strings.Repeat("#", 2<<20): "too large",
	} {
		_, err := load(env)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sekret") {
			t.Errorf("%.20q: %v, want %q and no value", env, err, want)
		}
	}
}

// Where seconds become milliseconds, and what is left out.
func TestLoadConfigBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.json")
	const config = `{"mcpServers": {
		"seconds": {"command": "x", "timeout": 999, "enabled": true},
		"milliseconds": {"command": "x", "timeout": 1000, "disabled": false},
		"off": {"command": "x", "enabled": false}}}`
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := mcptool.LoadConfig(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := mcptool.Servers{
		{Name: "seconds", Command: "x", CallTimeout: 999 * time.Second, Dir: filepath.Dir(path)},
		{Name: "milliseconds", Command: "x", CallTimeout: time.Second, Dir: filepath.Dir(path)},
	}
	if diff := cmp.Diff(want, got.Servers, ignoreUnset); diff != "" {
		t.Errorf("servers (-want +got):\n%s", diff)
	}
}

func TestLoadConfigErrors(t *testing.T) {
	t.Setenv("SEKRET", "https://sekret:sekret@[sekret")
	tests := []struct {
		config string
		want   []string // <path> before a place
	}{
		{`{"mcpServers": {` + "\n" + `"a": }}`, []string{"<path>:2:6: it is not JSON"}},
		{"{\"mcpServers\": {\n  // größe\n  /* ü */ \"a\": {,}}}", []string{"<path>:3:17: it is not JSON"}},
		{`{"mcpServers": {} /* never ends`, []string{"<path>:1:19: it is not JSON"}},
		{`{"mcpServers": {"a": {"command": "x"},,}}`, []string{"not JSON"}},
		{`{"mcpServers": {}} {}`, []string{"<path>:1:20: it is not JSON"}},
		{`{"mcpServers"`, []string{"not JSON", "unexpected end"}},
		{``, []string{"<path>:1:1: it is empty"}},
		{" \n", []string{"it is empty"}},
		{"\xff\xfe{\x00}\x00", []string{"UTF-16"}},
		{`[]`, []string{"<path>:1:1: want an object", "there is a list"}},
		{`null`, []string{"want an object", "there is null"}},
		{`{"tools": {}}`, []string{`neither "mcpServers" nor "servers"`}},
		{`{"mcpservers": {}}`, []string{`but "mcpservers"; did you mean mcpServers?`}},
		{`{"weather": {"command": "x"}}`, []string{`"weather" seems to be a server; put it under "mcpServers"`}},
		{`{"mcpServers": []}`, []string{`<path>:1:16: "mcpServers": want an object`}},
		{`{"mcpServers": null}`, []string{`"mcpServers": want an object`}},
		{`{"mcpServers": {"a": 1}}`, []string{`<path>:1:22: server "a": want an object`, "a number"}},
		{`{"mcpServers": {"a": {"command": "x"}, "a": {}}}`, []string{`<path>:1:40: "mcpServers": "a" stands there twice`}},
		{`{"mcpServers": {"a": {"command": "x"}}, "servers": {"a": {}}}`, []string{`server "a": there is another server of this name`}},
		{`{"mcpServers": {"": {"command": "x"}}}`, []string{"the name is empty"}},
		{`{"mcpServers": {"a": {"command": "x", "env": {"A=B": "1"}}}}`, []string{`<path>:1:47: server "a": "env": no variable can have this name`}},
		{`{"mcpServers": {"a": {"command": "x", "env": {"A=B": 1}}}}`, []string{`<path>:1:47: server "a": "env": no variable can have this name`}},
		{`{"mcpServers": {"a": {"args": []}}}`, []string{`server "a": it has neither a "command" nor a "url"`}},
		{`{"mcpServers": {"a": {"type": "stdio"}}}`, []string{`it has no "command"`}},
		{`{"mcpServers": {"a": {"type": "sse"}}}`, []string{`it has no "url"`}},
		{`{"mcpServers": {"a": {"type": "http", "command": "x"}}}`, []string{`server "a": its type is a remote one, and it has a "command"`}},
		{`{"mcpServers": {"a": {"type": "stdio", "url": "https://x"}}}`, []string{`its type is "stdio", and it has a "url"`}},
		{`{"mcpServers": {"a": {"command": "x", "serverUrl": "https://x"}}}`, []string{`it has a "command" and a "serverUrl"`}},
		{`{"mcpServers": {"a": {"url": "https://x", "httpUrl": "https://x"}}}`, []string{`it has a "url", too`}},
		{`{"mcpServers": {"a": {"type": "ws", "url": "https://x"}}}`, []string{`<path>:1:31: server "a": "type": there is no type "ws"`}},
		{`{"mcpServers": {"a": {"url": "unix:///x.sock"}}}`, []string{`"url": want a URL that begins with https://`}},
		{`{"mcpServers": {"a": {"url": "${SEKRET}"}}}`, []string{`"url": want a URL`}},
		{`{"servers": {"a": {"command": ["x"]}}}`, []string{`<path>:1:31: server "a": "command": want a string, and there is a list`}},
		{`{"servers": {"a": {"command": "x", "args": "y sekret"}}}`, []string{`server "a": "args": want a list`, "a string"}},
		{`{"servers": {"a": {"command": "x", "args": ["y",` + "\n" + ` 7]}}}`, []string{`<path>:2:2: server "a": "args"[1]: want a string`}},
		{`{"servers": {"a": {"command": "x", "env": {"N": true}}}}`, []string{`"env": "N": want a string, and there is true or false`}},
		{`{"servers": {"a": {"command": "x", "env": {"N=M": "sekret"}}}}`, []string{`"env": no variable can have this name`}},
		{`{"servers": {"a": {"command": "x", "env": {"K": "${NO_SUCH_VAR}"}}}}`, []string{`server "a": "env": "K": variable NO_SUCH_VAR is not set`, "${NO_SUCH_VAR:-default}"}},
		{`{"servers": {"a": {"url": "https://x", "headers": {"X Y": "sekret"}}}}`, []string{`"headers": "X Y" cannot be the name of a header`}},
		{`{"servers": {"a": {"url": "https://x", "headers": {"X": "sekret\n"}}}}`, []string{`"headers": "X": there is the end of a line`}},
		{`{"servers": {"a": {"url": "https://x", "headers": {"X": 1}}}}`, []string{`"headers": "X": want a string`}},
		{`{"servers": {"a": {"command": "x", "args": ["${command:pick}"]}}}`, []string{`${command:pick} is not supported`}},
		{`{"servers": {"a": {"command": "x", "args": ["${}"]}}}`, []string{`${} is not supported`}},
		{`{"servers": {"a": {"command": "x", "args": ["${input:key}"]}}}`, []string{`"args"[0]: there is no input "key"`, "TRAMONTANE_INPUT_KEY"}},
		{`{"inputs": [{"id": "key", "description": "The\u001b[2J key"}], "servers": {"a": {"command": "${input:key}"}}}`,
			[]string{`input "key" (The\u{1b}[2J key): nobody can be asked; set the variable TRAMONTANE_INPUT_KEY`}},
		{`{"inputs": [{"id": "key", "options": ["a", "b"], "default": "sekret"}], "servers": {"a": {"command": "${input:key}"}}}`, []string{`input "key" is none of a, b`}},
		{`{"inputs": [{}], "servers": {}}`, []string{`<path>:1:13: "inputs"[0]: an input needs an "id"`}},
		{`{"inputs": [{"id": "a"}, {"id": "a"}], "servers": {}}`, []string{`input "a" stands there twice`}},
		{`{"inputs": {}, "servers": {}}`, []string{`"inputs": want a list`}},
		{`{"inputs": [{"id": "a", "options": [{"label": "x"}]}], "servers": {}}`, []string{`the option has no "value"`}},
		{`{"servers": {"a": {"command": "x", "envFile": "nonesuch.env"}}}`, []string{`server "a": "envFile": open`, "nonesuch.env"}},
		{`{"servers": {"a": {"command": "x", "envFile": "."}}}`, []string{`no regular file`}},
		{`{"servers": {"a": {"url": "https://x.example", "oauth": {"grant": "password"}}}}`, []string{`"grant"`, `want "client_credentials" or "jwt-bearer"`}},
		{`{"servers": {"a": {"url": "https://x.example", "oauth": {"grant": "jwt-bearer"}}}}`, []string{`"jwt-bearer" and "jwtFile" need each other`}},
		{`{"servers": {"a": {"url": "https://x.example", "oauth": {"jwtFile": "token"}}}}`, []string{`"jwt-bearer" and "jwtFile" need each other`}},
		{`{"servers": {"a": {"command": "x", "cwd": ""}}}`, []string{`"cwd": the path is empty`}},
		{`{"servers": {"a": {"command": "x", "timeout": -1}}}`, []string{`"timeout": want a time`}},
		{`{"servers": {"a": {"command": "x", "timeout": 1e300}}}`, []string{`"timeout": want a time`}},
		{`{"servers": {"a": {"command": "x", "timeout": "60"}}}`, []string{`"timeout": want a time with its unit`}},
		{`{"servers": {"a": {"command": "x", "timeout": []}}}`, []string{`"timeout": want a time`, "a list"}},
		{`{"servers": {"a": {"command": "x", "disabled": "yes"}}}`, []string{`"disabled": want true or false, and there is a string`}},
		{`{"servers": {"a": {"url": "https://x", "oauth": {"callbackPort": 70000}}}}`, []string{`"oauth": "callbackPort": want the number of a port`}},
		{`{"servers": {"a": {"url": "https://x", "oauth": {"clientSecret": 7}}}}`, []string{`"oauth": "clientSecret": want a string`}},
		{`{"servers": {"a": {"command": "x", "includeTools": [""]}}}`, []string{`"includeTools"[0]: the name is empty`}},
		{`{"servers": {"a": {"command": "x", "tramontane": {"need": "maybe"}}}}`, []string{`"need": there is no "maybe"`}},
		{`{"servers": {"a": {"command": "x", "tramontane": {"trustd": true}}}}`, []string{`"tramontane": there is no setting "trustd"; did you mean trusted?`}},
		{`{"servers": {"a": {"command": "x", "tramontane": {"tools": {"exlude": []}}}}}`, []string{`there is no setting "exlude"; did you mean exclude?`}},
		{`{"servers": {"a": {"command": "x", "tramontane": {"tools": {"exclude": ["ok", "/(/"]}}}}}`, []string{`<path>:1:79: server "a": "tramontane": "tools": "exclude"[1]: rule a:/(/`, "missing closing )"}},
		{`{"servers": {}, "tramontane": {"drift": "off"}}`, []string{`"tramontane": "drift": there is no mode "off"`}},
		{`{"servers": {}, "tramontane": {"tool": {}}}`, []string{`there is no setting "tool"; did you mean tools?`}},
	}
	for _, tt := range tests {
		path := writeConfig(t, tt.config)
		_, err := mcptool.LoadConfig(path, nil)
		if err == nil {
			t.Errorf("%s: no error", tt.config)
			continue
		}
		for _, want := range append(tt.want, path) {
			if want = strings.ReplaceAll(want, "<path>", path); !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", tt.config, err, want)
			}
		}
		if strings.Contains(err.Error(), "sekret") {
			t.Errorf("%s: error %q holds a secret", tt.config, err)
		}
	}
	missing := filepath.Join(t.TempDir(), "none.json")
	if _, err := mcptool.LoadConfig(missing, nil); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v, want an error that names it", err)
	}
	path := writeConfig(t, `{"inputs": [{"id": "d", "default": "x"}], "servers": {"a": {"command": "${input:d}"}}}`)
	config, err := mcptool.LoadConfig(path, &mcptool.ConfigOptions{Input: func(mcptool.Input) (string, error) { return "", nil }})
	if err != nil || config.Servers[0].Command != "x" {
		t.Errorf("nothing was given: %+v, %v, want the default", config, err)
	}
	path = writeConfig(t, `{"inputs": [{"id": "a"}], "servers": {"a": {"command": "${input:a}"}}}`)
	gone := errors.New("the person went away")
	_, err = mcptool.LoadConfig(path, &mcptool.ConfigOptions{Input: func(mcptool.Input) (string, error) { return "", gone }})
	if !errors.Is(err, gone) || !strings.Contains(err.Error(), `input "a"`) {
		t.Errorf("nobody answers: %v", err)
	}
}

func TestOAuthIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "oauth", mcptool.OAuth{ClientID: "id", ClientSecret: "sekret"})
	if got := log.String(); strings.Contains(got, "sekret") || !strings.Contains(got, "client_id=id") {
		t.Errorf("logged as %s", got)
	}
}

// Whatever stands in a file, reading it ends with servers that have one way to
// be reached, or with an error that names the file.
func FuzzLoadConfig(f *testing.F) {
	for _, config := range []string{
		`{"mcpServers": {"a": {"command": "npx", "args": ["-y"], "env": {"A": "${HOME}", "B": 1, "C": null}, "timeout": 60}}}`,
		`{"servers": {"a": {"type": "http", "url": "https://x/", "headers": {"A": "b"}, "oauth": {"clientId": "x", "callbackPort": 1}}}, // c` + "\n" + `}`,
		`{"inputs": [{"id": "x", "default": "y", "options": ["y", {"value": "z"}]}], "servers": {"a": {"command": "${input:x}", "envFile": "x"}}}`,
		`{"tramontane": {"tools": {"exclude": ["a:/x/"]}, "lock": "l"}, "mcpServers": {"a": {"command": "x", "tramontane": {"need": "lazy", "tools": {"include": ["*"]}}}}}`,
		`{"mcp": {"servers": {}}}`, `{,}`, `{"a":[1,],}`, `/* */{"servers":{}}//`, "\xff\xfe", "\ufeff{}", `"`, `/*`, `{"servers":{"a":{"timeout":1e999}}}`,
	} {
		f.Add([]byte(config))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := writeConfig(t, string(data))
		config, err := mcptool.LoadConfig(path, nil)
		if err != nil {
			if config != nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%q: %v, %v", data, config, err)
			}
			return
		}
		for _, s := range config.Servers {
			if s.Name == "" || (s.Command == "") == (s.URL == "") {
				t.Errorf("%q: server %+v", data, s)
			}
		}
		for _, rules := range [][]mcptool.Rule{config.Policy.Include, config.Policy.Exclude, config.Policy.Confirm} {
			for _, rule := range rules {
				if _, err := mcptool.ParseRule(string(rule)); err != nil {
					t.Errorf("%q: %v", data, err)
				}
			}
		}
	})
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
