package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tramontane-dev/tramontane/internal/wire"
	"github.com/tramontane-dev/tramontane/mistral"
)

func (s *Server) createAgent(w http.ResponseWriter, r *http.Request) error {
	data, err := body(r)
	if err != nil {
		return err
	}
	req := new(mistral.AgentRequest)
	if err := decode(data, req, false); err != nil {
		return err
	}
	now := s.now()
	a := &mistral.Agent{
		ID: s.opts.NewID("ag"), Version: 0, Versions: []int{0}, CreatedAt: now, UpdatedAt: now, Source: "api",
		Name: req.Name, Model: req.Model, Description: req.Description, Instructions: req.Instructions,
		Tools: req.Tools, CompletionArgs: req.CompletionArgs, Guardrails: req.Guardrails,
		Handoffs: req.Handoffs, Metadata: req.Metadata, VersionMessage: req.VersionMessage,
	}
	if err := s.checkAgent(r.Context(), a); err != nil {
		return err
	}
	if err := s.store.CreateAgent(r.Context(), a); err != nil {
		return fmt.Errorf("create agent: %w", err)
	}
	return reply(w, a)
}

// checkAgent checks an agent that is to be stored, and gives it the empty
// values that the SDKs want instead of nulls. What this server does not run may
// be stored: a conversation with the agent refuses it.
func (s *Server) checkAgent(ctx context.Context, a *mistral.Agent) error {
	if a.Tools == nil {
		a.Tools = mistral.Tools{}
	}
	if a.CompletionArgs == nil {
		a.CompletionArgs = &mistral.CompletionArgs{}
	}
	var c checker
	c.nonEmpty(a.Model, "body", "model")
	c.nonEmpty(a.Name, "body", "name")
	c.tools(a.Tools, false, "body", "tools")
	c.completionArgs(a.CompletionArgs, "body", "completion_args")
	for i, g := range a.Guardrails {
		// It would be read back as null, which the schema does not have: the
		// TypeScript SDK then drops the agent.
		if raw, err := wire.Marshal(g); err != nil || string(wire.Member(raw, "block_on_error")) == "null" {
			c.add("bool_type", "Input should be a valid boolean", "body", "guardrails", i, "block_on_error")
		}
	}
	c.object(a.Metadata, "body", "metadata")
	if n := len([]rune(a.VersionMessage)); n > 500 {
		c.add("string_too_long", "String should have at most 500 characters", "body", "version_message")
	}
	if a.Handoffs != nil && len(a.Handoffs) == 0 {
		c.add("too_short", "List should have at least 1 item", "body", "handoffs")
	}
	for i, id := range a.Handoffs {
		_, err := s.store.Agent(ctx, id, CurrentVersion)
		if errors.Is(err, ErrNotFound) {
			c.add("value_error", fmt.Sprintf("there is no agent %q", id), "body", "handoffs", i)
		} else if err != nil {
			return fmt.Errorf("agent %s: %w", id, err)
		}
	}
	return c.err()
}

func (s *Server) getAgent(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r)
	if err := q.err(); err != nil {
		return err
	}
	version := mistral.AgentVersion{Number: CurrentVersion}
	if text := q.values.Get("agent_version"); text != "" {
		version = parseVersion(text)
	}
	a, err := s.agent(r.Context(), r.PathValue("id"), version)
	if err != nil {
		return err
	}
	return reply(w, a)
}

func (s *Server) getAgentVersion(w http.ResponseWriter, r *http.Request) error {
	a, err := s.agent(r.Context(), r.PathValue("id"), parseVersion(r.PathValue("number")))
	if err != nil {
		return err
	}
	return reply(w, a)
}

// parseVersion reads a version: a number, or else an alias.
func parseVersion(text string) mistral.AgentVersion {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return mistral.AgentVersion{Number: n}
	}
	return mistral.AgentVersion{Alias: text}
}

// agent returns an agent, or an error for the caller of the API.
func (s *Server) agent(ctx context.Context, id string, v mistral.AgentVersion) (*mistral.Agent, error) {
	if v.Alias != "" {
		v = parseVersion(v.Alias)
	}
	if v.Alias != "" {
		return nil, notFound("agent %s has no version %q: this server has no aliases of versions yet, only their numbers", id, v.Alias)
	}
	a, err := s.store.Agent(ctx, id, v.Number)
	if errors.Is(err, ErrNotFound) && v.Number != CurrentVersion {
		return nil, notFound("there is no agent %s with a version %d", id, v.Number)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, noAgent(id)
	}
	if err != nil {
		return nil, fmt.Errorf("agent %s: %w", id, err)
	}
	return a, nil
}

