package tramontane

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/tramontane-dev/tramontane/internal/loop"
)

// maxHandle bounds what Keep takes: it travels with the State, which is small.
const maxHandle = 4 << 10

// Keep has the run remember a handle for the call that ctx belongs to, because
// the tool has begun something that outlives it: a job on a server, whose id the
// handle is. The handle is any JSON value of at most 4 KiB that is not null, and
// means nothing to the run; a later one for the same call takes its place.
//
// From then on the call is never begun a second time. If ctx ends, the tool
// returns as ever and leaves what it began as it is; the run ends with the call
// in [Result.Kept]. When the run is resumed, from its State or from one that a
// [KeptEvent] brought before the program died, the tool is called with the
// handle in [Call.Handle] and goes on with it. Nobody is asked again, since the
// call was allowed. The result, or an error while ctx has not ended, is the end
// of it.
//
// Keep reports whether the run has the handle. It has not if ctx is of no call,
// or of one that is over: then nobody will ever go on, and what was begun is the
// tool's to end. Keep is safe for concurrent use.
func Keep(ctx context.Context, handle json.RawMessage) bool {
	k, ok := ctx.Value(keeperKey{}).(*keeper)
	if !ok || len(handle) > maxHandle {
		return false
	}
	var compact bytes.Buffer
	if json.Compact(&compact, handle) != nil || compact.String() == "null" {
		return false
	}
	return k.keep(compact.Bytes())
}

type keeperKey struct{}

// A keeper takes the handles of one call.
type keeper struct {
	to  *handles
	key string

	mu   sync.Mutex // guards the fields below
	some bool       // there is a handle
	over bool       // the call has returned
}

func (k *keeper) keep(handle json.RawMessage) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return false
	}
	k.some = true
	k.to.add(&loop.ToolKept{Key: k.key, Handle: handle})
	return true
}

// close ends the taking of handles, and reports whether there is one.
func (k *keeper) close() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	return k.some
}

// handles are those that calls gave and that the driver has not taken yet.
type handles struct {
	ready chan struct{} // holds something while there may be something to take

	mu    sync.Mutex // guards the field below
	queue []loop.Event
}

func (h *handles) add(e *loop.ToolKept) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue = append(h.queue, e)
	select {
	case h.ready <- struct{}{}:
	default:
	}
}

func (h *handles) take() []loop.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	events := h.queue
	h.queue = nil
	return slices.Clip(events)
}
