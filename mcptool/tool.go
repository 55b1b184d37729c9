package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// callKeyMeta is where a call's key stands in the _meta of tools/call, for
// servers that want to tell repeated calls apart.
const callKeyMeta = "tramontane/callKey"

// maxPages bounds a list whose cursors never end.
const maxPages = 1000

// A tool is one tool of a server.
type tool struct {
	server *Server
	def    tramontane.Definition
}

// Definition implements tramontane.Tool.
func (t *tool) Definition() tramontane.Definition { return t.def }

// list returns the server's tools, each without its name for the model.
func (s *Server) list(ctx context.Context) ([]*tool, error) {
	sess, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	var defs []tramontane.Definition
	if sess.InitializeResult().ProtocolVersion <= legacyVersion {
		defs, err = sess.conn.list().load(func() ([]tramontane.Definition, error) { return s.listPages(ctx, sess) })
	} else {
		// Notices of changes come only to who listens for them, and the SDK
		// remembers the answer for as long as the server allows.
		defs, err = s.listPages(ctx, sess)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.tools = len(defs)
	s.mu.Unlock()
	tools := make([]*tool, len(defs))
	for i, def := range defs {
		tools[i] = &tool{s, def}
	}
	return tools, nil
}

// listPages asks a session for its tools.
func (s *Server) listPages(ctx context.Context, sess *session) ([]tramontane.Definition, error) {
	var tools []tramontane.Definition
	params := &mcp.ListToolsParams{}
	seen := make(map[string]bool)
	for page := 1; ; page++ {
		raw, err := s.request(ctx, sess, func(ctx context.Context) (json.RawMessage, error) {
			return rawResult(sess.ListTools(ctx, params))
		})
		var wire *jsonrpc.Error
		if errors.As(err, &wire) && wire.Code == jsonrpc.CodeMethodNotFound {
			break // a server of prompts or resources only
		}
		if err != nil {
			return nil, fmt.Errorf("%s: list tools: %w", s, err)
		}
		var list toolPage
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("%s: list tools: the answer is malformed: %w", s, err)
		}
		for _, raw := range list.Tools {
			t, err := decodeTool(raw)
			if err == nil && seen[t.Name] {
				err = errors.New("its name was listed before")
			}
			if err != nil {
				s.logger().WarnContext(ctx, "mcp server offers a tool that cannot be used",
					"server", s.Name, "tool", string(raw[:min(len(raw), 200)]), "cause", err)
				continue
			}
			seen[t.Name] = true
			tools = append(tools, s.definition(t))
		}
		if list.NextCursor == "" {
			break
		}
		if list.NextCursor == params.Cursor {
			return nil, fmt.Errorf("%s: list tools: page %q says that it follows itself", s, params.Cursor)
		}
		if page == maxPages {
			return nil, fmt.Errorf("%s: list tools: there are more than %d pages", s, maxPages)
		}
		params = &mcp.ListToolsParams{Cursor: list.NextCursor}
	}
	return tools, nil
}

func (s *Server) definition(t *listedTool) tramontane.Definition {
	def := tramontane.Definition{
		Description: t.Description,
		Parameters:  t.InputSchema,
		Server:      s.Name,
		Original:    t.Name,
		ReadOnly:    t.Annotations.ReadOnlyHint,
	}
	for _, s := range []string{t.Title, t.Annotations.Title} {
		if def.Description == "" {
			def.Description = s
		}
	}
	return def
}

// nameTools gives the tools their names, unique among them.
func nameTools(tools []*tool) ([]tramontane.Tool, error) {
	ids := make([]toolID, len(tools))
	for i, t := range tools {
		ids[i] = toolID{t.def.Server, t.def.Original}
	}
	names, err := toolNames(ids)
	if err != nil {
		return nil, err
	}
	named := make([]tramontane.Tool, len(tools))
	for i, t := range tools {
		t.def.Name = names[i]
		named[i] = t
	}
	return named, nil
}

// Call sends the call to the server, once: it is never sent again, whatever
// happens to it. When ctx ends, the server is told that the call is cancelled.
// A result that the server marks as an error is no error of Call. The error
// wraps [tramontane.ErrOutcomeUnknown] unless the server answered with it or
// cannot have seen the call.
func (t *tool) Call(ctx context.Context, call *tramontane.Call) (*tramontane.ToolResult, error) {
	s := t.server
	s.init()
	s.mu.Lock()
	sess := s.session
	s.mu.Unlock()
	if err := sess.conn.ended(); err != nil {
		return nil, fmt.Errorf("%s: tool %s: %w: %w", s, t.def.Original, errNotSent, err)
	}
	params := &mcp.CallToolParams{Name: t.def.Original, Arguments: json.RawMessage(`{}`)}
	if len(call.Arguments) > 0 && string(call.Arguments) != "null" {
		params.Arguments = call.Arguments
	}
	if call.Key != "" {
		params.Meta = mcp.Meta{callKeyMeta: call.Key}
	}
	raw, err := s.request(ctx, sess, func(ctx context.Context) (json.RawMessage, error) {
		return rawResult(sess.CallTool(ctx, params))
	})
	var wire *jsonrpc.Error
	switch {
	case err == nil:
		return decodeResult(raw), nil
	case errors.As(err, &wire) || errors.Is(err, errNotSent):
		return nil, fmt.Errorf("%s: tool %s: %w", s, t.def.Original, err)
	default:
		return nil, fmt.Errorf("%s: tool %s: %w: %w", s, t.def.Original, tramontane.ErrOutcomeUnknown, err)
	}
}

// request runs do, bounded by CallTimeout, and says of an error what the SDK
// cannot know.
func (s *Server) request(ctx context.Context, sess *session, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	limit := s.CallTimeout
	if limit <= 0 {
		limit = defaultCallTimeout
	}
	reqCtx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	raw, err := do(reqCtx)
	if err == nil {
		return raw, nil
	}
	var wire *jsonrpc.Error
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("given up before the server answered: %w", ctx.Err())
	case reqCtx.Err() != nil:
		return nil, fmt.Errorf("no answer within %v", limit)
	case sess.conn.ended() != nil && errors.Is(err, mcp.ErrConnectionClosed):
		return nil, fmt.Errorf("%w: %w", errNotSent, sess.conn.ended())
	case sess.conn.ended() != nil:
		return nil, fmt.Errorf("the server ended before it answered: %w", sess.conn.ended())
	case errors.As(err, &wire):
		return nil, fmt.Errorf("the server answered with error %d: %w", wire.Code, wire)
	default:
		return nil, err
	}
}
