package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

const mcpCallHelp = `Call calls one tool and prints what it answers. TOOL is the name that "mcp tools"
shows, or the server's own name for it where only one server has such a tool. With
the first, servers that cannot have it need not work.

The arguments are a JSON object, "-" for one on standard input, or NAME=VALUE for
each: a VALUE is taken as the tool's schema has it, as text or as JSON.

A tool that says that it failed ends the command with exit code 1, and what it
says stands on standard error.`

func newMCPCallCommand() *cobra.Command {
	f := new(mcpFlags)
	cmd := &cobra.Command{
		Use:   "call [flags] TOOL [ARGUMENTS]",
		Short: "Call a tool of an MCP server",
		Long:  mcpCallHelp,
		Example: `  tramontane mcp call --mcp-config mcp.json weather_get_weather location=Paris
  tramontane mcp call --mcp-config mcp.json get_weather '{"location": "Paris"}'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageErrorf("%s needs the name of a tool; see %[1]s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, j, err := f.begin(cmd)
			if err != nil {
				return err
			}
			defer j.end()
			return j.call(ctx, args[0], args[1:], cmd.InOrStdin())
		},
	}
	f.add(cmd, f.addChoice, f.addLock, f.addDrift)
	return cmd
}

func (j *mcpJob) call(ctx context.Context, name string, words []string, stdin io.Reader) error {
	tool, err := j.find(ctx, name)
	if err != nil {
		return err
	}
	def := tool.Definition()
	arguments, err := readArguments(ctx, words, def.Parameters, stdin)
	switch {
	case ctx.Err() != nil:
		return ended(ctx)
	case err != nil:
		return usageErrorf("tool %s: %w", def.Name, err)
	}
	key := rand.Text()
	result, err := tool.Call(ctx, &tramontane.Call{Key: "call_" + key, ID: key, Name: def.Name, Arguments: arguments})
	switch {
	case ctx.Err() != nil:
		return ended(ctx)
	case err != nil:
		return j.callError(def.Server, err)
	}
	return j.writeResult(def, result)
}

// find starts the servers whose tool has this name for the model. If there is
// none, it starts all, since the name may be a server's own.
func (j *mcpJob) find(ctx context.Context, name string) (tramontane.Tool, error) {
	all := j.servers
	if likely := j.behind(name); len(likely) > 0 {
		j.only(likely)
	}
	tools, err := j.start(ctx)
	if err != nil {
		return nil, err
	}
	if len(j.servers) < len(all) {
		for _, tool := range tools {
			if tool.Definition().Name == name {
				return tool, nil
			}
		}
		j.servers, j.guard.Toolset = all, all
		if tools, err = j.start(ctx); err != nil {
			return nil, err
		}
	}
	tool, err := findTool(tools, name)
	if err != nil {
		return nil, j.perhapsDown(err)
	}
	return tool, nil
}

// callError returns the error of a call without a result. That a lazy server
// cannot be had, or wants a login, comes out only then.
func (j *mcpJob) callError(server string, err error) error {
	for _, s := range j.servers {
		if s.Name == server && isDown(s) {
			return &exitError{exitServer, j.loginAdvice(server, err)}
		}
	}
	return &exitError{exitFailed, err}
}

func (j *mcpJob) writeResult(def tramontane.Definition, result *tramontane.ToolResult) error {
	if j.json {
		if err := j.out.line(newToolResultReport(result)); err != nil {
			return err
		}
	}
	switch {
	case result.IsError:
		return &exitError{exitFailed, fmt.Errorf("tool %s says that it failed: %s", def.Name, result.Text())}
	case j.json:
		return nil
	}
	return j.out.write([]byte(strings.TrimSuffix(result.Text(), "\n") + "\n"))
}

// perhapsDown adds to the error of a tool that is not there the servers that may
// have it.
func (j *mcpJob) perhapsDown(err error) error {
	down := slices.DeleteFunc(slices.Clone(j.servers), func(s *mcptool.Server) bool { return !isDown(s) })
	if len(down) == 0 {
		return err
	}
	return &exitError{exitServer, fmt.Errorf("%w; the tools of %s are not known: see the warnings", err, serverNames(down))}
}

// findTool returns the tool of this name, for the model or on its server.
func findTool(tools []tramontane.Tool, name string) (tramontane.Tool, error) {
	var named, own []tramontane.Tool
	for _, tool := range tools {
		def := tool.Definition()
		if def.Name == name {
			named = append(named, tool)
		}
		if def.Original == name {
			own = append(own, tool)
		}
	}
	switch {
	case len(named) == 1:
		return named[0], nil
	case len(own) == 1:
		return own[0], nil
	case len(own) > 1:
		return nil, usageErrorf("several servers have a tool %q; name one of %s", name, toolNames(own))
	case len(tools) == 0:
		return nil, usageErrorf("there is no tool %q: the servers offer none", name)
	case len(tools) > 20:
		return nil, usageErrorf("there is no tool %q among the %d; see tramontane mcp tools", name, len(tools))
	}
	return nil, usageErrorf("there is no tool %q; there are %s", name, toolNames(tools))
}

func toolNames(tools []tramontane.Tool) string {
	names := make([]string, len(tools))
	for i, tool := range tools {
		names[i] = tool.Definition().Name
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// readArguments returns the arguments of a call as a JSON object.
func readArguments(ctx context.Context, words []string, schema json.RawMessage, stdin io.Reader) (json.RawMessage, error) {
	switch {
	case len(words) == 0:
		return json.RawMessage(`{}`), nil
	case len(words) == 1 && words[0] == "-":
		data, err := readAll(ctx, stdin)
		if err != nil {
			return nil, fmt.Errorf("the arguments on standard input: %w", err)
		}
		return checkArguments(data)
	case len(words) == 1 && strings.HasPrefix(strings.TrimSpace(words[0]), "{"):
		return checkArguments([]byte(words[0]))
	}
	object := map[string]json.RawMessage{}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("argument %q: want NAME=VALUE, or one JSON object", word)
		}
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("argument %s stands there twice; give a list as JSON, such as %s='[1,2]'", name, name)
		}
		raw, err := readValue(name, value, schema)
		if err != nil {
			return nil, err
		}
		object[name] = raw
	}
	return json.Marshal(object)
}

func checkArguments(data []byte) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil || object == nil {
		return nil, errors.New("the arguments are not a JSON object")
	}
	return bytes.TrimSpace(data), nil
}

// readValue reads a value of the command line as the schema has it: text where
// text may stand, and JSON otherwise.
func readValue(name, value string, schema json.RawMessage) (json.RawMessage, error) {
	var s struct {
		Properties map[string]struct {
			Type any `json:"type"`
		} `json:"properties"`
	}
	// A schema that is not understood leaves the value as it is.
	_ = json.Unmarshal(schema, &s)
	var types []string
	switch t := s.Properties[name].Type.(type) {
	case string:
		types = append(types, t)
	case []any:
		for _, one := range t {
			types = append(types, fmt.Sprint(one))
		}
	}
	if len(types) == 0 || slices.Contains(types, "string") {
		return json.Marshal(value)
	}
	if !json.Valid([]byte(value)) {
		return nil, fmt.Errorf("argument %s: want %s, and there is %q", name, strings.Join(types, " or "), value)
	}
	return json.RawMessage(value), nil
}

// A toolResultReport is the result of a tool as JSON, by the names of MCP.
type toolResultReport struct {
	Content    []map[string]any `json:"content"`
	Structured json.RawMessage  `json:"structuredContent,omitempty"`
	IsError    bool             `json:"isError"`
}

func newToolResultReport(r *tramontane.ToolResult) *toolResultReport {
	report := &toolResultReport{Content: []map[string]any{}, Structured: r.Structured, IsError: r.IsError}
	for _, c := range r.Content {
		report.Content = append(report.Content, contentReport(c))
	}
	return report
}

func contentReport(c tramontane.Content) map[string]any {
	switch c := c.(type) {
	case *tramontane.TextContent:
		return map[string]any{"type": "text", "text": c.Text}
	case *tramontane.ImageContent:
		return map[string]any{"type": "image", "data": c.Data, "mimeType": c.MIMEType}
	case *tramontane.AudioContent:
		return map[string]any{"type": "audio", "data": c.Data, "mimeType": c.MIMEType}
	case *tramontane.ResourceContent:
		resource := map[string]any{"uri": c.URI, "mimeType": c.MIMEType, "text": c.Text}
		if c.Blob != nil {
			delete(resource, "text")
			resource["blob"] = c.Blob
		}
		return map[string]any{"type": "resource", "resource": resource}
	case *tramontane.ResourceLink:
		link := map[string]any{"type": "resource_link", "uri": c.URI, "name": c.Name}
		for name, value := range map[string]string{"title": c.Title, "description": c.Description, "mimeType": c.MIMEType} {
			if value != "" {
				link[name] = value
			}
		}
		return link
	case *tramontane.UnknownContent:
		return map[string]any{"type": "unknown", "raw": c.Raw}
	}
	return map[string]any{"type": "unknown"}
}
