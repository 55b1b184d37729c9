package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tramontane-dev/tramontane/mistral"
)

// Scripted is a model that answers from a list of replies: the same chat gets
// the same answer, in the same pieces. [LoadScripted] reads the list.
//
// Which reply a request gets depends on its messages alone, so that any number
// of conversations can go on at once:
//
//   - If the user's last message contains the "when" of a reply, the replies
//     with that "when" are taken in their order, beginning anew with each
//     message of the user.
//   - Otherwise the replies without a "when" are taken in their order, from the
//     start of the chat.
//
// A chat that goes on beyond the last reply gets an error.
type Scripted struct {
	name    string
	replies []scriptedReply
}

// scriptedReply is a reply as it stands in the file.
type scriptedReply struct {
	// When is text in the user's last message. If empty, the reply counts from
	// the start of the chat.
	When string `json:"when"`

	// Expect is what the request must be like.
	Expect *expectation `json:"expect"`

	// Content and ToolCalls are as in a message of the assistant.
	Content   *mistral.Content   `json:"content"`
	ToolCalls []mistral.ToolCall `json:"tool_calls"`

	// Finish is why the model stopped. If empty, it is "tool_calls" or "stop".
	Finish mistral.FinishReason `json:"finish_reason"`

	// Error is what the model answers instead.
	Error *scriptedError `json:"error"`

	line int
}

// scriptedError is a failure of the model.
type scriptedError struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// expectation is what a request must be like. What is empty is not looked at.
type expectation struct {
	Model       string   `json:"model"`
	LastRole    string   `json:"last_role"`    // of the last message
	LastContent string   `json:"last_content"` // text in the last message
	System      string   `json:"system"`       // text in a message of the system
	Tools       []string `json:"tools"`        // the names of all tools, in order
}

// LoadScripted reads replies from a file, either one JSON array or objects one
// after the other, as in JSON lines. A reply has
//
//	content        text, or a list of chunks
//	tool_calls     [{"function": {"name": ..., "arguments": ...}}]; an id is made up if it has none
//	finish_reason  if left out, "tool_calls" or "stop"
//	error          {"status": 429, "message": ...} instead of these
//	when           text in the user's last message; see [Scripted]
//	expect         what the request must be like, or it gets an error: "model",
//	               "last_role", "last_content" and "system" (text that is in
//	               it), "tools" (all names)
//
// Errors name the file and the line.
func LoadScripted(path string) (*Scripted, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("scripted model: %w", err)
	}
	s := &Scripted{name: path}
	d := json.NewDecoder(bytes.NewReader(data))
	list := bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("["))
	if list {
		if _, err := d.Token(); err != nil {
			return nil, s.at(data, d.InputOffset(), err)
		}
	}
	for !list || d.More() {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if err == io.EOF && !list {
			break
		}
		if err != nil {
			offset := d.InputOffset()
			if e := new(json.SyntaxError); errors.As(err, &e) {
				offset = e.Offset
			}
			return nil, s.at(data, offset, err)
		}
		start := d.InputOffset() - int64(len(raw))
		reply, err := decodeReply(raw)
		if err != nil {
			return nil, s.at(data, start, err)
		}
		reply.line = line(data, start)
		s.replies = append(s.replies, reply)
	}
	if list {
		if _, err := d.Token(); err != nil {
			return nil, s.at(data, d.InputOffset(), err)
		}
	}
	if len(s.replies) == 0 {
		return nil, fmt.Errorf("scripted model: %s holds no replies", path)
	}
	return s, nil
}

// at names the file and the line of an error.
func (s *Scripted) at(data []byte, offset int64, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err, offset = io.ErrUnexpectedEOF, int64(len(bytes.TrimSpace(data)))
	}
	return fmt.Errorf("scripted model: %s:%d: %w", s.name, line(data, offset), err)
}

func line(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(offset, int64(len(data)))], []byte("\n"))
}

