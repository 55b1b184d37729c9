package wire

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Extra keeps what a JSON object held beyond the fields of its struct: members
// that have no field, and which members were null, zero or present. Its zero
// value is that of an object made in Go.
type Extra struct {
	raw  []byte // unknown members, each as `,"name":value`
	null uint64 // bit i: the member of field i was null
	zero uint64 // bit i: the member of field i was there with the zero value
	seen uint64 // bit i: the member of field i was there
}

// Names returns the names of the members that have no field, in order.
func (e Extra) Names() []string {
	var names []string
	for name := range e.members {
		names = append(names, name)
	}
	return names
}

// Value returns the raw value of a member that has no field, or nil.
func (e Extra) Value(name string) []byte {
	for n, v := range e.members {
		if n == name {
			return v
		}
	}
	return nil
}

func (e Extra) members(yield func(name string, value []byte) bool) {
	for i := 0; i < len(e.raw); {
		// Every member was checked when it was added.
		end, _ := skipString(e.raw, i+1)
		name := unquote(e.raw[i+1 : end])
		i, _ = skipValue(e.raw, end+1, 0)
		if !yield(name, e.raw[end+1:i]) {
			return
		}
	}
}

// A plan says how a struct type is read and written.
type plan struct {
	fields []field
	extra  int  // index of the Extra field
	writes bool // the type is an Appender, which comes first
}

type field struct {
	name     string
	prefix   string // `"name":`
	index    int    // in the struct; -1 for a constant
	constant string // quoted JSON
	required bool   // on the wire
	omit     bool   // when zero
	codec    codec
}

var (
	extraType = reflect.TypeFor[Extra]()
	plans     sync.Map // reflect.Type -> *plan; nil for a struct without Extra
)

// planOf returns the plan of a struct type, or nil if it does not take part.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := makePlan(t)
	plans.Store(t, p)
	return p
}

func makePlan(t reflect.Type) *plan {
	if !hasExtra(t) {
		return nil
	}
	p := &plan{writes: t.Implements(appenderType)}
	for f := range fieldsOf(t) {
		if f.Type == extraType {
			p.extra = f.Index[0]
			continue
		}
		if name, value, ok := strings.Cut(f.Tag.Get("wire"), "="); ok {
			p.fields = append(p.fields, field{name: name, prefix: `"` + name + `":`, index: -1, constant: `"` + value + `"`})
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		p.fields = append(p.fields, field{
			name: name, prefix: `"` + name + `":`, index: f.Index[0],
			required: option == "" && f.Tag.Get("wire") != "always", omit: option == "omitzero", codec: codecOf(f.Type),
		})
	}
	if len(p.fields) > 64 {
		panic(fmt.Sprintf("wire: %v has more than 64 fields", t))
	}
	return p
}

func hasExtra(t reflect.Type) bool {
	for f := range fieldsOf(t) {
		if f.Type == extraType {
			return true
		}
	}
	return false
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// lookup returns the index of the field of the member name (quoted). Members
// mostly come in the order of the fields, so it looks at next first.
func (p *plan) lookup(name []byte, next int) int {
	inner := name[1 : len(name)-1]
	if next < len(p.fields) && p.fields[next].name == string(inner) {
		return next
	}
	if hasEscape(inner) {
		inner = []byte(unquote(name))
	}
	for i := range p.fields {
		if p.fields[i].name == string(inner) {
			return i
		}
	}
	return -1
}
