package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// stockSSE connects the plain go-sdk client to a server of HTTP with SSE.
func stockSSE(t testing.TB, url string, client *http.Client) (*mcp.ClientSession, error) {
	t.Helper()
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "stock", Version: "1"}, nil).
		Connect(t.Context(), &mcp.SSEClientTransport{Endpoint: url, HTTPClient: client}, nil)
	if err == nil {
		t.Cleanup(func() { cs.Close() })
	}
	return cs, err
}

// sseClient returns a Server for url.
func sseClient(t testing.TB, url string) *mcptool.Server {
	t.Helper()
	s := &mcptool.Server{Name: "test", URL: url, Transport: mcptool.SSE}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// httpServer starts a server that ends after its clients.
func httpServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

func sdkSSE(server *mcp.Server) http.Handler {
	return mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return server }, nil)
}

func TestSSESameAsStock(t *testing.T) {
	t.Parallel()
	srv := httpServer(t, sdkSSE(goodServer(0)))
	cs, err := stockSSE(t, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := sseClient(t, srv.URL)
	sameAsStock(t, cs, start(t, s))
	if st := s.Status(); st.State != mcptool.Ready || st.ProtocolVersion != "2025-11-25" {
		t.Errorf("status %+v, want ready with 2025-11-25", st)
	}
}

// A rawSSE is a small server of HTTP with SSE. A test changes what it does.
type rawSSE struct {
	// get, if not nil, answers the GET, or lets it be answered as usual.
	get func(w http.ResponseWriter, r *http.Request) (done bool)
	// first, if not nil, is what the stream begins with; the default is an
	// endpoint event.
	first func(r *http.Request) string
	// event makes an event of a message. The default is the usual form.
	event func(msg string) string
	// post, if not nil, answers the POST of a request, or lets it be answered as
	// usual: with 202, and a response in the stream.
	post func(p *posted) (done bool)

	mu      sync.Mutex
	streams map[string]*rawStream
	gets    int
}

// A posted is a request on its way to a rawSSE.
type posted struct {
	w      http.ResponseWriter
	r      *http.Request
	method string
	tool   string
	answer string // the usual response
	stream *rawStream
}

type rawStream struct {
	mu  sync.Mutex
	w   http.ResponseWriter
	end chan struct{} // closed to end the stream
}

func (s *rawStream) send(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	io.WriteString(s.w, text)
	s.w.(http.Flusher).Flush()
}

func (s *rawSSE) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets
}

func (s *rawSSE) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if s.get == nil || !s.get(w, r) {
			s.stream(w, r)
		}
		return
	}
	body, _ := io.ReadAll(r.Body)
	var req struct {
		ID     json.RawMessage
		Method string
		Params json.RawMessage
	}
	if err := json.Unmarshal(body, &req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	stream := s.streams[r.URL.Query().Get("session")]
	s.mu.Unlock()
	var params struct{ Name string }
	json.Unmarshal(req.Params, &params)
	p := &posted{w: w, r: r, method: req.Method, tool: params.Name, stream: stream}
	if req.ID != nil && req.Method != "" {
		p.answer = fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, req.ID, answerAll(nil)(req.Method, req.Params))
	}
	if s.post != nil && s.post(p) {
		return
	}
	w.WriteHeader(http.StatusAccepted)
	if p.answer != "" {
		stream.send(s.eventOf(p.answer))
	}
}

func (s *rawSSE) eventOf(msg string) string {
	if s.event != nil {
		return s.event(msg)
	}
	return "event: message\ndata: " + msg + "\n\n"
}

func (s *rawSSE) stream(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.gets++
	id := fmt.Sprint(s.gets)
	stream := &rawStream{w: w, end: make(chan struct{})}
	if s.streams == nil {
		s.streams = make(map[string]*rawStream)
	}
	s.streams[id] = stream
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	first := "event: endpoint\ndata: /messages?session=" + id + "\n\n"
	if s.first != nil {
		first = s.first(r)
	}
	stream.send(first)
	select {
	case <-r.Context().Done():
	case <-stream.end:
	}
	stream.mu.Lock() // nobody may write when this returns
	defer stream.mu.Unlock()
	stream.w = httptest.NewRecorder()
}

