package mcptool

import (
	"encoding/json"
	"slices"
	"strings"
)

// fields reads the fields of a form from its schema, which has few forms
// (specification 2025-11-25, "Requested Schema"). What it does not know, it
// leaves out: the answer is checked against the schema.
func fields(raw json.RawMessage) []ElicitationField {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if json.Unmarshal(raw, &schema) != nil {
		return nil
	}
	var all []ElicitationField
	for name, raw := range schema.Properties {
		var p property
		if json.Unmarshal(raw, &p) != nil {
			continue
		}
		all = append(all, ElicitationField{
			Name:        name,
			Title:       p.Title,
			Description: p.Description,
			Type:        p.Type,
			Format:      p.Format,
			Options:     p.options(),
			Default:     p.Default,
			Required:    slices.Contains(schema.Required, name),
		})
	}
	slices.SortFunc(all, func(a, b ElicitationField) int {
		if a.Required != b.Required {
			if a.Required {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

type property struct {
	choices
	Type        string          `json:"type"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Format      string          `json:"format"`
	Default     json.RawMessage `json:"default"`
	Items       *choices        `json:"items"` // of an array
}

// choices are the ways in which a schema lists values.
type choices struct {
	Enum      []string `json:"enum"`
	EnumNames []string `json:"enumNames"` // titles, before SEP-1330
	OneOf     []choice `json:"oneOf"`
	AnyOf     []choice `json:"anyOf"`
}

type choice struct {
	Const string `json:"const"`
	Title string `json:"title"`
}

func (p *property) options() []ElicitationOption {
	c := p.choices
	if p.Items != nil {
		c = *p.Items
	}
	var all []ElicitationOption
	for i, value := range c.Enum {
		option := ElicitationOption{Value: value}
		if i < len(c.EnumNames) {
			option.Title = c.EnumNames[i]
		}
		all = append(all, option)
	}
	for _, one := range slices.Concat(c.OneOf, c.AnyOf) {
		all = append(all, ElicitationOption{Value: one.Const, Title: one.Title})
	}
	return all
}
