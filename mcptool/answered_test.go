package mcptool_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A nonceAuth sends what the server said last, and a proof for one URL.
type nonceAuth struct {
	countingAuth
	nonce atomic.Value
}

func (a *nonceAuth) Authorize(req *http.Request) error {
	nonce, _ := a.nonce.Load().(string)
	req.Header.Set("DPoP", nonce+"@"+req.URL.Path)
	return a.countingAuth.Authorize(req)
}

func (a *nonceAuth) Answered(req *http.Request, resp *http.Response) bool {
	nonce := resp.Header.Get("DPoP-Nonce")
	if nonce == "" {
		return false
	}
	a.nonce.Store(nonce)
	return resp.StatusCode == http.StatusUnauthorized
}

func TestAnswered(t *testing.T) {
	t.Parallel()
	wants := func(proof func(nth int, r *http.Request) bool) *front {
		return newFront(t, overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{Stateless: true}), func(method string, nth int, w http.ResponseWriter, r *http.Request) bool {
			if method != "tools/call" {
				return false
			}
			w.Header().Set("DPoP-Nonce", fmt.Sprintf("n%d", nth))
			if proof(nth, r) {
				return false
			}
			w.WriteHeader(http.StatusUnauthorized)
			return true
		})
	}

	// The nonce of the first answer is enough, and each later answer brings the
	// next one.
	f := wants(func(nth int, r *http.Request) bool { return r.Header.Get("DPoP") == fmt.Sprintf("n%d@/", nth-1) })
	s := remoteServer(t, f.URL+"/")
	auth := &nonceAuth{}
	s.Auth = auth
	echo := start(t, s)["echo"]
	auth.nonce.Store("old")
	for range 3 {
		if _, err := callHTTP(t.Context(), echo); err != nil {
			t.Error(err)
		}
	}
	if auth.refused.Load() != 0 || f.count("tools/call") != 4 {
		t.Errorf("Refused was told %d times, and the server got %d requests, want 0 and 4", auth.refused.Load(), f.count("tools/call"))
	}

	// A nonce, a new token, and a nonce for that.
	f = wants(func(nth int, r *http.Request) bool { return nth == 4 })
	s = remoteServer(t, f.URL+"/")
	auth = &nonceAuth{}
	s.Auth = auth
	if _, err := callHTTP(t.Context(), start(t, s)["echo"]); err != nil {
		t.Error(err)
	}
	if auth.refused.Load() != 1 {
		t.Errorf("Refused was told %d times, want once", auth.refused.Load())
	}

	// A server that is never content.
	f = wants(func(int, *http.Request) bool { return false })
	s = remoteServer(t, f.URL+"/")
	s.Auth = &nonceAuth{}
	if _, err := callHTTP(t.Context(), start(t, s)["echo"]); err == nil || f.count("tools/call") != 4 {
		t.Errorf("error %v after %d requests, want one after 4", err, f.count("tools/call"))
	}
}

// A proof is for one URL: a redirect needs another.
func TestRedirectedProof(t *testing.T) {
	t.Parallel()
	var wrong atomic.Int32
	inner := overHTTP(t, goodServer(0), mcp.StreamableHTTPOptions{Stateless: true})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("DPoP") != "@"+r.URL.Path {
			wrong.Add(1)
		}
		if r.URL.Path == "/mcp" {
			http.Redirect(w, r, "/mcp/", http.StatusTemporaryRedirect)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s := remoteServer(t, server.URL+"/mcp")
	s.Auth = &nonceAuth{}
	if _, err := callHTTP(t.Context(), start(t, s)["echo"]); err != nil || wrong.Load() != 0 {
		t.Errorf("call: %v, %d proofs for another URL", err, wrong.Load())
	}
}
