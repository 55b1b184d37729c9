package mcptest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/internal/playcalls"
	"github.com/tramontane-dev/tramontane/mcptest"
	"github.com/tramontane-dev/tramontane/mcptool"
)

type invoice struct {
	Number int `json:"number"`
}

func pay(_ context.Context, in invoice) (string, error) {
	return fmt.Sprintf("paid %d", in.Number), nil
}

var payTool = tramontane.Func("pay", "Pays an invoice.", pay, nil)

// kinds are the ways to a server, and what they are called in tables.
var kinds = map[string]mcptool.Transport{
	"memory":        "",
	"memory legacy": "",
	"http":          mcptool.StreamableHTTP,
	"http legacy":   mcptool.StreamableHTTP,
	"sse":           mcptool.SSE,
}

func newServer(kind string) *mcptest.Server {
	return &mcptest.Server{Transport: kinds[kind], Legacy: strings.HasSuffix(kind, "legacy"), Tools: []tramontane.Tool{payTool}}
}

// told makes three calls in a run and returns what the model was told of each.
func told(t *testing.T, client *mcptool.Server) []string {
	t.Helper()
	var calls []playcalls.Call
	for i := range 3 {
		calls = append(calls, playcalls.Call{Tool: "test_pay", Arguments: fmt.Appendf(nil, `{"number":%d}`, i+1)})
	}
	results, err := playcalls.Run(t.Context(), []tramontane.Toolset{client}, calls, nil)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, r := range results {
		texts = append(texts, r.Entry.Result)
	}
	return texts
}

// came returns the arguments of the calls that came, and how often they had.
func came(s *mcptest.Server) string {
	var all []string
	for _, c := range s.Calls() {
		all = append(all, fmt.Sprintf("%s %s %d", c.Tool, c.Arguments, c.Nth))
	}
	return strings.Join(all, ", ")
}

const (
	unknown  = "the outcome of the call is not known"
	firstRan = `pay {"number":1} 1`
	lastRan  = `pay {"number":3} 1`
	allRan   = firstRan + `, pay {"number":2} 1, ` + lastRan
)

// fresh keeps no connections, one of which could be lost in a crash unnoticed.
var fresh = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// What a run sees of each fault at its second call of three. The first and the
// third are answered, and no call comes twice.
func TestFaults(t *testing.T) {
	t.Parallel()
	both := []bool{false, true}
	every := []string{"memory", "memory legacy", "http", "http legacy", "sse"}
	overHTTP := every[2:]
	for _, test := range []struct {
		fault mcptest.Fault
		ran   []bool
		kinds []string
		want  []string // in what the model is told of the second call
	}{
		{mcptest.Status{Code: 503, Body: "busy"}, both, overHTTP[:2], []string{unknown, "status 503 Service Unavailable: busy"}},
		{mcptest.Status{Code: 503, Body: "busy"}, []bool{false}, []string{"sse"}, []string{unknown, "status 503 Service Unavailable: busy"}},
		{mcptest.Status{Code: 401, Header: http.Header{"Www-Authenticate": {"Bearer"}}}, both[:1], overHTTP, []string{"wants credentials"}},
		{mcptest.Status{Code: 403, Body: "not you"}, both[:1], overHTTP, []string{"403 Forbidden: not you"}},
		{mcptest.Status{Body: "<html><title>Wi-Fi</title></html>"}, both[:1], overHTTP, []string{unknown, `an HTML page titled "Wi-Fi"`}},
		{mcptest.NoAnswer{}, both, every, []string{unknown, "no answer within 300ms"}},
		{mcptest.Delay{For: 20 * time.Millisecond}, both[1:], every, []string{"paid 2"}},
		{mcptest.Delay{For: time.Minute}, both[1:], every, []string{unknown, "no answer within 300ms"}},
		{mcptest.Cut{}, both, overHTTP, []string{unknown, "unexpected EOF"}},
		{mcptest.Cut{}, both, every[:2], []string{unknown, "it closed the connection"}},
		{mcptest.Garbage{Lines: []string{"Welcome!", `{"level":"info"}`, "[1, 2"}}, both[1:], overHTTP, []string{"paid 2"}},
		{mcptest.Reply{Result: json.RawMessage(`{"content":[{"type":"hologram"}]}`)}, both, every, []string{`{"type":"hologram"}`}},
		{mcptest.Reply{Error: &jsonrpc.Error{Code: -32000, Message: "closed today"}}, both, every, []string{"error -32000: closed today"}},
		{mcptest.Reply{Result: bigResult(17 << 20)}, both[:1], every, []string{unknown, "m"}},
		{mcptest.LoseSession{}, both[:1], []string{"http legacy", "sse"}, []string{"paid 2"}}, // on a new session
		{mcptest.LoseSession{}, both[:1], []string{"http"}, []string{"404 Not Found"}},
		{mcptest.LoseSession{}, both[1:], overHTTP, []string{unknown}},
		{mcptest.LoseSession{}, both, every[:2], []string{unknown, "it closed the connection"}},
		{mcptest.Crash{}, both, every, []string{unknown}},
	} {
		for _, kind := range test.kinds {
			for _, ran := range test.ran {
				t.Run(fmt.Sprintf("%T/%s/ran=%v", test.fault, kind, ran), func(t *testing.T) {
					t.Parallel()
					s := newServer(kind)
					s.Break(mcptest.At{Nth: 2, Ran: ran}, test.fault)
					client := s.Start(t)
					client.CallTimeout = 300 * time.Millisecond
					if text, ok := test.fault.(mcptest.Reply); ok && len(text.Result) > 1<<20 {
						client.CallTimeout = 0 // it takes time to read
					}
					if client.URL != "" {
						client.HTTPClient = fresh
					}
					got := told(t, client)
					if got[0] != "paid 1" || got[2] != "paid 3" {
						t.Errorf("the model was told %q, want the first and the third to be paid", got)
					}
					for _, want := range test.want {
						if !strings.Contains(got[1], want) {
							t.Errorf("the model was told %.300q of the second call, want %q in it", got[1], want)
						}
					}
					want := firstRan + ", " + lastRan
					if ran || test.want[0] == "paid 2" {
						want = allRan
					}
					if diff := cmp.Diff(want, came(s)); diff != "" {
						t.Errorf("calls (-want +got):\n%s", diff)
					}
				})
			}
		}
	}
}

