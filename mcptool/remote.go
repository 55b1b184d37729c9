package mcptool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	defaultReadTimeout = 5 * time.Minute

	// maxMessage is the largest message that a remote server may send: what
	// go-sdk allows.
	maxMessage = mcp.DefaultMaxLineLength

	// maxErrorBody bounds what is read of an answer that is no message, and
	// maxErrorText what is kept of it.
	maxErrorBody = 64 << 10
	maxErrorText = 300

	maxRedirects = 5

	// A request that was refused with 429 is sent again up to maxRefusals times
	// if the server says that it has to wait no longer than maxRefusal.
	maxRefusals = 3
	maxRefusal  = 30 * time.Second

	// forever is longer than any stream lives. That its peer is gone, TCP finds
	// out.
	forever = 1000 * time.Hour

	// maxIdle is how many connections are kept for reuse. With the default of
	// two, 64 calls at once take twice the time.
	maxIdle = 64
)

// A remote sends requests to one server. They carry the headers and the
// credentials of the server and go to its origin only. It is safe for
// concurrent use.
type remote struct {
	endpoint   *url.URL
	client     *http.Client
	own        bool // the client is ours
	header     http.Header
	headerFunc func(context.Context, http.Header) error
	auth       Auth
	silence    time.Duration // after which a response counts as lost
}

// newRemote returns a remote for the server at s.URL. The caller closes it.
func newRemote(s *Server) (*remote, error) {
	endpoint, err := url.Parse(s.URL)
	if err != nil {
		return nil, errors.New("its URL is malformed") // the error would show its secrets
	}
	if endpoint.Scheme != "http" && endpoint.Scheme != "https" || endpoint.Host == "" {
		return nil, fmt.Errorf("its URL %s is neither an https nor an http one", publicURL(endpoint))
	}
	r := &remote{endpoint: endpoint, header: s.Header, headerFunc: s.HeaderFunc, auth: s.Auth, silence: s.ReadTimeout}
	if r.silence <= 0 {
		r.silence = defaultReadTimeout
	}
	r.client = &http.Client{}
	if s.HTTPClient != nil {
		*r.client = *s.HTTPClient
	} else {
		r.own = true
		r.client.Transport = newHTTPTransport()
	}
	r.client.CheckRedirect = r.checkRedirect
	return r, nil
}

func newHTTPTransport() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if std, ok := http.DefaultTransport.(*http.Transport); ok {
		t = std.Clone()
	}
	t.MaxIdleConns, t.MaxIdleConnsPerHost = maxIdle, maxIdle
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second}
	return t
}

// close lets go of idle connections.
func (r *remote) close() {
	if r.own {
		r.client.CloseIdleConnections()
	}
}

// do sends a request and returns the response to it, whatever its status, save
// those that ask for credentials: these are an error when Auth could not help.
// A request that was refused with 429, so that nothing was done, is sent again
// after a Retry-After that is short and within the time that is left. The caller closes the body. Its reads fail when the server was silent for
// too long, and when ctx ends.
//
// Nothing is sent to another origin than that of the server's URL. An error
// that wraps errNotSent says that the server has not worked on the request.
func (r *remote) do(ctx context.Context, method, target string, body []byte, header http.Header) (*http.Response, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("%w: its address is malformed", errNotSent)
	}
	if !sameOrigin(to, r.endpoint) {
		return nil, fmt.Errorf("%w: %s is not on the server's origin %s", errNotSent, publicURL(to), origin(r.endpoint))
	}
	var asked map[int]bool // statuses that Auth was told of
	repeated := false      // since then, at the word of Answered
	for refusals := 0; ; {
		req, err := r.request(ctx, method, to, body, header)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotSent, err)
		}
		resp, err := r.send(req)
		if err != nil {
			return nil, err
		}
		if a, ok := r.auth.(answerer); ok && a.Answered(resp.Request, resp) && !repeated {
			repeated = true
			resp.Body.Close()
			continue
		}
		status := resp.StatusCode
		if status == http.StatusTooManyRequests && method != http.MethodDelete && refusals < maxRefusals {
			if wait := retryAfter(resp.Header); 0 < wait && wait <= maxRefusal && wait < timeLeft(ctx) {
				refusals++
				refused := httpError(resp)
				if err := sleep(ctx, wait); err != nil {
					return nil, fmt.Errorf("%w: %w", refused, err)
				}
				continue
			}
		}
		if status != http.StatusUnauthorized && status != http.StatusForbidden {
			return resp, nil
		}
		// A session that ends is not worth a login.
		if method == http.MethodDelete {
			return resp, nil
		}
		if r.auth == nil || asked[status] {
			refused := httpError(resp)
			if r.auth == nil && (status == http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != "") {
				return nil, &loginError{refused, resp.Request.Header.Get("Authorization") != ""}
			}
			return nil, refused
		}
		if asked == nil {
			asked = make(map[int]bool)
		}
		asked[status], repeated = true, false
		refused := httpErrorOpen(resp)
		resume := pauseClock(ctx)
		err = r.auth.Refused(resp.Request, resp)
		resume()
		resp.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", refused, err)
		}
	}
}

