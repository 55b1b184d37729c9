package mistral

import (
	"bytes"
	"encoding/json"

	"github.com/tramontane-dev/tramontane/internal/wire"
)

// A Chunk is a piece of content: a *[TextChunk], *[ImageURLChunk],
// *[DocumentURLChunk], *[ToolFileChunk], *[ToolReferenceChunk], *[ThinkChunk],
// *[ReferenceChunk], *[FileChunk], *[AudioChunk] or *[UnknownChunk]. Which of
// them a message may hold depends on the message (OpenAPI,
// MessageInputContentChunks, MessageOutputContentChunks, ContentChunk).
type Chunk interface{ isChunk() }

// Chunks is a list of chunks.
type Chunks []Chunk

// TextChunk is text.
type TextChunk struct {
	_     struct{} `wire:"type=text"`
	Text  string   `json:"text"`
	Extra Extra
}

// ImageURLChunk is an image, by its address or as a data URL.
type ImageURLChunk struct {
	_        struct{} `wire:"type=image_url"`
	ImageURL ImageURL `json:"image_url"`
	Extra    Extra
}

// ImageURL is the address of an image. The wire has a string or an object.
type ImageURL struct {
	// URL is the address, http, https or data.
	URL string

	// Detail is how closely to look: "low", "auto" or "high". If zero, the API
	// chooses.
	Detail string

	object *imageURLObject // what the wire had, if not a string
}

// DocumentURLChunk is a document, by its address.
type DocumentURLChunk struct {
	_            struct{} `wire:"type=document_url"`
	DocumentURL  string   `json:"document_url"`
	DocumentName string   `json:"document_name,omitzero"`
	Extra        Extra
}

// ToolFileChunk is a file that a tool made.
type ToolFileChunk struct {
	_        struct{} `wire:"type=tool_file"`
	Tool     string   `json:"tool"` // its name
	FileID   string   `json:"file_id"`
	FileName string   `json:"file_name,omitzero"`
	FileType string   `json:"file_type,omitzero"` // "png", ...
	Extra    Extra
}

// ToolReferenceChunk is a source that a tool found.
type ToolReferenceChunk struct {
	_           struct{} `wire:"type=tool_reference"`
	Tool        string   `json:"tool"` // its name
	Title       string   `json:"title"`
	URL         string   `json:"url,omitzero"`
	Favicon     string   `json:"favicon,omitzero"` // the address of an image
	Description string   `json:"description,omitzero"`
	Extra       Extra
}

// ThinkChunk is what the model thought before it answered.
type ThinkChunk struct {
	_        struct{} `wire:"type=thinking"`
	Thinking Chunks   `json:"thinking"`        // text and references
	Closed   *bool    `json:"closed,omitzero"` // if nil, true: the thought is whole
	Extra    Extra
}

// ReferenceChunk points to sources by number.
type ReferenceChunk struct {
	_            struct{} `wire:"type=reference"`
	ReferenceIDs []int    `json:"reference_ids"`
	Extra        Extra
}

// FileChunk is an uploaded file.
type FileChunk struct {
	_      struct{} `wire:"type=file"`
	FileID string   `json:"file_id"`
	Extra  Extra
}

// AudioChunk is sound: base64, or a URL.
type AudioChunk struct {
	_          struct{} `wire:"type=input_audio"`
	InputAudio string   `json:"input_audio"`
	Extra      Extra
}

// UnknownChunk is a chunk of a type that this package does not know. It goes
// back on the wire as it came, byte for byte.
type UnknownChunk struct {
	Type string
	Raw  json.RawMessage // valid JSON; if empty, null
}

func (*TextChunk) isChunk()          {}
func (*ImageURLChunk) isChunk()      {}
func (*DocumentURLChunk) isChunk()   {}
func (*ToolFileChunk) isChunk()      {}
func (*ToolReferenceChunk) isChunk() {}
func (*ThinkChunk) isChunk()         {}
func (*ReferenceChunk) isChunk()     {}
func (*FileChunk) isChunk()          {}
func (*AudioChunk) isChunk()         {}
func (*UnknownChunk) isChunk()       {}

// maxThought is how deeply the JSON of a thought may be nested. Each level is
// read once more, so that a few megabytes of thoughts in thoughts would take
// seconds. The OpenAPI has none of those at all.
const maxThought = 20

func decodeChunk(data []byte) (Chunk, error) {
	var c Chunk
	kind := string(wire.Tag(data, "type"))
	switch kind {
	case "text", "":
		// The documentation shows chunks without a type; they are text.
		if kind == "" && wire.Member(data, "text") == nil {
			return &UnknownChunk{Raw: bytes.Clone(data)}, nil
		}
		c = new(TextChunk)
	case "image_url":
		c = new(ImageURLChunk)
	case "document_url":
		c = new(DocumentURLChunk)
	case "tool_file":
		c = new(ToolFileChunk)
	case "tool_reference":
		c = new(ToolReferenceChunk)
	case "thinking":
		if wire.Depth(data) > maxThought {
			return &UnknownChunk{Type: kind, Raw: bytes.Clone(data)}, nil
		}
		c = new(ThinkChunk)
	case "reference":
		c = new(ReferenceChunk)
	case "file":
		c = new(FileChunk)
	case "input_audio":
		c = new(AudioChunk)
	default:
		return &UnknownChunk{Type: kind, Raw: bytes.Clone(data)}, nil
	}
	return c, wire.Unmarshal(data, c)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (cs *Chunks) UnmarshalJSON(data []byte) (err error) {
	*cs, err = decodeList(data, decodeChunk)
	return err
}

// imageURLObject is the form of an [ImageURL] that is not a string.
type imageURLObject struct {
	URL    string `json:"url"`
	Detail string `json:"detail,omitzero"`
	Extra  Extra
}

// AppendJSON appends the address as it goes on the wire.
func (u ImageURL) AppendJSON(dst []byte) ([]byte, error) {
	if u.object == nil && u.Detail == "" {
		return wire.AppendString(dst, u.URL), nil
	}
	o := imageURLObject{URL: u.URL, Detail: u.Detail}
	if u.object != nil {
		o.Extra = u.object.Extra
	}
	return wire.Append(dst, o)
}

// MarshalJSON implements [json.Marshaler].
func (u ImageURL) MarshalJSON() ([]byte, error) { return u.AppendJSON(nil) }

// UnmarshalJSON implements [json.Unmarshaler].
func (u *ImageURL) UnmarshalJSON(data []byte) error {
	data, err := wire.Value(data)
	if err != nil {
		return err
	}
	if data[0] == '"' {
		*u = ImageURL{URL: wire.Text(data)}
		return nil
	}
	o := new(imageURLObject)
	if err := wire.Unmarshal(data, o); err != nil {
		return err
	}
	*u = ImageURL{URL: o.URL, Detail: o.Detail, object: o}
	return nil
}
