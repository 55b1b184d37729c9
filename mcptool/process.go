package mcptool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// closeGrace is how long a server may take to exit by itself after its input
// was closed, and again after it was told to terminate (specification
// 2025-11-25, "Lifecycle: Shutdown", which names no figure).
const closeGrace = 2 * time.Second

// drainTime bounds the reading of what a dead server left in its pipes. Without
// it, a descendant that left the process group and kept the pipes open would
// hold up the report of the death for ever.
const drainTime = 500 * time.Millisecond

// A process is a server's process with everything that it started.
type process struct {
	cmd    *exec.Cmd
	group  *group
	stdin  *os.File // our end
	stdout *os.File // our end
	stderr *tail
	exited chan struct{} // closed once the group is gone and stderr was read
}

// startProcess starts cmd in a process group of its own, with pipes. What the
// server says on stderr goes to its tail, and to stderr if that is not nil.
func startProcess(cmd *exec.Cmd, stderr io.Writer) (*process, error) {
	var files []*os.File
	closeAll := func() {
		for _, f := range files {
			f.Close()
		}
	}
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll()
			return nil, err
		}
		files = append(files, r, w)
	}
	// With files of our own, Wait does not wait for the pipes, which
	// grandchildren may hold open after the process has ended.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[3], files[5]
	group, err := startGroup(cmd)
	if err != nil {
		closeAll()
		return nil, err
	}
	for _, theirs := range []*os.File{files[0], files[3], files[5]} {
		theirs.Close()
	}
	p := &process{
		cmd: cmd, group: group,
		stdin: files[1], stdout: files[2], stderr: &tail{},
		exited: make(chan struct{}),
	}
	go p.reap(files[4], stderr)
	return p, nil
}

// reap waits for the process, ends what it left behind, and reads stderr to
// its end.
func (p *process) reap(stderr *os.File, copyTo io.Writer) {
	defer close(p.exited)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer stderr.Close()
		var w io.Writer = p.stderr
		if copyTo != nil {
			// The tail first: a writer that fails must not cost us the lines.
			w = io.MultiWriter(p.stderr, ignoreErrors{copyTo})
		}
		io.Copy(w, stderr)
	})
	p.cmd.Wait() // its error is in ProcessState
	p.group.endRest(closeGrace)
	deadline := time.Now().Add(drainTime)
	p.stdout.SetReadDeadline(deadline)
	stderr.SetReadDeadline(deadline)
	reader.Wait()
}

// close ends the process and all that it started, and returns when it is gone.
// It is called once.
func (p *process) close() {
	defer p.group.release()
	p.stdin.Close()
	if p.waitExit(closeGrace) {
		return
	}
	p.group.terminate()
	if p.waitExit(closeGrace) {
		return
	}
	p.group.kill()
	p.cmd.Process.Kill() // in case it has left its group
	<-p.exited
}

func (p *process) waitExit(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.exited:
		return true
	case <-t.C:
		return false
	}
}

// exitCode is -1 while the process runs and if a signal ended it.
func (p *process) exitCode() int {
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}

// err says how the process ended, and what it said last. It must have exited.
func (p *process) err() error {
	how := p.cmd.ProcessState.String()
	if p.cmd.ProcessState.Success() {
		how = "exit status 0"
	}
	lines := p.stderr.last(3)
	if len(lines) == 0 {
		return fmt.Errorf("the process ended (%s) and said nothing on stderr", how)
	}
	return fmt.Errorf("the process ended (%s), on stderr last: %s", how, strings.Join(lines, " | "))
}

const (
	tailLines      = 20
	tailLineLength = 500
)

// A tail keeps the last lines written to it.
type tail struct {
	mu    sync.Mutex // guards the fields below
	lines []string
	part  []byte // of the line that has not ended yet
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	for {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		room := max(0, tailLineLength-len(t.part))
		t.part = append(t.part, line[:min(len(line), room)]...)
		if !ended {
			return n, nil
		}
		t.endLine()
		b = rest
	}
}

func (t *tail) endLine() {
	if line := strings.TrimSpace(strings.ToValidUTF8(string(t.part), "?")); line != "" {
		if len(t.lines) == tailLines {
			t.lines = append(t.lines[:0], t.lines[1:]...)
		}
		t.lines = append(t.lines, line)
	}
	t.part = t.part[:0]
}

// last returns up to n of the last lines that are not empty.
func (t *tail) last(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := append([]string(nil), t.lines...)
	if part := strings.TrimSpace(strings.ToValidUTF8(string(t.part), "?")); part != "" {
		lines = append(lines, part)
	}
	return lines[max(0, len(lines)-n):]
}

// ignoreErrors keeps a failing writer from stopping a copy: a server whose
// stderr nobody reads would block.
type ignoreErrors struct{ w io.Writer }

func (i ignoreErrors) Write(b []byte) (int, error) {
	i.w.Write(b)
	return len(b), nil
}

// startError explains why a command could not be started in dir.
func startError(command, dir string, err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("command %q is not in PATH; install it or give its full path", command)
	}
	if dir != "" {
		// The system blames the command, which may well be there.
		info, dirErr := os.Stat(dir)
		var path *os.PathError
		switch {
		case errors.As(dirErr, &path):
			return fmt.Errorf("command %q: its working directory %s: %w", command, dir, path.Err)
		case dirErr == nil && !info.IsDir():
			return fmt.Errorf("command %q: its working directory %s is not a directory", command, dir)
		}
	}
	return fmt.Errorf("command %q: %w", command, err)
}
