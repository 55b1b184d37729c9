package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/tramontane-dev/tramontane/server/sqlite"
)

// openStore opens the database of a server in this process: a temporary one if
// there is no path.
func openStore(ctx context.Context, path string) (*sqlite.Store, error) {
	if path != "" {
		// SQLite would say of it that a file cannot be opened, and not why.
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return nil, usageErrorf("--db %s: its directory cannot be used: %w; make it, or name another file", path, err)
		}
	}
	store, err := sqlite.Open(ctx, path, nil)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ended(ctx)
	case err != nil:
		return nil, usageErrorf("--db: %w", err)
	}
	return store, nil
}
