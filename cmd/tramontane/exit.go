package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server/model"
)

// The exit codes. They are part of the interface: exitHelp documents them.
const (
	exitDone       = 0
	exitFailed     = 1
	exitUsage      = 2
	exitServer     = 3
	exitAPI        = 4
	exitNoTool     = 5
	exitLimit      = 6
	exitPending    = 7
	exitDrift      = 8
	exitHangup     = 129
	exitInterrupt  = 130
	exitTerminated = 143
)

const exitHelp = `Exit codes:
  0    done
  1    the run failed: the answer is not what the schema asks for, output could not be written, ...
  2    wrong flags, or a config, schema or rule that cannot be used
  3    an MCP server did not start, or wants a login first
  4    the API or the model cannot be reached, or refused the request
  5    the offline demo model found no tool that fits
  6    a limit was reached: --max-turns or --timeout
  7    calls wait for approval: nobody could be asked, or said yes or no
  8    tools are not as the lock file pins them
  129  the terminal was closed (SIGHUP)
  130  interrupted (Ctrl-C)
  143  terminated (SIGTERM)`

// An exitError ends the program with a code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usageErrorf returns the error of a command line or a file that cannot be used.
func usageErrorf(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// report prints err, if there is one, and returns the exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		// It may hold what a server said.
		fmt.Fprintln(stderr, "tramontane:", visible(strings.ReplaceAll(line, "\t", "    ")))
	}
	return codeOf(err)
}

func codeOf(err error) int {
	if err == nil {
		return exitDone
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	return exitFailed
}

// errTimeout is the cause of a context that --timeout ended.
var errTimeout = errors.New("it took longer than --timeout allows")

// classify returns err with its exit code, and what to do next where err does
// not say it. ctx is that of the run.
func classify(ctx context.Context, err error) error {
	if _, coded := errors.AsType[*exitError](err); coded || err == nil {
		return err
	}
	if ctx.Err() != nil {
		return ended(ctx)
	}
	_, refused := errors.AsType[*model.RefusalError](err)
	_, fromModel := errors.AsType[*modelError](err)
	apiError, answered := errors.AsType[*mistral.Error](err)
	switch {
	case errors.Is(err, tramontane.ErrMaxTurns):
		return &exitError{exitLimit, fmt.Errorf("%w; allow more with --max-turns", err)}
	case errors.Is(err, tramontane.ErrPending):
		return &exitError{exitPending, fmt.Errorf("%w; allow them at a terminal, where they are asked about and what was allowed for good counts, or leave out the confirm rule about them: that of --confirm or of the config file", err)}
	case refused:
		return &exitError{exitNoTool, err}
	case answered && apiError.Code == "offline_no_tool":
		return &exitError{exitNoTool, errors.New(apiError.Message)}
	case fromModel:
		return &exitError{exitAPI, err}
	case answered:
		return &exitError{exitAPI, fmt.Errorf("%w%s", err, adviceOn(apiError))}
	case mistral.Uncertain(err):
		return &exitError{exitAPI, err}
	case unreachable(err):
		return &exitError{exitAPI, fmt.Errorf("%w; is the address right, and is something listening there?", err)}
	}
	return &exitError{exitFailed, err}
}

// waiting is the error of a run whose calls wait for a person's word. It tells
// them, a line each.
func waiting(calls []tramontane.Call, err error) error {
	var b strings.Builder
	for _, c := range calls {
		fmt.Fprintf(&b, "waits for approval: %s %s\n", printable(c.Name), shorten(printable(string(c.Arguments)), 300))
	}
	return &exitError{exitPending, fmt.Errorf("%s%w", b.String(), err)}
}

// ended says why the context of a run ended.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	s, signalled := errors.AsType[*signalError](cause)
	switch {
	case signalled && s.signal == syscall.SIGTERM:
		return &exitError{exitTerminated, cause}
	case signalled && s.signal == syscall.SIGHUP:
		return &exitError{exitHangup, cause}
	case signalled:
		return &exitError{exitInterrupt, cause}
	case errors.Is(cause, errTimeout):
		return &exitError{exitLimit, cause}
	}
	return &exitError{exitFailed, cause}
}

func adviceOn(e *mistral.Error) string {
	switch e.StatusCode {
	case 401, 403:
		return "; is MISTRAL_API_KEY right? It goes to Mistral, or to the server in MISTRAL_BASE_URL"
	case 429:
		return "; wait, or ask for a higher limit"
	}
	return ""
}

func unreachable(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)
}
