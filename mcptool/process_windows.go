package mcptool

import (
	"fmt"
	"os/exec"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// A group is a process with all that it started, as a job object.
type group struct {
	job windows.Handle
}

// startGroup starts cmd in a job of its own, which the system ends when this
// program ends. What cmd starts in the moment before it joins the job is not
// part of it; package exec has no way to start a process suspended and wake it.
//
// The process group keeps Ctrl-C in a console from reaching the server before
// this program could end it in order.
func startGroup(cmd *exec.Cmd) (*group, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("job object: %w", err)
	}
	g := &group{job}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		windows.CloseHandle(job)
		return nil, fmt.Errorf("job object: %w", err)
	}
	if err := cmd.Start(); err != nil {
		windows.CloseHandle(job)
		return nil, err
	}
	if err := g.join(uint32(cmd.Process.Pid)); err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		windows.CloseHandle(job)
		return nil, fmt.Errorf("job object: %w", err)
	}
	return g, nil
}

func (g *group) join(pid uint32) error {
	p, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, pid)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(p)
	return windows.AssignProcessToJobObject(g.job, p)
}

// terminate does nothing: Windows has no request to end that a process without
// a window would receive.
func (g *group) terminate() {}

// kill ends the group.
func (g *group) kill() { windows.TerminateJobObject(g.job, 1) }

// endRest ends what is left after the process that was started has ended.
func (g *group) endRest(time.Duration) { g.kill() }

// release gives the group's handle back. No other method may follow.
func (g *group) release() { windows.CloseHandle(g.job) }
