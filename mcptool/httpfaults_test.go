package mcptool_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// Each test here has two halves: what plain go-sdk does, which fails when
// upstream mends it, so that our remedy can go, and what we do.

// deadStock reports whether so many calls of fail by the plain client all end in
// an error.
func deadStock(ctx context.Context, cs *mcp.ClientSession, calls int) bool {
	for range calls {
		if _, err := cs.CallTool(ctx, &mcp.CallToolParams{Name: "fail"}); err == nil {
			return false
		}
	}
	return true
}

// lostStream answers GETs: the stream of the server's own messages is lost, then
// refused with status, then there again.
func lostStream(status int) func(string, int, http.ResponseWriter, *http.Request) bool {
	return func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		switch {
		case method != http.MethodGet:
			return false
		case nth == 1:
			eventStream(w)("id: 1\nretry: 10\ndata: \n\n")
		case nth == 2:
			http.Error(w, "not now", status)
		default:
			send := eventStream(w)
			if nth == 3 {
				send("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n")
			}
			<-r.Context().Done()
		}
		return true
	}
}

// P1 and P1b: the stream of the server's own messages is optional, yet one
// refusal to open it again ended the session.
func TestFaultStreamRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusUnauthorized} {
		stockFront := newFront(t, overHTTP(t, legacyServer(), mcp.StreamableHTTPOptions{}), lostStream(status))
		cs := stockHTTP(t, stockFront.URL)
		eventually(t, "stock go-sdk's session dies", func() bool { return deadStock(t.Context(), cs, 1) })

		f := newFront(t, overHTTP(t, legacyServer(), mcp.StreamableHTTPOptions{}), lostStream(status))
		s := remoteServer(t, f.URL)
		auth := &countingAuth{}
		s.Auth = auth
		fail := start(t, s)["fail"]
		eventually(t, "another try", func() bool { return f.count(http.MethodGet) >= 3 })
		for range 3 {
			if _, err := fail.call(t.Context(), ""); err != nil {
				t.Errorf("%d: %v", status, err)
			}
		}
		eventually(t, "the list is asked for again", func() bool { start(t, s); return f.count("tools/list") == 2 })
		if n := f.count("initialize"); n != 1 {
			t.Errorf("%d: %d sessions", status, n)
		}
		if got, want := auth.refused.Load() == 1, status == http.StatusUnauthorized; got != want {
			t.Errorf("%d: Auth was told %d times", status, auth.refused.Load())
		}
	}
}

// P2: one answer that is no message of MCP ended the session.
func TestFaultRefusedPost(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 404, 413} {
		refuse := func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
			if method != "tools/call" || nth > 1 {
				return false
			}
			http.Error(w, "computer says no", status)
			return true
		}
		for name, opts := range httpModes {
			if !opts.Stateless && status == http.StatusNotFound {
				continue // the session is lost then: see below
			}
			cs := stockHTTP(t, newFront(t, overHTTP(t, goodServer(0), opts), refuse).URL)
			if !deadStock(t.Context(), cs, 2) {
				t.Errorf("%s, %d: stock go-sdk's session lives on", name, status)
			}
			f := newFront(t, overHTTP(t, goodServer(0), opts), refuse)
			s := remoteServer(t, f.URL)
			fail := start(t, s)["fail"]
			_, err := fail.call(t.Context(), "")
			answer, ok := errors.AsType[*mcptool.HTTPError](err)
			if !ok || answer.StatusCode != status || answer.Text != "computer says no" {
				t.Errorf("%s, %d: error %v", name, status, err)
			}
			if errors.Is(err, tramontane.ErrOutcomeUnknown) {
				t.Errorf("%s, %d: the outcome is known: %v", name, status, err)
			}
			if _, err := fail.call(t.Context(), ""); err != nil {
				t.Errorf("%s, %d: the next call: %v", name, status, err)
			}
			if n := f.count("tools/call"); n != 2 {
				t.Errorf("%s, %d: two calls were sent %d times", name, status, n)
			}
		}
	}
}

