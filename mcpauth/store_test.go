package mcpauth_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/tramontane-dev/tramontane/mcpauth"
)

// This binary is also the second process of some tests. Their own keyring is
// in memory, and looks reachable by this.
func init() {
	if role := os.Getenv("MCPAUTH_TEST_ROLE"); role != "" {
		if err := play(role, os.Getenv("MCPAUTH_TEST_DIR")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
}

const key = "https://mcp.example/mcp https://auth.example"

func play(role, dir string) error {
	ctx := context.Background()
	store := mcpauth.FileStore{Dir: dir}
	switch role {
	case "hold": // the lock until it is killed
		if _, err := store.Lock(ctx, key); err != nil {
			return err
		}
		fmt.Println("held")
		select {}
	case "count":
		for range 50 {
			if err := increment(ctx, store); err != nil {
				return err
			}
		}
	case "default": // with the keyring that the environment has
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if err := mcpauth.DefaultStore().Save(ctx, key, []byte("token")); err != nil {
			return err
		}
		got, err := mcpauth.DefaultStore().Load(ctx, key)
		fmt.Printf("%s\n", got)
		return err
	}
	return nil
}

func process(t *testing.T, role, dir string, env ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "MCPAUTH_TEST_ROLE="+role, "MCPAUTH_TEST_DIR="+dir)
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// increment adds one to a number, as a refresh replaces a token.
func increment(ctx context.Context, store mcpauth.Store) error {
	unlock, err := store.Lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	data, err := store.Load(ctx, key)
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(string(data))
	return store.Save(ctx, key, []byte(strconv.Itoa(n+1)))
}

func stores(t *testing.T) map[string]mcpauth.Store {
	keyring.MockInit() // the one of this process; TestDefaultStore has a real connection
	return map[string]mcpauth.Store{
		"memory":  new(mcpauth.MemoryStore),
		"file":    mcpauth.FileStore{Dir: filepath.Join(t.TempDir(), "made", "here")},
		"keyring": mcpauth.KeyringStore{Service: t.Name(), Dir: filepath.Join(t.TempDir(), "locks")},
	}
}

func TestStores(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if got, err := store.Load(ctx, key); got != nil || err != nil {
				t.Errorf("Load of nothing = %q, %v; want nil, nil", got, err)
			}
			if err := store.Delete(ctx, key); err != nil {
				t.Errorf("Delete of nothing: %v", err)
			}
			for _, n := range []int{5, 2047, 2048, 9000, 5000, 1, 5000, 2048 * 3} {
				data := bytes.Repeat([]byte{byte('a' + n%26)}, n)
				if err := store.Save(ctx, key, data); err != nil {
					t.Fatalf("Save of %d bytes: %v", n, err)
				}
				if got, err := store.Load(ctx, key); !bytes.Equal(got, data) || err != nil {
					t.Errorf("Load after Save of %d bytes = %d bytes, %v", n, len(got), err)
				}
			}
			if err := store.Save(ctx, "other", []byte("kept")); err != nil {
				t.Fatal(err)
			}
			if err := store.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
			if got, err := store.Load(ctx, key); got != nil || err != nil {
				t.Errorf("Load after Delete = %q, %v; want nil, nil", got, err)
			}
			if got, err := store.Load(ctx, "other"); string(got) != "kept" || err != nil {
				t.Errorf("Load of another key = %q, %v", got, err)
			}
		})
	}
}

func TestStoresLock(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unlock, err := store.Lock(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			other, err := store.Lock(t.Context(), "other")
			if err != nil {
				t.Fatalf("Lock of another key: %v", err)
			}
			other()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				_, err := store.Lock(ctx, key)
				ended <- err
			}()
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Lock with a context that ended: %v", err)
			}
			unlock()

			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if err := increment(t.Context(), store); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if got, err := store.Load(t.Context(), key); string(got) != "20" || err != nil {
				t.Errorf("20 increments = %s, %v", got, err)
			}
		})
	}
}

// Two processes and this one add to one number.
func TestFileStoreProcesses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logins")
	store := mcpauth.FileStore{Dir: dir}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if out, err := process(t, "count", dir).CombinedOutput(); err != nil {
				t.Errorf("process: %v: %s", err, out)
			}
		})
	}
	for range 50 {
		if err := increment(t.Context(), store); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	if got, err := store.Load(t.Context(), key); string(got) != "150" || err != nil {
		t.Errorf("150 increments = %s, %v", got, err)
	}
}

// A process that is killed holds nothing.
func TestFileStoreDeadHolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logins")
	store := mcpauth.FileStore{Dir: dir}
	holder := process(t, "hold", dir)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := store.Lock(ctx, key); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock while another process holds it: %v", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	holder.Wait()
	unlock, err := store.Lock(t.Context(), key)
	if err != nil {
		t.Fatalf("Lock after the holder died: %v", err)
	}
	unlock()
}

