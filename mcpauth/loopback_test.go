package mcpauth_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane/mcpauth"
)

const authPage = "https://auth.example/authorize?client_id=c&state=the-state"

// visit asks the listener of a prompt as a browser does, and returns the status
// and the page.
func visit(t *testing.T, method, to, host string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, to, err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, to, err)
	}
	return resp.StatusCode, resp.Header, string(page)
}

func begin(t *testing.T, prompter mcpauth.Prompter, redirectURI string) mcpauth.Prompt {
	t.Helper()
	prompt, err := prompter.Begin(t.Context(), redirectURI)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prompt.Close() })
	return prompt
}

// Whatever is not the answer is refused and does not end the wait.
func TestLoopback(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	opened := make(chan string, 1)
	prompt := begin(t, mcpauth.Loopback{Out: &out, Open: func(url string) error { opened <- url; return nil }}, "")
	redirect := prompt.RedirectURI()
	u, err := url.Parse(redirect)
	if err != nil || u.Hostname() != "localhost" || u.Path != "/oauth/callback" {
		t.Fatalf("RedirectURI = %s, %v", redirect, err)
	}
	if status, _, _ := visit(t, "GET", redirect+"?code=c&state=", ""); status != 400 {
		t.Errorf("an answer before the question = %d, want 400", status)
	}
	type answer struct {
		url string
		err error
	}
	came := make(chan answer, 1)
	go func() {
		back, err := prompt.Ask(t.Context(), authPage)
		came <- answer{back, err}
	}()
	if got := <-opened; got != authPage {
		t.Errorf("opened %s, want %s", got, authPage)
	}
	for name, row := range map[string]struct {
		method, path, host string
		want               int
	}{
		"another path":    {"GET", "/?code=c&state=the-state", "", 404},
		"an icon":         {"GET", "/favicon.ico", "", 404},
		"another method":  {"POST", "/oauth/callback?code=c&state=the-state", "", 405},
		"a look ahead":    {"HEAD", "/oauth/callback?code=c&state=the-state", "", 405},
		"another state":   {"GET", "/oauth/callback?code=c&state=a-state", "", 400},
		"no state":        {"GET", "/oauth/callback?code=c", "", 400},
		"two states":      {"GET", "/oauth/callback?code=c&state=the-state&state=x", "", 400},
		"a rebound name":  {"GET", "/oauth/callback?code=c&state=the-state", "evil.example:" + u.Port(), 403},
		"without a port":  {"GET", "/oauth/callback?code=c&state=the-state", "localhost", 403},
		"another address": {"GET", "/oauth/callback?code=c&state=the-state", "127.0.0.1:" + u.Port(), 403},
	} {
		status, _, page := visit(t, row.method, "http://"+u.Host+row.path, row.host)
		if status != row.want || strings.Contains(page, "-state") {
			t.Errorf("%s: %d %q, want %d", name, status, page, row.want)
		}
	}
	select {
	case got := <-came:
		t.Fatalf("Ask returned %+v before the person came back", got)
	default:
	}
	query := "?error=access_denied&error_description=%3Cscript%3Ecall%20this%20number&state=the-state&iss=https%3A%2F%2Fauth.example"
	status, header, page := visit(t, "GET", redirect+query, "")
	if status != 200 || strings.Contains(page, "script") || strings.Contains(page, "number") || !strings.Contains(page, "go back to the program") {
		t.Errorf("the page: %d %s", status, page)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := <-came; got.url != redirect+query || got.err != nil {
		t.Errorf("Ask = %+v, want %s", got, redirect+query)
	}
	if status, _, _ := visit(t, "GET", redirect+query, ""); status != 410 {
		t.Errorf("the answer again = %d, want 410", status)
	}
	if !strings.Contains(out.String(), authPage) {
		t.Errorf("the URL was not written: %s", out.String())
	}
	prompt.Close()
	if conn, err := net.Dial("tcp", u.Host); err == nil {
		conn.Close()
		t.Error("the port is open after Close")
	}
}

// The page reaches the browser although the program closes the prompt as soon as
// it has the answer.
func TestLoopbackPageArrives(t *testing.T) {
	t.Parallel()
	for range 20 {
		opened := make(chan string, 1)
		prompt := begin(t, mcpauth.Loopback{Out: io.Discard, Open: func(url string) error { opened <- url; return nil }}, "")
		ended := make(chan error)
		go func() {
			_, err := prompt.Ask(t.Context(), authPage)
			ended <- errors.Join(err, prompt.Close())
		}()
		<-opened
		status, _, page := visit(t, "GET", prompt.RedirectURI()+"?code=c&state=the-state", "")
		if status != 200 || !strings.Contains(page, "</html>") {
			t.Errorf("the page: %d %s", status, page)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestLoopbackPorts(t *testing.T) {
	t.Parallel()
	loopback := mcpauth.Loopback{Out: io.Discard}
	first, err := loopback.Begin(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	registered := first.RedirectURI()
	first.Close()
	first.Close()

	second := begin(t, loopback, registered)
	if got := second.RedirectURI(); got != registered {
		t.Errorf("RedirectURI = %s, want the registered %s", got, registered)
	}
	// The next login that needs the port waits for it.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := loopback.Begin(ctx, registered); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Begin while the port is in use here: %v", err)
	}
	second.Close()

	// Another program has it.
	u, err := url.Parse(registered)
	if err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", "127.0.0.1:"+u.Port())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	third := begin(t, loopback, registered)
	if got := third.RedirectURI(); got == registered {
		t.Errorf("RedirectURI = %s, whose port another program has", got)
	}
	loopback.Port = other.Addr().(*net.TCPAddr).Port
	if _, err := loopback.Begin(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Begin with a port that another program has: %v", err)
	}
	// Another program has it at the other address of localhost, where it would be
	// sent the code.
	if six, err := net.Listen("tcp", "[::1]:0"); err == nil {
		t.Cleanup(func() { six.Close() })
		_, port, _ := net.SplitHostPort(six.Addr().String())
		taken := "http://localhost:" + port + "/oauth/callback"
		if got := begin(t, mcpauth.Loopback{Out: io.Discard}, taken).RedirectURI(); got == taken {
			t.Errorf("RedirectURI = %s, whose port another program has", got)
		}
	}
	// The registered URI was another prompter's.
	for _, uri := range []string{"https://app.example/callback", "http://127.0.0.1:" + u.Port() + "/oauth/callback", "http://localhost:x/oauth/callback", "%"} {
		prompt, err := mcpauth.Loopback{Out: io.Discard}.Begin(t.Context(), uri)
		if err != nil || prompt.RedirectURI() == uri {
			t.Errorf("Begin after %s: %v, %v", uri, prompt, err)
			continue
		}
		prompt.Close()
	}
}

func TestLoopbackHosts(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"127.0.0.1": "http://127.0.0.1:", "[::1]": "http://[::1]:", "localhost": "http://localhost:"} {
		prompt, err := mcpauth.Loopback{Host: host, Path: "/back", Out: io.Discard}.Begin(t.Context(), "")
		if err != nil && host == "[::1]" {
			continue // there is no IPv6 here
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := prompt.RedirectURI(); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "/back") {
			t.Errorf("RedirectURI with host %s = %s", host, got)
		}
		prompt.Close()
	}
	for _, host := range []string{"0.0.0.0", "192.168.0.1", "example.com"} {
		if _, err := (mcpauth.Loopback{Host: host}).Begin(t.Context(), ""); err == nil {
			t.Errorf("Begin with host %s is no error", host)
		}
	}
}

func TestLoopbackEnds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	fails := func(string) error { return errors.New("no display") }
	prompt := begin(t, mcpauth.Loopback{Out: &out, Timeout: time.Millisecond, Open: fails}, "")
	if _, err := prompt.Ask(t.Context(), authPage); err == nil || !strings.Contains(err.Error(), "nobody came back within 1ms") {
		t.Errorf("Ask when nobody comes: %v", err)
	}
	if !strings.Contains(out.String(), "no display") || !strings.Contains(out.String(), authPage) {
		t.Errorf("what is written when no browser opens: %s", out.String())
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the run is over"))
	prompt = begin(t, mcpauth.Loopback{Out: io.Discard, Open: fails}, "")
	if _, err := prompt.Ask(ctx, authPage); err == nil || err.Error() != "the run is over" {
		t.Errorf("Ask with a context that ended: %v", err)
	}
}

// Nothing is opened that is no web page, and nothing written that a terminal
// would obey.
func TestAuthorizationURLs(t *testing.T) {
	t.Parallel()
	for _, prompter := range []mcpauth.Prompter{
		mcpauth.Loopback{Out: io.Discard, Open: func(url string) error { t.Errorf("opened %q", url); return nil }},
		&mcpauth.Paste{Out: io.Discard, In: strings.NewReader("code=c&state=s")},
	} {
		prompt := begin(t, prompter, "")
		for _, page := range []string{
			"javascript:alert(1)?state=s", "file:///etc/passwd?state=s", "data:text/html,x?state=s", "-h?state=s", "https:?state=s",
			"https://auth.example/?no=state", "https://auth.example/\u009b2J?state=s", "https://auth.example/ ?state=s", "%",
		} {
			if back, err := prompt.Ask(t.Context(), page); err == nil {
				t.Errorf("%T: Ask(%q) = %s", prompter, page, back)
			}
		}
	}
}

// A person learns for which server and for what they are asked to log in.
func TestPurpose(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"": "To log in, open this page",
		"&resource=https%3A%2F%2Fmcp.example%2Fmcp%3Fkey%3Dsecret":           "To log in to https://mcp.example/mcp, open this page",
		"&resource=https%3A%2F%2Fmcp.example&scope=read+write":               "To log in to https://mcp.example with the scopes read, write, open this page",
		"&resource=https%3A%2F%2Fmcp.example&scope=re%1B%5B2Jad%0A%0Dwrite+": "To log in to https://mcp.example with the scopes re[2Jad, write, open this page",
	} {
		var loopback, paste bytes.Buffer
		ended, cancel := context.WithCancel(t.Context())
		for out, prompter := range map[*bytes.Buffer]mcpauth.Prompter{
			&loopback: mcpauth.Loopback{Out: &loopback, Open: func(string) error { cancel(); return errors.New("none") }, Elsewhere: "start again with --paste"},
			&paste:    &mcpauth.Paste{Out: &paste, In: strings.NewReader("")},
		} {
			ctx := t.Context() // until the input ends
			if out == &loopback {
				ctx = ended
			}
			begin(t, prompter, "").Ask(ctx, authPage+query)
			if first, _, _ := strings.Cut(out.String(), "\n"); !strings.HasPrefix(first, want) {
				t.Errorf("%s: the person reads %q, want %q", query, first, want)
			}
		}
		if !strings.Contains(loopback.String(), "If you sit at another, start again with --paste.") {
			t.Errorf("without a browser: %s", loopback.String())
		}
	}
}

// TestBrowser has the browser of a desktop started, which is a script here.
func TestBrowser(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the opener of this system is at a fixed place")
	}
	dir := t.TempDir()
	ask := func() (string, error) {
		var out bytes.Buffer
		prompt := begin(t, mcpauth.Loopback{Out: &out, Timeout: 50 * time.Millisecond}, "")
		_, err := prompt.Ask(t.Context(), authPage)
		return out.String(), err
	}
	t.Setenv("PATH", dir)
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
	t.Setenv("WSL_DISTRO_NAME", "")
	if out, _ := ask(); !strings.Contains(out, "no display") || !strings.Contains(out, "If you sit at another, log in by paste instead.") {
		t.Errorf("without a display: %s", out)
	}
	t.Setenv("DISPLAY", ":0")
	if out, _ := ask(); !strings.Contains(out, "no xdg-open") {
		t.Errorf("without an opener: %s", out)
	}
	opener := filepath.Join(dir, "xdg-open")
	script := func(text string) {
		if err := os.WriteFile(opener, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script("exit 3")
	if out, _ := ask(); !strings.Contains(out, "exit status 3") {
		t.Errorf("with an opener that fails: %s", out)
	}
	script(`echo "$# $1" >` + dir + "/opened")
	if out, _ := ask(); strings.Contains(out, "by hand") {
		t.Errorf("with an opener that works: %s", out)
	}
	if got, err := os.ReadFile(dir + "/opened"); string(got) != "1 "+authPage+"\n" {
		t.Errorf("the opener got %s, %v", got, err)
	}
}
