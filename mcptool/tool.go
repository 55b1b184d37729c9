package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// callKeyMeta is where a call's key stands in the _meta of tools/call, for
// servers that want to tell repeated calls apart.
const callKeyMeta = "tramontane/callKey"

// A tool is one tool of a server.
type tool struct {
	server *Server
	def    tramontane.Definition
	tasks  string // required, optional or forbidden (2025-11-25, "Tool-Level Negotiation")
}

// Definition implements tramontane.Tool.
func (t *tool) Definition() tramontane.Definition { return t.def }

// nameTools gives the tools their names, unique among them.
func nameTools(tools []*tool) ([]tramontane.Tool, error) {
	ids := make([]toolID, len(tools))
	for i, t := range tools {
		ids[i] = toolID{t.def.Server, t.def.Original}
	}
	names, err := toolNames(ids)
	if err != nil {
		return nil, err
	}
	named := make([]tramontane.Tool, len(tools))
	for i, t := range tools {
		t.def.Name = names[i]
		named[i] = t
	}
	return named, nil
}

// Call sends the call to the server, starting or reaching it first where that
// is needed. It is sent again on a new session, once, if it is certain that the
// server did not work on it, and once, if the tool is Safe and no answer can
// come any more; never otherwise. When ctx ends, the server is told that the
// call is cancelled. A result that the server marks as an error is no error of
// Call. The error wraps [tramontane.ErrOutcomeUnknown] unless the server
// answered with it or cannot have worked on the call.
//
// A server may make a task of the call, which outlives the request. The run is
// told of it (see [tramontane.Keep]); Call waits for its end, and with a Handle
// goes on with the task that it names. If ctx ends meanwhile, the task is left
// alone if a run keeps it, and otherwise cancelled.
func (t *tool) Call(ctx context.Context, call *tramontane.Call) (*tramontane.ToolResult, error) {
	if result, err, is := t.server.callResources(ctx, t.def.Original, call); is {
		return result, err
	}
	if result, err, is := t.server.callSkills(ctx, t.def.Original, call); is {
		return result, err
	}
	raw, err := t.call(ctx, call)
	if err != nil {
		return nil, oneLine(fmt.Errorf("%s: tool %s: %w", t.server, t.def.Original, err))
	}
	result := decodeResult(raw)
	t.server.checkOutput(ctx, t.def, result)
	return result, nil
}

func (t *tool) call(ctx context.Context, call *tramontane.Call) (json.RawMessage, error) {
	s := t.server
	if call.Handle != nil {
		return t.goOn(ctx, call)
	}
	var lost error  // why the outcome of a sending is unknown, if it is
	var unsent bool // a sending certainly did not reach the server
	for {
		sess, err := s.connect(ctx)
		if err != nil && lost != nil {
			return nil, fmt.Errorf("%w: %w; it could not be sent again: %w", tramontane.ErrOutcomeUnknown, lost, err)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotSent, err)
		}
		var begun *begunCall
		raw, err := s.request(ctx, sess, call, func(reqCtx context.Context) (json.RawMessage, error) {
			raw, err := s.withVisits(reqCtx, func() (json.RawMessage, error) {
				return s.rounds(t.asTask(reqCtx, sess), sess, func(reqCtx context.Context) (json.RawMessage, error) {
					return rawResult(sess.CallTool(withSchema(reqCtx, t.def.Parameters), t.params(reqCtx, call)))
				})
			})
			if err == nil {
				begun = t.begun(ctx, reqCtx, call, raw)
			}
			return raw, err
		})
		var wire *jsonrpc.Error
		notSent := errors.Is(err, errNotSent)
		over := ctx.Err() != nil || errors.Is(err, errTimeout)
		switch {
		case begun != nil:
			return begun.wait(ctx)
		case err == nil:
			return raw, nil
		case errors.As(err, &wire), errors.Is(err, errUnanswered):
			return nil, err
		case notSent && sess.conn.ended() != nil && !over && !unsent:
			unsent = true
			s.logger().InfoContext(ctx, "a call that did not reach the mcp server is sent again",
				"server", s.Name, "tool", t.def.Original, "call", call.Key, "cause", err)
		case !notSent && t.def.Safe && !over && lost == nil:
			lost = err
			s.logger().InfoContext(ctx, "a call without an answer is sent again, as its tool is safe",
				"server", s.Name, "tool", t.def.Original, "call", call.Key, "cause", err)
		case notSent && lost == nil:
			return nil, err
		case lost != nil:
			return nil, fmt.Errorf("%w: %w; when it was sent again: %w", tramontane.ErrOutcomeUnknown, lost, err)
		default:
			return nil, fmt.Errorf("%w: %w", tramontane.ErrOutcomeUnknown, err)
		}
	}
}

// params returns the parameters of the request for a call.
func (t *tool) params(ctx context.Context, call *tramontane.Call) *mcp.CallToolParams {
	params := &mcp.CallToolParams{Meta: mcp.Meta{}, Name: t.def.Original, Arguments: json.RawMessage(`{}`)}
	if len(call.Arguments) > 0 && string(call.Arguments) != "null" {
		params.Arguments = call.Arguments
	}
	if call.Key != "" {
		params.Meta[callKeyMeta] = call.Key
	}
	t.server.callMeta(params.Meta)
	if u, ok := ctx.Value(underwayKey{}).(*underway); ok {
		params.SetProgressToken(u.token)
	}
	return params
}

// An underway is a call that has no answer yet.
type underway struct {
	token    string // for news of its progress
	ctx      context.Context
	call     *tramontane.Call
	deadline *deadline
	task     *task // nil if it is a request

	progress, total float64 // as told last; guarded by Server.mu
}

type underwayKey struct{}

