package mcptool

import (
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// An inbox holds messages until they are read. What arrives in the very moment
// in which the link ends is kept too: the result of a call that was answered is
// not unknown.
type inbox struct {
	next chan jsonrpc.Message
	over <-chan struct{} // closed when the link has ended

	mu   sync.Mutex // guards the field below
	late []jsonrpc.Message
}

// put hands a message to get. It waits for nothing when the link has ended: the
// SDK may hold what its reader needs while it closes the link.
func (b *inbox) put(msg jsonrpc.Message) {
	select {
	case b.next <- msg:
	case <-b.over:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.late = append(b.late, msg)
	}
}

// get returns the next message. It returns nil when the link has ended and
// nothing is left; quiet returns when nothing more is put after the end.
func (b *inbox) get(quiet func()) jsonrpc.Message {
	select {
	case msg := <-b.next:
		return msg
	case <-b.over:
	}
	quiet()
	select {
	case msg := <-b.next:
		return msg
	default:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.late) == 0 {
		return nil
	}
	msg := b.late[0]
	b.late = b.late[1:]
	return msg
}
