package mcpauth

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// lockPoll is how often a lock that another process holds is asked for. There
// is no way to wait for one that heeds a context.
const lockPoll = 20 * time.Millisecond

// localLocks are the locks between goroutines, each a chan struct{} with room
// for one, by the path of the lock file. The file alone would do, but then
// twenty goroutines would poll it.
var localLocks sync.Map

// lockFile locks a key by a file in the directory. The operating system frees
// it when the process ends, however that comes about, so a file that is there
// does not mean that the key is locked. It is never removed: a process that
// waits for the removed file and one that makes a new one would both hold it.
func lockFile(ctx context.Context, dir, key string) (unlock func(), err error) {
	path := filepath.Join(dir, fileName(key)+".lock")
	v, _ := localLocks.LoadOrStore(path, make(chan struct{}, 1))
	local := v.(chan struct{})
	select {
	case local <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	file := flock.New(path)
	if _, err := file.TryLockContext(ctx, lockPoll); err != nil {
		file.Close()
		<-local
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() {
		// Nothing can be done about an error: the file is closed either way,
		// and that frees the lock.
		file.Close()
		<-local
	}, nil
}
