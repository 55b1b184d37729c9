package mcptool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A front stands before the MCP server of an HTTP test and counts what comes.
type front struct {
	*httptest.Server
	next http.Handler

	// instead, if not nil, may answer a request itself and say so. Method is
	// that of the message, or GET or DELETE; nth counts from 1 by method.
	instead func(method string, nth int, w http.ResponseWriter, r *http.Request) bool

	conns atomic.Int32 // that came
	open  atomic.Int32 // that are there

	mu   sync.Mutex
	seen map[string]int
	last map[string]http.Header
}

// newFront serves next, which is closed at the end of the test.
func newFront(t testing.TB, next http.Handler, instead func(string, int, http.ResponseWriter, *http.Request) bool) *front {
	t.Helper()
	f := &front{next: next, instead: instead, seen: make(map[string]int), last: make(map[string]http.Header)}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // some tests abort requests
	f.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			f.conns.Add(1)
			f.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			f.open.Add(-1)
		}
	}
	f.Start()
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var msg struct{ Method string }
		json.Unmarshal(body, &msg)
		method = msg.Method
	}
	f.mu.Lock()
	f.seen[method]++
	nth := f.seen[method]
	f.last[method] = r.Header.Clone()
	f.mu.Unlock()
	if f.instead == nil || !f.instead(method, nth, w, r) {
		f.next.ServeHTTP(w, r)
	}
}

func (f *front) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[method]
}

func (f *front) header(method, key string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last[method].Get(key)
}

// overHTTP serves s by go-sdk's handler: with sessions the version is
// 2025-11-25, without it is 2026-07-28, unless the client wants less.
func overHTTP(t testing.TB, s *mcp.Server, opts mcp.StreamableHTTPOptions) http.Handler {
	t.Cleanup(func() { // sessions that nobody ended
		for ss := range s.Sessions() {
			ss.Close()
		}
	})
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &opts)
}

// remoteServer returns a client of ours for url, closed at the end of the test.
func remoteServer(t testing.TB, url string) *mcptool.Server {
	t.Helper()
	s := &mcptool.Server{
		Name: "test", URL: url, Transport: mcptool.StreamableHTTP,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// stockHTTP connects the plain go-sdk client to url.
func stockHTTP(t testing.TB, url string) *mcp.ClientSession {
	t.Helper()
	cs, err := stockConnect(t, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

func stockConnect(t testing.TB, url string) (*mcp.ClientSession, error) {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := mcp.NewClient(&mcp.Implementation{Name: "stock", Version: "1"}, nil)
	return client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: transport}}, nil)
}

// callHTTP calls echo and returns the text of the result.
func callHTTP(ctx context.Context, t tool) (string, error) {
	res, err := t.Call(ctx, &tramontane.Call{Arguments: json.RawMessage(`{"text":"hello"}`)})
	if err != nil {
		return "", err
	}
	return res.Content[0].(*tramontane.TextContent).Text, nil
}

var httpModes = map[string]mcp.StreamableHTTPOptions{
	"2025 events": {},
	"2025 JSON":   {JSONResponse: true},
	"2026 events": {Stateless: true},
	"2026 JSON":   {Stateless: true, JSONResponse: true},
}

func TestHTTPSameAsStock(t *testing.T) {
	for name, opts := range httpModes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, overHTTP(t, goodServer(0), opts), nil)
			s := remoteServer(t, f.URL)
			sameAsStock(t, stockHTTP(t, f.URL), start(t, s))
			if got, want := s.Status().ProtocolVersion, map[bool]string{false: "2025-11-25", true: "2026-07-28"}[opts.Stateless]; got != want {
				t.Errorf("version %q, want %q", got, want)
			}
		})
	}
}

