package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A countingAuth sends a token, and a new one after each refusal.
type countingAuth struct {
	refused atomic.Int32
	why     error // of Refused
}

func (a *countingAuth) Authorize(req *http.Request) error {
	req.Header.Set("Authorization", fmt.Sprintf("Bearer token-%04d", a.refused.Load()))
	return nil
}

func (a *countingAuth) Refused(*http.Request, *http.Response) error {
	if a.why == nil {
		a.refused.Add(1)
	}
	return a.why
}

func TestAuth(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		f := newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{Stateless: true}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") == "Bearer token-0001" || method != "tools/call" {
				return false
			}
			w.WriteHeader(status)
			return true
		})
		s := remoteServer(t, f.URL)
		auth := &countingAuth{}
		s.Auth = auth
		echo := start(t, s)["echo"]
		for range 2 {
			if _, err := callHTTP(t.Context(), echo); err != nil {
				t.Errorf("%d: %v", status, err)
			}
		}
		if auth.refused.Load() != 1 || f.count("tools/call") != 3 {
			t.Errorf("%d: Auth was told %d times, the server got %d calls", status, auth.refused.Load(), f.count("tools/call"))
		}
	}
}

// A server that goes on to refuse is not asked for ever.
func TestAuthInVain(t *testing.T) {
	t.Parallel()
	f := newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{Stateless: true}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		if method != "tools/call" {
			return false
		}
		http.Error(w, "you sent "+r.Header.Get("Authorization"), http.StatusUnauthorized)
		return true
	})
	s := remoteServer(t, f.URL)
	auth := &countingAuth{}
	s.Auth = auth
	_, err := callHTTP(t.Context(), start(t, s)["echo"])
	answer, ok := errors.AsType[*mcptool.HTTPError](err)
	if !ok || answer.StatusCode != http.StatusUnauthorized || errors.Is(err, tramontane.ErrOutcomeUnknown) {
		t.Errorf("error %v", err)
	}
	if strings.Contains(err.Error(), "token-") {
		t.Errorf("the token is in the error: %v", err)
	}
	if auth.refused.Load() != 1 {
		t.Errorf("Auth was told %d times", auth.refused.Load())
	}
}

type denied struct{}

func (denied) Error() string    { return "the person said no" }
func (denied) NeedsLogin() bool { return true }

// A1: go-sdk takes a login that failed for an older server, and asks the person
// again.
func TestFaultDeniedLogin(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]mcptool.Auth{"denied": &countingAuth{why: denied{}}, "none": nil} {
		f := newFront(t, nil, func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			return true
		})
		if _, err := stockConnect(t, f.URL); err == nil || f.count("initialize") != 1 {
			t.Errorf("stock go-sdk asks a server that refused it no more: %v", err)
		}
		f = newFront(t, nil, f.instead)
		s := remoteServer(t, f.URL)
		s.Auth = auth
		_, err := s.Tools(t.Context())
		login, ok := errors.AsType[interface {
			error
			NeedsLogin() bool
		}](err)
		if !ok || !login.NeedsLogin() {
			t.Errorf("%s: error %v", name, err)
		}
		if says := err != nil && strings.Contains(err.Error(), "got none: set Server.Auth, see package mcpauth"); says != (auth == nil) {
			t.Errorf("%s: error %v, want the next step where there is no Auth", name, err)
		}
		if n := f.count("server/discover") + f.count("initialize"); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
		if st := s.Status(); st.State != mcptool.NeedsLogin {
			t.Errorf("%s: state %s", name, st.State)
		}
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	var foreign atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { foreign.Add(1) }))
	t.Cleanup(other.Close)
	tests := []struct {
		to   string // a path, or a whole address
		code int
		want string // in the error; empty: none
	}{
		{"/there", http.StatusTemporaryRedirect, ""},
		{"/there", http.StatusPermanentRedirect, ""},
		{"/there?token=secret", http.StatusFound, "/there in a way that loses the request"},
		{"/here", http.StatusTemporaryRedirect, "more than 5 times"},
		{other.URL + "/x?token=secret", http.StatusTemporaryRedirect, "redirects to " + other.URL + "/x, which is another origin"},
	}
	for _, tt := range tests {
		f := newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{Stateless: true}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/here" {
				return false
			}
			http.Redirect(w, r, tt.to, tt.code)
			return true
		})
		s := remoteServer(t, f.URL+"/here?key=secret")
		_, err := s.Tools(t.Context())
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%d to %s: error %v, want %q", tt.code, tt.to, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("a secret of the address is in the error: %v", err)
		}
	}
	if n := foreign.Load(); n > 0 {
		t.Errorf("%d requests went to another origin", n)
	}
}

