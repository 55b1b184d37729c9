package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcpauth"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A screen is what a person sees. It is safe for concurrent use.
type screen struct {
	mu    sync.Mutex // guards the field below
	shown bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.Write(p)
}

// take returns what was shown since it was last asked.
func (s *screen) take() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.shown.Reset()
	return s.shown.String()
}

// atTerminal returns a person, what they see, and where they type.
func atTerminal(t *testing.T) (*person, *screen, io.Writer) {
	in, keys := io.Pipe()
	t.Cleanup(func() { keys.Close() })
	seen := new(screen)
	return newPerson(in, seen, new(mcptool.Grants)), seen, keys
}

func ask(ctx context.Context, p *person, tool string) <-chan tramontane.Decision {
	decided := make(chan tramontane.Decision, 1)
	go func() {
		d, _ := p.approve(ctx, &tramontane.Call{Name: tool, Arguments: []byte(`{}`)}, tramontane.Definition{Name: tool})
		decided <- d
	}()
	return decided
}

// Calls, servers and logins turn to the person at the same time, and are heard
// one after the other.
func TestOneQuestionAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, seen, keys := atTerminal(t)
		first := ask(t.Context(), p, "first")
		if got := seen.take(); !strings.Contains(got, "wants to call first") {
			t.Fatalf("the person sees %q", got)
		}
		second := ask(t.Context(), p, "second")
		elicited := make(chan *mcptool.ElicitationAnswer, 1)
		go func() {
			a, _ := p.elicit(t.Context(), &mcptool.Elicitation{Server: "files", Message: "Sure?"})
			elicited <- a
		}()
		loggedIn := make(chan error, 1)
		go func() {
			prompt, err := p.prompter(page{seen}).Begin(t.Context(), "")
			if err == nil {
				_, err = prompt.Ask(t.Context(), "https://example.com/authorize")
			}
			loggedIn <- err
		}()
		drifted := make(chan mcptool.DriftAnswer, 1)
		go func() {
			a, _ := p.acceptDrift(t.Context(), new(mcptool.Drift))
			drifted <- a
		}()
		if got := seen.take(); got != "" {
			t.Errorf("in the middle of a question the person sees %q", got)
		}
		pages := 0
		for next := "y\n"; next != ""; {
			io.WriteString(keys, next)
			got := seen.take()
			pages += strings.Count(got, "open https://")
			if n := strings.Count(got, "[y]es"); n > 1 {
				t.Errorf("the person sees %d questions at once: %q", n, got)
			} else if n == 0 {
				next = ""
			}
		}
		if d := <-first; d != tramontane.Allow() {
			t.Errorf("the first call: %v", d)
		}
		if d := <-second; d != tramontane.Allow() {
			t.Errorf("the second call: %v", d)
		}
		if a := <-elicited; a.Action != mcptool.ElicitAccept {
			t.Errorf("the server is told %q", a.Action)
		}
		if err := <-loggedIn; err != nil || pages != 1 {
			t.Errorf("the login: %v, pages: %d", err, pages)
		}
		if a := <-drifted; a != mcptool.AllowDrift {
			t.Errorf("the drift: %v", a)
		}
	})
}

// A page is a prompter that shows a page and wants nothing.
type page struct{ out io.Writer }

func (p page) Begin(context.Context, string) (mcpauth.Prompt, error) { return p, nil }
func (p page) RedirectURI() string                                   { return "http://localhost/" }
func (p page) Close() error                                          { return nil }
func (p page) Ask(_ context.Context, authURL string) (string, error) {
	io.WriteString(p.out, "open "+authURL+"\n")
	return "http://localhost/?code=1", nil
}

