package mcptool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

const (
	defaultStartTimeout = 60 * time.Second
	defaultCallTimeout  = 2 * time.Minute

	// probeTimeout is how long server/discover may stay unanswered before the
	// older handshake is tried on the same process. A server that starts more
	// slowly loses nothing by it; see [Server.dial].
	probeTimeout = time.Second

	// legacyVersion is the newest protocol version that has initialize.
	legacyVersion = "2025-11-25"
)

var errClosed = errors.New("it was closed")

// A Server is one MCP server: a local process that is spoken to through its
// standard input and output (Command), a remote one that is reached by HTTP
// (URL), or one that the program connects to by itself (Dial). It is a
// [tramontane.Toolset].
//
// Set the exported fields before the first use and leave them alone then. All
// methods are safe for concurrent use.
type Server struct {
	// Name stands before the names of the server's tools. Required, and
	// different for each server of a run.
	Name string

	// Command is the program to start: a path, or a name that is looked up in
	// PATH. A relative path starts at Dir. One of Command, URL and Dial is
	// required, and the others must be zero.
	Command string

	// Args are the arguments of the command. If nil, it has none.
	Args []string

	// Env is added to the environment of the server, which otherwise holds
	// only what [Server.InheritEnv] says. If nil, nothing is added.
	Env map[string]string

	// InheritEnv names variables that the server gets from the environment of
	// this program, besides a few that say where things are (PATH, HOME, LANG,
	// TMPDIR and the like). If nil, it gets only those. API keys are never
	// among them.
	InheritEnv []string

	// Dir is the working directory of the server. If zero, it is that of this
	// program.
	Dir string

	// URL is the endpoint of a remote server, https or http.
	URL string

	// Transport says how the server at URL is spoken to. If zero, it is found
	// out: streamable HTTP, then HTTP with SSE where the specification says so
	// (2025-11-25, "Transports: Backwards Compatibility").
	Transport Transport

	// Header is sent with each request to URL. It may hold secrets, and goes to
	// no other origin. If nil, nothing is added.
	Header http.Header

	// HeaderFunc adds to the headers of one request to URL, after those of
	// Header. The context is that of the call behind the request, so that one
	// process can serve many users; a server that keeps sessions sees all of
	// them in one. Its error is that of the request, which is not sent then. It
	// must be safe for concurrent use. If nil, nothing is added.
	HeaderFunc func(ctx context.Context, header http.Header) error

	// HTTPClient sends the requests to URL: it is the place for proxies, TLS
	// roots and client certificates. Its Timeout is not for streams: leave it
	// zero. If nil, the server has a client of its own, with as many idle
	// connections as a run makes calls, and the proxy of the environment.
	HTTPClient *http.Client

	// Auth gives requests to URL their credentials; see package mcpauth. If nil,
	// a server that asks for some is in state NeedsLogin.
	Auth Auth

	// ReadTimeout is how long a response may be silent before it counts as
	// lost. If zero, it is five minutes.
	ReadTimeout time.Duration

	// Dial opens a connection of the program's own making, for example to a
	// server in this process. It is called for each session. Its
	// transport is used once.
	Dial func(ctx context.Context) (mcp.Transport, error)

	// Need says what becomes of a run when the server cannot be had. If zero,
	// it is Required.
	Need Need

	// Trusted says that what the server says of its tools is believed: then
	// calls of tools that it marks as read-only or idempotent may be sent again
	// after a failure. If zero, hints are shown and nothing rests on them.
	Trusted bool

	// StartTimeout bounds the start of the server up to the end of the
	// handshake. If zero, it is one minute: commands such as npx and "go run"
	// may have to download and build first.
	StartTimeout time.Duration

	// CallTimeout bounds each request to the server, a tool call among them.
	// News of progress starts it anew. If zero, it is two minutes.
	CallTimeout time.Duration

	// MaxCallTime bounds a request in all, whatever its progress. If zero, it
	// is half an hour, or CallTimeout if that is longer.
	MaxCallTime time.Duration

	// Stderr receives what the server prints on its standard error, as it
	// comes; its errors are ignored, and while it blocks, so does Close. It must
	// be safe for concurrent use if other servers have the same. If nil, only
	// the last lines are kept, for errors and [Server.Status].
	Stderr io.Writer

	// Logger receives what is worth knowing but no error: lines on the
	// server's standard output that are no messages, malformed tools, the
	// server's log and progress notifications. If nil, it is discarded.
	Logger *slog.Logger

	once sync.Once
	turn chan struct{}   // held by whoever connects
	life context.Context // ends with Close
	end  context.CancelFunc

	mu         sync.Mutex // guards the fields below
	session    *session   // the last one, which may have ended
	conn       link       // the last one, whose handshake may have failed; nil if none
	connecting bool
	attempts   int   // to connect that have ended
	err        error // of the last attempt
	legacy     bool  // the server is known to have no server/discover
	tools      int
}

