package wire

import "reflect"

// A Problem is a member that an object should not have, or should have.
type Problem struct {
	Path    []any // member names (string) and indexes (int); the last is the member
	Missing bool  // required and not there, or null; if false, there and unknown
}

// Problems reports what was decoded into v, or into anything inside it, against
// the structs: required members that were missing and members without a field.
// Values made in Go, not decoded, have every member missing: do not ask.
func Problems(v any) []Problem {
	var out []Problem
	walk(reflect.ValueOf(v), nil, &out)
	return out
}

func walk(v reflect.Value, path []any, out *[]Problem) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walk(v.Elem(), path, out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), join(path, i), out)
		}
	case reflect.Struct:
		walkStruct(v, path, out)
	}
}

func walkStruct(v reflect.Value, path []any, out *[]Problem) {
	p := planOf(v.Type())
	if p == nil {
		// A string or a list of chunks, say: what it holds has no name of its own.
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				walk(v.Field(i), path, out)
			}
		}
		return
	}
	extra := v.Field(p.extra).Interface().(Extra)
	for i, f := range p.fields {
		if f.index < 0 {
			continue
		}
		if f.required && (extra.seen&^extra.null)&(1<<i) == 0 {
			*out = append(*out, Problem{Path: join(path, f.name), Missing: true})
		}
		walk(v.Field(f.index), join(path, f.name), out)
	}
	for _, name := range extra.Names() {
		*out = append(*out, Problem{Path: join(path, name)})
	}
}

func join(path []any, step any) []any {
	return append(path[:len(path):len(path)], step)
}
