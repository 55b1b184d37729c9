package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/tramontane-dev/tramontane/mistral"
)

func (s *Server) startConversation(w http.ResponseWriter, r *http.Request) error {
	data, err := body(r)
	if err != nil {
		return err
	}
	req := new(mistral.ConversationRequest)
	if err := decode(data, req, true); err != nil {
		return err
	}
	inputs := req.Inputs.List()
	if err := checkStart(req, inputs); err != nil {
		return err
	}
	s.stamp(nil, inputs)
	now := s.now()
	c := &mistral.Conversation{
		ID: s.opts.NewID("conv"), CreatedAt: now, UpdatedAt: now,
		Name: req.Name, Description: req.Description, Metadata: req.Metadata,
	}
	t := &turn{conversation: c, inputs: inputs, stream: isTrue(req.Stream)}
	if req.AgentID != "" {
		c.AgentID, c.AgentVersion, t.args = req.AgentID, req.AgentVersion, req.CompletionArgs
	} else {
		c.Model, c.Instructions, c.Tools, c.CompletionArgs = req.Model, req.Instructions, req.Tools, req.CompletionArgs
		if c.Tools == nil {
			c.Tools = mistral.Tools{}
		}
		if c.CompletionArgs == nil {
			c.CompletionArgs = &mistral.CompletionArgs{}
		}
	}
	if stored(req.Store) {
		t.commit = s.create(t)
	}
	return s.run(w, r, t)
}

func isTrue(b *bool) bool { return b != nil && *b }

// stored reports whether a request's reply is to be stored: unless it says not.
func stored(store *bool) bool { return store == nil || *store }

// create returns the commit of a turn that makes a conversation.
func (s *Server) create(t *turn) func(context.Context, mistral.Entries) error {
	return func(ctx context.Context, outputs mistral.Entries) error {
		return s.store.CreateConversation(ctx, t.conversation, slices.Concat(t.history, t.inputs, outputs))
	}
}

func checkStart(req *mistral.ConversationRequest, inputs mistral.Entries) error {
	var c checker
	switch {
	case req.Model != "" && req.AgentID != "":
		c.add("value_error", "model and agent_id exclude each other", "body", "agent_id")
	case req.Model == "" && req.AgentID == "":
		c.add("missing", "Field required: a conversation needs a model or an agent_id", "body", "model")
	case req.AgentID == "" && req.AgentVersion != nil:
		c.add("value_error", "agent_version needs an agent_id", "body", "agent_version")
	}
	if req.AgentID != "" {
		// To run without them would be to ignore them.
		if req.Instructions != "" {
			c.add("value_error", "a conversation with an agent has the agent's instructions", "body", "instructions")
		}
		if len(req.Tools) > 0 {
			c.add("value_error", "a conversation with an agent has the agent's tools", "body", "tools")
		}
	}
	// A start drops what it does not know, but these it knows.
	for _, name := range []string{"handoffs", "tool_confirmations"} {
		if raw := string(req.Extra.Value(name)); raw != "" && raw != "null" && raw != "[]" {
			c.refuse("this server does not run %s yet, and a start has none", strings.ReplaceAll(name, "_", " "), "body", name)
		}
	}
	c.version(req.AgentVersion)
	checkEnum(&c, req.HandoffExecution, []any{"body", "handoff_execution"}, mistral.HandoffClient, mistral.HandoffServer)
	c.tools(req.Tools, true, "body", "tools")
	c.completionArgs(req.CompletionArgs, "body", "completion_args")
	c.guardrails(req.Guardrails, "body", "guardrails")
	c.object(req.Metadata, "body", "metadata")
	c.inputs(inputs)
	return c.err()
}

func (s *Server) appendConversation(w http.ResponseWriter, r *http.Request) error {
	data, err := body(r)
	if err != nil {
		return err
	}
	req := new(mistral.AppendRequest)
	if err := decode(data, req, false); err != nil {
		return err
	}
	inputs := req.Inputs.List()
	var c checker
	checkEnum(&c, req.HandoffExecution, []any{"body", "handoff_execution"}, mistral.HandoffClient, mistral.HandoffServer)
	c.completionArgs(req.CompletionArgs, "body", "completion_args")
	if len(req.ToolConfirmations) > 0 {
		c.refuse("this server does not run %s yet", "tool confirmations", "body", "tool_confirmations")
	}
	c.inputs(inputs)
	if err := c.err(); err != nil {
		return err
	}

	id := r.PathValue("id")
	unlock := func() {}
	if stored(req.Store) {
		// One append after the other: each reply knows what was said before it.
		// The store's own check finds an append of another server.
		held, err := s.turns.Lock(r.Context(), id)
		if err != nil {
			return err
		}
		unlock = sync.OnceFunc(held)
		defer unlock()
	}
	conversation, history, err := s.load(r.Context(), id)
	if err != nil {
		return err
	}
	s.stamp(history, inputs)
	t := &turn{conversation: conversation, history: history, inputs: inputs, args: req.CompletionArgs, stream: isTrue(req.Stream)}
	if stored(req.Store) {
		t.commit = func(ctx context.Context, outputs mistral.Entries) error {
			defer unlock() // a caller that is slow to read its reply keeps no one waiting
			return s.store.AppendEntries(ctx, id, len(history), slices.Concat(inputs, outputs), s.now())
		}
	}
	return s.run(w, r, t)
}

