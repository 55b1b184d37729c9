package mcptool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// probeTimeout is how long server/discover may stay unanswered before the
	// older handshake is tried on the same process. A server that starts more
	// slowly loses nothing by it; see [Server.start].
	probeTimeout = time.Second

	// legacyVersion is the newest protocol version that has initialize.
	legacyVersion = "2025-11-25"
)

// A session is a connection to a server after the handshake.
type session struct {
	*mcp.ClientSession
	conn  *tap
	began time.Time
	ended sync.Once // its end was noted
	gone  chan struct{}
	once  sync.Once
}

// close ends the session and what belongs to it, and returns when that is gone.
func (sess *session) close() {
	sess.once.Do(func() {
		sess.conn.Close()
		sess.Close() // it also ends what the SDK listens for
		close(sess.gone)
	})
	<-sess.gone
}

// legacy reports whether the session is of a version before 2026-07-28.
func (sess *session) legacy() bool {
	return sess.InitializeResult().ProtocolVersion <= legacyVersion
}

// A manner is a way to make a session. Its zero value is that of a server that
// nothing is known of.
type manner struct {
	transport Transport     // of a remote server
	version   string        // that was agreed on, if it is known
	patience  time.Duration // with server/discover
}

func (m manner) legacy() bool { return m.version != "" && m.version <= legacyVersion }

// Connect starts or reaches the server and shakes hands with it, unless that
// is done. It does so anew if the session has ended or could not be had, at
// once, where a call might wait. It returns an error after Close.
//
// There is no need to call Connect: Tools does.
func (s *Server) Connect(ctx context.Context) error {
	s.mu.Lock()
	s.backoff.until = time.Time{}
	s.mu.Unlock()
	_, err := s.connect(ctx)
	return err
}

// connect returns the session, making one where that is needed and its time
// has come.
func (s *Server) connect(ctx context.Context) (*session, error) {
	s.init()
	s.mu.Lock()
	sess, before := s.session, s.attempts
	s.mu.Unlock()
	if sess != nil && sess.conn.ended() == nil {
		return sess, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", s, ctx.Err())
	}

	s.mu.Lock()
	sess, attempts, err := s.session, s.attempts, s.err
	s.mu.Unlock()
	if s.life.Err() != nil {
		return nil, fmt.Errorf("%s: %w", s, errClosed)
	}
	if sess != nil && sess.conn.ended() == nil {
		return sess, nil
	}
	// Those who waited for an attempt share its end; only if it ended because
	// its caller gave up, the next one tries.
	gaveUp := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if attempts != before && err != nil && !gaveUp {
		return nil, err
	}
	if sess != nil {
		s.sessionEnded(sess)
		if !errors.Is(sess.conn.ended(), errSessionLost) {
			// Ended as a connection; the process may live on, and calls may
			// wait for it. A lost session ends with its last call.
			sess.close()
		}
	}
	if err := s.mustWait(); err != nil {
		return nil, err
	}

	s.mu.Lock()
	again := s.session != nil
	s.connecting = true
	s.mu.Unlock()
	began := time.Now()
	sess, err = s.start(ctx)
	s.mu.Lock()
	s.connecting = false
	s.attempts++
	s.err = err
	switch {
	case err == nil:
		s.session, s.missing, s.login = sess, nil, nil
		s.backoff.started()
	case needsLogin(err):
		// To find that out costs little, and a person may log in any moment.
		s.backoff = backoff{}
		s.backoff.failed(0)
	case ctx.Err() == nil:
		s.backoff.failed(time.Since(began))
	}
	listed := s.offered != nil
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s.running.Go(func() { s.watch(sess) })
	if again {
		s.logger().InfoContext(ctx, "mcp server has a new session", "server", s.Name)
		s.tellState()
	}
	if listed {
		// The runs that have tools of an earlier list are told if the new
		// session offers others.
		s.running.Go(func() { s.compare(sess) })
	}
	return sess, nil
}

// mustWait returns an error if it is not yet time for another attempt.
func (s *Server) mustWait() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.backoff.left()
	if left == 0 {
		return nil
	}
	err := s.err
	if err == nil && s.session != nil {
		err = fmt.Errorf("%s: %w", s, s.session.conn.ended())
	}
	return fmt.Errorf("%w; it is tried again in %v", err, (left + time.Second - 1).Truncate(time.Second))
}

// watch waits for the end of a session and notes it.
func (s *Server) watch(sess *session) {
	// Close knows the last session only.
	defer context.AfterFunc(s.life, func() { sess.conn.end(errClosed) })()
	sess.Wait()
	s.sessionEnded(sess)
	sess.close()
}

