package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tramontane-dev/tramontane/internal/wire"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A Model answers chats. It must be safe for concurrent use.
//
// An error should name the model's server and say what to do. A *mistral.Error
// without a Method is the model's own answer: its StatusCode, Type, Code and
// Message go to the caller as they are.
type Model interface {
	// Complete returns the model's whole answer. The server uses the first of
	// its choices.
	Complete(ctx context.Context, req *mistral.ChatRequest) (*mistral.ChatResponse, error)

	// Stream yields the answer in pieces. The last piece of the answer has a
	// finish reason: an answer without one was cut off and is not stored. The
	// sequence ends after an error, and when the loop over it is left.
	Stream(ctx context.Context, req *mistral.ChatRequest) iter.Seq2[*mistral.ChatChunk, error]
}

// Options are the settings of a [Server].
type Options struct {
	// Key is what each request must carry as its bearer token. If zero, none is
	// needed.
	Key mistral.Key

	// Models lists the models for GET /v1/models. If nil, the list is empty;
	// conversations may name any model all the same.
	Models func(ctx context.Context) ([]mistral.Model, error)

	// AllowedHosts are the names, with or without a port, under which the
	// server may be reached beside those of loopback. A request for another
	// host is refused: it may come from a web page whose name was bound to this
	// address. If nil, only loopback names are allowed.
	AllowedHosts []string

	// MaxBody is how many bytes a request's body may have. If zero, 32 MiB.
	MaxBody int64

	// KeepAlive is how long a stream may be silent before a comment is sent. If
	// zero, 15 seconds.
	KeepAlive time.Duration

	// Logger gets a line for each request that the server, its store or its
	// model could not answer. If nil, they are not logged.
	Logger *slog.Logger

	// Now is the clock. If nil, time.Now.
	Now func() time.Time

	// NewID makes a new id with the given prefix, such as "conv". If nil, ids
	// are the prefix, an underscore and 32 hexadecimal digits that sort by time.
	NewID func(prefix string) string
}

// A Server serves the API. It is safe for concurrent use.
type Server struct {
	store Store
	model Model
	opts  Options
	mux   *http.ServeMux
	turns keyedMutex // one reply at a time for each conversation
}

// New returns a server over the store and the model, which stay the caller's to
// close.
func New(store Store, model Model, opts *Options) *Server {
	s := &Server{store: store, model: model}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.MaxBody == 0 {
		s.opts.MaxBody = 32 << 20
	}
	if s.opts.KeepAlive == 0 {
		s.opts.KeepAlive = 15 * time.Second
	}
	if s.opts.Logger == nil {
		s.opts.Logger = slog.New(slog.DiscardHandler)
	}
	if s.opts.Now == nil {
		s.opts.Now = time.Now
	}
	if s.opts.NewID == nil {
		s.opts.NewID = newID
	}
	s.routes()
	return s
}

func newID(prefix string) string {
	id := uuid.Must(uuid.NewV7())
	return fmt.Sprintf("%s_%x", prefix, id[:])
}

// now is the time of day as the wire has it.
func (s *Server) now() mistral.Timestamp { return mistral.NewTimestamp(s.opts.Now()) }

// methods are what a path answers to.
type methods map[string]func(w http.ResponseWriter, r *http.Request) error

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	for path, m := range map[string]methods{
		"/v1/models":                        {"GET": s.listModels},
		"/v1/models/{id...}":                {"GET": s.getModel},
		"/v1/agents":                        {"POST": s.createAgent, "GET": s.listAgents},
		"/v1/agents/pages":                  {"GET": s.listAgentPages},
		"/v1/agents/{id}":                   {"GET": s.getAgent, "PATCH": s.updateAgent, "DELETE": s.deleteAgent},
		"/v1/agents/{id}/version":           {"PATCH": s.useAgentVersion},
		"/v1/agents/{id}/versions":          {"GET": s.listAgentVersions},
		"/v1/agents/{id}/versions/{number}": {"GET": s.getAgentVersion},
		"/v1/conversations":                 {"POST": s.startConversation, "GET": s.listConversations},
		"/v1/conversations/{id}":            {"POST": s.appendConversation, "GET": s.getConversation, "DELETE": s.deleteConversation},
		"/v1/conversations/{id}/history":    {"GET": s.getHistory},
		"/v1/conversations/{id}/messages":   {"GET": s.getMessages},
		"/v1/conversations/{id}/restart":    {"POST": s.restartConversation},
	} {
		s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			handle, ok := m[r.Method]
			if !ok && r.Method == http.MethodHead {
				handle, ok = m[http.MethodGet]
			}
			if !ok {
				s.fail(w, r, methodNotAllowed(r, m))
				return
			}
			if err := handle(w, r); err != nil {
				s.fail(w, r, err)
			}
		})
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, notFound("no route %s %s: this server has agents, conversations and models under /v1", r.Method, r.URL.Path))
	})
}

