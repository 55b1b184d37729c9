package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// member returns a member of a JSON object as it came, or nothing.
func member(t *testing.T, object, name string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return string(members[name])
}

func asking(key, message string) string {
	return fmt.Sprintf(`%q:{"method":"elicitation/create","params":{"mode":"form","message":%q,"requestedSchema":{"type":"object","properties":{}}}}`, key, message)
}

// The state of a request comes back as it was, to the byte, and only if there is
// one.
func TestRequestStateIsEchoed(t *testing.T) {
	t.Parallel()
	states := []string{
		``, `""`, `"plain"`, `"<a href=\"x\">&amp;</a>"`, `"\ud800 alone"`, `"\u0000\u2028\/"`, `"日本\u65e5"`,
	}
	server := &rawServer{
		version: "2026-07-28", caps: `"tools":{},"prompts":{},"resources":{}`, tools: rawTool("work", ""),
		answer: func(_ *rawConn, method string, params json.RawMessage) (string, error) {
			done := map[string]string{
				"tools/call":     `{"resultType":"complete","content":[]}`,
				"prompts/get":    `{"resultType":"complete","messages":[]}`,
				"resources/read": `{"resultType":"complete","contents":[]}`,
			}[method]
			var p struct {
				Responses json.RawMessage   `json:"inputResponses"`
				Arguments map[string]string `json:"arguments"`
				URI       string            `json:"uri"`
			}
			if err := json.Unmarshal(params, &p); err != nil {
				return "", err
			}
			if p.Responses != nil {
				return done, nil
			}
			state := p.Arguments["state"] + strings.TrimPrefix(p.URI, "state:")
			var n int
			fmt.Sscan(state, &n)
			if states[n] == "" {
				return `{"resultType":"input_required","inputRequests":{` + asking("q", "Sure?") + `}}`, nil
			}
			return `{"resultType":"input_required","inputRequests":{` + asking("q", "Sure?") + `},"requestState":` + states[n] + `}`, nil
		},
	}
	s := server.serve(t)
	s.Elicit = func(context.Context, *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
		return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}, nil
	}
	work := start(t, s)["work"]
	for n, state := range states {
		for method, do := range map[string]func() error{
			"tools/call": func() error {
				_, err := work.callWith(t, fmt.Sprintf(`{"state":"%d"}`, n))
				return err
			},
			"prompts/get": func() error {
				_, err := s.Prompt(t.Context(), "p", map[string]string{"state": fmt.Sprint(n)})
				return err
			},
			"resources/read": func() error {
				_, err := s.ReadResource(t.Context(), fmt.Sprintf("state:%d", n))
				return err
			},
		} {
			before := len(server.got(method))
			if err := do(); err != nil {
				t.Fatalf("%s with state %s: %v", method, state, err)
			}
			got := server.got(method)[before:]
			if len(got) != 2 {
				t.Fatalf("%s with state %s: %d requests, want 2", method, state, len(got))
			}
			if echoed := member(t, got[1], "requestState"); echoed != state {
				t.Errorf("%s: state %s came back as %s", method, state, echoed)
			}
			if want, answer := `{"q":{"action":"accept","content":{}}}`, member(t, got[1], "inputResponses"); answer != want && answer != `{"q":{"action":"accept"}}` {
				t.Errorf("%s: answers %s, want %s", method, answer, want)
			}
			if first := member(t, got[0], "requestState") + member(t, got[0], "inputResponses"); first != "" {
				t.Errorf("%s: the first request has %s", method, first)
			}
		}
	}
}

// The questions of one round are put one after the other, in their order.
func TestRoundAsksInOrder(t *testing.T) {
	t.Parallel()
	server := &rawServer{version: "2026-07-28", caps: `"tools":{}`, tools: rawTool("work", ""),
		answer: func(_ *rawConn, _ string, params json.RawMessage) (string, error) {
			if strings.Contains(string(params), "inputResponses") {
				return `{"content":[]}`, nil
			}
			return `{"resultType":"input_required","inputRequests":{` + asking("z", "one") + "," + asking("a", "two") + "," + asking("m", "three") + `}}`, nil
		}}
	s := server.serve(t)
	var at atomic.Int32
	var order []string
	s.Elicit = func(_ context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
		if at.Add(1) != 1 {
			t.Error("two questions at once")
		}
		defer at.Add(-1)
		order = append(order, q.Message)
		return &mcptool.ElicitationAnswer{Action: mcptool.ElicitDecline}, nil
	}
	if _, err := start(t, s)["work"].call(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, order); diff != "" {
		t.Errorf("order of the questions (-want +got):\n%s", diff)
	}
}

// A server that is busy is asked again later, and not for ever; so is one that
// asks on and on.
func TestRoundsAreBounded(t *testing.T) {
	for name, row := range map[string]struct {
		answer   string
		requests int
		atLeast  time.Duration
		want     string
	}{
		"busy":       {`{"resultType":"input_required","requestState":"s"}`, 6, 10 * time.Second, "busy 6 times"},
		"busy too":   {`{"resultType":"input_required","inputRequests":{},"requestState":"s"}`, 6, 10 * time.Second, "busy 6 times"},
		"insatiable": {`{"resultType":"input_required","inputRequests":{` + asking("q", "And?") + `}}`, 10, 0, "asked 10 times"},
		"malformed":  {`{"resultType":"input_required","inputRequests":[1]}`, 1, 0, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &rawServer{version: "2026-07-28", caps: `"tools":{}`, tools: rawTool("work", ""),
					answer: func(*rawConn, string, json.RawMessage) (string, error) { return row.answer, nil }}
				s := server.serve(t)
				s.Elicit = func(context.Context, *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
					return &mcptool.ElicitationAnswer{Action: mcptool.ElicitDecline}, nil
				}
				work := start(t, s)["work"]
				began := time.Now()
				_, err := work.call(t.Context(), "")
				if err == nil || !strings.Contains(err.Error(), row.want) || errors.Is(err, tramontane.ErrOutcomeUnknown) {
					t.Errorf("error %v, want %q, and that the outcome is known", err, row.want)
				}
				if got := len(server.got("tools/call")); got != row.requests {
					t.Errorf("%d requests, want %d", got, row.requests)
				}
				if took := time.Since(began); took < row.atLeast || took > time.Minute {
					t.Errorf("the call took %v, want between %v and a minute", took, row.atLeast)
				}
				s.Close()
			})
		})
	}
}

// A server that was busy and then is not gives the result.
func TestBusyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &rawServer{version: "2026-07-28", caps: `"tools":{}`, tools: rawTool("work", ""),
			answer: func(_ *rawConn, _ string, params json.RawMessage) (string, error) {
				if strings.Contains(string(params), `"requestState":"later"`) && !strings.Contains(string(params), "inputResponses") {
					return `{"content":[{"type":"text","text":"now"}]}`, nil
				}
				return `{"resultType":"input_required","requestState":"later"}`, nil
			}}
		s := server.serve(t)
		if got := toldBy(t, start(t, s)["work"]); got != "now" {
			t.Errorf("the call says %q, want now", got)
		}
		s.Close()
	})
}
