//go:build unix

package mcptool

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup gives the process a group of its own, so that wrappers such as npx,
// uvx, "go run" and sh end together with what they started, and so that Ctrl-C
// in a terminal reaches the program alone, which then ends its servers.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func terminate(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGTERM) }

func kill(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGKILL) }

// endGroup ends what is left of the group of a process that has ended. The
// number of a group is not given out again while the group has members, and
// when it has none, the first signal says so.
func endGroup(p *os.Process, grace time.Duration) {
	if syscall.Kill(-p.Pid, syscall.SIGTERM) != nil {
		return
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(grace); time.Now().Before(end); <-tick.C {
		if syscall.Kill(-p.Pid, 0) != nil {
			return
		}
	}
	syscall.Kill(-p.Pid, syscall.SIGKILL)
}
