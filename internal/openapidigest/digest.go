package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Digest is what the generator writes. Names of schemas are those of the OpenAPI.
type Digest struct {
	Endpoints []Endpoint       `json:"endpoints"`
	Schemas   map[string]*Type `json:"schemas"`
}

// An Endpoint is one method of one path. The fragment of a path (#stream) only keeps the OpenAPI's paths apart.
type Endpoint struct {
	Method       string           `json:"method"`
	Path         string           `json:"path"`
	PathParams   map[string]*Type `json:"path_params,omitempty"`
	Query        map[string]*Type `json:"query,omitempty"`
	Request      *Body            `json:"request,omitempty"`
	Responses    []Body           `json:"responses"`
	InvalidInput string           `json:"invalid_input,omitempty"` // the schema of status 422
}

// A Body is a request or a response. A response without ContentType has no body.
type Body struct {
	Status      int    `json:"status,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	Required    bool   `json:"required,omitempty"`
	Schema      *Type  `json:"schema,omitempty"`
}

// A Type says which JSON values are allowed. Types is flat: references and unions are already followed.
type Type struct {
	Kind     string   `json:"kind,omitempty"` // object, union, enum or alias; only on a named schema
	Types    []string `json:"types"`          // sorted; "any" alone if nothing is said
	Required bool     `json:"required,omitempty"`
	Nullable bool     `json:"nullable,omitempty"`

	Ref     string            `json:"ref,omitempty"`
	Const   json.RawMessage   `json:"const,omitempty"`
	Enum    []json.RawMessage `json:"enum,omitempty"`
	Default json.RawMessage   `json:"default,omitempty"`
	Limits  map[string]any    `json:"limits,omitempty"` // format, pattern, minimum, maxLength, …

	Items         *Type          `json:"items,omitempty"`
	Values        *Type          `json:"values,omitempty"` // of an object with any keys
	Variants      []*Type        `json:"variants,omitempty"`
	Discriminator *Discriminator `json:"discriminator,omitempty"`

	Closed     bool             `json:"closed,omitempty"` // no other properties are allowed
	Bases      []string         `json:"bases,omitempty"`  // schemas whose properties are included below
	Properties map[string]*Type `json:"properties,omitempty"`

	Encoding string `json:"encoding,omitempty"` // of a parameter whose one value is an encoded document
}

// A Discriminator names the property that tells variants apart and the schema for each of its values.
type Discriminator struct {
	Property string            `json:"property"`
	Mapping  map[string]string `json:"mapping"`
}

// spoken tells whether our client and server have a part in the operation.
func spoken(method, path string) bool {
	path, _, _ = strings.Cut(path, "#")
	switch {
	case path == "/v1/models", path == "/v1/chat/completions":
		return true
	case path == "/v1/models/{model_id}":
		return method == "get"
	}
	for _, root := range []string{"/v1/conversations", "/v1/agents"} {
		if path == root || strings.HasPrefix(path, root+"/") {
			return true
		}
	}
	return false
}

func (d *document) digest() (*Digest, error) {
	w := &walk{doc: d, schemas: map[string]*Type{}}
	var endpoints []Endpoint
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			op, ok := d.Paths[path].operations()[method]
			if !ok || !spoken(method, path) {
				continue
			}
			endpoint, err := w.endpoint(method, path, op)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", strings.ToUpper(method), path, err)
			}
			endpoints = append(endpoints, endpoint)
		}
	}
	return &Digest{Endpoints: endpoints, Schemas: w.schemas}, nil
}

// A walk collects every schema that it comes by.
type walk struct {
	doc     *document
	schemas map[string]*Type
}

func (w *walk) endpoint(method, path string, op *operation) (Endpoint, error) {
	e := Endpoint{Method: strings.ToUpper(method), Path: path}
	for _, p := range slices.Concat(w.doc.Paths[path].Parameters, op.Parameters) {
		t, err := w.parameter(p)
		if err != nil {
			return e, fmt.Errorf("parameter %s: %w", p.Name, err)
		}
		switch p.In {
		case "path":
			e.PathParams = with(e.PathParams, p.Name, t)
		case "query":
			e.Query = with(e.Query, p.Name, t)
		default:
			return e, fmt.Errorf("parameter %s is in %q, which is not known here", p.Name, p.In)
		}
	}
	for _, contentType := range slices.Sorted(maps.Keys(op.RequestBody.Content)) {
		t, err := w.typeOf(op.RequestBody.Content[contentType].Schema)
		if err != nil {
			return e, fmt.Errorf("request: %w", err)
		}
		e.Request = &Body{ContentType: contentType, Required: op.RequestBody.Required, Schema: t}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		if err := w.response(&e, status, op.Responses[status]); err != nil {
			return e, fmt.Errorf("response %s: %w", status, err)
		}
	}
	return e, nil
}

func with(m map[string]*Type, name string, t *Type) map[string]*Type {
	if m == nil {
		m = map[string]*Type{}
	}
	m[name] = t
	return m
}

func (w *walk) parameter(p parameter) (*Type, error) {
	if p.Schema != nil {
		t, err := w.typeOf(p.Schema)
		if err != nil {
			return nil, err
		}
		t.Required = p.Required
		return t, nil
	}
	for contentType, media := range p.Content {
		t, err := w.typeOf(media.Schema)
		if err != nil {
			return nil, err
		}
		t.Required, t.Encoding = p.Required, contentType
		return t, nil
	}
	return nil, fmt.Errorf("neither schema nor content")
}

func (w *walk) response(e *Endpoint, status string, r response) error {
	code, err := strconv.Atoi(status)
	if err != nil {
		return err
	}
	if len(r.Content) == 0 {
		e.Responses = append(e.Responses, Body{Status: code})
		return nil
	}
	for _, contentType := range slices.Sorted(maps.Keys(r.Content)) {
		t, err := w.typeOf(r.Content[contentType].Schema)
		if err != nil {
			return err
		}
		if code == 422 {
			e.InvalidInput = t.Ref
			continue
		}
		e.Responses = append(e.Responses, Body{Status: code, ContentType: contentType, Schema: t})
	}
	return nil
}

// named digests a schema of the components once and returns it; a schema that refers to itself gets what is known so far.
func (w *walk) named(name string) (*Type, error) {
	if t, ok := w.schemas[name]; ok {
		return t, nil
	}
	s, ok := w.doc.Components.Schemas[name]
	if !ok {
		return nil, fmt.Errorf("no schema %s", name)
	}
	placeholder := &Type{Types: []string{"object"}}
	w.schemas[name] = placeholder
	t, err := w.typeOf(s)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	*placeholder = *t
	placeholder.Kind = kindOf(placeholder)
	return placeholder, nil
}

func kindOf(t *Type) string {
	switch {
	case t.Properties != nil:
		return "object"
	case t.Enum != nil:
		return "enum"
	case t.Variants != nil:
		return "union"
	}
	return "alias"
}

func (w *walk) typeOf(s *schema) (*Type, error) {
	t := &Type{Const: s.Const, Enum: s.Enum, Default: s.Default, Limits: s.limits()}
	if s.Ref != "" {
		return t, w.reference(t, s)
	}
	t.Types = slices.Clone([]string(s.Type))
	steps := []func(*Type, *schema) error{w.merge, w.union, w.properties, w.elements}
	for _, step := range steps {
		if err := step(t, s); err != nil {
			return nil, err
		}
	}
	if len(t.Types) == 0 {
		t.Types = []string{"any"}
	}
	slices.Sort(t.Types)
	t.Types = slices.Compact(t.Types)
	t.Nullable = slices.Contains(t.Types, "null")
	return t, nil
}

func (w *walk) reference(t *Type, s *schema) error {
	t.Ref = strings.TrimPrefix(s.Ref, "#/components/schemas/")
	target, err := w.named(t.Ref)
	if err != nil {
		return err
	}
	t.Types, t.Nullable = slices.Clone(target.Types), target.Nullable
	return nil
}

// merge takes in the properties of all schemas that s must obey together.
func (w *walk) merge(t *Type, s *schema) error {
	for _, part := range s.AllOf {
		p, err := w.typeOf(part)
		if err != nil {
			return err
		}
		if p.Ref != "" {
			t.Bases = append(t.Bases, p.Ref)
			p = w.schemas[p.Ref]
		}
		t.Types = append(t.Types, p.Types...)
		t.Closed = t.Closed || p.Closed
		for name, property := range p.Properties {
			t.Properties = with(t.Properties, name, property)
		}
	}
	return nil
}

// union keeps the variants other than null. One that is left over by itself is no union: it is the type, and may be null.
func (w *walk) union(t *Type, s *schema) error {
	if s.Discriminator != nil {
		t.Discriminator = &Discriminator{Property: s.Discriminator.PropertyName, Mapping: map[string]string{}}
		for value, ref := range s.Discriminator.Mapping {
			t.Discriminator.Mapping[value] = strings.TrimPrefix(ref, "#/components/schemas/")
		}
	}
	for _, variant := range slices.Concat(s.AnyOf, s.OneOf) {
		v, err := w.typeOf(variant)
		if err != nil {
			return err
		}
		t.Types = append(t.Types, v.Types...)
		if slices.Equal(v.Types, []string{"null"}) {
			continue
		}
		t.Variants = append(t.Variants, v)
	}
	if len(t.Variants) != 1 {
		slices.SortStableFunc(t.Variants, func(a, b *Type) int { return cmp.Compare(a.Ref, b.Ref) })
		return nil
	}
	only := *t.Variants[0]
	only.Types = t.Types
	if t.Default != nil {
		only.Default = t.Default
	}
	*t = only
	return nil
}

func (w *walk) properties(t *Type, s *schema) error {
	for name, property := range s.Properties {
		p, err := w.typeOf(property)
		if err != nil {
			return fmt.Errorf("property %s: %w", name, err)
		}
		p.Required = slices.Contains(s.Required, name)
		t.Properties = with(t.Properties, name, p)
	}
	return nil
}

func (w *walk) elements(t *Type, s *schema) error {
	if s.Items != nil {
		items, err := w.typeOf(s.Items)
		if err != nil {
			return fmt.Errorf("items: %w", err)
		}
		t.Items = items
	}
	switch {
	case s.AdditionalProperties == nil:
	case s.AdditionalProperties.schema != nil:
		values, err := w.typeOf(s.AdditionalProperties.schema)
		if err != nil {
			return fmt.Errorf("additional properties: %w", err)
		}
		t.Values = values
	case s.AdditionalProperties.forbidden:
		t.Closed = true
	}
	return nil
}
