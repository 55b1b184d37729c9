package loop

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// newCall makes the call of an entry, with a key that no other call of the run
// has.
func newCall(s State, e *mistral.FunctionCall) Call {
	first := fmt.Sprintf("%s/%d/%s", s.RunID, s.Turn, e.ToolCallID)
	key := first
	for n := 2; find(s.Calls, key) != nil; n++ {
		key = fmt.Sprintf("%s#%d", first, n) // models repeat ids
	}
	arguments := strings.TrimSpace(e.Arguments.Text)
	if arguments == "" {
		arguments = "{}"
	}
	return Call{Key: key, ID: e.ToolCallID, Name: e.Name, Arguments: arguments}
}

// addCall takes a call in and returns what it needs first.
func addCall(s *State, e *mistral.FunctionCall) []Command {
	c := newCall(*s, e)
	c.Remote = e.ConfirmationStatus == mistral.ConfirmationPending
	command := firstNeed(s, &c)
	s.Calls = append(s.Calls, c)
	if command == nil {
		return nil
	}
	return []Command{command}
}

func firstNeed(s *State, c *Call) Command {
	if s.Cancelled {
		return skip(s, c)
	}
	if refused(s, c) {
		return nil
	}
	if c.Remote || s.Policy.Approve || s.confirm(c.Name) {
		c.Status = Asking
		return &Ask{Call: *c}
	}
	c.Status = Running
	return &CallTool{Call: *c}
}

// skip settles a call of a run that is being cancelled.
func skip(s *State, c *Call) Command {
	if c.Remote {
		c.Status = Waiting
		return nil
	}
	settle(c, cancelledText)
	return nil
}

// refused settles a call that cannot be made, and reports whether it did.
func refused(s *State, c *Call) bool {
	text := obstacle(s, c)
	if text == "" {
		return false
	}
	settle(c, text)
	c.Failed = true
	c.Remote = false // it is owed a result now, whoever was to run it
	return true
}

// obstacle says why a call cannot be made, or nothing.
func obstacle(s *State, c *Call) string {
	if c.Remote && s.Mode == Local {
		return unkeptText(c.Name)
	}
	if c.Remote {
		return "" // the server knows its tools
	}
	if !s.offers(c.Name) {
		return unknownText(c.Name, s.Tools)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(c.Arguments), &object); err != nil || object == nil {
		return malformedText(c.Name, err)
	}
	return ""
}

func decided(s State, e *Decided) (State, []Command) {
	c := find(s.Calls, e.Key)
	if c == nil || c.Status != Asking {
		return astray(s, fmt.Sprintf("a person's word came on call %s, on which nobody was asked", e.Key))
	}
	switch {
	case e.Verdict == Later:
		c.Status = Waiting
	case e.Verdict == Deny && c.Remote:
		c.Status, c.Confirmation = Settled, mistral.ConfirmationDeny
	case e.Verdict == Deny:
		settle(c, deniedText(e.Reason))
	case e.Verdict != Allow:
		return astray(s, fmt.Sprintf("a person's word on call %s is %q, which is neither allow, deny nor later", e.Key, e.Verdict))
	case c.Remote:
		c.Status, c.Confirmation = Settled, mistral.ConfirmationAllow
	case s.Cancelled:
		settle(c, cancelledText)
	default:
		c.Status = Running
		return s, []Command{&CallTool{Call: *c}}
	}
	return next(s)
}

func kept(s State, e *ToolKept) (State, []Command) {
	c := find(s.Calls, e.Key)
	if c == nil || c.Status != Running {
		return astray(s, fmt.Sprintf("a handle came of call %s, which is not running", e.Key))
	}
	c.Handle = slices.Clone(e.Handle)
	return s, nil
}

func left(s State, e *ToolLeft) (State, []Command) {
	c := find(s.Calls, e.Key)
	if c == nil || c.Status != Running || c.Handle == nil {
		return astray(s, fmt.Sprintf("call %s was left, which is not running or has no handle", e.Key))
	}
	c.Status = Left
	s.Cancelled = true // the run cannot go on without its result
	return next(s)
}

// settled gives a running call its result.
func settled(s State, key string, result func(*Call)) (State, []Command) {
	c := find(s.Calls, key)
	if c == nil || c.Status != Running {
		return astray(s, fmt.Sprintf("a result came of call %s, which is not running", key))
	}
	c.Status, c.Handle = Settled, nil
	result(c)
	return next(s)
}

// settle gives a call that was not made the result that it failed.
func settle(c *Call, text string) {
	c.Status, c.Handle, c.Result, c.IsError = Settled, nil, text, true
}

func find(calls []Call, key string) *Call {
	for i := range calls {
		if calls[i].Key == key {
			return &calls[i]
		}
	}
	return nil
}

// What the model is told of a call that has no result of its own.

const cancelledText = "Error: the call was not made: the run was cancelled."

func lostText(message string) string {
	return "Error: the outcome of the call is not known: " + message + ". It may have had its effect, and was not made a second time."
}

func deniedText(reason string) string {
	if reason == "" {
		return "Error: the call was not made: it was denied."
	}
	return "Error: the call was not made: it was denied: " + reason
}

// unkeptText tells of a call that waits for a person's word where the server
// keeps nothing that the word could be about.
func unkeptText(tool string) string {
	return fmt.Sprintf("Error: %s was not called: it needs a confirmation, which cannot be given in a conversation that is not stored.", tool)
}

func malformedText(tool string, err error) string {
	text := fmt.Sprintf("Error: %s was not called: its arguments must be a JSON object", tool)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Sprintf("%s: %v.", text, syntax)
	}
	return text + "."
}

func unknownText(tool string, tools []Tool) string {
	if len(tools) == 0 {
		return fmt.Sprintf("Error: there is no tool %q, nor any other.", tool)
	}
	names := make([]string, len(tools))
	for i, t := range tools {
		names[i] = t.Name
	}
	return fmt.Sprintf("Error: there is no tool %q. There are: %s.", tool, strings.Join(names, ", "))
}
