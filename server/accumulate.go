package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// An accumulator joins the pieces of a model's answer into entries, and tells
// of each piece as an event.
type accumulator struct {
	server  *Server
	model   string
	agentID string
	taken   map[string]bool           // tool_call_ids of the conversation
	emit    func(mistral.Event) error // nil if nobody listens

	outputs mistral.Entries // in the order of their first pieces
	message *messageBuilder // nil until the model says something
	calls   []*callBuilder
	finish  mistral.FinishReason
	usage   mistral.Usage
}

// A messageBuilder joins the pieces of the model's message.
type messageBuilder struct {
	entry  *mistral.MessageOutput
	index  int // among the outputs
	chunks mistral.Chunks
	open   openChunk
	text   strings.Builder // of the open chunk
}

// openChunk is the kind of chunk that the next piece may be added to.
type openChunk int

const (
	openNone openChunk = iota
	openText
	openThought
)

// A callBuilder joins the pieces of one call.
type callBuilder struct {
	entry     *mistral.FunctionCall
	index     int    // among the outputs
	upstream  int    // the model's own index
	id        string // the model's own id
	arguments strings.Builder
	sent      int // bytes of arguments that events have told
}

// chunk adds a piece of the answer.
func (a *accumulator) chunk(c *mistral.ChatChunk) error {
	if u := c.Usage; u != nil {
		a.usage = usageOf(*u)
	}
	for _, choice := range c.Choices {
		if choice.Index != 0 {
			continue // one answer was asked for
		}
		if err := a.delta(choice.Delta); err != nil {
			return err
		}
		if choice.FinishReason != "" {
			a.finish = choice.FinishReason
		}
	}
	return nil
}

// response adds a whole answer.
func (a *accumulator) response(r *mistral.ChatResponse) error {
	if len(r.Choices) == 0 {
		return errors.New("the answer has no choices")
	}
	choice := r.Choices[0]
	a.usage = usageOf(r.Usage)
	a.finish = choice.FinishReason
	calls := make([]mistral.ToolCall, len(choice.Message.ToolCalls))
	for i, call := range choice.Message.ToolCalls {
		call.Index = i // these are whole, whatever index they carry
		calls[i] = call
	}
	return a.delta(mistral.ChatDelta{Content: choice.Message.Content, ToolCalls: calls})
}

func usageOf(u mistral.ChatUsage) mistral.Usage {
	if u.TotalTokens == 0 {
		u.TotalTokens = u.PromptTokens + u.CompletionTokens
	}
	return mistral.Usage{PromptTokens: u.PromptTokens, CompletionTokens: u.CompletionTokens, TotalTokens: u.TotalTokens}
}

func (a *accumulator) delta(d mistral.ChatDelta) error {
	if d.Content != nil {
		pieces := d.Content.Chunks
		if pieces == nil {
			pieces = mistral.Chunks{&mistral.TextChunk{Text: d.Content.Text}}
		}
		for _, piece := range pieces {
			if err := a.say(piece); err != nil {
				return err
			}
		}
	}
	for _, piece := range d.ToolCalls {
		if err := a.call(piece); err != nil {
			return err
		}
	}
	return nil
}

func (a *accumulator) say(piece mistral.Chunk) error {
	if text, ok := piece.(*mistral.TextChunk); ok && text.Text == "" {
		return nil // back-ends send empty pieces first and last
	}
	if a.message == nil {
		entry := &mistral.MessageOutput{
			ID: a.server.opts.NewID("msg"), CreatedAt: a.server.now(),
			Role: mistral.RoleAssistant, Model: a.model, AgentID: a.agentID,
		}
		a.message = &messageBuilder{entry: entry, index: len(a.outputs)}
		a.outputs = append(a.outputs, entry)
	}
	contentIndex, content := a.message.add(piece)
	if a.emit == nil {
		return nil
	}
	return a.emit(&mistral.MessageOutputDelta{
		CreatedAt: a.server.now(), OutputIndex: a.message.index, ContentIndex: contentIndex,
		ID: a.message.entry.ID, Model: a.model, AgentID: a.agentID, Role: mistral.RoleAssistant, Content: content,
	})
}

// add joins a piece to the message. It returns the index of the chunk that the
// piece is part of, and the piece as an event has it.
func (m *messageBuilder) add(piece mistral.Chunk) (int, mistral.DeltaContent) {
	kind, text := openNone, ""
	switch piece := piece.(type) {
	case *mistral.TextChunk:
		kind, text = openText, piece.Text
	case *mistral.ThinkChunk:
		thought := mistral.Content{Chunks: piece.Thinking}
		kind, text = openThought, thought.String()
	}
	if kind == openNone || kind != m.open {
		m.seal()
	}
	index := len(m.chunks)
	if kind == openNone {
		m.chunks = append(m.chunks, piece)
		return index, mistral.DeltaContent{Chunk: piece}
	}
	m.open = kind
	m.text.WriteString(text)
	if kind == openText {
		return index, mistral.DeltaContent{Text: text}
	}
	return index, mistral.DeltaContent{Chunk: &mistral.ThinkChunk{Thinking: mistral.Chunks{&mistral.TextChunk{Text: text}}}}
}

