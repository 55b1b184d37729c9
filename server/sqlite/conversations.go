package sqlite

import (
	"context"
	"fmt"
	"iter"

	"zombiezen.com/go/sqlite"

	"github.com/tramontane-dev/tramontane/internal/wire"
	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
)

// CreateConversation implements [server.Store].
func (s *Store) CreateConversation(ctx context.Context, c *mistral.Conversation, entries mistral.Entries) error {
	body, err := wire.Marshal(c)
	if err != nil {
		return err
	}
	bodies, err := marshalEntries(entries)
	if err != nil {
		return err
	}
	return s.writer.write(ctx, func(conn *sqlite.Conn) error {
		err := execute(conn, `INSERT INTO conversations (id, created_at, updated_at, body) VALUES (?, ?, ?, ?)`,
			c.ID, string(c.CreatedAt), string(c.UpdatedAt), string(body))
		if err != nil {
			return err
		}
		return insertEntries(conn, conn.LastInsertRowID(), 0, bodies)
	})
}

func marshalEntries(entries mistral.Entries) ([]string, error) {
	bodies := make([]string, len(entries))
	for i, e := range entries {
		body, err := wire.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		bodies[i] = string(body)
	}
	return bodies, nil
}

func insertEntries(conn *sqlite.Conn, conversation int64, seq int, bodies []string) error {
	for i, body := range bodies {
		err := execute(conn, `INSERT INTO entries (conversation, seq, body) VALUES (?, ?, ?)`, conversation, seq+i, body)
		if err != nil {
			return err
		}
	}
	return nil
}

func readConversation(row *sqlite.Stmt) (*mistral.Conversation, error) {
	c := new(mistral.Conversation)
	if err := wire.Unmarshal([]byte(row.ColumnText(0)), c); err != nil {
		return nil, fmt.Errorf("stored conversation: %w", err)
	}
	c.UpdatedAt = mistral.Timestamp(row.ColumnText(1))
	return c, nil
}

// Conversation implements [server.Store].
func (s *Store) Conversation(ctx context.Context, id string) (*mistral.Conversation, error) {
	return one(rows(ctx, s, readConversation, `SELECT body, updated_at FROM conversations WHERE id = ?`, id))
}

// Conversations implements [server.Store].
func (s *Store) Conversations(ctx context.Context, after server.Cursor) iter.Seq2[*mistral.Conversation, error] {
	return rows(ctx, s, readConversation, `
		SELECT body, updated_at FROM conversations
		WHERE (created_at, id) > (?, ?) ORDER BY created_at, id`, string(after.CreatedAt), after.ID)
}

// Entries implements [server.Store].
func (s *Store) Entries(ctx context.Context, id string) (mistral.Entries, error) {
	found := false
	list := []byte{'['}
	err := s.read(ctx, func(conn *sqlite.Conn) error {
		// One statement, so that a deletion cannot come between two. A
		// conversation without entries is one row without a body.
		return query(conn, func(row *sqlite.Stmt) error {
			found = true
			if row.ColumnType(0) == sqlite.TypeNull {
				return nil
			}
			if len(list) > 1 {
				list = append(list, ',')
			}
			list = append(list, row.ColumnText(0)...)
			return nil
		}, `SELECT e.body FROM conversations c LEFT JOIN entries e ON e.conversation = c.num WHERE c.id = ? ORDER BY e.seq`, id)
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, server.ErrNotFound
	}
	var entries mistral.Entries
	if err := entries.UnmarshalJSON(append(list, ']')); err != nil {
		return nil, fmt.Errorf("stored entries of conversation %s: %w", id, err)
	}
	return entries, nil
}

// AppendEntries implements [server.Store].
func (s *Store) AppendEntries(ctx context.Context, id string, n int, entries mistral.Entries, updated mistral.Timestamp) error {
	bodies, err := marshalEntries(entries)
	if err != nil {
		return err
	}
	return s.writer.write(ctx, func(conn *sqlite.Conn) error {
		found, num, have := false, int64(0), 0
		err := query(conn, func(row *sqlite.Stmt) error {
			found, num, have = true, row.ColumnInt64(0), row.ColumnInt(1)
			return nil
		}, `SELECT c.num, (SELECT coalesce(max(e.seq) + 1, 0) FROM entries e WHERE e.conversation = c.num) FROM conversations c WHERE c.id = ?`, id)
		switch {
		case err != nil:
			return err
		case !found:
			return server.ErrNotFound
		case have != n:
			return server.ErrConflict
		}
		if err := insertEntries(conn, num, n, bodies); err != nil {
			return err
		}
		return execute(conn, `UPDATE conversations SET updated_at = ? WHERE num = ?`, string(updated), num)
	})
}

// DeleteConversation implements [server.Store].
func (s *Store) DeleteConversation(ctx context.Context, id string) error {
	return s.change(ctx, `DELETE FROM conversations WHERE id = ?`, id)
}
