package oauthtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// A Browser is a person at a browser who is asked to log in. The zero value
// allows everything. It is safe for concurrent use.
type Browser struct {
	// Deny has the person say no.
	Deny bool

	// Before is called with each authorization URL before the page is opened, so
	// that a test can look at it or make the person think. If nil, nothing is.
	Before func(authURL string)

	visits atomic.Int64
}

// Visits returns how often the person was asked.
func (b *Browser) Visits() int { return int(b.visits.Load()) }

// Visit opens the authorization URL, presses a button and returns the URL that
// the browser is sent to, without going there.
func (b *Browser) Visit(ctx context.Context, authURL string) (callbackURL string, err error) {
	b.visits.Add(1)
	if b.Before != nil {
		b.Before(authURL)
	}
	page, err := b.do(ctx, http.MethodGet, authURL, nil)
	if err != nil {
		return "", err
	}
	if page.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the authorization server shows a page with status %s", page.Status)
	}
	decision := "allow"
	if b.Deny {
		decision = "deny"
	}
	pressed, err := b.do(ctx, http.MethodPost, authURL, url.Values{"decision": {decision}})
	if err != nil {
		return "", err
	}
	to, err := pressed.Location()
	if err != nil {
		return "", fmt.Errorf("the authorization server answers %s and sends the browser nowhere", pressed.Status)
	}
	return to.String(), nil
}

// Open does what [Browser.Visit] does and goes where the browser is sent. It
// fits where a program would open a browser.
func (b *Browser) Open(authURL string) error {
	to, err := b.Visit(context.Background(), authURL)
	if err != nil {
		return err
	}
	_, err = b.do(context.Background(), http.MethodGet, to, nil)
	return err
}

// do makes one request and follows no redirect.
func (b *Browser) do(ctx context.Context, method, to string, form url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Close = true // no connection is left for a leak check to find
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, err
	}
	return resp, nil
}
