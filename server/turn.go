package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/tramontane-dev/tramontane/mistral"
)

// A turn is one reply of the model: to the start of a conversation, to an
// append or to a restart.
type turn struct {
	conversation *mistral.Conversation
	history      mistral.Entries // stored before
	inputs       mistral.Entries // of this request
	args         *mistral.CompletionArgs
	stream       bool

	// commit stores the inputs and the outputs together. If nil, the request
	// said that nothing is to be stored.
	commit func(ctx context.Context, outputs mistral.Entries) error

	// What the conversation or its agent says.
	model, agentID, instructions string
	tools                        mistral.Tools
}

// prepare checks that the turn can be run and looks up the agent.
func (s *Server) prepare(ctx context.Context, t *turn) error {
	if err := checkCalls(t.history, t.inputs); err != nil {
		return err
	}
	if err := checkLast(t.history, t.inputs); err != nil {
		return err
	}
	c := t.conversation
	if c.AgentID == "" {
		t.model, t.instructions, t.tools = c.Model, c.Instructions, c.Tools
		t.args = merge(c.CompletionArgs, t.args)
		return nil
	}
	version := mistral.AgentVersion{Number: CurrentVersion}
	if c.AgentVersion != nil {
		version = *c.AgentVersion
	}
	a, err := s.agent(ctx, c.AgentID, version)
	if err != nil {
		return err
	}
	t.model, t.agentID, t.instructions, t.tools = a.Model, a.ID, a.Instructions, a.Tools
	t.args = merge(a.CompletionArgs, t.args)
	return runnable(a, append(t.history[:len(t.history):len(t.history)], t.inputs...))
}

// runnable refuses, by name, an agent that needs what this server does not do.
func runnable(a *mistral.Agent, entries mistral.Entries) error {
	var c checker
	loc := []any{"body", "agent_id"}
	if len(a.Handoffs) > 0 {
		c.refuse("this server does not run handoffs yet, and agent %s has some", a.ID, loc...)
	}
	if len(a.Guardrails) > 0 {
		c.refuse("this server does not run guardrails yet, and agent %s has some", a.ID, loc...)
	}
	for _, tool := range a.Tools {
		if name := builtIn(tool); name != "" {
			c.refuse("this server does not run the tool %s yet, and agent "+a.ID+" has it", name, loc...)
		}
	}
	current := a.ID
	for _, e := range entries {
		if h, ok := e.(*mistral.AgentHandoff); ok {
			current = h.NextAgentID
		}
	}
	if current != a.ID {
		c.refuse("this server does not run handoffs yet, and an agent.handoff passes the conversation on to agent %s", current, "body", "inputs")
	}
	return c.err()
}

// merge returns the settings of base with those of over in their place.
func merge(base, over *mistral.CompletionArgs) *mistral.CompletionArgs {
	var out mistral.CompletionArgs
	if base != nil {
		out = *base
	}
	if over == nil {
		return &out
	}
	set(&out.Stop, over.Stop)
	set(&out.PresencePenalty, over.PresencePenalty)
	set(&out.FrequencyPenalty, over.FrequencyPenalty)
	set(&out.Temperature, over.Temperature)
	set(&out.TopP, over.TopP)
	set(&out.MaxTokens, over.MaxTokens)
	set(&out.RandomSeed, over.RandomSeed)
	set(&out.Prediction, over.Prediction)
	set(&out.ResponseFormat, over.ResponseFormat)
	set(&out.ToolChoice, over.ToolChoice)
	set(&out.ReasoningEffort, over.ReasoningEffort)
	return &out
}

func set[T comparable](dst *T, v T) {
	var zero T
	if v != zero {
		*dst = v
	}
}

