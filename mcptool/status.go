package mcptool

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// State says how a server is doing.
type State string

// A server is in one of these states.
const (
	Connecting State = "connecting"  // it is being started or reached; the handshake is not over
	Ready      State = "ready"       // it can be called
	NeedsLogin State = "needs_login" // it wants a person to log in first
	Degraded   State = "degraded"    // it can be called, but part of it is missing
	Failed     State = "failed"      // it could not be had, or its session ended
	Closed     State = "closed"      // it has no session: not started yet, or closed
)

// A Status is what is known of a server at one moment.
type Status struct {
	Name  string
	State State

	// Command is that of a local server. If zero, it is another kind.
	Command string

	// URL is that of a remote server, without user, query and fragment, which
	// may be secret. If zero, it is another kind.
	URL string

	// Transport is how a remote server is spoken to. If zero, it is another
	// kind of server, or that is not known yet.
	Transport Transport

	// Tools is how many tools it offered when it was last asked.
	Tools int

	// ProtocolVersion is the version of MCP that both agreed on. If zero, they
	// have not agreed yet.
	ProtocolVersion string

	// Err says why the server failed, needs a login, or what of it is missing.
	// If nil, nothing is wrong.
	Err error

	// HTTPStatus is the status of the answer that made a remote server fail.
	// If zero, there was none.
	HTTPStatus int

	// Retry is when a server that failed may be started or reached again. If
	// zero, nothing has to be waited for.
	Retry time.Time

	// ExitCode is that of its last process: -1 if that still runs, if a signal
	// ended it, or if there was none.
	ExitCode int

	// Stderr holds the last lines of its last process's standard error.
	Stderr []string
}

// Status returns how the server is doing. It never waits.
func (s *Server) Status() Status {
	s.init()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		Name: s.Name, Command: s.Command, URL: withoutSecrets(s.URL), Transport: s.known.transport,
		Tools: s.tools, ExitCode: -1,
	}
	if c, ok := s.conn.(*stdioConn); ok {
		st.ExitCode = c.proc.exitCode()
		st.Stderr = c.proc.stderr.last(tailLines)
	}
	if s.session != nil {
		st.ProtocolVersion = s.session.InitializeResult().ProtocolVersion
	}
	st.State, st.Err = s.state()
	if http, ok := errors.AsType[*HTTPError](st.Err); ok {
		st.HTTPStatus = http.StatusCode
	}
	if (st.State == Failed || st.State == NeedsLogin) && s.backoff.left() > 0 {
		st.Retry = s.backoff.until
	}
	return st
}

// state returns how the server is doing, and what is wrong. The caller holds
// mu.
func (s *Server) state() (State, error) {
	err := s.err
	if err == nil && s.session != nil {
		if cause := s.session.conn.ended(); cause != nil {
			err = fmt.Errorf("%s: %w", s, cause)
		}
	}
	switch {
	case s.life.Err() != nil:
		return Closed, nil
	case s.connecting:
		return Connecting, nil
	case needsLogin(err):
		return NeedsLogin, err
	case err == nil && s.session != nil && s.login != nil:
		return NeedsLogin, s.login
	case err != nil:
		return Failed, err
	case s.session == nil:
		return Closed, nil
	case s.missing != nil || s.gone != nil:
		return Degraded, cmp.Or(s.missing, s.gone)
	default:
		return Ready, nil
	}
}

// withoutSecrets returns a URL without what may be secret in it.
func withoutSecrets(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || rawURL == "" {
		return ""
	}
	return publicURL(u)
}