// sessionEnded notes that a session has ended, once.
func (s *Server) sessionEnded(sess *session) {
	sess.ended.Do(func() {
		cause := sess.conn.ended()
		if cause == nil {
			cause = sess.conn.end(errors.New("the session ended"))
		}
		if s.life.Err() != nil {
			return
		}
		s.mu.Lock()
		s.backoff.ended(time.Since(sess.began))
		s.mu.Unlock()
		s.logger().Warn("the session of an mcp server ended", "server", s.Name, "cause", cause)
		s.tellState()
	})
}

// check returns an error if the fields do not fit together.
func (s *Server) check() error {
	ways := map[string]bool{"Command": s.Command != "", "URL": s.URL != "", "Dial": s.Dial != nil}
	set := trueOf(ways, "Command", "URL", "Dial")
	switch {
	case s.Name == "":
		return errors.New("mcp server: a server needs a Name")
	case len(set) != 1 && len(set) > 0:
		return fmt.Errorf("%s: it has %s: set one of them", s, strings.Join(set, " and "))
	case len(set) == 0:
		return fmt.Errorf("%s: it needs a Command, a URL or Dial", s)
	}
	if err := s.checkRoots(s.Roots); err != nil {
		return err
	}
	local := trueOf(map[string]bool{"Args": s.Args != nil, "Env": s.Env != nil, "InheritEnv": s.InheritEnv != nil, "Dir": s.Dir != ""},
		"Args", "Env", "InheritEnv", "Dir")
	if s.Command == "" && len(local) > 0 {
		return fmt.Errorf("%s: it has %s: leave %s to servers with a Command", s, set[0], strings.Join(local, " and "))
	}
	remote := trueOf(map[string]bool{
		"Transport": s.Transport != "", "Header": s.Header != nil, "HeaderFunc": s.HeaderFunc != nil,
		"HTTPClient": s.HTTPClient != nil, "Auth": s.Auth != nil, "ReadTimeout": s.ReadTimeout != 0,
	}, "Transport", "Header", "HeaderFunc", "HTTPClient", "Auth", "ReadTimeout")
	if s.URL == "" {
		if len(remote) > 0 {
			return fmt.Errorf("%s: it has %s: leave %s to servers with a URL", s, set[0], strings.Join(remote, " and "))
		}
		return nil
	}
	if s.Transport != "" && s.Transport != StreamableHTTP && s.Transport != SSE {
		return fmt.Errorf("%s: Transport %q is none: it is %q, %q or empty", s, s.Transport, StreamableHTTP, SSE)
	}
	// The error of Parse shows the whole URL, which may hold secrets.
	if u, err := url.Parse(s.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("%s: URL is not one of https or http", s)
	}
	return nil
}

// trueOf returns the names that are true, in their order.
func trueOf(is map[string]bool, names ...string) []string {
	var found []string
	for _, name := range names {
		if is[name] {
			found = append(found, name)
		}
	}
	return found
}

