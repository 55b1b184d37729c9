package mcptool

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// personTime is how long, in all, a request may wait for persons who log in or
// answer a question.
const personTime = 15 * time.Minute

// A deadline bounds one request to a server. News of progress starts it anew,
// and it stands still while a person is waited for: it is a clock.
type deadline struct {
	quiet  time.Duration // that may pass without news
	total  time.Duration // that may pass whatever the news
	cancel context.CancelCauseFunc

	mu       sync.Mutex // guards the fields below
	timer    *time.Timer
	quietEnd time.Time
	hardEnd  time.Time
	persons  int           // that are waited for
	since    time.Time     // when the first of them was
	patience time.Duration // with persons, that is left
}

// A timeoutError is the cause of the end of a context whose deadline passed.
type timeoutError struct {
	what   string
	person bool // it was a person who did not answer
}

func (e *timeoutError) Error() string { return e.what }

// withDeadline returns a context that ends after quiet without news, and after
// total in any case. Stop releases what it holds.
func withDeadline(ctx context.Context, quiet, total time.Duration) (_ context.Context, d *deadline, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	now := time.Now()
	d = &deadline{
		quiet: quiet, total: total, cancel: cancel,
		quietEnd: now.Add(quiet), hardEnd: now.Add(total), patience: personTime,
	}
	d.mu.Lock()
	d.timer = time.AfterFunc(quiet, d.ring)
	d.arm()
	d.mu.Unlock()
	return withClock(ctx, d), d, func() {
		d.mu.Lock()
		d.timer.Stop()
		d.mu.Unlock()
		cancel(nil)
	}
}

// arm sets the timer to the next end. The caller holds mu.
func (d *deadline) arm() {
	end := d.quietEnd
	if d.hardEnd.Before(end) {
		end = d.hardEnd
	}
	d.timer.Reset(time.Until(end))
}

func (d *deadline) ring() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	switch {
	case d.persons > 0 && now.Sub(d.since) < d.patience:
		d.timer.Reset(d.patience - now.Sub(d.since))
	case d.persons > 0:
		d.cancel(&timeoutError{fmt.Sprintf("no person answered within %v", personTime), true})
	case d.quiet < d.total && !now.Before(d.hardEnd):
		d.cancel(&timeoutError{fmt.Sprintf("no end within %v, the longest that a call may take", d.total), false})
	case !now.Before(d.quietEnd), !now.Before(d.hardEnd):
		d.cancel(&timeoutError{fmt.Sprintf("no answer within %v", d.quiet), false})
	default:
		d.arm() // news came while the timer rang
	}
}

// news starts the deadline anew: the server works on the request.
func (d *deadline) news() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.quietEnd = time.Now().Add(d.quiet)
	if d.persons == 0 {
		d.arm()
	}
}

// pause implements clock.
func (d *deadline) pause() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.persons++
	if d.persons == 1 {
		d.since = time.Now()
		d.timer.Reset(d.patience)
	}
}

// resume implements clock.
func (d *deadline) resume() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.persons--
	if d.persons > 0 {
		return
	}
	stood := time.Since(d.since)
	d.patience -= stood
	d.quietEnd, d.hardEnd = d.quietEnd.Add(stood), d.hardEnd.Add(stood)
	d.arm()
}

// left implements clock.
func (d *deadline) left() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return min(time.Until(d.quietEnd), time.Until(d.hardEnd))
}
