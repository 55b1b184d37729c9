package mcpauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/zalando/go-keyring"
)

const (
	// keyringPiece is the most that goes in one item. Windows takes 2560 bytes;
	// on macOS the whole command, with the value in base64, may have 4096.
	keyringPiece = 2048

	// keyringTimeout is for one operation. A person may be asked to unlock the
	// keyring in it.
	keyringTimeout = time.Minute
)

// A KeyringStore keeps secrets in the keyring of the operating system: Keychain
// on macOS, Credential Manager on Windows, a Secret Service (GNOME Keyring,
// KWallet, KeePassXC) elsewhere. Where there is none, its methods return errors;
// [DefaultStore] goes on without.
//
// The keyring cannot be interrupted. When a context ends, or after a minute,
// the method returns, but its goroutine waits on, and others wait for it.
type KeyringStore struct {
	// Service is the name that the items have in the keyring. If zero, it is
	// "tramontane".
	Service string

	// Dir is where the lock files are, which hold no secrets. If zero, it is
	// that of [FileStore].
	Dir string
}

// Load implements [Store].
func (s KeyringStore) Load(ctx context.Context, key string) ([]byte, error) {
	data, err := withKeyring(ctx, func() (string, error) { return s.load(fileName(key)) })
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keyring: read the login: %w", err)
	}
	return []byte(data), nil
}

// Save implements [Store].
func (s KeyringStore) Save(ctx context.Context, key string, data []byte) error {
	_, err := withKeyring(ctx, func() (struct{}, error) { return struct{}{}, s.save(fileName(key), string(data)) })
	if err != nil {
		return fmt.Errorf("keyring: keep the login: %w", err)
	}
	return nil
}

// Delete implements [Store].
func (s KeyringStore) Delete(ctx context.Context, key string) error {
	_, err := withKeyring(ctx, func() (struct{}, error) { return struct{}{}, s.remove(fileName(key)) })
	if err != nil {
		return fmt.Errorf("keyring: forget the login: %w", err)
	}
	return nil
}

// Lock implements [Store].
func (s KeyringStore) Lock(ctx context.Context, key string) (unlock func(), err error) {
	dir, err := privateDir(s.Dir)
	if err != nil {
		return nil, err
	}
	return lockFile(ctx, dir, key)
}

func (s KeyringStore) service() string {
	if s.Service == "" {
		return "tramontane"
	}
	return s.Service
}

// A value is one item, "=" and the value, if it is short. A longer one is in
// pieces: the item, the head, names one of two places, the number of pieces
// there and their digest. A new value goes to the other place and is there when
// the head names it, so that a reader finds all of the old or all of the new.
type head struct {
	place  string // "a" or "b"
	count  int
	digest string
}

func (h head) String() string { return fmt.Sprintf("%s %d %s", h.place, h.count, h.digest) }

// parseHead returns the zero head for what is none, as a short value.
func parseHead(text string) (h head) {
	parts := strings.Split(text, " ")
	if len(parts) != 3 || parts[0] != "a" && parts[0] != "b" {
		return head{}
	}
	count, err := strconv.Atoi(parts[1])
	if err != nil {
		return head{}
	}
	return head{parts[0], count, parts[2]}
}

func pieceName(name, place string, i int) string { return name + "." + place + strconv.Itoa(i) }

func digestOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:16])
}

func (s KeyringStore) load(name string) (string, error) {
	for range 5 { // who reads may be overtaken by two writers
		text, err := keyring.Get(s.service(), name)
		if err != nil {
			return "", err
		}
		if value, short := strings.CutPrefix(text, "="); short {
			return value, nil
		}
		h := parseHead(text)
		var value strings.Builder
		for i := range h.count {
			piece, err := keyring.Get(s.service(), pieceName(name, h.place, i))
			if err != nil && !errors.Is(err, keyring.ErrNotFound) {
				return "", err
			}
			value.WriteString(piece)
		}
		if digestOf(value.String()) == h.digest {
			return value.String(), nil
		}
	}
	return "", fmt.Errorf("item %s of service %s is damaged: remove it and log in again", name, s.service())
}

func (s KeyringStore) save(name, value string) error {
	text, err := keyring.Get(s.service(), name)
	if err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return err
	}
	old := parseHead(text)
	if len(value) < keyringPiece {
		if err := keyring.Set(s.service(), name, "="+value); err != nil {
			return err
		}
		return s.removePieces(name, old)
	}
	next := head{place: "a", digest: digestOf(value)}
	if old.place == "a" {
		next.place = "b"
	}
	for rest := value; rest != ""; next.count++ {
		piece := rest[:min(len(rest), keyringPiece)]
		rest = rest[len(piece):]
		if err := keyring.Set(s.service(), pieceName(name, next.place, next.count), piece); err != nil {
			return err
		}
	}
	if err := keyring.Set(s.service(), name, next.String()); err != nil {
		return err
	}
	return s.removePieces(name, old)
}

func (s KeyringStore) remove(name string) error {
	text, err := keyring.Get(s.service(), name)
	if errors.Is(err, keyring.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := keyring.Delete(s.service(), name); err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return err
	}
	return s.removePieces(name, parseHead(text))
}

func (s KeyringStore) removePieces(name string, h head) error {
	for i := range h.count {
		if err := keyring.Delete(s.service(), pieceName(name, h.place, i)); err != nil && !errors.Is(err, keyring.ErrNotFound) {
			return err
		}
	}
	return nil
}

// keyringTurn has one operation wait for the other, so that a keyring that
// hangs costs one goroutine.
var keyringTurn = make(chan struct{}, 1)

// withKeyring runs an operation of the keyring, which knows no context.
func withKeyring[T any](ctx context.Context, op func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, keyringTimeout, errors.New("it does not answer"))
	defer cancel()
	type result struct {
		value T
		err   error
	}
	var none T
	if err := keyringReachable(); err != nil {
		return none, err
	}
	select {
	case keyringTurn <- struct{}{}:
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	done := make(chan result, 1)
	go func() {
		value, err := op()
		<-keyringTurn
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}
