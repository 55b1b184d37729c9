package tramontane

import (
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// An accumulator puts the events of a reply together to the entries that a
// reply without a stream has. Its zero value is empty.
type accumulator struct {
	parts []*part
}

// A part is an entry in the making. The pieces of an entry share its index.
type part struct {
	index int
	entry mistral.Entry
	text  strings.Builder // gathered since the last chunk, or of arguments

	thought *mistral.ThinkChunk // the last piece of the thought that text is, if it is one
}

func (a *accumulator) add(event mistral.Event) {
	switch e := event.(type) {
	case *mistral.MessageOutputDelta:
		a.part(e.OutputIndex, func() mistral.Entry {
			return &mistral.MessageOutput{CreatedAt: e.CreatedAt, ID: e.ID, Model: e.Model, AgentID: e.AgentID, Role: e.Role}
		}).addContent(e.Content)
	case *mistral.FunctionCallDelta:
		p := a.part(e.OutputIndex, func() mistral.Entry {
			return &mistral.FunctionCall{CreatedAt: e.CreatedAt, ID: e.ID, Model: e.Model, AgentID: e.AgentID, Name: e.Name, ToolCallID: e.ToolCallID}
		})
		p.text.WriteString(e.Arguments)
		if call, ok := p.entry.(*mistral.FunctionCall); ok && e.ConfirmationStatus != "" {
			call.ConfirmationStatus = e.ConfirmationStatus
		}
	case *mistral.ToolExecutionStarted:
		a.part(e.OutputIndex, func() mistral.Entry {
			return &mistral.ToolExecution{CreatedAt: e.CreatedAt, ID: e.ID, Model: e.Model, AgentID: e.AgentID, Name: e.Name}
		}).text.WriteString(e.Arguments)
	case *mistral.ToolExecutionDelta:
		a.part(e.OutputIndex, func() mistral.Entry {
			return &mistral.ToolExecution{CreatedAt: e.CreatedAt, ID: e.ID, Name: e.Name}
		}).text.WriteString(e.Arguments)
	case *mistral.ToolExecutionDone:
		p := a.part(e.OutputIndex, func() mistral.Entry {
			return &mistral.ToolExecution{CreatedAt: e.CreatedAt, ID: e.ID, Name: e.Name}
		})
		if t, ok := p.entry.(*mistral.ToolExecution); ok {
			t.Info, t.CompletedAt = e.Info, e.CreatedAt
		}
	case *mistral.AgentHandoffStarted:
		a.part(e.OutputIndex, func() mistral.Entry {
			return &mistral.AgentHandoff{CreatedAt: e.CreatedAt, ID: e.ID, PreviousAgentID: e.PreviousAgentID, PreviousAgentName: e.PreviousAgentName}
		})
	case *mistral.AgentHandoffDone:
		p := a.part(e.OutputIndex, func() mistral.Entry {
			return &mistral.AgentHandoff{CreatedAt: e.CreatedAt, ID: e.ID}
		})
		if h, ok := p.entry.(*mistral.AgentHandoff); ok {
			h.NextAgentID, h.NextAgentName, h.CompletedAt = e.NextAgentID, e.NextAgentName, e.CreatedAt
		}
	}
}

// part returns the part of that index, newly made if there is none. Pieces
// mostly belong to the last one.
func (a *accumulator) part(index int, first func() mistral.Entry) *part {
	for i := len(a.parts) - 1; i >= 0; i-- {
		if a.parts[i].index == index {
			return a.parts[i]
		}
	}
	p := &part{index: index, entry: first()}
	a.parts = append(a.parts, p)
	return p
}

// addContent adds a piece of a message. Pieces of text are joined, and pieces
// of thought too; any other chunk is whole.
func (p *part) addContent(c mistral.DeltaContent) {
	m, ok := p.entry.(*mistral.MessageOutput)
	if !ok {
		return
	}
	switch chunk := c.Chunk.(type) {
	case nil:
		p.flush(m, nil)
		p.text.WriteString(c.Text)
	case *mistral.TextChunk:
		p.flush(m, nil)
		p.text.WriteString(chunk.Text)
	case *mistral.ThinkChunk:
		text, ok := plainThought(chunk)
		p.flush(m, chunk)
		if !ok {
			p.flushText(m)
			m.Content.Chunks = append(m.Content.Chunks, chunk)
			return
		}
		p.thought = chunk
		p.text.WriteString(text)
	default:
		p.flushText(m)
		m.Content.Chunks = append(m.Content.Chunks, chunk)
	}
}

// plainThought returns the text of a thought, if it is nothing but text.
func plainThought(c *mistral.ThinkChunk) (string, bool) {
	var b strings.Builder
	for _, inner := range c.Thinking {
		text, ok := inner.(*mistral.TextChunk)
		if !ok {
			return "", false
		}
		b.WriteString(text.Text)
	}
	return b.String(), true
}

// flush makes a chunk of what was gathered, if next is of another kind: text is
// followed by text, and a thought by a thought.
func (p *part) flush(m *mistral.MessageOutput, next *mistral.ThinkChunk) {
	if (p.thought == nil) == (next == nil) {
		return
	}
	p.flushText(m)
}

func (p *part) flushText(m *mistral.MessageOutput) {
	if p.text.Len() == 0 && p.thought == nil {
		return
	}
	var chunk mistral.Chunk = &mistral.TextChunk{Text: p.text.String()}
	if p.thought != nil {
		whole := *p.thought // its last piece says whether it is closed
		if p.text.Len() > 0 {
			whole.Thinking = mistral.Chunks{chunk}
		}
		chunk, p.thought = &whole, nil
	}
	m.Content.Chunks = append(m.Content.Chunks, chunk)
	p.text.Reset()
}

// entries returns the entries, whole.
func (a *accumulator) entries() mistral.Entries {
	entries := make(mistral.Entries, len(a.parts))
	for i, p := range a.parts {
		switch e := p.entry.(type) {
		case *mistral.MessageOutput:
			if e.Content.Chunks == nil && p.thought == nil {
				e.Content.Text = p.text.String()
			} else {
				p.flushText(e)
			}
		case *mistral.FunctionCall:
			e.Arguments = mistral.Arguments{Text: p.text.String()}
		case *mistral.ToolExecution:
			e.Arguments = p.text.String()
		}
		entries[i] = p.entry
	}
	return entries
}