// track makes a call known to [Server.progressed] and [Server.pause] until done
// is called. If token is empty, it gets a new one; otherwise it takes the place
// of the call that has it. If k is nil, it is a request.
func (s *Server) track(ctx context.Context, call *tramontane.Call, d *deadline, token string, k *task) (_ context.Context, done func()) {
	if ctx.Value(samplesKey{s}) == nil {
		ctx = context.WithValue(ctx, samplesKey{s}, new(atomic.Int32))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &underway{token: token, ctx: ctx, call: call, deadline: d, task: k}
	if before := s.underway[token]; before != nil {
		u.progress, u.total = before.progress, before.total
	}
	if token == "" {
		s.calls++
		s.stray.Store(0)
		u.token = strconv.Itoa(s.calls)
	}
	if s.underway == nil {
		s.underway = make(map[string]*underway)
	}
	s.underway[u.token] = u
	return context.WithValue(ctx, underwayKey{}, u), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.underway[u.token] == u {
			delete(s.underway, u.token)
		}
	}
}

// progressed takes news of the progress of a request: its deadline starts anew.
// It returns the call and its context, or nil if the token is that of none that
// is under way.
func (s *Server) progressed(token any, progress, total float64) (context.Context, *tramontane.Call) {
	name, _ := token.(string)
	s.mu.Lock()
	u := s.underway[name]
	if u != nil {
		u.progress, u.total = progress, total
	}
	s.mu.Unlock()
	if u == nil {
		return nil, nil
	}
	u.deadline.news()
	return u.ctx, u.call
}

// progressOf returns how far the call of ctx has come by its own account, or
// else count.
func (s *Server) progressOf(ctx context.Context, count float64) (progress, total float64) {
	u, ok := ctx.Value(underwayKey{}).(*underway)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok || u.progress == 0 && u.total == 0 {
		return count, 0
	}
	return u.progress, u.total
}

// pause lets deadlines stand still while a person answers a question of the
// server, until resume is called: that of the request behind ctx, or, since a
// question need not say which request it belongs to, those of all calls under
// way.
func (s *Server) pause(ctx context.Context) (resume func()) {
	if _, ok := ctx.Value(underwayKey{}).(*underway); ok {
		return pauseClock(ctx)
	}
	s.mu.Lock()
	var paused []*deadline
	for _, u := range s.underway {
		paused = append(paused, u.deadline)
	}
	s.mu.Unlock()
	for _, d := range paused {
		d.pause()
	}
	return func() {
		for _, d := range paused {
			d.resume()
		}
	}
}

// errTimeout is in the error of a request whose deadline passed.
var errTimeout = errors.New("time is up")

// request runs do, which makes a request, within its deadline, and says of an
// error what the SDK cannot know. Call is nil if the request is no tool call.
// The error wraps errNotSent only if the server worked on no part of it.
func (s *Server) request(ctx context.Context, sess *session, call *tramontane.Call, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	limit, total := s.limits()
	return s.requestWithin(ctx, sess, limit, total, call, do)
}

// limits returns how long a request may be without news, and in all.
func (s *Server) limits() (quiet, total time.Duration) {
	quiet, total = s.CallTimeout, s.MaxCallTime
	if quiet <= 0 {
		quiet = defaultCallTimeout
	}
	if total <= 0 {
		total = max(quiet, defaultMaxCallTime)
	}
	return min(quiet, total), total
}

// requestWithin is request with limits of its own.
func (s *Server) requestWithin(ctx context.Context, sess *session, limit, total time.Duration, call *tramontane.Call, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	reqCtx, deadline, stop := withDeadline(ctx, limit, total)
	defer stop()
	reqCtx = context.WithValue(reqCtx, samplesKey{s}, new(atomic.Int32))
	if call != nil {
		var done func()
		reqCtx, done = s.track(reqCtx, call, deadline, "", nil)
		defer done()
	}
	var rounds atomic.Int32
	reqCtx = context.WithValue(reqCtx, roundsKey{}, &rounds)
	raw, err := do(reqCtx)
	s.noteLogin(err)
	if err == nil {
		return raw, nil
	}
	if errors.Is(err, mcp.ErrConnectionClosed) {
		sess.conn.end(err) // unless it knows a better reason
	}
	ended := sess.conn.ended()
	var wire *jsonrpc.Error
	var timeout *timeoutError
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("given up before the server answered: %w", ctx.Err())
	case errors.As(context.Cause(reqCtx), &timeout):
		return nil, fmt.Errorf("%w: %w", errTimeout, timeout)
	case errors.Is(err, mcp.ErrConnectionClosed) && rounds.Load() == 0:
		return nil, fmt.Errorf("%w: %w", errNotSent, ended)
	case errors.Is(err, errNotSent) && rounds.Load() > 1, errors.Is(err, mcp.ErrConnectionClosed):
		// The server has worked on the request up to its question.
		return nil, fmt.Errorf("the answer to the server's question did not reach it: %v", errors.Join(err, ended))
	case errors.Is(err, errNotSent):
		return nil, err
	case errors.Is(err, errUnanswered):
		return nil, err
	case errors.As(err, &wire):
		return nil, fmt.Errorf("the server answered with error %d: %w", wire.Code, wire)
	case ended != nil:
		return nil, fmt.Errorf("the server ended before it answered: %w", ended)
	default:
		return nil, err
	}
}

// noteLogin notes whether the server wants a person to log in, as the outcome of
// a request says, and tells the runs if that is news.
func (s *Server) noteLogin(err error) {
	if !needsLogin(err) {
		err = nil
	}
	s.mu.Lock()
	news := (s.login == nil) != (err == nil)
	s.login = err
	s.mu.Unlock()
	if news {
		s.tellState()
	}
}
