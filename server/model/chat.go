package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/tramontane-dev/tramontane/mistral"
)

// Chat is a model behind a chat-completions endpoint.
//
// Whatever the endpoint, calls of tools come in one way. Each has an id of nine
// letters and digits, unique in the answer, a name, and arguments in a string
// that is never empty; calls are counted from 0 in the order in which they
// begin; an answer with calls ends with [mistral.FinishToolCalls], unless it
// was cut short. What the model thought is a [mistral.ThinkChunk] before the
// rest, and content is nil where nothing is said. [Dialect] says what becomes
// of requests.
//
// Errors name the endpoint and what to look at next, and never hold the key. A
// refusal of the endpoint is a *[mistral.Error]; so is that of a request that
// cannot be put in the endpoint's dialect, without a Method, as the endpoint
// was not asked. Nothing is tried twice: that is for the caller, who knows what
// it costs.
//
// A Chat is safe for concurrent use, if its fields are set before.
type Chat struct {
	// BaseURL is what comes before /chat/completions in the address of the
	// endpoint, such as http://127.0.0.1:11434/v1. An address without a path
	// gets /v1. Required.
	BaseURL string

	// Key is sent as bearer token. If zero, none is sent, except that Mistral's
	// own host gets MISTRAL_API_KEY.
	Key mistral.Key

	// Dialect is what the endpoint speaks. If zero, hosts of mistral.ai speak
	// DialectMistral and all others DialectOpenAI.
	Dialect Dialect

	// HTTPClient makes the requests. If nil, one with the default transport
	// does.
	HTTPClient *http.Client
}

// Complete returns the model's whole answer to req.
func (c *Chat) Complete(ctx context.Context, req *mistral.ChatRequest) (*mistral.ChatResponse, error) {
	client, out, err := c.prepare(req, false)
	if err != nil {
		return nil, err
	}
	resp, err := client.Chat(ctx, out)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	if err := even(resp); err != nil {
		return nil, c.malformed(err)
	}
	return resp, nil
}

// Stream returns the model's answer to req as it comes.
//
// The role is in the first piece of a choice. Content comes in pieces; a
// thought that is not [mistral.ThinkChunk.Closed] goes on in the next piece. The
// first fragment of a call has its id and its name, every fragment its index.
// The last piece alone has the finish reason and the usage, which is nil if the
// endpoint gave none; an answer without it ends in an error. The sequence can
// be ranged over again, which asks the model again.
func (c *Chat) Stream(ctx context.Context, req *mistral.ChatRequest) iter.Seq2[*mistral.ChatChunk, error] {
	return func(yield func(*mistral.ChatChunk, error) bool) {
		client, out, err := c.prepare(req, true)
		if err != nil {
			yield(nil, err)
			return
		}
		var s stitcher
		for in, err := range client.StreamChat(ctx, out) {
			if errors.Is(err, io.ErrUnexpectedEOF) && s.whole() && ctx.Err() == nil {
				break // only the mark of the end is missing
			}
			if err != nil {
				yield(nil, c.failed(ctx, err))
				return
			}
			if piece := s.piece(in); piece != nil && !yield(piece, nil) {
				return
			}
		}
		last, err := s.last()
		if err != nil {
			yield(nil, c.malformed(err))
			return
		}
		yield(last, nil)
	}
}

// prepare returns the client and the request in the endpoint's dialect.
func (c *Chat) prepare(req *mistral.ChatRequest, stream bool) (*mistral.Client, *mistral.ChatRequest, error) {
	base, err := c.base()
	if err != nil {
		return nil, nil, err
	}
	dialect := c.Dialect
	if dialect == "" {
		dialect = dialectOf(base)
	}
	out, err := dialect.request(req, stream)
	if err != nil {
		return nil, nil, err
	}
	return c.client(base, "chat/completions"), out, nil
}

func (c *Chat) base() (*url.URL, error) {
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("model: BaseURL is no URL like http://127.0.0.1:11434/v1")
	}
	return base, nil
}

// client returns a client whose requests go to path below base.
func (c *Chat) client(base *url.URL, path string) *mistral.Client {
	client := &mistral.Client{
		APIKey: c.Key, BaseURL: c.BaseURL, HTTPClient: c.HTTPClient,
		MaxRetries: -1,
	}
	if prefix := strings.TrimRight(base.EscapedPath(), "/"); prefix != "" && !strings.HasSuffix(prefix, "/v1") {
		client.HTTPClient = atPath(c.HTTPClient, base.JoinPath(path))
	}
	return client
}

// atPath returns a client that makes every request to the path of target:
// mistral.Client has all paths begin with /v1, and not every endpoint does.
func atPath(client *http.Client, target *url.URL) *http.Client {
	out := http.Client{}
	if client != nil {
		out = *client
	}
	next := out.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	out.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		req.URL.Path, req.URL.RawPath = target.Path, target.RawPath
		return next.RoundTrip(req)
	})
	return &out
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A chatError is a failure of an endpoint.
type chatError struct {
	endpoint string
	text     string
	hint     string // what to look at next; empty if there is nothing
	err      error
}

func (e *chatError) Error() string {
	text := "model at " + e.endpoint + ": " + e.text
	if e.hint != "" {
		text += "; " + e.hint
	}
	return text
}

func (e *chatError) Unwrap() error { return e.err }

// endpoint returns the address without what may be secret in it.
func (c *Chat) endpoint() string {
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return "an address that is none"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// malformed returns the error for an answer that says what it should not.
func (c *Chat) malformed(err error) error {
	return &chatError{endpoint: c.endpoint(), text: c.scrub(err.Error()), err: err}
}

// failed returns the error for a request that got no answer, or a refusal.
func (c *Chat) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("model at %s: %w", c.endpoint(), context.Cause(ctx))
	}
	if refusal := new(mistral.Error); errors.As(err, &refusal) {
		return c.refused(refusal)
	}
	e := &chatError{endpoint: c.endpoint(), text: c.scrub(err.Error()), err: err}
	if cause := errors.Unwrap(err); cause != nil {
		e.text = c.scrub(cause.Error()) // without the client's words: it calls every endpoint Mistral
	}
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.Is(err, mistral.ErrNoKey):
	case errors.Is(err, syscall.ECONNREFUSED):
		e.hint = "is the model server running?"
	case errors.As(err, &dns):
		e.hint = "is the host in the URL right?"
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF):
	default:
		e.hint = "is this the URL of a chat-completions API?"
	}
	return e
}

func (c *Chat) refused(r *mistral.Error) error {
	e := &chatError{endpoint: c.endpoint(), err: r}
	e.text = strings.TrimPrefix(r.Error(), "mistral: "+r.Method+" "+r.Path+": ")
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.hint = "is its key right?"
	case http.StatusNotFound:
		e.hint = "does it have this model, and is the URL right?"
	}
	return e
}

// scrub returns text without the key, which an endpoint may quote. Refusals have
// come without it from the client.
func (c *Chat) scrub(text string) string {
	if len(c.Key) < 8 { // no secret, and may occur in any text
		return text
	}
	return strings.ReplaceAll(text, string(c.Key), c.Key.String())
}