// Only a server that does not know the probe is asked the older way.
func TestHTTPProbe(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		kind   string
		body   string
		legacy bool
	}{
		{"400", 400, "text/plain", "what?", true},
		{"404", 404, "text/html", "<html>", true},
		{"405", 405, "", "", true},
		{"400 of MCP", 400, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no session"}}`, true},
		{"method not found", 200, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}`, true},
		{"an empty result", 200, "application/json", `{"jsonrpc":"2.0","id":1,"result":{}}`, true},
		{"no message", 200, "application/json", `{"error":"no"}`, true},
		{"accepted", 202, "", "", true},
		{"500", 500, "text/plain", "oops", false},
		{"503", 503, "text/html", "<html>", false},
		{"429", 429, "", "", false},
		{"403", 403, "", "", false},
		{"a portal", 200, "text/html", "<html>", false},
		{"header mismatch", 400, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"mismatch"}}`, false},
	}
	for _, tt := range tests {
		f := newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
			if method != "server/discover" {
				return false
			}
			w.Header()["Content-Type"] = []string{tt.kind}
			w.WriteHeader(tt.status)
			w.Write([]byte(tt.body))
			return true
		})
		_, err := remoteServer(t, f.URL).Tools(t.Context())
		if (err == nil) != tt.legacy {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if got := f.count("initialize") == 1; got != tt.legacy {
			t.Errorf("%s: initialize was sent %d times", tt.name, f.count("initialize"))
		}
	}
}

func TestRemoteAway(t *testing.T) {
	t.Parallel()
	f := newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{Stateless: true}), nil)
	s := remoteServer(t, f.URL)
	s.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	echo := start(t, s)["echo"]
	f.Listener.Close()
	_, err := callHTTP(t.Context(), echo)
	if err == nil || errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v: nobody took the connection, so nothing was sent", err)
	}
}

// A handlerTransport serves requests in this process, for tests about time.
type handlerTransport struct{ http.Handler }

func (h handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	r, w := io.Pipe()
	answer := &pipeAnswer{body: w, header: make(http.Header), begun: make(chan struct{})}
	context.AfterFunc(req.Context(), func() { w.CloseWithError(req.Context().Err()) })
	go func() {
		h.ServeHTTP(answer, req)
		answer.WriteHeader(http.StatusOK)
		w.CloseWithError(req.Context().Err())
	}()
	select {
	case <-answer.begun:
		return &http.Response{StatusCode: answer.status, Header: answer.header, Body: r}, nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// A pipeAnswer is an answer that is read as it is written.
type pipeAnswer struct {
	body   io.Writer
	header http.Header
	status int
	once   sync.Once
	begun  chan struct{} // closed when status and header are there
}

func (a *pipeAnswer) Header() http.Header { return a.header }
func (a *pipeAnswer) Flush()              { a.WriteHeader(http.StatusOK) }

func (a *pipeAnswer) WriteHeader(status int) {
	a.once.Do(func() {
		a.status, a.header = status, a.header.Clone()
		close(a.begun)
	})
}

func (a *pipeAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// A silent response counts as lost, one with keep-alives does not.
func TestReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		next := answerHTTP(map[string]string{})
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Mcp-Method") != "tools/call" {
				next.ServeHTTP(w, r)
				return
			}
			calls++
			send := eventStream(w)
			if calls == 1 {
				for range 20 {
					send(": still here\n\n")
					time.Sleep(50 * time.Second)
				}
				send("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", requestID(r), calledResult)
				return
			}
			<-r.Context().Done()
		})
		s := &mcptool.Server{
			Name: "test", URL: "http://test/", CallTimeout: time.Hour, ReadTimeout: time.Minute,
			HTTPClient: &http.Client{Transport: handlerTransport{handler}},
		}
		defer s.Close()
		call := start(t, s)["t"]
		if _, err := call.call(t.Context(), ""); err != nil {
			t.Errorf("with keep-alives: %v", err)
		}
		begun := time.Now()
		_, err := call.call(t.Context(), "")
		if !errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "silent for 1m0s") {
			t.Errorf("without: %v", err)
		}
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("it counted as lost after %v", took)
		}
	})
}

