package server

import (
	"context"
	"errors"
	"iter"

	"github.com/tramontane-dev/tramontane/mistral"
)

var (
	// ErrNotFound is the answer of a [Store] that has no such agent, version or
	// conversation.
	ErrNotFound = errors.New("not found")

	// ErrConflict is the answer of a [Store] to a change that was made from
	// something which is no longer so.
	ErrConflict = errors.New("changed in the meantime")
)

// A Store keeps agents and conversations. Ids, clocks, paging and validation
// are the server's; a store keeps what it is given, as it is given.
//
// Each method is atomic and safe for concurrent use, also by several servers on
// one database. When a method that changes something returns nil, the change
// survives a crash of the process and of the machine; when it returns an error
// other than that of ctx, nothing has changed. Package storetest proves a store.
type Store interface {
	// CreateAgent keeps a new agent with its first version.
	CreateAgent(ctx context.Context, a *mistral.Agent) error

	// Agent returns a version of an agent, or the current one if version is
	// [CurrentVersion]. Versions of the result are all that there are,
	// ascending. The error is ErrNotFound if there is no such agent or version.
	Agent(ctx context.Context, id string, version int) (*mistral.Agent, error)

	// Agents yields the current version of each agent after the cursor, in the
	// order of creation. It holds a connection until the loop ends.
	Agents(ctx context.Context, after Cursor) iter.Seq2[*mistral.Agent, error]

	// AgentVersions yields the versions of an agent, ascending, from the given
	// one on; none if there is no such agent.
	AgentVersions(ctx context.Context, id string, from int) iter.Seq2[*mistral.Agent, error]

	// AddAgentVersion keeps a as the newest version of the agent a.ID and makes
	// it the current one. The error is ErrConflict if the newest version is not
	// a.Version-1 or the current one is not base, ErrNotFound if there is no
	// such agent.
	AddAgentVersion(ctx context.Context, a *mistral.Agent, base int) error

	// UseAgentVersion makes a version the current one. The error is ErrNotFound
	// if there is no such agent or version.
	UseAgentVersion(ctx context.Context, id string, version int) error

	// DeleteAgent forgets an agent with all its versions. The error is
	// ErrNotFound if there is none.
	DeleteAgent(ctx context.Context, id string) error

	// CreateConversation keeps a new conversation with its first entries.
	CreateConversation(ctx context.Context, c *mistral.Conversation, entries mistral.Entries) error

	// Conversation returns a conversation, or ErrNotFound.
	Conversation(ctx context.Context, id string) (*mistral.Conversation, error)

	// Conversations yields conversations after the cursor, in the order of
	// creation. It holds a connection until the loop ends.
	Conversations(ctx context.Context, after Cursor) iter.Seq2[*mistral.Conversation, error]

	// Entries returns a conversation's entries in order, or ErrNotFound.
	Entries(ctx context.Context, id string) (mistral.Entries, error)

	// AppendEntries adds entries to a conversation that has n of them and sets
	// when it was updated. The error is ErrConflict if it has not n entries,
	// ErrNotFound if there is no such conversation.
	AppendEntries(ctx context.Context, id string, n int, entries mistral.Entries, updated mistral.Timestamp) error

	// DeleteConversation forgets a conversation with its entries. The error is
	// ErrNotFound if there is none.
	DeleteConversation(ctx context.Context, id string) error
}

// CurrentVersion stands for the version of an agent that is in use.
const CurrentVersion = -1

// A Cursor is a place in the order of creation: that of the agent or
// conversation with this moment of creation and id, which need not exist any
// more. The zero value is the place before the first.
type Cursor struct {
	CreatedAt mistral.Timestamp
	ID        string
}
