package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tramontane-dev/tramontane/internal/playcalls"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// listTools connects and asks for the tools.
func listTools(ctx context.Context, p *peer) error {
	s := p.server()
	defer s.Close()
	_, err := s.Tools(ctx)
	return err
}

// callTools makes the calls in a run.
func callTools(calls ...playcalls.Call) func(context.Context, *peer) error {
	return func(ctx context.Context, p *peer) error {
		s := p.server()
		defer s.Close()
		return call(ctx, s, calls...)
	}
}

// answerWith calls the tools, and answers the questions that they put to a
// person with these fields: what is left out has the form's defaults.
func answerWith(fields map[string]any, tools ...string) func(context.Context, *peer) error {
	return func(ctx context.Context, p *peer) error {
		s := p.server()
		defer s.Close()
		s.Elicit = func(context.Context, *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept, Content: fields}, nil
		}
		var calls []playcalls.Call
		for _, tool := range tools {
			calls = append(calls, playcalls.Call{Tool: tool})
		}
		return call(ctx, s, calls...)
	}
}

// callGiven makes the calls that the suite asks for.
func callGiven(ctx context.Context, p *peer) error {
	var calls []playcalls.Call
	for _, c := range p.ToolCalls {
		calls = append(calls, playcalls.Call{Tool: c.Name, Arguments: c.Arguments})
	}
	return callTools(calls...)(ctx, p)
}

// callAll calls each tool that is left of the server's list.
func callAll(ctx context.Context, p *peer) error {
	s := p.server()
	defer s.Close()
	tools, err := s.Tools(ctx)
	if err != nil {
		return err
	}
	var calls []playcalls.Call
	for _, tool := range tools {
		calls = append(calls, playcalls.Call{Tool: tool.Definition().Original, Arguments: json.RawMessage(`{"region":"us-west1"}`)})
	}
	return call(ctx, s, calls...)
}

// useAll uses each tool, resource and prompt of the server.
func useAll(ctx context.Context, p *peer) error {
	if err := callAll(ctx, p); err != nil {
		return err
	}
	s := p.server()
	defer s.Close()
	for link, err := range s.Resources(ctx) {
		if err != nil {
			return err
		}
		if _, err := s.ReadResource(ctx, link.URI); err != nil {
			return err
		}
	}
	for prompt, err := range s.Prompts(ctx) {
		if err != nil {
			return err
		}
		if _, err := s.Prompt(ctx, prompt.Name, nil); err != nil {
			return err
		}
	}
	return nil
}

// echoSchema sends the schema of one tool, as it came, as an argument to
// another.
func echoSchema(ctx context.Context, p *peer) error {
	s := p.server()
	defer s.Close()
	tools, err := s.Tools(ctx)
	if err != nil {
		return err
	}
	for _, tool := range tools {
		if def := tool.Definition(); def.Original == "json_schema_2020_12_tool" {
			arguments, err := json.Marshal(map[string]json.RawMessage{"schema": def.Parameters})
			if err != nil {
				return err
			}
			return call(ctx, s, playcalls.Call{Tool: "json_schema_echo", Arguments: arguments})
		}
	}
	return fmt.Errorf("the server does not offer json_schema_2020_12_tool")
}
