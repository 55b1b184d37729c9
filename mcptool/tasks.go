package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/tramontane-dev/tramontane"
)

const (
	defaultMaxTaskTime = 24 * time.Hour

	// minTaskPoll and maxTaskPoll bound the time between two questions about a
	// task, whatever the server wants.
	minTaskPoll = 20 * time.Millisecond
	maxTaskPoll = time.Hour

	// firstTaskPoll is the first of these times if the server does not say; each
	// is half as long again as the one before, up to slowTaskPoll.
	firstTaskPoll = 500 * time.Millisecond
	slowTaskPoll  = 30 * time.Second

	// cancelTime bounds the request to cancel a task that nobody waits for any
	// more, so that a call ends although the server is gone.
	cancelTime = 5 * time.Second
)

// A taskHandle is what a run keeps of a task; see [tramontane.Keep].
type taskHandle struct {
	Server   string   `json:"server"`
	Task     string   `json:"task"`
	Answered []string `json:"answered,omitempty"` // keys of questions
}

// A task is what a server made of a call: it goes on beside requests and
// sessions, and is asked for until it is over.
type task struct {
	server *Server
	tool   *tool
	call   *tramontane.Call
	handle taskHandle
	kept   bool // by the run, or by whoever made the call
	wake   chan struct{}
	said   string // the status that was told last
	told   int    // messages of its status
}

// underwayTask makes a call that has become a task known, in the place of the
// request that it was: news that come with its token are the task's from now on.
// The context is that of the whole call, not of a request. Stop releases what it
// holds.
func (t *tool) underwayTask(ctx context.Context, call *tramontane.Call, token string, handle taskHandle) (_ context.Context, k *task, stop func()) {
	s := t.server
	total := s.maxTaskTime()
	ctx, deadline, release := withDeadline(ctx, total, total)
	k = &task{server: s, tool: t, call: call, handle: handle, wake: make(chan struct{}, 1)}
	ctx, done := s.track(ctx, call, deadline, token, k)
	return ctx, k, func() { done(); release() }
}

// asTask returns a context in which the tool is called as a task, if it is to be:
// in 2025-11-25 that is the client's choice, as far as the tool has it.
func (t *tool) asTask(ctx context.Context, sess *session) context.Context {
	if !sess.legacy() || !sess.conn.handshake.tasks().calls {
		return ctx
	}
	if t.tasks != "required" && !(t.tasks == "optional" && t.server.PreferTasks) {
		return ctx
	}
	// Who comes back to it may come late.
	ttl := t.server.maxTaskTime().Milliseconds()
	var more requestMembers
	more.add("task", fmt.Appendf(nil, `{"ttl":%d}`, ttl))
	return withMembers(ctx, more)
}

func (s *Server) maxTaskTime() time.Duration {
	if s.MaxTaskTime <= 0 {
		return defaultMaxTaskTime
	}
	return s.MaxTaskTime
}

// A begunCall is a call whose task has begun.
type begunCall struct {
	*task
	ctx    context.Context
	stop   func()
	status *taskStatus
}

// begun returns the call as the task that raw says was begun, or nil if raw is
// the result. The contexts are those of the call and of its request.
func (t *tool) begun(ctx, reqCtx context.Context, call *tramontane.Call, raw json.RawMessage) *begunCall {
	status := begunTask(raw)
	if status == nil {
		return nil
	}
	b := &begunCall{status: status}
	u := reqCtx.Value(underwayKey{}).(*underway)
	b.ctx, b.task, b.stop = t.underwayTask(ctx, call, u.token, taskHandle{Server: t.server.Name, Task: status.ID})
	b.keep(ctx)
	return b
}

func (b *begunCall) wait(ctx context.Context) (json.RawMessage, error) {
	defer b.stop()
	return b.task.wait(ctx, b.ctx, b.status)
}

// goOn goes on with the task that a call began in an earlier part of its run.
func (t *tool) goOn(ctx context.Context, call *tramontane.Call) (json.RawMessage, error) {
	handle, err := readHandle(t.server.Name, call)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", tramontane.ErrOutcomeUnknown, err)
	}
	taskCtx, k, stop := t.underwayTask(ctx, call, "", handle)
	defer stop()
	k.kept = true
	return k.wait(ctx, taskCtx, &taskStatus{})
}

// readHandle reads the handle of a call of the server with that name.
func readHandle(server string, call *tramontane.Call) (taskHandle, error) {
	var h taskHandle
	if err := json.Unmarshal(call.Handle, &h); err != nil || h.Task == "" || h.Server != server {
		return h, fmt.Errorf("the handle of call %s is none of a task of the server", call.Key)
	}
	return h, nil
}

// keep has the run keep the handle as it is now.
func (k *task) keep(ctx context.Context) {
	data, err := json.Marshal(k.handle)
	if err == nil && tramontane.Keep(ctx, data) {
		k.kept = true
	}
}

