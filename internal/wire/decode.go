package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// An Error says where in a value something is wrong.
type Error struct {
	Path []any // member names (string) and indexes (int) from the outermost value
	Msg  string
}

func (e *Error) Error() string {
	var b strings.Builder
	for _, p := range e.Path {
		switch p := p.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", p)
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(p)
		}
	}
	if b.Len() == 0 {
		return e.Msg
	}
	return b.String() + ": " + e.Msg
}

// Errorf returns an Error at the outermost value.
func Errorf(format string, args ...any) *Error {
	return &Error{Msg: fmt.Sprintf(format, args...)}
}

// at puts step in front of the error's path.
func at(step any, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return &Error{Path: append([]any{step}, e.Path...), Msg: e.Msg}
	}
	return &Error{Path: []any{step}, Msg: err.Error()}
}

// Unmarshal decodes data into the struct that v points to, of which nothing
// stays as it was. The struct keeps no reference to data. Members match fields
// by exact name; the last of equal members wins. The error is an [*Error] with
// the path to what is wrong, and leaves v in any state.
func Unmarshal(data []byte, v any) error { return unmarshal(data, v, nil) }

// A Decoder decodes values that are much alike. A string that is the same as in
// the value before is not allocated again.
type Decoder struct {
	plan  *plan
	texts []string // of the fields of the value before
}

// Unmarshal is like the function of that name.
func (d *Decoder) Unmarshal(data []byte, v any) error { return unmarshal(data, v, d) }

func unmarshal(data []byte, v any, d *Decoder) error {
	rv := reflect.ValueOf(v).Elem()
	p := planOf(rv.Type())
	if p == nil {
		panic(fmt.Sprintf("wire: %v has no Extra field", rv.Type()))
	}
	if d != nil && d.plan != p {
		d.plan, d.texts = p, make([]string, len(p.fields))
	}
	end, err := decodeStruct(p, data, skipSpace(data, 0), 0, rv, d)
	if err != nil {
		return err
	}
	if rest := skipSpace(data, end); rest != len(data) {
		return Errorf("invalid character %q after the JSON value", data[rest])
	}
	return nil
}

// Value returns the one value in data without white space around it, or an
// error if there is none, or more.
func Value(data []byte) ([]byte, error) {
	i := skipSpace(data, 0)
	end, err := skipValue(data, i, 0)
	if err != nil {
		return nil, Errorf("%v", err)
	}
	if rest := skipSpace(data, end); rest != len(data) {
		return nil, Errorf("invalid character %q after the JSON value", data[rest])
	}
	return data[i:end], nil
}

// Depth returns how deeply arrays and objects are nested in a value that was
// checked, which of "x" is 0 and of [["x"]] 2.
func Depth(data []byte) (deepest int) {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			end, _ := skipString(data, i)
			i = end - 1
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth--
		}
	}
	return deepest
}

// Elements calls f with the raw elements of an array, in order. An error of f
// ends it and gets the index of the element in front of its path.
func Elements(data []byte, f func(raw []byte) error) error {
	data, err := Value(data)
	if err != nil {
		return err
	}
	if data[0] != '[' {
		return Errorf("want an array, got %s", Kind(data))
	}
	n := 0
	_, err = eachElement(data, 0, 0, func(raw []byte) error {
		if err := f(raw); err != nil {
			return at(n, err)
		}
		n++
		return nil
	})
	return err
}

var errFound = errors.New("found")

// Member returns the raw value of the first member of that name, or nil if data
// is not an object with one. What comes after it is not looked at.
func Member(data []byte, name string) []byte {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '{' {
		return nil
	}
	var found []byte
	_, err := eachMember(data, i, 0, func(n, value []byte) error {
		if len(n) == len(name)+2 && string(n[1:len(n)-1]) == name {
			found = value
			return errFound
		}
		return nil
	})
	if err != nil && err != errFound {
		return nil
	}
	return found
}

// Tag returns the text of the member of that name, which is mostly a part of
// data, or nil if there is none that is a string.
func Tag(data []byte, name string) []byte {
	raw := Member(data, name)
	if len(raw) < 2 || raw[0] != '"' {
		return nil
	}
	if hasEscape(raw) {
		return []byte(unquote(raw))
	}
	return raw[1 : len(raw)-1]
}

// Text returns the text of a raw JSON string that was checked, or "" if raw is
// no string.
func Text(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	return unquote(raw)
}

// decodeStruct decodes the value that starts at i into v and returns the index
// after it. d may be nil.
func decodeStruct(p *plan, data []byte, i, depth int, v reflect.Value, d *Decoder) (int, error) {
	if i >= len(data) {
		return i, Errorf("%v", errTruncated)
	}
	if data[i] != '{' {
		end, err := skipValue(data, i, depth)
		if err != nil {
			return end, Errorf("%v", err)
		}
		return end, Errorf("want an object, got %s", Kind(data[i:]))
	}
	v.SetZero()
	extra := v.Field(p.extra).Addr().Interface().(*Extra)
	next := 0
	end, err := eachMember(data, i, depth, func(name, value []byte) error {
		i := p.lookup(name, next)
		if i >= 0 && p.fields[i].other(value) {
			extra.null |= 1 << i
			i = -1
		}
		if i < 0 {
			extra.raw = append(append(append(append(extra.raw, ','), name...), ':'), value...)
			return nil
		}
		next = i + 1
		if err := p.fields[i].decode(value, i, extra, v, d); err != nil {
			return at(p.fields[i].name, err)
		}
		return nil
	})
	if e := (*Error)(nil); err != nil && !errors.As(err, &e) {
		return end, Errorf("%v", err)
	}
	return end, err
}

