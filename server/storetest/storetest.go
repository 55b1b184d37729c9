// Package storetest proves that a [server.Store] does what the server needs.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/internal/wire"
	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
)

// Run tests a store. Each test opens one of its own, empty, which open closes at
// the end of the test.
func Run(t *testing.T, open func(t *testing.T) server.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s server.Store)
	}{
		{"AgentComesBackAsItIs", agentComesBack},
		{"AgentVersions", agentVersions},
		{"AgentVersionConflicts", agentVersionConflicts},
		{"AgentOrder", agentOrder},
		{"DeletedAgent", deletedAgent},
		{"ConversationComesBackAsItIs", conversationComesBack},
		{"ConversationOrder", conversationOrder},
		{"AppendChecksLength", appendChecksLength},
		{"AppendsAtOnce", appendsAtOnce},
		{"DeletedConversation", deletedConversation},
		{"NothingOfACancelledChange", cancelledChange},
		{"ChangeWhileListing", changeWhileListing},
		{"IDsAreUnique", idsAreUnique},
		{"OneFailureAmongMany", oneFailureAmongMany},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

// wantJSON compares values by their JSON, which is all that a store keeps.
func wantJSON(t *testing.T, what string, got, want any) {
	t.Helper()
	g, err := wire.Marshal(got)
	check(t, err)
	w, err := wire.Marshal(want)
	check(t, err)
	if diff := cmp.Diff(string(w), string(g)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func moment(n int) mistral.Timestamp {
	return mistral.Timestamp(fmt.Sprintf("2026-01-02T03:04:05.%06dZ", n))
}

func agent(id string, created int) *mistral.Agent {
	temperature := 0.5
	return &mistral.Agent{
		ID: id, Name: "name of " + id, Model: "m", Versions: []int{0}, Source: "api",
		CreatedAt: moment(created), UpdatedAt: moment(created),
		Tools:          mistral.Tools{&mistral.UnknownTool{Type: "new", Raw: []byte(`{"type":"new", "n":  1.0}`)}},
		CompletionArgs: &mistral.CompletionArgs{Temperature: &temperature},
		Metadata:       []byte(`{"b": 1,"a":[1.50]}`),
	}
}

// version returns the next version of an agent.
func version(a *mistral.Agent, n int) *mistral.Agent {
	next := *a
	next.Version = n
	next.Instructions = fmt.Sprint("version ", n)
	next.Versions = nil
	for i := range n + 1 {
		next.Versions = append(next.Versions, i)
	}
	return &next
}

func agentComesBack(t *testing.T, s server.Store) {
	ctx := t.Context()
	want := agent("ag_1", 1)
	check(t, s.CreateAgent(ctx, want))
	for _, v := range []int{server.CurrentVersion, 0} {
		got, err := s.Agent(ctx, "ag_1", v)
		check(t, err)
		wantJSON(t, fmt.Sprintf("agent, version %d", v), got, want)
	}
	_, err := s.Agent(ctx, "ag_1", 1)
	wantError(t, "version that is not there", err, server.ErrNotFound)
	_, err = s.Agent(ctx, "ag_2", server.CurrentVersion)
	wantError(t, "agent that is not there", err, server.ErrNotFound)
}

func agentVersions(t *testing.T, s server.Store) {
	ctx := t.Context()
	first := agent("ag_1", 1)
	check(t, s.CreateAgent(ctx, first))
	for n := 1; n <= 3; n++ {
		check(t, s.AddAgentVersion(ctx, version(first, n), n-1))
	}
	got, err := s.Agent(ctx, "ag_1", server.CurrentVersion)
	check(t, err)
	wantJSON(t, "newest version", got, version(first, 3))

	check(t, s.UseAgentVersion(ctx, "ag_1", 1))
	got, err = s.Agent(ctx, "ag_1", server.CurrentVersion)
	check(t, err)
	want := version(first, 1)
	want.Versions = []int{0, 1, 2, 3}
	wantJSON(t, "version in use", got, want)
	wantError(t, "use of a version that is not there", s.UseAgentVersion(ctx, "ag_1", 4), server.ErrNotFound)
	wantError(t, "use of a version of no agent", s.UseAgentVersion(ctx, "ag_2", 0), server.ErrNotFound)

	var numbers []int
	for a, err := range s.AgentVersions(ctx, "ag_1", 2) {
		check(t, err)
		numbers = append(numbers, a.Version)
	}
	if diff := cmp.Diff([]int{2, 3}, numbers); diff != "" {
		t.Errorf("versions from 2 on (-want +got):\n%s", diff)
	}
	check(t, s.AddAgentVersion(ctx, version(first, 4), 1))
}

func agentVersionConflicts(t *testing.T, s server.Store) {
	ctx := t.Context()
	first := agent("ag_1", 1)
	check(t, s.CreateAgent(ctx, first))
	check(t, s.AddAgentVersion(ctx, version(first, 1), 0))
	wantError(t, "version that is there", s.AddAgentVersion(ctx, version(first, 1), 1), server.ErrConflict)
	wantError(t, "version with a gap before it", s.AddAgentVersion(ctx, version(first, 3), 1), server.ErrConflict)
	wantError(t, "version made from one that is not in use", s.AddAgentVersion(ctx, version(first, 2), 0), server.ErrConflict)
	wantError(t, "version of no agent", s.AddAgentVersion(ctx, version(agent("ag_2", 1), 1), 0), server.ErrNotFound)
	got, err := s.Agent(ctx, "ag_1", server.CurrentVersion)
	check(t, err)
	wantJSON(t, "agent after the conflicts", got, version(first, 1))
}

func agentOrder(t *testing.T, s server.Store) {
	ctx := t.Context()
	for _, a := range []*mistral.Agent{agent("ag_c", 2), agent("ag_b", 2), agent("ag_z", 1), agent("ag_a", 3)} {
		check(t, s.CreateAgent(ctx, a))
	}
	ids := func(after server.Cursor) (ids []string) {
		for a, err := range s.Agents(ctx, after) {
			check(t, err)
			ids = append(ids, a.ID)
		}
		return ids
	}
	if diff := cmp.Diff([]string{"ag_z", "ag_b", "ag_c", "ag_a"}, ids(server.Cursor{})); diff != "" {
		t.Errorf("agents (-want +got):\n%s", diff)
	}
	check(t, s.DeleteAgent(ctx, "ag_b"))
	after := server.Cursor{CreatedAt: moment(2), ID: "ag_b"}
	if diff := cmp.Diff([]string{"ag_c", "ag_a"}, ids(after)); diff != "" {
		t.Errorf("agents after one that was deleted (-want +got):\n%s", diff)
	}
}

func deletedAgent(t *testing.T, s server.Store) {
	ctx := t.Context()
	check(t, s.CreateAgent(ctx, agent("ag_1", 1)))
	check(t, s.DeleteAgent(ctx, "ag_1"))
	wantError(t, "second deletion", s.DeleteAgent(ctx, "ag_1"), server.ErrNotFound)
	_, err := s.Agent(ctx, "ag_1", 0)
	wantError(t, "version of a deleted agent", err, server.ErrNotFound)
	for a := range s.AgentVersions(ctx, "ag_1", 0) {
		t.Errorf("deleted agent has version %d", a.Version)
	}
	check(t, s.CreateAgent(ctx, agent("ag_1", 2)))
}

func conversation(id string, created int) *mistral.Conversation {
	return &mistral.Conversation{
		ID: id, Model: "m", Tools: mistral.Tools{}, CompletionArgs: &mistral.CompletionArgs{},
		CreatedAt: moment(created), UpdatedAt: moment(created), Metadata: []byte(`{"k": "v"}`),
	}
}

func said(texts ...string) (entries mistral.Entries) {
	for _, text := range texts {
		entries = append(entries, &mistral.MessageInput{ID: "msg_" + text, Role: mistral.RoleUser, Content: mistral.Content{Text: text}})
	}
	return entries
}

func conversationComesBack(t *testing.T, s server.Store) {
	ctx := t.Context()
	want := conversation("conv_1", 1)
	entries := mistral.Entries{
		said("é<&>\x00")[0],
		&mistral.FunctionCall{ID: "fc_1", ToolCallID: "a", Name: "f", Arguments: mistral.Arguments{Text: `{"x": 1.50}`, Object: true}},
		&mistral.FunctionResult{ID: "fr_1", ToolCallID: "a", Result: ""},
		&mistral.UnknownEntry{Type: "new", Raw: []byte(`{"type":"new", "n":  1.0}`)},
	}
	check(t, s.CreateConversation(ctx, want, entries))
	got, err := s.Conversation(ctx, "conv_1")
	check(t, err)
	wantJSON(t, "conversation", got, want)
	gotEntries, err := s.Entries(ctx, "conv_1")
	check(t, err)
	wantJSON(t, "entries", []mistral.Entry(gotEntries), []mistral.Entry(entries))

	check(t, s.CreateConversation(ctx, conversation("conv_2", 2), nil))
	gotEntries, err = s.Entries(ctx, "conv_2")
	check(t, err)
	wantJSON(t, "no entries", []mistral.Entry(gotEntries), []mistral.Entry{})
	_, err = s.Conversation(ctx, "conv_3")
	wantError(t, "conversation that is not there", err, server.ErrNotFound)
	_, err = s.Entries(ctx, "conv_3")
	wantError(t, "entries of a conversation that is not there", err, server.ErrNotFound)
}

func conversationOrder(t *testing.T, s server.Store) {
	ctx := t.Context()
	for i, id := range []string{"conv_b", "conv_c", "conv_a"} {
		check(t, s.CreateConversation(ctx, conversation(id, 3-i), said(id)))
	}
	var ids []string
	for c, err := range s.Conversations(ctx, server.Cursor{}) {
		check(t, err)
		ids = append(ids, c.ID)
		if len(ids) == 2 {
			break
		}
	}
	if diff := cmp.Diff([]string{"conv_a", "conv_c"}, ids); diff != "" {
		t.Errorf("first two conversations (-want +got):\n%s", diff)
	}
	check(t, s.CreateConversation(ctx, conversation("conv_d", 2), nil))
	ids = nil
	for c, err := range s.Conversations(ctx, server.Cursor{CreatedAt: moment(1), ID: "conv_a"}) {
		check(t, err)
		ids = append(ids, c.ID)
	}
	if diff := cmp.Diff([]string{"conv_c", "conv_d", "conv_b"}, ids); diff != "" {
		t.Errorf("conversations after the first (-want +got):\n%s", diff)
	}
}

func appendChecksLength(t *testing.T, s server.Store) {
	ctx := t.Context()
	check(t, s.CreateConversation(ctx, conversation("conv_1", 1), said("a")))
	check(t, s.AppendEntries(ctx, "conv_1", 1, said("b", "c"), moment(2)))
	for _, n := range []int{0, 1, 2, 4} {
		wantError(t, fmt.Sprint("append at ", n), s.AppendEntries(ctx, "conv_1", n, said("x"), moment(9)), server.ErrConflict)
	}
	wantError(t, "append to no conversation", s.AppendEntries(ctx, "conv_2", 0, said("x"), moment(9)), server.ErrNotFound)
	entries, err := s.Entries(ctx, "conv_1")
	check(t, err)
	wantJSON(t, "entries", []mistral.Entry(entries), []mistral.Entry(said("a", "b", "c")))
	c, err := s.Conversation(ctx, "conv_1")
	check(t, err)
	if c.UpdatedAt != moment(2) || c.CreatedAt != moment(1) {
		t.Errorf("created %s, updated %s, want %s, %s", c.CreatedAt, c.UpdatedAt, moment(1), moment(2))
	}
}

// appendsAtOnce lets many append at the same place: one of them wins, and no
// entry of the others is there.
func appendsAtOnce(t *testing.T, s server.Store) {
	ctx := t.Context()
	const writers, rounds = 8, 10
	check(t, s.CreateConversation(ctx, conversation("conv_1", 1), nil))
	for round := range rounds {
		var wg sync.WaitGroup
		errs := make([]error, writers)
		for i := range writers {
			wg.Go(func() {
				text := fmt.Sprint(round, "-", i)
				errs[i] = s.AppendEntries(ctx, "conv_1", 2*round, said(text, text+"'"), moment(2))
			})
		}
		wg.Wait()
		entries, err := s.Entries(ctx, "conv_1")
		check(t, err)
		if len(entries) != 2*(round+1) {
			t.Fatalf("round %d: %d entries, want %d", round, len(entries), 2*(round+1))
		}
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
				text := fmt.Sprint(round, "-", i)
				wantJSON(t, "entries of the one that won", []mistral.Entry(entries[2*round:]), []mistral.Entry(said(text, text+"'")))
				continue
			}
			wantError(t, "append of one that lost", err, server.ErrConflict)
		}
		if won != 1 {
			t.Errorf("round %d: %d appends won, want 1", round, won)
		}
	}
}

func deletedConversation(t *testing.T, s server.Store) {
	ctx := t.Context()
	check(t, s.CreateConversation(ctx, conversation("conv_1", 1), said("a")))
	check(t, s.DeleteConversation(ctx, "conv_1"))
	wantError(t, "second deletion", s.DeleteConversation(ctx, "conv_1"), server.ErrNotFound)
	wantError(t, "append after the deletion", s.AppendEntries(ctx, "conv_1", 1, said("b"), moment(2)), server.ErrNotFound)
	_, err := s.Entries(ctx, "conv_1")
	wantError(t, "entries after the deletion", err, server.ErrNotFound)
	check(t, s.CreateConversation(ctx, conversation("conv_1", 2), nil))
	entries, err := s.Entries(ctx, "conv_1")
	check(t, err)
	wantJSON(t, "entries of a new conversation with the old id", []mistral.Entry(entries), []mistral.Entry{})
}

func cancelledChange(t *testing.T, s server.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, "creation after the cancellation", s.CreateConversation(ctx, conversation("conv_1", 1), nil), context.Canceled)
	_, err := s.Conversation(t.Context(), "conv_1")
	wantError(t, "conversation of a cancelled creation", err, server.ErrNotFound)
}

