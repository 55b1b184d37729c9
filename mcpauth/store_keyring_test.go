package mcpauth

import (
	"bytes"
	"testing"

	"github.com/zalando/go-keyring"
)

// The keyring gets no piece that a platform refuses, and keeps none that is old.
func TestKeyringPieces(t *testing.T) {
	keyring.MockInit()
	store := KeyringStore{Service: t.Name(), Dir: t.TempDir()}
	pieces := func() (names []string) {
		for _, place := range []string{"a", "b"} {
			for i := range 20 {
				name := pieceName(fileName("k"), place, i)
				piece, err := keyring.Get(t.Name(), name)
				if err != nil {
					continue
				}
				names = append(names, place)
				if len(piece) > keyringPiece {
					t.Errorf("a piece has %d bytes, want at most %d", len(piece), keyringPiece)
				}
			}
		}
		return names
	}
	for i, row := range []struct {
		size   int
		pieces int
		place  string
	}{{9000, 5, "a"}, {5000, 3, "b"}, {5000, 3, "a"}, {10, 0, ""}, {2047, 0, ""}, {2048, 1, "a"}} {
		if err := store.Save(t.Context(), "k", bytes.Repeat([]byte("x"), row.size)); err != nil {
			t.Fatal(err)
		}
		names := pieces()
		if len(names) != row.pieces || row.pieces > 0 && (names[0] != row.place || names[row.pieces-1] != row.place) {
			t.Errorf("save %d of %d bytes leaves pieces at %q, want %d at %q", i, row.size, names, row.pieces, row.place)
		}
	}

	// A writer that was killed after its first pieces changed nothing.
	if err := keyring.Set(t.Name(), pieceName(fileName("k"), "b", 0), "half"); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Load(t.Context(), "k"); len(got) != 2048 || err != nil {
		t.Errorf("Load beside half a value = %d bytes, %v", len(got), err)
	}
	// A piece that is gone is no short value.
	if err := keyring.Delete(t.Name(), pieceName(fileName("k"), "a", 0)); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Load(t.Context(), "k"); got != nil || err == nil {
		t.Errorf("Load of a value that lost a piece = %d bytes, %v", len(got), err)
	}
	if err := store.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Load(t.Context(), "k"); got != nil || err != nil {
		t.Errorf("Load after Delete = %d bytes, %v", len(got), err)
	}
}
