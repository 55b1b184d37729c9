// Package playcalls makes given tool calls in a real run: the run talks to the
// self-hosted API, whose model asks for one call a turn. Programs that hold
// MCP servers against this module use it, so that a call takes the way that it
// takes in a program of a user.
package playcalls

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/sqlite"
)

// A Call is one that the model asks for.
type Call struct {
	// Tool is the name under which the model knows the tool.
	Tool string

	// Arguments is a JSON object. If nil, it is {}.
	Arguments json.RawMessage
}

// Run makes the calls, one after the other, in one run with the tools of the
// toolsets, and returns an event for each, in their order, failed ones among
// them. The error is that of the run. Each event of the run goes to watch, if
// that is not nil.
//
// A run in which a call outlives its request is cancelled there, once for each
// such call, and resumed from its State as another program would.
func Run(ctx context.Context, toolsets []tramontane.Toolset, calls []Call, watch func(tramontane.Event)) ([]*tramontane.ResultEvent, error) {
	dir, err := os.MkdirTemp("", "playcalls-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, filepath.Join(dir, "run.db"), nil)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	api := httptest.NewServer(server.New(store, script(calls), nil))
	defer api.Close()

	runner := &tramontane.Runner{
		Client:   &mistral.Client{BaseURL: api.URL, APIKey: "none"},
		Model:    "script",
		Toolsets: toolsets,
		MaxTurns: len(calls) + 1,
	}
	var results []*tramontane.ResultEvent
	left := make(map[string]bool) // by the keys of calls
	input, opts := tramontane.UserText("Make the calls."), (*tramontane.RunOptions)(nil)
	for input != nil || opts != nil {
		part, cancel := context.WithCancel(ctx)
		defer cancel()
		events := runner.Stream(part, input, opts)
		input, opts = nil, nil
		for event, err := range events {
			done, over := event.(*tramontane.DoneEvent)
			switch {
			case over && len(done.Result.Kept) > 0 && ctx.Err() == nil:
				if opts, err = resumption(done.Result.State); err != nil {
					return results, err
				}
				continue
			case err != nil:
				return results, err
			}
			if watch != nil {
				watch(event)
			}
			switch e := event.(type) {
			case *tramontane.KeptEvent:
				if !left[e.Call.Key] {
					left[e.Call.Key] = true
					cancel()
				}
			case *tramontane.ResultEvent:
				results = append(results, e)
			}
		}
	}
	if len(results) != len(calls) {
		return results, fmt.Errorf("the run made %d calls of %d", len(results), len(calls))
	}
	return results, nil
}

// resumption takes a State through JSON.
func resumption(state *tramontane.State) (*tramontane.RunOptions, error) {
	data, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	saved := new(tramontane.State)
	return &tramontane.RunOptions{Resume: saved}, json.Unmarshal(data, saved)
}

// A script is a model that asks for its calls in turn and then says so. What it
// is asked without tools, beside the run, it answers with a word.
type script []Call

// Complete implements server.Model.
func (s script) Complete(_ context.Context, req *mistral.ChatRequest) (*mistral.ChatResponse, error) {
	if len(req.Tools) == 0 {
		choice := mistral.ChatChoice{FinishReason: mistral.FinishStop}
		choice.Message.Content = &mistral.Content{Text: "Asked beside the run."}
		return &mistral.ChatResponse{ID: "script", Object: "chat.completion", Model: req.Model, Choices: []mistral.ChatChoice{choice}}, nil
	}
	answered := 0
	for _, message := range req.Messages {
		if _, ok := message.(*mistral.ToolMessage); ok {
			answered++
		}
	}
	choice := mistral.ChatChoice{FinishReason: mistral.FinishStop}
	if answered >= len(s) {
		choice.Message.Content = &mistral.Content{Text: "The calls were made."}
	} else {
		arguments := string(s[answered].Arguments)
		if arguments == "" {
			arguments = "{}"
		}
		choice.FinishReason = mistral.FinishToolCalls
		choice.Message.ToolCalls = []mistral.ToolCall{{
			ID:       fmt.Sprintf("call%05d", answered),
			Type:     "function",
			Function: mistral.ToolCallFunc{Name: s[answered].Tool, Arguments: mistral.Arguments{Text: arguments}},
		}}
	}
	return &mistral.ChatResponse{ID: "script", Object: "chat.completion", Model: req.Model, Choices: []mistral.ChatChoice{choice}}, nil
}

// Stream implements server.Model.
func (s script) Stream(ctx context.Context, req *mistral.ChatRequest) iter.Seq2[*mistral.ChatChunk, error] {
	return func(yield func(*mistral.ChatChunk, error) bool) {
		resp, err := s.Complete(ctx, req)
		if err != nil {
			yield(nil, err)
			return
		}
		choice := resp.Choices[0]
		yield(&mistral.ChatChunk{
			ID: resp.ID, Object: "chat.completion.chunk", Model: resp.Model,
			Choices: []mistral.ChatChunkChoice{{
				Delta:        mistral.ChatDelta{Role: "assistant", Content: choice.Message.Content, ToolCalls: choice.Message.ToolCalls},
				FinishReason: choice.FinishReason,
			}},
		}, nil)
	}
}
