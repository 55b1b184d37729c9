package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
)

type codeFiles struct {
	Files []struct {
		Filename string `json:"filename"`
		Content  string `json:"content"`
	} `json:"code_files"`
}

// serveSSE is a server of HTTP with SSE, as those that the examples name.
func serveSSE() http.Handler {
	return mcp.NewSSEHandler(func(*http.Request) *mcp.Server {
		s := mcp.NewServer(&mcp.Implementation{Name: "remote", Version: "1"}, nil)
		mcp.AddTool(s, &mcp.Tool{Name: "security_check", Description: "Check code files for security vulnerabilities."},
			func(_ context.Context, _ *mcp.CallToolRequest, in codeFiles) (*mcp.CallToolResult, any, error) {
				return said(fmt.Sprintf("%d bytes of %s: nothing found", len(in.Files[0].Content), in.Files[0].Filename)), nil, nil
			})
		mcp.AddTool(s, &mcp.Tool{Name: "list_projects", Description: "List the projects in the workspace."},
			func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
				return said("Mistral and Sirocco"), nil, nil
			})
		return s
	}, nil)
}

func said(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// writes is a model that can write code, which the offline one cannot.
const writes = `
{"tool_calls": [{"function": {"name": "semgrep_security_check", "arguments":
  "{\"code_files\": [{\"filename\": \"hello_world.py\", \"content\": \"print()\"}]}"}}]}
{"expect": {"last_content": "7 bytes of hello_world.py: nothing found"}, "content": "It is safe."}
`

// TestRemote runs the example against a server that wants no login.
func TestRemote(t *testing.T) {
	server := httptest.NewServer(serveSSE())
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	script := filepath.Join(t.TempDir(), "replies.json")
	if err := os.WriteFile(script, []byte(writes), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "./examples/remote")
	cmd.Dir = root
	cmd.Env = environ("MISTRAL_BASE_URL="+serve(t, "--scripted", script), "MCP_URL="+server.URL+"/sse")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("example remote: %v\n%s", err, &stderr)
	}
	for _, want := range []string{"All run entries:\n", `"name":"semgrep_security_check"`, "hello_world.py: nothing found", "\nFinal response: It is safe.\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
}

// TestRemoteLogin runs the example twice against a server that wants a login:
// the second time the login of the first is still there.
func TestRemoteLogin(t *testing.T) {
	as := oauthtest.New(t, oauthtest.Config{})
	resource := oauthtest.Protect(t, serveSSE(), oauthtest.ResourceConfig{Path: "/sse"}, as)
	env := environ("MISTRAL_BASE_URL="+serve(t), "MCP_URL="+resource.URL, "HOME="+t.TempDir(), "BROWSER=true", "DBUS_SESSION_BUS_ADDRESS=")
	browser := new(oauthtest.Browser)
	for range 2 {
		out := runLogin(t, env, browser)
		if want := "Final response: Mistral and Sirocco\n"; out != want {
			t.Errorf("output is %q, want %q", out, want)
		}
	}
	if n := browser.Visits(); n != 1 {
		t.Errorf("the person was asked %d times, want once", n)
	}
}

var authorizationURL = regexp.MustCompile(`http://\S*/authorize\?\S*`)

func runLogin(t *testing.T, env []string, browser *oauthtest.Browser) string {
	t.Helper()
	program := t.TempDir() + "/remote-login.exe"
	build := exec.Command("go", "build", "-o", program, "./examples/remote-login")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = env
	var stdout, said bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if page := authorizationURL.FindString(lines.Text()); page != "" {
			if err := browser.Open(page); err != nil {
				t.Errorf("browser: %v", err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("example remote-login: %v\n%s", err, &said)
	}
	return stdout.String()
}
