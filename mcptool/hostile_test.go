package mcptool_test

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A server whose output ended can be called no more, though its process lives;
// it is ended before another is started.
func TestServerClosesOutput(t *testing.T) {
	t.Parallel()
	s := testServer(t, "mum")
	tools := start(t, s)
	_, err := tools["t"].call(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "it closed its standard output") {
		t.Errorf("error %v, want one that says what the server did", err)
	}
	if st := s.Status(); st.State != mcptool.Failed {
		t.Errorf("state %s, want failed", st.State)
	}
	if err := s.Connect(t.Context()); err != nil {
		t.Error(err)
	}
}

// A server that takes no more input has another process at once, though a call
// still waits for its answer; a call that did not get through goes there.
func TestServerClosesInput(t *testing.T) {
	t.Parallel()
	s := testServer(t, "walled")
	s.CallTimeout = 5 * time.Second
	tools := start(t, s)
	first := make(chan error)
	go func() {
		_, err := tools["t"].call(t.Context(), "")
		first <- err
	}()
	eventually(t, "the input is closed", func() bool { return slices.Contains(s.Status().Stderr, "walled") })
	second := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := tools["t"].call(ctx, "")
		second <- err
	}()
	if err := <-first; !errors.Is(err, tramontane.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("the first call: %v, want an unknown outcome as the session ended", err)
	}
	eventually(t, "the call that did not get through is sent to another process", func() bool {
		return s.Status().State == mcptool.Ready && slices.Contains(s.Status().Stderr, "walled")
	})
	cancel()
	if err := <-second; !errors.Is(err, tramontane.ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("the second call: %v, want an unknown outcome as it was cancelled", err)
	}
}

// A flood of notifications and requests costs no reply, and Close is not held
// up by the answers that nobody reads.
func TestChattyServer(t *testing.T) {
	t.Parallel()
	s := testServer(t, "chatty")
	s.CallTimeout = 30 * time.Second
	res, err := start(t, s)["t"].call(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if res.Text() != "called" {
		t.Errorf("result %q, want the server's", res.Text())
	}
}

// What a server says and asks by itself is taken in within bounds: neither does
// it cost the reply, nor is it kept for ever.
func TestFlood(t *testing.T) {
	t.Parallel()
	s := testServer(t, "flood")
	s.CallTimeout = 30 * time.Second
	log := newLog(s)
	res, err := start(t, s)["t"].call(t.Context(), "")
	if err != nil || res.Text() != "called" {
		t.Errorf("result %v, error %v; want the server's", res, err)
	}
	if got := log.String(); !strings.Contains(got, "a question is dropped") {
		t.Error("questions without an end were queued")
	}
	if _, err := start(t, s)["t"].call(t.Context(), ""); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// What is wrong in a batch costs no reply in it.
func TestBatch(t *testing.T) {
	t.Parallel()
	res, err := start(t, testServer(t, "batch"))["t"].call(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if res.Text() != "called" {
		t.Errorf("result %q, want the server's", res.Text())
	}
}

// Servers that die and are started anew leave no files open.
func TestNoFileIsLeft(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("the system does not tell which files are open")
		}
		return len(entries)
	}
	once := func() {
		s := testServer(t, "good")
		for range 3 {
			tools := start(t, s)
			if _, err := tools["crash"].call(t.Context(), ""); !errors.Is(err, tramontane.ErrOutcomeUnknown) {
				t.Errorf("error %v, want an unknown outcome", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		broken := testServer(t, "broken")
		if err := broken.Connect(context.Background()); err == nil {
			t.Error("the broken server was connected")
		}
	}
	// Without a limit, no finalizer closes what we forgot.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	once() // what the runtime opens once stays open
	before := open()
	once()
	if after := open(); after > before {
		t.Errorf("%d files are open, %d were before", after, before)
	}
}