// What servers make of the transport, and what must work.
func TestSSEVariants(t *testing.T) {
	tests := map[string]*rawSSE{
		"plain":             {},
		"absolute endpoint": {first: func(r *http.Request) string { return "event: endpoint\ndata: http://" + r.Host + "/m?session=1\n\n" }},
		"relative endpoint": {first: func(r *http.Request) string { return "event: endpoint\ndata: messages?session=1\n\n" }},
		"query alone":       {first: func(r *http.Request) string { return "event: endpoint\ndata: ?session=1\n\n" }},
		"CRLF": {
			first: func(r *http.Request) string { return "event: endpoint\r\ndata: /m?session=1\r\n\r\n" },
			event: func(msg string) string { return "event: message\r\ndata: " + msg + "\r\n\r\n" },
		},
		"mark, comments and ids": {
			first: func(r *http.Request) string {
				return "\ufeff: hello\n\nretry: 1\n\nevent: endpoint\ndata: /m?session=1\nid: 0\n\n"
			},
			event: func(msg string) string {
				return ": ping\n\nevent: ping\ndata: now\n\nid: 7\ndata: " + strings.Replace(msg, ",", ",\ndata: ", 1) + "\n\n"
			},
		},
		"message before the endpoint": {first: func(r *http.Request) string {
			return "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\nevent: endpoint\ndata: /m?session=1\n\n"
		}},
		"endpoint twice": {first: func(r *http.Request) string {
			return "event: endpoint\ndata: /m?session=1\n\nevent: endpoint\ndata: http://elsewhere.invalid/\n\n"
		}},
		"junk": {event: func(msg string) string {
			return "data: not JSON\n\ndata: {\"jsonrpc\":\"1.0\"}\n\ndata: 7\n\ndata\n\ndata: " + msg + "\n\n"
		}},
		"answers in the POST": {post: func(p *posted) bool {
			p.w.Header().Set("Content-Type", "application/json")
			if p.answer == "" {
				p.w.WriteHeader(http.StatusNoContent)
			}
			io.WriteString(p.w, p.answer)
			return true
		}},
		"events in the POST": {post: func(p *posted) bool {
			p.w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(p.w, ": hi\n\ndata: "+p.answer+"\n\n")
			return true
		}},
		"answers in both": {post: func(p *posted) bool {
			if p.answer != "" {
				p.stream.send("data: " + p.answer + "\n\n")
			}
			p.w.Header().Set("Content-Type", "application/json")
			io.WriteString(p.w, p.answer)
			return true
		}},
		"accepted as HTML": {post: func(p *posted) bool {
			p.w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(p.w, "Accepted")
			p.stream.send("data: " + p.answer + "\n\n")
			return true
		}},
		"accepted as JSON": {post: func(p *posted) bool {
			p.w.Header().Set("Content-Type", "application/json")
			io.WriteString(p.w, `{"status":"accepted"}`)
			p.stream.send("data: " + p.answer + "\n\n")
			return true
		}},
		"no type": {get: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header()["Content-Type"] = nil
			return false
		}},
		"asks the client": {post: func(p *posted) bool {
			p.stream.send("data: {\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"ping\"}\n\n")
			if p.method == "" { // the client's answer
				http.Error(p.w, "no thanks", http.StatusBadRequest)
				return true
			}
			return false
		}},
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httpServer(t, raw)
			tools := start(t, sseClient(t, srv.URL+"/sse"))
			for range 2 {
				res, err := tools["t"].call(t.Context(), "")
				if err != nil {
					t.Fatal(err)
				}
				if res.Text() != "called" {
					t.Errorf("result %q, want the server's", res.Text())
				}
			}
			if n := raw.opened(); n != 1 {
				t.Errorf("%d streams, want 1", n)
			}
		})
	}
}

// failOnce answers the first POST of a tool call with fail.
func failOnce(fail http.HandlerFunc) func(*posted) bool {
	var failed atomic.Bool
	return func(p *posted) bool {
		if p.method != "tools/call" || failed.Swap(true) {
			return false
		}
		fail(p.w, p.r)
		return true
	}
}

