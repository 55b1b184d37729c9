package mcpauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// A FileStore keeps each key in a file of its own, which only the owner can
// read: the directory has mode 0700 and the files 0600. A directory that others
// can read or write is refused, since what is in it may be known or false; a
// file is set right. On Windows, who can read the directory is for its access
// list to say; that of a user profile lets nobody else.
//
// The files hold secrets in the clear. [KeyringStore] does not, where it works.
type FileStore struct {
	// Dir is the directory. It is made when it is first needed. If zero, it is
	// tramontane/mcpauth in [os.UserConfigDir].
	Dir string
}

// A storedFile is what a file holds. The key is there because the file's name
// does not tell it.
type storedFile struct {
	Key  string `json:"key"`
	Data []byte `json:"data"`
}

// fileName makes a name of a key that is safe in every file system and tells
// nothing.
func fileName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// Load implements [Store].
func (s FileStore) Load(_ context.Context, key string) ([]byte, error) {
	dir, err := privateDir(s.Dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fileName(key)+".json")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := makePrivate(path); err != nil {
		return nil, err
	}
	var file storedFile
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): remove it and log in again", path, err)
	}
	if file.Key != key {
		return nil, fmt.Errorf("%s is damaged (it belongs to %q): remove it and log in again", path, file.Key)
	}
	return file.Data, nil
}

// Save implements [Store].
func (s FileStore) Save(_ context.Context, key string, data []byte) error {
	dir, err := privateDir(s.Dir)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(storedFile{key, data})
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, fileName(key)+".json"), raw)
}

// Delete implements [Store].
func (s FileStore) Delete(_ context.Context, key string) error {
	dir, err := privateDir(s.Dir)
	if err != nil {
		return err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	name := fileName(key) + ".json"
	for _, file := range files {
		// A process that was killed in Save leaves its secrets in a temporary file.
		if left := file.Name(); left != name && !strings.HasPrefix(left, name+".") {
			continue
		}
		if err := os.Remove(filepath.Join(dir, file.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Lock implements [Store].
func (s FileStore) Lock(ctx context.Context, key string) (unlock func(), err error) {
	dir, err := privateDir(s.Dir)
	if err != nil {
		return nil, err
	}
	return lockFile(ctx, dir, key)
}

// privateDir returns the directory, or that of FileStore if it is empty, and
// makes it if it is not there.
func privateDir(dir string) (string, error) {
	if dir == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return "", fmt.Errorf("no place for logins: %w", err)
		}
		dir = filepath.Join(config, "tramontane", "mcpauth")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return "", fmt.Errorf("%s is open to other users (mode %04o): look at what is in it, then chmod 700 it", dir, mode)
	}
	return dir, nil
}

// makePrivate takes a file, as one that was copied here, away from others.
func makePrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 || runtime.GOOS == "windows" {
		return err
	}
	return os.Chmod(path, 0o600)
}

// replaceFile writes a file so that whoever reads it, after a power cut too,
// finds all of the old content or all of the new.
func replaceFile(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
		}
	}()
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