// start makes a session, in StartTimeout.
func (s *Server) start(ctx context.Context) (*session, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	limit := s.StartTimeout
	if limit <= 0 {
		limit = defaultStartTimeout
	}
	startCtx, _, stop := withDeadline(ctx, limit, limit)
	defer stop()
	startCtx, cancel := context.WithCancel(startCtx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()

	s.mu.Lock()
	how := s.known
	s.known = manner{} // until it has worked once more
	s.mu.Unlock()
	sess, conn, how, err := s.negotiate(startCtx, how, limit)
	var timeout *timeoutError
	errors.As(context.Cause(startCtx), &timeout)
	var refused *refusedError
	switch {
	case err == nil:
		how.version = sess.InitializeResult().ProtocolVersion
		s.mu.Lock()
		s.known = how
		s.mu.Unlock()
		s.setLogLevel(startCtx, sess)
		return sess, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: start: %w", s, ctx.Err())
	case s.life.Err() != nil:
		return nil, fmt.Errorf("%s: start: %w", s, errClosed)
	case timeout != nil && timeout.person:
		return nil, fmt.Errorf("%s: start: %w", s, timeout)
	case timeout != nil && s.Command != "" && conn != nil:
		return nil, fmt.Errorf("%s: start: no answer to the handshake within %v%s; does the command speak MCP on its standard output?",
			s, limit, conn.lastWords())
	case timeout != nil:
		return nil, fmt.Errorf("%s: start: no answer to the handshake within %v", s, limit)
	case conn == nil:
		return nil, oneLine(fmt.Errorf("%s: start: %w", s, err))
	case errors.As(err, &refused): // which ended the link
		return nil, oneLine(fmt.Errorf("%s: start: %w%s", s, err, conn.lastWords()))
	case conn.ended() != nil && conn.ended() != errClosed:
		return nil, oneLine(fmt.Errorf("%s: start: %w", s, conn.ended()))
	default:
		return nil, oneLine(fmt.Errorf("%s: handshake: %w%s", s, err, conn.lastWords()))
	}
}

// negotiate makes a session in the manner that is known, or finds one out. On
// error the link, if there was one, is closed and tells why.
func (s *Server) negotiate(ctx context.Context, how manner, limit time.Duration) (*session, link, manner, error) {
	how.patience = probeTimeout
	if how.version > legacyVersion {
		how.patience = limit
	}
	switch {
	case s.Transport != "":
		how.transport = s.Transport
	case s.URL != "" && how.transport == "":
		how.transport = StreamableHTTP
	}
	sess, conn, err := s.dial(ctx, how)
	if err == nil || ctx.Err() != nil {
		return sess, conn, how, err
	}
	if s.Transport == "" && how.transport == StreamableHTTP && trySSE(conn, err) {
		s.logger().InfoContext(ctx, "mcp server speaks no streamable HTTP; HTTP with SSE is tried", "server", s.Name, "cause", err)
		older := manner{transport: SSE}
		sess, conn, sseErr := s.dial(ctx, older)
		if sseErr != nil {
			sseErr = fmt.Errorf("%w; as HTTP with SSE: %w", err, sseErr)
		}
		return sess, conn, older, sseErr
	}
	local, ok := conn.(*stdioConn)
	var refused *jsonrpc.Error // initialize was
	if !ok || !local.diedOfProbe() && !(local.probeExpired() && errors.As(err, &refused)) {
		return sess, conn, how, err
	}
	// Some servers exit at the first message that is not initialize
	// (go-sdk issue 1177), and some that start slowly know no initialize.
	// Another process, asked as they expect.
	how = manner{patience: limit}
	if local.diedOfProbe() {
		how.version = legacyVersion
	}
	s.logger().InfoContext(ctx, "mcp server is started again for another handshake", "server", s.Name, "cause", err)
	sess, conn, err = s.dial(ctx, how)
	return sess, conn, how, err
}

// trySSE reports whether a link that err came of asks for HTTP with SSE.
func trySSE(conn link, err error) bool {
	return errors.Is(err, errTrySSE) || conn != nil && errors.Is(conn.ended(), errTrySSE)
}

// dial opens a link and shakes hands over it. On error the link, if there was
// one, is closed.
//
// The handshake is the SDK's: server/discover, then initialize if that fails.
// What it lacks is a bound on the first, so a link answers for a server that
// does not.
func (s *Server) dial(ctx context.Context, how manner) (*session, link, error) {
	conn, err := s.open(ctx, how)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	conn.list().onChange(s.toolsChanged)
	client, err := s.newClient()
	if err != nil {
		conn.Close()
		return nil, conn, err
	}
	var opts mcp.ClientSessionOptions
	if how.legacy() || how.transport == SSE {
		opts.ProtocolVersion = legacyVersion
	}
	t := &tap{
		link: conn, notified: s.notified, watched: s.watched.stands, unwatched: s.watched.over,
		logger: s.logger().With("server", s.Name),
	}
	// The SDK keeps the values for what the server asks later, in other calls.
	ctx = context.WithValue(context.WithValue(ctx, underwayKey{}, nil), samplesKey{s}, nil)
	cs, err := client.Connect(ctx, t, &opts)
	if err != nil {
		conn.Close()
		return nil, conn, cmp.Or(t.probe.refusal(), err)
	}
	return &session{ClientSession: cs, conn: t, began: time.Now(), gone: make(chan struct{})}, conn, nil
}

// open opens a link.
func (s *Server) open(ctx context.Context, how manner) (link, error) {
	switch {
	case s.Dial != nil:
		return newDialedLink(ctx, s)
	case how.transport == SSE:
		return newSSELink(ctx, s)
	case how.transport == StreamableHTTP:
		conn, err := newHTTPLink(s)
		if err != nil {
			return nil, err
		}
		conn.patience = max(conn.patience, how.patience)
		return conn, nil
	}
	proc, err := startProcess(s.command(), s.Stderr)
	if err != nil {
		return nil, startError(s.Command, s.Dir, err)
	}
	return newStdioConn(proc, how.patience, s.logger().With("server", s.Name)), nil
}

// oneLine returns an error like err whose text is one line: servers put what
// they like in theirs, and reports of several servers have a line for each.
func oneLine(err error) error {
	if err == nil || !strings.ContainsAny(err.Error(), "\r\n") {
		return err
	}
	return &lineError{err}
}

type lineError struct{ error }

func (e *lineError) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }
func (e *lineError) Unwrap() error { return e.error }
