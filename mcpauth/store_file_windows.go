package mcpauth

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// rename tries again for a second: a file that somebody is reading, as another
// process or a virus scanner, cannot be replaced.
func rename(from, to string) error {
	for range 50 {
		if err := os.Rename(from, to); !errors.Is(err, fs.ErrPermission) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return os.Rename(from, to)
}

// syncDir does nothing: a directory cannot be synced here.
func syncDir(string) error { return nil }