func noAgent(id string) *apiError { return notFound("there is no agent %s", id) }

func (s *Server) updateAgent(w http.ResponseWriter, r *http.Request) error {
	data, err := body(r)
	if err != nil {
		return err
	}
	req := new(mistral.AgentUpdate)
	if err := decode(data, req, false); err != nil {
		return err
	}
	// Several updates at once each make a version, one after the other. Only
	// another server on the same database can come in between.
	unlock, err := s.turns.Lock(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	defer unlock()
	a, err := s.agent(r.Context(), r.PathValue("id"), mistral.AgentVersion{Number: CurrentVersion})
	if err != nil {
		return err
	}
	base := a.Version
	if err := change(a, req, data); err != nil {
		return err
	}
	if err := s.checkAgent(r.Context(), a); err != nil {
		return err
	}
	a.Version = a.Versions[len(a.Versions)-1] + 1
	a.Versions = append(a.Versions, a.Version)
	a.UpdatedAt = s.now()
	switch err := s.store.AddAgentVersion(r.Context(), a, base); {
	case errors.Is(err, ErrConflict):
		return &apiError{status: http.StatusConflict, kind: "conflict_error",
			message: fmt.Sprintf("agent %s was changed at the same time; read it and update it again", a.ID)}
	case errors.Is(err, ErrNotFound):
		return noAgent(a.ID)
	case err != nil:
		return fmt.Errorf("update agent %s: %w", a.ID, err)
	}
	return reply(w, a)
}

// change applies an update to an agent. A member that is absent leaves the
// agent as it is; null takes away what an agent can be without. The message is
// of one version and is not passed on to the next.
func change(a *mistral.Agent, req *mistral.AgentUpdate, data []byte) error {
	a.VersionMessage = req.VersionMessage
	var c checker
	given := func(name string, nullable bool) bool {
		raw := wire.Member(data, name)
		if string(raw) == "null" && !nullable {
			c.add("none_not_allowed", "Input should not be null; leave it out to keep what the agent has", "body", name)
		}
		return raw != nil
	}
	if given("instructions", true) {
		a.Instructions = req.Instructions
	}
	if given("tools", false) {
		a.Tools = req.Tools
	}
	if given("completion_args", false) {
		a.CompletionArgs = req.CompletionArgs
	}
	if given("guardrails", true) {
		a.Guardrails = req.Guardrails
	}
	if given("description", true) {
		a.Description = req.Description
	}
	if given("handoffs", true) {
		a.Handoffs = req.Handoffs
	}
	if given("metadata", true) {
		a.Metadata = req.Metadata
	}
	// An agent always has these three, so their null means nothing.
	if req.Model != "" || string(wire.Member(data, "model")) == `""` {
		a.Model = req.Model
	}
	if req.Name != "" || string(wire.Member(data, "name")) == `""` {
		a.Name = req.Name
	}
	if req.DeploymentChat != nil {
		a.DeploymentChat = *req.DeploymentChat
	}
	return c.err()
}

func (s *Server) deleteAgent(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	switch err := s.store.DeleteAgent(r.Context(), id); {
	case errors.Is(err, ErrNotFound):
		return noAgent(id)
	case err != nil:
		return fmt.Errorf("delete agent %s: %w", id, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// useAgentVersion switches the agent to a version. The OpenAPI has the number
// in the query; older documentation has it in a body.
func (s *Server) useAgentVersion(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	data, err := body(r)
	if err != nil {
		return err
	}
	q := queryOf(r)
	if q.values.Get("version") == "" {
		q.values.Set("version", string(wire.Member(data, "version")))
	}
	if q.values.Get("version") == "" {
		q.add("missing", "Field required", "query", "version")
	}
	version := q.integer("version", 0, 0, maxInt)
	if err := q.err(); err != nil {
		return err
	}
	switch err := s.store.UseAgentVersion(r.Context(), id, version); {
	case errors.Is(err, ErrNotFound):
		return notFound("there is no agent %s with a version %d", id, version)
	case err != nil:
		return fmt.Errorf("agent %s: use version %d: %w", id, version, err)
	}
	a, err := s.agent(r.Context(), id, mistral.AgentVersion{Number: CurrentVersion})
	if err != nil {
		return err
	}
	return reply(w, a)
}

func (s *Server) listAgentVersions(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r)
	page, size := q.integer("page", 0, 0, maxInt), q.integer("page_size", 20, 1, 100)
	if err := q.err(); err != nil {
		return err
	}
	a, err := s.agent(r.Context(), r.PathValue("id"), mistral.AgentVersion{Number: CurrentVersion})
	if err != nil {
		return err
	}
	agents := []*mistral.Agent{}
	if page > len(a.Versions)/size {
		return reply(w, agents)
	}
	// Versions are numbered without gaps.
	for v, err := range s.store.AgentVersions(r.Context(), a.ID, page*size) {
		if err != nil {
			return fmt.Errorf("versions of agent %s: %w", a.ID, err)
		}
		agents = append(agents, v)
		if len(agents) == size {
			break
		}
	}
	return reply(w, agents)
}

// An agentFilter says which agents a list is of.
type agentFilter struct {
	name, search, id string
	sources          []string
	deploymentChat   *bool
	metadata         map[string]any
}

func (q *query) agentFilter() agentFilter {
	f := agentFilter{
		name: q.values.Get("name"), search: q.values.Get("search"), id: q.values.Get("id"),
		sources: q.values["sources"], deploymentChat: q.boolean("deployment_chat"), metadata: q.metadata(),
	}
	for i, source := range f.sources {
		checkEnum(&q.checker, source, []any{"query", "sources", i}, "api", "playground", "agent_builder_v1")
	}
	return f
}

// match reports whether the agent is in the list. The name is compared as it
// is; the search looks for its words in the name and the id, in any case.
func (f *agentFilter) match(a *mistral.Agent) bool {
	if f.name != "" && a.Name != f.name || f.id != "" && a.ID != f.id {
		return false
	}
	if f.sources != nil && !slices.Contains(f.sources, a.Source) {
		return false
	}
	if f.deploymentChat != nil && a.DeploymentChat != *f.deploymentChat {
		return false
	}
	wanted := strings.ToLower(f.search)
	if !strings.Contains(strings.ToLower(a.Name), wanted) && !strings.Contains(strings.ToLower(a.ID), wanted) {
		return false
	}
	return hasMetadata(a.Metadata, f.metadata)
}

// agents returns at most n agents that pass the filter, after the cursor and
// after skip others.
func (s *Server) agents(ctx context.Context, f agentFilter, after Cursor, skip, n int) ([]*mistral.Agent, error) {
	agents := []*mistral.Agent{}
	for a, err := range s.store.Agents(ctx, after) {
		if err != nil {
			return nil, fmt.Errorf("list agents: %w", err)
		}
		if !f.match(a) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		agents = append(agents, a)
		if len(agents) == n {
			break
		}
	}
	return agents, nil
}

func (s *Server) listAgents(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r)
	page, size := q.integer("page", 0, 0, maxPage), q.integer("page_size", 20, 1, 1000)
	filter := q.agentFilter()
	if err := q.err(); err != nil {
		return err
	}
	agents, err := s.agents(r.Context(), filter, Cursor{}, page*size, size)
	if err != nil {
		return err
	}
	return reply(w, agents)
}

// maxPage keeps page * page_size an int.
const maxPage = 1 << 20

func (s *Server) listAgentPages(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r)
	size := q.integer("page_size", 20, 1, 1000)
	filter := q.agentFilter()
	after, err := parseToken(q.values.Get("page_token"))
	if err != nil {
		q.add("value_error", "this is no next_page_token of an earlier page", "query", "page_token")
	}
	if err := q.err(); err != nil {
		return err
	}
	agents, err := s.agents(r.Context(), filter, after, 0, size+1)
	if err != nil {
		return err
	}
	list := &mistral.AgentList{Data: []mistral.Agent{}}
	if len(agents) > size {
		agents = agents[:size]
		last := agents[size-1]
		list.NextPageToken = token(Cursor{last.CreatedAt, last.ID})
	}
	for _, a := range agents {
		list.Data = append(list.Data, *a)
	}
	return reply(w, list)
}

func token(c Cursor) string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(c.CreatedAt) + " " + c.ID))
}

func parseToken(text string) (Cursor, error) {
	if text == "" {
		return Cursor{}, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	at, id, ok := strings.Cut(string(data), " ")
	if err == nil && !ok {
		err = errors.New("no space in it")
	}
	return Cursor{mistral.Timestamp(at), id}, err
}
