package model

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
	"math/big"
	"net/http"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// Offline is a planner that answers with the tools of a request. It is no
// language model: it compares the words of the request with the names,
// descriptions and schemas of the tools, picks the tools that fit, fills their
// arguments with values from the request and from results of other tools, and
// answers with what they returned, as text or in the JSON schema that is asked
// for. It never makes text up: what it cannot do, it refuses with a
// [*RefusalError].
//
// It keeps no state and uses no clock and no randomness, so the same request has
// the same answer. The zero value is ready for use, by several goroutines at
// once.
type Offline struct {
	// MayCall says whether the tool of that name may be called. If nil, all may.
	MayCall func(tool string) bool
}

// A RefusalError says that an [Offline] model cannot answer.
type RefusalError struct {
	Request string   // what was asked
	Reason  string   // why there is no answer
	Tools   []string // the tools that there were
	Barred  []string // those of Tools that [Offline.MayCall] forbids
}

// Error says what was asked, why there is no answer, and how to get one.
func (e *RefusalError) Error() string {
	request := []rune(strings.Join(strings.Fields(e.Request), " "))
	if len(request) > 80 {
		request = append(request[:79], '…')
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the offline model, which is no AI, cannot answer %q: %s", string(request), e.Reason)
	if len(e.Tools) == 0 {
		b.WriteString("; it only calls tools, and there are none")
	} else {
		fmt.Fprintf(&b, "; tools: %s", listed(e.Tools))
	}
	if len(e.Barred) > 0 {
		fmt.Fprintf(&b, "; not called because they are not marked read-only: %s", listed(e.Barred))
	}
	b.WriteString("; for a real model set MISTRAL_API_KEY, or give --model-url, such as http://127.0.0.1:11434/v1")
	return b.String()
}

func listed(names []string) string {
	if len(names) > 12 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:12], ", "), len(names)-12)
	}
	return strings.Join(names, ", ")
}

// Unwrap returns the refusal as a *[mistral.Error] of status 422 and code
// "offline_no_tool", which package server passes on as it is.
func (e *RefusalError) Unwrap() error {
	return &mistral.Error{
		StatusCode: http.StatusUnprocessableEntity, Type: "model_error", Code: "offline_no_tool", Message: e.Error(),
	}
}

// Complete returns the next message: calls of tools, or an answer made of their
// results. It returns a [*RefusalError] if no tool fits, if a value that one
// needs is not to be found, or if the schema asks for more than the results
// hold.
func (m *Offline) Complete(ctx context.Context, req *mistral.ChatRequest) (*mistral.ChatResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if kind := unreadable(req.Messages); kind != "" {
		return nil, newPlanner(req, m.MayCall).refuse("it reads nothing but text, and a message holds a " + kind)
	}
	p := newPlanner(req, m.MayCall)
	steps, text, err := p.next()
	if err != nil {
		return nil, err
	}
	choice := mistral.ChatChoice{FinishReason: mistral.FinishStop}
	words := len(strings.Fields(text))
	for i, s := range steps {
		id := callID(fmt.Sprint(len(req.Messages), i, s.key()))
		call := mistral.ToolCall{ID: id, Type: "function", Index: i}
		call.Function = mistral.ToolCallFunc{Name: s.tool.name, Arguments: mistral.Arguments{Text: s.args().json()}}
		choice.Message.ToolCalls = append(choice.Message.ToolCalls, call)
		choice.FinishReason = mistral.FinishToolCalls
		words += len(strings.Fields(s.tool.name + " " + call.Function.Arguments.Text))
	}
	if len(steps) == 0 {
		choice.Message.Content = &mistral.Content{Text: text}
	}
	prompt, _ := json.Marshal(req.Messages) // counted only
	usage := mistral.ChatUsage{PromptTokens: 1 + len(strings.Fields(string(prompt))), CompletionTokens: max(1, words)}
	usage.TotalTokens = usage.PromptTokens + usage.CompletionTokens
	return &mistral.ChatResponse{
		ID:      "offline-" + callID(string(prompt)),
		Object:  "chat.completion",
		Model:   req.Model,
		Usage:   usage,
		Choices: []mistral.ChatChoice{choice},
	}, nil
}

// unreadable names what a message of the user holds beside text, or nothing.
func unreadable(messages mistral.ChatMessages) string {
	for _, m := range messages {
		user, ok := m.(*mistral.UserMessage)
		if !ok {
			continue
		}
		for _, c := range user.Content.Chunks {
			switch c.(type) {
			case *mistral.TextChunk:
			case *mistral.ImageURLChunk:
				return "picture (image_url)"
			case *mistral.DocumentURLChunk:
				return "document (document_url)"
			case *mistral.FileChunk:
				return "file"
			case *mistral.AudioChunk:
				return "recording (input_audio)"
			default:
				return fmt.Sprintf("chunk that is no text (%T)", c)
			}
		}
	}
	return ""
}

// callID returns nine letters and digits, the form that Mistral's models take,
// made from what they stand for.
func callID(of string) string {
	sum := sha256.Sum256([]byte(of))
	id := new(big.Int).SetBytes(sum[:]).Text(62)
	return (id + "000000000")[:9]
}

// Stream returns what Complete does in pieces: text in several, each call in
// one. Its errors are those of Complete, before the first piece. It may be
// ranged over more than once.
func (m *Offline) Stream(ctx context.Context, req *mistral.ChatRequest) iter.Seq2[*mistral.ChatChunk, error] {
	return func(yield func(*mistral.ChatChunk, error) bool) {
		resp, err := m.Complete(ctx, req)
		if err != nil {
			yield(nil, err)
			return
		}
		choice := resp.Choices[0]
		send := func(delta mistral.ChatDelta, reason mistral.FinishReason, usage *mistral.ChatUsage) bool {
			return yield(&mistral.ChatChunk{
				ID: resp.ID, Object: "chat.completion.chunk", Model: resp.Model, Usage: usage,
				Choices: []mistral.ChatChunkChoice{{Delta: delta, FinishReason: reason}},
			}, nil)
		}
		role := "assistant"
		for _, call := range choice.Message.ToolCalls {
			if !send(mistral.ChatDelta{Role: role, ToolCalls: []mistral.ToolCall{call}}, "", nil) {
				return
			}
			role = ""
		}
		if choice.Message.Content != nil {
			for word := range strings.SplitAfterSeq(choice.Message.Content.Text, " ") {
				if !send(mistral.ChatDelta{Role: role, Content: &mistral.Content{Text: word}}, "", nil) {
					return
				}
				role = ""
			}
		}
		send(mistral.ChatDelta{}, choice.FinishReason, &resp.Usage)
	}
}
