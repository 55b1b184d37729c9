package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tramontane": main,
		"mcpserver":  serveTools,
	})
}

// TestScripts runs the scripts in testdata/script. They have, beside the usual
// commands:
//
//	exits CODE PROGRAM ARG...   runs a program that must end with the code
//	serve ARG...                starts tramontane serve and sets URL
//	stop SIGNAL                 ends it; its exit code must be 0. With "-" it
//	                            must end by itself
//	get PATH                    fetches a path of the server that serve started
//	norm FILE                   makes ids, times and versions in a file the same for all runs
//	seen PATTERN                checks that the model, or proxy, got such a request
//	login ARG...                runs tramontane mcp login and plays the person at the browser
//	gone FILE...                checks that processes, whose ids stand in the files, have ended
//
// MODEL_URL is a chat-completions endpoint that does what the prompt says (see
// [puppet]). REMOTE_URL and LOGIN_URL are MCP servers, the second one for people
// who have logged in. USER_URL is the first with a user and a password.
func TestScripts(t *testing.T) {
	remote, protected := serveRemote(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			p := new(puppet)
			model := httptest.NewServer(p)
			env.Defer(model.Close)
			env.Values["puppet"] = p
			env.Setenv("MODEL_URL", model.URL+"/v1")
			env.Setenv("PUPPET", model.URL)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("REMOTE_URL", remote)
			env.Setenv("LOGIN_URL", protected)
			env.Setenv("USER_URL", strings.Replace(remote, "http://", "http://user:secret@", 1))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"serve": serve,
			"stop":  stop,
			"get":   get,
			"norm":  norm,
			"gone":  gone,
			"seen":  seen,
			"login": login,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// A service is a tramontane serve that runs.
type service struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr bytes.Buffer
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	path, err := lookPath(ts, "tramontane")
	ts.Check(err)
	s := &service{cmd: exec.Command(path, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)}
	s.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TESTSCRIPT_COMMAND", "KEY"} {
		s.cmd.Env = append(s.cmd.Env, name+"="+ts.Getenv(name))
	}
	s.cmd.Stderr = &s.stderr
	stdout, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Defer(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	s.stdout = bufio.NewReader(stdout)
	line, err := s.stdout.ReadString('\n')
	if err != nil {
		s.cmd.Wait()
		ts.Fatalf("serve: no address: %v\n%s", err, &s.stderr)
	}
	ts.Setenv("URL", strings.TrimSuffix(line, "\n"))
	ts.Value("puppet").(*puppet).service = s
}

// lookPath finds a program in the PATH of the script.
func lookPath(ts *testscript.TestScript, name string) (string, error) {
	for dir := range strings.SplitSeq(ts.Getenv("PATH"), string(os.PathListSeparator)) {
		if path, err := exec.LookPath(dir + string(os.PathSeparator) + name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not in PATH", name)
}

func stop(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "-": nil}
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stop INT|TERM|-")
	}
	s := ts.Value("puppet").(*puppet).service
	if signal := signals[args[0]]; signal != nil {
		ts.Check(s.cmd.Process.Signal(signal))
	}
	rest, err := io.ReadAll(s.stdout)
	ts.Check(err)
	err = s.cmd.Wait()
	ts.Logf("[serve stderr]\n%s", &s.stderr)
	if err != nil {
		ts.Fatalf("serve ended after SIG%s: %v", args[0], err)
	}
	if len(rest) > 0 {
		ts.Fatalf("serve wrote more than its address on standard output: %s", rest)
	}
	ts.Check(os.WriteFile(ts.MkAbs("serve.stderr"), s.stderr.Bytes(), 0o666))
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	resp, err := http.Get(ts.Getenv("URL") + args[0])
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("GET %s: %s\n%s", args[0], resp.Status, body)
	}
	fmt.Fprintf(ts.Stdout(), "%s\n", body)
}

// What differs from run to run, and what stands for it.
var changing = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`"(created_at|completed_at|updated_at)":"[^"]*"`), `"$1":"TIME"`},
	{regexp.MustCompile(`\b([a-z]+)_[0-9a-f]{32}\b`), `${1}_ID`},
	{regexp.MustCompile(`\brun_[A-Z0-9]{16}\b`), `run_ID`},
	{regexp.MustCompile(`"version":"[^"]*"`), `"version":"VERSION"`},
}

func norm(ts *testscript.TestScript, neg bool, args []string) {
	data := ts.ReadFile(args[0])
	for _, c := range changing {
		data = c.pattern.ReplaceAllString(data, c.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(data), 0o666))
}

// login runs tramontane mcp login, opens the page that it names, and brings the
// answer back: by the browser or, with --paste, on standard input.
func login(ts *testscript.TestScript, neg bool, args []string) {
	path, err := lookPath(ts, "tramontane")
	ts.Check(err)
	cmd := exec.Command(path, append([]string{"mcp", "login"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TESTSCRIPT_COMMAND", "LOGIN_URL"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Env = append(cmd.Env, "BROWSER=true")
	cmd.SysProcAttr = noTerminal()
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	cmd.Stdout = ts.Stdout()
	ts.Check(cmd.Start())
	var said strings.Builder
	lines := bufio.NewScanner(io.TeeReader(stderr, &said))
	browser := new(oauthtest.Browser)
	for lines.Scan() {
		page := authorizationURL.FindString(lines.Text())
		switch {
		case page == "" || browser.Visits() > 0:
		case slices.Contains(args, "--paste"):
			to, err := browser.Visit(context.Background(), page)
			ts.Check(err)
			fmt.Fprintln(stdin, to)
		default:
			ts.Check(browser.Open(page))
		}
	}
	ts.Logf("[login stderr]\n%s", &said)
	if err := cmd.Wait(); (err != nil) != neg {
		ts.Fatalf("login ended with %v", err)
	}
}

var authorizationURL = regexp.MustCompile(`http://\S*/authorize\?\S*`)

func gone(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		id, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(file)))
		ts.Check(err)
		p, err := os.FindProcess(id)
		if err == nil && p.Signal(syscall.Signal(0)) == nil {
			ts.Fatalf("process %d of %s still runs", id, file)
		}
	}
}

// seen checks that the puppet got a request that matches.
func seen(ts *testscript.TestScript, neg bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	got := ts.Value("puppet").(*puppet).requests()
	if pattern.MatchString(got) == neg {
		ts.Fatalf("requests that the model got:\n%s", got)
	}
}