// A session is a connection to a server after the handshake.
type session struct {
	*mcp.ClientSession
	conn link
}

func (s *Server) init() {
	s.once.Do(func() {
		s.turn = make(chan struct{}, 1)
		s.life, s.end = context.WithCancel(context.Background())
	})
}

// Connect starts the server and shakes hands with it, unless that is done. It
// starts a server anew that has ended or could not be started. It returns an
// error after Close.
//
// There is no need to call Connect: Tools does.
func (s *Server) Connect(ctx context.Context) error {
	_, err := s.connect(ctx)
	return err
}

func (s *Server) connect(ctx context.Context) (*session, error) {
	s.init()
	s.mu.Lock()
	before := s.attempts
	s.mu.Unlock()
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
		// Ended as a connection; the process may live on, and calls may wait
		// for it.
		sess.conn.Close()
		sess.Wait()
	}

	s.mu.Lock()
	s.connecting = true
	s.mu.Unlock()
	sess, err = s.start(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connecting = false
	s.attempts++
	s.err = err
	if err != nil {
		return nil, err
	}
	s.session = sess
	return sess, nil
}

// start makes a session, in StartTimeout.
func (s *Server) start(ctx context.Context) (*session, error) {
	if s.Name == "" || s.Command == "" {
		return nil, fmt.Errorf("%s: a server needs a name and a command", s)
	}
	limit := s.StartTimeout
	if limit <= 0 {
		limit = defaultStartTimeout
	}
	startCtx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()

	s.mu.Lock()
	legacy := s.legacy
	s.mu.Unlock()
	sess, conn, err := s.dial(startCtx, legacy, probeTimeout)
	if err != nil && conn != nil && startCtx.Err() == nil && (conn.diedOfProbe() || conn.answeredLate()) {
		// Some servers exit at the first message that is not initialize
		// (go-sdk issue 1177), and some that start slowly know no initialize.
		// Another process, asked as they expect.
		legacy, patience := conn.diedOfProbe(), limit
		s.logger().InfoContext(ctx, "mcp server is started again for another handshake", "server", s.Name, "cause", err)
		sess, conn, err = s.dial(startCtx, legacy, patience)
	}
	switch {
	case err == nil:
		s.mu.Lock()
		s.legacy = sess.InitializeResult().ProtocolVersion <= legacyVersion
		s.mu.Unlock()
		return sess, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: start: %w", s, ctx.Err())
	case s.life.Err() != nil:
		return nil, fmt.Errorf("%s: start: %w", s, errClosed)
	case conn == nil:
		return nil, fmt.Errorf("%s: start: %w", s, err)
	case startCtx.Err() != nil:
		return nil, fmt.Errorf("%s: start: no answer to the handshake within %v%s; does the command speak MCP on its standard output?",
			s, limit, conn.lastWords())
	case conn.ended() != nil:
		return nil, fmt.Errorf("%s: start: %w", s, conn.ended())
	default:
		return nil, fmt.Errorf("%s: handshake: %w%s", s, err, conn.lastWords())
	}
}

