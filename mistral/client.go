package mistral

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tramontane-dev/tramontane/internal/wire"
)

// A Client makes requests to the API. Its zero value talks to Mistral with the
// key in MISTRAL_API_KEY, or to the server in MISTRAL_BASE_URL; both are read
// when a request is made.
//
// A key goes only where it was meant to go. With BaseURL set, APIKey is sent,
// and the key of the environment only if BaseURL is Mistral's own host. With
// BaseURL empty and MISTRAL_BASE_URL set, MISTRAL_API_KEY is sent; an APIKey
// that differs from it is an error. Redirects are not followed.
//
// A Client is safe for concurrent use, if its fields are set before. Methods do
// not change the requests that they are given, which must not be nil. When the
// API answers with an error status, which is 404 for what does not exist and 422
// for a request that it does not take, they return an [*Error]. [Uncertain] tells
// whether a request that returned an error may have been executed all the same.
type Client struct {
	// APIKey is sent as bearer token. If zero, the environment says; see above.
	APIKey Key

	// BaseURL is the address of the API, with or without /v1 at its end. If
	// zero, it is MISTRAL_BASE_URL or https://api.mistral.ai.
	BaseURL string

	// HTTPClient makes the requests. If nil, one does whose transport all
	// Clients share: http.DefaultTransport, but with up to 64 idle connections
	// to each host. Its CheckRedirect is not used, nor its Timeout for streams.
	HTTPClient *http.Client `json:"-"`

	// UserAgent is sent along. If zero, it is "tramontane".
	UserAgent string

	// MaxRetries is how often a request is repeated. If zero, twice; if
	// negative, never. GET and DELETE are repeated after lost connections, status
	// 429 and 503, and what a gateway answers that lost the server behind it (502,
	// 504, and Cloudflare's 520, 522 and 524); POST and PATCH only after 429 and
	// when nothing of the request was written. None is repeated after Timeout.
	// Where Retry-After asks for more than a minute, or for more than the context
	// has left, the error is returned instead.
	MaxRetries int

	// Timeout bounds each try of a request that does not stream, to the last
	// byte of its response. If zero, five minutes; if negative, nothing does.
	Timeout time.Duration

	// StreamIdle bounds the time in which a stream sends nothing, its begin
	// included; its whole length is bounded by the context alone. If zero, five
	// minutes; if negative, nothing does.
	StreamIdle time.Duration
}

const (
	defaultTimeout = 5 * time.Minute // as the official SDKs have it

	// maxResponse bounds a response in memory. The longest history that the API
	// would return is far below.
	maxResponse = 256 << 20
)

// A request is what the API is asked.
type request struct {
	method string
	path   string // escaped, from /v1 on
	query  url.Values
	body   []byte
	accept string
	key    Key // of the last try, which must not show
}

// do makes a request and decodes the response with decode, unless that is nil.
// It is the one door of all methods that do not stream.
func (c *Client) do(ctx context.Context, r *request, in any, decode func([]byte) error) error {
	r.accept = "application/json"
	if err := r.encode(in); err != nil {
		return err
	}
	return c.retry(ctx, r.method, func() error {
		ctx, cancel := withTimeout(ctx, c.Timeout)
		defer cancel()
		resp, err := c.send(ctx, r, false)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
		if err != nil {
			return r.lost(fmt.Errorf("response: %w", err))
		}
		if len(body) > maxResponse {
			return r.lost(fmt.Errorf("response is longer than %d MiB", maxResponse>>20))
		}
		if decode == nil {
			return nil
		}
		if err := decode(body); err != nil {
			return r.unreadable(resp, err)
		}
		return nil
	})
}

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d < 0 {
		return context.WithCancel(ctx)
	}
	if d == 0 {
		d = defaultTimeout
	}
	return context.WithTimeout(ctx, d)
}

func (r *request) encode(in any) (err error) {
	if in == nil {
		return nil
	}
	if r.body, err = wire.Marshal(in); err != nil {
		return fmt.Errorf("mistral: %s %s: request: %w", r.method, r.path, err)
	}
	return nil
}

// send makes one try. The response has a status of success.
func (c *Client) send(ctx context.Context, r *request, stream bool) (*http.Response, error) {
	base, key, err := c.target()
	if err != nil {
		return nil, fmt.Errorf("mistral: %w", err)
	}
	r.key = key
	trace := new(connTrace)
	req, err := r.httpRequest(trace.with(ctx), base)
	if err != nil {
		return nil, fmt.Errorf("mistral: %s %s: %w", r.method, r.path, err)
	}
	if ctx.Err() != nil {
		return nil, r.unsent(context.Cause(ctx)) // the transport would not say so
	}
	req.Header.Set("User-Agent", c.userAgent())
	resp, err := c.httpClient(stream).Do(req)
	if err != nil {
		// The URL in a *url.Error may hold a user's name.
		if e := new(url.Error); errors.As(err, &e) {
			err = e.Err
		}
		if trace.unsent() {
			return nil, r.unsent(err)
		}
		return nil, r.lost(err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		return nil, r.refused(resp)
	}
	return resp, nil
}

func (r *request) httpRequest(ctx context.Context, base *url.URL) (*http.Request, error) {
	for segment := range strings.SplitSeq(r.path[1:], "/") {
		// Servers and proxies would resolve these into another path.
		if segment == "" || segment == "." || segment == ".." {
			return nil, fmt.Errorf("%q cannot be an id", segment)
		}
	}
	u := *base
	path, err := url.PathUnescape(r.path)
	if err != nil {
		return nil, err
	}
	u.Path, u.RawPath, u.RawQuery = base.Path+path, base.RawPath+r.path, r.query.Encode()
	req := (&http.Request{Method: r.method, URL: &u, Header: http.Header{"Accept": {r.accept}}}).WithContext(ctx)
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+string(r.key))
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.ContentLength = int64(len(r.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		req.Body, _ = req.GetBody()
	}
	return req, nil
}

func (c *Client) userAgent() string {
	if c.UserAgent != "" {
		return c.UserAgent
	}
	return "tramontane"
}

func (c *Client) httpClient(stream bool) *http.Client {
	hc := http.Client{Transport: transport()}
	if c.HTTPClient != nil {
		hc = *c.HTTPClient
	}
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if stream {
		hc.Timeout = 0
	}
	return &hc
}

// transport is that of Clients without one of their own. The default transport
// keeps two connections to a host, so that of many requests at once most would
// have to connect anew.
var transport = sync.OnceValue(func() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // the program has put another in its place
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 64
	return t
})

// A connTrace watches whether a request got as far as a connection.
type connTrace struct{ asked, got atomic.Bool }

func (t *connTrace) with(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { t.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
		// HTTP/2 transports differ in whether they call GotConn.
		WroteHeaderField: func(string, []string) { t.got.Store(true) },
	})
}

// unsent reports whether it is certain that nothing was written. A RoundTripper
// that does not trace proves nothing.
func (t *connTrace) unsent() bool { return t.asked.Load() && !t.got.Load() }

// escape returns path segments, joined.
func escape(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// get makes a request whose response is one object.
func get[T any](ctx context.Context, c *Client, r *request, in any) (*T, error) {
	out := new(T)
	err := c.do(ctx, r, in, func(body []byte) error { return wire.Unmarshal(body, out) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// list makes a request whose response is an array of objects.
func list[T any](ctx context.Context, c *Client, r *request) ([]T, error) {
	var out []T
	err := c.do(ctx, r, nil, func(body []byte) error {
		out = nil
		return wire.Elements(body, func(raw []byte) error {
			out = append(out, *new(T))
			return wire.Unmarshal(raw, &out[len(out)-1])
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
