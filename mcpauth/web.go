package mcpauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// requestTimeout is for one request with all that it waits for.
const requestTimeout = 30 * time.Second

// web makes the requests of a login, all of them bounded in time and size.
type web struct {
	guarded    *http.Client // see newGuard
	allowHosts []string
	loopback   bool // the server is on this machine
	nonces     nonces
}

func newWeb(base *http.Client, server *url.URL, allowHosts []string) (*web, error) {
	guarded, err := newGuard(base, server.String(), allowHosts)
	if err != nil {
		return nil, err
	}
	return &web{guarded: guarded, allowHosts: allowHosts, loopback: isLoopback(hostOf(server))}, nil
}

// An answer is an HTTP response that was read.
type answer struct {
	status int
	header http.Header
	body   []byte

	// secrets are those of the request, which no error may repeat.
	secrets []string
}

// decode reads an answer that is to be JSON.
func (a *answer) decode(v any) error {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if kind != "" && kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return fmt.Errorf("it is %s, not JSON", printable(kind))
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		// The decoder quotes what it read, which may be a token.
		return errors.New("it is no JSON of the form expected")
	}
	return nil
}

// get follows redirects, within the rules of the guard.
func (w *web) get(ctx context.Context, target string) (*answer, error) {
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return nil, errors.New("its URL is malformed")
	}
	return send(ctx, w.guarded, req)
}

// post follows no redirect: what it sends is for this address alone.
func (w *web) post(ctx context.Context, target, contentType string, body []byte, header http.Header) (*answer, error) {
	req, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("its URL is malformed")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", contentType)
	client := *w.guarded
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return send(ctx, &client, req)
}

func send(ctx context.Context, client *http.Client, req *http.Request) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req = req.WithContext(ctx)
	req.Header.Set("Accept", "application/json")
	req.Close = true // logins are rare, and an idle connection outlives its owner
	resp, err := client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // which the guard bounds
	if err != nil {
		return nil, withoutURL(err)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// withoutURL takes the URL, whose query may be nobody's business, out of an
// error of net/http.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// parseServer reads the URL of an MCP server, in its canonical form: scheme and
// host in lower case, no default port, no fragment (specification, "Canonical
// Server URI"). It may be one where no token must travel: see secureServer.
func parseServer(server string) (*url.URL, error) {
	if server == "" {
		return nil, errors.New("the URL of the server is missing")
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, errors.New("the URL of the server is malformed")
	}
	if u.User != nil {
		return nil, errors.New("the URL of the server holds a user name, which everybody would see")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// secureServer is secure for the URL of the MCP server.
func secureServer(u *url.URL, allowHosts []string) error {
	if err := secure(u, allowHosts); err != nil {
		return fmt.Errorf("the URL of the server, %s: no credentials can go there: %w", brief(u), err)
	}
	return nil
}

// secure reports why a token must not travel to u. An origin without https may
// be among allowHosts, as in newGuard.
func secure(u *url.URL, allowHosts []string) error {
	switch {
	case u.Hostname() == "":
		return errors.New("it names no host")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (isLoopback(hostOf(u)) || slices.Contains(allowHosts, "http://"+strings.ToLower(u.Host))):
		return nil
	}
	err := errors.New("only https is safe, or http on this machine")
	if u.Scheme == "http" {
		return fmt.Errorf("%w; if its network is safe, name %s in AllowHosts (oauth.allowHosts in a config file)", err, printable("http://"+strings.ToLower(u.Host)))
	}
	return err
}

// check is secure for a URL that a server named, which must not lead a browser
// to this machine unless the server is there as well.
func (w *web) check(what, s string) error {
	u, err := url.Parse(s)
	if err != nil || u.User != nil {
		return fmt.Errorf("%s is no URL that can be used", what)
	}
	if err := secure(u, w.allowHosts); err != nil {
		return fmt.Errorf("%s is %s: %w", what, brief(u), err)
	}
	if host := hostOf(u); isLoopback(host) && !w.loopback && !slices.Contains(w.allowHosts, host) && !slices.Contains(w.allowHosts, "http://"+strings.ToLower(u.Host)) {
		return fmt.Errorf("%s is %s, on this machine, where the server is not: name the host in AllowHosts if that is right", what, brief(u))
	}
	return nil
}

// origin is scheme, host and port in a form that can be compared.
func origin(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// brief is u for a message: without its query, which may hold a key.
func brief(u *url.URL) string {
	return printable((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String())
}

func briefString(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "a malformed URL"
	}
	return brief(u)
}
