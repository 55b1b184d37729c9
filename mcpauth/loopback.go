package mcpauth

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// callbackPath is where the person comes back to by default.
	callbackPath = "/oauth/callback"

	// loopbackTimeout is how long a person may take by default.
	loopbackTimeout = 5 * time.Minute
)

// A Loopback is a [Prompter] that opens a browser and waits for it at a port of
// this machine (RFC 8252 section 7.3). The zero value is ready.
//
// The listener is for one login only. It answers whatever is not the return of
// this login, by path, method, Host header and state, with a refusal, and waits
// on. It can be reached from this machine alone.
//
// Set the fields before the first use and leave them alone then. Its methods
// are safe for concurrent use: logins of this process that need the same port
// come one after the other.
type Loopback struct {
	// Host stands in the redirect URI: localhost, or a loopback address. If
	// zero, it is localhost, which more authorization servers accept, and the
	// listener has both 127.0.0.1 and ::1.
	Host string

	// Port is the port, which is then used or the login fails. If zero, the one
	// that was registered before is used if it is free, else any.
	Port int

	// Path is the path of the redirect URI. If zero, it is "/oauth/callback".
	Path string

	// Timeout is how long the person may take. If zero, it is five minutes.
	Timeout time.Duration

	// Open shows a page to the person. It must not block for as long as the page
	// is shown. If nil, it opens the browser of this machine. Its error does not
	// end the login: the person can open the page by hand.
	Open func(url string) error

	// Out is where the page's URL is written, always: the browser may open out
	// of sight. If nil, it is the standard error.
	Out io.Writer

	// Elsewhere tells a person what to do if no browser opens here and they sit
	// at another machine, as in "start again with --paste". If zero, it is to log
	// in by paste, see [Paste].
	Elsewhere string
}