// A stream is resumed when the server wants it, or, if it did not say, after
// a while that grows.
func TestHTTPResumeWaits(t *testing.T) {
	for _, retry := range []string{"retry: 700\n", ""} {
		synctest.Test(t, func(t *testing.T) {
			var id string
			var opened []time.Time // when the stream ended, and when it was opened again
			answer := answerAll(map[string]string{"server/discover": "{}"})
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var msg struct {
					ID     json.RawMessage
					Method string
					Params json.RawMessage
				}
				json.NewDecoder(r.Body).Decode(&msg)
				switch {
				case r.Header.Get("Last-Event-ID") != "" && len(opened) == 4:
					eventStream(w)("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", id, calledResult)
				case r.Header.Get("Last-Event-ID") != "":
					opened = append(opened, time.Now())
					w.WriteHeader(http.StatusBadGateway)
				case r.Method == http.MethodGet:
					w.WriteHeader(http.StatusMethodNotAllowed)
				case msg.ID == nil:
					w.WriteHeader(http.StatusAccepted)
				case msg.Method == "tools/call":
					id = string(msg.ID)
					opened = append(opened, time.Now())
					eventStream(w)("id: 1\n%s\n", retry)
				default:
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, msg.ID, answer(msg.Method, msg.Params))
				}
			})
			s := &mcptool.Server{Name: "test", URL: "http://test/", HTTPClient: &http.Client{Transport: handlerTransport{handler}}}
			defer s.Close()
			if _, err := start(t, s)["t"].call(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			for i, least := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second} {
				wait := opened[i+1].Sub(opened[i])
				if i == 0 && retry != "" {
					if wait != 700*time.Millisecond {
						t.Errorf("resumed after %v, the server asked for 700ms", wait)
					}
				} else if wait < least || wait > 2*least {
					t.Errorf("%q: try %d after %v, want %v to %v", retry, i+1, wait, least, 2*least)
				}
			}
		})
	}
}

// A server that leaves the probe unanswered is asked the older way; one that
// answers nothing at all fails to start.
func TestHTTPProbeUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := func(methods ...string) *mcptool.Server {
			answer := answerAll(nil)
			return &mcptool.Server{Name: "test", URL: "http://test/", StartTimeout: 30 * time.Second, HTTPClient: &http.Client{Transport: handlerTransport{
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					var msg struct {
						ID     json.RawMessage
						Method string
						Params json.RawMessage
					}
					json.NewDecoder(r.Body).Decode(&msg)
					switch {
					case slices.Contains(methods, msg.Method):
						<-r.Context().Done()
					case r.Method == http.MethodGet:
						w.WriteHeader(http.StatusMethodNotAllowed)
					case msg.ID == nil:
						w.WriteHeader(http.StatusAccepted)
					default:
						w.Header().Set("Content-Type", "application/json")
						fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, msg.ID, answer(msg.Method, msg.Params))
					}
				}),
			}}}
		}
		for _, silence := range []time.Duration{0, 5 * time.Second} {
			s := mute("server/discover")
			defer s.Close()
			s.ReadTimeout = silence
			begun := time.Now()
			if _, err := s.Tools(t.Context()); err != nil {
				t.Fatalf("ReadTimeout %v: %v", silence, err)
			}
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("ReadTimeout %v: the probe took %v", silence, took)
			}
		}
		s := mute("server/discover", "initialize")
		defer s.Close()
		if _, err := s.Tools(t.Context()); err == nil || !strings.Contains(err.Error(), "within 30s") {
			t.Errorf("error %v", err)
		}
	})
}