func (s *Server) restartConversation(w http.ResponseWriter, r *http.Request) error {
	data, err := body(r)
	if err != nil {
		return err
	}
	req := new(mistral.RestartRequest)
	if err := decode(data, req, false); err != nil {
		return err
	}
	inputs := req.Inputs.List()
	var c checker
	c.nonEmpty(req.FromEntryID, "body", "from_entry_id")
	c.version(req.AgentVersion)
	checkEnum(&c, req.HandoffExecution, []any{"body", "handoff_execution"}, mistral.HandoffClient, mistral.HandoffServer)
	c.completionArgs(req.CompletionArgs, "body", "completion_args")
	c.guardrails(req.Guardrails, "body", "guardrails")
	c.object(req.Metadata, "body", "metadata")
	c.inputs(inputs)
	if err := c.err(); err != nil {
		return err
	}

	id := r.PathValue("id")
	old, history, err := s.load(r.Context(), id)
	if err != nil {
		return err
	}
	last := slices.IndexFunc(history, func(e mistral.Entry) bool { return *fieldsOf(e).id == req.FromEntryID })
	if last < 0 {
		return notFound("conversation %s has no entry %s", id, req.FromEntryID)
	}
	if req.AgentVersion != nil && old.AgentID == "" {
		return invalid(detail{loc: []any{"body", "agent_version"}, kind: "value_error", msg: "this is a conversation with a model, not with an agent"})
	}
	history = history[:last+1]
	s.stamp(history, inputs)

	conversation := *old
	conversation.ID = s.opts.NewID("conv")
	conversation.CreatedAt = s.now()
	conversation.UpdatedAt = conversation.CreatedAt
	conversation.AgentVersion = req.AgentVersion
	if req.Metadata != nil {
		conversation.Metadata = req.Metadata
	}
	t := &turn{conversation: &conversation, history: history, inputs: inputs, args: req.CompletionArgs, stream: isTrue(req.Stream)}
	if stored(req.Store) {
		t.commit = s.create(t)
	}
	return s.run(w, r, t)
}

// load returns a conversation with its entries, or an error for the caller of
// the API.
func (s *Server) load(ctx context.Context, id string) (*mistral.Conversation, mistral.Entries, error) {
	c, err := s.conversation(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	entries, err := s.entries(ctx, id)
	return c, entries, err
}

func (s *Server) conversation(ctx context.Context, id string) (*mistral.Conversation, error) {
	c, err := s.store.Conversation(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, noConversation(id)
	}
	if err != nil {
		return nil, fmt.Errorf("conversation %s: %w", id, err)
	}
	return c, nil
}

func (s *Server) entries(ctx context.Context, id string) (mistral.Entries, error) {
	entries, err := s.store.Entries(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, noConversation(id)
	}
	if err != nil {
		return nil, fmt.Errorf("conversation %s: entries: %w", id, err)
	}
	return entries, nil
}

func noConversation(id string) *apiError { return notFound("there is no conversation %s", id) }

func (s *Server) getConversation(w http.ResponseWriter, r *http.Request) error {
	c, err := s.conversation(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return reply(w, c)
}

func (s *Server) getHistory(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	entries, err := s.entries(r.Context(), id)
	if err != nil {
		return err
	}
	return reply(w, &mistral.History{ConversationID: id, Entries: entries})
}

func (s *Server) getMessages(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	entries, err := s.entries(r.Context(), id)
	if err != nil {
		return err
	}
	messages := mistral.Entries{}
	for _, e := range entries {
		switch e.(type) {
		case *mistral.MessageInput, *mistral.MessageOutput:
			messages = append(messages, e)
		}
	}
	return reply(w, &mistral.Messages{ConversationID: id, Messages: messages})
}

func (s *Server) listConversations(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r)
	page, size := q.integer("page", 0, 0, maxPage), q.integer("page_size", 100, 1, 1000)
	filter := q.metadata()
	if err := q.err(); err != nil {
		return err
	}
	conversations := []*mistral.Conversation{}
	skip := page * size
	for c, err := range s.store.Conversations(r.Context(), Cursor{}) {
		if err != nil {
			return fmt.Errorf("list conversations: %w", err)
		}
		if !hasMetadata(c.Metadata, filter) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		conversations = append(conversations, c)
		if len(conversations) == size {
			break
		}
	}
	return reply(w, conversations)
}

func (s *Server) deleteConversation(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	switch err := s.store.DeleteConversation(r.Context(), id); {
	case errors.Is(err, ErrNotFound):
		return noConversation(id)
	case err != nil:
		return fmt.Errorf("delete conversation %s: %w", id, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
