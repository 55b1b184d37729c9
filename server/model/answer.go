package model

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tramontane-dev/tramontane/internal/wire"
	"github.com/tramontane-dev/tramontane/mistral"
)

// even makes a whole answer look as if Mistral had sent it: calls with an id
// of nine characters, with arguments in a string and counted from 0, a finish
// reason that tells of them, thoughts as a chunk, and no empty content.
func even(resp *mistral.ChatResponse) error {
	if err := errorIn(resp); err != nil {
		return err
	}
	if len(resp.Choices) == 0 {
		return errors.New("the answer has no choices")
	}
	for i := range resp.Choices {
		choice := &resp.Choices[i]
		m := &choice.Message
		m.Content = withThought(m.Content, m.Extra, nil)
		seen := map[string]bool{}
		for j := range m.ToolCalls {
			call := &m.ToolCalls[j]
			if call.Function.Name == "" {
				return fmt.Errorf("call %d of the answer names no function", j+1)
			}
			call.ID = answerID(call.ID, seen)
			call.Type = "function"
			call.Index = j
			call.Function.Arguments = mistral.Arguments{Text: call.Function.Arguments.Text}
			if call.Function.Arguments.Text == "" {
				call.Function.Arguments.Text = "{}"
			}
		}
		choice.FinishReason = finish(choice.FinishReason, len(m.ToolCalls) > 0)
	}
	return nil
}

