package mcptool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A newHTTP is a streamable HTTP server of 2026-07-28 that answers with the JSON
// that a test says, where the SDK's would not.
type newHTTP struct {
	// answer returns the members of the response to a request: its result or its
	// error. Nothing stands for an empty result.
	answer func(r *http.Request, method, params string) string

	// first, if set, returns messages that go on the stream before the response.
	first func(method string) string

	mu   sync.Mutex // guards the field below
	sent []string   // the methods of requests, and responses as they came
}

func (h *newHTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var msg struct {
		ID             json.RawMessage
		Method, Params json.RawMessage
	}
	if err != nil || json.Unmarshal(body, &msg) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	method := strings.Trim(string(msg.Method), `"`)
	if msg.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	h.mu.Lock()
	if method == "" {
		h.sent = append(h.sent, string(body))
	} else {
		h.sent = append(h.sent, method)
	}
	h.mu.Unlock()
	if method == "" {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	members := h.answer(r, method, string(msg.Params))
	switch {
	case members == "" && method == "server/discover":
		members = `"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{},"prompts":{}}}`
	case members == "":
		members = `"result":{"resultType":"complete"}`
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if h.first != nil {
		for _, m := range strings.Fields(h.first(method)) {
			fmt.Fprintf(w, "data: %s\n\n", m)
		}
	}
	fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"id\":%s,%s}\n\n", msg.ID, members)
}

// got returns what was sent so far.
func (h *newHTTP) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.sent)
}

func (h *newHTTP) serve(t *testing.T) *mcptool.Server {
	t.Helper()
	s := &mcptool.Server{Name: "test", URL: serveHTTP(t, h)}
	t.Cleanup(func() { s.Close() })
	return s
}

type userKey struct{}

// One user of a Server is shown nothing that the server meant for another.
func TestPrivateIsNotShared(t *testing.T) {
	t.Parallel()
	h := &newHTTP{answer: func(r *http.Request, method, _ string) string {
		user := r.Header.Get("X-User")
		held := `"result":{"resultType":"complete","ttlMs":100000,"cacheScope":"private",`
		switch method {
		case "tools/list":
			return held + fmt.Sprintf(`"tools":[{"name":%q,"inputSchema":{"type":"object"}}]}`, user)
		case "prompts/list":
			return held + fmt.Sprintf(`"prompts":[{"name":%q}]}`, user)
		case "resources/list":
			return held + fmt.Sprintf(`"resources":[{"uri":"x:a","name":%q}]}`, user)
		case "resources/templates/list":
			return held + fmt.Sprintf(`"resourceTemplates":[{"uriTemplate":"x:{a}","name":%q}]}`, user)
		case "resources/read":
			return held + fmt.Sprintf(`"contents":[{"uri":"x:a","text":%q}]}`, user)
		}
		return ""
	}}
	s := h.serve(t)
	s.HeaderFunc = func(ctx context.Context, header http.Header) error {
		if user, ok := ctx.Value(userKey{}).(string); ok {
			header.Set("X-User", user)
		}
		return nil
	}
	s.CacheDir = t.TempDir()
	var log lockedBuffer
	s.Logger = slog.New(slog.NewTextHandler(&log, nil))
	for _, user := range []string{"ann", "bob"} {
		ctx := context.WithValue(t.Context(), userKey{}, user)
		tools, err := s.Tools(ctx)
		if err != nil || len(tools) != 1 || !strings.HasSuffix(tools[0].Definition().Name, user) {
			t.Errorf("%s: tools %v, %v", user, tools, err)
		}
		for p, err := range s.Prompts(ctx) {
			if err != nil || p.Name != user {
				t.Errorf("%s: prompt %v, %v", user, p, err)
			}
		}
		for r, err := range s.Resources(ctx) {
			if err != nil || r.Name != user {
				t.Errorf("%s: resource %v, %v", user, r, err)
			}
		}
		for r, err := range s.ResourceTemplates(ctx) {
			if err != nil || r.Name != user {
				t.Errorf("%s: template %v, %v", user, r, err)
			}
		}
		contents, err := s.ReadResource(ctx, "x:a")
		if err != nil || len(contents) != 1 || contents[0].Text != user {
			t.Errorf("%s: contents %v, %v", user, contents, err)
		}
	}
	if strings.Contains(log.String(), "tools of an mcp server changed") {
		t.Errorf("the list of another user is taken for a change: %s", log.String())
	}
	next := &mcptool.Server{Name: s.Name, URL: s.URL, HeaderFunc: s.HeaderFunc, CacheDir: s.CacheDir, Need: mcptool.Lazy}
	t.Cleanup(func() { next.Close() })
	tools, err := next.Tools(context.WithValue(t.Context(), userKey{}, "eve"))
	if err != nil || len(tools) != 1 || !strings.HasSuffix(tools[0].Definition().Name, "eve") {
		t.Errorf("the next program: tools %v, %v; want those of eve", tools, err)
	}
}

