package mcptool_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// A lastMoment is a server in this process that loses its session in the second
// tool call. The answer to the first comes when the client gives it up, in that
// very moment, or when the second call is sent again.
type lastMoment struct {
	calls atomic.Int32
	first chan struct{} // closed when the first call is there
	third chan struct{} // closed when the third call is there
}

func (l *lastMoment) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	var msg struct {
		ID     json.RawMessage
		Method string
	}
	json.Unmarshal(body, &msg)
	if msg.Method != "tools/call" {
		return handlerTransport{http.HandlerFunc(l.serve)}.RoundTrip(req)
	}
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}}
	answer := []byte(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, msg.ID, answerAll(nil)("tools/call", nil)))
	switch l.calls.Add(1) {
	case 1:
		close(l.first)
		resp.Body = io.NopCloser(io.MultiReader(&until{req.Context().Done(), l.third}, bytes.NewReader(answer)))
	case 2:
		resp.StatusCode = http.StatusNotFound
		resp.Body = http.NoBody
	default:
		close(l.third)
		resp.Body = io.NopCloser(bytes.NewReader(answer))
	}
	return resp, nil
}

// serve answers everything else, in the way of both transports.
func (l *lastMoment) serve(w http.ResponseWriter, r *http.Request) {
	var msg struct {
		ID     json.RawMessage
		Method string
		Params json.RawMessage
	}
	json.NewDecoder(r.Body).Decode(&msg)
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/sse":
		eventStream(w)("event: endpoint\ndata: /messages\n\n")
		<-r.Context().Done()
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case msg.ID == nil:
		w.WriteHeader(http.StatusAccepted)
	default:
		w.Header().Set("Mcp-Session-Id", "s")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, msg.ID, answerAll(nil)(msg.Method, msg.Params))
	}
}

// An until is a reader that has nothing, and says so when one of two is closed.
type until struct{ one, other <-chan struct{} }

func (u *until) Read([]byte) (int, error) {
	select {
	case <-u.one:
	case <-u.other:
	}
	return 0, io.EOF
}

// A call that was answered is not reported as one of unknown outcome, even if
// another call finds in that moment that the session is lost.
func TestAnswerAsLinkEnds(t *testing.T) {
	t.Parallel()
	for url, transport := range map[string]mcptool.Transport{"http://test/": mcptool.StreamableHTTP, "http://test/sse": mcptool.SSE} {
		l := &lastMoment{first: make(chan struct{}), third: make(chan struct{})}
		s := &mcptool.Server{Name: "test", URL: url, Transport: transport, HTTPClient: &http.Client{Transport: l}}
		call := start(t, s)["t"]
		var wg sync.WaitGroup
		wg.Go(func() {
			if res, err := call.call(t.Context(), ""); err != nil || res.Text() != "called" {
				t.Errorf("%s: the call that was answered: %v", transport, err)
			}
		})
		<-l.first
		if _, err := call.call(t.Context(), ""); err != nil {
			t.Errorf("%s: the call that found the session lost: %v", transport, err)
		}
		wg.Wait()
		if n := l.calls.Load(); n != 3 {
			t.Errorf("%s: two calls, one of them refused, were sent %d times", transport, n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
