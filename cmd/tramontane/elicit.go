package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// elicit puts a question of an MCP server to the person.
func (p *person) elicit(ctx context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
	end, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	fmt.Fprintf(p.out, "\nMCP server %s asks: %s\n", printable(q.Server), printable(q.Message))
	if q.Problem != "" {
		fmt.Fprintf(p.out, "The last answer will not do: %s\n", printable(q.Problem))
	}
	if q.URL != "" {
		return p.elicitVisit(ctx, q)
	}
	content := map[string]any{}
	for i := range q.Fields {
		value, given, err := p.fill(ctx, &q.Fields[i])
		if err != nil {
			return nil, err
		}
		if given {
			content[q.Fields[i].Name] = value
		}
	}
	action, err := p.action(ctx, "Send it to the server?")
	return &mcptool.ElicitationAnswer{Action: action, Content: content}, err
}

// elicitVisit asks the person to visit a page. Nothing here opens it.
func (p *person) elicitVisit(ctx context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
	fmt.Fprintf(p.out, "It wants you to visit a page at %s:\n  %s\n", printable(q.Host), printable(q.URL))
	for _, warning := range q.Warnings {
		fmt.Fprintf(p.out, "Beware: %s\n", printable(warning))
	}
	action, err := p.action(ctx, "Open it yourself if you trust it. Agree?")
	return &mcptool.ElicitationAnswer{Action: action}, err
}

func (p *person) action(ctx context.Context, question string) (mcptool.ElicitationAction, error) {
	for {
		fmt.Fprint(p.out, question+" [y]es, [n]o, [c]ancel: ")
		answer, err := p.readLine(ctx)
		if err != nil {
			return mcptool.ElicitCancel, err
		}
		switch strings.ToLower(answer) {
		case "y", "yes":
			return mcptool.ElicitAccept, nil
		case "n", "no":
			return mcptool.ElicitDecline, nil
		case "c", "cancel":
			return mcptool.ElicitCancel, nil
		}
	}
}

// fill asks for the value of a field, until it is one. Nothing at all leaves
// the field out.
func (p *person) fill(ctx context.Context, f *mcptool.ElicitationField) (value any, given bool, err error) {
	fmt.Fprint(p.out, describeField(f))
	for {
		fmt.Fprintf(p.out, "%s: ", printable(cmp.Or(f.Title, f.Name)))
		answer, err := p.readLine(ctx)
		if err != nil {
			return nil, false, err
		}
		if answer == "" && (!f.Required || f.Default != nil) {
			return nil, false, nil
		}
		value, err := parseField(f, answer)
		if err == nil {
			return value, true, nil
		}
		fmt.Fprintf(p.out, "%v\n", err)
	}
}

func describeField(f *mcptool.ElicitationField) string {
	var b strings.Builder
	if f.Description != "" {
		fmt.Fprintf(&b, "  %s\n", printable(f.Description))
	}
	for i, o := range f.Options {
		fmt.Fprintf(&b, "  %d  %s\n", i+1, printable(cmp.Or(o.Title, o.Value)))
	}
	var notes []string
	switch {
	case f.Type == "array":
		notes = append(notes, "several, with commas between them")
	case f.Type == "boolean":
		notes = append(notes, "yes or no")
	case f.Type != "string":
		notes = append(notes, f.Type)
	case f.Format != "":
		notes = append(notes, f.Format)
	}
	if f.Default != nil {
		notes = append(notes, "if you give nothing: "+printable(string(f.Default)))
	} else if !f.Required {
		notes = append(notes, "may be left out")
	}
	if len(notes) > 0 {
		fmt.Fprintf(&b, "  (%s)\n", strings.Join(notes, "; "))
	}
	return b.String()
}

// parseField reads what a person typed. Whether it is in the bounds of the
// schema is checked later.
func parseField(f *mcptool.ElicitationField, answer string) (any, error) {
	switch f.Type {
	case "boolean":
		switch strings.ToLower(answer) {
		case "y", "yes", "true":
			return true, nil
		case "n", "no", "false":
			return false, nil
		}
		return nil, errors.New("yes or no?")
	case "integer":
		n, err := strconv.ParseInt(answer, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no whole number", answer)
		}
		return n, nil
	case "number":
		n, err := strconv.ParseFloat(answer, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) { // which JSON has not
			return nil, fmt.Errorf("%q is no number", answer)
		}
		return n, nil
	case "array":
		values := []string{}
		for _, part := range strings.FieldsFunc(answer, func(r rune) bool { return r == ',' }) {
			values = append(values, option(f, strings.TrimSpace(part)))
		}
		return values, nil
	}
	return option(f, answer), nil
}

// option returns the value of an option that was named by its number or its
// title.
func option(f *mcptool.ElicitationField, answer string) string {
	for i, o := range f.Options {
		if answer == strconv.Itoa(i+1) || answer == o.Title {
			return o.Value
		}
	}
	return answer
}
