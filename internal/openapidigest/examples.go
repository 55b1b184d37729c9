package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fromSpec is where samples that the generator wrote itself are from. It owns those entries and files, nobody else's.
const fromSpec = "OpenAPI of Mistral's API, version 1.0.0"

// A Sample is a line of index.json: one JSON value, or the frames of one event stream, as it goes over the wire.
type Sample struct {
	File       string   `json:"file"`
	Schema     string   `json:"schema"` // a schema of the digest, with [] before it for an array of them
	From       string   `json:"from"`
	Note       string   `json:"note,omitempty"`
	Deviations []string `json:"deviations,omitempty"` // from the schema; found by check, not written by hand
}

// writeExamples replaces the samples that came from the OpenAPI, and says anew for each sample where it deviates.
func writeExamples(dir string, doc *document, digest *Digest) error {
	index := filepath.Join(dir, "index.json")
	samples, err := readIndex(index)
	if err != nil {
		return err
	}
	for _, s := range samples {
		if s.From != fromSpec {
			continue
		}
		if err := os.Remove(filepath.Join(dir, s.File)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	samples = slices.DeleteFunc(samples, func(s Sample) bool { return s.From == fromSpec })
	for file, ex := range doc.examples(digest) {
		text, err := encode(ex.value)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			return err
		}
		samples = append(samples, Sample{File: file, Schema: ex.schema, From: fromSpec})
	}
	slices.SortFunc(samples, func(a, b Sample) int { return strings.Compare(a.File, b.File) })
	for i := range samples {
		if samples[i].Deviations, err = deviations(dir, samples[i], digest); err != nil {
			return fmt.Errorf("%s: %w", samples[i].File, err)
		}
	}
	text, err := encode(samples)
	if err != nil {
		return err
	}
	return os.WriteFile(index, text, 0o644)
}

func readIndex(name string) ([]Sample, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var samples []Sample
	if err := json.Unmarshal(text, &samples); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return samples, nil
}

type specExample struct {
	schema string
	value  any
}

// examples returns the example values in reach of the digest, by file name.
func (d *document) examples(digest *Digest) map[string]specExample {
	found := map[string]specExample{}
	bases := map[string]bool{}
	for name, t := range digest.Schemas {
		for _, base := range t.Bases {
			bases[base] = true
		}
		for i, value := range d.Components.Schemas[name].Examples {
			found[fmt.Sprintf("openapi.%s.%d.json", name, i+1)] = specExample{name, value}
		}
	}
	// Examples of single properties make one object of their schema. What only lends its properties to others has none.
	for name := range digest.Schemas {
		if object := d.propertyExamples(d.Components.Schemas[name]); len(object) > 0 && !bases[name] {
			found[fmt.Sprintf("openapi.%s.json", name)] = specExample{name, object}
		}
	}
	for _, e := range digest.Endpoints {
		op := d.Paths[e.Path].operations()[strings.ToLower(e.Method)]
		for _, response := range op.Responses {
			for contentType, media := range response.Content {
				for _, ex := range media.Examples {
					file := "openapi." + strings.Trim(strings.NewReplacer("/", "-", "{", "", "}", "").Replace(e.Path), "-") + ".json"
					found[file] = specExample{schemaFor(ex.Value, e, contentType, digest), ex.Value}
				}
			}
		}
	}
	return found
}

func (d *document) propertyExamples(s *schema) map[string]json.RawMessage {
	object := map[string]json.RawMessage{}
	for _, part := range s.AllOf {
		if part.Ref != "" {
			part = d.Components.Schemas[strings.TrimPrefix(part.Ref, "#/components/schemas/")]
		}
		maps.Copy(object, d.propertyExamples(part))
	}
	for name, property := range s.Properties {
		switch {
		case property.Example != nil:
			object[name] = property.Example
		case len(property.Examples) > 0:
			object[name] = property.Examples[0]
		}
	}
	return object
}

// schemaFor names the schema of a response, and for a union the variant that the value agrees with best.
func schemaFor(value json.RawMessage, e Endpoint, contentType string, digest *Digest) string {
	i := slices.IndexFunc(e.Responses, func(b Body) bool { return b.ContentType == contentType })
	t := e.Responses[i].Schema
	if t.Ref != "" {
		return t.Ref
	}
	best := slices.MinFunc(t.Variants, func(a, b *Type) int {
		return len(digest.checkRaw(value, a)) - len(digest.checkRaw(value, b))
	})
	return best.Ref
}

func deviations(dir string, s Sample, digest *Digest) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, s.File))
	if err != nil {
		return nil, err
	}
	name, isArray := strings.CutPrefix(s.Schema, "[]")
	if digest.Schemas[name] == nil {
		return nil, fmt.Errorf("schema %s is not in the digest", name)
	}
	t := &Type{Ref: name, Types: digest.Schemas[name].Types}
	if isArray {
		t = &Type{Types: []string{"array"}, Items: t}
	}
	if filepath.Ext(s.File) == ".json" {
		if !json.Valid(text) {
			return nil, errors.New("not JSON")
		}
		return digest.checkRaw(text, t), nil
	}
	var all []string
	for i, frame := range frames(text) {
		for _, deviation := range digest.checkRaw(frame, t) {
			all = append(all, fmt.Sprintf("frame %d: %s", i+1, deviation))
		}
	}
	return all, nil
}

// frames reads an event stream of our own files: each frame is an optional event line and one data line.
func frames(text []byte) []json.RawMessage {
	var all []json.RawMessage
	for frame := range bytes.SplitSeq(bytes.TrimSpace(text), []byte("\n\n")) {
		object := map[string]any{}
		for line := range bytes.SplitSeq(frame, []byte("\n")) {
			field, value, _ := strings.Cut(string(line), ": ")
			switch {
			case field == "event":
				object["event"] = value
			case field == "data" && value != "[DONE]":
				object["data"] = json.RawMessage(value)
			}
		}
		if object["data"] == nil {
			continue
		}
		raw, err := json.Marshal(object)
		if err != nil {
			raw = []byte("null")
		}
		all = append(all, raw)
	}
	return all
}