// errorIn returns the error that an answer with status 200 holds, or nil.
func errorIn(resp *mistral.ChatResponse) error {
	raw := resp.Extra.Value("error")
	if resp.Object == "error" {
		raw = resp.Extra.Value("message")
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	for _, text := range []string{wire.Text(raw), wire.Text(wire.Member(raw, "message"))} {
		if text != "" {
			return errors.New(text)
		}
	}
	return errors.New(string(raw))
}

// answerID returns id if it can be kept, and a fresh one otherwise. Ids such as
// "null", "0" or "call_0" come again in the next answer, so only those are kept
// that are sure to have been drawn, which are also those that every model
// takes back.
func answerID(id string, seen map[string]bool) string {
	if !isShortID(id) || seen[id] {
		id = rand.Text()[:idLength]
	}
	seen[id] = true
	return id
}

// finish returns the reason with calls told apart from an answer without: some
// versions of Ollama say "stop" for both, and vLLM has said "tool_calls" for
// text.
func finish(reason mistral.FinishReason, calls bool) mistral.FinishReason {
	switch reason {
	case "", "function_call", mistral.FinishStop, mistral.FinishToolCalls:
		if calls {
			return mistral.FinishToolCalls
		}
		return mistral.FinishStop
	}
	return reason
}

// withThought returns content with the thought of vLLM, llama.cpp and Ollama,
// which have it in a member of its own, as a chunk before it. It returns nil if
// nothing is said.
func withThought(content *mistral.Content, extra mistral.Extra, closed *bool) *mistral.Content {
	thought := wire.Text(extra.Value("reasoning_content"))
	if thought == "" {
		thought = wire.Text(extra.Value("reasoning"))
	}
	empty := content == nil || content.Text == "" && len(content.Chunks) == 0
	if thought == "" {
		if empty {
			return nil
		}
		return content
	}
	chunks := mistral.Chunks{&mistral.ThinkChunk{
		Thinking: mistral.Chunks{&mistral.TextChunk{Text: thought}},
		Closed:   closed,
	}}
	if empty {
		return &mistral.Content{Chunks: chunks}
	}
	if content.Chunks == nil {
		return &mistral.Content{Chunks: append(chunks, &mistral.TextChunk{Text: content.Text})}
	}
	return &mistral.Content{Chunks: append(chunks, content.Chunks...)}
}

// A stitcher makes a streamed answer look as if Mistral had sent it, piece by
// piece. See [Chat.Stream] for what it promises.
type stitcher struct {
	head    mistral.ChatChunk // id, model and time of the answer
	usage   *mistral.ChatUsage
	choices []*streamed
}

// streamed is what has come of one choice.
type streamed struct {
	index  int
	begun  bool                 // its role was sent
	reason mistral.FinishReason // empty until the last piece
	calls  []*streamedCall
	ids    map[string]bool // of calls
}

// streamedCall is what has come of one call.
type streamedCall struct {
	slot   int    // where the endpoint counts it
	theirs string // the endpoint's id
	id     string // ours
	name   string
	args   strings.Builder
	sent   bool
}

// piece takes the next piece of the endpoint and returns what to pass on, or
// nil for nothing.
func (s *stitcher) piece(in *mistral.ChatChunk) *mistral.ChatChunk {
	if s.head.ID == "" {
		s.head = mistral.ChatChunk{ID: in.ID, Object: in.Object, Created: in.Created, Model: in.Model}
	}
	if in.Usage != nil {
		s.usage = in.Usage
	}
	out := s.head
	for i := range in.Choices {
		if choice, ok := s.choice(in.Choices[i].Index).piece(&in.Choices[i]); ok {
			out.Choices = append(out.Choices, choice)
		}
	}
	if len(out.Choices) == 0 {
		return nil
	}
	return &out
}

// whole says whether all that has begun has ended.
func (s *stitcher) whole() bool {
	for _, c := range s.choices {
		if c.reason == "" {
			return false
		}
	}
	return len(s.choices) > 0
}

// last returns the last piece, which holds the finish reasons and the usage, or
// an error if the answer is not whole.
func (s *stitcher) last() (*mistral.ChatChunk, error) {
	if !s.whole() {
		return nil, errors.New("the stream ended before the answer did")
	}
	out := s.head
	out.Usage = s.usage
	for _, c := range s.choices {
		last := mistral.ChatChunkChoice{Index: c.index, FinishReason: finish(c.reason, len(c.calls) > 0)}
		for i, call := range c.calls {
			if call.name == "" {
				return nil, fmt.Errorf("call %d of the answer names no function", i+1)
			}
			if call.args.Len() == 0 {
				last.Delta.ToolCalls = append(last.Delta.ToolCalls, call.fragment(i, "{}"))
			}
		}
		out.Choices = append(out.Choices, last)
	}
	return &out, nil
}

func (s *stitcher) choice(index int) *streamed {
	for _, c := range s.choices {
		if c.index == index {
			return c
		}
	}
	c := &streamed{index: index, ids: map[string]bool{}}
	s.choices = append(s.choices, c)
	return c
}

func (c *streamed) piece(in *mistral.ChatChunkChoice) (mistral.ChatChunkChoice, bool) {
	if in.FinishReason != "" {
		c.reason = in.FinishReason
	}
	open := false
	out := mistral.ChatChunkChoice{Index: c.index}
	out.Delta.Content = withThought(in.Delta.Content, in.Delta.Extra, &open)
	for i := range in.Delta.ToolCalls {
		if call, ok := c.fragment(&in.Delta.ToolCalls[i]); ok {
			out.Delta.ToolCalls = append(out.Delta.ToolCalls, call)
		}
	}
	if out.Delta.Content == nil && out.Delta.ToolCalls == nil {
		return out, false
	}
	if !c.begun {
		c.begun = true
		out.Delta.Role = "assistant"
	}
	return out, true
}

// fragment takes the next fragment of a call. The call is passed on from when
// its name is known: vLLM has sent its id first and its name later.
func (c *streamed) fragment(in *mistral.ToolCall) (mistral.ToolCall, bool) {
	theirs := in.ID
	if theirs == "null" {
		theirs = ""
	}
	at := c.find(in, theirs)
	if at < 0 {
		at = len(c.calls)
		c.calls = append(c.calls, &streamedCall{slot: in.Index, id: answerID(theirs, c.ids)})
	}
	call := c.calls[at]
	if call.theirs == "" {
		call.theirs = theirs
	}
	if call.name == "" {
		call.name = in.Function.Name
	}
	fresh := in.Function.Arguments.Text
	call.args.WriteString(fresh)
	if call.name == "" || call.sent && fresh == "" {
		return mistral.ToolCall{}, false
	}
	if !call.sent {
		fresh = call.args.String()
	}
	return call.fragment(at, fresh), true
}

// find returns the place of the call that in belongs to, or -1 if it begins
// one. Endpoints count calls by index, but Ollama has had all of them at 0, and
// vLLM has repeated the name, or drawn a new id, with every fragment. So a
// fragment at a known index begins a call only if it has a name and the call
// there can take no more.
func (c *streamed) find(in *mistral.ToolCall, theirs string) int {
	for at := len(c.calls) - 1; at >= 0; at-- {
		call := c.calls[at]
		if call.slot != in.Index {
			continue
		}
		sameID := theirs != "" && theirs == call.theirs
		if in.Function.Name == "" || call.name == "" || sameID {
			return at
		}
		otherID := theirs != "" && theirs != call.theirs
		if json.Valid([]byte(call.args.String())) || call.args.Len() == 0 && otherID {
			return -1
		}
		return at
	}
	return -1
}

// fragment returns args as the next fragment of the call. The first one has the
// id and the name.
func (call *streamedCall) fragment(at int, args string) mistral.ToolCall {
	out := mistral.ToolCall{Index: at, Function: mistral.ToolCallFunc{Arguments: mistral.Arguments{Text: args}}}
	if !call.sent {
		call.sent = true
		out.ID = call.id
		out.Type = "function"
		out.Function.Name = call.name
	}
	return out
}
