package mcptest

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// handler returns what serves the instance.
func (i *instance) handler() (http.Handler, error) {
	var h http.Handler
	switch i.Transport {
	case mcptool.StreamableHTTP:
		next := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return i.mcp },
			&mcp.StreamableHTTPOptions{Stateless: !i.Legacy, PropagateRequestCancellation: true, MaxRequestBodyBytes: -1})
		h = &streamable{instance: i, next: next, lost: make(map[string]bool)}
	case mcptool.SSE:
		h = &sse{instance: i, sessions: make(map[string]*sseSession)}
	default:
		return nil, fmt.Errorf("mcptest: Transport %q is none: it is %q, %q or empty", i.Transport, mcptool.StreamableHTTP, mcptool.SSE)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !i.enter() {
			panic(http.ErrAbortHandler)
		}
		defer i.leave()
		h.ServeHTTP(w, r)
	}), nil
}

// A message is what is read of one that comes by HTTP.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// readMessage reads the message of a POST, which can be read again.
func readMessage(r *http.Request) (m message, err error) {
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	json.Unmarshal(body, &m) // the server says what is wrong with it
	return m, err
}

// id returns the message's id, which is zero if it is no request.
func (m *message) id() jsonrpc.ID {
	var v any
	json.Unmarshal(m.ID, &v)
	id, err := jsonrpc.MakeID(v)
	if err != nil {
		return jsonrpc.ID{}
	}
	return id
}

// A streamable does the faults of streamable HTTP, where each answer has a
// stream of its own.
type streamable struct {
	*instance
	next http.Handler

	mu   sync.Mutex // guards the field below
	lost map[string]bool
}

const sessionHeader = "Mcp-Session-Id"

// ServeHTTP implements http.Handler.
func (h *streamable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := message{Method: r.Method}
	if r.Method == http.MethodPost {
		var err error
		if m, err = readMessage(r); err != nil {
			return // the client is gone
		}
	}
	session := r.Header.Get(sessionHeader)
	h.mu.Lock()
	lost := h.lost[session]
	h.mu.Unlock()
	if lost {
		http.Error(w, "session not found", http.StatusNotFound)
		return
	}
	var a *armed
	if m.id().IsValid() || r.Method == http.MethodGet {
		a = h.match(m.Method, m.Params)
	}
	if a == nil {
		h.next.ServeHTTP(w, r)
		return
	}
	// Nothing of the answer gets out before the fault.
	answer := httptest.NewRecorder()
	if a.ran() && r.Method == http.MethodPost {
		h.next.ServeHTTP(answer, r)
	}
	if reply := a.reply(m.id(), m.Method); reply != nil {
		data, err := jsonrpc.EncodeMessage(reply)
		if err != nil {
			panic(fmt.Sprintf("mcptest: %T: %v", a.fault, err))
		}
		startStream(w).event(data)
		return
	}
	switch f := a.fault.(type) {
	case Status:
		f.write(w)
	case NoAnswer:
		select {
		case <-r.Context().Done():
		case <-h.life.Done():
		}
	case Delay:
		if h.sleep(f.For, r.Context().Done()) {
			send(w, answer)
		}
	case Garbage:
		stream := startStream(w)
		stream.say(f.Lines...)
		stream.Write(answer.Body.Bytes())
	case Cut:
		startStream(w).cut()
		panic(http.ErrAbortHandler)
	case LoseSession:
		h.lose(session)
		if a.ran() {
			startStream(w).Flush() // the answer that is not to come
			return
		}
		http.Error(w, "session not found", http.StatusNotFound)
	case Crash:
		h.crash(f)
		panic(http.ErrAbortHandler)
	}
}

// lose forgets a session.
func (h *streamable) lose(session string) {
	if session == "" {
		return
	}
	h.mu.Lock()
	h.lost[session] = true
	h.mu.Unlock()
	for ss := range h.instance.mcp.Sessions() {
		if ss.ID() == session && h.enter() {
			go func() {
				defer h.leave()
				ss.Close()
			}()
		}
	}
}

// send sends an answer that was held back.
func send(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

func (f Status) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), f.Header)
	w.WriteHeader(cmp.Or(f.Code, http.StatusOK))
	io.WriteString(w, f.Body)
}