// What is typed for a question that is asked no more answers no other one.
func TestWithdrawnQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, seen, keys := atTerminal(t)
		ctx, cancel := context.WithCancel(t.Context())
		withdrawn := ask(ctx, p, "first")
		seen.take()
		cancel()
		if d := <-withdrawn; d != tramontane.Later() {
			t.Errorf("the call whose run ended: %v", d)
		}
		if got := seen.take(); !strings.Contains(got, "asked no more") {
			t.Errorf("when a question is withdrawn, the person sees %q", got)
		}
		io.WriteString(keys, "y\n")
		synctest.Wait()
		second := ask(t.Context(), p, "second")
		if got := seen.take(); !strings.Contains(got, "wants to call second") {
			t.Errorf("the person sees %q", got)
		}
		io.WriteString(keys, "n\n")
		if d := <-second; d == tramontane.Allow() {
			t.Error("the second call was allowed by the answer to the first")
		}

		// The read that goes on is the next question's.
		ctx, cancel = context.WithCancel(t.Context())
		withdrawn = ask(ctx, p, "third")
		seen.take()
		cancel()
		<-withdrawn
		fourth := ask(t.Context(), p, "fourth")
		seen.take()
		io.WriteString(keys, "y\n")
		if d := <-fourth; d != tramontane.Allow() {
			t.Errorf("the fourth call: %v", d)
		}
	})
}

// Ctrl-C ends a question for a value of the config file, and leaves a terminal
// that shows what is typed.
func TestInputIsBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := atTerminal(t)
		shown := false
		typed := make(chan struct{})
		t.Cleanup(func() { close(typed) })
		p.secret = func() (string, error) { <-typed; return "", nil }
		p.show = func() { shown = true }
		for _, secret := range []bool{true, false} {
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			go func() {
				_, err := p.input(ctx, mcptool.Input{ID: "key", Secret: secret})
				failed <- err
			}()
			synctest.Wait()
			cancel()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("secret %t: %v", secret, err)
			}
		}
		if !shown {
			t.Error("the terminal stays dark")
		}
	})
}

// Who cannot keep a grant has allowed the call all the same.
func TestGrantNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		p, seen, keys := atTerminal(t)
		first := ask(t.Context(), p, "delete")
		seen.take()
		p.grants.Path = filepath.Join(file, "grants.json") // in no directory
		io.WriteString(keys, "f\n")
		if d := <-first; d != tramontane.Allow() {
			t.Errorf("the call: %v", d)
		}
		if got := seen.take(); !strings.Contains(got, "in this run only") {
			t.Errorf("the person sees %q", got)
		}
	})
}

// So does Ctrl-C a prompt, and the arguments of a call, from standard input.
func TestReadingIsBrokenOff(t *testing.T) {
	cause := &signalError{os.Interrupt}
	ctx, cancel := context.WithCancelCause(t.Context())
	in, keys := io.Pipe()
	defer keys.Close()
	cancel(cause)
	if _, err := readPrompt(ctx, nil, in); codeOf(err) != exitInterrupt {
		t.Errorf("a prompt: %v, want exit code %d", err, exitInterrupt)
	}
	if _, err := readArguments(ctx, []string{"-"}, nil, in); !errors.Is(err, context.Canceled) {
		t.Errorf("arguments: %v", err)
	}
}

// What a server says moves no cursor and hides nothing.
func TestVisible(t *testing.T) {
	for _, hidden := range []string{"\x1b[2J", "\r", "\u202e", "\u200b", "\u2066", "\U000e0041", "\ufe0f", "\U000e0100", "\u00a0", "\x80"} {
		var out bytes.Buffer
		report(&out, errors.New("a"+hidden+"b\tc"))
		if got := out.String(); !strings.Contains(got, "\ufffd") || strings.Contains(got, hidden) || !strings.HasSuffix(got, "b    c\n") {
			t.Errorf("%q is shown as %q", hidden, got)
		}
	}
	if got := visible("Café 東京 😀"); got != "Café 東京 😀" {
		t.Errorf("plain text is shown as %q", got)
	}
}

