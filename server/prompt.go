package server

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// A promptBuilder turns entries into the messages of a chat. Chat models want
// the calls of one turn in one message of the assistant, right after it one
// message of each tool, and then the assistant before the user.
type promptBuilder struct {
	messages mistral.ChatMessages

	// The assistant's turn so far: what it said, its calls, and the results of
	// those that the server ran itself.
	said     []mistral.Content
	prefix   string // what was said is this, and the next output goes on from it
	calls    []mistral.ToolCall
	executed []mistral.ChatMessage
	function bool // one of the calls is a function.call
}

// prompt returns the chat of a conversation.
func prompt(instructions string, entries mistral.Entries) mistral.ChatMessages {
	var b promptBuilder
	if instructions != "" {
		b.messages = append(b.messages, &mistral.SystemMessage{Content: mistral.Content{Text: instructions}})
	}
	for _, e := range entries {
		b.add(e)
	}
	b.flush()
	if m := b.last(); len(entries) > 0 && m != nil {
		// Mistral's models refuse a prefix that is not the last message.
		in, ok := entries[len(entries)-1].(*mistral.MessageInput)
		m.Prefix = ok && in.Prefix
	}
	return b.messages
}

// last returns the last message if it is one of the assistant, or nil.
func (b *promptBuilder) last() *mistral.AssistantMessage {
	if len(b.messages) == 0 {
		return nil
	}
	m, _ := b.messages[len(b.messages)-1].(*mistral.AssistantMessage)
	return m
}

func (b *promptBuilder) add(e mistral.Entry) {
	switch e := e.(type) {
	case *mistral.MessageInput:
		b.flush()
		if e.Role == mistral.RoleUser {
			b.user(e)
			return
		}
		content := assistantContent(e.Content)
		b.said = append(b.said, content)
		if e.Prefix {
			b.prefix = content.Text
		}
	case *mistral.MessageOutput:
		if b.executed != nil && !b.function {
			b.flush()
		}
		content := assistantContent(e.Content)
		if b.prefix != "" {
			// One message: templates want turns to alternate. Mistral repeats the
			// prefix in its answer, others do not.
			content.Text = b.prefix + strings.TrimPrefix(content.Text, b.prefix)
			b.said, b.prefix = nil, ""
		}
		b.said = append(b.said, content)
	case *mistral.FunctionCall:
		if b.executed != nil && !b.function {
			b.flush()
		}
		b.function = true
		b.calls = append(b.calls, toolCall(e.ToolCallID, e.Name, e.Arguments.Text))
	case *mistral.FunctionResult:
		b.flush()
		b.messages = append(b.messages, &mistral.ToolMessage{
			ToolCallID: e.ToolCallID,
			Name:       b.nameOf(e.ToolCallID),
			Content:    mistral.Content{Text: e.Result},
		})
	case *mistral.ToolExecution:
		// What the tool returned is not in the entry; its info is all there is.
		id := "x" + shortHash(e.ID)
		b.calls = append(b.calls, toolCall(id, e.Name, e.Arguments))
		b.executed = append(b.executed, &mistral.ToolMessage{
			ToolCallID: id, Name: usableName(e.Name), Content: mistral.Content{Text: string(e.Info)},
		})
	case *mistral.AgentHandoff:
		// The messages before and after it are what the model needs.
	}
}

// flush ends the assistant's turn.
func (b *promptBuilder) flush() {
	said, calls, executed := b.said, b.calls, b.executed
	b.said, b.prefix, b.calls, b.executed, b.function = nil, "", nil, nil, false
	if calls == nil {
		for _, content := range said {
			b.assistant(content, nil)
		}
		return
	}
	var text string
	for _, content := range said {
		text += content.String()
	}
	b.assistant(mistral.Content{Text: text}, calls)
	b.messages = append(b.messages, executed...)
}