func methodNotAllowed(r *http.Request, m methods) *apiError {
	var allow []string
	for method := range m {
		allow = append(allow, method)
	}
	slices.Sort(allow)
	return &apiError{
		status: http.StatusMethodNotAllowed, kind: "invalid_request_error",
		message: fmt.Sprintf("%s does not take %s, only %s", r.URL.Path, r.Method, strings.Join(allow, ", ")),
		header:  http.Header{"Allow": {strings.Join(allow, ", ")}},
	}
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Mistral-Correlation-Id", uuid.NewString())
	if err := s.admit(r); err != nil {
		s.fail(w, r, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, s.opts.MaxBody)
	s.mux.ServeHTTP(w, r)
}

// admit refuses what no client of ours sends: a request for another host or
// from another site's page, one without the key, one with another kind of body.
func (s *Server) admit(r *http.Request) error {
	refuse := func(status int, kind, format string, args ...any) error {
		return &apiError{status: status, kind: kind, message: fmt.Sprintf(format, args...)}
	}
	if !s.allowedHost(r.Host) {
		return refuse(http.StatusForbidden, "permission_error",
			"this server does not answer for the host %q, only for loopback names and for those it was told to allow", r.Host)
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || !s.allowedHost(u.Host) {
			return refuse(http.StatusForbidden, "permission_error", "this server does not answer pages of %q", origin)
		}
	}
	if s.opts.Key != "" && !s.authorized(r) {
		e := refuse(http.StatusUnauthorized, "authentication_error", "this server needs its key: send Authorization: Bearer KEY")
		e.(*apiError).header = http.Header{"Www-Authenticate": {"Bearer"}}
		return e
	}
	if (r.Method == http.MethodPost || r.Method == http.MethodPatch) && r.ContentLength != 0 {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "application/json" {
			return refuse(http.StatusUnsupportedMediaType, "invalid_request_error",
				"%s %s needs a body of Content-Type application/json, not %q", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
		}
	}
	return nil
}

// authorized compares digests, so that the time it takes tells nothing, not
// even the key's length.
func (s *Server) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(s.opts.Key))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

func (s *Server) allowedHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if isLoopbackName(name) {
		return true
	}
	return slices.ContainsFunc(s.opts.AllowedHosts, func(allowed string) bool {
		return strings.EqualFold(allowed, host) || strings.EqualFold(allowed, name)
	})
}

func isLoopbackName(name string) bool {
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback()
}

// CheckLoopback returns an error if a server that listens on addr, a host and a
// port, could be reached from another machine. An empty host is all interfaces.
func CheckLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address %q: want HOST:PORT, such as 127.0.0.1:8787: %w", addr, err)
	}
	if !isLoopbackName(host) {
		return fmt.Errorf("listen address %q: not loopback: the server has no keys for its users yet, so listen on 127.0.0.1 or [::1]", addr)
	}
	return nil
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := s.failure(r, err)
	for name, values := range e.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	w.Write(errorBody(e))
}

// failure turns the error of a request into its answer, and logs it if the
// caller did nothing wrong.
func (s *Server) failure(r *http.Request, err error) *apiError {
	e := asAPIError(err)
	if e.status < 500 {
		return e
	}
	if r.Context().Err() != nil {
		// A server that stops cancels requests whose callers still wait: without
		// an answer they would get an empty one of status 200.
		return &apiError{status: http.StatusServiceUnavailable, kind: "server_error",
			message: "the request was cancelled, as the server stops or its caller has left"}
	}
	cause := e.cause
	if cause == nil {
		cause = e
	}
	s.opts.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "status", e.status, "error", cause)
	return e
}

// reply answers 200 with v as JSON.
func reply(w http.ResponseWriter, v any) error {
	body, err := wire.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
	return nil
}

// body reads a request's body, or says that it is too large.
func body(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &apiError{
			status: http.StatusRequestEntityTooLarge, kind: "invalid_request_error",
			message: fmt.Sprintf("the body has more than the %d bytes that this server takes", tooLarge.Limit),
		}
	}
	if err != nil {
		return nil, badRequest("the body could not be read: %v", err)
	}
	return data, nil
}
