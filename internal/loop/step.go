package loop

import (
	"fmt"
	"slices"

	"github.com/tramontane-dev/tramontane/mistral"
)

// Step takes a run one event further. It changes neither s nor what s refers
// to. An event that cannot happen in s, such as the result of a call that is
// not running, ends the run as Failed: it is a fault of the driver. One that
// comes after the end changes nothing.
func Step(s State, event Event) (State, []Command) {
	s.Calls = slices.Clone(s.Calls)
	switch e := event.(type) {
	case *Begin:
		return begin(e)
	case *Resume:
		return resume(s, e)
	}
	if s.Phase == Ended {
		return s, nil // what was under way when a run failed may still come back
	}
	switch e := event.(type) {
	case *Cancel:
		s.Cancelled = true
		return next(s)
	case *AgentPrepared:
		if s.Phase != Preparing || !s.AwaitAgent {
			return unasked(s, "an agent came")
		}
		agent := e.Agent
		s.Agent, s.AwaitAgent = &agent, false
		return prepared(s)
	case *ToolsListed:
		if s.Phase != Preparing || !s.AwaitTools {
			return unasked(s, "a list of tools came")
		}
		s.Tools, s.AwaitTools = slices.Clone(e.Tools), false
		return prepared(s)
	case *PrepareFailed:
		return prepareFailed(s, e)
	case *HistoryRead:
		return historyRead(s, e)
	case *ModelReplied:
		return modelReplied(s, e)
	case *ModelFailed:
		return modelFailed(s, e)
	case *Decided:
		return decided(s, e)
	case *ToolKept:
		return kept(s, e)
	case *ToolLeft:
		return left(s, e)
	case *ToolReturned:
		failed := e.IsError && !s.Cancelled // what a cancelled run broke off did not fail
		return settled(s, e.Key, func(c *Call) { c.Result, c.IsError, c.Failed = e.Text, e.IsError, failed })
	case *ToolLost:
		failed := !s.Cancelled
		return settled(s, e.Key, func(c *Call) { c.Result, c.IsError, c.Failed = lostText(e.Message), true, failed })
	}
	return astray(s, fmt.Sprintf("unknown event %T", event))
}

func begin(e *Begin) (State, []Command) {
	s := State{
		Version:        Version,
		Mode:           e.Mode,
		RunID:          e.RunID,
		ConversationID: e.ConversationID,
		Agent:          e.Agent,
		Policy:         e.Policy,
		TurnLimit:      e.MaxTurns,
		Inputs:         slices.Clone(e.Inputs),
		// A conversation that someone else began may wait for results.
		Unread: e.ConversationID != "",
	}
	return prepare(s)
}

func resume(s State, e *Resume) (State, []Command) {
	s.Policy = e.Policy
	s.TurnLimit = s.Turn + e.MaxTurns
	s.Inputs = slices.Concat(s.Inputs, e.Inputs)
	s.Reason, s.Error, s.Cancelled, s.Resent = "", "", false, false
	if s.Phase == Replying {
		s.Unsure = true // the program ended with a request under way
	}
	return prepare(s)
}

// prepare asks for what a run needs in every process anew: the agent too, if
// the run may yet have to start a conversation.
func prepare(s State) (State, []Command) {
	s.Phase = Preparing
	s.AwaitTools = true
	s.AwaitAgent = s.Agent != nil && (s.ConversationID == "" || s.Tentative)
	commands := []Command{&ListTools{}}
	if s.AwaitAgent {
		commands = append(commands, &PrepareAgent{Agent: *s.Agent})
	}
	return s, commands
}

// prepared goes on once the agent and the tools are there. Calls that a saved
// run left behind are taken up again.
func prepared(s State) (State, []Command) {
	if s.AwaitAgent || s.AwaitTools || s.Cancelled {
		return next(s)
	}
	if s.Unread || s.Unsure && s.ConversationID != "" {
		s.Phase = Reading
		return s, []Command{&ReadHistory{ConversationID: s.ConversationID}}
	}
	var commands []Command
	for i := range s.Calls {
		commands = append(commands, takeUp(&s, &s.Calls[i])...)
	}
	return then(s, commands)
}

func prepareFailed(s State, e *PrepareFailed) (State, []Command) {
	switch {
	case s.Phase != Preparing:
		return astray(s, "a preparation failed that nobody asked for: "+e.Message)
	case s.Cancelled:
		return stop(s, Cancelled)
	}
	return fail(s, e.Message)
}