func TestHTTPHeaders(t *testing.T) {
	t.Parallel()
	for name, opts := range httpModes {
		f := newFront(t, overHTTP(t, goodServer(0), opts), nil)
		s := remoteServer(t, f.URL)
		s.Header = http.Header{"X-Static": {"a", "b"}, "Accept": {"text/html"}, "x-raw": {"c"}}
		type userKey struct{}
		s.HeaderFunc = func(ctx context.Context, h http.Header) error {
			if user, ok := ctx.Value(userKey{}).(string); ok {
				h.Set("X-User", user)
			}
			return nil
		}
		echo := start(t, s)["echo"]
		if _, err := callHTTP(context.WithValue(t.Context(), userKey{}, "ann"), echo); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"X-Static": "a", "X-Raw": "c", "X-User": "ann", "Accept": "application/json, text/event-stream", "Content-Type": "application/json",
			"Mcp-Protocol-Version": "2025-11-25", "Mcp-Method": "", "Mcp-Name": "",
		}
		if opts.Stateless {
			want["Mcp-Protocol-Version"], want["Mcp-Method"], want["Mcp-Name"] = "2026-07-28", "tools/call", "echo"
		}
		for key, value := range want {
			if got := f.header("tools/call", key); got != value {
				t.Errorf("%s: %s is %q, want %q", name, key, got, value)
			}
		}
		if got := f.header("tools/call", "Mcp-Session-Id"); (got != "") == opts.Stateless {
			t.Errorf("%s: session id %q", name, got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if got, want := f.count(http.MethodDelete), map[bool]int{false: 1, true: 0}[opts.Stateless]; got != want {
			t.Errorf("%s: %d sessions ended by DELETE, want %d", name, got, want)
		}
	}
}

func TestHeaderFuncFails(t *testing.T) {
	t.Parallel()
	f := newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{Stateless: true}), nil)
	s := remoteServer(t, f.URL)
	broken := errors.New("no user")
	var fail atomic.Bool
	s.HeaderFunc = func(context.Context, http.Header) error {
		if fail.Load() {
			return broken
		}
		return nil
	}
	echo := start(t, s)["echo"]
	fail.Store(true)
	if _, err := callHTTP(t.Context(), echo); !errors.Is(err, broken) || errors.Is(err, tramontane.ErrOutcomeUnknown) {
		t.Errorf("error %v, want that of HeaderFunc", err)
	}
	if n := f.count("tools/call"); n != 0 {
		t.Errorf("%d calls were sent", n)
	}
	fail.Store(false)
	if _, err := callHTTP(t.Context(), echo); err != nil {
		t.Error(err)
	}
}

// In both eras the server learns that a call was given up: of the older ones by
// a notice, of the newer ones by the end of the request.
func TestHTTPCancel(t *testing.T) {
	t.Parallel()
	for name, opts := range httpModes {
		opts.PropagateRequestCancellation = true
		called, cancelled := make(chan struct{}), make(chan struct{})
		server := goodServer(0)
		server.AddTool(&mcp.Tool{Name: "wait", InputSchema: json.RawMessage(`{"type":"object"}`)},
			func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				close(called)
				<-ctx.Done()
				close(cancelled)
				return nil, ctx.Err()
			})
		f := newFront(t, overHTTP(t, server, opts), nil)
		tools := start(t, remoteServer(t, f.URL))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := tools["wait"].Call(ctx, &tramontane.Call{})
			done <- err
		}()
		<-called
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", name, err)
		}
		select {
		case <-cancelled:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the server was not told", name)
		}
		if got, err := callHTTP(t.Context(), tools["echo"]); err != nil {
			t.Errorf("%s: after it: %q, %v", name, got, err)
		}
		if n := f.count("notifications/cancelled"); opts.Stateless && n != 0 {
			t.Errorf("%s: %d notices, which this version has not", name, n)
		}
	}
}

func TestHTTPConcurrentCalls(t *testing.T) {
	t.Parallel()
	for name, opts := range httpModes {
		f := newFront(t, overHTTP(t, goodServer(0), opts), nil)
		echo := start(t, remoteServer(t, f.URL))["echo"]
		for range 5 {
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if _, err := callHTTP(t.Context(), echo); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			wg.Wait()
		}
		if n := f.conns.Load(); n > 40 {
			t.Errorf("%s: 100 calls, 20 at once, took %d connections", name, n)
		}
	}
}

// eventStream starts an answer of events.
func eventStream(w http.ResponseWriter) (send func(format string, args ...any)) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flush := func() { http.NewResponseController(w).Flush() }
	flush()
	return func(format string, args ...any) {
		fmt.Fprintf(w, format, args...)
		flush()
	}
}

// requestID returns the id of the message in a POST, which can be read again.
func requestID(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var msg struct{ ID json.RawMessage }
	json.Unmarshal(body, &msg)
	return string(msg.ID)
}

const calledResult = `{"content":[{"type":"text","text":"resumed"}]}`

