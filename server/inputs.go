package server

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// inputs checks what a request adds to a conversation.
func (c *checker) inputs(entries mistral.Entries) {
	for i, e := range entries {
		at := []any{"body", "inputs", i}
		switch e := e.(type) {
		case *mistral.MessageInput:
			c.nonEmpty(e.Role, within(at, "role")...)
			checkEnum(c, e.Role, within(at, "role"), mistral.RoleUser, mistral.RoleAssistant)
			c.content(e.Content, true, within(at, "content"))
		case *mistral.MessageOutput:
			checkEnum(c, e.Role, within(at, "role"), mistral.RoleAssistant)
			c.content(e.Content, false, within(at, "content"))
		case *mistral.FunctionCall:
			c.nonEmpty(e.ToolCallID, within(at, "tool_call_id")...)
			c.nonEmpty(e.Name, within(at, "name")...)
			checkEnum(c, e.ConfirmationStatus, within(at, "confirmation_status"),
				mistral.ConfirmationPending, mistral.ConfirmationAllowed, mistral.ConfirmationDenied)
			if e.ConfirmationStatus == mistral.ConfirmationPending {
				c.refuse("this server does not run %s yet, and this call waits for one", "tool confirmations", within(at, "confirmation_status")...)
			}
		case *mistral.FunctionResult:
			c.nonEmpty(e.ToolCallID, within(at, "tool_call_id")...)
		case *mistral.ToolExecution:
			c.nonEmpty(e.Name, within(at, "name")...)
			c.object(e.Info, within(at, "info")...)
		case *mistral.AgentHandoff:
		case *mistral.UnknownEntry:
			c.add("union_tag_invalid", fmt.Sprintf("Input tag %q is not a type of entry that this server knows", e.Type), at...)
			continue
		}
		f := fieldsOf(e)
		*f.createdAt = c.timestamp(*f.createdAt, within(at, "created_at")...)
		*f.completedAt = c.timestamp(*f.completedAt, within(at, "completed_at")...)
		// The request was read; what is stored and sent out has no nulls.
		*f.extra = mistral.Extra{}
	}
}

// content checks the chunks of a message, of which inputs and outputs have
// different kinds.
func (c *checker) content(content mistral.Content, input bool, loc []any) {
	for i, chunk := range content.Chunks {
		at := within(loc, i)
		switch chunk := chunk.(type) {
		case *mistral.TextChunk, *mistral.ImageURLChunk, *mistral.DocumentURLChunk:
		case *mistral.ThinkChunk:
			for j, thought := range chunk.Thinking {
				switch thought.(type) {
				case *mistral.TextChunk, *mistral.ToolReferenceChunk, *mistral.ReferenceChunk:
				default:
					c.add("union_tag_invalid", "this is not a type of chunk of a thought", within(at, "thinking", j)...)
				}
			}
		case *mistral.ToolFileChunk:
			if input {
				c.refuse("this server does not keep files yet, so it cannot show the model %s", chunk.FileID, at...)
			}
		case *mistral.ToolReferenceChunk:
			if input {
				c.add("union_tag_invalid", "tool_reference is not a type of chunk of a message.input", at...)
			}
		case *mistral.UnknownChunk:
			c.add("union_tag_invalid", fmt.Sprintf("Input tag %q is not a type of chunk that this server knows", chunk.Type), at...)
		default:
			c.add("union_tag_invalid", "this is not a type of chunk of a conversation's message", at...)
		}
	}
}

// entryFields are what all entries have in common.
type entryFields struct {
	id                     *string
	createdAt, completedAt *mistral.Timestamp
	extra                  *mistral.Extra
}

func fieldsOf(e mistral.Entry) entryFields {
	switch e := e.(type) {
	case *mistral.MessageInput:
		return entryFields{&e.ID, &e.CreatedAt, &e.CompletedAt, &e.Extra}
	case *mistral.MessageOutput:
		return entryFields{&e.ID, &e.CreatedAt, &e.CompletedAt, &e.Extra}
	case *mistral.FunctionCall:
		return entryFields{&e.ID, &e.CreatedAt, &e.CompletedAt, &e.Extra}
	case *mistral.FunctionResult:
		return entryFields{&e.ID, &e.CreatedAt, &e.CompletedAt, &e.Extra}
	case *mistral.ToolExecution:
		return entryFields{&e.ID, &e.CreatedAt, &e.CompletedAt, &e.Extra}
	case *mistral.AgentHandoff:
		return entryFields{&e.ID, &e.CreatedAt, &e.CompletedAt, &e.Extra}
	}
	panic(fmt.Sprintf("server: entry of type %T", e))
}