// Begin implements [Prompter]: it listens.
func (l Loopback) Begin(ctx context.Context, redirectURI string) (Prompt, error) {
	if l.Host == "" {
		l.Host = "localhost"
	}
	l.Host = strings.Trim(l.Host, "[]")
	if addr, err := netip.ParseAddr(l.Host); l.Host != "localhost" && (err != nil || !addr.IsLoopback()) {
		return nil, fmt.Errorf("log in by browser: the host %q is not of this machine alone: it must be localhost or a loopback address", l.Host)
	}
	if l.Path == "" {
		l.Path = callbackPath
	}
	if l.Timeout == 0 {
		l.Timeout = loopbackTimeout
	}
	if l.Open == nil {
		l.Open = openBrowser
	}
	if l.Out == nil {
		l.Out = os.Stderr
	}
	port := l.Port
	if port == 0 {
		port = l.portOf(redirectURI)
	}
	free, err := takePort(ctx, port)
	if err != nil {
		return nil, fmt.Errorf("log in by browser: wait for port %d: %w", port, err)
	}
	listeners, err := listenLoopback(ctx, l.Host, port)
	if err != nil && l.Port == 0 && port != 0 { // another program has it
		free()
		free = func() {}
		listeners, err = listenLoopback(ctx, l.Host, 0)
	}
	if err != nil {
		free()
		return nil, fmt.Errorf("log in by browser: %w", err)
	}
	port = listeners[0].Addr().(*net.TCPAddr).Port
	redirect := &url.URL{Scheme: "http", Host: net.JoinHostPort(l.Host, strconv.Itoa(port)), Path: l.Path}
	p := &loopbackPrompt{config: l, redirect: redirect, free: free, came: make(chan string, 1)}
	p.server = &http.Server{
		Handler:      p,
		ReadTimeout:  10 * time.Second,
		WriteTimeout: 10 * time.Second,
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	p.server.SetKeepAlivesEnabled(false)
	for _, listener := range listeners {
		p.serving.Go(func() { p.server.Serve(listener) }) // ends when the server is closed
	}
	return p, nil
}

// portOf returns the port of a redirect URI that this prompter could have made,
// or 0.
func (l Loopback) portOf(redirectURI string) int {
	u, err := url.Parse(redirectURI)
	if err != nil || u.Scheme != "http" || u.Hostname() != l.Host || u.Path != l.Path {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0
	}
	return port
}

var (
	portsMu sync.Mutex // guards the variable below
	ports   = map[int]chan struct{}{}
)

// takePort waits until no other login of this process has the port. Any port
// is nobody's.
func takePort(ctx context.Context, port int) (free func(), err error) {
	if port == 0 {
		return func() {}, nil
	}
	portsMu.Lock()
	taken := ports[port]
	if taken == nil {
		taken = make(chan struct{}, 1)
		ports[port] = taken
	}
	portsMu.Unlock()
	select {
	case taken <- struct{}{}:
		return func() { <-taken }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// listenLoopback listens at one port of each address that the host has. Port 0
// is any.
func listenLoopback(ctx context.Context, host string, port int) ([]net.Listener, error) {
	listen := func(host string, port int) (net.Listener, error) {
		return new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	}
	if host != "localhost" {
		listener, err := listen(host, port)
		return []net.Listener{listener}, err
	}
	for tries := 0; ; tries++ {
		four, err := listen("127.0.0.1", port)
		if err != nil {
			return nil, err
		}
		six, err := listen("::1", four.Addr().(*net.TCPAddr).Port)
		if err == nil {
			return []net.Listener{four, six}, nil
		}
		probe, noSix := listen("::1", 0)
		if noSix != nil {
			return []net.Listener{four}, nil
		}
		probe.Close()
		four.Close()
		// Another program has this port of ::1, and would be sent the code.
		if port != 0 || tries == 10 {
			return nil, err
		}
	}
}

type loopbackPrompt struct {
	config   Loopback
	redirect *url.URL
	server   *http.Server
	serving  sync.WaitGroup
	free     func()
	came     chan string // the callback URL, once

	closing sync.Once

	mu    sync.Mutex // guards the fields below
	state string     // that of the login, once the person was asked
	done  bool       // the person came back
}

func (p *loopbackPrompt) RedirectURI() string { return p.redirect.String() }

func (p *loopbackPrompt) Ask(ctx context.Context, authURL string) (callbackURL string, err error) {
	state, purpose, err := checkAuthURL(authURL)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.config.Timeout, fmt.Errorf("log in by browser: nobody came back within %v", p.config.Timeout))
	defer cancel()
	p.mu.Lock()
	p.state = state
	p.mu.Unlock()
	fmt.Fprintf(p.config.Out, "To log in%s, open this page in a browser of this machine:\n\n    %s\n\n", purpose, authURL)
	if err := p.config.Open(authURL); err != nil {
		fmt.Fprintf(p.config.Out, "The browser did not open by itself (%v): please open the page by hand.\n"+
			"It leads back to %s of this machine. If you sit at another, %s.\n", err, p.redirect.Host, cmp.Or(p.config.Elsewhere, "log in by paste instead"))
	}
	select {
	case callbackURL := <-p.came:
		return callbackURL, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func (p *loopbackPrompt) Close() error {
	p.closing.Do(func() {
		p.server.Close()
		p.serving.Wait()
		p.free()
	})
	return nil
}

// ServeHTTP answers a browser, or whoever else found the port.
func (p *loopbackPrompt) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // the URL of this page holds the code
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	switch {
	case r.Host != p.redirect.Host && r.Host+":80" != p.redirect.Host:
		// A page of another name that leads here by DNS rebinding.
		http.Error(w, "This is not the host that was agreed.", http.StatusForbidden)
		return
	case r.URL.Path != p.redirect.Path:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "Only GET is answered here.", http.StatusMethodNotAllowed)
		return
	}
	if status := p.take(r.URL.Query()["state"]); status != http.StatusOK {
		http.Error(w, "This does not belong to a login that is under way. Start the login again from the program.", status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(loopbackPage)))
	io.WriteString(w, loopbackPage)
	// Close breaks connections off, so the page has to be on its way first.
	http.NewResponseController(w).Flush()
	back := *p.redirect
	back.RawQuery = r.URL.RawQuery
	p.came <- back.String()
}

// take ends the wait if the states are that of the login, alone.
func (p *loopbackPrompt) take(states []string) (status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == "" || len(states) != 1 || subtle.ConstantTimeCompare([]byte(states[0]), []byte(p.state)) != 1 {
		return http.StatusBadRequest
	}
	if p.done {
		return http.StatusGone
	}
	p.done = true
	return http.StatusOK
}

// loopbackPage says nothing of what the authorization server sent, which may
// be a text made to deceive, nor whether the login worked: that is known when
// the code was exchanged.
const loopbackPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Back to the program</title>
<h1>Back to the program</h1>
<p>Your answer has arrived. Close this page and go back to the program, which says whether the login worked.</p>
</html>
`

// checkAuthURL returns the state in an authorization URL, and for whom and what
// it is, as words of a sentence, or "". A URL that is not of the web, or that
// would write more to a terminal than itself, is refused.
func checkAuthURL(authURL string) (state, purpose string, err error) {
	u, err := url.Parse(authURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", "", errors.New("the authorization URL is not one of a web page")
	}
	if strings.ContainsFunc(authURL, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", "", errors.New("the authorization URL holds characters that a URL cannot have")
	}
	q := u.Query()
	if q.Get("state") == "" {
		return "", "", errors.New("the authorization URL has no state, so the answer could be anybody's")
	}
	if resource := q.Get("resource"); resource != "" { // the MCP server, RFC 8707
		purpose = " to " + briefString(resource)
	}
	if scopes := strings.Fields(q.Get("scope")); len(scopes) > 0 {
		purpose += " with the scopes " + printable(strings.Join(scopes, ", "))
	}
	return q.Get("state"), purpose, nil
}