func (m *messageBuilder) seal() {
	text := &mistral.TextChunk{Text: m.text.String()}
	switch m.open {
	case openText:
		m.chunks = append(m.chunks, text)
	case openThought:
		m.chunks = append(m.chunks, &mistral.ThinkChunk{Thinking: mistral.Chunks{text}})
	}
	m.open = openNone
	m.text.Reset()
}

func (m *messageBuilder) content() mistral.Content {
	m.seal()
	if len(m.chunks) == 1 {
		if text, ok := m.chunks[0].(*mistral.TextChunk); ok {
			return mistral.Content{Text: text.Text}
		}
	}
	return mistral.Content{Chunks: m.chunks}
}

// call adds a piece of a call.
func (a *accumulator) call(piece mistral.ToolCall) error {
	if piece.ID == "null" {
		piece.ID = "" // the default of Mistral's schema
	}
	b := a.callOf(piece)
	if b == nil {
		b = &callBuilder{upstream: piece.Index, id: piece.ID, index: len(a.outputs), entry: &mistral.FunctionCall{
			ID: a.server.opts.NewID("fc"), CreatedAt: a.server.now(), ToolCallID: a.toolCallID(piece.ID),
			Model: a.model, AgentID: a.agentID,
		}}
		a.calls = append(a.calls, b)
		a.outputs = append(a.outputs, b.entry)
	}
	if b.entry.Name == "" {
		b.entry.Name = piece.Function.Name
	}
	b.arguments.WriteString(piece.Function.Arguments.Text)
	return a.tell(b, false)
}

// callOf returns the call that a piece belongs to, or nil if it starts one.
// Pieces are joined by index; but some back-ends number all calls 0 and tell
// them apart by id, or send whole calls without an id.
func (a *accumulator) callOf(piece mistral.ToolCall) *callBuilder {
	var b *callBuilder
	for _, c := range a.calls {
		if c.upstream == piece.Index {
			b = c
		}
	}
	switch {
	case b == nil:
		return nil
	case piece.ID != "" && b.id != "" && piece.ID != b.id:
		return nil
	case piece.ID == "" && piece.Function.Name != "" && b.entry.Name != "" &&
		(piece.Function.Name != b.entry.Name || piece.Function.Arguments.Text != "" && json.Valid([]byte(b.arguments.String()))):
		return nil
	}
	return b
}

var usableID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// toolCallID returns the model's own id of a call if it can stand for the call
// in this conversation. Otherwise it makes one of nine letters and digits, the
// only form that Mistral's chat models take.
func (a *accumulator) toolCallID(id string) string {
	for !usableID.MatchString(id) || a.taken[id] {
		id = rand.Text()[:9]
	}
	a.taken[id] = true
	return id
}

// shortHash returns eight hexadecimal digits that stand for a text.
func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// tell sends the part of a call that no event has told. SDKs take the name from
// the first event and parse the joined arguments, so that nothing is sent
// before there is a name, and nothing that is not the start of an object before
// the call is whole.
func (a *accumulator) tell(b *callBuilder, whole bool) error {
	if a.emit == nil || b.entry.Name == "" {
		return nil
	}
	rest := b.arguments.String()[b.sent:]
	if !whole && b.sent == 0 && !strings.HasPrefix(strings.TrimSpace(rest), "{") {
		return nil
	}
	if rest == "" {
		return nil
	}
	b.sent += len(rest)
	return a.emit(&mistral.FunctionCallDelta{
		CreatedAt: a.server.now(), OutputIndex: b.index, ID: b.entry.ID, Model: a.model, AgentID: a.agentID,
		Name: b.entry.Name, ToolCallID: b.entry.ToolCallID, Arguments: rest,
	})
}

// done ends the answer. It returns an error for one that is not whole.
func (a *accumulator) done() error {
	switch a.finish {
	case "":
		return errors.New("the answer was cut off: it has no finish reason")
	case mistral.FinishError:
		return errors.New("the model stopped with an error of its own (finish reason error)")
	}
	now := a.server.now()
	for _, b := range a.calls {
		if b.entry.Name == "" {
			return errors.New("the model called a function without a name")
		}
		if text := strings.TrimSpace(b.arguments.String()); text == "" || text == "null" {
			b.arguments.Reset()
			b.arguments.WriteString("{}") // none at all, to an SDK that parses them
		}
		cut := a.finish == mistral.FinishLength || a.finish == mistral.FinishModelLength
		if cut && !json.Valid([]byte(b.arguments.String())) {
			return fmt.Errorf("the model ran out of tokens in the middle of a call of %s (finish reason %s): raise max_tokens, or shorten the conversation", b.entry.Name, a.finish)
		}
		if err := a.tell(b, true); err != nil {
			return err
		}
		b.entry.Arguments = mistral.Arguments{Text: b.arguments.String()}
		b.entry.CompletedAt = now
	}
	if m := a.message; m != nil {
		m.entry.Content = m.content()
		m.entry.CompletedAt = now
	}
	if len(a.outputs) == 0 {
		a.outputs = mistral.Entries{&mistral.MessageOutput{
			ID: a.server.opts.NewID("msg"), CreatedAt: now, CompletedAt: now,
			Role: mistral.RoleAssistant, Model: a.model, AgentID: a.agentID,
		}}
	}
	return nil
}
