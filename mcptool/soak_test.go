//go:build unix

package mcptool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

const (
	soakJournal = "MCPTOOL_TEST_JOURNAL" // the file in which servers note the keys of calls
	soakLife    = "MCPTOOL_TEST_LIFE"    // about how long a server lives
)

func init() {
	// Notes each call and dies at some moment, as if it were killed. Some have
	// a child, which would outlive them if nobody took care.
	testServers["mortal"] = func() {
		life, err := time.ParseDuration(os.Getenv(soakLife))
		if err != nil {
			log.Fatal(err)
		}
		if os.Getpid()%4 == 0 {
			if err := exec.Command("sleep", "1000").Start(); err != nil {
				log.Fatal(err)
			}
		}
		time.AfterFunc(life/2+rand.N(life), func() { syscall.Kill(os.Getpid(), syscall.SIGKILL) })
		answer := answerAll(nil)
		serveRaw(func(method string, params json.RawMessage) string {
			if method == "tools/call" {
				var p struct {
					Meta map[string]any `json:"_meta"`
				}
				json.Unmarshal(params, &p)
				noteCall(os.Getenv(soakJournal), p.Meta["tramontane/callKey"])
			}
			return answer(method, params)
		})
	}
}

// noteCall appends a line to the journal, in one write, as many servers do it
// at once.
func noteCall(journal string, key any) {
	f, err := os.OpenFile(journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, key)
}

// TestSoak keeps many sessions busy while their servers die and come back. It
// takes two seconds with 40 sessions; with TRAMONTANE_SOAK set to a duration,
// that long with 200. TRAMONTANE_SOAK_SEED is where its chances begin.
func TestSoak(t *testing.T) {
	sessions, length := 40, 2*time.Second
	if v := os.Getenv("TRAMONTANE_SOAK"); v != "" {
		var err error
		if length, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
		sessions = 200
	} else if testing.Short() {
		t.Skip("it takes two seconds")
	}
	seed := uint64(1)
	if v := os.Getenv("TRAMONTANE_SOAK_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}

	// What the process opens once and keeps is opened before it is counted.
	soak(t, 5, 100*time.Millisecond, seed)
	goroutines := goleak.IgnoreCurrent()
	files := openFiles()
	soak(t, sessions, length, seed)
	if err := goleak.Find(goroutines); err != nil {
		t.Error(err)
	}
	eventually(t, fmt.Sprintf("as few open files as before, %d", files), func() bool { return openFiles() <= files })
}

// openFiles returns how many descriptors this process has open, or 0 where the
// system does not tell.
func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// An outcome is what became of a call.
type outcome int

const (
	answered outcome = iota
	unknown
	notRun
)

func soak(t *testing.T, sessions int, length time.Duration, seed uint64) {
	journal := filepath.Join(t.TempDir(), "journal")
	end := time.Now().Add(length)
	chance := rand.New(rand.NewPCG(seed, 0))

	machines := []*machine{
		newMachine(t, journal, "legacy"), newMachine(t, journal, "modern"), newMachine(t, journal, "sse"),
	}
	var running sync.WaitGroup
	for _, m := range machines {
		r := rand.New(rand.NewPCG(seed, chance.Uint64()))
		running.Go(func() { m.crash(r, end) })
	}
	var clients mcptool.Servers
	for i := range sessions {
		s := &mcptool.Server{Name: fmt.Sprint("s", i), CallTimeout: 10 * time.Second}
		switch i % 5 {
		case 0:
			s.Command = testBinary(t)
			life := max(time.Duration(sessions)*25*time.Millisecond, 200*time.Millisecond)
			s.Env = map[string]string{serverEnv: "mortal", soakJournal: journal, soakLife: life.String(), "GORACE": "atexit_sleep_ms=0"}
		case 1, 2:
			s.URL = machines[0].url
		case 3:
			s.URL = machines[1].url
		case 4:
			s.URL, s.Transport = machines[2].url, mcptool.SSE
		}
		clients = append(clients, s)
	}

	outcomes := make([]map[string]outcome, sessions)
	for i, s := range clients {
		outcomes[i] = make(map[string]outcome)
		r := rand.New(rand.NewPCG(seed, chance.Uint64()))
		running.Go(func() { keepBusy(t, s, r, end, outcomes[i]) })
	}
	running.Wait()
	if err := clients.Close(); err != nil {
		t.Error(err)
	}
	crashes := 0
	for _, m := range machines {
		crashes += m.crashes
		m.stop()
	}
	eventually(t, "no process is left", func() bool { return len(processesWith(journal)) == 0 })

	ran := make(map[string]int)
	data, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range strings.Fields(string(data)) {
		ran[key]++
	}
	var count [3]int
	for _, calls := range outcomes {
		for key, got := range calls {
			count[got]++
			switch n := ran[key]; {
			case n > 1:
				t.Errorf("call %s ran %d times", key, n)
			case got == answered && n != 1:
				t.Errorf("call %s was answered and ran %d times", key, n)
			case got == notRun && n != 0:
				t.Errorf("call %s ran, and its error does not say that the outcome is unknown", key)
			}
		}
	}
	t.Logf("seed %d: %d sessions, %d crashes of HTTP servers; %d calls answered, %d unknown, %d not run",
		seed, sessions, crashes, count[answered], count[unknown], count[notRun])
	if count[answered] == 0 {
		t.Error("no call was answered")
	}
}

// keepBusy calls a tool of s until the end, and notes what became of each call.
// After a failure it connects, without regard for the time at which a server
// that died often may be tried again; what comes of it the next call tells.
func keepBusy(t *testing.T, s *mcptool.Server, r *rand.Rand, end time.Time, outcomes map[string]outcome) {
	var tool tramontane.Tool
	for call := 0; time.Now().Before(end); call++ {
		if tool == nil {
			tools, err := s.Tools(t.Context())
			if err != nil {
				_ = s.Connect(t.Context())
				pause(r)
				continue
			}
			tool = tools[0]
		}
		ctx, cancel := context.WithCancel(t.Context())
		if r.IntN(50) == 0 { // somebody is impatient
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), time.Duration(r.IntN(3000))*time.Microsecond)
		}
		key := fmt.Sprintf("%s/%d", s.Name, call)
		res, err := tool.Call(ctx, &tramontane.Call{Key: key})
		cancel()
		switch {
		case err == nil && res.Text() == "called":
			outcomes[key] = answered
		case err == nil:
			t.Errorf("call %s returned %+v", key, res)
		case errors.Is(err, tramontane.ErrOutcomeUnknown):
			outcomes[key] = unknown
			if strings.Contains(err.Error(), "no answer within") {
				t.Errorf("call %s: %v", key, err)
			}
			_ = s.Connect(t.Context())
		default:
			outcomes[key] = notRun
			_ = s.Connect(t.Context())
			pause(r)
		}
	}
}

