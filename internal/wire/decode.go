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

// Unmarshal decodes data into the struct that v points to. The struct keeps no
// reference to data. Members match fields by exact name; the last of equal
// members wins. The error is an [*Error] with the path to what is wrong.
func Unmarshal(data []byte, v any) error {
	rv := reflect.ValueOf(v).Elem()
	p := planOf(rv.Type())
	if p == nil {
		panic(fmt.Sprintf("wire: %v has no Extra field", rv.Type()))
	}
	data, err := trim(data)
	if err != nil {
		return Errorf("%v", err)
	}
	return decodeStruct(p, data, rv)
}

// trim returns the one value in data without white space around it.
func trim(data []byte) ([]byte, error) {
	i := skipSpace(data, 0)
	end, err := skipValue(data, i, 0)
	if err != nil {
		return nil, err
	}
	if rest := skipSpace(data, end); rest != len(data) {
		return nil, fmt.Errorf("invalid character %q after the JSON value", data[rest])
	}
	return data[i:end], nil
}

// Elements calls f with the raw elements of an array, in order. An error of f
// ends it and gets the index of the element in front of its path.
func Elements(data []byte, f func(raw []byte) error) error {
	data, err := trim(data)
	if err != nil {
		return Errorf("%v", err)
	}
	if data[0] != '[' {
		return Errorf("want an array, got %s", kind(data))
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

// Member returns the raw value of the first member of that name, or nil if data
// is not an object with one.
func Member(data []byte, name string) []byte {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '{' {
		return nil
	}
	var found []byte
	errFound := errors.New("found")
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

// Text returns the text of a raw JSON string, or "" if raw is no string.
func Text(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	return unquote(raw)
}

// decodeStruct decodes data, which has been checked, into v.
func decodeStruct(p *plan, data []byte, v reflect.Value) error {
	if data[0] != '{' {
		return Errorf("want an object, got %s", kind(data))
	}
	extra := v.Field(p.extra).Addr().Interface().(*Extra)
	*extra = Extra{}
	next := 0
	_, err := eachMember(data, 0, 0, func(name, value []byte) error {
		i := p.lookup(name, next)
		if i < 0 {
			extra.raw = append(append(append(append(extra.raw, ','), name...), ':'), value...)
			return nil
		}
		next = i + 1
		extra.seen |= 1 << i
		f := &p.fields[i]
		if f.index < 0 {
			if f.name == "type" && string(value) != f.constant {
				return at(f.name, Errorf("want %s, got %s", f.constant, value))
			}
			return nil
		}
		if string(value) == "null" {
			extra.null |= 1 << i
			v.Field(f.index).SetZero()
			return nil
		}
		extra.null &^= 1 << i
		fv := v.Field(f.index)
		if err := decodeValue(value, fv); err != nil {
			return at(f.name, err)
		}
		extra.zero &^= 1 << i
		if f.omit && fv.IsZero() {
			extra.zero |= 1 << i
		}
		return nil
	})
	return err
}

var unmarshalerType = reflect.TypeFor[json.Unmarshaler]()

func decodeValue(data []byte, v reflect.Value) error {
	t := v.Type()
	if t.Kind() == reflect.Struct {
		if p := planOf(t); p != nil {
			return decodeStruct(p, data, v)
		}
	}
	if t == rawType {
		v.SetBytes(bytes.Clone(data))
		return nil
	}
	if t.Kind() != reflect.String && reflect.PointerTo(t).Implements(unmarshalerType) {
		return v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(data)
	}
	switch t.Kind() {
	case reflect.String:
		if data[0] != '"' {
			return Errorf("want a string, got %s", kind(data))
		}
		v.SetString(unquote(data))
	case reflect.Bool:
		if data[0] != 't' && data[0] != 'f' {
			return Errorf("want true or false, got %s", kind(data))
		}
		v.SetBool(data[0] == 't')
	case reflect.Int, reflect.Int64:
		n, err := decodeInt(data)
		if err != nil {
			return err
		}
		v.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(string(data), 64)
		if err != nil || data[0] == '"' {
			return Errorf("want a number, got %s", kind(data))
		}
		v.SetFloat(n)
	case reflect.Pointer:
		elem := reflect.New(t.Elem())
		if err := decodeValue(data, elem.Elem()); err != nil {
			return err
		}
		v.Set(elem)
	case reflect.Slice:
		return decodeSlice(data, v)
	case reflect.Map:
		return decodeMap(data, v)
	default:
		panic(fmt.Sprintf("wire: cannot decode into %v", t))
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
		return 0, Errorf("want a whole number, got %s", kind(data))
	}
	return int64(f), nil
}

func decodeSlice(data []byte, v reflect.Value) error {
	out := reflect.MakeSlice(v.Type(), 0, 0)
	err := Elements(data, func(raw []byte) error {
		out = reflect.Append(out, reflect.Zero(v.Type().Elem()))
		return decodeValue(raw, out.Index(out.Len()-1))
	})
	if err != nil {
		return err
	}
	v.Set(out)
	return nil
}

func decodeMap(data []byte, v reflect.Value) error {
	if data[0] != '{' {
		return Errorf("want an object, got %s", kind(data))
	}
	out := reflect.MakeMap(v.Type())
	_, err := eachMember(data, 0, 0, func(name, value []byte) error {
		elem := reflect.New(v.Type().Elem()).Elem()
		if err := decodeValue(value, elem); err != nil {
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

// kind names the kind of a raw value for an error message.
func kind(data []byte) string {
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
