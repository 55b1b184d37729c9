package tramontane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tramontane-dev/tramontane/internal/loop"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A driver carries out the commands of one run in this process. All its fields
// belong to the goroutine that runs it, save what the comments say.
type driver struct {
	runner    *Runner
	client    *mistral.Client
	ctx       context.Context // of the run; a driver lives no longer
	cancel    context.CancelFunc
	decisions map[string]Decision
	yield     func(Event)
	reports   *reports // nil if the run has no stream

	state    loop.State
	inline   []loop.Event  // what came back without a goroutine
	arrivals chan arrival  // what came back from the goroutines
	flying   int           // arrivals to come
	slots    chan struct{} // held by the calls that run
	handles  *handles      // that the calls gave
	entries  mistral.Entries
	text     string
	told     int   // calls of the turn whose results were emitted
	cause    error // of the last failure, if it was no call
	callErrs map[string]error

	// Set by the goroutine that lists the tools, before listed is closed and
	// its arrival sent.
	listed  chan struct{}
	listErr error
	tools   map[string]Tool
	defined mistral.Tools // tools, as the API takes them

	// Set by the goroutine that prepares the agent, before its arrival is sent.
	// If nil, the conversation starts under the agent's id.
	agent *mistral.Agent

	mu      sync.Mutex             // guards the fields below
	results map[string]*ToolResult // of the turn, by key
	wholes  []ResourceContent      // texts of results that were cut

	conversation string        // as the state has it, for Sample
	model        string        // that Sample asks, once it was looked up
	sampled      mistral.Usage // by Sample
}

// An arrival is an event, and the error behind it if there is one.
type arrival struct {
	event loop.Event
	err   error
}

// run takes the run from its first event to its end, and returns when every
// goroutine has ended.
func (d *driver) run(ctx context.Context, first loop.Event) (*Result, error) {
	d.ctx, d.cancel = context.WithCancel(context.WithValue(emits(ctx, d.reports, nil), samplerKey{}, d))
	defer d.stop()
	d.conversation = d.state.ConversationID // no goroutine runs yet
	d.inline = []loop.Event{first}
	cancelled := false
	for {
		if d.ctx.Err() != nil && !cancelled && d.state.Phase != "" {
			cancelled = true
			d.inline = slices.Insert(d.inline, 0, loop.Event(&loop.Cancel{}))
		}
		event, ok := d.next(cancelled)
		if !ok {
			d.closeReports()
			return d.finish()
		}
		if event == nil {
			continue // the context ended, or something was reported or kept
		}
		d.step(event)
	}
}

// stop ends what is under way and waits for it. Something is only if emit did
// not return, because the body of the caller's loop panicked or ended its
// goroutine, as t.FailNow does.
func (d *driver) stop() {
	d.cancel()
	for ; d.flying > 0; d.flying-- {
		<-d.arrivals
	}
}

// next returns what came back next; nothing, if the context ended or something
// was reported or kept meanwhile; and false, if nothing is left to come.
func (d *driver) next(cancelled bool) (loop.Event, bool) {
	if len(d.inline) > 0 {
		event := d.inline[0]
		d.inline = d.inline[1:]
		return event, true
	}
	if d.flying == 0 {
		return nil, false
	}
	done := d.ctx.Done()
	if cancelled {
		done = nil
	}
	var ready chan struct{}
	if d.reports != nil {
		ready = d.reports.ready
	}
	select {
	case a := <-d.arrivals:
		d.flying--
		d.keepError(a)
		d.takeHandles()
		return a.event, true
	case <-d.handles.ready:
		d.takeHandles()
		return nil, true
	case <-ready:
		d.takeHandles()
		d.takeReports()
		return nil, true
	case <-done:
		return nil, true
	}
}

// emit yields what was reported before, and the event: what a tool reported
// stands before its result.
func (d *driver) emit(e Event) {
	d.flush()
	d.yield(e)
}

