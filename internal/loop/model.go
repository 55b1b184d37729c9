package loop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tramontane-dev/tramontane/mistral"
)

func modelReplied(s State, e *ModelReplied) (State, []Command) {
	if s.Phase != Replying {
		return unasked(s, "a reply came")
	}
	if s.Mode != Local && e.ConversationID == "" {
		s.Unsure = true // the request was carried out, wherever it was
		return fail(s, "the reply does not name its conversation, so nothing can be added to it")
	}
	return reply(s, e)
}

// reply takes a reply in, and does what it asks for.
func reply(s State, e *ModelReplied) (State, []Command) {
	if s.Mode == Local {
		results, _ := s.owed()
		s.History = slices.Concat(s.History, results, s.Sent, e.Outputs)
	} else {
		s.ConversationID = e.ConversationID
	}
	s.Turn++
	s.Usage.PromptTokens += e.Usage.PromptTokens
	s.Usage.CompletionTokens += e.Usage.CompletionTokens
	s.Usage.TotalTokens += e.Usage.TotalTokens
	s.Sent, s.Calls = nil, nil
	s.Unsure, s.Resent, s.Tentative = false, false, false
	s.LastEntry = cmp.Or(lastID(e.Outputs), nameless)
	var commands []Command
	for _, call := range openCalls(e.Outputs) {
		commands = append(commands, addCall(&s, call)...)
	}
	if len(s.Calls) == 0 && len(s.Inputs) == 0 {
		return stop(s, Done)
	}
	return then(s, commands)
}

func modelFailed(s State, e *ModelFailed) (State, []Command) {
	if s.Phase != Replying {
		return unasked(s, "a reply failed")
	}
	uncertain := e.Uncertain && s.Mode != Local // in Local mode, nothing is stored
	if uncertain && s.ConversationID == "" && e.ConversationID != "" {
		s.ConversationID, s.LastEntry, s.Tentative = e.ConversationID, "", true
	}
	// A run that was unsure before stays so, though this request was refused for
	// certain: one before it may have been carried out late, which can be why.
	s.Unsure = s.Unsure || uncertain
	switch {
	case s.Cancelled:
		return stop(s, Cancelled)
	case !uncertain || e.Answered:
		return fail(s, e.Message) // what is owed stays owed
	case s.ConversationID == "":
		return fail(s, e.Message+"; a conversation may have been started, but its id is not known; it was not started a second time")
	}
	s.Phase, s.Error = Reading, e.Message
	return s, []Command{&ReadHistory{ConversationID: s.ConversationID}}
}

func historyRead(s State, e *HistoryRead) (State, []Command) {
	if s.Phase != Reading {
		return unasked(s, "a history came")
	}
	switch {
	case s.Cancelled:
		return stop(s, Cancelled)
	case s.Unsure:
		return afterLoss(s, e)
	case e.Message != "":
		return fail(s, e.Message)
	case e.Missing:
		return fail(s, fmt.Sprintf("conversation %s does not exist", s.ConversationID))
	}
	return adopt(s, e.Entries)
}

// adopt takes up a conversation that someone else began: every call in it that
// has no result gets one. Whether it was ever made is not known, so only safe
// tools are called.
func adopt(s State, entries mistral.Entries) (State, []Command) {
	s.Unread = false
	if len(entries) > 0 {
		s.LastEntry = cmp.Or(lastID(entries), nameless)
	}
	var commands []Command
	// The caller may bring results along.
	for _, call := range openCalls(slices.Concat(entries, s.Inputs)) {
		if call.ConfirmationStatus != mistral.ConfirmationPending && !s.safe(call.Name) {
			c := newCall(s, call)
			settle(&c, lostText("the run that was to make it ended without telling"))
			s.Calls = append(s.Calls, c)
			continue
		}
		commands = append(commands, addCall(&s, call)...)
	}
	return then(s, commands)
}

