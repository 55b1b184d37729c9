package tramontane

import "github.com/tramontane-dev/tramontane/internal/loop"

// A Decision is a person's word on a call. Its zero value is [Later]: what
// nobody allowed is not done.
type Decision struct {
	verdict loop.Verdict
	reason  string
}

// Allow lets a call be made.
func Allow() Decision { return Decision{verdict: loop.Allow} }

// Deny keeps a call from being made. The model is told the reason, if it is
// not empty and the call is one that the program answers: the API takes none
// for its own tools.
func Deny(reason string) Decision { return Decision{verdict: loop.Deny, reason: reason} }

// Later leaves a call open: the run ends with [ErrPending], and can be resumed
// once somebody has decided.
func Later() Decision { return Decision{verdict: loop.Later} }

func (d Decision) event(key string) *loop.Decided {
	if d.verdict == "" {
		d.verdict = loop.Later
	}
	return &loop.Decided{Key: key, Verdict: d.verdict, Reason: d.reason}
}
