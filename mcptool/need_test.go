package mcptool_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A run goes on without an optional server, and says so.
func TestOptional(t *testing.T) {
	t.Parallel()
	for _, need := range []mcptool.Need{mcptool.Optional, mcptool.Lazy} {
		good, broken := namedServer(t, "good", "t"), testServer(t, "broken")
		broken.Name, broken.Need = "broken", need
		events, requests, err := run(t, mcptool.Servers{broken, good}, nil, "good_t")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(requests[0], "good_t") || strings.Contains(requests[0], "broken_") {
			t.Errorf("the model was given the wrong tools: %s", requests[0])
		}
		got := eventsOf[*tramontane.ServerEvent](events)
		if len(got) != 1 || got[0].Server != "broken" || got[0].State != string(mcptool.Failed) ||
			got[0].Err == nil || !strings.Contains(got[0].Err.Error(), "exit status 3") {
			t.Errorf("server events %+v, want one of the broken server that says why", got)
		}
		st := broken.Status()
		if st.State != mcptool.Failed || st.Err == nil || st.ExitCode != 3 || st.Retry.IsZero() {
			t.Errorf("status %+v, want failed, with what is known", st)
		}
		tools, err := broken.Tools(t.Context())
		if len(tools) != 0 || err != nil {
			t.Errorf("alone: %v, %v; want no tools and no error", tools, err)
		}
	}
}