// wait asks for the task until it is over, and returns the result of the tool.
// The outer context is that of the call; ctx is the same with the deadline of
// the task. If outer ends, the task goes on if somebody knows of it.
func (k *task) wait(outer, ctx context.Context, status *taskStatus) (json.RawMessage, error) {
	raw, err := k.poll(ctx, status)
	if err == nil || ctx.Err() == nil {
		return raw, err
	}
	if outer.Err() != nil && k.kept {
		return nil, fmt.Errorf("given up on its task %s, which goes on: %w", k.id(), outer.Err())
	}
	why := k.cancel(ctx)
	if outer.Err() != nil {
		return nil, fmt.Errorf("%w: given up on its task %s, which %s: %w", tramontane.ErrOutcomeUnknown, k.id(), why, outer.Err())
	}
	var timeout *timeoutError
	if errors.As(context.Cause(ctx), &timeout) && timeout.person {
		return nil, fmt.Errorf("%w: %w: %w; its task %s %s", tramontane.ErrOutcomeUnknown, errTimeout, timeout, k.id(), why)
	}
	return nil, fmt.Errorf("%w: %w: its task %s did not end within MaxTaskTime, and %s", tramontane.ErrOutcomeUnknown, errTimeout, k.id(), why)
}

// cancel asks the server to end the task, and says what came of that.
func (k *task) cancel(ctx context.Context) string {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	if err := k.server.cancelTask(ctx, k.handle.Task); err != nil {
		return fmt.Sprintf("could not be cancelled: %v", oneLine(err))
	}
	return "was cancelled"
}

func (k *task) id() string { return visible(k.handle.Task) }

// poll asks for the task from the status on that was told when it was begun, if
// it was.
func (k *task) poll(ctx context.Context, status *taskStatus) (json.RawMessage, error) {
	results := k.newResults(ctx)
	defer results.close()
	pause := firstTaskPoll
	if status.Status != taskWorking {
		status = nil // what it says more is in the answer to tasks/get
	}
	for {
		if status == nil {
			raw, err := k.ask(ctx, "tasks/get", &taskParams{TaskID: k.handle.Task})
			if err != nil {
				return nil, err
			}
			status = new(taskStatus)
			if err := json.Unmarshal(raw, status); err != nil {
				return nil, fmt.Errorf("%w: what the server says of its task %s cannot be read: %w", tramontane.ErrOutcomeUnknown, k.id(), err)
			}
		}
		k.tell(ctx, status)
		if status.over() {
			return k.end(ctx, results, status)
		}
		if status.Status == taskInput {
			again, err := k.answer(ctx, results, status)
			if err != nil {
				return nil, err
			}
			if again {
				pause = firstTaskPoll
			}
		}
		wait := jitter(pause)
		pause = min(pause*3/2, slowTaskPoll)
		if wanted := status.interval(); wanted > 0 {
			wait = max(wanted, minTaskPoll)
		}
		status = nil
		if raw, err := k.pause(ctx, wait, results); raw != nil || err != nil {
			return raw, err
		}
	}
}

// pause waits until it is time to ask again, and returns the result of the task
// if that comes meanwhile.
func (k *task) pause(ctx context.Context, wait time.Duration, results *taskResults) (json.RawMessage, error) {
	began := time.Now()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-k.wake:
		// A server that says a lot is asked no more often than any.
		return nil, sleep(ctx, minTaskPoll-time.Since(began))
	case r := <-results.came:
		results.under = false
		if r.err == nil {
			return r.raw, nil
		}
		// Not of the tool, which is still at work. It is asked for again while
		// the task waits for input, but not at once: it may fail at once again.
		k.server.logger().InfoContext(ctx, "an mcp server does not wait for the end of a task", "server", k.server.Name, "task", k.handle.Task, "cause", r.err)
		return nil, sleep(ctx, min(wait, firstTaskPoll)-time.Since(began))
	case <-k.server.life.Done(): // the next question fails, and says so
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return nil, nil
}

// tell emits the message of a status that is news.
func (k *task) tell(ctx context.Context, status *taskStatus) {
	said := status.Status + "\n" + status.Message
	if said == k.said {
		return
	}
	k.said = said
	k.server.logger().DebugContext(ctx, "mcp server says of a task", "server", k.server.Name, "task", k.handle.Task, "status", status.Status, "message", status.Message)
	message := status.Message
	if message == "" && status.Status != taskInput {
		return
	}
	if message == "" {
		message = "The task waits for input."
	}
	k.told++
	progress, total := k.server.progressOf(ctx, float64(k.told))
	tramontane.Emit(ctx, &tramontane.ProgressEvent{Call: *k.call, Progress: progress, Total: total, Message: message})
}