func TestHTTPResume(t *testing.T) {
	t.Parallel()
	const breaks = 8 // more than are allowed without news
	var id string
	var lastIDs []string
	f := newFront(t, overHTTP(t, legacyServer(), mcp.StreamableHTTPOptions{}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		last := r.Header.Get("Last-Event-ID")
		switch {
		case method == "tools/call":
			id = requestID(r)
			eventStream(w)("id: e-0\nretry: 1\ndata: \n\n")
			return true
		case last == "":
			return false
		}
		lastIDs = append(lastIDs, last)
		send := eventStream(w)
		if len(lastIDs) < breaks {
			send("id: e-%d\nretry: 1\ndata: \n\n", len(lastIDs))
			return true
		}
		send("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", id, calledResult)
		return true
	})
	got, err := callHTTP(t.Context(), start(t, remoteServer(t, f.URL))["echo"])
	if err != nil || got != "resumed" {
		t.Fatalf("got %q, %v", got, err)
	}
	var want []string
	for i := range breaks {
		want = append(want, fmt.Sprintf("e-%d", i))
	}
	if diff := cmp.Diff(want, lastIDs); diff != "" {
		t.Errorf("resumed after (-want +got):\n%s", diff)
	}
}

// A call whose stream breaks may have run. It is not sent again, and the next
// one works.
func TestHTTPBrokenStream(t *testing.T) {
	t.Parallel()
	for name, opts := range httpModes {
		f := newFront(t, overHTTP(t, goodServer(0), opts), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
			if method != "tools/call" || nth > 1 {
				return false
			}
			if opts.JSONResponse {
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, `{"jsonrpc":"2.0",`)
			} else {
				send := eventStream(w)
				send(": working\n\n")
				if opts.Stateless {
					send("id: 1\nretry: 1\ndata: \n\n") // in this version it is not resumed
				}
			}
			panic(http.ErrAbortHandler)
		})
		fail := start(t, remoteServer(t, f.URL))["fail"]
		if _, err := fail.call(t.Context(), ""); !errors.Is(err, tramontane.ErrOutcomeUnknown) {
			t.Errorf("%s: error %v, want an unknown outcome", name, err)
		}
		if n := f.count("tools/call"); n != 1 {
			t.Errorf("%s: the call was sent %d times", name, n)
		}
		if n := f.count(http.MethodGet); opts.Stateless && n != 0 {
			t.Errorf("%s: %d streams were asked for by GET, which this version has not", name, n)
		}
		if _, err := fail.call(t.Context(), ""); err != nil {
			t.Errorf("%s: the next call: %v", name, err)
		}
	}
}

func TestHTTPMessageTooLong(t *testing.T) {
	t.Parallel()
	for name, opts := range httpModes {
		f := newFront(t, overHTTP(t, goodServer(0), opts), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
			if method != "tools/call" || nth > 1 {
				return false
			}
			kind, prefix := "application/json", ""
			if !opts.JSONResponse {
				kind, prefix = "text/event-stream", "data: "
			}
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, prefix+`"`)
			chunk := bytes.Repeat([]byte("x"), 1<<20)
			for range 40 {
				if _, err := w.Write(chunk); err != nil {
					break
				}
			}
			return true
		})
		fail := start(t, remoteServer(t, f.URL))["fail"]
		if _, err := fail.call(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "more than 16777216 bytes") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := fail.call(t.Context(), ""); err != nil {
			t.Errorf("%s: the next call: %v", name, err)
		}
	}
}

// What a server says by itself comes on the GET stream, which is there before
// the first call.
func TestHTTPListens(t *testing.T) {
	t.Parallel()
	server := legacyServer()
	f := newFront(t, overHTTP(t, server, mcp.StreamableHTTPOptions{}), nil)
	s := remoteServer(t, f.URL)
	start(t, s)
	if n := f.count(http.MethodGet); n != 1 {
		t.Fatalf("%d streams", n)
	}
	server.AddTool(&mcp.Tool{Name: "new", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{}, nil
		})
	eventually(t, "the new tool", func() bool { return start(t, s)["new"].Tool != nil })
}

