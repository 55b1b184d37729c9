package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A provider is the authorization server, which runs as a process.
type provider struct {
	issuer string
	secret string // of the client that may ask about tokens
	cmd    *exec.Cmd
	stdin  io.Closer
}

// counts are what happened at the provider. See provider.mjs.
type counts struct{ Prompts, Registrations, Logins, Refreshes, Revocations, WithoutResource int }

// startProvider starts the authorization server for resources, each with the
// format of its tokens.
func startProvider(ctx context.Context, lifetime time.Duration, resources map[string]string) (*provider, error) {
	list, err := json.Marshal(resources)
	if err != nil {
		return nil, err
	}
	p := &provider{secret: rand.Text()}
	p.cmd = exec.CommandContext(ctx, "node", *providerScript)
	p.cmd.Env = append(os.Environ(), "RESOURCES="+string(list), "LIFETIME="+strconv.Itoa(int(lifetime.Seconds())), "INTROSPECTION_SECRET="+p.secret, "CLIENT_KEYS="+clientKeys)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s ended before it listened", *providerScript)
	}
	p.issuer = strings.TrimSpace(line)
	return p, nil
}

func (p *provider) stop() {
	p.stdin.Close()
	p.cmd.Wait()
}

func (p *provider) counts(ctx context.Context) (c counts, err error) {
	return c, p.do(ctx, http.MethodGet, "/test/counts", &c)
}

func (p *provider) do(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, p.issuer+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// endAccess ends the access tokens alone, revoke whole logins.
func (p *provider) endAccess(ctx context.Context) error {
	return p.do(ctx, http.MethodPost, "/test/end-access", new(struct{}))
}

func (p *provider) revoke(ctx context.Context) error {
	return p.do(ctx, http.MethodPost, "/test/revoke", new(struct{}))
}
