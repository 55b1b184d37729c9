package wire

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"
)

// An Appender writes its own JSON. [Append] prefers it to MarshalJSON, whose
// result encoding/json rewrites.
type Appender interface {
	AppendJSON(dst []byte) ([]byte, error)
}

// Append appends v as JSON. Structs with an [Extra] field get its members
// after their own. HTML is not escaped and raw values are copied as they are.
func Append(dst []byte, v any) ([]byte, error) {
	if v == nil {
		return append(dst, "null"...), nil
	}
	return appendValue(dst, reflect.ValueOf(v))
}

// Marshal returns v as JSON; see [Append].
func Marshal(v any) ([]byte, error) { return Append(nil, v) }

var (
	rawType       = reflect.TypeFor[json.RawMessage]()
	appenderType  = reflect.TypeFor[Appender]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
)

func appendStruct(dst []byte, p *plan, v reflect.Value) ([]byte, error) {
	extra := v.Field(p.extra).Interface().(Extra)
	dst = append(dst, '{')
	start := len(dst)
	for i := range p.fields {
		f := &p.fields[i]
		if f.index < 0 {
			if extra.null&(1<<i) != 0 {
				continue // its other value is among the unknown members
			}
			dst = append(separate(dst, start), f.prefix...)
			dst = append(dst, f.constant...)
			continue
		}
		fv := v.Field(f.index)
		zero := fv.IsZero()
		wasNull := zero && extra.null&(1<<i) != 0
		if zero && f.omit && !wasNull && extra.zero&(1<<i) == 0 {
			continue
		}
		dst = append(separate(dst, start), f.prefix...)
		if wasNull {
			dst = append(dst, "null"...)
			continue
		}
		var err error
		if dst, err = appendValue(dst, fv); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	raw := extra.raw
	if len(dst) == start && len(raw) > 0 {
		raw = raw[1:] // its leading comma
	}
	return append(append(dst, raw...), '}'), nil
}

func separate(dst []byte, start int) []byte {
	if len(dst) == start {
		return dst
	}
	return append(dst, ',')
}

func appendValue(dst []byte, v reflect.Value) ([]byte, error) {
	t := v.Type()
	if t.Kind() == reflect.Struct {
		if p := planOf(t); p != nil && !p.writes {
			return appendStruct(dst, p, v)
		}
	}
	switch {
	case t == rawType:
		return appendRaw(dst, v.Bytes())
	case t.Kind() == reflect.Interface && v.IsNil(), t.Kind() == reflect.Pointer && v.IsNil():
		return append(dst, "null"...), nil
	case t.Kind() == reflect.Interface:
		return appendValue(dst, v.Elem())
	case t.Kind() == reflect.Pointer:
		return appendValue(dst, v.Elem())
	case t.Implements(appenderType):
		return v.Interface().(Appender).AppendJSON(dst)
	case t.Kind() != reflect.String && t.Implements(marshalerType):
		b, err := v.Interface().(json.Marshaler).MarshalJSON()
		return append(dst, b...), err
	}
	switch t.Kind() {
	case reflect.String:
		return AppendString(dst, v.String()), nil
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case reflect.Int, reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case reflect.Float64:
		return appendFloat(dst, v.Float())
	case reflect.Slice:
		return appendSlice(dst, v)
	case reflect.Map:
		return appendMap(dst, v)
	}
	return nil, fmt.Errorf("wire: cannot encode %v", t)
}

func appendRaw(dst, raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		return append(dst, "null"...), nil
	}
	if _, err := Value(raw); err != nil {
		return nil, err
	}
	return append(dst, raw...), nil
}

func appendFloat(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v is no JSON number", f)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64), nil
}

func appendSlice(dst []byte, v reflect.Value) ([]byte, error) {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendValue(dst, v.Index(i)); err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return append(dst, ']'), nil
}

// appendMap writes the keys in order, so that equal maps give equal JSON.
func appendMap(dst []byte, v reflect.Value) ([]byte, error) {
	keys := make([]string, 0, v.Len())
	for _, k := range v.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, k), ':')
		var err error
		if dst, err = appendValue(dst, v.MapIndex(reflect.ValueOf(k).Convert(v.Type().Key()))); err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
	}
	return append(dst, '}'), nil
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// SetNull makes members of the struct that v points to go on the wire as null,
// as long as their fields are zero.
func SetNull(v any, names ...string) error {
	rv := reflect.ValueOf(v).Elem()
	p := planOf(rv.Type())
	extra := rv.Field(p.extra).Addr().Interface().(*Extra)
	for _, name := range names {
		i := slices.IndexFunc(p.fields, func(f field) bool { return f.name == name })
		if i < 0 {
			return fmt.Errorf("no field %q", name)
		}
		extra.null |= 1 << i
	}
	return nil
}
