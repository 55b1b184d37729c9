package server

import (
	"encoding/json"
	"fmt"

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
	return b.messages
}

func (b *promptBuilder) add(e mistral.Entry) {
	switch e := e.(type) {
	case *mistral.MessageInput:
		b.flush()
		b.input(e)
	case *mistral.MessageOutput:
		if b.executed != nil && !b.function {
			b.flush()
		}
		b.said = append(b.said, assistantContent(e.Content))
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
			ToolCallID: id, Name: e.Name, Content: mistral.Content{Text: string(e.Info)},
		})
	case *mistral.AgentHandoff:
		// The messages before and after it are what the model needs.
	}
}

// flush ends the assistant's turn.
func (b *promptBuilder) flush() {
	said, calls, executed := b.said, b.calls, b.executed
	b.said, b.calls, b.executed, b.function = nil, nil, nil, false
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

func (b *promptBuilder) input(e *mistral.MessageInput) {
	if e.Role == mistral.RoleAssistant {
		content := assistantContent(e.Content)
		b.messages = append(b.messages, &mistral.AssistantMessage{Content: &content, Prefix: e.Prefix})
		return
	}
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
// arguments, so that malformed ones, told as they are, would end the
// conversation for good.
func toolCall(id, name, arguments string) mistral.ToolCall {
	if arguments == "" {
		arguments = "{}"
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(arguments), &object) != nil {
		quoted, _ := json.Marshal(map[string]string{"malformed_arguments": arguments})
		arguments = string(quoted)
	}
	return mistral.ToolCall{
		ID: id, Type: "function",
		Function: mistral.ToolCallFunc{Name: name, Arguments: mistral.Arguments{Text: arguments}},
	}
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