// request makes one request. What the protocol needs overrides what the person
// has set; credentials come last.
func (r *remote) request(ctx context.Context, method string, to *url.URL, body []byte, header http.Header) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("its address is malformed")
	}
	for key, values := range r.header {
		req.Header[http.CanonicalHeaderKey(key)] = slices.Clone(values)
	}
	if r.headerFunc != nil {
		if err := r.headerFunc(ctx, req.Header); err != nil {
			return nil, fmt.Errorf("HeaderFunc: %w", err)
		}
	}
	for _, key := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if _, there := req.Header[key]; there {
			return nil, fmt.Errorf("the header %s would have net/http send requests twice on its own account; leave it out: each call has its key in its _meta", key)
		}
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host // where net/http looks for it
	}
	maps.Copy(req.Header, header)
	if r.auth != nil {
		resume := pauseClock(ctx)
		err := r.auth.Authorize(req)
		resume()
		if err != nil {
			return nil, fmt.Errorf("authorize: %w", err)
		}
	}
	return req, nil
}

// send sends req once, within its origin.
func (r *remote) send(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	var dialed, wrote atomic.Bool
	silence := r.silence
	if ctx.Value(standingKey{}) != nil {
		silence = forever
	}
	silent := time.AfterFunc(silence, func() { cancel(r.errSilent()) })
	resp, err := r.client.Do(req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { dialed.Store(true) },
		WroteHeaders: func() { wrote.Store(true) },
	})))
	stopped := silent.Stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		// The text of a url.Error has the query, which may have secrets.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		err = fmt.Errorf("%s %s: %w", req.Method, publicURL(req.URL), err)
		// A RoundTripper that does not know of tracing says nothing.
		if dialed.Load() && !wrote.Load() {
			err = fmt.Errorf("%w: %w", errNotSent, err)
		}
		return nil, err
	}
	if resp.Request == nil { // a RoundTripper may leave that out
		resp.Request = req
	}
	resp.Body = &watchedBody{body: resp.Body, ctx: ctx, cancel: cancel, timer: silent, timeout: silence}
	if !stopped {
		resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %w", req.Method, publicURL(req.URL), r.errSilent())
	}
	return resp, nil
}

func (r *remote) errSilent() error {
	return &timeoutError{what: fmt.Sprintf("the server was silent for %v", r.silence)}
}

// checkRedirect allows redirects that keep method, body and origin.
func (r *remote) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case !sameOrigin(req.URL, r.endpoint):
		return fmt.Errorf("it redirects to %s, which is another origin: if that is right, set it as the URL", publicURL(req.URL))
	case req.Method != via[0].Method:
		return fmt.Errorf("it redirects to %s in a way that loses the request: set that as the URL", publicURL(req.URL))
	case len(via) > maxRedirects:
		return fmt.Errorf("it redirects more than %d times, last to %s", maxRedirects, publicURL(req.URL))
	case req.Header.Get("DPoP") != "" && r.auth != nil:
		// A proof is for one request to one URL (RFC 9449 section 4.2).
		return r.auth.Authorize(req)
	}
	return nil
}

