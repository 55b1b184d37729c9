package mistral

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/tramontane-dev/tramontane/internal/wire"
)

// Extra keeps the members of a JSON object that have no field here, and which
// members were null, so that an object read from the API and sent back loses
// nothing. The zero value is right for an object made in Go.
type Extra = wire.Extra

// A Timestamp is a moment as the wire has it: RFC 3339 with an offset or Z.
// The zero value is no moment and is left out of JSON.
type Timestamp string

// NewTimestamp returns t in UTC with six fractional digits, the form that all
// official SDKs read.
func NewTimestamp(t time.Time) Timestamp {
	return Timestamp(t.UTC().Format("2006-01-02T15:04:05.000000Z07:00"))
}

// Time returns the moment, or an error if the text is not RFC 3339.
func (t Timestamp) Time() (time.Time, error) {
	return time.Parse(time.RFC3339Nano, string(t))
}

// Content is what a message says: text, or a list of chunks. The zero value is
// empty text.
type Content struct {
	// Text is the whole content. It is used if Chunks is nil.
	Text string

	// Chunks is the content in pieces. If nil, the content is Text.
	Chunks Chunks
}

// String returns the text of the content: Text, or the text chunks joined.
func (c Content) String() string {
	if c.Chunks == nil {
		return c.Text
	}
	var b strings.Builder
	for _, chunk := range c.Chunks {
		if t, ok := chunk.(*TextChunk); ok {
			b.WriteString(t.Text)
		}
	}
	return b.String()
}

// AppendJSON appends the content as it goes on the wire.
func (c Content) AppendJSON(dst []byte) ([]byte, error) {
	if c.Chunks == nil {
		return wire.AppendString(dst, c.Text), nil
	}
	return wire.Append(dst, []Chunk(c.Chunks))
}

// MarshalJSON implements [json.Marshaler].
func (c Content) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil) }

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Content) UnmarshalJSON(data []byte) error {
	data, err := wire.Value(data)
	if err != nil {
		return err
	}
	switch data[0] {
	case '"':
		*c = Content{Text: wire.Text(data)}
		return nil
	case '[':
		c.Text = ""
		return c.Chunks.UnmarshalJSON(data)
	}
	return wire.Errorf("want text or a list of chunks, got %s", wire.Kind(data))
}

// DeltaContent is a piece of content in a stream: text, or one chunk.
type DeltaContent struct {
	// Text is a piece of text, to be joined to the one before it. It is used if
	// Chunk is nil.
	Text string

	// Chunk is a whole chunk, or a piece of a text or thinking chunk. If nil,
	// the piece is Text.
	Chunk Chunk
}

// AppendJSON appends the piece as it goes on the wire.
func (c DeltaContent) AppendJSON(dst []byte) ([]byte, error) {
	if c.Chunk == nil {
		return wire.AppendString(dst, c.Text), nil
	}
	return wire.Append(dst, c.Chunk)
}

// MarshalJSON implements [json.Marshaler].
func (c DeltaContent) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil) }

// UnmarshalJSON implements [json.Unmarshaler].
func (c *DeltaContent) UnmarshalJSON(data []byte) error {
	data, err := wire.Value(data)
	if err != nil {
		return err
	}
	switch data[0] {
	case '"':
		*c = DeltaContent{Text: wire.Text(data)}
		return nil
	case '{':
		c.Text = ""
		c.Chunk, err = decodeChunk(data)
		return err
	}
	return wire.Errorf("want text or a chunk, got %s", wire.Kind(data))
}

// Inputs is what a request adds to a conversation: one message of the user, or
// entries. The zero value adds nothing.
type Inputs struct {
	// Text is a message of the user. It is used if Entries is nil.
	Text string

	// Entries are added in order. If nil, the input is Text.
	Entries Entries

	text bool // Text was there, though empty
}

// List returns the inputs as entries.
func (in Inputs) List() Entries {
	if in.Entries != nil || in.Text == "" && !in.text {
		return in.Entries
	}
	return Entries{&MessageInput{Role: RoleUser, Content: Content{Text: in.Text}}}
}

// AppendJSON appends the inputs as they go on the wire.
func (in Inputs) AppendJSON(dst []byte) ([]byte, error) {
	if in.Entries == nil {
		return wire.AppendString(dst, in.Text), nil
	}
	return wire.Append(dst, []Entry(in.Entries))
}

// MarshalJSON implements [json.Marshaler].
func (in Inputs) MarshalJSON() ([]byte, error) { return in.AppendJSON(nil) }