// pause lets others go first, up to 20 ms.
func pause(r *rand.Rand) { <-time.After(time.Duration(r.IntN(20)) * time.Millisecond) }

// A machine is a remote server that crashes and comes back at the same address,
// and has forgotten its sessions then.
type machine struct {
	t       *testing.T
	kind    string
	journal string
	addr    string
	url     string
	crashes int

	server *mcp.Server
	http   *http.Server
	served chan struct{}
}

func newMachine(t *testing.T, journal, kind string) *machine {
	m := &machine{t: t, kind: kind, journal: journal, addr: "127.0.0.1:0"}
	m.start()
	m.url = "http://" + m.addr + "/mcp"
	return m
}

func (m *machine) start() {
	l, err := net.Listen("tcp", m.addr)
	if err != nil {
		m.t.Error(err)
		return
	}
	m.addr = l.Addr().String()
	m.server = mcp.NewServer(&mcp.Implementation{Name: m.kind, Version: "1"}, nil)
	m.server.AddTool(&mcp.Tool{Name: "t", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			noteCall(m.journal, req.Params.Meta["tramontane/callKey"])
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "called"}}}, nil
		})
	get := func(*http.Request) *mcp.Server { return m.server }
	var h http.Handler
	switch m.kind {
	case "sse":
		h = mcp.NewSSEHandler(get, nil)
	case "legacy":
		m.server.AddReceivingMiddleware(noDiscover)
		h = mcp.NewStreamableHTTPHandler(get, nil)
	default:
		h = mcp.NewStreamableHTTPHandler(get, nil)
	}
	var requests atomic.Int64
	m.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%97 == 0 {
			http.Error(w, "too much to do", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})}
	served := make(chan struct{})
	m.served = served
	go func() {
		defer close(served)
		m.http.Serve(l)
	}()
}

func noDiscover(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if method == "server/discover" {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "method not found"}
		}
		return next(ctx, method, req)
	}
}

// stop breaks all connections off.
func (m *machine) stop() {
	m.http.Close()
	<-m.served
	for ss := range m.server.Sessions() {
		ss.Close()
	}
}

// crash crashes now and then until the end.
func (m *machine) crash(r *rand.Rand, end time.Time) {
	for {
		select {
		case <-time.After(time.Duration(100+r.IntN(500)) * time.Millisecond):
		case <-time.After(time.Until(end)):
			return
		}
		m.stop()
		m.crashes++
		<-time.After(time.Duration(r.IntN(100)) * time.Millisecond)
		m.start()
	}
}

// processesWith returns the processes, this one apart, in whose environment
// text is.
func processesWith(text string) []string {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	var found []string
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil && bytes.Contains(data, []byte(text)) {
			found = append(found, file)
		}
	}
	return found
}
