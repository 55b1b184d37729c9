package mcptool

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// ownGroup keeps Ctrl-C in a console from reaching the server before the
// program could end it in order.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// terminate does nothing: Windows has no request to end that a process without
// a window would receive.
func terminate(*os.Process) {}

// kill ends the process with its descendants. taskkill finds them only while
// their parent lives; a job object would not have that limit, but it can be
// given to a process only after it started, when descendants may exist.
func kill(p *os.Process) {
	exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(p.Pid)).Run()
	p.Kill()
}

// endGroup has nothing to do: what outlived its parent cannot be found.
func endGroup(*os.Process, time.Duration) {}
