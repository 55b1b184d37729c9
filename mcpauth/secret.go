package mcpauth

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "[secret]"

// A Secret is a string that is printed, logged and encoded as JSON as
// "[secret]". Convert it to string to use it.
type Secret string

// String returns "[secret]", or nothing if s is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format writes what String returns for every verb: fmt prints the value itself
// for those that do not fit strings.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