func decodeReply(raw []byte) (r scriptedReply, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if r.Error != nil && (r.Content != nil || r.ToolCalls != nil || r.Error.Message == "" || r.Error.Status < 400 || r.Error.Status > 599) {
		return r, errors.New("an error has a status from 400 to 599 and a message, and stands alone")
	}
	if r.Error == nil && r.Content == nil && r.ToolCalls == nil && r.Finish == "" {
		return r, errors.New("a reply has content, tool_calls, finish_reason or error")
	}
	for i := range r.ToolCalls {
		call := &r.ToolCalls[i]
		names := append(call.Extra.Names(), call.Function.Extra.Names()...)
		if len(names) > 0 {
			return r, fmt.Errorf("tool_calls[%d]: unknown field %q", i, names[0])
		}
		if call.Function.Name == "" {
			return r, fmt.Errorf("tool_calls[%d]: the function has no name", i)
		}
		call.Type, call.Index = "function", i
		call.Function.Arguments.Object = false
		if call.Function.Arguments.Text == "" {
			call.Function.Arguments.Text = "{}"
		}
	}
	r.Finish = finish(r.Finish, len(r.ToolCalls) > 0)
	return r, nil
}

// Complete returns the reply to req.
func (s *Scripted) Complete(ctx context.Context, req *mistral.ChatRequest) (*mistral.ChatResponse, error) {
	r, err := s.reply(ctx, req)
	if err != nil {
		return nil, err
	}
	return &mistral.ChatResponse{
		ID: "scripted", Object: "chat.completion", Model: req.Model, Usage: *r.usage(req),
		Choices: []mistral.ChatChoice{{
			Message:      mistral.AssistantMessage{Content: r.Content, ToolCalls: r.calls(req)},
			FinishReason: r.Finish,
		}},
	}, nil
}

// scriptedPiece is how many characters a piece of a stream has.
const scriptedPiece = 6

// Stream returns the reply to req in pieces of a few characters. Chunks that
// are no text come whole.
func (s *Scripted) Stream(ctx context.Context, req *mistral.ChatRequest) iter.Seq2[*mistral.ChatChunk, error] {
	return func(yield func(*mistral.ChatChunk, error) bool) {
		r, err := s.reply(ctx, req)
		if err != nil {
			yield(nil, err)
			return
		}
		deltas := r.deltas(req)
		for i, delta := range deltas {
			if err := ctx.Err(); err != nil {
				yield(nil, context.Cause(ctx))
				return
			}
			chunk := &mistral.ChatChunk{
				ID: "scripted", Object: "chat.completion.chunk", Model: req.Model,
				Choices: []mistral.ChatChunkChoice{{Delta: delta}},
			}
			if i == 0 {
				chunk.Choices[0].Delta.Role = "assistant"
			}
			if i == len(deltas)-1 {
				chunk.Choices[0].FinishReason = r.Finish
				chunk.Usage = r.usage(req)
			}
			if !yield(chunk, nil) {
				return
			}
		}
	}
}

// reply chooses the reply to req and checks what it expects.
func (s *Scripted) reply(ctx context.Context, req *mistral.ChatRequest) (*scriptedReply, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r, err := s.choose(req.Messages)
	if err != nil {
		return nil, err
	}
	if r.Expect != nil {
		if wrong := r.Expect.check(req); wrong != "" {
			return nil, s.failure("%s:%d expects another request: %s", s.name, r.line, wrong)
		}
	}
	if r.Error != nil {
		return nil, &mistral.Error{StatusCode: r.Error.Status, Type: "scripted_error", Message: r.Error.Message}
	}
	return r, nil
}

// failure returns an error that says what is wrong with the script, and not
// with the model that it plays.
func (s *Scripted) failure(format string, args ...any) error {
	return &mistral.Error{
		StatusCode: http.StatusInternalServerError, Type: "scripted_model",
		Message: "scripted model: " + fmt.Sprintf(format, args...),
	}
}

func (s *Scripted) choose(messages mistral.ChatMessages) (*scriptedReply, error) {
	last, text := lastOfUser(messages)
	when := ""
	for _, r := range s.replies {
		if r.When != "" && strings.Contains(text, r.When) {
			when = r.When
			break
		}
	}
	since := messages
	if when != "" {
		since = messages[last+1:]
	}
	n := turns(since)
	for i := range s.replies {
		if s.replies[i].When != when {
			continue
		}
		if n == 0 {
			return &s.replies[i], nil
		}
		n--
	}
	place := fmt.Sprintf("turn %d of a chat", turns(since)+1)
	if when != "" {
		place = fmt.Sprintf("turn %d after %q", turns(since)+1, when)
	}
	return nil, s.failure("%s has no reply for %s, which ends with %q", s.name, place, text)
}

// lastOfUser returns the user's last message and its place, or -1.
func lastOfUser(messages mistral.ChatMessages) (int, string) {
	for i := len(messages) - 1; i >= 0; i-- {
		if m, ok := messages[i].(*mistral.UserMessage); ok {
			return i, m.Content.String()
		}
	}
	return -1, ""
}

