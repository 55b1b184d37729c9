package mistral_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tramontane-dev/tramontane/mistral"
)

// A try is what a server does with one request.
type try struct {
	status     int // 0: the connection breaks after the request was read
	retryAfter string
}

// pipe returns a client and a server that talk in memory, so that they can do so
// inside a synctest bubble. The server answers the n-th request as tries say,
// the last of which is repeated; it counts them in the int.
func pipe(t *testing.T, tries ...try) (*mistral.Client, *int) {
	t.Helper()
	n := new(int)
	client := pipeTo(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for name := range r.Header {
			if strings.Contains(name, "Idempotency") {
				t.Errorf("header %s was sent, which makes net/http repeat a POST", name)
			}
		}
		next := tries[min(*n, len(tries)-1)]
		*n++
		if next.status == 0 {
			panic(http.ErrAbortHandler)
		}
		if next.retryAfter != "" {
			w.Header().Set("Retry-After", next.retryAfter)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(next.status)
		io.WriteString(w, agentJSON)
	})
	return client, n
}

func pipeTo(t *testing.T, f http.HandlerFunc) *mistral.Client {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: f}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	transport := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-done
	})
	return &mistral.Client{BaseURL: "http://server", HTTPClient: &http.Client{Transport: transport}}
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
	case <-ctx.Done():
	}
	return nil, &net.OpError{Op: "dial", Net: "pipe", Err: errors.New("connection refused")}
}

var (
	get = func(ctx context.Context, c *mistral.Client) error {
		_, err := c.Agent(ctx, "ag_1", nil)
		return err
	}
	remove = func(ctx context.Context, c *mistral.Client) error { return c.DeleteAgent(ctx, "ag_1") }
	create = func(ctx context.Context, c *mistral.Client) error {
		_, err := c.CreateAgent(ctx, &mistral.AgentRequest{Model: "m", Name: "n"})
		return err
	}
	update = func(ctx context.Context, c *mistral.Client) error {
		_, err := c.UpdateAgent(ctx, "ag_1", &mistral.AgentUpdate{Name: "n"})
		return err
	}
	streaming = func(ctx context.Context, c *mistral.Client) error {
		for _, err := range c.StreamStart(ctx, &mistral.ConversationRequest{}) {
			return err
		}
		return nil
	}
)

func TestRetries(t *testing.T) {
	lost := try{}
	tests := []struct {
		name      string
		call      func(context.Context, *mistral.Client) error
		max       int
		tries     []try
		want      int // requests
		ok        bool
		uncertain bool
	}{
		{name: "GET after 503", call: get, tries: []try{{status: 503}, {status: 502}, {status: 200}}, want: 3, ok: true},
		{name: "GET after a lost connection", call: get, tries: []try{lost, {status: 200}}, want: 2, ok: true},
		{name: "GET gives up", call: get, tries: []try{{status: 504}}, want: 3},
		{name: "GET after 522", call: get, tries: []try{{status: 522}, {status: 200}}, want: 2, ok: true},
		{name: "GET after 500", call: get, tries: []try{{status: 500}}, want: 1},
		{name: "GET after 404", call: get, tries: []try{{status: 404}}, want: 1},
		{name: "DELETE after 503", call: remove, tries: []try{{status: 503}, {status: 204}}, want: 2, ok: true},
		{name: "never", call: get, max: -1, tries: []try{{status: 503}}, want: 1},
		{name: "five times", call: get, max: 5, tries: []try{{status: 503}}, want: 6},
		{name: "POST after 429", call: create, tries: []try{{status: 429}, {status: 200}}, want: 2, ok: true},
		{name: "PATCH after 429", call: update, tries: []try{{status: 429}, {status: 200}}, want: 2, ok: true},
		{name: "stream after 429", call: streaming, tries: []try{{status: 429}}, want: 3},
		{name: "POST after 503", call: create, tries: []try{{status: 503}}, want: 1},
		{name: "POST after 502", call: create, tries: []try{{status: 502}}, want: 1, uncertain: true},
		{name: "POST after 524", call: create, tries: []try{{status: 524}}, want: 1, uncertain: true},
		{name: "PATCH after 504", call: update, tries: []try{{status: 504}}, want: 1, uncertain: true},
		{name: "POST after a lost connection", call: create, tries: []try{lost}, want: 1, uncertain: true},
		{name: "PATCH after a lost connection", call: update, tries: []try{lost}, want: 1, uncertain: true},
		{name: "stream after a lost connection", call: streaming, tries: []try{lost}, want: 1, uncertain: true},
		{name: "GET that stays lost", call: get, tries: []try{lost}, want: 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, n := pipe(t, test.tries...)
				client.MaxRetries = test.max
				err := test.call(t.Context(), client)
				if (err == nil) != test.ok {
					t.Errorf("error is %v", err)
				}
				if *n != test.want {
					t.Errorf("%d requests, want %d", *n, test.want)
				}
				if got := mistral.Uncertain(err); got != test.uncertain {
					t.Errorf("Uncertain(%v) = %v", err, got)
				}
			})
		})
	}
}