// openCalls returns the calls that wait for a result, or for a person's word.
// Ids may repeat: a result answers the first call before it that is open.
func openCalls(entries mistral.Entries) []*mistral.FunctionCall {
	var open []*mistral.FunctionCall
	for _, entry := range entries {
		switch e := entry.(type) {
		case *mistral.FunctionCall:
			if e.ConfirmationStatus == "" || e.ConfirmationStatus == mistral.ConfirmationPending {
				open = append(open, e) // the server answers those that have their word
			}
		case *mistral.FunctionResult:
			i := slices.IndexFunc(open, func(c *mistral.FunctionCall) bool { return c.ToolCallID == e.ToolCallID })
			if i >= 0 {
				open = slices.Delete(open, i, i+1)
			}
		}
	}
	return open
}

// afterLoss finds out from the history whether a lost request was carried out:
// then the reply is there, and nothing is sent again.
func afterLoss(s State, e *HistoryRead) (State, []Command) {
	loss := cmp.Or(s.Error, "the last request may have been carried out")
	switch {
	case e.Message != "":
		return fail(s, loss+"; "+e.Message)
	case e.Missing && !s.Tentative:
		return fail(s, fmt.Sprintf("%s; conversation %s is gone", loss, s.ConversationID))
	}
	after := e.Entries
	if s.LastEntry != "" {
		i := slices.IndexFunc(e.Entries, func(entry mistral.Entry) bool { return entryID(entry) == s.LastEntry })
		if i < 0 {
			return fail(s, fmt.Sprintf("%s; the history of conversation %s does not tell whether the request was carried out, so it was not sent again", loss, s.ConversationID))
		}
		after = e.Entries[i+1:]
	}
	if len(after) == 0 {
		return sendAgain(s, loss, e.Missing)
	}
	first := slices.IndexFunc(after, func(entry mistral.Entry) bool { return !isInput(entry) })
	if first < 0 {
		// The inputs have arrived and must not go a second time. The reply may
		// still come: the run stays unsure, so that Resume looks for it.
		s.Sent, s.Calls, s.Tentative = nil, nil, false
		s.LastEntry = cmp.Or(lastID(after), nameless)
		return fail(s, loss+"; the conversation has the inputs, but no reply")
	}
	if first == 0 && len(s.Calls) == 0 {
		// Without its inputs, this is the late reply to a request before it.
		s.Inputs = slices.Concat(s.Sent, s.Inputs)
	}
	outputs := slices.Clone(after[first:])
	s, commands := reply(s, &ModelReplied{ConversationID: s.ConversationID, Outputs: outputs})
	return s, append([]Command{&ShowReply{Outputs: outputs}}, commands...)
}

// sendAgain repeats a request that the history proves was not carried out, but
// only once, and with nothing added: what is new waits for the reply.
func sendAgain(s State, loss string, missing bool) (State, []Command) {
	if s.Resent {
		return fail(s, loss+"; the request was sent twice, and the conversation shows neither")
	}
	s.Tentative = false
	s.Resent = len(s.Sent) > 0 || len(s.Calls) > 0 // unless only its reply was missing
	if missing {
		s.ConversationID = ""
	}
	return then(s, nil)
}

func isInput(entry mistral.Entry) bool {
	switch entry.(type) {
	case *mistral.MessageInput, *mistral.FunctionResult:
		return true
	}
	return false
}

// nameless stands for the id of an entry that has none. No entry is found by
// it.
const nameless = "(none)"

func lastID(entries mistral.Entries) string {
	if len(entries) == 0 {
		return ""
	}
	return entryID(entries[len(entries)-1])
}

func entryID(entry mistral.Entry) string {
	switch e := entry.(type) {
	case *mistral.MessageInput:
		return e.ID
	case *mistral.MessageOutput:
		return e.ID
	case *mistral.FunctionCall:
		return e.ID
	case *mistral.FunctionResult:
		return e.ID
	case *mistral.ToolExecution:
		return e.ID
	case *mistral.AgentHandoff:
		return e.ID
	case *mistral.UnknownEntry:
		var object struct{ ID string }
		if json.Unmarshal(e.Raw, &object) == nil {
			return object.ID
		}
	}
	return ""
}