// A dead server does not cost each run its StartTimeout.
func TestOptionalIsNotTriedInEachRun(t *testing.T) {
	t.Parallel()
	s, count := recorded(t, "mute-recorder")
	s.Need = mcptool.Optional
	s.StartTimeout = 300 * time.Millisecond
	log := newLog(s)
	for range 20 {
		if _, err := s.Tools(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want one for what was tried:\n%s", n, log)
	}
	if n := count("server/discover"); n != 1 {
		t.Errorf("the server was started %d times, want once", n)
	}
	if st := s.Status(); time.Until(st.Retry) < time.Second/2 {
		t.Errorf("status %+v, want to be tried again in a second or so", st)
	}
	// Who cannot do without it tries.
	s.Need = mcptool.Required
	if _, err := s.Tools(t.Context()); err == nil {
		t.Error("no error")
	}
	if n := count("server/discover"); n != 2 {
		t.Errorf("the server was started %d times, want twice", n)
	}
}

// An optional server gets its second chance.
func TestOptionalComesBack(t *testing.T) {
	t.Parallel()
	s := testServer(t, "good")
	s.Need = mcptool.Optional
	command := s.Command
	s.Command = filepath.Join(t.TempDir(), "installed-later")
	if tools, err := s.Tools(t.Context()); len(tools) != 0 || err != nil {
		t.Fatalf("%d tools, %v; want none", len(tools), err)
	}
	if err := os.Symlink(command, s.Command); err != nil {
		t.Skip(err)
	}
	eventually(t, "the server is tried again", func() bool {
		tools, err := s.Tools(t.Context())
		return err == nil && len(tools) > 0
	})
}

// All failures stand in the error, each on a line of its own, before the model
// is called.
func TestRequired(t *testing.T) {
	t.Parallel()
	broken, missing, good := testServer(t, "broken"), testServer(t, "good"), testServer(t, "good")
	broken.Name, missing.Name, good.Name, missing.Command = "one", "two", "three", "no-such-command"
	_, requests, err := run(t, mcptool.Servers{broken, good, missing}, nil)
	if err == nil || len(requests) != 0 {
		t.Fatalf("error %v after %d requests to the model, want one before the first", err, len(requests))
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "mcp server one: ") || !strings.HasPrefix(lines[1], "mcp server two: ") {
		t.Errorf("error %q, want a line for each server", err)
	}
}

// A lazy server is started by the first call, also in another program.
func TestLazy(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "where needed")
	record := filepath.Join(t.TempDir(), "record")
	server := func(tools string) (*mcptool.Server, func(string) int) {
		s, _ := recorded(t, "recorder")
		s.Need, s.CacheDir = mcptool.Lazy, dir
		s.Env["TOOLS"], s.Env[recordEnv] = tools, record
		return s, func(line string) int { return countIn(t, record, line) }
	}
	const one, two = `{"name":"t","inputSchema":{"type":"object"}}`, `{"name":"u","inputSchema":{"type":"object"}}`
	first, _ := server(one)
	start(t, first)

	s, count := server(one)
	tools := start(t, s)
	if tools["t"].Tool == nil || s.Status().State != mcptool.Closed || count("initialize") != 1 {
		t.Fatalf("tools %v, status %+v, want the tools and no session", tools, s.Status())
	}
	if _, err := tools["t"].call(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if n := count("initialize"); n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
	if err := s.Close(); err != nil { // it may be about to keep its list
		t.Error(err)
	}

	changed, _ := server(one + "," + two)
	log := newLog(changed)
	seen := func() {
		eventually(t, "the list is compared", func() bool { return strings.Contains(log.String(), "tools of an mcp server changed") })
	}
	events, _, err := run(t, changed, seen, "test_t")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(eventsOf[*tramontane.ToolsChangedEvent](events)); n != 1 {
		t.Errorf("%d events of changed tools, want 1", n)
	}
	last, _ := server(one)
	if tools := start(t, last); tools["u"].Tool == nil {
		t.Errorf("tools %v, want those that were listed last", tools)
	}

	other, _ := server(one)
	other.Args = []string{"-test.v"}
	start(t, other)
	if other.Status().State != mcptool.Ready {
		t.Error("the list of another server was used")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v; want two", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	for _, file := range files {
		if err := os.WriteFile(file, []byte("spoilt"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spoilt, _ := server(one)
	if tools := start(t, spoilt); len(tools) != 1 {
		t.Errorf("tools %v, want those of the server", tools)
	}
}

// What a status says of a remote server.
func TestRemoteStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		want   mcptool.State
	}{
		{http.StatusServiceUnavailable, mcptool.Failed},
		{http.StatusUnauthorized, mcptool.NeedsLogin},
	}
	for _, tt := range tests {
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(tt.status)
			io.WriteString(w, "go\naway")
		}))
		t.Cleanup(api.Close)
		s := &mcptool.Server{Name: "far", URL: strings.Replace(api.URL, "//", "//me:secret@", 1) + "/mcp?key=secret#secret"}
		t.Cleanup(func() { s.Close() })
		_, err := s.Tools(t.Context())
		if err == nil || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: error %q, want one line without secrets", tt.status, err)
		}
		got := s.Status()
		want := mcptool.Status{Name: "far", State: tt.want, URL: api.URL + "/mcp", HTTPStatus: tt.status, ExitCode: -1, Err: got.Err, Retry: got.Retry}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return a == b })); diff != "" {
			t.Errorf("%d: status (-want +got):\n%s", tt.status, diff)
		}
	}
}

// How a server was reached is remembered when its session is lost.
func TestTransportIsRemembered(t *testing.T) {
	t.Parallel()
	far := legacyServer()
	handler := mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return far }, nil)
	var posts atomic.Int32 // that are no messages of a session
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.RawQuery == "" {
			posts.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(api.Close)
	s := &mcptool.Server{Name: "old", URL: api.URL}
	t.Cleanup(func() { s.Close() })
	tools := start(t, s)
	if st := s.Status(); st.Transport != mcptool.SSE || posts.Load() == 0 {
		t.Fatalf("status %+v after %d POSTs, want SSE after others were tried", st, posts.Load())
	}
	before := posts.Load()
	api.CloseClientConnections()
	eventually(t, "the session is lost", func() bool { return s.Status().State == mcptool.Failed })
	if _, err := tools["empty"].call(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if n := posts.Load() - before; n != 0 {
		t.Errorf("streamable HTTP was tried again, %d times", n)
	}
	if st := s.Status(); st.State != mcptool.Ready || st.Transport != mcptool.SSE {
		t.Errorf("status %+v, want ready", st)
	}
}