// A watchedBody is the body of a response that may not be silent for long.
type watchedBody struct {
	body    io.ReadCloser
	ctx     context.Context // of the request: ended by cancel
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	timeout time.Duration
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.timeout)
	n, err := b.body.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

// Close implements io.Closer.
func (b *watchedBody) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.body.Close()
}

// sameOrigin reports whether a and b have the same scheme, host and port.
func sameOrigin(a, b *url.URL) bool { return origin(a) == origin(b) }

func origin(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// publicURL returns u without what may be secret in it: the query, the user,
// and parts of the path that look like keys, as some services have them there.
func publicURL(u *url.URL) string {
	parts := strings.Split(u.EscapedPath(), "/")
	for i, part := range parts {
		if isKey(part) {
			parts[i] = part[:4] + "..."
		}
	}
	return u.Scheme + "://" + u.Host + strings.Join(parts, "/")
}

// isKey reports whether a part of a path looks like a key.
func isKey(part string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return len(part) >= 20 && strings.ContainsAny(part, "0123456789") && strings.ContainsAny(part, letters)
}

type standingKey struct{}

// standing returns a context for requests whose response may be silent for as
// long as it likes.
func standing(ctx context.Context) context.Context {
	return context.WithValue(ctx, standingKey{}, true)
}

// A clock bounds a call. It stands still while a person is waited for. Its
// methods must be safe for concurrent use; each pause has its resume.
type clock interface {
	pause()
	resume()
	left() time.Duration
}

type clockKey struct{}

// withClock returns a context for requests whose time is measured by c, and by
// the clock of ctx if it has one.
func withClock(ctx context.Context, c clock) context.Context {
	if outer, ok := ctx.Value(clockKey{}).(clock); ok {
		c = clocks{outer, c}
	}
	return context.WithValue(ctx, clockKey{}, c)
}

// pauseClock stops the clock of ctx, if it has one, until resume is called.
func pauseClock(ctx context.Context) (resume func()) {
	c, ok := ctx.Value(clockKey{}).(clock)
	if !ok {
		return func() {}
	}
	c.pause()
	return c.resume
}

type clocks [2]clock

func (c clocks) pause()  { c[0].pause(); c[1].pause() }
func (c clocks) resume() { c[0].resume(); c[1].resume() }

func (c clocks) left() time.Duration { return min(c[0].left(), c[1].left()) }

// timeLeft returns how long ctx lives on, as far as is known.
func timeLeft(ctx context.Context) time.Duration {
	left := forever
	if end, ok := ctx.Deadline(); ok {
		left = time.Until(end)
	}
	if c, ok := ctx.Value(clockKey{}).(clock); ok {
		left = min(left, c.left())
	}
	return left
}

// An HTTPError is an answer of a remote server that is no message of MCP: the
// server refused the request, or something between it and us did.
type HTTPError struct {
	Method     string // of the request
	URL        string // of the request, without what may be secret in it
	StatusCode int

	// ContentType is the media type of the answer, without parameters. If
	// empty, it had none.
	ContentType string

	// Text is the beginning of the answer if that is text, the title of the
	// page if it is HTML, in one line. Credentials that the request had are taken
	// out, and so are characters that show nothing of their own.
	Text string

	retryAfter time.Duration // what the server asked for; zero if nothing
}

// Error implements error.
func (e *HTTPError) Error() string {
	s := fmt.Sprintf("%s %s: status %d", e.Method, e.URL, e.StatusCode)
	if name := http.StatusText(e.StatusCode); name != "" {
		s += " " + name
	}
	switch {
	case e.ContentType == "text/html" && e.Text == "":
		s += " with an HTML page"
	case e.ContentType == "text/html":
		s += fmt.Sprintf(" with an HTML page titled %q", e.Text)
	case e.StatusCode < 300 && e.ContentType == "":
		s += " without an answer"
	case e.StatusCode < 300:
		s += " with an answer of type " + e.ContentType
	}
	if e.ContentType != "text/html" && e.Text != "" {
		s += ": " + e.Text
	}
	if e.retryAfter > 0 {
		s += fmt.Sprintf(" (retry after %v)", e.retryAfter.Round(time.Second))
	}
	return s
}

// Is reports whether target says that the request did nothing: a server that
// answers with one of these has refused it.
func (e *HTTPError) Is(target error) bool {
	return target == errNotSent && e.StatusCode >= 400 && e.StatusCode < 500 && e.StatusCode != http.StatusRequestTimeout
}

// httpError makes an error of a response and closes it.
func httpError(resp *http.Response) *HTTPError {
	defer resp.Body.Close()
	e := httpErrorOpen(resp)
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what came of it is good enough
	e.setText(data, resp.Request)
	return e
}

// httpErrorOpen makes an error of a response whose body is left alone.
func httpErrorOpen(resp *http.Response) *HTTPError {
	return &HTTPError{
		Method:      resp.Request.Method,
		URL:         publicURL(resp.Request.URL),
		StatusCode:  resp.StatusCode,
		ContentType: mediaType(resp.Header),
		retryAfter:  retryAfter(resp.Header),
	}
}

// retryAfter returns how long the server wants to be left alone, or zero if it
// does not say.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// setText sets what can be shown of data, the answer to req.
func (e *HTTPError) setText(data []byte, req *http.Request) {
	text := string(data)
	switch {
	case e.ContentType == "text/html":
		text = htmlTitle(text)
	case strings.HasPrefix(e.ContentType, "text/"), strings.HasSuffix(e.ContentType, "json"), strings.HasSuffix(e.ContentType, "xml"):
	default:
		return
	}
	for _, secret := range secrets(req) {
		text = strings.ReplaceAll(text, secret, "[removed]")
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	text = strings.Map(func(r rune) rune {
		if hidden(r) {
			return '?' // it could move the cursor of a terminal
		}
		return r
	}, text)
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	e.Text = text
}

// secrets returns what of req may be secret, as far as it can be told.
func secrets(req *http.Request) []string {
	var found []string
	for _, part := range strings.Split(req.URL.EscapedPath(), "/") {
		if isKey(part) {
			found = append(found, part)
		}
	}
	for _, values := range req.URL.Query() {
		found = append(found, values...)
	}
	if password, ok := req.URL.User.Password(); ok {
		found = append(found, password)
	}
	for name, values := range req.Header {
		switch name {
		case "Accept", "Content-Type", "Last-Event-Id", versionHeader, methodHeader, nameHeader:
			continue
		}
		for _, value := range values {
			found = append(append(found, value), strings.Fields(value)...)
		}
	}
	return slices.DeleteFunc(found, func(s string) bool { return len(s) < 8 }) // those are words
}

func htmlTitle(page string) string {
	lower := strings.ToLower(page)
	start := strings.Index(lower, "<title")
	if len(lower) != len(page) || start < 0 { // folding can move what follows
		return ""
	}
	_, title, _ := strings.Cut(page[start:], ">")
	end := strings.IndexByte(title, '<')
	return title[:max(end, 0)]
}

// errorWithoutID returns the error of a response that does not say to which
// request it is, or nil if data is no such response. It is about the request that
// data is the answer to.
func errorWithoutID(data []byte) error {
	var e envelope
	if json.Unmarshal(data, &e) != nil || e.Error == nil || e.Method != nil {
		return nil
	}
	if id, err := parseID(e.ID); err != nil || id.IsValid() {
		return nil
	}
	return e.Error
}

// mediaType returns the type of a body without its parameters.
func mediaType(h http.Header) string {
	value := h.Get("Content-Type")
	if t, _, err := mime.ParseMediaType(value); err == nil {
		return t
	}
	t, _, _ := strings.Cut(value, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// A loginError says that a server without Auth wants credentials, or others than
// it got.
type loginError struct {
	err    *HTTPError
	others bool
}

func (e *loginError) Error() string {
	if e.others {
		return e.err.Error() + ": it wants other credentials than it got"
	}
	return e.err.Error() + ": it wants credentials, and got none: set Server.Auth, see package mcpauth"
}

func (e *loginError) Unwrap() error    { return e.err }
func (e *loginError) NeedsLogin() bool { return true }
