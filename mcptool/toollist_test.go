package mcptool_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptest"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// counting counts how often a server is asked for its tools.
func counting(lists *atomic.Int32) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if method == "tools/list" {
				lists.Add(1)
			}
			return next(ctx, method, req)
		}
	}
}

// A warm run asks for no list, in both eras and on every transport, and has the
// new tools all the same.
func TestNoListInWarmRuns(t *testing.T) {
	t.Parallel()
	tool := func(name string) tramontane.Tool {
		return tramontane.Func(name, "", func(context.Context, struct{}) (string, error) { return "done", nil }, nil)
	}
	for name, legacy := range map[string]bool{"2025-11-25": true, "2026-07-28": false} {
		for _, transport := range []mcptool.Transport{"", mcptool.StreamableHTTP, mcptool.SSE} {
			t.Run(name+" "+string(transport), func(t *testing.T) {
				t.Parallel()
				var lists atomic.Int32
				far := &mcptest.Server{
					Transport: transport, Legacy: legacy, Tools: []tramontane.Tool{tool("first")},
					Setup: func(s *mcp.Server) { s.AddReceivingMiddleware(counting(&lists)) },
				}
				s := far.Start(t)
				start(t, s)
				if got := s.Status().ProtocolVersion; got != name && transport != mcptool.SSE {
					t.Fatalf("protocol version %s, want %s", got, name)
				}
				// A later version is asked until it has said that it will tell of
				// changes.
				eventually(t, "a run without a list", func() bool {
					before := lists.Load()
					start(t, s)
					return lists.Load() == before
				})
				far.SetTools(tool("first"), tool("second"))
				eventually(t, "the new tool", func() bool { return start(t, s)["second"].Tool != nil })
				before := lists.Load()
				for range 10 {
					start(t, s)
				}
				if n := lists.Load() - before; n != 0 {
					t.Errorf("%d lists in warm runs", n)
				}
			})
		}
	}
}

// An answer that says how long it holds is believed.
func TestListHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lists atomic.Int32
		far := mcp.NewServer(&mcp.Implementation{Name: "counted", Version: "1"}, nil)
		far.AddTool(&mcp.Tool{Name: "first", InputSchema: json.RawMessage(`{"type":"object"}`)}, nil)
		far.AddReceivingMiddleware(counting(&lists))
		far.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				res, err := next(ctx, method, req)
				switch res := res.(type) {
				case *mcp.DiscoverResult:
					res.Capabilities.Tools.ListChanged = false
				case *mcp.ListToolsResult:
					res.TTLMs = 60_000
				}
				return res, err
			}
		})
		s := &mcptool.Server{Name: "test", Dial: mcptool.InMemory(far)}
		defer s.Close()
		for range 5 {
			start(t, s)
			start(t, s)
			time.Sleep(30 * time.Second) // in the bubble
		}
		if n := lists.Load(); n != 3 {
			t.Errorf("%d lists in 2m30s, want one a minute", n)
		}
	})
}

// A server whose list cannot be had, or only in part, can be called, and says
// what is missing.
func TestDegraded(t *testing.T) {
	t.Parallel()
	s := testServer(t, "strange")
	tools := start(t, s)
	st := s.Status()
	if st.State != mcptool.Degraded || st.Err == nil || !strings.Contains(st.Err.Error(), "cannot be used") {
		t.Errorf("status %+v, want degraded", st)
	}
	if _, err := tools["hologram"].call(t.Context(), ""); err != nil {
		t.Error(err)
	}
	endless := testServer(t, "endless")
	endless.Need = mcptool.Optional
	if tools, err := endless.Tools(t.Context()); len(tools) != 0 || err != nil {
		t.Errorf("%v, %v; want no tools", tools, err)
	}
	if st := endless.Status(); st.State != mcptool.Degraded || st.Err == nil || !strings.Contains(st.Err.Error(), "follows itself") {
		t.Errorf("status %+v, want degraded", st)
	}
}

// An answer that is older than a notice of changes is asked for once more, and
// not remembered if that is, too.
func TestToolsChangeWhileListed(t *testing.T) {
	t.Parallel()
	for times, want := range map[string][3]string{"1": {"t2", "t2", "t2"}, "2": {"t2", "t3", "t3"}, "3": {"t2", "t4", "t4"}} {
		s, count := recorded(t, "restless")
		s.Env["RESTLESS"] = times
		for i, name := range want {
			if tools := start(t, s); tools[name].Tool == nil {
				t.Errorf("changed %s times: run %d has %v, want %s", times, i+1, tools, name)
			}
		}
		if n := strconv.Itoa(count("tools/list")); n != want[2][1:] {
			t.Errorf("changed %s times: %s lists, want %s", times, n, want[2][1:])
		}
	}
}
