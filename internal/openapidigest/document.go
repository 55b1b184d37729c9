package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
)

// A document is the part of an OpenAPI document that the digest needs.
type document struct {
	Paths      map[string]*pathItem `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

type pathItem struct {
	Parameters []parameter `json:"parameters"`
	Get        *operation  `json:"get"`
	Post       *operation  `json:"post"`
	Put        *operation  `json:"put"`
	Patch      *operation  `json:"patch"`
	Delete     *operation  `json:"delete"`
}

func (p *pathItem) operations() map[string]*operation {
	all := map[string]*operation{"get": p.Get, "post": p.Post, "put": p.Put, "patch": p.Patch, "delete": p.Delete}
	maps.DeleteFunc(all, func(_ string, op *operation) bool { return op == nil })
	return all
}

type operation struct {
	Parameters  []parameter `json:"parameters"`
	RequestBody struct {
		Required bool             `json:"required"`
		Content  map[string]media `json:"content"`
	} `json:"requestBody"`
	Responses map[string]response `json:"responses"`
}

type parameter struct {
	Name     string           `json:"name"`
	In       string           `json:"in"`
	Required bool             `json:"required"`
	Schema   *schema          `json:"schema"`
	Content  map[string]media `json:"content"`
}

type response struct {
	Content map[string]media `json:"content"`
}

type media struct {
	Schema   *schema            `json:"schema"`
	Examples map[string]example `json:"examples"`
}

type example struct {
	Value json.RawMessage `json:"value"`
}

type schema struct {
	Ref                  string                `json:"$ref"`
	Type                 typeNames             `json:"type"`
	Const                json.RawMessage       `json:"const"`
	Enum                 []json.RawMessage     `json:"enum"`
	Default              json.RawMessage       `json:"default"`
	Items                *schema               `json:"items"`
	AnyOf                []*schema             `json:"anyOf"`
	OneOf                []*schema             `json:"oneOf"`
	AllOf                []*schema             `json:"allOf"`
	Properties           map[string]*schema    `json:"properties"`
	Required             []string              `json:"required"`
	AdditionalProperties *additionalProperties `json:"additionalProperties"`
	Discriminator        *struct {
		PropertyName string            `json:"propertyName"`
		Mapping      map[string]string `json:"mapping"`
	} `json:"discriminator"`
	Example  json.RawMessage   `json:"example"`
	Examples []json.RawMessage `json:"examples"`

	Format    string      `json:"format"`
	Pattern   string      `json:"pattern"`
	Minimum   json.Number `json:"minimum"`
	Maximum   json.Number `json:"maximum"`
	MinItems  json.Number `json:"minItems"`
	MinLength json.Number `json:"minLength"`
	MaxLength json.Number `json:"maxLength"`
}

func (s *schema) limits() map[string]any {
	limits := map[string]any{}
	for name, text := range map[string]string{"format": s.Format, "pattern": s.Pattern} {
		if text != "" {
			limits[name] = text
		}
	}
	for name, number := range map[string]json.Number{
		"minimum": s.Minimum, "maximum": s.Maximum, "minItems": s.MinItems, "minLength": s.MinLength, "maxLength": s.MaxLength,
	} {
		if number != "" {
			limits[name] = number
		}
	}
	return limits
}

// additionalProperties is false, true (which says nothing) or a schema.
type additionalProperties struct {
	forbidden bool
	schema    *schema
}

func (a *additionalProperties) UnmarshalJSON(text []byte) error {
	switch {
	case bytes.Equal(text, []byte("true")):
		return nil
	case bytes.Equal(text, []byte("false")):
		a.forbidden = true
		return nil
	}
	if err := json.Unmarshal(text, &a.schema); err != nil {
		return fmt.Errorf("additionalProperties: %w", err)
	}
	return nil
}

// typeNames is one name or an array of them.
type typeNames []string

func (n *typeNames) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*n = typeNames{one}
		return nil
	}
	var many []string
	err := json.Unmarshal(text, &many)
	*n = many
	return err
}