func TestRetryAfter(t *testing.T) {
	tests := []struct {
		name     string
		after    func() string
		timeout  time.Duration // of the context; zero: none
		min, max time.Duration // that the call takes
		requests int
	}{
		{name: "seconds", after: func() string { return "7" }, min: 7 * time.Second, max: 7 * time.Second, requests: 2},
		{name: "date", after: func() string { return time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat) }, min: 8 * time.Second, max: 9 * time.Second, requests: 2},
		{name: "nothing", after: func() string { return "" }, min: 250 * time.Millisecond, max: 500 * time.Millisecond, requests: 2},
		{name: "nonsense", after: func() string { return "soon" }, min: 250 * time.Millisecond, max: 500 * time.Millisecond, requests: 2},
		{name: "too long", after: func() string { return "3600" }, requests: 1},
		{name: "huge", after: func() string { return strconv.Itoa(1 << 60) }, requests: 1},
		{name: "past the deadline", after: func() string { return "30" }, timeout: 20 * time.Second, requests: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, n := pipe(t, try{429, test.after()}, try{status: 200})
				ctx := t.Context()
				if test.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.timeout)
					defer cancel()
				}
				start := time.Now()
				err := create(ctx, client)
				if took := time.Since(start); took < test.min || took > test.max {
					t.Errorf("took %v, want %v to %v", took, test.min, test.max)
				}
				if *n != test.requests || (err == nil) != (test.requests == 2) {
					t.Errorf("%d requests, want %d; error is %v", *n, test.requests, err)
				}
				if e := new(mistral.Error); err != nil && (!errors.As(err, &e) || e.RetryAfter == 0) {
					t.Errorf("error is %v, want the API's with RetryAfter", err)
				}
			})
		})
	}
}

func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, n := pipe(t, try{429, "30"})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if err := create(ctx, client); err == nil || time.Since(start) != time.Second || *n != 1 {
			t.Errorf("error is %v after %v and %d requests", err, time.Since(start), *n)
		}
	})
}

func TestCancelledBeforeItIsSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client, got := serve(t, http.StatusOK, "application/json", agentJSON)
	for name, call := range map[string]func(context.Context, *mistral.Client) error{"POST": create, "stream": streaming} {
		if err := call(ctx, client); !errors.Is(err, context.Canceled) || mistral.Uncertain(err) || len(*got) != 0 {
			t.Errorf("%s: error is %v, uncertain %v, after %d requests", name, err, mistral.Uncertain(err), len(*got))
		}
	}
}

