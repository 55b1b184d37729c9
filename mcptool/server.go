package mcptool

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

const (
	defaultStartTimeout = 60 * time.Second
	defaultCallTimeout  = 2 * time.Minute
	defaultMaxCallTime  = 30 * time.Minute
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
	// no other origin. An Idempotency-Key is an error, here and in HeaderFunc: it
	// would have package net/http repeat calls. If nil, nothing is added.
	Header http.Header

	// HeaderFunc adds to the headers of one request to URL, after those of
	// Header. The context is that of the call behind the request, so that one
	// process can serve many users; a server that keeps sessions sees all of
	// them in one. Requests that a session makes of its own accord, such as those
	// to listen to the server (GET) and to end the session (DELETE), belong to no
	// call: their context has no user, so HeaderFunc has to do without. Its error
	// is that of the request, which is not sent then. It must be safe for
	// concurrent use. If nil, nothing is added.
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

	// ResourceTools gives the model two tools more, to list and to read the
	// server's resources. If zero, only the program can, with
	// [Server.Resources] and [Server.ReadResource].
	ResourceTools bool

	// StartTimeout bounds the start of the server up to the end of the
	// handshake, save the time in which a person logs in. If zero, it is one
	// minute: commands such as npx and "go run" may have to download and build
	// first.
	StartTimeout time.Duration

	// CallTimeout bounds each request to the server, a tool call among them.
	// News of progress starts it anew, and it stands still while a person logs
	// in or answers, for a quarter of an hour in all. If zero, it is two
	// minutes.
	CallTimeout time.Duration

	// MaxCallTime bounds a request in all, whatever its progress. If zero, it
	// is half an hour, or CallTimeout if that is longer.
	MaxCallTime time.Duration

	// MaxTaskTime bounds the wait for a task that the server has made of a call,
	// save the time in which persons answer. After it the task is cancelled. If
	// zero, it is a day. A run that is resumed waits anew.
	MaxTaskTime time.Duration

	// PreferTasks has tools called as tasks that leave the choice to the client,
	// which is so in protocol version 2025-11-25 alone: a run that is resumed can
	// go on with them, and each call takes some requests more. If zero, only
	// tools are that have to be, and in 2026-07-28 the server decides.
	PreferTasks bool

	// Elicit puts a question of the server to a person, one at a time; see
	// [Elicitation]. An error counts as ElicitCancel, and so do nil and a panic;
	// errors and panics are logged. The deadlines of calls stand still
	// meanwhile, for a quarter of an hour at most. If nil, servers are told that
	// nobody can be asked.
	Elicit func(ctx context.Context, q *Elicitation) (*ElicitationAnswer, error)

	// Sampling lets the server ask the model of the run in whose call it is. If
	// nil, servers are told that no model can be asked.
	Sampling *Sampling

	// Roots are the directories that the server may work in, as far as it heeds
	// them; [Server.SetRoots] changes them. If nil, servers are told that there is
	// no such list.
	Roots []Root

	// SkillTools gives the model two tools more, to list and to load the server's
	// skills; see [Skill]. Of a skill nothing is fetched before it is loaded. If
	// zero, only the program can, with [Server.Skills] and [Server.LoadSkill].
	SkillTools bool

	// Trace returns the trace context of ctx, which goes to the server in the
	// _meta of each request (SEP-414): the values of traceparent, tracestate and
	// baggage, in the formats of the W3C. Other names are left out. It must be
	// safe for concurrent use. If nil, nothing is sent.
	//
	// With OpenTelemetry it is: c := propagation.MapCarrier{};
	// otel.GetTextMapPropagator().Inject(ctx, c); return c.
	Trace func(ctx context.Context) map[string]string

	// LogLevel says which lines of its log the server is asked for; see
	// [tramontane.LogEvent]. If zero, it is asked for none, and servers of the
	// versions before 2026-07-28 may send any.
	LogLevel LogLevel

	// CacheDir is a directory, made where needed, in which the server's list of
	// tools is kept for the next program: a Lazy server offers it without being
	// started or reached. Servers that differ only in values of Env or Header, or
	// in who is logged in, share what is kept: give them other names or
	// directories. If zero, nothing is kept, and a Lazy server is an Optional one.
	CacheDir string

	// Stderr receives what the server prints on its standard error, as it
	// comes; its errors are ignored, and while it blocks, so does Close. It must
	// be safe for concurrent use if other servers have the same. If nil, only
	// the last lines are kept, for errors and [Server.Status].
	Stderr io.Writer

	// Logger receives what is worth knowing but no error: lines on the
	// server's standard output that are no messages, malformed tools, the
	// server's log and progress notifications. If nil, it is discarded.
	Logger *slog.Logger

	written *written // as a config file has it; nil if it is of none

	once    sync.Once
	turn    chan struct{}   // held by whoever connects
	listing chan struct{}   // held by whoever asks for the tools
	life    context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup // what looks after sessions

	questions questions     // that the server puts to persons
	outputs   outputSchemas // of its tools
	roots     roots         // that the server is told of
	watched   watched       // resources that somebody is told about
	skills    skillShelf    // that were listed or loaded
	stray     atomic.Int32  // requests for a model in no known call, since the last one began

	mu         sync.Mutex // guards the fields below
	session    *session   // the last one, which may have ended
	conn       link       // the last one, whose handshake may have failed; nil if none
	connecting bool
	attempts   int   // to connect that have ended
	warned     int   // attempts before the last warning that runs go without the server
	err        error // of the last attempt
	missing    error // what a session that can be called lacks
	gone       error // names tools that runs have and it offers no more
	login      error // of the last request, if it wants a person to log in
	backoff    backoff
	known      manner // what worked last
	tools      int
	offered    []*listedTool // that runs were given last; nil if none were
	personal   bool          // each user has a list of their own
	stale      bool          // the runs know that the server has others now
	audience   map[context.Context]func() bool
	underway   map[string]*underway // calls, by their progress tokens
	calls      int                  // that were ever made
}

func (s *Server) init() {
	s.once.Do(func() {
		s.turn = make(chan struct{}, 1)
		s.listing = make(chan struct{}, 1)
		s.life, s.end = context.WithCancel(context.Background())
	})
}

// Tools returns the server's tools, all pages, starting or reaching it first
// where that is needed, in the way that Need says: if a server that is not
// Required cannot be had, it has no tools, and Status, the run's events and the
// Logger say why. A server is asked once, and again after it said that they
// changed; one of protocol version 2026-07-28 that gives no such notice is
// asked whenever its answer does not hold any more. The tools stay usable when
// the server is started anew.
func (s *Server) Tools(ctx context.Context) ([]tramontane.Tool, error) {
	return Servers{s}.Tools(ctx)
}

// Close ends the session, and the server's process with its process group, and
// returns when all is gone: at once if the server exits when its input is
// closed, and after some seconds if it has to be killed. What has left the
// group lives on. Calls that are under way fail. Closing again does nothing.
// The error is always nil.
func (s *Server) Close() error {
	s.init()
	s.end()
	s.turn <- struct{}{}
	s.mu.Lock()
	sess := s.session
	for _, stop := range s.audience {
		stop()
	}
	s.audience = nil
	s.mu.Unlock()
	if sess != nil {
		sess.conn.end(errClosed)
		sess.close()
	}
	<-s.turn
	s.running.Wait()
	return nil
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
