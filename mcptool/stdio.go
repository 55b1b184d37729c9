package mcptool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxLine is the longest message that a server may send: what go-sdk allows.
const maxLine = mcp.DefaultMaxLineLength

var errTooLong = fmt.Errorf("it sent a message of more than %d bytes", maxLine)

// errSilentProbe is what the SDK is told of a server that leaves its probe
// unanswered, so that it asks the older way.
var errSilentProbe = &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "the server left server/discover unanswered"}

// A stdioConn speaks newline-delimited JSON-RPC with a process. It takes the
// place of go-sdk's CommandTransport, for the reasons in
// design/mcp-transport.md.
type stdioConn struct {
	proc     *process
	logger   *slog.Logger
	patience time.Duration // with server/discover

	// Only Read, which is never called twice at once, uses these.
	in      *bufio.Reader
	queue   []jsonrpc.Message // of a batch
	pending chan line         // a read that goes on while the probe is answered

	out       chan *frame
	closing   chan struct{} // closed when Close is called
	closeOnce sync.Once
	closed    chan struct{}  // closed when the process and our goroutines are gone
	running   sync.WaitGroup // our goroutines

	opened atomic.Bool // the handshake is over
	probes chan jsonrpc.ID

	codec codec

	mu       sync.Mutex // guards the fields below
	probe    jsonrpc.ID // the server/discover that has no answer yet
	probeEnd *time.Timer
	expired  map[jsonrpc.ID]bool // probes that we answered ourselves
	shook    bool                // initialize was sent
	err      error               // why the connection ended
}

// A line is what one read of the server's output gave.
type line struct {
	data []byte
	err  error
}

// A frame is a message on its way to the server.
type frame struct {
	data  []byte
	whole bool // all but its end was taken; set before done
	done  chan error
}

func newStdioConn(proc *process, patience time.Duration, logger *slog.Logger) *stdioConn {
	c := &stdioConn{
		proc:     proc,
		logger:   logger,
		patience: patience,
		in:       bufio.NewReaderSize(proc.stdout, 64<<10),
		out:      make(chan *frame),
		closing:  make(chan struct{}),
		closed:   make(chan struct{}),
		probes:   make(chan jsonrpc.ID, 2), // the SDK probes twice at most
		expired:  make(map[jsonrpc.ID]bool),
	}
	c.codec.dropped = c.droppedProbe
	c.running.Go(c.writeAll)
	return c
}

// Connect implements mcp.Transport: the process runs already.
func (c *stdioConn) Connect(context.Context) (mcp.Connection, error) { return c, nil }

// SessionID implements mcp.Connection. A process has one session, unnamed.
func (c *stdioConn) SessionID() string { return "" }

// Read returns the next message. Lines that are no messages are skipped: many
// servers, or the tools that start them, print a greeting or a log line on
// their standard output.
func (c *stdioConn) Read(context.Context) (jsonrpc.Message, error) {
	for {
		if len(c.queue) > 0 {
			msg := c.queue[0]
			c.queue = c.queue[1:]
			return msg, nil
		}
		data, expired, err := c.next()
		if err != nil {
			return nil, c.fail(err)
		}
		if expired.IsValid() {
			return &jsonrpc.Response{ID: expired, Error: errSilentProbe}, nil
		}
		msgs, err := c.codec.decode(data)
		if err != nil {
			c.logger.Warn("mcp server printed a line that is no message on its standard output",
				"line", string(data[:min(len(data), 200)]), "cause", err)
		}
		c.queue = msgs
	}
}

// next returns the next line, or the probe whose time is up.
func (c *stdioConn) next() ([]byte, jsonrpc.ID, error) {
	if c.opened.Load() && c.pending == nil {
		data, err := c.readLine()
		return data, jsonrpc.ID{}, err
	}
	// Only in the handshake can two things happen at once, so only there the
	// line takes the way over a channel, which costs a switch of goroutines.
	if c.pending == nil {
		to := make(chan line, 1)
		c.pending = to
		c.running.Go(func() {
			data, err := c.readLine()
			to <- line{data, err}
		})
	}
	select {
	case l := <-c.pending:
		c.pending = nil
		return l.data, jsonrpc.ID{}, l.err
	case id := <-c.probes:
		return nil, id, nil
	}
}