// P3: a page of HTML, from a portal or a proxy, ended the session.
func TestFaultHTML(t *testing.T) {
	t.Parallel()
	page := func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		if method != "tools/call" || nth > 1 {
			return false
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<html><head><TITLE>Hotel Wi-Fi:\n log in</title></head><body>secret words</body></html>")
		return true
	}
	for name, opts := range httpModes {
		cs := stockHTTP(t, newFront(t, overHTTP(t, goodServer(0), opts), page).URL)
		if !deadStock(t.Context(), cs, 2) {
			t.Errorf("%s: stock go-sdk's session lives on", name)
		}
		fail := start(t, remoteServer(t, newFront(t, overHTTP(t, goodServer(0), opts), page).URL))["fail"]
		_, err := fail.call(t.Context(), "")
		if err == nil || !strings.Contains(err.Error(), `with an HTML page titled "Hotel Wi-Fi: log in"`) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := fail.call(t.Context(), ""); err != nil {
			t.Errorf("%s: the next call: %v", name, err)
		}
	}
}

// P10: a session that the server forgot is an error for ever. Ours is made
// anew, and the call that found out is sent on the new one.
func TestFaultLostSession(t *testing.T) {
	t.Parallel()
	answers := map[string]func(w http.ResponseWriter, id string){
		"go": func(w http.ResponseWriter, _ string) { http.Error(w, "session not found", http.StatusNotFound) },
		"TypeScript": func(w http.ResponseWriter, _ string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}`)
		},
		"its own request": func(w http.ResponseWriter, id string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":`+id+`}`)
		},
		"TypeScript example": func(w http.ResponseWriter, id string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":`+id+`}`)
		},
	}
	for name, answer := range answers {
		lose := func() func(string, int, http.ResponseWriter, *http.Request) bool {
			var lost string
			return func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
				if method == "tools/call" && nth == 2 {
					lost = r.Header.Get("Mcp-Session-Id")
				}
				if lost == "" || r.Header.Get("Mcp-Session-Id") != lost {
					return false
				}
				answer(w, requestID(r))
				return true
			}
		}
		cs := stockHTTP(t, newFront(t, overHTTP(t, legacyServer(), mcp.StreamableHTTPOptions{}), lose()).URL)
		if deadStock(t.Context(), cs, 1) || !deadStock(t.Context(), cs, 2) {
			t.Errorf("%s: stock go-sdk has a session again", name)
		}

		f := newFront(t, overHTTP(t, legacyServer(), mcp.StreamableHTTPOptions{}), lose())
		s := remoteServer(t, f.URL)
		echo := start(t, s)["echo"]
		for i := range 3 {
			if got, err := callHTTP(t.Context(), echo); err != nil {
				t.Errorf("%s: call %d: %q, %v", name, i, got, err)
			}
		}
		if n := f.count("initialize"); n != 2 {
			t.Errorf("%s: %d sessions", name, n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n := f.count(http.MethodDelete); n != 1 {
			t.Errorf("%s: %d sessions were ended, want the one that was left", name, n)
		}
	}
}

// P11: a server that never answers keeps a call without a deadline for ever.
func TestFaultNoAnswer(t *testing.T) {
	t.Parallel()
	front := newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{Stateless: true}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
		if method != "tools/call" {
			return false
		}
		<-r.Context().Done()
		return true
	})
	cs := stockHTTP(t, front.URL)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel) // Close would wait for the call
	done := make(chan error, 1)
	go func() {
		_, err := cs.CallTool(ctx, &mcp.CallToolParams{Name: "fail"})
		done <- err
	}()
	synctest.Test(t, func(t *testing.T) {
		next := answerHTTP(map[string]string{})
		s := &mcptool.Server{Name: "test", URL: "http://test/", HTTPClient: &http.Client{Transport: handlerTransport{
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Mcp-Method") != "tools/call" {
					next.ServeHTTP(w, r)
					return
				}
				<-r.Context().Done()
			}),
		}}}
		defer s.Close()
		_, err := start(t, s)["t"].call(context.Background(), "")
		if !errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "no answer within 2m0s") {
			t.Error(err)
		}
	})
	eventually(t, "the call of stock go-sdk", func() bool { return front.count("tools/call") == 1 })
	select {
	case err := <-done:
		t.Errorf("stock go-sdk has a deadline now: %v", err)
	default:
	}
	cancel()
	<-done
}
