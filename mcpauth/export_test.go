package mcpauth

import "runtime"

// WaitForWaiters returns when n callers wait for one renewal.
func WaitForWaiters(l *Login, n int) {
	for {
		l.keeper.mu.Lock()
		waiting := l.keeper.flight != nil && l.keeper.flight.waiters == n
		l.keeper.mu.Unlock()
		if waiting {
			return
		}
		runtime.Gosched()
	}
}
