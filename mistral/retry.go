package mistral

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 8 * time.Second

	// maxRetryAfter is the longest wait that a server can ask for. Beyond it
	// the caller knows better what to do with the time.
	maxRetryAfter = time.Minute
)

// retry calls try until it succeeds or its error is one to live with.
func (c *Client) retry(ctx context.Context, method string, try func() error) error {
	left := c.MaxRetries
	if left == 0 {
		left = 2
	}
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		err := try()
		if err == nil || left <= 0 || !repeatable(method, err) {
			return err
		}
		left--
		wait := backoff/2 + rand.N(backoff/2)
		if e := new(Error); errors.As(err, &e) && e.RetryAfter > 0 {
			wait = e.RetryAfter
		}
		deadline, ok := ctx.Deadline()
		if wait > maxRetryAfter || ok && time.Until(deadline) < wait {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// repeatable reports whether a request can be made again after err: because
// nothing came of it, or because making it twice is like making it once.
func repeatable(method string, err error) bool {
	safe := method == http.MethodGet || method == http.MethodDelete
	if e := new(Error); errors.As(err, &e) {
		switch {
		case e.StatusCode == http.StatusTooManyRequests:
			return true
		case e.StatusCode == http.StatusServiceUnavailable, lostServer(e.StatusCode):
			return safe
		}
		return false
	}
	e := new(requestError)
	return errors.As(err, &e) && !e.unreadable && !lasting(err) && (safe || e.unsent)
}

// lasting reports whether the next try would meet the same error.
func lasting(err error) bool {
	if e := new(net.DNSError); errors.As(err, &e) && e.IsNotFound {
		return true
	}
	e := new(tls.CertificateVerificationError)
	return errors.As(err, &e) || errors.Is(err, context.DeadlineExceeded)
}

// retryAfter returns the wait that a response asks for, or 0.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil {
		// A number beyond a year would overflow; it is above every bound anyway.
		return time.Duration(min(max(n, 0), 365*24*3600)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