// turns counts the model's turns. Messages in a row are one.
func turns(messages mistral.ChatMessages) int {
	n, before := 0, false
	for _, m := range messages {
		_, now := m.(*mistral.AssistantMessage)
		if now && !before {
			n++
		}
		before = now
	}
	return n
}

// check returns what is wrong with req, or "".
func (e *expectation) check(req *mistral.ChatRequest) string {
	var role, text, system string
	for _, m := range req.Messages {
		role, text = contents(m)
		if role == "system" {
			system += text + "\n"
		}
	}
	names := make([]string, len(req.Tools))
	for i, t := range req.Tools {
		names[i] = t.Function.Name
	}
	switch {
	case e.Model != "" && req.Model != e.Model:
		return fmt.Sprintf("the model is %q, want %q", req.Model, e.Model)
	case e.LastRole != "" && role != e.LastRole:
		return fmt.Sprintf("the last message is of the role %q, want %q", role, e.LastRole)
	case !strings.Contains(text, e.LastContent):
		return fmt.Sprintf("the last message is %q, want %q in it", text, e.LastContent)
	case !strings.Contains(system, e.System):
		return fmt.Sprintf("the system says %q, want %q in it", strings.TrimSpace(system), e.System)
	case e.Tools != nil && !slices.Equal(names, e.Tools):
		return fmt.Sprintf("the tools are %q, want %q", names, e.Tools)
	}
	return ""
}

func contents(m mistral.ChatMessage) (role, text string) {
	switch m := m.(type) {
	case *mistral.SystemMessage:
		return "system", m.Content.String()
	case *mistral.UserMessage:
		return "user", m.Content.String()
	case *mistral.ToolMessage:
		return "tool", m.Content.String()
	case *mistral.AssistantMessage:
		if m.Content != nil {
			text = m.Content.String()
		}
		return "assistant", text
	case *mistral.UnknownMessage:
		return m.Role, ""
	}
	return "", ""
}

// calls returns the reply's calls, each with an id. The ids differ within a
// chat, and are the same when it is repeated.
func (r *scriptedReply) calls(req *mistral.ChatRequest) []mistral.ToolCall {
	calls := slices.Clone(r.ToolCalls)
	for i := range calls {
		if calls[i].ID == "" {
			calls[i].ID = digest(fmt.Sprintf("call %d after %d messages", i, len(req.Messages)))
		}
	}
	return calls
}

// usage counts words for tokens.
func (r *scriptedReply) usage(req *mistral.ChatRequest) *mistral.ChatUsage {
	u := new(mistral.ChatUsage)
	for _, m := range req.Messages {
		_, text := contents(m)
		u.PromptTokens += len(strings.Fields(text))
	}
	if r.Content != nil {
		u.CompletionTokens = len(strings.Fields(r.Content.String()))
	}
	u.CompletionTokens += len(r.ToolCalls)
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
	return u
}

// deltas returns the reply in pieces, at least one.
func (r *scriptedReply) deltas(req *mistral.ChatRequest) []mistral.ChatDelta {
	var deltas []mistral.ChatDelta
	say := func(c mistral.Content) { deltas = append(deltas, mistral.ChatDelta{Content: &c}) }
	if c := r.Content; c != nil {
		for text := range pieces(c.Text) {
			say(mistral.Content{Text: text})
		}
		for _, chunk := range c.Chunks {
			t, ok := chunk.(*mistral.TextChunk)
			if !ok {
				say(mistral.Content{Chunks: mistral.Chunks{chunk}})
				continue
			}
			for text := range pieces(t.Text) {
				say(mistral.Content{Text: text})
			}
		}
	}
	for _, call := range r.calls(req) {
		for args := range pieces(call.Function.Arguments.Text) {
			call.Function.Arguments.Text = args
			deltas = append(deltas, mistral.ChatDelta{ToolCalls: []mistral.ToolCall{call}})
			call = mistral.ToolCall{Index: call.Index} // the rest is in the first piece
		}
	}
	if deltas == nil {
		deltas = []mistral.ChatDelta{{}}
	}
	return deltas
}

func pieces(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			end := 0
			for range scriptedPiece {
				_, size := utf8.DecodeRuneInString(text[end:])
				end += size
			}
			if !yield(text[:end]) {
				return
			}
			text = text[end:]
		}
	}
}
