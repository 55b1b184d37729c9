package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"zombiezen.com/go/sqlite"

	"github.com/tramontane-dev/tramontane/internal/wire"
	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
)

// CreateAgent implements [server.Store].
func (s *Store) CreateAgent(ctx context.Context, a *mistral.Agent) error {
	body, err := wire.Marshal(a)
	if err != nil {
		return err
	}
	return s.writer.write(ctx, func(conn *sqlite.Conn) error {
		err := execute(conn, `INSERT INTO agents (id, created_at, version) VALUES (?, ?, ?)`, a.ID, string(a.CreatedAt), a.Version)
		if err != nil {
			return err
		}
		return execute(conn, `INSERT INTO agent_versions (agent, version, body) VALUES (?, ?, ?)`, conn.LastInsertRowID(), a.Version, string(body))
	})
}

// agentColumns are what readAgent reads: a version and the numbers of all.
const agentColumns = `v.body, (SELECT json_group_array(n.version ORDER BY n.version) FROM agent_versions n WHERE n.agent = v.agent)`

func readAgent(row *sqlite.Stmt) (*mistral.Agent, error) {
	a := new(mistral.Agent)
	if err := wire.Unmarshal([]byte(row.ColumnText(0)), a); err != nil {
		return nil, fmt.Errorf("stored agent: %w", err)
	}
	if err := json.Unmarshal([]byte(row.ColumnText(1)), &a.Versions); err != nil {
		return nil, fmt.Errorf("stored agent %s: versions: %w", a.ID, err)
	}
	return a, nil
}

// Agent implements [server.Store].
func (s *Store) Agent(ctx context.Context, id string, version int) (*mistral.Agent, error) {
	a, err := one(s.agents(ctx, `
		SELECT `+agentColumns+` FROM agents a JOIN agent_versions v ON v.agent = a.num
		WHERE a.id = ?1 AND v.version = CASE ?2 WHEN -1 THEN a.version ELSE ?2 END`, id, version))
	return a, err
}

// one returns the first value of a sequence, or server.ErrNotFound.
func one[T any](seq iter.Seq2[*T, error]) (*T, error) {
	for v, err := range seq {
		return v, err
	}
	return nil, server.ErrNotFound
}

// Agents implements [server.Store].
func (s *Store) Agents(ctx context.Context, after server.Cursor) iter.Seq2[*mistral.Agent, error] {
	return s.agents(ctx, `
		SELECT `+agentColumns+` FROM agents a JOIN agent_versions v ON v.agent = a.num AND v.version = a.version
		WHERE (a.created_at, a.id) > (?, ?) ORDER BY a.created_at, a.id`, string(after.CreatedAt), after.ID)
}

// AgentVersions implements [server.Store].
func (s *Store) AgentVersions(ctx context.Context, id string, from int) iter.Seq2[*mistral.Agent, error] {
	return s.agents(ctx, `
		SELECT `+agentColumns+` FROM agents a JOIN agent_versions v ON v.agent = a.num
		WHERE a.id = ? AND v.version >= ? ORDER BY v.version`, id, from)
}

func (s *Store) agents(ctx context.Context, sql string, args ...any) iter.Seq2[*mistral.Agent, error] {
	return rows(ctx, s, readAgent, sql, args...)
}

var errBreak = errors.New("the loop was left")

// rows yields what read makes of each row of a query.
func rows[T any](ctx context.Context, s *Store, read func(*sqlite.Stmt) (*T, error), sql string, args ...any) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		err := s.read(ctx, func(conn *sqlite.Conn) error {
			return query(conn, func(row *sqlite.Stmt) error {
				v, err := read(row)
				if err != nil {
					return err
				}
				if !yield(v, nil) {
					return errBreak
				}
				return nil
			}, sql, args...)
		})
		if err != nil && err != errBreak {
			yield(nil, err)
		}
	}
}

// AddAgentVersion implements [server.Store].
func (s *Store) AddAgentVersion(ctx context.Context, a *mistral.Agent, base int) error {
	body, err := wire.Marshal(a)
	if err != nil {
		return err
	}
	return s.writer.write(ctx, func(conn *sqlite.Conn) error {
		found, newest, current, num := false, 0, 0, int64(0)
		err := query(conn, func(row *sqlite.Stmt) error {
			found, num, current, newest = true, row.ColumnInt64(0), row.ColumnInt(1), row.ColumnInt(2)
			return nil
		}, `SELECT a.num, a.version, max(v.version) FROM agents a JOIN agent_versions v ON v.agent = a.num WHERE a.id = ? GROUP BY a.num`, a.ID)
		switch {
		case err != nil:
			return err
		case !found:
			return server.ErrNotFound
		case newest != a.Version-1 || current != base:
			return server.ErrConflict
		}
		if err := execute(conn, `INSERT INTO agent_versions (agent, version, body) VALUES (?, ?, ?)`, num, a.Version, string(body)); err != nil {
			return err
		}
		return execute(conn, `UPDATE agents SET version = ? WHERE num = ?`, a.Version, num)
	})
}

// UseAgentVersion implements [server.Store].
func (s *Store) UseAgentVersion(ctx context.Context, id string, version int) error {
	return s.change(ctx, `
		UPDATE agents SET version = ?2
		WHERE id = ?1 AND EXISTS (SELECT 1 FROM agent_versions v WHERE v.agent = num AND v.version = ?2)`, id, version)
}

// DeleteAgent implements [server.Store].
func (s *Store) DeleteAgent(ctx context.Context, id string) error {
	return s.change(ctx, `DELETE FROM agents WHERE id = ?`, id)
}

// change runs one statement that has to change something.
func (s *Store) change(ctx context.Context, sql string, args ...any) error {
	return s.writer.write(ctx, func(conn *sqlite.Conn) error {
		if err := execute(conn, sql, args...); err != nil {
			return err
		}
		if conn.Changes() == 0 {
			return server.ErrNotFound
		}
		return nil
	})
}