// flush yields what was reported, if there is anything. It is called for each
// event of a reply, and costs no lock when there is not.
func (d *driver) flush() {
	if d.reports == nil {
		return
	}
	select {
	case <-d.reports.ready:
		d.takeReports()
	default:
	}
}

func (d *driver) takeReports() {
	for _, e := range d.reports.take() {
		d.yield(e)
	}
}

// closeReports yields what was reported last. What comes later is lost.
func (d *driver) closeReports() {
	if d.reports == nil {
		return
	}
	missed := d.reports.close()
	d.takeReports()
	if missed > 0 {
		d.runner.logger().Warn("log events were dropped: the reader of the stream was too far behind", "events", missed)
	}
}

func (d *driver) step(event loop.Event) {
	if reply, ok := event.(*loop.ModelReplied); ok {
		d.show(reply.Outputs)
	}
	before := d.state
	var commands []loop.Command
	d.state, commands = loop.Step(d.state, event)
	if d.state.ConversationID != before.ConversationID {
		d.mu.Lock()
		d.conversation = d.state.ConversationID
		d.mu.Unlock()
	}
	for _, command := range commands {
		if c, ok := command.(*loop.ShowReply); ok { // it stands before the results of its calls
			d.show(c.Outputs)
			d.emit(&FoundEvent{Entries: c.Outputs})
		}
	}
	if e, ok := event.(*loop.ToolKept); ok {
		d.tellKept(e.Key)
	}
	d.tell(before)
	var asks []loop.Call
	for _, command := range commands {
		switch c := command.(type) {
		case *loop.ListTools:
			d.fly(&loop.PrepareFailed{Message: "a tool ended the goroutine that asked for its definition"}, d.listTools)
		case *loop.PrepareAgent:
			lost := &loop.PrepareFailed{Message: "the HTTP client ended the goroutine that asked for the agent"}
			d.fly(lost, func() (loop.Event, error) { return d.prepareAgent(c.Agent) })
		case *loop.ReadHistory:
			d.inline = append(d.inline, d.readHistory(c))
		case *loop.CallModel:
			d.inline = append(d.inline, d.callModel(c))
		case *loop.CallTool:
			lost := &loop.ToolLost{Key: c.Call.Key, Message: "the tool ended the goroutine that called it"}
			d.fly(lost, func() (loop.Event, error) { return d.callTool(c.Call) })
		case *loop.Ask:
			asks = append(asks, c.Call)
		}
	}
	d.ask(asks)
}

// show takes the entries of a reply into the result.
func (d *driver) show(outputs mistral.Entries) {
	d.cause = nil
	d.entries = append(d.entries, outputs...)
	d.text = lastText(outputs)
}

// fly starts a goroutine that ends with the arrival of the event of f, or of
// lost if f does not return: tools of a test may call t.FailNow.
func (d *driver) fly(lost loop.Event, f func() (loop.Event, error)) {
	d.flying++
	go func() {
		a := arrival{event: lost}
		defer func() { d.arrivals <- a }()
		a.event, a.err = f()
	}()
}

// keepError keeps the error behind an event, which the loop knows as text.
func (d *driver) keepError(a arrival) {
	switch e := a.event.(type) {
	case *loop.ToolReturned:
		d.callErrs[e.Key] = a.err
	case *loop.ToolLost:
		d.callErrs[e.Key] = a.err
	case *loop.ToolLeft:
		d.callErrs[e.Key] = a.err
	default:
		if a.err != nil {
			d.cause = a.err
		}
	}
}

// tell emits the results that have become known, in the order of the calls.
func (d *driver) tell(before loop.State) {
	if d.state.Turn != before.Turn {
		d.told = 0
	}
	for ; d.told < settledFirst(d.state.Calls); d.told++ {
		c := d.state.Calls[d.told]
		if c.Remote {
			continue
		}
		entry := &mistral.FunctionResult{
			CreatedAt:  mistral.NewTimestamp(time.Now()),
			ToolCallID: c.ID,
			Result:     c.Result,
		}
		d.entries = append(d.entries, entry)
		event := &ResultEvent{Call: publicCall(c), Entry: entry, Result: d.takeResult(c.Key), Whole: d.wholeOf(c.Key), IsError: c.IsError}
		if event.Result != nil {
			event.Unshown = event.Result.unshown()
		}
		d.emit(event)
	}
}

