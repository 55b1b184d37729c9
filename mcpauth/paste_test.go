package mcpauth_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/mcpauth"
)

func TestPaste(t *testing.T) {
	t.Parallel()
	const redirect = "http://localhost:16010/oauth/callback"
	const query = "code=c%2F1&state=the-state&iss=https%3A%2F%2Fauth.example"
	for name, row := range map[string]struct {
		in   string
		said string // to the person; "" if nothing but the question
		err  string
	}{
		"the address":         {in: redirect + "?" + query + "\n"},
		"without a newline":   {in: redirect + "?" + query},
		"with a fragment":     {in: redirect + "?" + query + "#_=_\r\n"},
		"with quotes":         {in: `  "` + redirect + "?" + query + "\" \n"},
		"the query":           {in: query + "\n"},
		"with question mark":  {in: "?" + query + "\n"},
		"at the second time":  {in: "\n" + query + "\n", said: "That was empty"},
		"at the fourth time":  {in: "a\nb\nhttp://x/?c\n" + query + "\n", said: "has no code"},
		"the page":            {in: authPage + "\n" + query + "\n", said: "does not begin"},
		"the code alone":      {in: "code=secret\n" + query + "\n", said: "has no state"},
		"of another login":    {in: "code=secret&state=x\n" + query + "\n", said: "another login"},
		"never":               {in: strings.Repeat("secret\n", 5), said: "has no code", err: "4 times"},
		"an end":              {in: "", err: "the input ended"},
		"something enormous":  {in: strings.Repeat("x", 1<<20), err: "more than 65536 bytes"},
		"an end in the third": {in: "a\nb\n", said: "has no code", err: "the input ended"},
	} {
		if row.said == "does not begin" {
			row.said = "is not an address that begins with " + redirect
		}
		var out bytes.Buffer
		prompt := begin(t, &mcpauth.Paste{In: strings.NewReader(row.in), Out: &out}, "")
		if got := prompt.RedirectURI(); got != redirect {
			t.Fatalf("RedirectURI = %s, want %s", got, redirect)
		}
		back, err := prompt.Ask(t.Context(), authPage)
		switch {
		case row.err != "" && (err == nil || !strings.Contains(err.Error(), row.err)):
			t.Errorf("%s: err = %v, want %q", name, err, row.err)
		case row.err == "" && (err != nil || back != redirect+"?"+query):
			t.Errorf("%s: %s, %v", name, back, err)
		}
		if !strings.Contains(out.String(), authPage) || !strings.Contains(out.String(), row.said) || strings.Contains(out.String(), "secret") {
			t.Errorf("%s: the person reads %q, want %q in it", name, out.String(), row.said)
		}
	}
}

func TestPasteRedirect(t *testing.T) {
	t.Parallel()
	if got := begin(t, new(mcpauth.Paste), "https://app.example/back").RedirectURI(); got != "https://app.example/back" {
		t.Errorf("RedirectURI = %s, want the registered one", got)
	}
	if got := begin(t, &mcpauth.Paste{RedirectURL: "https://set.example/"}, "https://app.example/back").RedirectURI(); got != "https://set.example/" {
		t.Errorf("RedirectURI = %s, want the one that was set", got)
	}
	// The browser shows a redirect URI otherwise than it was written.
	for redirect, shown := range map[string]string{
		"https://set.example/back?app=1":    "https://set.example/back?app=1&",
		"http://localhost:16010":            "http://localhost:16010/?",
		"http://localhost:16010/":           "http://localhost:16010/?",
		"https://set.example/back?app=%31x": "https://set.example/back?",
	} {
		var out bytes.Buffer
		in := strings.NewReader(shown + "code=c&state=the-state\n")
		back, err := begin(t, &mcpauth.Paste{RedirectURL: redirect, In: in, Out: &out}, "").Ask(t.Context(), authPage)
		if err != nil || !strings.HasSuffix(back, "code=c&state=the-state") {
			t.Errorf("Ask with redirect URI %s, pasted %s: %s, %v: %s", redirect, shown, back, err, out.String())
		}
	}
}

// A login that was given up leaves its question to the next one, and what is
// typed after the answer to whoever reads then.
func TestPasteCancel(t *testing.T) {
	t.Parallel()
	pipe, typed := io.Pipe()
	in := &watchedReader{pipe, make(chan struct{})}
	paste := &mcpauth.Paste{In: in, Out: io.Discard}
	first := begin(t, paste, "")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := first.Ask(ctx, authPage)
		ended <- err
	}()
	<-in.began
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("Ask with a context that ended: %v", err)
	}
	// Nobody else may read: a second reader would get bytes of its own.
	go io.WriteString(typed, "code=c&state=the-state\nyes\n")
	back, err := begin(t, paste, "").Ask(t.Context(), authPage)
	if err != nil || !strings.HasSuffix(back, "?code=c&state=the-state") {
		t.Errorf("Ask = %s, %v", back, err)
	}
	var rest [3]byte
	if _, err := io.ReadFull(pipe, rest[:]); string(rest[:]) != "yes" || err != nil {
		t.Errorf("what is left = %q, %v", rest, err)
	}
	typed.Close()
}

// A watchedReader tells of its first read.
type watchedReader struct {
	io.Reader
	began chan struct{}
}

func (r *watchedReader) Read(p []byte) (int, error) {
	select {
	case <-r.began:
	default:
		close(r.began)
	}
	return r.Reader.Read(p)
}