// Since 2026-07-28 they come to who asks for them, and a stream that is lost
// has to be asked for again.
func TestHTTPSubscribes(t *testing.T) {
	t.Parallel()
	server := goodServer(0)
	var mu sync.Mutex
	var ids []string
	lose, listed := make(chan struct{}), make(chan struct{})
	f := newFront(t, overHTTP(t, server, mcp.StreamableHTTPOptions{Stateless: true}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		if method != "subscriptions/listen" {
			return false
		}
		id := requestID(r)
		mu.Lock()
		ids = append(ids, id)
		mu.Unlock()
		if nth > 1 {
			<-listed
			return false
		}
		eventStream(w)("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":"+
			"{\"notifications\":{\"toolsListChanged\":true},\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":%s}}}\n\n", id)
		<-lose
		panic(http.ErrAbortHandler)
	})
	s := remoteServer(t, f.URL)
	eventually(t, "a list that holds", func() bool {
		n := f.count("tools/list")
		start(t, s)
		return n > 0 && f.count("tools/list") == n
	})
	before := f.count("tools/list")
	close(lose)
	eventually(t, "a list that does not hold, since nobody listens", func() bool {
		start(t, s)
		return f.count("tools/list") > before
	})
	close(listed)
	eventually(t, "another subscription", func() bool { return f.count("subscriptions/listen") == 2 })
	eventually(t, "a list that holds", func() bool {
		n := f.count("tools/list")
		start(t, s)
		return f.count("tools/list") == n
	})
	server.AddTool(&mcp.Tool{Name: "new", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{}, nil
		})
	eventually(t, "the new tool", func() bool { return start(t, s)["new"].Tool != nil })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 2 || ids[0] == ids[1] {
		t.Errorf("subscriptions with the ids %v, want two different ones", ids)
	}
}

