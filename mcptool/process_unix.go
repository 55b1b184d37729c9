//go:build unix

package mcptool

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A group is a process with all that it started, as a process group.
type group struct {
	leader *os.Process
}

// startGroup starts cmd in a group of its own, so that wrappers such as npx,
// uvx, "go run" and sh end together with what they started, and so that Ctrl-C
// in a terminal reaches this program alone, which then ends its servers.
func startGroup(cmd *exec.Cmd) (*group, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &group{cmd.Process}, nil
}

// terminate asks the group to end.
func (g *group) terminate() { syscall.Kill(-g.leader.Pid, syscall.SIGTERM) }

// kill ends the group.
func (g *group) kill() { syscall.Kill(-g.leader.Pid, syscall.SIGKILL) }

// endRest ends what is left after the leader has ended. The number of a group
// is not given out again while the group has members, and when it has none,
// the first signal says so.
func (g *group) endRest(grace time.Duration) {
	if syscall.Kill(-g.leader.Pid, syscall.SIGTERM) != nil {
		return
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(grace); time.Now().Before(end); <-tick.C {
		if syscall.Kill(-g.leader.Pid, 0) != nil {
			return
		}
	}
	g.kill()
}

// release has nothing to give back.
func (g *group) release() {}
