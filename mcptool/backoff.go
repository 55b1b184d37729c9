package mcptool

import (
	"math/rand/v2"
	"time"
)

const (
	minBackoff = time.Second
	maxBackoff = 5 * time.Minute

	// costFactor keeps the time that attempts to start a dead server take,
	// which may be StartTimeout each, to a fifth of all time.
	costFactor = 4

	// steadyTime is how long a session must have lived for its end to count as
	// bad luck and not as one more of a row.
	steadyTime = time.Minute

	// freeRestarts is how many sessions in a row may end early before the next
	// one is waited with.
	freeRestarts = 3
)

// A backoff says when a server that failed may be tried again. Its zero value
// says at once.
type backoff struct {
	failures int       // in a row
	until    time.Time // when the next attempt may be made
	crashes  bool      // the last failure was the end of a session
}

// failed notes an attempt to start that took so long.
func (b *backoff) failed(took time.Duration) {
	b.failures++
	b.crashes = false
	b.wait(max(exponential(b.failures), min(costFactor*took, maxBackoff)))
}

// ended notes the end of a session that lived so long.
func (b *backoff) ended(lived time.Duration) {
	if lived >= steadyTime {
		*b = backoff{}
		return
	}
	b.failures++
	b.crashes = true
	if b.failures > freeRestarts {
		b.wait(exponential(b.failures - freeRestarts))
	}
}

// wait sets until, up to a quarter early, so that clients of a server that
// came back do not come all at once.
func (b *backoff) wait(d time.Duration) {
	b.until = time.Now().Add(d - rand.N(d/4))
}

// started notes that a session began. What it takes to end is another matter.
func (b *backoff) started() {
	b.until = time.Time{}
	if !b.crashes {
		b.failures = 0
	}
}

// forgive allows the next attempt at once, since somebody asks for it who
// cannot do without. A server that starts well and dies each time must wait
// all the same.
func (b *backoff) forgive() {
	if !b.crashes {
		b.until = time.Time{}
	}
}

// left returns how long the next attempt has to wait, or zero.
func (b *backoff) left() time.Duration {
	return max(0, time.Until(b.until))
}

func exponential(n int) time.Duration {
	d := minBackoff
	for ; n > 1 && d < maxBackoff; n-- {
		d *= 2
	}
	return min(d, maxBackoff)
}
