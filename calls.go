package tramontane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/tramontane-dev/tramontane/internal/loop"
	"github.com/tramontane-dev/tramontane/mistral"
)

// listTools asks every Toolset and checks that the names are good.
func (d *driver) listTools() (event loop.Event, err error) {
	defer func() {
		d.listErr = err
		close(d.listed)
	}()
	tools := d.runner.Tools
	if d.runner.ReadResults {
		tools = append(tools[:len(tools):len(tools)], d.readResultTool())
	}
	more := make([][]Tool, len(d.runner.Toolsets))
	errs := make([]error, len(d.runner.Toolsets))
	var asking sync.WaitGroup
	for i, set := range d.runner.Toolsets {
		asking.Go(func() { more[i], errs[i] = d.toolsSafely(set) })
	}
	asking.Wait()
	// All are told: who mends one at a time starts the program once for each.
	if err := errors.Join(errs...); err != nil {
		return prepareFailed(err)
	}
	for _, m := range more {
		tools = append(tools[:len(tools):len(tools)], m...)
	}
	byName := make(map[string]Tool, len(tools))
	var known []loop.Tool
	var defined mistral.Tools
	for _, tool := range tools {
		def := tool.Definition()
		if !validName(def.Name) {
			return prepareFailed(fmt.Errorf("tool %q: %s", def.Name, nameRule))
		}
		if other, taken := byName[def.Name]; taken {
			return prepareFailed(fmt.Errorf("tool %s: %s and %s both have one; rename one", def.Name, origin(other.Definition()), origin(def)))
		}
		byName[def.Name] = tool
		known = append(known, loop.Tool{Name: def.Name, Safe: def.Safe, Confirm: def.Confirm})
		defined = append(defined, functionTool(def))
	}
	if err := d.runner.checkToolCount(nil, defined, byName); err != nil {
		return prepareFailed(err)
	}
	d.tools, d.defined = byName, defined
	return &loop.ToolsListed{Tools: known}, nil
}

// toolsSafely asks a Toolset, and turns a panic of it into an error.
func (d *driver) toolsSafely(set Toolset) (tools []Tool, err error) {
	if set == nil {
		return nil, errors.New("a Toolset of the Runner is nil")
	}
	defer func() {
		if p := recover(); p != nil {
			d.runner.logger().Error("toolset panicked", "type", fmt.Sprintf("%T", set), "panic", p, "stack", string(debug.Stack()))
			tools, err = nil, fmt.Errorf("toolset %T panicked: %v", set, p)
		}
	}()
	return set.Tools(d.ctx)
}

func prepareFailed(err error) (loop.Event, error) {
	return &loop.PrepareFailed{Message: err.Error()}, err
}

func origin(def Definition) string {
	if def.Server == "" {
		return "the program"
	}
	return "server " + def.Server
}

func functionTool(def Definition) *mistral.FunctionTool {
	parameters := def.Parameters
	if parameters == nil {
		parameters = json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return &mistral.FunctionTool{Function: mistral.Function{
		Name:        def.Name,
		Description: def.Description,
		Strict:      def.Strict,
		Parameters:  parameters,
	}}
}

// ask puts the calls to the person, one after the other.
func (d *driver) ask(calls []loop.Call) {
	if len(calls) == 0 {
		return
	}
	d.flying += len(calls)
	go func() {
		asked := 0
		defer func() { // the rest, if Approve ended its goroutine, as t.FailNow does
			for _, c := range calls[asked:] {
				d.arrivals <- arrival{event: Later().event(c.Key)}
			}
		}()
		for _, c := range calls {
			decision := d.decide(c)
			asked++
			d.arrivals <- arrival{event: decision.event(c.Key)}
		}
	}()
}

func (d *driver) decide(c loop.Call) (decision Decision) {
	if decision, ok := d.decisions[c.Key]; ok {
		return decision
	}
	if d.runner.Approve == nil || d.ctx.Err() != nil {
		return Later()
	}
	defer func() {
		if p := recover(); p != nil {
			d.runner.logger().Error("approval panicked", "call", c.Key, "panic", p, "stack", string(debug.Stack()))
			decision = Later()
		}
	}()
	var def Definition
	if tool, ok := d.tools[c.Name]; ok {
		def = tool.Definition()
	}
	call := publicCall(c)
	decision, err := d.runner.Approve(d.ctx, &call, def)
	if err != nil {
		d.runner.logger().Warn("approval failed; the call stays pending", "call", c.Key, "error", err)
		return Later()
	}
	return decision
}

// callTool runs a tool, when one of the slots is free.
func (d *driver) callTool(c loop.Call) (loop.Event, error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-d.ctx.Done():
	}
	switch err := d.ctx.Err(); { // perhaps both were ready
	case err != nil && c.Handle != nil:
		return &loop.ToolLeft{Key: c.Key}, err // what it began goes on
	case err != nil:
		return &loop.ToolReturned{Key: c.Key, Text: "Error: the call was not made: the run was cancelled.", IsError: true}, err
	}
	call := publicCall(c)
	keeper := &keeper{to: d.handles, key: c.Key, some: c.Handle != nil}
	defer keeper.close() // also if the tool ends its goroutine
	result, text, err := d.callSafely(context.WithValue(d.ctx, keeperKey{}, keeper), d.tools[c.Name], &call)
	kept := keeper.close()
	switch {
	case err != nil && d.ctx.Err() != nil && kept:
		return &loop.ToolLeft{Key: c.Key}, err
	case errors.Is(err, ErrOutcomeUnknown), err != nil && d.ctx.Err() != nil:
		return &loop.ToolLost{Key: c.Key, Message: d.fit(c.Key, err.Error())}, err
	case err != nil:
		return &loop.ToolReturned{Key: c.Key, Text: d.fit(c.Key, "Error: "+err.Error()), IsError: true}, err
	}
	d.keepResult(c.Key, result)
	if result.IsError {
		text = "Error: " + text
	}
	return &loop.ToolReturned{Key: c.Key, Text: d.fit(c.Key, text), IsError: result.IsError}, nil
}

// callSafely returns what a tool has to say, and its text. It turns a panic of
// the tool, or over a result with nil in it, into an error.
func (d *driver) callSafely(ctx context.Context, tool Tool, call *Call) (result *ToolResult, text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			d.runner.logger().Error("tool panicked", "tool", call.Name, "call", call.Key, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("tool %s panicked: %v", call.Name, p)
		}
	}()
	if d.reports != nil {
		ctx = emits(ctx, d.reports, call)
	}
	result, err = tool.Call(ctx, call)
	if err != nil {
		return nil, "", err
	}
	if result == nil {
		result = new(ToolResult)
	}
	return result, result.Text(), nil
}

func (d *driver) keepResult(key string, r *ToolResult) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.results[key] = r
}

func (d *driver) takeResult(key string) *ToolResult {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.results[key]
	delete(d.results, key)
	return r
}
