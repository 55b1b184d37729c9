//go:build unix

package mcptool_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Fault P6 of go-sdk: the grandchild survives.
func TestCloseEndsGrandchildren(t *testing.T) {
	t.Parallel()
	s := testServer(t, "wrapper")
	start(t, s)
	var pid int
	eventually(t, "the wrapper names its child", func() bool {
		n, _ := fmt.Sscanf(strings.Join(s.Status().Stderr, "\n"), "grandchild %d", &pid)
		return n == 1
	})
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("grandchild %d does not run: %v", pid, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Whoever inherits the grandchild may take a moment to reap it.
	eventually(t, "the grandchild is gone", func() bool { return !alive(pid) })
}

// alive reports whether the process exists and is no zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(data), ") Z ")
}
