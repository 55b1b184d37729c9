package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
)

// A person fills in the pages of the authorization server. Each visit is one
// with a new browser, which knows no session.
type person struct {
	denies atomic.Bool
	visits atomic.Int64
}

// open has the person go to the authorization URL, and on to where they are
// sent in the end.
func (p *person) open(authURL string) error {
	p.visits.Add(1)
	go func() {
		if err := p.visit(context.Background(), authURL); err != nil {
			fmt.Println("the person:", err)
		}
	}()
	return nil
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	abortLink  = regexp.MustCompile(`<a href="([^"]+/abort)"`)
)

func (p *person) visit(ctx context.Context, authURL string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar}
	page, err := fetch(ctx, browser, authURL, nil)
	for err == nil && !strings.Contains(page, "Back to the program") {
		next, form := "", url.Values(nil)
		if action := formAction.FindStringSubmatch(page); action != nil {
			next, form = html.UnescapeString(action[1]), url.Values{"prompt": {"consent"}}
		}
		if strings.Contains(page, `name="login"`) {
			form = url.Values{"prompt": {"login"}, "login": {"ada"}, "password": {"any"}}
		}
		if abort := abortLink.FindStringSubmatch(page); abort != nil && p.denies.Load() {
			next, form = html.UnescapeString(abort[1]), nil
		}
		if next == "" {
			return fmt.Errorf("a page without a form: %.2000s", page)
		}
		page, err = fetch(ctx, browser, next, form)
	}
	return err
}

// fetch gets a page, or sends a form to it, and follows redirects.
func fetch(ctx context.Context, browser *http.Client, at string, form url.Values) (string, error) {
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := browser.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.2000s", at, resp.Status, page)
	}
	return string(page), err
}