func bigResult(size int) json.RawMessage {
	return json.RawMessage(`{"content":[{"type":"text","text":"` + strings.Repeat("m", size) + `"}]}`)
}

// A server that stays down fails all calls until it is started again.
func TestCrashDown(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		s := newServer(kind)
		client := s.Start(t)
		if client.URL != "" {
			client.HTTPClient = fresh
		}
		s.Break(mcptest.At{Nth: 2}, mcptest.Crash{Down: true})
		got := told(t, client)
		if got[0] != "paid 1" || !strings.Contains(got[1], unknown) || !strings.Contains(got[2], "was not sent") {
			t.Errorf("%s: the model was told %q", kind, got)
		}
		s.Restart()
		if err := client.Connect(t.Context()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if got := told(t, client); got[2] != "paid 3" {
			t.Errorf("%s: after the restart the model was told %q", kind, got)
		}
	}
}

// A Safe tool of a trusted server is called again, which the server can tell by
// the key.
func TestCallSentAgain(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		s := newServer(kind)
		s.Tools = []tramontane.Tool{tramontane.Func("pay", "", pay, &tramontane.FuncOptions{Safe: true})}
		client := s.Start(t)
		client.Trusted = true
		s.Break(mcptest.At{Tool: "other"}, mcptest.Crash{Down: true})
		s.Break(mcptest.At{Tool: "pay", Nth: 2, Ran: true}, mcptest.Cut{})
		if diff := cmp.Diff([]string{"paid 1", "paid 2", "paid 3"}, told(t, client)); diff != "" {
			t.Errorf("%s: told (-want +got):\n%s", kind, diff)
		}
		want := firstRan + `, pay {"number":2} 1, pay {"number":2} 2, ` + lastRan
		if diff := cmp.Diff(want, came(s)); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", kind, diff)
		}
		if calls := s.Calls(); calls[1].Key == "" || calls[1].Key != calls[2].Key || calls[0].Key == calls[1].Key {
			t.Errorf("%s: keys %+v", kind, calls)
		}
	}
}

func TestEndlessPages(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		s := newServer(kind)
		s.Break(mcptest.At{}, mcptest.EndlessPages{})
		client := s.Start(t)
		if _, err := client.Tools(t.Context()); err == nil || !strings.Contains(err.Error(), "more than 1000 pages") {
			t.Errorf("%s: %v, want an end to the pages", kind, err)
		}
		s.Mend()
		if tools, err := client.Tools(t.Context()); err != nil || len(tools) != 1 {
			t.Errorf("%s: once mended: %d tools, %v", kind, len(tools), err)
		}
	}
}

// Garbage is there, though a run does not see it.
func TestGarbageIsSent(t *testing.T) {
	t.Parallel()
	for kind, transport := range kinds {
		if transport == "" {
			continue
		}
		s := newServer(kind)
		s.Break(mcptest.At{}, mcptest.Garbage{Lines: []string{"Welcome!"}})
		client := s.Start(t)
		var log lockedBuilder
		client.Logger = slog.New(slog.NewTextHandler(&log, nil))
		if got := told(t, client); got[1] != "paid 2" || !strings.Contains(log.String(), "no message") {
			t.Errorf("%s: the model was told %q, and the log says %q", kind, got, log.String())
		}
	}
}

type lockedBuilder struct {
	mu sync.Mutex // guards the field below
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The stream of the server's own messages is no part of a call.
func TestBreakListening(t *testing.T) {
	t.Parallel()
	s := newServer("http legacy")
	s.Break(mcptest.At{Method: http.MethodGet}, mcptest.Status{Code: 503})
	if got := told(t, s.Start(t)); got[2] != "paid 3" {
		t.Errorf("the model was told %q", got)
	}
	s = newServer("sse")
	s.Break(mcptest.At{Method: http.MethodGet}, mcptest.Status{Code: 403})
	if err := s.Start(t).Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("Connect by SSE: %v, want the status", err)
	}
}

func TestNoSuchFault(t *testing.T) {
	for _, tt := range []struct {
		fault mcptest.Fault
		want  string
	}{
		{mcptest.Status{}, "set Transport"},
		{mcptest.Garbage{}, "set Transport"},
		{&mcptest.Cut{}, "leave out the &"},
		{&mcptest.Crash{}, "leave out the &"},
		{nil, "no fault"},
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), tt.want) {
					t.Errorf("%T in memory: %v, want a panic that says %q", tt.fault, r, tt.want)
				}
			}()
			new(mcptest.Server).Break(mcptest.At{}, tt.fault)
		}()
	}
}