// changeWhileListing writes while a list is open: a list must not keep others
// from writing, nor itself.
func changeWhileListing(t *testing.T, s server.Store) {
	ctx := t.Context()
	check(t, s.CreateConversation(ctx, conversation("conv_1", 1), nil))
	check(t, s.CreateConversation(ctx, conversation("conv_2", 2), nil))
	for c, err := range s.Conversations(ctx, server.Cursor{}) {
		check(t, err)
		check(t, s.AppendEntries(ctx, c.ID, 0, said("a"), moment(3)))
	}
}

func idsAreUnique(t *testing.T, s server.Store) {
	ctx := t.Context()
	check(t, s.CreateAgent(ctx, agent("ag_1", 1)))
	if s.CreateAgent(ctx, agent("ag_1", 2)) == nil {
		t.Error("a second agent with the same id was stored")
	}
	check(t, s.CreateConversation(ctx, conversation("conv_1", 1), said("a")))
	if s.CreateConversation(ctx, conversation("conv_1", 2), said("b")) == nil {
		t.Error("a second conversation with the same id was stored")
	}
	entries, err := s.Entries(ctx, "conv_1")
	check(t, err)
	wantJSON(t, "entries of the first", []mistral.Entry(entries), []mistral.Entry(said("a")))
}

// oneFailureAmongMany makes changes at once of which some fail: each gets its
// own answer, and those that fail take none of the others with them.
func oneFailureAmongMany(t *testing.T, s server.Store) {
	ctx := t.Context()
	check(t, s.CreateConversation(ctx, conversation("conv_taken", 1), nil))
	const n = 48
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			id := fmt.Sprint("conv_", i)
			switch i % 3 {
			case 0:
				if s.CreateConversation(ctx, conversation("conv_taken", 2), said("x")) == nil {
					t.Error("a second conversation with the same id was stored")
				}
			case 1:
				if err := s.AppendEntries(ctx, "conv_taken", 7, said("x"), moment(3)); !errors.Is(err, server.ErrConflict) {
					t.Errorf("append at a wrong place: %v, want %v", err, server.ErrConflict)
				}
			case 2:
				if err := s.CreateConversation(ctx, conversation(id, 2), said(id)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := 2; i < n; i += 3 {
		entries, err := s.Entries(ctx, fmt.Sprint("conv_", i))
		check(t, err)
		wantJSON(t, "entries of one that was stored", []mistral.Entry(entries), []mistral.Entry(said(fmt.Sprint("conv_", i))))
	}
	entries, err := s.Entries(ctx, "conv_taken")
	check(t, err)
	wantJSON(t, "entries of the one that was there", []mistral.Entry(entries), []mistral.Entry{})
}
