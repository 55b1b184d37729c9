package mcpauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A MemoryStore forgets everything when the program ends. The zero value is
// ready; it must not be copied after its first use.
type MemoryStore struct {
	mu    sync.Mutex // guards the fields below
	data  map[string][]byte
	locks map[string]chan struct{}
}

// Load implements [Store].
func (s *MemoryStore) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.data[key]), nil
}

// Save implements [Store].
func (s *MemoryStore) Save(_ context.Context, key string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data == nil {
		s.data = map[string][]byte{}
	}
	s.data[key] = append([]byte{}, data...)
	return nil
}

// Delete implements [Store].
func (s *MemoryStore) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.data, key)
	return nil
}

// Lock implements [Store]. There is no other process that knows the store.
func (s *MemoryStore) Lock(ctx context.Context, key string) (unlock func(), err error) {
	s.mu.Lock()
	if s.locks == nil {
		s.locks = map[string]chan struct{}{}
	}
	if s.locks[key] == nil {
		s.locks[key] = make(chan struct{}, 1)
	}
	lock := s.locks[key]
	s.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// probeTimeout is how long the keyring may take to show that it works. It is
// long enough for a slow one and short enough for a person who waits.
const probeTimeout = 3 * time.Second

// DefaultStore returns the store of this user: the keyring if it works, else
// files in [os.UserConfigDir]. Which of both it is, is found out at the first
// use and written down beside the files (in "store"), so that the programs of a
// user agree and find each other's logins. Remove that file to have it found
// out again. Where the keyring was chosen and cannot be reached, as over ssh,
// the files are used for as long as the program runs.
func DefaultStore() Store { return defaultStore }

var defaultStore = new(chosenStore)

// A chosenStore passes everything on to the store that was chosen.
type chosenStore struct {
	mu     sync.Mutex // guards the field below
	chosen Store
}

func (s *chosenStore) Load(ctx context.Context, key string) ([]byte, error) {
	store, err := s.choose(ctx)
	if err != nil {
		return nil, err
	}
	return store.Load(ctx, key)
}

func (s *chosenStore) Save(ctx context.Context, key string, data []byte) error {
	store, err := s.choose(ctx)
	if err != nil {
		return err
	}
	return store.Save(ctx, key, data)
}

func (s *chosenStore) Delete(ctx context.Context, key string) error {
	store, err := s.choose(ctx)
	if err != nil {
		return err
	}
	return store.Delete(ctx, key)
}

func (s *chosenStore) Lock(ctx context.Context, key string) (unlock func(), err error) {
	store, err := s.choose(ctx)
	if err != nil {
		return nil, err
	}
	return store.Lock(ctx, key)
}

// choose decides once. It holds a lock between processes meanwhile: two that
// start at the same time must not choose differently.
func (s *chosenStore) choose(ctx context.Context) (Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.chosen != nil {
		return s.chosen, nil
	}
	dir, err := privateDir("")
	if err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, dir, "store")
	if err != nil {
		return nil, err
	}
	defer unlock()
	path := filepath.Join(dir, "store")
	written, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	switch choice := strings.TrimSpace(string(written)); choice {
	case "file":
		s.chosen = FileStore{}
		return s.chosen, nil
	case "keyring", "":
		chosen, name := Store(FileStore{}), "file"
		if keyringWorks(ctx) {
			chosen, name = KeyringStore{}, "keyring"
		}
		if err := ctx.Err(); err != nil {
			return nil, err // the keyring was not given its time
		}
		if choice == "" {
			if err := replaceFile(path, []byte(name+"\n")); err != nil {
				return nil, err
			}
		}
		s.chosen = chosen
		return s.chosen, nil
	default:
		return nil, fmt.Errorf(`%s says %q: it must say "keyring" or "file"`, path, choice)
	}
}

// keyringWorks reports whether a value that is put in the keyring comes out.
func keyringWorks(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	const key = "probe"
	s := KeyringStore{}
	if err := s.Save(ctx, key, []byte("works")); err != nil {
		return false
	}
	got, err := s.Load(ctx, key)
	return s.Delete(ctx, key) == nil && err == nil && string(got) == "works"
}