// readLine returns a line that the caller may keep.
func (c *stdioConn) readLine() ([]byte, error) {
	var long []byte
	for {
		part, err := c.in.ReadSlice('\n')
		if len(long)+len(part) > maxLine {
			return nil, errTooLong
		}
		switch {
		case err == nil && long == nil:
			return bytes.Clone(part), nil
		case err == nil:
			return append(long, part...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
		case len(long)+len(part) > 0 && errors.Is(err, io.EOF):
			return append(long, part...), nil // a last line without its end
		default:
			return nil, err
		}
	}
}

// fail notes that the connection ended for cause, and returns why it really
// did: pipes break because processes end.
func (c *stdioConn) fail(cause error) error {
	if err := c.ended(); err != nil {
		return err
	}
	// The end of the output comes a moment before the end of the process.
	if !errors.Is(cause, errTooLong) && c.proc.waitExit(drainTime) {
		cause = c.proc.err()
	} else if errors.Is(cause, io.EOF) {
		cause = errors.New("it closed its standard output")
	}
	return c.end(cause)
}

// end notes why the connection ended, unless that is known, and returns why.
func (c *stdioConn) end(cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = cause
	}
	return c.err
}

// ended returns why the connection ended, or nil.
func (c *stdioConn) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Write sends msg. When ctx ends before the server took the message, Write
// returns, but a message once begun is still sent whole: half a line would end
// the session. The error of a message of which the server can have read no
// more than a part wraps errNotSent.
func (c *stdioConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	data, err := jsonrpc.EncodeMessage(msg)
	if err != nil {
		return err
	}
	f := &frame{data: append(data, '\n'), done: make(chan error, 1)}
	if req, ok := msg.(*jsonrpc.Request); ok {
		c.note(req)
	}
	select {
	case c.out <- f:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.closing:
		return fmt.Errorf("%w: %w", errNotSent, c.end(errClosed))
	}
	select {
	case err := <-f.done:
		switch {
		case err == nil:
			return nil
		case f.whole:
			return c.fail(err)
		}
		return fmt.Errorf("%w: %w", errNotSent, c.fail(err))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeAll is the goroutine that owns the server's input.
func (c *stdioConn) writeAll() {
	for {
		select {
		case f := <-c.out:
			n, err := c.proc.stdin.Write(f.data)
			f.whole = n >= len(f.data)-1
			f.done <- err
		case <-c.closing:
			return
		}
	}
}

// note keeps what Read must know of a request when its answer comes.
func (c *stdioConn) note(req *jsonrpc.Request) {
	c.codec.note(req)
	switch req.Method {
	case "tools/call", "tools/list":
		c.opened.Store(true)
	case "server/discover":
		c.mu.Lock()
		c.probe = req.ID
		c.probeEnd = time.AfterFunc(c.patience, func() { c.expire(req.ID) })
		c.mu.Unlock()
	case "initialize":
		c.mu.Lock()
		c.shook = true
		c.mu.Unlock()
	case "notifications/initialized":
		c.opened.Store(true)
	}
}

// expire gives up on the probe id, if it still has no answer.
func (c *stdioConn) expire(id jsonrpc.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.probe == id {
		c.probe = jsonrpc.ID{}
		c.expired[id] = true
		c.probes <- id
	}
}

// droppedProbe reports whether the response to id is to be dropped: the probe
// was answered in the server's place before.
func (c *stdioConn) droppedProbe(id jsonrpc.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.probe == id {
		c.probe = jsonrpc.ID{}
		c.probeEnd.Stop()
	}
	return c.expired[id]
}

// list implements link.
func (c *stdioConn) list() *toolList { return &c.codec.tools }

// diedOfProbe reports whether the connection ended while server/discover was
// unanswered and before anything else was asked.
func (c *stdioConn) diedOfProbe() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil && c.probe.IsValid() && !c.shook
}

// probeExpired reports whether server/discover was unanswered when our patience
// ended.
func (c *stdioConn) probeExpired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.expired) > 0
}

// lastWords returns the last lines of stderr, for the end of an error.
func (c *stdioConn) lastWords() string {
	lines := c.proc.stderr.last(3)
	if len(lines) == 0 {
		return ""
	}
	return " (on stderr last: " + strings.Join(lines, " | ") + ")"
}

// Close ends the process and returns when it is gone. The SDK calls it too,
// after a Read or Write failed.
func (c *stdioConn) Close() error {
	c.closeOnce.Do(func() {
		close(c.closing)
		c.mu.Lock()
		if c.probeEnd != nil {
			c.probeEnd.Stop()
		}
		c.mu.Unlock()
		c.proc.close()
		c.running.Wait()
		c.proc.stdout.Close()
		close(c.closed)
	})
	<-c.closed
	return nil
}