// TLS roots, HTTP/2 and proxies are those of the client that the person gives.
func TestHTTPClient(t *testing.T) {
	t.Parallel()
	backend := overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{})
	var proto atomic.Value
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto.Store(r.Proto)
		backend.ServeHTTP(w, r)
	}))
	ts.EnableHTTP2 = true
	ts.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	ts.StartTLS()
	t.Cleanup(ts.Close)
	s := remoteServer(t, ts.URL)
	s.HTTPClient = ts.Client()
	if _, err := callHTTP(t.Context(), start(t, s)["echo"]); err != nil || proto.Load() != "HTTP/2.0" {
		t.Errorf("by %v: %v", proto.Load(), err)
	}
	_, err := remoteServer(t, ts.URL).Tools(t.Context())
	if err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("without its root: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}

	f := newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{}), nil)
	var proxied atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied.Add(1)
		(&httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}, Transport: f.Client().Transport}).ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	s = remoteServer(t, f.URL)
	to, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(to)}
	t.Cleanup(transport.CloseIdleConnections)
	s.HTTPClient = &http.Client{Transport: transport}
	if _, err := callHTTP(t.Context(), start(t, s)["echo"]); err != nil || proxied.Load() == 0 {
		t.Errorf("by proxy (%d requests): %v", proxied.Load(), err)
	}
}

// Some services have a key in the path.
func TestErrorsKeepKeysOfURLs(t *testing.T) {
	t.Parallel()
	f := newFront(t, nil, func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		http.Error(w, "the key "+strings.Split(r.URL.Path, "/")[2]+" is void", http.StatusInternalServerError)
		return true
	})
	const key = "sk1234567890abcdefghij"
	_, err := remoteServer(t, f.URL+"/mcp/"+key+"/v1?key="+key).Tools(t.Context())
	if err == nil || strings.Contains(err.Error(), key[4:]) || !strings.Contains(err.Error(), "/mcp/sk12.../v1") {
		t.Errorf("error %v", err)
	}
}

// A call that was refused with 429 did nothing. It is sent again when the server
// wants it, if that is soon.
func TestRetryAfter(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		after   []string // Retry-After of one refusal each; the last one goes on
		timeout time.Duration
		sent    int
		took    time.Duration
		want    string // in the error; empty: none
	}{
		{"seconds", 429, []string{"7", "2", ""}, 0, 3, 9 * time.Second, ""},
		{"a date", 429, []string{"Sat, 01 Jan 2000 00:00:05 GMT", ""}, 0, 2, 5 * time.Second, ""},
		{"again and again", 429, []string{"2"}, 0, 4, 6 * time.Second, "status 429 Too Many Requests: busy (retry after 2s)"},
		{"later", 429, []string{"3600"}, 0, 1, 0, "(retry after 1h0m0s)"},
		{"after the deadline", 429, []string{"7"}, 7 * time.Second, 1, 0, "(retry after 7s)"},
		{"nothing said", 429, []string{"soon"}, 0, 1, 0, "Too Many Requests: busy"},
		{"unavailable", 503, []string{"1"}, 0, 1, 0, "Unavailable: busy (retry after 1s)"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			next := answerHTTP(map[string]string{})
			s := &mcptool.Server{Name: "test", URL: "http://test/", CallTimeout: tt.timeout, HTTPClient: &http.Client{Transport: handlerTransport{
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Mcp-Method") != "tools/call" {
						next.ServeHTTP(w, r)
						return
					}
					after := tt.after[min(sent, len(tt.after)-1)]
					if sent++; after == "" {
						next.ServeHTTP(w, r)
						return
					}
					w.Header().Set("Retry-After", after)
					w.Header().Set("Content-Type", "text/plain")
					w.WriteHeader(tt.status)
					io.WriteString(w, "busy")
				}),
			}}}
			defer s.Close()
			call := start(t, s)["t"]
			begun := time.Now()
			_, err := call.call(t.Context(), "")
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
			}
			if got, want := errors.Is(err, tramontane.ErrOutcomeUnknown), tt.status == 503; got != want {
				t.Errorf("%s: outcome unknown is %v, want %v: %v", tt.name, got, want, err)
			}
			if took := time.Since(begun); sent != tt.sent || took != tt.took {
				t.Errorf("%s: sent %d times in %v, want %d in %v", tt.name, sent, took, tt.sent, tt.took)
			}
		})
	}
}