// What a person types becomes what the form asks for.
func TestParseField(t *testing.T) {
	sizes := []mcptool.ElicitationOption{{Value: "s", Title: "Small"}, {Value: "l"}}
	tests := []struct {
		field  mcptool.ElicitationField
		answer string
		want   any // nil for an error
	}{
		{mcptool.ElicitationField{Type: "string"}, "a, b", "a, b"},
		{mcptool.ElicitationField{Type: "string", Options: sizes}, "Small", "s"},
		{mcptool.ElicitationField{Type: "string", Options: sizes}, "2", "l"},
		{mcptool.ElicitationField{Type: "string", Options: sizes}, "l", "l"},
		{mcptool.ElicitationField{Type: "boolean"}, "Yes", true},
		{mcptool.ElicitationField{Type: "boolean"}, "n", false},
		{mcptool.ElicitationField{Type: "boolean"}, "perhaps", nil},
		{mcptool.ElicitationField{Type: "integer"}, "-7", int64(-7)},
		{mcptool.ElicitationField{Type: "integer"}, "7.5", nil},
		{mcptool.ElicitationField{Type: "number"}, "7.5", 7.5},
		{mcptool.ElicitationField{Type: "number"}, "NaN", nil},
		{mcptool.ElicitationField{Type: "number"}, "-inf", nil},
		{mcptool.ElicitationField{Type: "array", Options: sizes}, "1, l,", []string{"s", "l"}},
		{mcptool.ElicitationField{Type: "array", Options: sizes}, "", []string{}},
	}
	for _, tt := range tests {
		got, err := parseField(&tt.field, tt.answer)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != (tt.want == nil) {
			t.Errorf("%s %q: %v, %v, want %v", tt.field.Type, tt.answer, got, err, tt.want)
		}
	}
}

// The page that a server wants visited is shown as it is, and agreed to or not.
func TestVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, seen, keys := atTerminal(t)
		answered := make(chan *mcptool.ElicitationAnswer, 1)
		go func() {
			a, _ := p.elicit(t.Context(), &mcptool.Elicitation{
				Server: "shop", Message: "Pay.", URL: "https://pay.example/42", Host: "pay.example", Warnings: []string{"it is odd"}})
			answered <- a
		}()
		got := seen.take()
		for _, want := range []string{"MCP server shop asks: Pay.\n", "at pay.example:\n  https://pay.example/42\n", "Beware: it is odd\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("the person sees %q, which lacks %q", got, want)
			}
		}
		io.WriteString(keys, "c\n")
		if a := <-answered; a.Action != mcptool.ElicitCancel || len(a.Content) > 0 {
			t.Errorf("the answer: %+v", a)
		}
	})
}

// Each remote server has a login, and its turn at the terminal, save those whose
// settings bring credentials.
func TestNewLogins(t *testing.T) {
	box := &toolbox{
		servers: mcptool.Servers{
			{Name: "plain", URL: "https://a.example/mcp"},
			{Name: "set", URL: "https://b.example/mcp"},
			{Name: "header", URL: "https://c.example/mcp", Header: http.Header{"Authorization": {"x"}}},
			{Name: "user", URL: "https://u:p@d.example/mcp"},
			{Name: "local", Command: "x"},
		},
		oauth: map[string]mcptool.OAuth{"set": {
			ClientID: "id", ClientSecret: "hush", Issuer: "https://i.example", MetadataURL: "https://m.example/c", Scopes: []string{"s"},
			RedirectURL: "http://127.0.0.1:16010/back", AllowHosts: []string{"sso.corp"},
		}},
	}
	p, _, _ := atTerminal(t)
	box.newLogins(p)
	for _, s := range box.servers {
		l := box.logins[s.Name]
		if want := s.Name == "plain" || s.Name == "set"; (l != nil) != want || (s.Auth != nil) != want {
			t.Errorf("server %s has a login: %t, want %t", s.Name, l != nil, want)
		}
		if l == nil {
			continue
		}
		prompter, ok := l.Prompter.(*turnPrompter)
		if !ok || prompter.person != p {
			t.Errorf("server %s: the person is asked by %T, out of turn", s.Name, l.Prompter)
		}
	}
	got := box.logins["set"]
	if got.ClientID != "id" || got.ClientSecret != "hush" || got.ClientIssuer != "https://i.example" || got.MetadataURL != "https://m.example/c" ||
		!slices.Equal(got.Scopes, []string{"s"}) || !slices.Equal(got.AllowHosts, []string{"sso.corp"}) {
		t.Errorf("the login is not as the config file has it: %+v", got)
	}
	l := got.Prompter.(*turnPrompter).Prompter.(*mcpauth.Loopback)
	if l.Host != "127.0.0.1" || l.Port != 16010 || l.Path != "/back" {
		t.Errorf("the browser comes back to %s, port %d, %s", l.Host, l.Port, l.Path)
	}
	box.newLogins(nil)
	if l := box.logins["plain"]; l.Prompter != nil {
		t.Error("somebody is asked where nobody is")
	}
}
