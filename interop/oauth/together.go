package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// callsAtOnce are made when something is wrong with the token.
const callsAtOnce = 20

// callerVariable of the environment makes this program a caller, the second
// process of a theme; it holds a [caller] as JSON.
const callerVariable = "INTEROP_OAUTH_CALLER"

// A caller is what another process needs to call the server of a world.
type caller struct {
	URL       string
	Transport mcptool.Transport
	Dir       string
}

// callTogether makes calls at the same time and joins their errors.
func callTogether(ctx context.Context, server *mcptool.Server, n int) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = call(ctx, server, "read") })
	}
	all.Wait()
	return errors.Join(errs...)
}

// callAsProcess is the whole of a second process.
func callAsProcess(job string) error {
	var c caller
	if err := json.Unmarshal([]byte(job), &c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	w := &world{resource: &resource{url: c.URL}, transport: c.Transport, dir: c.Dir}
	server := w.server(w.login())
	defer server.Close()
	return callTogether(ctx, server, callsAtOnce/2)
}

// inTwoProcesses makes the calls in two processes at the same time.
func (w *world) inTwoProcesses(ctx context.Context) error {
	job, err := json.Marshal(caller{w.resource.url, w.transport, w.dir})
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	var errs [2]error
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			cmd := exec.CommandContext(ctx, exe)
			cmd.Env = append(os.Environ(), callerVariable+"="+string(job))
			if out, err := cmd.CombinedOutput(); err != nil {
				errs[i] = fmt.Errorf("a process: %w: %s", err, out)
			}
		})
	}
	all.Wait()
	return errors.Join(errs[:]...)
}

// twoProcesses has two processes, of calls each, meet the same troubles.
func twoProcesses(ctx context.Context) error {
	return inTrouble(ctx, mcptool.StreamableHTTP, "two processes", (*world).inTwoProcesses)
}

// parallelCalls has many calls of one process meet them.
func parallelCalls(ctx context.Context) error {
	for _, transport := range []mcptool.Transport{mcptool.StreamableHTTP, mcptool.SSE} {
		var server *mcptool.Server
		err := inTrouble(ctx, transport, string(transport), func(w *world, ctx context.Context) error {
			if server == nil {
				server = w.server(w.login())
			}
			return callTogether(ctx, server, callsAtOnce)
		})
		if server != nil {
			server.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inTrouble makes calls at once without a login, with a dead access token and
// with a login that was revoked.
func inTrouble(ctx context.Context, transport mcptool.Transport, who string, calls func(*world, context.Context) error) error {
	w, err := newWorld(ctx, transport, opaque, time.Minute)
	if err != nil {
		return err
	}
	defer w.end()
	for _, row := range []struct {
		trouble func(*provider, context.Context) error
		want    counts
		what    string
	}{
		{nil, counts{Prompts: 1, Registrations: 1, Logins: 1}, "without a login: one registration and one prompt"},
		{(*provider).endAccess, counts{Refreshes: 1}, "with a dead access token: one refresh"},
		{(*provider).revoke, counts{Prompts: 1, Logins: 1}, "with a revoked login: one prompt and no registration"},
	} {
		if row.trouble != nil {
			if err := row.trouble(w.provider, ctx); err != nil {
				return err
			}
		}
		what := fmt.Sprintf("%s, %d calls at once %s, all answered", who, callsAtOnce, row.what)
		if err := errors.Join(calls(w, ctx), w.happened(ctx, row.want)); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		ok("%s", what)
	}
	return nil
}
