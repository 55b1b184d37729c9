package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/sqlite"
	"github.com/tramontane-dev/tramontane/server/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) server.Store {
		return open(t, filepath.Join(t.TempDir(), "db"))
	})
}

func open(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a db?with#odd%20name")
	s, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &mistral.Conversation{ID: "conv_1", Model: "m"}
	if err := s.CreateConversation(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if _, err := open(t, path).Conversation(t.Context(), "conv_1"); err != nil {
		t.Errorf("after reopening: %v", err)
	}
}

// Two stores on one file are two servers on one database.
func TestTwoStores(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	a, b := open(t, path), open(t, path)
	c := &mistral.Conversation{ID: "conv_1", Model: "m"}
	if err := a.CreateConversation(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	entry := mistral.Entries{&mistral.MessageInput{Role: mistral.RoleUser}}
	if err := b.AppendEntries(t.Context(), "conv_1", 0, entry, ""); err != nil {
		t.Fatal(err)
	}
	if err := a.AppendEntries(t.Context(), "conv_1", 0, entry, ""); err != server.ErrConflict {
		t.Errorf("append at a place that the other store has filled: %v, want %v", err, server.ErrConflict)
	}
}

// A process that holds the lock does not keep another from stopping.
func TestCloseWhileLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := driver.OpenConn(path, driver.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := sqlitex.ExecuteTransient(other, "BEGIN IMMEDIATE", nil); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if err := s.CreateConversation(t.Context(), &mistral.Conversation{ID: "conv_1"}, nil); err == nil {
			t.Error("a change was made in spite of the lock")
		}
	})
	// Time enough for the change to wait; if it has not begun, Close refuses it.
	begun, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	<-begun.Done()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	waiting.Wait()
}

func TestTemporary(t *testing.T) {
	for _, path := range []string{"", ":memory:"} {
		dir := t.TempDir()
		t.Setenv("TMPDIR", dir)
		s, err := sqlite.Open(t.Context(), path, nil)
		if err != nil {
			t.Fatalf("Open(%q): %v", path, err)
		}
		if err := s.CreateConversation(t.Context(), &mistral.Conversation{ID: "conv_1"}, nil); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) > 0 {
			t.Errorf("Open(%q) left %v behind", path, left)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database, ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "no", "such", "directory"), dir, text} {
		s, err := sqlite.Open(t.Context(), path, nil)
		if err == nil {
			s.Close()
			t.Errorf("Open(%q) opened it", path)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%q): the error does not name it: %v", path, err)
		}
	}
}

func Example() {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, ":memory:", nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	err = store.CreateConversation(ctx, &mistral.Conversation{ID: "conv_1", Model: "mistral-small-latest"}, nil)
	if err != nil {
		panic(err)
	}
	c, err := store.Conversation(ctx, "conv_1")
	fmt.Println(c.Model, err)
	// Output: mistral-small-latest <nil>
}

func BenchmarkAppend(b *testing.B) {
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	text := strings.Repeat("x", 900)
	b.ReportAllocs()
	b.SetParallelism(32) // 64 at a time on two processors
	b.RunParallel(func(pb *testing.PB) {
		id := fmt.Sprintf("conv_%p", pb)
		if err := s.CreateConversation(b.Context(), &mistral.Conversation{ID: id}, nil); err != nil {
			b.Error(err)
		}
		for n := 0; pb.Next(); n += 2 {
			entries := mistral.Entries{
				&mistral.MessageInput{Role: mistral.RoleUser, Content: mistral.Content{Text: text}},
				&mistral.MessageOutput{Role: mistral.RoleAssistant, Content: mistral.Content{Text: text}},
			}
			if err := s.AppendEntries(b.Context(), id, n, entries, ""); err != nil {
				b.Error(err)
			}
		}
	})
}
