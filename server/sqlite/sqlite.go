package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitemigration"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tramontane-dev/tramontane/server"
)

// Options are the settings of a [Store].
type Options struct {
	// Readers is how many connections read at a time, beside the one that
	// writes. If zero, 4.
	Readers int
}

// A Store is a [server.Store] in an SQLite file, in WAL mode and with
// synchronous=FULL: what is acknowledged survives a loss of power, as far as
// the disk keeps its word. It is safe for concurrent use.
type Store struct {
	readers *sqlitex.Pool
	writer  *writer
	temp    string // directory to remove at the end; empty if the file is to stay
}

var _ server.Store = (*Store)(nil)

// Open opens the database at path, making or migrating it as needed. With the
// path "" or ":memory:" it is a temporary file that Close removes. The caller
// must call Close.
func Open(ctx context.Context, path string, opts *Options) (*Store, error) {
	s := new(Store)
	if path == "" || path == ":memory:" {
		// Connections cannot share a database that is only in memory without
		// readers and the writer locking each other out.
		dir, err := os.MkdirTemp("", "tramontane-")
		if err != nil {
			return nil, fmt.Errorf("sqlite: temporary database: %w", err)
		}
		s.temp = dir
		path = filepath.Join(dir, "db")
	}
	readers := 4
	if opts != nil && opts.Readers > 0 {
		readers = opts.Readers
	}
	if err := s.open(ctx, path, readers); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: database %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string, readers int) error {
	// Conversations are nobody else's to read. SQLite gives the files beside the
	// database its permissions; those of one that exists stay as they are.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
	if err != nil {
		return err
	}
	err = errors.Join(
		sqlitex.ExecuteTransient(conn, "PRAGMA synchronous = FULL", nil),
		sqlitex.ExecuteTransient(conn, "PRAGMA foreign_keys = ON", nil),
	)
	if err == nil {
		err = sqlitemigration.Migrate(ctx, conn, schema)
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	s.writer = newWriter(conn)
	s.readers, err = sqlitex.NewPool(path, sqlitex.PoolOptions{
		Flags: sqlite.OpenReadOnly, PoolSize: readers,
	})
	return err
}

// Close closes the database. It must not be called while another method runs or
// a sequence is being ranged over; a method that waits for another process to
// unlock the database returns an error then, and has changed nothing.
func (s *Store) Close() error {
	var err error
	if s.readers != nil {
		err = s.readers.Close()
	}
	if s.writer != nil {
		// Last, because the last connection to close folds the log into the file.
		err = errors.Join(err, s.writer.close())
	}
	if s.temp != "" {
		err = errors.Join(err, os.RemoveAll(s.temp))
	}
	return err
}

// read calls f with a connection that reads.
func (s *Store) read(ctx context.Context, f func(*sqlite.Conn) error) error {
	conn, err := s.readers.Take(ctx)
	if err != nil {
		return err
	}
	defer s.readers.Put(conn)
	return f(conn)
}

// query runs a statement. f is called with each row.
func query(conn *sqlite.Conn, f func(*sqlite.Stmt) error, sql string, args ...any) error {
	return sqlitex.Execute(conn, sql, &sqlitex.ExecOptions{Args: args, ResultFunc: f})
}

// execute runs a statement that returns no rows.
func execute(conn *sqlite.Conn, sql string, args ...any) error {
	return query(conn, nil, sql, args...)
}