func status(code int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// Fault P8 of go-sdk: a POST that fails ends the session.
func TestSSEPostFails(t *testing.T) {
	tests := []struct {
		name    string
		fail    http.HandlerFunc
		want    string
		unknown bool // the outcome
	}{
		{"unavailable", status(503, "text/plain", "try later"), "status 503 Service Unavailable: try later", true},
		{"bad gateway", status(502, "text/html", "<html><title>nginx</title></html>"), `HTML page titled "nginx"`, true},
		{"page", status(200, "text/html", "<!doctype html><title>Log in</title>"), `HTML page titled "Log in"`, true},
		{"bad request", status(400, "application/json", `{"error":"no"}`), `status 400 Bad Request: {"error":"no"}`, false},
		{"forbidden", status(403, "text/plain", "not for you"), "not for you", false},
		{"too large", status(413, "", ""), "status 413", false},
		{"timeout", status(408, "", ""), "status 408", true},
		{"error without an id", status(200, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"cannot parse"}}`), "cannot parse", false},
		{"broken off", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, "EOF", true},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.Copy(w, endless{})
		}, "more than 16777216 bytes", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			raw := &rawSSE{post: failOnce(tt.fail)}
			srv := httpServer(t, raw)
			tools := start(t, sseClient(t, srv.URL))
			_, err := tools["t"].call(t.Context(), "")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if got := errors.Is(err, tramontane.ErrOutcomeUnknown); got != tt.unknown {
				t.Errorf("outcome unknown is %v, want %v: %v", got, tt.unknown, err)
			}
			if _, err := tools["t"].call(t.Context(), ""); err != nil {
				t.Errorf("the next call: %v", err)
			}
			if n := raw.opened(); n != 1 {
				t.Errorf("%d streams, want 1: the session lives on", n)
			}
		})
	}
}

// endless is a reader of letters.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// Fault P9 of go-sdk: it posts, credentials and all, to any origin that the
// endpoint event names.
func TestSSEForeignEndpoint(t *testing.T) {
	t.Parallel()
	raw, stolen := foreignEndpoint(t)
	s := sseClient(t, raw.URL)
	s.Header = http.Header{"Authorization": {"Bearer SECRET"}}
	err := s.Connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "another origin") || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("error %v, want one that says so", err)
	}
	if len(stolen) > 0 {
		t.Errorf("the other origin was sent %q", <-stolen)
	}
}

// foreignEndpoint starts a server whose messages are to go to another, and
// returns what credentials that gets.
func foreignEndpoint(t testing.TB) (*httptest.Server, <-chan string) {
	stolen := make(chan string, 10)
	thief := httpServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stolen <- r.Header.Get("Authorization")
	}))
	raw := &rawSSE{first: func(*http.Request) string { return "event: endpoint\ndata: " + thief.URL + "/m\n\n" }}
	return httpServer(t, raw), stolen
}

// bearer sets a credential, as people do it around the stock transport.
type bearer struct{}

func (bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer SECRET")
	return http.DefaultTransport.RoundTrip(req)
}

// This test fails when upstream mends what our connection is there for.
func TestStockFaultsSSE(t *testing.T) {
	t.Run("P8", func(t *testing.T) {
		srv := httpServer(t, &rawSSE{post: failOnce(status(503, "text/plain", "try later"))})
		cs, err := stockSSE(t, srv.URL, srv.Client())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "t"}); err == nil {
			t.Error("the call that failed has a result")
		}
		if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "t"}); !errors.Is(err, mcp.ErrConnectionClosed) {
			t.Errorf("stock go-sdk outlives a POST that fails now: %v", err)
		}
	})
	t.Run("P9", func(t *testing.T) {
		srv, stolen := foreignEndpoint(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		connected := make(chan error, 1)
		go func() {
			_, err := mcp.NewClient(&mcp.Implementation{Name: "stock", Version: "1"}, nil).
				Connect(ctx, &mcp.SSEClientTransport{Endpoint: srv.URL, HTTPClient: &http.Client{Transport: bearer{}}}, nil)
			connected <- err
		}()
		select {
		case got := <-stolen:
			if got != "Bearer SECRET" {
				t.Errorf("stock go-sdk keeps credentials in the origin now: it sent %q", got)
			}
			cancel() // nobody answers
			<-connected
		case err := <-connected:
			t.Errorf("stock go-sdk keeps to the origin now: %v", err)
		}
	})
}

// The end of the stream is the end of the session: what happens to a call that
// is under way, and to the next.
func TestSSEStreamEnds(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*posted){
		"after the POST": func(p *posted) { p.w.WriteHeader(http.StatusAccepted) },
		"during the POST": func(p *posted) {
			close(p.stream.end)
			<-p.r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var dropped atomic.Bool
			raw := &rawSSE{post: func(p *posted) bool {
				if p.method != "tools/call" || dropped.Swap(true) {
					return false
				}
				answer(p)
				select {
				case <-p.stream.end:
				default:
					close(p.stream.end)
				}
				return true
			}}
			srv := httpServer(t, raw)
			tools := start(t, sseClient(t, srv.URL))
			_, err := tools["t"].call(t.Context(), "")
			if !errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "ended the event stream") {
				t.Errorf("error %v, want an unknown outcome and why", err)
			}
			if _, err := tools["t"].call(t.Context(), ""); err != nil {
				t.Errorf("on the next session: %v", err)
			}
			if n := raw.opened(); n != 2 {
				t.Errorf("%d streams, want 2", n)
			}
		})
	}
}

// What the server said before the end of the stream counts.
func TestSSELastAnswer(t *testing.T) {
	t.Parallel()
	raw := &rawSSE{post: func(p *posted) bool {
		if p.method != "tools/call" {
			return false
		}
		p.w.WriteHeader(http.StatusAccepted)
		p.w.(http.Flusher).Flush()
		p.stream.send("data: " + p.answer + "\n\n")
		close(p.stream.end)
		return true
	}}
	srv := httpServer(t, raw)
	for range 20 {
		if _, err := start(t, sseClient(t, srv.URL))["t"].call(t.Context(), ""); err != nil {
			t.Error(err)
		}
	}
}

// A server that has lost the session says so with 404, and did nothing.
func TestSSESessionLost(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusNotFound, http.StatusGone} {
		raw := &rawSSE{post: failOnce(status(code, "text/plain", "session not found"))}
		srv := httpServer(t, raw)
		s := sseClient(t, srv.URL)
		tools := start(t, s)
		if _, err := tools["t"].call(t.Context(), ""); err != nil {
			t.Errorf("%d: error %v, but the call could be made on another session", code, err)
		}
		if n := raw.opened(); n != 2 {
			t.Errorf("%d: %d streams, want 2", code, n)
		}
	}
}

// Silence ends a stream, and comments are none.
func TestSSESilence(t *testing.T) {
	t.Parallel()
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		raw := &rawSSE{post: failOnce(status(202, "", ""))}
		srv := httpServer(t, raw)
		s := sseClient(t, srv.URL)
		s.ReadTimeout = time.Second
		_, err := start(t, s)["t"].call(t.Context(), "")
		if !errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "silent for 1s") {
			t.Errorf("error %v, want an unknown outcome and why", err)
		}
	})
	t.Run("comments", func(t *testing.T) {
		t.Parallel()
		raw := &rawSSE{post: func(p *posted) bool {
			if p.method != "tools/call" {
				return false
			}
			p.w.WriteHeader(http.StatusAccepted)
			p.w.(http.Flusher).Flush()
			for range 30 {
				p.stream.send(":\n")
				time.Sleep(50 * time.Millisecond) // time is what this is about
			}
			p.stream.send("data: " + p.answer + "\n\n")
			return true
		}}
		srv := httpServer(t, raw)
		s := sseClient(t, srv.URL)
		s.ReadTimeout = time.Second
		if _, err := start(t, s)["t"].call(t.Context(), ""); err != nil {
			t.Error(err)
		}
	})
}

// A tokens gives a new token whenever one is refused.
type tokens struct {
	valid   atomic.Int64 // the token that the server takes
	have    atomic.Int64
	refused atomic.Int64
}

func (a *tokens) Authorize(req *http.Request) error {
	req.Header.Set("Authorization", fmt.Sprint("Bearer ", a.have.Load()))
	return nil
}

func (a *tokens) Refused(req *http.Request, resp *http.Response) error {
	a.refused.Add(1)
	a.have.Store(a.valid.Load())
	return nil
}

// guard asks for the token before h.
func (a *tokens) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != fmt.Sprint("Bearer ", a.valid.Load()) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Credentials are renewed at the stream, at a POST, and at the next stream.
func TestSSEAuth(t *testing.T) {
	t.Parallel()
	auth := &tokens{}
	auth.valid.Store(1)
	srv := httpServer(t, auth.guard(sdkSSE(goodServer(0))))
	s := sseClient(t, srv.URL)
	s.Auth = auth
	tools := start(t, s)
	if n := auth.refused.Load(); n != 1 {
		t.Errorf("refused %d times, want once, at the stream", n)
	}
	auth.valid.Store(2)
	if _, err := tools["meta"].call(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if n := auth.refused.Load(); n != 2 {
		t.Errorf("refused %d times, want again at a POST", n)
	}
	auth.valid.Store(3)
	srv.CloseClientConnections()
	eventually(t, "the end is seen", func() bool { return s.Status().State != mcptool.Ready })
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tools["meta"].call(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if n := auth.refused.Load(); n != 3 {
		t.Errorf("refused %d times, want again at the second stream", n)
	}

	open := sseClient(t, srv.URL)
	err := open.Connect(t.Context())
	var needs interface{ NeedsLogin() bool }
	if !errors.As(err, &needs) || !needs.NeedsLogin() {
		t.Errorf("without Auth: %v, want an error that asks for a login", err)
	}
}

// Headers go with the stream and with each message, those of the call's
// context too.
func TestSSEHeaders(t *testing.T) {
	t.Parallel()
	type user struct{}
	var mu sync.Mutex
	seen := make(map[string]string)
	raw := &rawSSE{}
	srv := httpServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.Method] = r.Header.Get("X-Key") + " " + r.Header.Get("X-User") + " " + r.Header.Get("Accept")
		mu.Unlock()
		raw.ServeHTTP(w, r)
	}))
	s := sseClient(t, srv.URL)
	s.Header = http.Header{"x-key": {"k"}}
	s.HeaderFunc = func(ctx context.Context, h http.Header) error {
		if name, ok := ctx.Value(user{}).(string); ok {
			h.Set("X-User", name)
		}
		return nil
	}
	tools := start(t, s)
	if _, err := tools["t"].call(context.WithValue(t.Context(), user{}, "ada"), ""); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got, want := seen["GET"], "k  text/event-stream"; got != want {
		t.Errorf("GET with %q, want %q", got, want)
	}
	if got, want := seen["POST"], "k ada application/json, text/event-stream"; got != want {
		t.Errorf("POST with %q, want %q", got, want)
	}
}

// Servers that mean ill, or are something else.
func TestSSEHostile(t *testing.T) {
	tests := []struct {
		name string
		raw  *rawSSE
		want string
	}{
		{"not found", &rawSSE{get: got(status(404, "text/plain", "no such page"))}, "status 404 Not Found: no such page"},
		{"a page", &rawSSE{get: got(status(200, "text/html", "<title>Welcome</title>"))}, `HTML page titled "Welcome"`},
		{"an error", &rawSSE{get: got(status(500, "text/event-stream", "event: endpoint\ndata: /m\n\n"))}, "status 500"},
		{"no endpoint", &rawSSE{first: func(*http.Request) string { return ": soon\n\n" }}, "within 300ms"},
		{"stream ends", &rawSSE{get: got(status(200, "text/event-stream", "data: 1\n\n"))}, "no endpoint event: it ended the event stream"},
		{"empty endpoint", &rawSSE{first: func(*http.Request) string { return "event: endpoint\ndata: \n\n" }}, "holds no address"},
		{"endless line", &rawSSE{get: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "text/event-stream")
			io.Copy(w, endless{})
			return true
		}}, "more than 16777216 bytes"},
		{"endless event", &rawSSE{get: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "text/event-stream")
			for line := "data: " + strings.Repeat("x", 1<<16) + "\n"; ; {
				if _, err := io.WriteString(w, line); err != nil {
					return true
				}
			}
		}}, "more than 16777216 bytes"},
		{"comments for ever", &rawSSE{get: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "text/event-stream")
			for {
				if _, err := io.WriteString(w, ": hm\n\n"); err != nil {
					return true
				}
			}
		}}, "within 300ms"},
		{"redirect elsewhere", &rawSSE{get: got(http.RedirectHandler("http://elsewhere.invalid/", http.StatusTemporaryRedirect).ServeHTTP)}, "another origin"},
		{"no handshake", &rawSSE{post: func(p *posted) bool { p.w.WriteHeader(202); return true }}, "within 300ms"},
		{"handshake refused", &rawSSE{post: func(p *posted) bool {
			if p.method != "notifications/initialized" {
				return false
			}
			http.Error(p.w, "out of order", http.StatusInternalServerError)
			return true
		}}, "out of order"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httpServer(t, tt.raw)
			s := sseClient(t, srv.URL)
			if strings.Contains(tt.want, "within") {
				s.StartTimeout = 300 * time.Millisecond
			}
			if err := s.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func got(h http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		h(w, r)
		return true
	}
}

// Close ends what is under way: a call whose answer is waited for, and one
// whose POST is.
func TestSSEClose(t *testing.T) {
	t.Parallel()
	for name, post := range map[string]http.HandlerFunc{
		"answer": status(202, "", ""),
		"POST":   func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan struct{})
			raw := &rawSSE{post: failOnce(func(w http.ResponseWriter, r *http.Request) {
				close(arrived)
				post(w, r)
			})}
			srv := httpServer(t, raw)
			s := sseClient(t, srv.URL)
			tools := start(t, s)
			done := make(chan error, 1)
			go func() {
				_, err := tools["t"].call(t.Context(), "")
				done <- err
			}()
			<-arrived
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-done; !errors.Is(err, tramontane.ErrOutcomeUnknown) {
				t.Errorf("the call: %v, want an unknown outcome", err)
			}
		})
	}
}