// An eventStream is an answer of events, for more than one to write to.
type eventStream struct {
	http.ResponseWriter
	broken chan struct{} // closed by cut

	mu sync.Mutex // held while something is written
}

func startStream(w http.ResponseWriter) *eventStream {
	w.Header().Set("Content-Type", "text/event-stream")
	return &eventStream{ResponseWriter: w, broken: make(chan struct{})}
}

// Write implements http.ResponseWriter. After cut, it fails.
func (s *eventStream) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.broken:
		return 0, io.ErrClosedPipe
	default:
		return s.ResponseWriter.Write(data)
	}
}

// Flush implements http.Flusher.
func (s *eventStream) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	http.NewResponseController(s.ResponseWriter).Flush()
}

func (s *eventStream) event(data []byte) {
	fmt.Fprintf(s, "event: message\ndata: %s\n\n", data)
	s.Flush()
}

// say writes lines as events that are no messages.
func (s *eventStream) say(lines ...string) {
	for _, line := range lines {
		s.event([]byte(strings.ReplaceAll(line, "\n", " ")))
	}
}

// cut writes half an answer.
func (s *eventStream) cut() {
	fmt.Fprint(s, `data: {"jsonrpc":"2.0","result":{"content":[{"type":"text","te`)
	s.Flush()
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.broken:
	default:
		close(s.broken)
	}
}

// An sse does the faults of HTTP with SSE, where one stream carries all answers.
type sse struct {
	*instance

	mu       sync.Mutex // guards the field below
	sessions map[string]*sseSession
}

type sseSession struct {
	post http.Handler
	wire *wire
}

// ServeHTTP implements http.Handler.
func (h *sse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		h.serveStream(w, r)
		return
	}
	h.mu.Lock()
	session := h.sessions[r.URL.Query().Get("session")]
	h.mu.Unlock()
	switch {
	case r.Method != http.MethodPost:
		http.Error(w, "only GET and POST", http.StatusMethodNotAllowed)
	case session == nil:
		http.Error(w, "session not found", http.StatusNotFound)
	default:
		h.serveMessage(w, r, session)
	}
}

func (h *sse) serveStream(w http.ResponseWriter, r *http.Request) {
	if a := h.match(http.MethodGet, nil); a != nil {
		if f, ok := a.fault.(Status); ok {
			f.write(w)
			return
		}
	}
	id := rand.Text()
	stream := startStream(w)
	transport := &mcp.SSEServerTransport{Endpoint: r.URL.Path + "?session=" + id, Response: stream, MaxRequestBodyBytes: -1}
	session := &sseSession{post: transport, wire: h.newWire(transport, stream)}
	h.mu.Lock()
	h.sessions[id] = session
	h.mu.Unlock()
	defer h.forget(id)
	ss, err := h.instance.mcp.Connect(r.Context(), session.wire, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	ended := make(chan struct{})
	h.running.Go(func() {
		defer close(ended)
		ss.Wait()
	})
	select {
	case <-r.Context().Done():
	case <-ended:
	case <-h.life.Done():
	}
	ss.Close()
	<-ended
	select {
	case <-stream.broken:
		panic(http.ErrAbortHandler)
	default:
	}
}

func (h *sse) forget(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, id)
}

func (h *sse) serveMessage(w http.ResponseWriter, r *http.Request, session *sseSession) {
	m, err := readMessage(r)
	if err != nil {
		return // the client is gone
	}
	id := m.id()
	if !id.IsValid() {
		session.post.ServeHTTP(w, r)
		return
	}
	a := h.match(m.Method, m.Params)
	if a != nil {
		switch f := a.fault.(type) {
		case Status:
			if a.at.Ran {
				session.wire.expect(id, nil)
				session.post.ServeHTTP(httptest.NewRecorder(), r)
			}
			f.write(w)
			return
		case LoseSession:
			if !a.at.Ran {
				h.forget(r.URL.Query().Get("session"))
				http.Error(w, "session not found", http.StatusNotFound)
				return
			}
		}
	}
	session.wire.expect(id, a)
	session.post.ServeHTTP(w, r)
}
