package mcptool

import (
	"sync"

	"github.com/tramontane-dev/tramontane"
)

// A toolList remembers what tools a process offers, until the
// server says that they changed: a run needs no round trip to know them. Its
// zero value knows nothing.
type toolList struct {
	mu      sync.Mutex // guards the fields below
	changes int        // times that the server said so
	known   bool
	tools   []tramontane.Definition
}

// load returns the tools, asking for them with list if they are not known.
func (l *toolList) load(list func() ([]tramontane.Definition, error)) ([]tramontane.Definition, error) {
	l.mu.Lock()
	tools, known, changes := l.tools, l.known, l.changes
	l.mu.Unlock()
	if known {
		return tools, nil
	}
	tools, err := list()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// An answer that is older than the change tells nothing for next time.
	if l.changes == changes {
		l.tools, l.known = tools, true
	}
	return tools, nil
}

// changed forgets the tools.
func (l *toolList) changed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes++
	l.tools, l.known = nil, false
}