// dial starts a process and shakes hands with it. On error the process is
// gone, and the connection, if there was one, tells why.
//
// The handshake is the SDK's: server/discover, then initialize if that fails.
// What it lacks is a bound on the first, so after patience the connection
// answers for a server that does not.
func (s *Server) dial(ctx context.Context, legacy bool, patience time.Duration) (*session, *stdioConn, error) {
	proc, err := startProcess(s.command(), s.Stderr)
	if err != nil {
		return nil, nil, startError(s.Command, err)
	}
	conn := newStdioConn(proc, patience, s.logger().With("server", s.Name))
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	client := mcp.NewClient(&mcp.Implementation{Name: "tramontane", Version: version()}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{}, // the default would promise roots
		Logger:       s.Logger,
		//lint:ignore SA1019 servers of the versions before 2026-07-28 still log this way
		LoggingMessageHandler: func(ctx context.Context, req *mcp.LoggingMessageRequest) {
			s.logger().DebugContext(ctx, "mcp server log", "server", s.Name, "level", req.Params.Level, "data", req.Params.Data)
		},
		ProgressNotificationHandler: func(ctx context.Context, req *mcp.ProgressNotificationClientRequest) {
			s.logger().DebugContext(ctx, "mcp server progress", "server", s.Name,
				"progress", req.Params.Progress, "total", req.Params.Total, "message", req.Params.Message)
		},
	})
	var opts mcp.ClientSessionOptions
	if legacy {
		opts.ProtocolVersion = legacyVersion
	}
	cs, err := client.Connect(ctx, conn, &opts)
	if err != nil {
		conn.Close()
		return nil, conn, err
	}
	return &session{cs, conn}, conn, nil
}

// Tools returns the server's tools, all pages, starting it first where that is
// needed. A server of a protocol version before 2026-07-28 is asked once, and
// again after it said that they changed; a later one says itself how long its
// answer holds. The tools stay usable after the server was started anew.
func (s *Server) Tools(ctx context.Context) ([]tramontane.Tool, error) {
	listed, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	return nameTools(listed)
}

// Close ends the server's process and its process group, and returns when they
// are gone: at once if the server exits when its input is closed, and after
// some seconds if it has to be killed. What has left the group lives on. Calls
// that are under way fail. Closing again does nothing. The error is always nil.
func (s *Server) Close() error {
	s.init()
	s.end()
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	sess := s.session
	s.mu.Unlock()
	if sess == nil {
		return nil
	}
	sess.conn.end(errClosed)
	sess.conn.Close()
	sess.Wait()
	return nil
}

// State says how a server is doing.
type State string

// A server is in one of these states.
const (
	Connecting State = "connecting"  // its process was started, the handshake is not over
	Ready      State = "ready"       // it can be called
	NeedsLogin State = "needs_login" // it wants a person to log in first
	Degraded   State = "degraded"    // it can be called, but part of it is missing
	Failed     State = "failed"      // it could not be started, or it ended by itself
	Closed     State = "closed"      // it has no process: not started yet, or closed
)

// A Status is what is known of a server at one moment.
type Status struct {
	Name    string
	State   State
	Command string

	// Tools is how many tools it offered when it was last asked.
	Tools int

	// ProtocolVersion is the version of MCP that both agreed on. If zero, they
	// have not agreed yet.
	ProtocolVersion string

	// Err says why the server failed. If nil, it did not.
	Err error

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
	st := Status{Name: s.Name, State: Closed, Command: s.Command, Tools: s.tools, ExitCode: -1, Err: s.err}
	if s.err != nil {
		st.State = Failed
	}
	if c, ok := s.conn.(*stdioConn); ok {
		st.ExitCode = c.proc.exitCode()
		st.Stderr = c.proc.stderr.last(tailLines)
	}
	if s.session != nil {
		st.ProtocolVersion = s.session.InitializeResult().ProtocolVersion
		if s.err == nil {
			st.State = Ready
			if err := s.session.conn.ended(); err != nil {
				st.State, st.Err = Failed, fmt.Errorf("%s: %w", s, err)
			}
		}
	}
	if s.connecting {
		st.State, st.Err = Connecting, nil
	}
	if s.life.Err() != nil {
		st.State, st.Err = Closed, nil
	}
	return st
}

// String returns "mcp server <name>".
func (s *Server) String() string { return "mcp server " + s.Name }

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

// version is that of this module in the program, for the handshake.
func version() string {
	const path = "github.com/tramontane-dev/tramontane"
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Path == path {
			return info.Main.Version
		}
		for _, dep := range info.Deps {
			if dep.Path == path {
				return dep.Version
			}
		}
	}
	return "(devel)"
}