// takeUp decides what becomes of a call that was left behind.
func takeUp(s *State, c *Call) []Command {
	switch c.Status {
	case Asking, Waiting:
		if refused(s, c) {
			return nil // the tool went away meanwhile
		}
		c.Status = Asking
		return []Command{&Ask{Call: *c}}
	case Running, Left:
		if c.Handle != nil {
			return goOn(s, c)
		}
		if !s.safe(c.Name) {
			settle(c, lostText("the program that made the call ended"))
			return nil
		}
		return []Command{&CallTool{Call: *c}}
	}
	return nil
}

// goOn has the tool go on with what it began. Nobody is asked: it was allowed.
func goOn(s *State, c *Call) []Command {
	if !s.offers(c.Name) {
		settle(c, lostText("the tool that began it is not there any more"))
		return nil
	}
	c.Status = Running
	return []Command{&CallTool{Call: *c}}
}

// then adds what comes next to commands that keep the run busy, or goes on if
// there are none.
func then(s State, commands []Command) (State, []Command) {
	s.Phase = Calling
	if len(commands) > 0 {
		return s, commands
	}
	return next(s)
}

// next goes on if nothing is under way.
func next(s State) (State, []Command) {
	failed := slices.IndexFunc(s.Calls, func(c Call) bool { return c.Failed })
	switch {
	case s.busy():
		return s, nil
	case s.Cancelled:
		return stop(s, Cancelled)
	case slices.ContainsFunc(s.Calls, func(c Call) bool { return c.Status == Waiting }):
		return stop(s, Pending)
	case s.Policy.EndOnToolFail && failed >= 0:
		// Resumed, the run tells the model instead of ending again.
		for i := range s.Calls {
			s.Calls[i].Failed = false
		}
		return fail(s, fmt.Sprintf("tool %s: %s", s.Calls[failed].Name, s.Calls[failed].Result))
	case s.Turn >= s.TurnLimit:
		return stop(s, MaxTurns)
	}
	return request(s)
}

// busy reports whether something will still come back.
func (s State) busy() bool {
	switch s.Phase {
	case Preparing:
		return s.AwaitAgent || s.AwaitTools
	case Reading, Replying:
		return true
	}
	return slices.ContainsFunc(s.Calls, func(c Call) bool { return c.Status == Asking || c.Status == Running })
}

// request sends what is owed and what is new.
func request(s State) (State, []Command) {
	results, confirmations := s.owed()
	if !s.Resent {
		s.Sent, s.Inputs = slices.Concat(s.Sent, s.Inputs), nil
	} // what is sent again stays as it was: the first may yet be carried out
	inputs := slices.Concat(results, s.Sent)
	if len(inputs) == 0 && len(confirmations) == 0 {
		return fail(s, "there is nothing to send: no input, and no result that is owed")
	}
	if s.Mode == Local {
		inputs = slices.Concat(s.History, inputs)
	}
	call := &CallModel{ConversationID: s.ConversationID, Inputs: inputs, Confirmations: confirmations}
	if s.ConversationID == "" {
		call.Agent = s.Agent
	}
	s.Phase = Replying
	return s, []Command{call}
}

// owed returns the results and the words that the conversation waits for, in
// the order of the calls.
func (s State) owed() (results mistral.Entries, words []mistral.ToolConfirmation) {
	for _, c := range s.Calls {
		if c.Remote {
			words = append(words, mistral.ToolConfirmation{ToolCallID: c.ID, Confirmation: c.Confirmation})
			continue
		}
		results = append(results, &mistral.FunctionResult{ToolCallID: c.ID, Result: c.Result})
	}
	return results, words
}

func (s State) offers(tool string) bool {
	return slices.ContainsFunc(s.Tools, func(t Tool) bool { return t.Name == tool })
}

func (s State) safe(tool string) bool {
	return slices.ContainsFunc(s.Tools, func(t Tool) bool { return t.Name == tool && t.Safe })
}

func (s State) confirm(tool string) bool {
	return slices.ContainsFunc(s.Tools, func(t Tool) bool { return t.Name == tool && t.Confirm })
}

func stop(s State, reason Reason) (State, []Command) {
	s.Phase, s.Reason, s.Error = Ended, reason, ""
	s.AwaitAgent, s.AwaitTools = false, false
	return s, []Command{&Finish{Reason: reason}}
}

func fail(s State, message string) (State, []Command) {
	s, commands := stop(s, Failed)
	s.Error = message
	return s, commands
}

// astray ends a run because of an event that cannot happen.
func astray(s State, message string) (State, []Command) {
	s.Unsure = s.Unsure || s.Phase == Replying // nobody waits for the reply any more
	return fail(s, message)
}

func unasked(s State, what string) (State, []Command) {
	return astray(s, what+" that nobody asked for")
}