// A server of 2024-11-05 knows no POST to the address of its stream.
func TestHTTPFallsBackToSSE(t *testing.T) {
	t.Parallel()
	server := legacyServer()
	f := newFront(t, mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return server }, nil), nil)
	s := remoteServer(t, f.URL)
	s.Transport = ""
	for range 2 {
		if _, err := callHTTP(t.Context(), start(t, s)["echo"]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := f.count("server/discover"); n != 1 {
		t.Errorf("%d probes", n)
	}
}

// A server that lets a stream end again and again, with nothing new on it, is
// given up.
func TestHTTPResumeInVain(t *testing.T) {
	t.Parallel()
	f := newFront(t, overHTTP(t, legacyServer(), mcp.StreamableHTTPOptions{}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		switch {
		case method == "tools/call" && nth == 1, r.Header.Get("Last-Event-ID") != "":
			eventStream(w)("id: e-1\nretry: 1\ndata: \n\n")
			return true
		default:
			return false
		}
	})
	fail := start(t, remoteServer(t, f.URL))["fail"]
	_, err := fail.call(t.Context(), "")
	if !errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "could not be resumed: tried 5 times") {
		t.Errorf("error %v", err)
	}
	if n := f.count(http.MethodGet); n != 1+5 {
		t.Errorf("%d streams were opened, want one to listen and five to resume", n)
	}
	if _, err := fail.call(t.Context(), ""); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// Every call that finds the session lost is sent again, once: the server refused
// all of them, though one was the first to say so.
func TestHTTPSessionLostByMany(t *testing.T) {
	t.Parallel()
	const calls = 20
	var arrived sync.WaitGroup
	arrived.Add(calls)
	f := newFront(t, overHTTP(t, legacyServer(), mcp.StreamableHTTPOptions{}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		if method != "tools/call" || nth > calls {
			return false
		}
		arrived.Done()
		arrived.Wait()
		http.NotFound(w, r)
		return true
	})
	call := start(t, remoteServer(t, f.URL))["meta"]
	var answered sync.WaitGroup
	for range calls {
		answered.Go(func() {
			if _, err := call.call(t.Context(), ""); err != nil {
				t.Error(err)
			}
		})
	}
	answered.Wait()
	if n, sessions := f.count("tools/call"), f.count("initialize"); n != 2*calls || sessions != 2 {
		t.Errorf("%d requests in %d sessions, want %d in 2", n, sessions, 2*calls)
	}
}

// A server that forgot the session says so to who listens, before any call.
func TestHTTPSessionLostWhileIdle(t *testing.T) {
	t.Parallel()
	var lost atomic.Bool
	f := newFront(t, overHTTP(t, legacyServer(), mcp.StreamableHTTPOptions{}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		switch {
		case method == http.MethodGet && nth == 1:
			eventStream(w)("retry: 10\ndata: \n\n")
		case method == http.MethodGet && nth == 2:
			http.NotFound(w, r)
			lost.Store(true)
		default:
			return false
		}
		return true
	})
	s := remoteServer(t, f.URL)
	start(t, s)
	eventually(t, "the session is lost", lost.Load)
	eventually(t, "a new session", func() bool { start(t, s); return f.count("initialize") == 2 })
}

// Nobody is asked to log in again and again for the sake of the stream.
func TestHTTPListenerWaitsForLogin(t *testing.T) {
	t.Parallel()
	var in atomic.Bool
	f := newFront(t, overHTTP(t, legacyServer(), mcp.StreamableHTTPOptions{}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		if method != http.MethodGet || in.Load() {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	s := remoteServer(t, f.URL)
	var asked atomic.Int32
	s.Auth = refuseAuth(func() error {
		asked.Add(1)
		return denied{}
	})
	fail := start(t, s)["fail"]
	// Each call that is answered is reason to try again, once.
	eventually(t, "a first try", func() bool { return asked.Load() > 0 })
	before := asked.Load()
	if _, err := fail.call(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another try", func() bool { return asked.Load() > before })
	in.Store(true)
	if _, err := fail.call(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a stream", func() bool { return f.count(http.MethodGet) > int(asked.Load()) })
	if n := asked.Load(); n > 4 {
		t.Errorf("a login was wanted %d times", n)
	}
}

// A refuseAuth has no credentials.
type refuseAuth func() error

func (refuseAuth) Authorize(*http.Request) error                 { return nil }
func (f refuseAuth) Refused(*http.Request, *http.Response) error { return f() }

// What the server did not agree to tell of is not relied on.
func TestHTTPSubscribesToLess(t *testing.T) {
	t.Parallel()
	f := newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{Stateless: true}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		if method != "subscriptions/listen" {
			return false
		}
		send := eventStream(w)
		send("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{\"notifications\":{}}}\n\n")
		send("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"none\"}}\n\n")
		<-r.Context().Done()
		return true
	})
	s := remoteServer(t, f.URL)
	heard := make(chan struct{})
	s.Logger = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("mcp server progress")) {
			close(heard)
		}
		return len(p), nil
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	start(t, s)
	<-heard
	for range 3 {
		before := f.count("tools/list")
		start(t, s)
		if f.count("tools/list") == before {
			t.Error("a list is taken to hold, though nobody tells of its end")
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// An error that does not say what it is about is about the request that it
// answers.
func TestHTTPErrorWithoutID(t *testing.T) {
	t.Parallel()
	for name, opts := range httpModes {
		f := newFront(t, overHTTP(t, goodServer(0), opts), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
			if method != "tools/call" {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"cannot parse"}}`)
			return true
		})
		_, err := callHTTP(t.Context(), start(t, remoteServer(t, f.URL))["echo"])
		if err == nil || !strings.Contains(err.Error(), "the server answered with error -32700: cannot parse") || errors.Is(err, tramontane.ErrOutcomeUnknown) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Close leaves no connection behind, idle ones included.
func TestCloseReleasesConnections(t *testing.T) {
	t.Parallel()
	for transport, handler := range map[mcptool.Transport]http.Handler{
		mcptool.StreamableHTTP: overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{}),
		mcptool.SSE:            sdkSSE(goodServer(0)),
	} {
		f := newFront(t, handler, nil)
		s := remoteServer(t, f.URL)
		s.Transport = transport
		if _, err := callHTTP(t.Context(), start(t, s)["echo"]); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		eventually(t, fmt.Sprintf("no connection by %s is left", transport), func() bool { return f.open.Load() == 0 })
	}
}

// A subscription that the server ends, after it was lost once and so has another
// id, is known to have ended.
func TestHTTPSubscriptionEnds(t *testing.T) {
	t.Parallel()
	const told = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{\"notifications\":{\"toolsListChanged\":true}}}\n\n"
	end := make(chan struct{})
	f := newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{Stateless: true}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		if method != "subscriptions/listen" {
			return false
		}
		id := requestID(r)
		send := eventStream(w)
		send(told)
		if nth == 1 {
			panic(http.ErrAbortHandler)
		}
		<-end
		send("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"resultType\":\"complete\"}}\n\n", id)
		return true
	})
	s := remoteServer(t, f.URL)
	asks := func() bool {
		before := f.count("tools/list")
		start(t, s)
		return f.count("tools/list") > before
	}
	inARow := func(n int, want bool) bool {
		for range n {
			if asks() != want {
				return false
			}
		}
		return true
	}
	start(t, s)
	eventually(t, "another subscription", func() bool { return f.count("subscriptions/listen") == 2 })
	eventually(t, "a list that holds", func() bool { return inARow(2, false) })
	close(end)
	eventually(t, "a list that does not hold, since nobody tells of its end", func() bool { return inARow(3, true) })
}
