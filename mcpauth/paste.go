package mcpauth

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
)

const (
	// pasteRedirect is where the browser is sent by default. Nothing listens
	// there: the address that the browser then shows is what is needed.
	pasteRedirect = "http://localhost:16010" + callbackPath

	// pasteTries is how often a person may paste something else.
	pasteTries = 4

	// pasteLine is the most that a line may have.
	pasteLine = 64 << 10
)

// A Paste is a [Prompter] for machines without a browser: it writes the URL of
// the page, the person opens it anywhere, and pastes the address that the
// browser is sent to in the end. The zero value is ready; it must not be copied
// after its first use.
//
// Set the fields before the first use and leave them alone then. Its methods
// are safe for concurrent use: people are asked one after the other.
type Paste struct {
	// RedirectURL is the redirect URI. If zero, it is the one registered before,
	// or else http://localhost:16010/oauth/callback, where nothing need listen.
	RedirectURL string

	// In is where the answer is read from, a line, and nothing beyond the line.
	// If nil, it is the standard input. A read that has begun cannot be broken
	// off: if the context ends first, one goroutine waits on, and what it reads
	// is the answer of the next login.
	In io.Reader

	// Out is where the question is written. If nil, it is the standard error.
	Out io.Writer

	mu      sync.Mutex // guards the field below
	reading *lineRead
}

// A lineRead is one line that is being read, or was.
type lineRead struct {
	done chan struct{} // closed when the fields below are set
	line string
	err  error
}

// pasteTurn is held by who asks: there is one terminal.
var pasteTurn = make(chan struct{}, 1)

// Begin implements [Prompter].
func (p *Paste) Begin(_ context.Context, redirectURI string) (Prompt, error) {
	return &pastePrompt{p, cmp.Or(p.RedirectURL, redirectURI, pasteRedirect)}, nil
}

type pastePrompt struct {
	paste    *Paste
	redirect string
}

func (p *pastePrompt) RedirectURI() string { return p.redirect }

func (p *pastePrompt) Close() error { return nil }

func (p *pastePrompt) Ask(ctx context.Context, authURL string) (callbackURL string, err error) {
	state, purpose, err := checkAuthURL(authURL)
	if err != nil {
		return "", err
	}
	select {
	case pasteTurn <- struct{}{}:
		defer func() { <-pasteTurn }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	out := p.paste.Out
	if out == nil {
		out = os.Stderr
	}
	fmt.Fprintf(out, "To log in%s, open this page in a browser, on any machine:\n\n    %s\n\n"+
		"In the end the browser is sent to %s, which it may not be able to show.\nPaste the whole address that it then has: ", purpose, authURL, p.redirect)
	for range pasteTries {
		line, err := p.paste.readLine(ctx)
		if err != nil {
			return "", err
		}
		query, problem := p.understand(line, state)
		if problem == "" {
			return p.address() + "?" + query, nil
		}
		fmt.Fprintf(out, "That %s. Paste the whole address: ", problem)
	}
	return "", fmt.Errorf("log in by paste: %d times something else was pasted", pasteTries)
}

// address is the redirect URI without the query that it may have of its own.
func (p *pastePrompt) address() string {
	address, _, _ := strings.Cut(p.redirect, "?")
	return address
}

// understand returns the query of what a person pasted, which is the callback
// URL or its query, or says what is wrong with it. It quotes nothing: who
// pastes the wrong thing may have pasted a password.
func (p *pastePrompt) understand(line, state string) (query, problem string) {
	line = strings.Trim(strings.TrimSpace(line), `"'<>`)
	query = strings.TrimPrefix(line, "?")
	if before, after, ok := strings.Cut(line, "?"); ok && before != "" {
		if withoutRoot(before) != withoutRoot(p.address()) {
			return "", "is not an address that begins with " + p.redirect
		}
		query, _, _ = strings.Cut(after, "#")
	}
	values, err := url.ParseQuery(query)
	switch {
	case line == "":
		return "", "was empty"
	case err != nil || !values.Has("code") && !values.Has("error"):
		return "", "has no code in it"
	case len(values["state"]) != 1:
		return "", "has no state in it, so it is not the whole address"
	case subtle.ConstantTimeCompare([]byte(values.Get("state")), []byte(state)) != 1:
		return "", "is the answer to another login"
	}
	return query, ""
}

// readLine reads a line, or goes on with one that an earlier login waited for.
func (p *Paste) readLine(ctx context.Context) (string, error) {
	p.mu.Lock()
	read := p.reading
	if read == nil {
		read = &lineRead{done: make(chan struct{})}
		p.reading = read
		in := p.In
		if in == nil {
			in = os.Stdin
		}
		go func() {
			defer close(read.done)
			read.line, read.err = readLine(in)
		}()
	}
	p.mu.Unlock()
	select {
	case <-read.done:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	p.mu.Lock()
	p.reading = nil
	p.mu.Unlock()
	return read.line, read.err
}

// readLine reads byte by byte, so that what follows the line is left to others.
func readLine(in io.Reader) (string, error) {
	var line []byte
	var b [1]byte
	for len(line) < pasteLine {
		n, err := in.Read(b[:])
		if n == 1 && b[0] == '\n' {
			return string(line), nil
		}
		line = append(line, b[:n]...)
		if err == io.EOF && len(line) > 0 {
			return string(line), nil
		}
		if err == io.EOF {
			return "", errors.New("log in by paste: the input ended before an address was pasted")
		}
		if err != nil {
			return "", fmt.Errorf("log in by paste: %w", err)
		}
	}
	return "", fmt.Errorf("log in by paste: a line of more than %d bytes", pasteLine)
}