// What was read by way of a question is not kept for those who ask next.
func TestAnsweredReadIsNotKept(t *testing.T) {
	t.Parallel()
	h := &newHTTP{answer: func(_ *http.Request, method, params string) string {
		switch {
		case method != "resources/read":
			return ""
		case !strings.Contains(params, "inputResponses"):
			return `"result":{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create","params":{"mode":"form","message":"?","requestedSchema":{"type":"object","properties":{}}}}}}`
		}
		return `"result":{"resultType":"complete","ttlMs":100000,"contents":[{"uri":"x:a","text":"t"}]}`
	}}
	s := h.serve(t)
	asked := 0
	s.Elicit = func(context.Context, *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
		asked++
		return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}, nil
	}
	for range 2 {
		if contents, err := s.ReadResource(t.Context(), "x:a"); err != nil || len(contents) != 1 {
			t.Errorf("contents %v, %v", contents, err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want once for each reading", asked)
	}
}

// A server of 2026-07-28 makes no requests, so one that does gets no response,
// and nobody is asked.
func TestNoResponses(t *testing.T) {
	t.Parallel()
	h := &newHTTP{
		answer: func(_ *http.Request, method, _ string) string {
			if method == "tools/list" {
				return `"result":{"resultType":"complete","tools":[]}`
			}
			return ""
		},
		first: func(method string) string {
			if method != "tools/list" {
				return ""
			}
			return `{"jsonrpc":"2.0","id":"p","method":"ping"}
				{"jsonrpc":"2.0","id":"e","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}`
		},
	}
	s := h.serve(t)
	s.Elicit = func(context.Context, *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
		t.Error("a person was asked")
		return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}, nil
	}
	for range 5 {
		if _, err := s.Tools(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.Close() // which waits for what is being sent
	for _, sent := range h.got() {
		if strings.HasPrefix(sent, "{") {
			t.Errorf("the response %s was sent", sent)
		}
	}
}

// A server that refuses the probe as only a newer one does is not asked as an
// older one, over HTTP or stdio, and what it said is told.
func TestNoInitializeAfterNewErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		members string
		want    []string // in the error
		older   bool
	}{
		{`"error":{"code":-32022,"message":"too_old","data":{"supported":["2027-01-01"]}}`, []string{"-32022", "too_old", "2027-01-01", "2026-07-28"}, false},
		{`"error":{"code":-32022,"message":"too_old"}`, []string{"-32022", "too_old"}, false},
		{`"error":{"code":-32021,"message":"needs_roots"}`, []string{"-32021", "needs_roots"}, false},
		{`"error":{"code":-32020,"message":"mismatch"}`, []string{"-32020", "mismatch"}, false},
		{`"result":{"supportedVersions":["2027-01-01"],"capabilities":{}}`, []string{"2027-01-01", "2026-07-28"}, false},
		{`"error":{"code":-32022,"message":"too_new","data":{"supported":["2025-06-18"]}}`, []string{"too_new"}, true},
		{`"error":{"code":-32601,"message":"no"}`, []string{"no"}, true},
	}
	for _, tt := range tests {
		check := func(via string, s *mcptool.Server, got func() []string) {
			t.Helper()
			err := s.Connect(t.Context())
			s.Close()
			if err == nil {
				t.Fatalf("%s, %s: no error", via, tt.members)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) && !(via == "stdio" && tt.older) {
					t.Errorf("%s, %s: error %v does not tell %s", via, tt.members, err, part)
				}
			}
			if sent := got(); slices.Contains(sent, "initialize") != tt.older || !slices.Contains(sent, "server/discover") {
				t.Errorf("%s, %s: %v was sent", via, tt.members, sent)
			}
		}
		h := &newHTTP{answer: func(*http.Request, string, string) string { return tt.members }}
		check("http", h.serve(t), h.got)

		log := filepath.Join(t.TempDir(), "log")
		script := `while read -r line; do
			case "$line" in *'"id":'*)
				echo "$line" | sed 's/.*"method":"\([^"]*\)".*/\1/' >> "$1"
				echo '{"jsonrpc":"2.0","id":'$(echo "$line" | sed 's/.*"id":\([^,}]*\).*/\1/')",$2}" ;;
			esac
		done`
		if _, err := exec.LookPath("sh"); err != nil {
			t.Skip("there is no sh")
		}
		local := &mcptool.Server{Name: "test", Command: "sh", Args: []string{"-c", script, "sh", log, tt.members}}
		check("stdio", local, func() []string {
			data, err := os.ReadFile(log)
			if err != nil {
				t.Error(err)
			}
			return strings.Fields(string(data))
		})
	}
}