// takeHandles takes in the handles that calls gave. They stand before what the
// calls report afterwards, and before their ends.
func (d *driver) takeHandles() {
	for _, event := range d.handles.take() {
		d.step(event)
	}
}

// tellKept tells that a call has a handle.
func (d *driver) tellKept(key string) {
	for _, c := range d.state.Calls {
		if c.Key == key && c.Handle != nil {
			d.yield(&KeptEvent{Call: publicCall(c), State: &State{state: d.state}})
		}
	}
}

// settledFirst returns how many calls are settled before the first that is not.
func settledFirst(calls []loop.Call) int {
	i := slices.IndexFunc(calls, func(c loop.Call) bool { return c.Status != loop.Settled })
	if i < 0 {
		return len(calls)
	}
	return i
}

func publicCall(c loop.Call) Call {
	arguments := json.RawMessage(c.Arguments)
	if !json.Valid(arguments) {
		arguments, _ = json.Marshal(c.Arguments) // a string never fails
	}
	return Call{Key: c.Key, ID: c.ID, Name: c.Name, Arguments: arguments, Handle: c.Handle}
}

// finish makes of the last state what the caller gets.
func (d *driver) finish() (*Result, error) {
	r := d.result()
	switch d.state.Reason {
	case loop.Done:
		if d.runner.Output == nil {
			return r, nil
		}
		output, err := d.runner.Output.read(r.Text)
		r.Output = output
		return r, err
	case loop.MaxTurns:
		return r, fmt.Errorf("%w: replies of the model so far: %d", ErrMaxTurns, d.state.Turn)
	case loop.Pending:
		return r, fmt.Errorf("%w: %d", ErrPending, len(r.Pending))
	case loop.Cancelled:
		return r, context.Cause(d.ctx)
	}
	return r, &runError{message: d.state.Error, cause: d.failure()}
}

// failure returns the error behind a run that failed, or nil. Where a call that
// fails ends the run, it is that of every call of the turn.
func (d *driver) failure() error {
	if d.cause != nil || d.runner.OnToolError != EndRun {
		return d.cause
	}
	var errs []error
	for _, c := range d.state.Calls {
		errs = append(errs, d.callErrs[c.Key])
	}
	return errors.Join(errs...)
}

func (d *driver) result() *Result {
	state := d.state
	d.mu.Lock()
	state.Usage.PromptTokens += d.sampled.PromptTokens
	state.Usage.CompletionTokens += d.sampled.CompletionTokens
	state.Usage.TotalTokens += d.sampled.TotalTokens
	d.mu.Unlock()
	r := &Result{
		Reason:         Reason(state.Reason),
		Entries:        d.entries,
		Text:           d.text,
		ConversationID: state.ConversationID,
		Usage: mistral.Usage{
			PromptTokens:     state.Usage.PromptTokens,
			CompletionTokens: state.Usage.CompletionTokens,
			TotalTokens:      state.Usage.TotalTokens,
		},
		State: &State{state: state},
	}
	if r.Reason == "" {
		r.Reason = ReasonFailed // the run never began
	}
	d.mu.Lock()
	r.Resources = slices.Clone(d.wholes)
	d.mu.Unlock()
	for _, c := range d.state.Calls {
		if c.Status == loop.Waiting {
			r.Pending = append(r.Pending, publicCall(c))
		}
		if c.Handle != nil {
			r.Kept = append(r.Kept, publicCall(c))
		}
	}
	return r
}

// lastText returns the text of the last message among the outputs of a reply.
func lastText(outputs mistral.Entries) string {
	for _, entry := range slices.Backward(outputs) {
		if m, ok := entry.(*mistral.MessageOutput); ok {
			return m.Content.String()
		}
	}
	return ""
}

func (r *Runner) logger() *slog.Logger {
	if r.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Logger
}
