package mcpauth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
	"github.com/tramontane-dev/tramontane/mcpauth"
)

// A transcript collects everything that a person or a log could see.
type transcript struct {
	mu  sync.Mutex // guards the field below
	buf bytes.Buffer
}

func (tr *transcript) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.buf.Write(p)
}

// show prints v in every way that there is.
func (tr *transcript) show(v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		fmt.Fprintf(tr, verb+"\n", v)
		fmt.Fprintf(tr, verb+"\n", struct{ V any }{v})
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(tr, nil), slog.NewJSONHandler(tr, nil)} {
		log := slog.New(h)
		log.Info("shown", "value", v)
		log.Info("shown", "value", struct{ V any }{v})
	}
	if data, err := json.Marshal(v); err == nil {
		tr.Write(data)
	}
}

func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	as.Add(oauthtest.Client{ID: "mine", Secret: "secret-mine", RedirectURIs: []string{callback}})
	server := oauthtest.Protect(t, ok, oauthtest.ResourceConfig{Challenge: "read", Need: needs}, as)
	seen := &transcript{}
	p := &person{}
	login := &mcpauth.Login{
		Server: server.URL, Prompter: p, Store: &mcpauth.MemoryStore{}, ClientID: "mine", ClientSecret: "secret-mine",
		Logger: slog.New(slog.NewJSONHandler(seen, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	try := func(tool string) {
		if _, err := call(t.Context(), login, server.URL, tool); err != nil {
			seen.show(err)
			seen.show(err.Error())
		}
	}
	try("read")
	try("write")
	seen.show(login)
	st, err := login.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen.show(st)

	flow, err := login.Begin(t.Context(), callback)
	if err != nil {
		t.Fatal(err)
	}
	seen.show(flow)
	seen.show(*tokenOf(t, flow))
	_, err = flow.Exchange(t.Context(), callback+"?code=secret-code&state="+flow.State())
	seen.show(err)
	robot := &mcpauth.ClientCredentials{Server: server.URL, ClientID: "mine", ClientSecret: "secret-mine"}
	seen.show(robot)

	// A token endpoint that repeats what it was sent, in every field.
	var verifiers []string
	as.EndAccess()
	as.Change(func(c *oauthtest.Config) {
		c.Instead = map[string]http.Handler{"/token": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			verifiers = append(verifiers, r.PostForm["code_verifier"]...)
			var all []string
			for _, values := range r.PostForm {
				all = append(all, values...)
			}
			_, password, _ := r.BasicAuth()
			all = append(all, password, r.Header.Get("Authorization"))
			oauthtest.Refuse(400, "no "+strings.Join(all, " "), "never "+strings.Join(all, " ")).ServeHTTP(w, r)
		})}
	})
	try("read")
	if err := login.SignIn(t.Context()); err == nil {
		t.Error("SignIn succeeds")
	} else {
		seen.show(err)
	}
	as.Change(func(c *oauthtest.Config) { c.Instead = nil })
	if err := login.SignIn(t.Context()); err != nil {
		t.Error(err)
	}
	as.Change(func(c *oauthtest.Config) {
		c.Instead = map[string]http.Handler{"/revoke": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			oauthtest.Refuse(400, "no", r.PostFormValue("token")).ServeHTTP(w, r)
		})}
	})
	seen.show(login.Logout(t.Context(), nil))

	text := seen.buf.String()
	if len(verifiers) == 0 {
		t.Error("no code was exchanged: is the test right?")
	}
	for _, secret := range append(verifiers, "secret-", "7365637265742d", "bWluZTpzZWNyZXQ") { // and in hexadecimal, and with its id in base64
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("a secret was shown: ...%s...", text[max(0, i-200):min(len(text), i+100)])
		}
	}
	if !strings.Contains(text, "[secret]") {
		t.Error("nothing was shown in place of secrets: is the test right?")
	}
}

func tokenOf(t *testing.T, flow *mcpauth.Flow) *mcpauth.Token {
	t.Helper()
	token, err := flow.Exchange(t.Context(), follow(t, flow))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(token.Access), "secret-") || !strings.HasPrefix(string(token.Refresh), "secret-") {
		t.Fatal("the test looks for the wrong secrets")
	}
	return token
}
