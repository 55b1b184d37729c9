package mcptest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// An At says which requests a fault meets. The zero value is all calls of
// tools.
type At struct {
	// Method is the method of the request, or GET for the request by which a
	// client of HTTP listens to the server: that meets a [Status], and by
	// streamable HTTP also NoAnswer and Cut. If zero, it is tools/call, and
	// tools/list for [EndlessPages].
	Method string

	// Tool is the name of the tool that is called. If zero, it is any.
	Tool string

	// Nth is the request that is met, of those that fit and come after Break,
	// from 1 on. If zero, all are.
	Nth int

	// Ran says that the server works on the request before the fault takes the
	// place of its answer: the tool ran, and nobody knows. By streamable HTTP,
	// what the tool says or asks meanwhile is lost as well. If zero, the request
	// does not get that far.
	Ran bool
}

// A Fault is one way in which a server fails: a [Status], [NoAnswer], [Delay],
// [Cut], [Garbage], [Reply], [EndlessPages], [LoseSession] or [Crash].
type Fault interface{ fault() }

// Status answers with an HTTP status, as servers and what stands before them do:
// 401, 403, 5xx, or 200 with a page of HTML. By SSE, it answers the message, and
// a server that Ran answers on the stream all the same. In memory there is no
// such fault.
type Status struct {
	Code   int         // if zero, 200
	Header http.Header // if it has no Content-Type, that is guessed from Body
	Body   string
}

// NoAnswer never answers.
type NoAnswer struct{}

// Delay answers late. The tool runs at once, so Ran means nothing.
type Delay struct{ For time.Duration }

// Cut breaks the answer off in the middle. In memory and by SSE, where all
// answers come on one connection, that connection breaks.
type Cut struct{}

// Garbage says things that are no messages before the answer. Ran means nothing.
// In memory there is no such fault.
type Garbage struct{ Lines []string }

// Reply answers with what the test says instead, such as a result that is too
// large or a kind of content that nobody knows.
type Reply struct {
	Result json.RawMessage
	Error  *jsonrpc.Error // if not nil, it is the answer instead
}

// EndlessPages answers requests for lists with an empty page and the name of the
// next one, for ever. Ran means nothing.
type EndlessPages struct{}

// LoseSession makes the server forget the session of the request. By HTTP, this
// request and all that follow are answered with 404; if the server Ran, the
// stream of the answer ends without it. In memory, the connection ends. A server
// of streamable HTTP that is not Legacy has no sessions, and fails this request
// alone.
type LoseSession struct{}

// Crash ends the server in the middle of the request, see [Server.Close], and
// starts it again, unless it is to stay Down until [Server.Restart]. A client of
// HTTP that kept another connection may find only by its next request that it is
// gone, and not know then what became of that one either.
type Crash struct{ Down bool }

func (Status) fault()       {}
func (NoAnswer) fault()     {}
func (Delay) fault()        {}
func (Cut) fault()          {}
func (Garbage) fault()      {}
func (Reply) fault()        {}
func (EndlessPages) fault() {}
func (LoseSession) fault()  {}
func (Crash) fault()        {}

// Break makes the server fail in the given way at the given requests, until
// [Server.Mend]. Of several faults at one request the first that was set comes,
// and all count it. Break panics if the server's transport has no such fault, and if
// fault is nil or a pointer.
func (s *Server) Break(at At, fault Fault) {
	switch fault.(type) {
	case Status, Garbage:
		if s.Transport == "" {
			panic(fmt.Sprintf("mcptest: there is no %T in memory: set Transport", fault))
		}
	case EndlessPages:
		at.Method = cmp.Or(at.Method, "tools/list")
	case NoAnswer, Delay, Cut, Reply, LoseSession, Crash:
	default: // pointers have the methods as well
		panic(fmt.Sprintf("mcptest: %T is no fault: leave out the &", fault))
	}
	at.Method = cmp.Or(at.Method, "tools/call")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &armed{at: at, fault: fault})
}

// Mend takes all faults away.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// An armed fault waits for its request.
type armed struct {
	at    At
	fault Fault
	seen  int // requests that fit; guarded by Server.mu
}

// ran reports whether the server works on the request all the same.
func (a *armed) ran() bool {
	switch a.fault.(type) {
	case Delay, Garbage:
		return true
	case EndlessPages:
		return false
	}
	return a.at.Ran
}

// match returns the fault that a request meets, or nil.
func (s *Server) match(method string, params json.RawMessage) *armed {
	var p struct{ Name string }
	json.Unmarshal(params, &p) // what is malformed has no name
	s.mu.Lock()
	defer s.mu.Unlock()
	var met *armed
	for _, a := range s.faults {
		if a.at.Method != method || a.at.Tool != "" && a.at.Tool != p.Name {
			continue
		}
		a.seen++
		if met == nil && (a.at.Nth == 0 || a.at.Nth == a.seen) {
			met = &armed{at: a.at, fault: a.fault, seen: a.seen}
		}
	}
	return met
}

// reply returns the answer that a fault gives, or nil if it gives none.
func (a *armed) reply(id jsonrpc.ID, method string) *jsonrpc.Response {
	switch f := a.fault.(type) {
	case Reply:
		if f.Error != nil {
			return &jsonrpc.Response{ID: id, Error: f.Error}
		}
		return &jsonrpc.Response{ID: id, Result: f.Result}
	case EndlessPages:
		kind, _, _ := strings.Cut(method, "/")
		page := fmt.Sprintf(`{%q:[],"nextCursor":"%d"}`, kind, a.seen)
		return &jsonrpc.Response{ID: id, Result: json.RawMessage(page)}
	}
	return nil
}