// Some errors are the same the next time.
func TestLastingErrors(t *testing.T) {
	dials := 0
	unknown := func(context.Context, string, string) (net.Conn, error) {
		dials++
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}
	}
	client := &mistral.Client{BaseURL: "http://nowhere.invalid", HTTPClient: &http.Client{Transport: &http.Transport{DialContext: unknown}}}
	if err := get(t.Context(), client); err == nil || dials != 1 {
		t.Errorf("error is %v after %d dials", err, dials)
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	handshakes := 0
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		handshakes++
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	client = &mistral.Client{BaseURL: secure.URL, HTTPClient: &http.Client{Transport: transport}}
	if err := get(t.Context(), client); err == nil || handshakes != 1 {
		t.Errorf("error is %v after %d handshakes", err, handshakes)
	}
}

func TestDialErrorIsNotUncertain(t *testing.T) {
	dials := 0
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		dials++
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}}
	synctest.Test(t, func(t *testing.T) {
		client := &mistral.Client{BaseURL: "http://localhost:1", HTTPClient: &http.Client{Transport: transport}}
		err := create(t.Context(), client)
		if err == nil || mistral.Uncertain(err) || dials != 3 {
			t.Errorf("error is %v, uncertain %v, after %d dials", err, mistral.Uncertain(err), dials)
		}
		if want := "mistral: POST /v1/agents: dial tcp: connection refused"; err.Error() != want {
			t.Errorf("error is %q, want %q", err, want)
		}
	})
}

// A server that takes the connection and closes it may have read the request.
func TestAcceptAndClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan int)
	go func() {
		n := 0
		for {
			c, err := l.Accept()
			if err != nil {
				accepted <- n
				return
			}
			n++
			c.Close()
		}
	}()
	transport := &http.Transport{}
	client := &mistral.Client{BaseURL: "http://" + l.Addr().String(), HTTPClient: &http.Client{Transport: transport}}
	if err := create(t.Context(), client); err == nil || !mistral.Uncertain(err) {
		t.Errorf("error is %v, uncertain %v", err, mistral.Uncertain(err))
	}
	l.Close()
	if n := <-accepted; n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// A RoundTripper that does not say what it did proves nothing.
func TestUntracedRoundTripperIsUncertain(t *testing.T) {
	n := 0
	client := &mistral.Client{BaseURL: "http://localhost", HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		n++
		return nil, io.ErrUnexpectedEOF
	})}}
	if err := create(t.Context(), client); !mistral.Uncertain(err) || !errors.Is(err, io.ErrUnexpectedEOF) || n != 1 {
		t.Errorf("error is %v after %d requests", err, n)
	}
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		client := pipeTo(t, func(w http.ResponseWriter, r *http.Request) {
			n++
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "{")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		for _, test := range []struct{ set, want time.Duration }{{time.Second, time.Second}, {0, 5 * time.Minute}} {
			client.Timeout = test.set
			start := time.Now()
			err := create(t.Context(), client)
			if !errors.Is(err, context.DeadlineExceeded) || !mistral.Uncertain(err) || time.Since(start) != test.want {
				t.Errorf("Timeout %v: error is %v after %v", test.set, err, time.Since(start))
			}
			if err := get(t.Context(), client); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Timeout %v: error of a GET is %v", test.set, err)
			}
		}
		if n != 4 {
			t.Errorf("%d requests, want 4, one for each call", n)
		}
	})
}

func TestUnreadableAnswer(t *testing.T) {
	for _, body := range []string{"<html>", `{"id":`, `{"id":1}`, ``} {
		client, got := serve(t, http.StatusOK, "text/html", body)
		client.MaxRetries = 2
		if err := create(t.Context(), client); err == nil || !mistral.Uncertain(err) || !strings.Contains(err.Error(), "text/html") {
			t.Errorf("body %q: error is %v", body, err)
		}
		if err := get(t.Context(), client); err == nil || mistral.Uncertain(err) || len(*got) != 2 {
			t.Errorf("body %q: error is %v after %d requests", body, err, len(*got))
		}
	}
}