// A stream is not asked for again before the server wants it.
func TestRetryAfterOfStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened []time.Time
		answer := answerAll(nil)
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var msg struct {
				ID     json.RawMessage
				Method string
			}
			json.NewDecoder(r.Body).Decode(&msg)
			switch {
			case r.Method == http.MethodGet:
				opened = append(opened, time.Now())
				w.Header().Set("Retry-After", "200")
				w.WriteHeader(http.StatusServiceUnavailable)
			case msg.ID == nil:
				w.WriteHeader(http.StatusAccepted)
			default:
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, msg.ID, answer(msg.Method, nil))
			}
		})
		s := &mcptool.Server{Name: "test", URL: "http://test/", HTTPClient: &http.Client{Transport: handlerTransport{handler}}}
		defer s.Close()
		start(t, s)
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if len(opened) != 18 {
			t.Errorf("asked for %d times in 59 minutes, want every 200 s", len(opened))
		}
	})
}

// What a server, or a portal, says in place of an answer can hold anything.
func TestErrorsShowTextOnly(t *testing.T) {
	t.Parallel()
	for kind, body := range map[string]string{
		"text/plain": "no\x1b[2J way\u202e \u200bfor s3cret-word\r\n",
		"text/html":  "<title>no\x1b[2J way\u202e \u200bfor s3cret-word</title>",
	} {
		f := newFront(t, nil, func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, body)
			return true
		})
		_, err := remoteServer(t, strings.Replace(f.URL, "//", "//me:s3cret-word@", 1)).Tools(t.Context())
		answer, ok := errors.AsType[*mcptool.HTTPError](err)
		if want := "no?[2J way? ?for [removed]"; !ok || answer.Text != want {
			t.Errorf("%s: error %q, want the text %q", kind, err, want)
		}
	}
}

// A RoundTripper that knows nothing of tracing does not say whether it sent the
// request that failed.
func TestUntracedFailure(t *testing.T) {
	t.Parallel()
	next := handlerTransport{answerHTTP(map[string]string{})}
	s := &mcptool.Server{Name: "test", URL: "http://test/", HTTPClient: &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Mcp-Method") == "tools/call" {
			return nil, errors.New("the cable is cut")
		}
		return next.RoundTrip(req)
	})}}
	defer s.Close()
	if _, err := start(t, s)["t"].call(t.Context(), ""); !errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "the cable is cut") {
		t.Errorf("error %v, want an unknown outcome and why", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A subscription on which there is nothing to tell is not lost.
func TestQuietSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var subscribed atomic.Int32
		next := answerHTTP(map[string]string{
			"server/discover": `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}}}`,
		})
		s := &mcptool.Server{Name: "test", URL: "http://test/", ReadTimeout: time.Minute, HTTPClient: &http.Client{Transport: handlerTransport{
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Mcp-Method") != "subscriptions/listen" {
					next.ServeHTTP(w, r)
					return
				}
				subscribed.Add(1)
				eventStream(w)(": welcome\n\n")
				<-r.Context().Done()
			}),
		}}}
		defer s.Close()
		start(t, s)
		time.Sleep(time.Hour)
		if n := subscribed.Load(); n != 1 {
			t.Errorf("%d subscriptions in an hour, want one", n)
		}
	})
}

// Nobody is asked to log in to end a session.
func TestNoLoginToEnd(t *testing.T) {
	t.Parallel()
	f := newFront(t, overHTTP(t, legacyServer(), mcp.StreamableHTTPOptions{}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		if method != http.MethodDelete {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	s := remoteServer(t, f.URL)
	auth := &countingAuth{}
	s.Auth = auth
	start(t, s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if f.count(http.MethodDelete) != 1 || auth.refused.Load() != 0 {
		t.Errorf("%d requests to end the session, Auth was told of %d refusals", f.count(http.MethodDelete), auth.refused.Load())
	}
}
