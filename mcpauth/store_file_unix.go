//go:build unix

package mcpauth

import "os"

func rename(from, to string) error { return os.Rename(from, to) }

// syncDir has a rename survive a power cut.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