// end returns what came of a task that is over.
func (k *task) end(ctx context.Context, results *taskResults, status *taskStatus) (json.RawMessage, error) {
	if status.Status == taskCancelled {
		return nil, k.ended("was cancelled", status)
	}
	if given(status.Result) {
		return status.Result, nil
	}
	if status.Error != nil {
		return nil, fmt.Errorf("%w: error %d: %w", k.ended("failed", status), status.Error.Code, status.Error)
	}
	if sess, err := k.server.connect(ctx); err == nil && !sess.legacy() {
		if status.Status == taskFailed {
			return nil, k.ended("failed", status)
		}
		return nil, fmt.Errorf("%w: its task %s is completed, and has no result", tramontane.ErrOutcomeUnknown, k.id())
	}
	// In 2025-11-25 the result is asked for, also that of a failure.
	r, ok := results.awaited(ctx)
	if !ok {
		r.raw, r.err = k.ask(ctx, "tasks/result", &taskParams{TaskID: k.handle.Task})
	}
	var wire *jsonrpc.Error
	switch {
	case !errors.As(r.err, &wire):
		return r.raw, r.err
	case status.Status == taskFailed:
		return nil, fmt.Errorf("%w: %w", k.ended("failed", status), r.err)
	}
	// The tool has had its effect, so this is no error of its own.
	return nil, fmt.Errorf("%w: its task %s is completed, and its result cannot be had: %w", tramontane.ErrOutcomeUnknown, k.id(), r.err)
}

func (k *task) ended(how string, status *taskStatus) error {
	if status.Message == "" {
		return fmt.Errorf("its task %s %s", k.id(), how)
	}
	return fmt.Errorf("its task %s %s: %s", k.id(), how, status.Message)
}

// answer gives a task the input that it waits for, and reports whether it did:
// in 2025-11-25 the server asks by itself, while tasks/result waits.
func (k *task) answer(ctx context.Context, results *taskResults, status *taskStatus) (bool, error) {
	if !given(status.Requests) {
		results.open(ctx)
		return false, nil
	}
	questions, err := inputRequests(status.Requests)
	if err != nil {
		return false, fmt.Errorf("%w: %w; its task %s %s", tramontane.ErrOutcomeUnknown, err, k.id(), k.cancel(ctx))
	}
	// The server may not have taken in the answers yet.
	questions = slices.DeleteFunc(questions, func(q inputRequest) bool { return slices.Contains(k.handle.Answered, q.key) })
	if len(questions) == 0 {
		return false, nil
	}
	sess, err := k.server.connect(ctx)
	if err != nil {
		return false, nil // tasks/get says more
	}
	answers, err := k.server.answerInputs(ctx, sess, questions)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w; its task %s %s", tramontane.ErrOutcomeUnknown, err, k.id(), k.cancel(ctx))
	}
	if _, err := k.ask(ctx, "tasks/update", &taskParams{TaskID: k.handle.Task, Responses: answers}); err != nil {
		return false, err
	}
	for _, q := range questions {
		k.handle.Answered = append(k.handle.Answered, q.key)
	}
	k.keep(ctx)
	return true, nil
}

// ask makes a request about the task, again while the server cannot be reached,
// on other sessions, for CallTimeout: each of them changes nothing the second
// time.
func (k *task) ask(ctx context.Context, method string, params *taskParams) (json.RawMessage, error) {
	s := k.server
	patience, _ := s.limits()
	var since time.Time
	for n := 0; ; n++ {
		sess, err := s.connect(ctx)
		var raw json.RawMessage
		if err == nil {
			raw, err = s.request(ctx, sess, nil, func(ctx context.Context) (json.RawMessage, error) {
				return sendTask(ctx, sess, method, params)
			})
		}
		var wire *jsonrpc.Error
		switch isWire := errors.As(err, &wire); {
		case err == nil:
			return raw, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case isWire && method == "tasks/result":
			return nil, err // of the tool, if the task failed
		case isWire && wire.Code == jsonrpc.CodeInvalidParams:
			return nil, fmt.Errorf("%w: the server does not know its task %s any more: %w", tramontane.ErrOutcomeUnknown, k.id(), err)
		case isWire && (wire.Code == jsonrpc.CodeMethodNotFound || wire.Code == jsonrpc.CodeInvalidRequest || wire.Code == codeNoCapability),
			errors.Is(err, errClosed), needsLogin(err):
			return nil, fmt.Errorf("%w: %s of its task %s: %w", tramontane.ErrOutcomeUnknown, method, k.id(), err)
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) >= patience {
			return nil, fmt.Errorf("%w: nothing was heard of its task %s for %v: %w", tramontane.ErrOutcomeUnknown, k.id(), patience, err)
		}
		s.logger().InfoContext(ctx, "an mcp server does not answer about a task; it is asked again", "server", s.Name, "task", k.handle.Task, "cause", err)
		if n == 0 && (sess == nil || sess.conn.ended() != nil) {
			continue // on a new session
		}
		if err := sleep(ctx, jitter(min(firstTaskPoll<<min(n, 10), slowTaskPoll))); err != nil {
			return nil, err
		}
	}
}