// A list whose cursor goes stale in the middle begins anew, once.
func TestStaleCursor(t *testing.T) {
	t.Parallel()
	items := map[string]string{
		"tools/list":               `"tools":[{"name":%q,"inputSchema":{"type":"object"}}]`,
		"prompts/list":             `"prompts":[{"name":%q}]`,
		"resources/list":           `"resources":[{"uri":%q,"name":"n"}]`,
		"resources/templates/list": `"resourceTemplates":[{"uriTemplate":%q,"name":"n"}]`,
	}
	// What a list gives with a cursor that is refused so often, or nil for an
	// error.
	for stale, want := range map[int][]string{0: {"a", "b"}, 1: {"a", "b"}, 2: nil} {
		refused := make(map[string]int)
		var mu sync.Mutex
		h := &newHTTP{answer: func(_ *http.Request, method, params string) string {
			item, ok := items[method]
			if !ok {
				return ""
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case !strings.Contains(params, `"cursor"`):
				return `"result":{"resultType":"complete","nextCursor":"c",` + fmt.Sprintf(item, "a") + `}`
			case refused[method] < stale:
				refused[method]++
				return `"error":{"code":-32602,"message":"stale cursor"}`
			}
			return `"result":{"resultType":"complete",` + fmt.Sprintf(item, "b") + `}`
		}}
		s := h.serve(t)
		check := func(what string, got []string, err error) {
			t.Helper()
			if (err != nil) != (want == nil) || want != nil && !slices.Equal(got, want) {
				t.Errorf("%s, stale %d times: %v, %v; want %v", what, stale, got, err, want)
			}
		}
		tools, err := s.Tools(t.Context())
		var names []string
		for _, tool := range tools {
			names = append(names, strings.TrimPrefix(tool.Definition().Name, "test_"))
		}
		check("tools", names, err)
		names, err = namesOf(s.Prompts(t.Context()), func(p *mcptool.Prompt) string { return p.Name })
		check("prompts", names, err)
		names, err = namesOf(s.Resources(t.Context()), func(r *tramontane.ResourceLink) string { return r.URI })
		check("resources", names, err)
		names, err = namesOf(s.ResourceTemplates(t.Context()), func(r *mcptool.ResourceTemplate) string { return r.URITemplate })
		check("templates", names, err)
	}
}

// A result of an unknown kind is an error that names it. That of a tool, which
// has run, is kept with it.
func TestUnknownResultType(t *testing.T) {
	t.Parallel()
	odd := true
	h := &newHTTP{answer: func(_ *http.Request, method, _ string) string {
		switch {
		case method == "server/discover":
			return `"result":{"resultType":"complete","supportedVersions":["2026-07-28"],` +
				`"capabilities":{"tools":{},"resources":{},"prompts":{},"completions":{},"extensions":{"io.modelcontextprotocol/skills":{}}}}`
		case method == "tools/list" && !odd:
			return `"result":{"resultType":"complete","tools":[{"name":"a","inputSchema":{"type":"object"}}]}`
		}
		return `"result":{"resultType":"odd","content":[{"type":"text","text":"paid"}],"tools":[],"prompts":[],"resources":[],"resourceTemplates":[],"contents":[],"messages":[],"completion":{"values":[]},"skills":[]}`
	}}
	s := h.serve(t)
	ctx := t.Context()
	requests := map[string]func() error{
		"tools":  func() error { _, err := s.Tools(ctx); return err },
		"prompt": func() error { _, err := s.Prompt(ctx, "p", nil); return err },
		"read":   func() error { _, err := s.ReadResource(ctx, "x:a"); return err },
		"prompts": func() error {
			_, err := namesOf(s.Prompts(ctx), func(*mcptool.Prompt) string { return "" })
			return err
		},
		"resources": func() error {
			_, err := namesOf(s.Resources(ctx), func(*tramontane.ResourceLink) string { return "" })
			return err
		},
		"templates": func() error {
			_, err := namesOf(s.ResourceTemplates(ctx), func(*mcptool.ResourceTemplate) string { return "" })
			return err
		},
		"complete": func() error {
			_, err := s.Complete(ctx, mcptool.CompletionRef{Prompt: "p"}, "a", "", nil)
			return err
		},
		"skills": func() error { _, err := namesOf(s.Skills(ctx), func(*mcptool.Skill) string { return "" }); return err },
	}
	for name, request := range requests {
		if err := request(); err == nil || !strings.Contains(err.Error(), `an unknown kind of result, "odd"`) {
			t.Errorf("%s: error %v, want one that names the kind", name, err)
		}
	}
	odd = false
	res, err := start(t, s)["a"].callWith(t, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	if text := res.Text(); !res.IsError || !strings.Contains(text, `an unknown kind of result, "odd"`) || !strings.Contains(text, "paid") {
		t.Errorf("result %+v of a tool, text %q; want an error with all of it", res, text)
	}
}

// namesOf returns the names of what is listed, until its first error.
func namesOf[T any](list iter.Seq2[T, error], name func(T) string) (names []string, err error) {
	for item, err := range list {
		if err != nil {
			return names, err
		}
		names = append(names, name(item))
	}
	return names, nil
}