// request returns what the model is asked.
func (t *turn) request() *mistral.ChatRequest {
	a := t.args
	entries := append(t.history[:len(t.history):len(t.history)], t.inputs...)
	req := &mistral.ChatRequest{
		Model: t.model, Messages: prompt(t.instructions, entries),
		Stop: a.Stop, PresencePenalty: a.PresencePenalty, FrequencyPenalty: a.FrequencyPenalty,
		Temperature: a.Temperature, TopP: a.TopP, MaxTokens: a.MaxTokens, RandomSeed: a.RandomSeed,
		Prediction: a.Prediction, ResponseFormat: a.ResponseFormat, ReasoningEffort: a.ReasoningEffort,
	}
	for _, tool := range t.tools {
		if f, ok := tool.(*mistral.FunctionTool); ok {
			req.Tools = append(req.Tools, mistral.ChatTool{Type: "function", Function: f.Function})
		}
	}
	// Back-ends refuse a choice among no tools.
	if a.ToolChoice != "" && req.Tools != nil {
		req.ToolChoice = &mistral.ChatToolChoice{Mode: a.ToolChoice}
	}
	return req
}

// run answers the turn, plain or as a stream.
func (s *Server) run(w http.ResponseWriter, r *http.Request, t *turn) error {
	if err := s.prepare(r.Context(), t); err != nil {
		return err
	}
	if t.stream {
		return s.stream(w, r, t)
	}
	a, err := s.answer(r.Context(), t, nil)
	if err != nil {
		return err
	}
	return reply(w, &mistral.ConversationResponse{ConversationID: t.conversation.ID, Outputs: a.outputs, Usage: a.usage})
}

// stream answers with events. Once the first is out, a failure is an event too,
// the last one.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, t *turn) error {
	events := newEventStream(w)
	defer events.keepAlive(s.opts.KeepAlive)()
	err := events.send(&mistral.ResponseStarted{CreatedAt: s.now(), ConversationID: t.conversation.ID})
	if err != nil {
		return nil // the client is gone
	}
	a, err := s.answer(r.Context(), t, events.send)
	if events.broken() {
		return nil
	}
	if err != nil {
		e := s.failure(r, err)
		events.send(&mistral.ResponseError{CreatedAt: s.now(), Message: e.Error(), Code: e.status})
		return nil
	}
	events.send(&mistral.ResponseDone{CreatedAt: s.now(), Usage: a.usage})
	return nil
}

// answer asks the model and stores what was said. It returns only after the
// commit: what the caller tells the client after it is stored.
func (s *Server) answer(ctx context.Context, t *turn, emit func(mistral.Event) error) (*accumulator, error) {
	a := &accumulator{server: s, model: t.model, agentID: t.agentID, taken: map[string]bool{}, emit: emit}
	for _, entries := range []mistral.Entries{t.history, t.inputs} {
		for _, e := range entries {
			if call, ok := e.(*mistral.FunctionCall); ok {
				a.taken[call.ToolCallID] = true
			}
		}
	}
	err := s.ask(ctx, t.request(), a)
	if err == nil {
		err = a.done()
	}
	if err != nil {
		return nil, modelError(err, fmt.Sprintf("model %s: %v; nothing was stored", t.model, err))
	}
	if t.commit == nil {
		return a, nil
	}
	switch err := t.commit(ctx, a.outputs); {
	case errors.Is(err, ErrConflict):
		return nil, &apiError{status: http.StatusConflict, kind: "conflict_error",
			message: fmt.Sprintf("conversation %s got other entries while the model answered, so nothing was stored; read its history and append again", t.conversation.ID)}
	case errors.Is(err, ErrNotFound):
		return nil, notFound("conversation %s was deleted while the model answered", t.conversation.ID)
	case err != nil:
		return nil, fmt.Errorf("conversation %s: store: %w", t.conversation.ID, err)
	}
	return a, nil
}

func (s *Server) ask(ctx context.Context, req *mistral.ChatRequest, a *accumulator) error {
	if a.emit == nil {
		resp, err := s.model.Complete(ctx, req)
		if err != nil {
			return err
		}
		return a.response(resp)
	}
	for chunk, err := range s.model.Stream(ctx, req) {
		if err != nil {
			return err
		}
		if err := a.chunk(chunk); err != nil {
			return err
		}
	}
	return ctx.Err()
}
