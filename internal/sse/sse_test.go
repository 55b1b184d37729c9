package sse_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/internal/sse"
)

type event struct{ Name, Data string }

func read(r io.Reader, max int) (all []event, err error) {
	events := sse.NewReader(r, max)
	for {
		ev, err := events.Next()
		if err != nil {
			return all, err
		}
		all = append(all, event{ev.Name, string(ev.Data)})
	}
}

func TestReader(t *testing.T) {
	long := strings.Repeat("x", 5000)
	tests := []struct {
		name, in string
		want     []event
	}{
		{"empty", "", nil},
		{"one", "event: a\ndata: b\n\n", []event{{"a", "b"}}},
		{"CRLF", "event: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", []event{{"a", "b"}, {"", "c"}}},
		{"CR", "event: a\rdata: b\r\rdata: c\r\r", []event{{"a", "b"}, {"", "c"}}},
		{"mixed ends", "event: a\r\ndata: b\n\rdata: c\r\r\n", []event{{"a", "b"}, {"", "c"}}},
		{"lines", "data: a\ndata:\ndata: b\ndata:  c\n\n", []event{{"", "a\n\nb\n c"}}},
		{"comments", ": hi\n\n:\ndata: a\n: b\n\n:", []event{{"", "a"}}},
		{"no data", "event: a\n\ndata: b\n\n", []event{{"", "b"}}},
		{"empty data", "data\n\ndata:\n\n", []event{{"", ""}, {"", ""}}},
		{"other fields", "id: 1\nretry: 5\nfoo: bar\n data: no\ndata: a\n\n", []event{{"", "a"}}},
		{"BOM", "\ufeffdata: a\n\n\ufeffdata: b\n\n", []event{{"", "a"}}},
		{"cut", "data: a\n\ndata: b", []event{{"", "a"}, {"", "b"}}},
		{"long", "data: " + long + "\n\nevent: " + long + "\ndata: a\ndata: " + long + "\n\n", []event{{"", long}, {long, "a\n" + long}}},
		{"data before a long line", strings.Repeat("data: 0123456789\n\n", 170) + "data: here\n:" + long + "\n\n", append(many(170, ""), event{"", "here"})},
		{"many", strings.Repeat("event: e\ndata: 0123456789\nid: 1\n\n", 500), many(500, "e")},
	}
	for _, test := range tests {
		readers := map[string]io.Reader{
			"whole": strings.NewReader(test.in),
			"bytes": iotest.OneByteReader(strings.NewReader(test.in)),
			"half":  iotest.HalfReader(strings.NewReader(test.in)),
			"err":   iotest.DataErrReader(strings.NewReader(test.in)),
		}
		for name, r := range readers {
			got, err := read(r, 1<<20)
			if err != io.EOF {
				t.Errorf("%s, %s: error is %v", test.name, name, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", test.name, name, diff)
			}
		}
	}
}

func many(n int, name string) (all []event) {
	for range n {
		all = append(all, event{name, "0123456789"})
	}
	return all
}

func TestLastID(t *testing.T) {
	tests := []struct {
		in, id string
		retry  time.Duration
	}{
		{"data: a\n\n", "", 0},
		{"id: 1\nretry: 500\n\n", "1", 500 * time.Millisecond},
		{"id: 1\ndata: a\n\ndata: b\n\n", "1", 0},
		{"id: 1\ndata: a\n\nid: 2\ndata: b", "1", 0}, // cut
		{"id: 1\ndata: a\n\nid\ndata: b\n\n", "", 0},
		{"id: 1\x00\nretry: soon\ndata: a\n\n", "", 0},
		{"retry: 99999999999999999999\nretry: 7\nretry: -1\n\n", "", 7 * time.Millisecond},
	}
	for _, test := range tests {
		r := sse.NewReader(strings.NewReader(test.in), 1<<10)
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if r.LastID() != test.id || r.Retry() != test.retry {
			t.Errorf("%q: id %q, retry %v, want %q, %v", test.in, r.LastID(), r.Retry(), test.id, test.retry)
		}
	}
}

func TestTooLong(t *testing.T) {
	for _, in := range []string{
		"data: " + strings.Repeat("x", 200) + "\n\n",
		"data: " + strings.Repeat("x", 1<<20),
		strings.Repeat("data: x\n", 200),
	} {
		if _, err := read(strings.NewReader(in), 100); !errors.Is(err, sse.ErrTooLong) {
			t.Errorf("%.20q...: error is %v", in, err)
		}
	}
}

func TestReadError(t *testing.T) {
	got, err := read(io.MultiReader(strings.NewReader("data: a\n\ndata: b\n"), iotest.ErrReader(io.ErrClosedPipe)), 100)
	if err != io.ErrClosedPipe {
		t.Errorf("error is %v", err)
	}
	if diff := cmp.Diff([]event{{"", "a"}}, got); diff != "" {
		t.Errorf("an event that an error cuts is none (-want +got):\n%s", diff)
	}
}

func TestAppendEvent(t *testing.T) {
	text := sse.AppendEvent(sse.AppendEvent(nil, "a", []byte("b\nc")), "", nil)
	if want := "event: a\ndata: b\ndata: c\n\ndata: \n\n"; string(text) != want {
		t.Errorf("AppendEvent = %q, want %q", text, want)
	}
}

// FuzzReader reads anything, in two ways that have to agree with each other
// and with a parser that is simple and slow.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"", "data: a\n\n", "event: a\r\ndata: b\r\rdata\n\n", "\ufeff:\n\ndata:x\ndata:y", "data: \xff\x00\n\r\n", "\r\r\n\n\r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		want := slow(in)
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			got, err := read(r, 1<<20)
			if err != io.EOF {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", in, diff)
			}
		}
	})
}

func slow(in string) (all []event) {
	in = strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(in, "\ufeff"), "\r\n", "\n"), "\r", "\n")
	var data []string
	name := ""
	for _, line := range append(strings.Split(in, "\n"), "") {
		if line == "" {
			if data != nil {
				all = append(all, event{name, strings.Join(data, "\n")})
			}
			data, name = nil, ""
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "data":
			data = append(data, value)
		case "event":
			name = value
		}
	}
	return all
}
