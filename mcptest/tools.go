package mcptest

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// passing is the name of a tool that comes and goes, see [Server.SetTools].
const passing = "mcptest-passing"

// keyMeta is where mcptool puts the key of a call.
const keyMeta = "tramontane/callKey"

func (i *instance) newServer() *mcp.Server {
	opts := &mcp.ServerOptions{Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{ListChanged: true}}}
	if i.Legacy {
		opts.SupportedProtocolVersions = []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "mcptest", Version: "1"}, opts)
	if i.Setup != nil {
		i.Setup(server)
	}
	server.AddReceivingMiddleware(i.offer)
	return server
}

// offer lists and calls the tools of s, which go-sdk cannot hold: it keeps one
// tool of a name, and the content that it knows.
func (i *instance) offer(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		switch req := req.(type) {
		case *mcp.CallToolRequest:
			tool, call := i.record(req)
			if tool != nil {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				defer context.AfterFunc(i.life, cancel)() // go-sdk lets it run
				return callTool(ctx, tool, call)
			}
		case *mcp.ListToolsRequest:
			res, err := next(ctx, method, req)
			if list, ok := res.(*mcp.ListToolsResult); ok && (req.Params == nil || req.Params.Cursor == "") {
				list.Tools = append(i.list(), slices.DeleteFunc(list.Tools, func(t *mcp.Tool) bool { return t.Name == passing })...)
			}
			return res, err
		}
		return next(ctx, method, req)
	}
}

// record notes a call and returns the tool, or nil if it is not one of s.
func (s *Server) record(req *mcp.CallToolRequest) (tramontane.Tool, *tramontane.Call) {
	key, _ := req.Params.Meta[keyMeta].(string)
	call := Call{Tool: req.Params.Name, Arguments: slices.Clone(req.Params.Arguments), Key: key, Nth: 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if key != "" && c.Key == key {
			call.Nth++
		}
	}
	s.calls = append(s.calls, call)
	for _, t := range s.tools {
		if t.Definition().Name == call.Tool {
			return t, &tramontane.Call{Key: key, Name: call.Tool, Arguments: call.Arguments}
		}
	}
	return nil, nil
}

func (s *Server) list() []*mcp.Tool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var tools []*mcp.Tool
	for _, t := range s.tools {
		def := t.Definition()
		destructive, open := !def.Additive, !def.Closed
		tool := &mcp.Tool{
			Name: def.Name, Title: def.Title, Description: def.Description,
			InputSchema: json.RawMessage(`{"type":"object"}`),
			Annotations: &mcp.ToolAnnotations{
				ReadOnlyHint: def.ReadOnly, IdempotentHint: def.Idempotent || def.Safe,
				DestructiveHint: &destructive, OpenWorldHint: &open,
			},
		}
		if def.Parameters != nil {
			tool.InputSchema = def.Parameters
		}
		if def.Output != nil {
			tool.OutputSchema = def.Output
		}
		tools = append(tools, tool)
	}
	return tools
}

// A toolResult is a result with content of any kind.
type toolResult struct {
	*mcp.CallToolResult
	raw json.RawMessage
}

// MarshalJSON implements json.Marshaler.
func (r *toolResult) MarshalJSON() ([]byte, error) { return r.raw, nil }

func callTool(ctx context.Context, tool tramontane.Tool, call *tramontane.Call) (mcp.Result, error) {
	if len(call.Arguments) == 0 {
		call.Arguments = json.RawMessage(`{}`)
	}
	res, err := tool.Call(ctx, call)
	if err != nil {
		res = tramontane.TextResult(err.Error())
		res.IsError = true
	}
	if res == nil {
		res = new(tramontane.ToolResult)
	}
	wire := struct {
		Content    []any           `json:"content"`
		Structured json.RawMessage `json:"structuredContent,omitempty"`
		IsError    bool            `json:"isError,omitempty"`
	}{[]any{}, res.Structured, res.IsError}
	for _, c := range res.Content {
		wire.Content = append(wire.Content, wireContent(c))
	}
	raw, err := json.Marshal(wire)
	return &toolResult{new(mcp.CallToolResult), raw}, err
}

func wireContent(c tramontane.Content) any {
	switch c := c.(type) {
	case *tramontane.TextContent:
		return &mcp.TextContent{Text: c.Text}
	case *tramontane.ImageContent:
		return &mcp.ImageContent{Data: c.Data, MIMEType: c.MIMEType}
	case *tramontane.AudioContent:
		return &mcp.AudioContent{Data: c.Data, MIMEType: c.MIMEType}
	case *tramontane.ResourceContent:
		return &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: c.URI, MIMEType: c.MIMEType, Text: c.Text, Blob: c.Blob}}
	case *tramontane.ResourceLink:
		link := &mcp.ResourceLink{URI: c.URI, Name: c.Name, Title: c.Title, Description: c.Description, MIMEType: c.MIMEType}
		if c.Size != 0 {
			link.Size = &c.Size
		}
		return link
	case *tramontane.UnknownContent:
		return c.Raw
	}
	return nil // there are no others
}