// other reports whether value is not the one that the member always has. It is
// kept then, as a member without a field is; type alone must be right, since it
// says what the struct is.
func (f *field) other(value []byte) bool {
	return f.index < 0 && f.name != "type" && string(value) != f.constant
}

// decode decodes the value of field i of v.
func (f *field) decode(value []byte, i int, extra *Extra, v reflect.Value, d *Decoder) error {
	bit := uint64(1) << i
	extra.seen |= bit
	if f.index < 0 {
		if string(value) != f.constant {
			return Errorf("want %s, got %.100s", f.constant, value)
		}
		return nil
	}
	fv := v.Field(f.index)
	extra.null &^= bit
	extra.zero &^= bit
	if string(value) == "null" {
		extra.null |= bit
		fv.SetZero()
		return nil
	}
	if d != nil && f.codec == codecString && value[0] == '"' && !hasEscape(value) {
		if inner := value[1 : len(value)-1]; d.texts[i] != string(inner) {
			d.texts[i] = unquote(value)
		}
		fv.SetString(d.texts[i])
	} else if err := decodeValue(f.codec, value, fv); err != nil {
		return err
	}
	if f.omit && fv.IsZero() {
		extra.zero |= bit
	}
	return nil
}

// A codec is a way to decode a Go type.
type codec int

const (
	codecStruct codec = iota
	codecRaw
	codecUnmarshaler
	codecString
	codecBool
	codecInt
	codecFloat
	codecPointer
	codecSlice
	codecMap
)

var unmarshalerType = reflect.TypeFor[json.Unmarshaler]()

// codecOf panics for a type that has no place in a struct of this package.
func codecOf(t reflect.Type) codec {
	switch {
	case t == rawType:
		return codecRaw
	case t.Kind() == reflect.Struct && hasExtra(t):
		return codecStruct
	case t.Kind() != reflect.String && reflect.PointerTo(t).Implements(unmarshalerType):
		return codecUnmarshaler
	}
	switch t.Kind() {
	case reflect.String:
		return codecString
	case reflect.Bool:
		return codecBool
	case reflect.Int, reflect.Int64:
		return codecInt
	case reflect.Float64:
		return codecFloat
	case reflect.Pointer:
		return codecPointer
	case reflect.Slice:
		return codecSlice
	case reflect.Map:
		return codecMap
	}
	panic(fmt.Sprintf("wire: cannot decode into %v", t))
}

// decodeValue decodes data, which has been checked and has no space around it.
func decodeValue(c codec, data []byte, v reflect.Value) error {
	switch c {
	case codecStruct:
		_, err := decodeStruct(planOf(v.Type()), data, 0, 0, v, nil)
		return err
	case codecRaw:
		v.SetBytes(bytes.Clone(data))
	case codecUnmarshaler:
		return v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(data)
	case codecString:
		if data[0] != '"' {
			return Errorf("want a string, got %s", Kind(data))
		}
		v.SetString(unquote(data))
	case codecBool:
		if data[0] != 't' && data[0] != 'f' {
			return Errorf("want true or false, got %s", Kind(data))
		}
		v.SetBool(data[0] == 't')
	case codecInt:
		n, err := decodeInt(data)
		if err != nil {
			return err
		}
		v.SetInt(n)
	case codecFloat:
		n, err := strconv.ParseFloat(string(data), 64)
		if err != nil || data[0] == '"' {
			return Errorf("want a number, got %s", Kind(data))
		}
		v.SetFloat(n)
	case codecPointer:
		elem := reflect.New(v.Type().Elem())
		if err := decodeValue(codecOf(v.Type().Elem()), data, elem.Elem()); err != nil {
			return err
		}
		v.Set(elem)
	case codecSlice:
		return decodeSlice(data, v)
	case codecMap:
		return decodeMap(data, v)
	}
	return nil
}

// decodeInt also takes a whole number written as a float (1.0, 1e3), as
// JavaScript and some servers write them.
func decodeInt(data []byte) (int64, error) {
	if n, err := strconv.ParseInt(string(data), 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(string(data), 64)
	if err != nil || data[0] == '"' || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, Errorf("want a whole number, got %s", Kind(data))
	}
	return int64(f), nil
}

func decodeSlice(data []byte, v reflect.Value) error {
	out := reflect.MakeSlice(v.Type(), 0, 0)
	elem := codecOf(v.Type().Elem())
	err := Elements(data, func(raw []byte) error {
		out = reflect.Append(out, reflect.Zero(v.Type().Elem()))
		return decodeValue(elem, raw, out.Index(out.Len()-1))
	})
	if err != nil {
		return err
	}
	v.Set(out)
	return nil
}

func decodeMap(data []byte, v reflect.Value) error {
	if data[0] != '{' {
		return Errorf("want an object, got %s", Kind(data))
	}
	out := reflect.MakeMap(v.Type())
	c := codecOf(v.Type().Elem())
	_, err := eachMember(data, 0, 0, func(name, value []byte) error {
		elem := reflect.New(v.Type().Elem()).Elem()
		if err := decodeValue(c, value, elem); err != nil {
			return at(unquote(name), err)
		}
		out.SetMapIndex(reflect.ValueOf(unquote(name)), elem)
		return nil
	})
	if err != nil {
		return err
	}
	v.Set(out)
	return nil
}

// Kind names the kind of a raw value that was checked, for an error message.
func Kind(data []byte) string {
	switch data[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
