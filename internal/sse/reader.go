// Package sse reads and writes server-sent events, the format of
// text/event-stream (WHATWG HTML, section 9.2).
package sse

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"time"
)

// ErrTooLong is returned by [Reader.Next] for an event above the reader's limit.
var ErrTooLong = errors.New("event is too long")

// An Event is one event of a stream.
type Event struct {
	// Name is the event's type. If empty, the stream did not say.
	Name string

	// Data is the lines of data, joined by newlines. It is valid until the next
	// call of Next.
	Data []byte
}

// A Reader reads events. It takes any mix of CR, LF and CRLF.
type Reader struct {
	r   io.Reader
	max int

	buf        []byte // what is read and not yet used is buf[start:end]
	start, end int
	err        error // of r, once it is over
	begun      bool  // a byte order mark can no longer come
	skipLF     bool  // the line before ended in CR: a LF now belongs to it

	name   string
	joined []byte // data of more than one line

	nextID, id string // of the event that is read, of the last one
	retry      time.Duration
}

// NewReader returns a Reader of r that refuses lines, and events of many lines,
// of more than max bytes.
func NewReader(r io.Reader, max int) *Reader {
	return &Reader{r: r, max: max, buf: make([]byte, min(max, 4096))}
}

// Next returns the next event that has data. It returns [io.EOF] at the end of
// the stream, [ErrTooLong], or the error of the underlying reader. Some servers
// leave out the blank line after the last event, so an event that the end of
// the stream cuts short is returned as if it were whole.
func (r *Reader) Next() (Event, error) {
	var data []byte // of one line, it stays where it was read
	lines, name := 0, ""
	for {
		// While data lies in the buffer, the buffer must not move below it.
		line, err := r.line(&data, lines == 1)
		if err != nil {
			if err == io.EOF && lines > 0 {
				return Event{Name: name, Data: data}, nil
			}
			return Event{}, err
		}
		if len(line) == 0 {
			r.id = r.nextID
			if lines > 0 {
				return Event{Name: name, Data: data}, nil
			}
			name = ""
			continue
		}
		field, value := cut(line)
		switch string(field) {
		case "data":
			switch lines++; lines {
			case 1:
				data = value
			case 2:
				r.joined = append(append(append(r.joined[:0], data...), '\n'), value...)
				data = r.joined
			default:
				r.joined = append(append(r.joined, '\n'), value...)
				data = r.joined
			}
			if len(data) > r.max {
				return Event{}, ErrTooLong
			}
		case "event":
			name = r.intern(value)
		case "id":
			if r.nextID != string(value) && bytes.IndexByte(value, 0) < 0 {
				r.nextID = string(value)
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 63); err == nil {
				r.retry = time.Duration(min(ms, math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
			}
		}
	}
}

// LastID returns the id of the last whole event, also of one without data, or
// that of an event before it if it had none. An event that the end of the
// stream cut short does not count: it may have to be asked for again.
func (r *Reader) LastID() string { return r.id }

// Retry returns after how long the stream asked to be opened again when it
// ends. If zero, it did not say, or said at once.
func (r *Reader) Retry() time.Duration { return r.retry }

// intern returns value as a string: mostly that of the event before.
func (r *Reader) intern(value []byte) string {
	if r.name != string(value) {
		r.name = string(value)
	}
	return r.name
}

// cut splits a line into field and value. The field of a comment is empty.
func cut(line []byte) (field, value []byte) {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return line, nil
	}
	field, value = line[:i], line[i+1:]
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return field, value
}

// line returns the next line without its end. It is valid until the next call,
// which keeps what keep points to if that is in the buffer.
func (r *Reader) line(keep *[]byte, inBuffer bool) ([]byte, error) {
	scanned := r.start
	for {
		if r.skipLF && r.start < r.end {
			r.skipLF = false
			if r.buf[r.start] == '\n' {
				r.start++
				scanned = max(scanned, r.start)
			}
		}
		if i := lineEnd(r.buf[scanned:r.end]); i >= 0 {
			line := r.buf[r.start : scanned+i]
			if len(line) > r.max {
				return nil, ErrTooLong
			}
			r.skipLF = r.buf[scanned+i] == '\r'
			r.start = scanned + i + 1
			return r.unmark(line), nil
		}
		scanned = r.end
		if r.err != nil {
			line := r.buf[r.start:r.end]
			r.start = r.end
			if r.err == io.EOF && len(line) > 0 {
				return r.unmark(line), nil
			}
			return nil, r.err
		}
		if r.end-r.start > r.max {
			return nil, ErrTooLong
		}
		if inBuffer && r.end == len(r.buf) {
			// The room that is made next would overwrite it.
			r.joined = append(r.joined[:0], *keep...)
			*keep, inBuffer = r.joined, false
		}
		scanned -= r.fill()
	}
}

func (r *Reader) unmark(line []byte) []byte {
	if !r.begun {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	r.begun = true
	return line
}

// lineEnd returns the index of the first CR or LF, or -1.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// fill reads more, making room first if there is none. It returns by how much
// the unused bytes moved down.
func (r *Reader) fill() (moved int) {
	if r.end == len(r.buf) {
		to := r.buf
		if r.end-r.start > len(r.buf)/2 {
			to = make([]byte, 2*len(r.buf))
		}
		moved = r.start
		r.end = copy(to, r.buf[r.start:r.end])
		r.buf, r.start = to, 0
	}
	// A reader that returns neither bytes nor an error is asked again a few
	// times, as bufio does.
	for range 100 {
		n, err := r.r.Read(r.buf[r.end:])
		r.end += n
		r.err = err
		if n > 0 || err != nil {
			return moved
		}
	}
	r.err = io.ErrNoProgress
	return moved
}
