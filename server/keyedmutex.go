package server

import (
	"context"
	"sync"
)

// A keyedMutex is a mutex for each key that is in use. Its zero value is ready.
type keyedMutex struct {
	mu   sync.Mutex // guards the fields below
	keys map[string]*keyLock
}

type keyLock struct {
	held  chan struct{} // holds one value while locked
	users int           // holders and waiters
}

// Lock waits for the key and returns the function that gives it back, or the
// error of ctx.
func (m *keyedMutex) Lock(ctx context.Context, key string) (unlock func(), err error) {
	m.mu.Lock()
	if m.keys == nil {
		m.keys = map[string]*keyLock{}
	}
	l := m.keys[key]
	if l == nil {
		l = &keyLock{held: make(chan struct{}, 1)}
		m.keys[key] = l
	}
	l.users++
	m.mu.Unlock()

	leave := func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(m.keys, key)
		}
	}
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