// UnmarshalJSON implements [json.Unmarshaler].
func (in *Inputs) UnmarshalJSON(data []byte) error {
	data, err := wire.Value(data)
	if err != nil {
		return err
	}
	switch data[0] {
	case '"':
		*in = Inputs{Text: wire.Text(data), text: true}
		return nil
	case '[':
		*in = Inputs{}
		return in.Entries.UnmarshalJSON(data)
	}
	return wire.Errorf("want text or a list of entries, got %s", wire.Kind(data))
}

// Arguments are the arguments of a call as the model wrote them. The wire has
// them as a JSON object or as a string that should hold one.
type Arguments struct {
	// Text is the JSON of the arguments. It may be malformed: models err.
	Text string

	// Object says that the wire has an object, and so that Text is valid JSON.
	// If zero, the wire has a string.
	Object bool
}

// AppendJSON appends the arguments as they go on the wire.
func (a Arguments) AppendJSON(dst []byte) ([]byte, error) {
	if a.Object {
		return wire.Append(dst, json.RawMessage(a.Text))
	}
	return wire.AppendString(dst, a.Text), nil
}

// MarshalJSON implements [json.Marshaler].
func (a Arguments) MarshalJSON() ([]byte, error) { return a.AppendJSON(nil) }

// UnmarshalJSON implements [json.Unmarshaler].
func (a *Arguments) UnmarshalJSON(data []byte) error {
	data, err := wire.Value(data)
	if err != nil {
		return err
	}
	switch data[0] {
	case '"':
		*a = Arguments{Text: wire.Text(data)}
		return nil
	case '{':
		*a = Arguments{Text: string(data), Object: true}
		return nil
	}
	return wire.Errorf("want an object or a string that holds one, got %s", wire.Kind(data))
}

// AgentVersion names a version of an agent, by number or by alias.
type AgentVersion struct {
	// Number counts from 0. It is used if Alias is empty.
	Number int

	// Alias is a name for a version. If zero, Number is meant.
	Alias string
}

// String returns the alias or the number.
func (v AgentVersion) String() string {
	if v.Alias != "" {
		return v.Alias
	}
	return strconv.Itoa(v.Number)
}

// AppendJSON appends the version as it goes on the wire.
func (v AgentVersion) AppendJSON(dst []byte) ([]byte, error) {
	if v.Alias != "" {
		return wire.AppendString(dst, v.Alias), nil
	}
	return strconv.AppendInt(dst, int64(v.Number), 10), nil
}

// MarshalJSON implements [json.Marshaler].
func (v AgentVersion) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil) }

// UnmarshalJSON implements [json.Unmarshaler].
func (v *AgentVersion) UnmarshalJSON(data []byte) error {
	data, err := wire.Value(data)
	if err != nil {
		return err
	}
	if data[0] == '"' {
		alias := wire.Text(data)
		if alias == "" {
			return wire.Errorf("want a version number or an alias, got an empty string")
		}
		*v = AgentVersion{Alias: alias}
		return nil
	}
	n, err := strconv.Atoi(string(data))
	if err != nil {
		return wire.Errorf("want a version number or an alias, got %s", wire.Kind(data))
	}
	*v = AgentVersion{Number: n}
	return nil
}

// Stop are the texts at which the model stops. The wire has one string or a
// list.
type Stop struct {
	// Texts are the texts, in no order.
	Texts []string

	single bool // the wire had one string, not a list
}

// AppendJSON appends the texts as they go on the wire.
func (s Stop) AppendJSON(dst []byte) ([]byte, error) {
	if s.single && len(s.Texts) == 1 {
		return wire.AppendString(dst, s.Texts[0]), nil
	}
	return wire.Append(dst, s.Texts)
}

// MarshalJSON implements [json.Marshaler].
func (s Stop) MarshalJSON() ([]byte, error) { return s.AppendJSON(nil) }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Stop) UnmarshalJSON(data []byte) error {
	data, err := wire.Value(data)
	if err != nil {
		return err
	}
	if data[0] == '"' {
		*s = Stop{Texts: []string{wire.Text(data)}, single: true}
		return nil
	}
	*s = Stop{Texts: []string{}}
	return wire.Elements(data, func(raw []byte) error {
		if raw[0] != '"' {
			return wire.Errorf("want a string, got %s", wire.Kind(raw))
		}
		s.Texts = append(s.Texts, wire.Text(raw))
		return nil
	})
}