// assistant adds a message, unless it is one that says nothing: models answer
// with nothing at times, and chat models refuse to be told of it.
func (b *promptBuilder) assistant(content mistral.Content, calls []mistral.ToolCall) {
	m := &mistral.AssistantMessage{ToolCalls: calls}
	if content.Text != "" {
		m.Content = &content
	}
	if m.Content != nil || calls != nil {
		b.messages = append(b.messages, m)
	}
}

func (b *promptBuilder) user(e *mistral.MessageInput) {
	if n := len(b.messages); n > 0 {
		// Mistral's models refuse a user right after a tool ("Unexpected role
		// 'user' after role 'tool'").
		if _, ok := b.messages[n-1].(*mistral.ToolMessage); ok {
			b.messages = append(b.messages, &mistral.AssistantMessage{Content: &mistral.Content{Text: "OK."}})
		}
	}
	b.messages = append(b.messages, &mistral.UserMessage{Content: userContent(e.Content)})
}

// nameOf returns the name of the function of a call. Some chat templates need
// it beside the result.
func (b *promptBuilder) nameOf(toolCallID string) string {
	for i := len(b.messages) - 1; i >= 0; i-- {
		m, ok := b.messages[i].(*mistral.AssistantMessage)
		if !ok {
			continue
		}
		for _, call := range m.ToolCalls {
			if call.ID == toolCallID {
				return call.Function.Name
			}
		}
	}
	return ""
}

// toolCall is a call as chat models take it. Their templates parse the
// arguments, and Mistral's models refuse names such as "functions.search", which
// models make up: told as they are, these would end the conversation for good.
func toolCall(id, name, arguments string) mistral.ToolCall {
	if arguments == "" {
		arguments = "{}"
	}
	var object map[string]json.RawMessage
	switch err := json.Unmarshal([]byte(arguments), &object); {
	case err != nil:
		quoted, _ := json.Marshal(map[string]string{"malformed_arguments": arguments})
		arguments = string(quoted)
	case object == nil: // null
		arguments = "{}"
	}
	return mistral.ToolCall{
		ID: id, Type: "function",
		Function: mistral.ToolCallFunc{Name: usableName(name), Arguments: mistral.Arguments{Text: arguments}},
	}
}

var unusable = regexp.MustCompile(`[^a-zA-Z0-9_-]`)

// usableName returns the name of a function, changed to one that chat models
// take if it is not.
func usableName(name string) string {
	name = unusable.ReplaceAllString(name, "_")
	return name[:min(len(name), 64)]
}

// userContent returns what chat models take of a user's message: everything but
// thoughts.
func userContent(c mistral.Content) mistral.Content {
	if c.Chunks == nil {
		return c
	}
	out := mistral.Chunks{}
	for _, chunk := range c.Chunks {
		if _, ok := chunk.(*mistral.ThinkChunk); !ok {
			out = append(out, chunk)
		}
	}
	if len(out) == 1 {
		if text, ok := out[0].(*mistral.TextChunk); ok {
			return mistral.Content{Text: text.Text}
		}
	}
	return mistral.Content{Chunks: out}
}

// assistantContent returns what the assistant said as text: few chat models
// take anything else, and its thoughts are not part of the conversation.
func assistantContent(c mistral.Content) mistral.Content {
	if c.Chunks == nil {
		return c
	}
	var text string
	for _, chunk := range c.Chunks {
		switch chunk := chunk.(type) {
		case *mistral.TextChunk:
			text += chunk.Text
		case *mistral.ToolReferenceChunk:
			text += fmt.Sprintf("[%s](%s)", chunk.Title, chunk.URL)
		case *mistral.ToolFileChunk:
			text += fmt.Sprintf("[file %s %s]", chunk.FileID, chunk.FileName)
		case *mistral.ImageURLChunk:
			text += fmt.Sprintf("[image %s]", chunk.ImageURL.URL)
		case *mistral.DocumentURLChunk:
			text += fmt.Sprintf("[document %s]", chunk.DocumentURL)
		}
	}
	return mistral.Content{Text: text}
}