// A taskResult is the outcome of a tasks/result.
type taskResult struct {
	raw json.RawMessage
	err error
}

// taskResults make the request for the result of a task that is not over: it
// waits for the end, and meanwhile the server asks what it has to. At most one
// is under way. The zero value of came and under belongs to poll.
type taskResults struct {
	task   *task
	ctx    context.Context
	cancel context.CancelFunc
	came   chan taskResult
	under  bool
	done   chan struct{} // of the last one
}

func (k *task) newResults(ctx context.Context) *taskResults {
	ctx, cancel := context.WithCancel(ctx)
	return &taskResults{task: k, ctx: ctx, cancel: cancel, came: make(chan taskResult, 1)}
}

// open makes the request, unless one is under way.
func (r *taskResults) open(ctx context.Context) {
	if r.under {
		return
	}
	s := r.task.server
	sess, err := s.connect(ctx)
	if err != nil {
		return
	}
	r.under, r.done = true, make(chan struct{})
	done := r.done
	go func() {
		defer close(done)
		// Its end is that of the task.
		raw, err := s.requestWithin(r.ctx, sess, maxTaskResult, maxTaskResult, nil, func(ctx context.Context) (json.RawMessage, error) {
			return sendTask(ctx, sess, "tasks/result", &taskParams{TaskID: r.task.handle.Task})
		})
		r.came <- taskResult{raw, err}
	}()
}

// maxTaskResult is longer than any task: its own deadline is another.
const maxTaskResult = 1000 * time.Hour

// awaited returns the outcome of the request that is under way, if there is one
// and it comes soon, as it must once the task is over.
func (r *taskResults) awaited(ctx context.Context) (taskResult, bool) {
	if !r.under {
		return taskResult{}, false
	}
	patience, _ := r.task.server.limits()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case result := <-r.came:
		r.under = false
		var wire *jsonrpc.Error
		return result, result.err == nil || errors.As(result.err, &wire)
	case <-timer.C:
	case <-ctx.Done():
	}
	return taskResult{}, false
}

// close ends the request and waits for its end.
func (r *taskResults) close() {
	r.cancel()
	if r.done != nil {
		<-r.done
	}
}

// taskNotice takes in that a server says something of a task by itself: it is
// asked at once, instead of when it is time.
func (s *Server) taskNotice(raw json.RawMessage) {
	var status taskStatus
	if json.Unmarshal(raw, &status) != nil || status.ID == "" {
		return
	}
	u := s.underwayOf(status.ID)
	if u == nil {
		return
	}
	select {
	case u.task.wake <- struct{}{}:
	default:
	}
}

// underwayOf returns the call that has become the task with that id, or nil.
func (s *Server) underwayOf(id string) *underway {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.underway {
		if u.task != nil && u.task.handle.Task == id {
			return u
		}
	}
	return nil
}

// inTask returns the context of a question of the server that belongs to the
// task with that id, if there is one: it has the values of the call, and ends
// with it.
func (s *Server) inTask(ctx context.Context, id string) (_ context.Context, leave func()) {
	if _, known := ctx.Value(underwayKey{}).(*underway); known || id == "" {
		return ctx, func() {}
	}
	u := s.underwayOf(id)
	if u == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(u.ctx, cancel)
	return &borrowed{ctx, context.WithValue(u.ctx, underwayKey{}, u)}, func() { stop(); cancel() }
}

// CancelTask asks the server to end the task of a call that a run has ended
// without: one of [tramontane.Result.Kept], or of a [tramontane.KeptEvent]. A run
// that is cancelled leaves its tasks alone, since it may be resumed; this is for
// those that will not be. The server may finish the task all the same, or have
// finished it, which is an error in protocol version 2025-11-25, as is a server
// that cannot cancel. It is an error if the call is of another server.
func (s *Server) CancelTask(ctx context.Context, call *tramontane.Call) error {
	handle, err := readHandle(s.Name, call)
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return oneLine(s.cancelTask(ctx, handle.Task))
}

func (s *Server) cancelTask(ctx context.Context, id string) error {
	_, err := ask(ctx, s, "cancel task "+visible(id), func(ctx context.Context, sess *session) (json.RawMessage, error) {
		if sess.legacy() && !sess.conn.handshake.tasks().cancel {
			return nil, errors.New("the server does not offer that")
		}
		return sendTask(ctx, sess, "tasks/cancel", &taskParams{TaskID: id})
	})
	return err
}
