package sqlite

import (
	"context"
	"errors"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tramontane-dev/tramontane/server"
)

// A writer runs changes on the one connection that writes. Changes that wait
// while others are committed are committed together: a commit waits for the
// disk, and this makes one wait of many (about nine times the rows per second).
type writer struct {
	conn    *sqlite.Conn
	changes chan *change
	quit    chan struct{}
	ended   chan struct{}
}

// A change is one caller's atomic work.
type change struct {
	ctx context.Context

	// do makes the change. If it returns ErrNotFound or ErrConflict of package
	// server, it has written nothing. It may be called again after an error.
	do func(*sqlite.Conn) error

	err  error
	done chan struct{} // closed when err is set and, if it is nil, the change is committed
}

// maxBatch bounds how long the first of a batch waits for the others.
const maxBatch = 256

func newWriter(conn *sqlite.Conn) *writer {
	w := &writer{conn: conn, changes: make(chan *change), quit: make(chan struct{}), ended: make(chan struct{})}
	// Otherwise a change that waits for the lock of another process would keep
	// close waiting as long.
	conn.SetInterrupt(w.quit)
	go w.loop()
	return w
}

// write runs do in a transaction and waits until it is committed. The caller's
// context counts until the work is begun: from then on it cannot be told apart
// from the others in its batch.
func (w *writer) write(ctx context.Context, do func(*sqlite.Conn) error) error {
	c := &change{ctx: ctx, do: do, done: make(chan struct{})}
	select {
	case w.changes <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errors.New("sqlite: the store is closed")
	}
	<-c.done
	return c.err
}

func (w *writer) close() error {
	close(w.quit)
	<-w.ended
	return w.conn.Close()
}

func (w *writer) loop() {
	defer close(w.ended)
	for {
		select {
		case c := <-w.changes:
			w.commit(w.batch(c))
		case <-w.quit:
			return
		}
	}
}

// batch returns the change and those that wait now.
func (w *writer) batch(first *change) []*change {
	batch := []*change{first}
	for len(batch) < maxBatch {
		select {
		case c := <-w.changes:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

func (w *writer) commit(batch []*change) {
	if err := w.run(batch); err != nil {
		// Again, each alone: one that fails takes none of the others with it.
		for i, c := range batch {
			if err := w.run(batch[i : i+1]); err != nil {
				c.err = err
			}
		}
	}
	for _, c := range batch {
		close(c.done)
	}
}

// run runs the changes in one transaction. Those that find that there is nothing
// to do say why in their err. Any other error, and nothing has changed: a
// savepoint for each change would spare the others, but costs a third of the
// throughput, for an error that a server does not cause.
func (w *writer) run(batch []*change) (err error) {
	end, err := sqlitex.ImmediateTransaction(w.conn)
	if err != nil {
		return err
	}
	defer end(&err)
	for _, c := range batch {
		if c.err = c.ctx.Err(); c.err != nil {
			continue
		}
		c.err = c.do(w.conn)
		if c.err != nil && !errors.Is(c.err, server.ErrNotFound) && !errors.Is(c.err, server.ErrConflict) {
			return c.err
		}
	}
	return nil
}
