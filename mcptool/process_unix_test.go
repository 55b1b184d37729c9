//go:build unix

package mcptool_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
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

// This test fails when upstream ends more than the one process.
func TestStockFaultP6(t *testing.T) {
	t.Parallel()
	stderr := &lockedBuffer{}
	cmd := exec.Command(testBinary(t))
	cmd.Env = append(os.Environ(), serverEnv+"=wrapper")
	cmd.Stderr = stderr
	cmd.WaitDelay = time.Second // the grandchild holds standard error
	client := mcp.NewClient(&mcp.Implementation{Name: "stock", Version: "1"}, nil)
	cs, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd, TerminateDuration: 300 * time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	eventually(t, "the wrapper names its child", func() bool {
		n, _ := fmt.Sscanf(stderr.String(), "grandchild %d", &pid)
		return n == 1
	})
	cs.Close()
	if !alive(pid) {
		t.Error("stock go-sdk ends grandchildren now")
	}
	syscall.Kill(pid, syscall.SIGKILL)
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