// idPrefix is what ids of such an entry start with.
func idPrefix(e mistral.Entry) string {
	switch e.(type) {
	case *mistral.FunctionCall:
		return "fc"
	case *mistral.FunctionResult:
		return "fr"
	case *mistral.ToolExecution:
		return "tool_exec"
	case *mistral.AgentHandoff:
		return "handoff"
	}
	return "msg"
}

// stamp gives inputs what stored entries have. An id of the client's stays,
// unless an entry of the conversation has it: a restart names an entry by it.
func (s *Server) stamp(history, inputs mistral.Entries) {
	taken := map[string]bool{}
	for _, e := range history {
		taken[*fieldsOf(e).id] = true
	}
	now := s.now()
	for _, e := range inputs {
		f := fieldsOf(e)
		if *f.id == "" || taken[*f.id] {
			*f.id = s.opts.NewID(idPrefix(e))
		}
		taken[*f.id] = true
		if *f.createdAt == "" {
			*f.createdAt = now
		}
		if *f.completedAt == "" {
			*f.completedAt = *f.createdAt
		}
		if out, ok := e.(*mistral.MessageOutput); ok {
			out.Role = mistral.RoleAssistant
		}
	}
}

// A callCheck follows the calls of a conversation: every function.call gets
// exactly one function.result before anything else is said.
type callCheck struct {
	open     []string // ids of calls without a result
	answered bool     // some call of the group has its result
	missing  []string
	unknown  []string
}

// checkCalls reports inputs that do not answer the open calls, in the shape
// that the hosted API gives it.
func checkCalls(history, inputs mistral.Entries) error {
	var c callCheck
	for _, e := range history {
		c.add(e)
	}
	c.missing, c.unknown = nil, nil // what is stored can only be added to
	for _, e := range inputs {
		c.add(e)
	}
	c.close()
	if c.missing == nil && c.unknown == nil {
		return nil
	}
	message := "Not the same number of function calls and responses"
	if c.missing != nil {
		message += fmt.Sprintf(": no function.result for tool_call_id %s", strings.Join(c.missing, ", "))
	}
	if c.unknown != nil {
		message += fmt.Sprintf(": no open function.call for the function.result with tool_call_id %s", strings.Join(c.unknown, ", "))
	}
	e := badRequest("%s", message)
	e.code = codeUnansweredCalls
	return e
}

func (c *callCheck) add(e mistral.Entry) {
	switch e := e.(type) {
	case *mistral.FunctionCall:
		if c.answered && len(c.open) > 0 || slices.Contains(c.open, e.ToolCallID) {
			c.close()
		}
		c.answered = false
		c.open = append(c.open, e.ToolCallID)
	case *mistral.FunctionResult:
		i := slices.Index(c.open, e.ToolCallID)
		if i < 0 {
			c.unknown = append(c.unknown, e.ToolCallID)
			return
		}
		c.open = slices.Delete(c.open, i, i+1)
		c.answered = true
	case *mistral.MessageInput:
		c.close()
	case *mistral.MessageOutput, *mistral.ToolExecution:
		// The model may say something among its calls, but not among the results.
		if c.answered {
			c.close()
		}
	}
}

// close reports the calls that are open where none may be.
func (c *callCheck) close() {
	c.missing = append(c.missing, c.open...)
	c.open, c.answered = nil, false
}

// checkLast reports a conversation whose last entry is nothing that a model
// could answer.
func checkLast(history, inputs mistral.Entries) error {
	all := inputs
	if len(inputs) == 0 {
		all = history
	}
	if len(all) == 0 {
		return invalid(detail{loc: []any{"body", "inputs"}, kind: "missing", msg: "the conversation has nothing that a model could answer"})
	}
	switch e := all[len(all)-1].(type) {
	case *mistral.MessageInput:
		if e.Role == mistral.RoleUser || e.Prefix {
			return nil
		}
	case *mistral.FunctionResult:
		return nil
	}
	return badRequest("the last entry must be one that a model can answer: a message.input of the user, a function.result, " +
		"or a message.input of the assistant with prefix: true")
}