func TestFileStorePermissions(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are access lists instead")
	}
	dir := filepath.Join(t.TempDir(), "logins")
	store := mcpauth.FileStore{Dir: dir}
	if err := store.Save(t.Context(), key, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	unlock, err := store.Lock(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	checkModes(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v; want one", files, err)
	}
	if strings.Contains(files[0], "example") {
		t.Errorf("the name of %s tells the key", files[0])
	}

	chmod(t, files[0], 0o644)
	if got, err := store.Load(t.Context(), key); string(got) != "secret" || err != nil {
		t.Errorf("Load of a file that others can read = %q, %v", got, err)
	}
	checkModes(t, dir)

	chmod(t, dir, 0o755)
	for name, err := range map[string]error{
		"Save":   store.Save(t.Context(), key, []byte("new")),
		"Delete": store.Delete(t.Context(), key),
		"Load":   func() error { _, err := store.Load(t.Context(), key); return err }(),
		"Lock":   func() error { _, err := store.Lock(t.Context(), key); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("%s in a directory that others can read: %v", name, err)
		}
	}
}

// checkModes reports what others can read.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestFileStoreDamage(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logins")
	store := mcpauth.FileStore{Dir: dir}
	if err := store.Save(t.Context(), key, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v; want one", files, err)
	}
	if err := os.WriteFile(files[0]+".1.tmp", []byte("what a killed process left"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", "{", `{"key":"another","data":""}`} {
		if err := os.WriteFile(files[0], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Load(t.Context(), key); err == nil || !strings.Contains(err.Error(), files[0]) {
			t.Errorf("Load of %q: %v, want an error that names the file", content, err)
		}
	}
	if err := store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("Delete leaves %v", left)
	}
}

// The directory is a name, not a pattern.
func TestFileStoreOddDirectory(t *testing.T) {
	t.Parallel()
	store := mcpauth.FileStore{Dir: filepath.Join(t.TempDir(), "[odd*")}
	if err := store.Save(t.Context(), key, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), key); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if left, _ := os.ReadDir(store.Dir); len(left) != 0 {
		t.Errorf("Delete leaves %v", left)
	}
}

func TestKeyringErrors(t *testing.T) {
	t.Cleanup(keyring.MockInit)
	broken := errors.New("no daemon")
	keyring.MockInitWithError(broken)
	store := mcpauth.KeyringStore{Dir: t.TempDir()}
	if err := store.Save(t.Context(), key, []byte("secret")); !errors.Is(err, broken) || strings.Contains(err.Error(), "secret") {
		t.Errorf("Save: %v", err)
	}
	if _, err := store.Load(t.Context(), key); !errors.Is(err, broken) {
		t.Errorf("Load: %v", err)
	}
	if err := store.Delete(t.Context(), key); !errors.Is(err, broken) {
		t.Errorf("Delete: %v", err)
	}
}

// TestDefaultStore has real connections to keyrings that are not there, or do
// not answer.
func TestDefaultStore(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the keyring of this system cannot be taken away by the environment")
	}
	socket := filepath.Join(t.TempDir(), "bus")
	silent, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	dir := t.TempDir()
	launcher := filepath.Join(dir, "dbus-launch")
	if err := os.WriteFile(launcher, []byte("#!/bin/sh\ntouch "+dir+"/launched\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{
		"none":   "unix:path=/nonexistent",
		"silent": "unix:path=" + socket,
	}
	if _, err := os.Stat(fmt.Sprintf("/run/user/%d", os.Getuid())); err != nil {
		rows["unset"] = "" // where there is one, it would be the keyring of whoever runs this
	}
	for name, bus := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			for range 2 { // the second finds what the first chose
				out, err := process(t, "default", "", "XDG_CONFIG_HOME="+home, "DBUS_SESSION_BUS_ADDRESS="+bus, "PATH="+dir+":"+os.Getenv("PATH")).CombinedOutput()
				if err != nil || string(out) != "token\n" {
					t.Fatalf("a process with the default store: %v: %s", err, out)
				}
			}
			logins := filepath.Join(home, "tramontane", "mcpauth")
			if chosen, err := os.ReadFile(filepath.Join(logins, "store")); string(chosen) != "file\n" {
				t.Errorf("what was chosen = %q, %v", chosen, err)
			}
			if got, err := (mcpauth.FileStore{Dir: logins}).Load(t.Context(), key); string(got) != "token" {
				t.Errorf("Load from the files = %q, %v", got, err)
			}
			checkModes(t, logins)
			// A keyring that was chosen once is not given up for good.
			if err := os.WriteFile(filepath.Join(logins, "store"), []byte("keyring\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := process(t, "default", "", "XDG_CONFIG_HOME="+home, "DBUS_SESSION_BUS_ADDRESS="+bus, "PATH="+dir+":"+os.Getenv("PATH")).CombinedOutput(); err != nil || string(out) != "token\n" {
				t.Fatalf("a process without its keyring: %v: %s", err, out)
			}
			if chosen, err := os.ReadFile(filepath.Join(logins, "store")); string(chosen) != "keyring\n" {
				t.Errorf("what was chosen became %q, %v", chosen, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "launched")); err == nil {
				t.Error("a session bus was started, which nobody ends")
			}
		})
	}
}
