package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// ErrNotFound is in the error of [Server.ReadResource] and [Server.Prompt] if
// the server has no such resource or prompt.
var ErrNotFound = errors.New("the server has none of this name")

// codeNotFound is what servers of versions before 2026-07-28 answer for a
// resource that they do not have. Later ones say that the parameters are
// invalid, which some of the older do too.
const codeNotFound = -32002

// A ResourceTemplate describes resources of a server that are too many to be
// listed.
type ResourceTemplate struct {
	URITemplate string // RFC 6570, such as file:///{path}
	Name        string
	Title       string // for people; if zero, Name is as good
	Description string
	MIMEType    string // of all of them; if zero, unknown
}

// Resources returns the resources of the server, reaching it first where that is
// needed: page by page, as the sequence is ranged over. A server without
// resources has an empty sequence. To range over it again is to ask again.
func (s *Server) Resources(ctx context.Context) iter.Seq2[*tramontane.ResourceLink, error] {
	key := func(r *tramontane.ResourceLink) string { return r.URI }
	return pages(ctx, s, "list resources", key, func(ctx context.Context, sess *session, cursor string) ([]*tramontane.ResourceLink, string, error) {
		if caps := sess.InitializeResult().Capabilities; caps != nil && caps.Resources == nil {
			return nil, "", nil
		}
		res, err := sess.ListResources(ctx, &mcp.ListResourcesParams{Cursor: cursor})
		if err != nil {
			return nil, "", err
		}
		var links []*tramontane.ResourceLink
		for _, r := range res.Resources {
			links = append(links, &tramontane.ResourceLink{
				URI: r.URI, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIMEType, Size: r.Size,
			})
		}
		return links, res.NextCursor, nil
	})
}

// ResourceTemplates returns the templates of the server's resources, as
// [Server.Resources] does the resources.
func (s *Server) ResourceTemplates(ctx context.Context) iter.Seq2[*ResourceTemplate, error] {
	key := func(t *ResourceTemplate) string { return t.URITemplate }
	return pages(ctx, s, "list resource templates", key, func(ctx context.Context, sess *session, cursor string) ([]*ResourceTemplate, string, error) {
		if caps := sess.InitializeResult().Capabilities; caps != nil && caps.Resources == nil {
			return nil, "", nil
		}
		res, err := sess.ListResourceTemplates(ctx, &mcp.ListResourceTemplatesParams{Cursor: cursor})
		if err != nil {
			return nil, "", err
		}
		var templates []*ResourceTemplate
		for _, r := range res.ResourceTemplates {
			templates = append(templates, &ResourceTemplate{
				URITemplate: r.URITemplate, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIMEType,
			})
		}
		return templates, res.NextCursor, nil
	})
}

// ReadResource returns the contents of a resource, which may be several: of a
// directory, for example, those of its files. The error wraps [ErrNotFound] if
// there is no such resource.
func (s *Server) ReadResource(ctx context.Context, uri string) ([]*tramontane.ResourceContent, error) {
	res, err := ask(ctx, s, "read resource "+uri, func(ctx context.Context, sess *session) (*mcp.ReadResourceResult, error) {
		return sess.ReadResource(ctx, &mcp.ReadResourceParams{URI: uri})
	})
	if err != nil {
		return nil, notFound(err)
	}
	var contents []*tramontane.ResourceContent
	for _, c := range res.Contents {
		contents = append(contents, &tramontane.ResourceContent{URI: c.URI, MIMEType: c.MIMEType, Text: c.Text, Blob: c.Blob})
	}
	return contents, nil
}

// notFound adds ErrNotFound to an error that says so.
func notFound(err error) error {
	var wire *jsonrpc.Error
	if errors.As(err, &wire) && (wire.Code == codeNotFound || wire.Code == jsonrpc.CodeInvalidParams) {
		return fmt.Errorf("%w: %w", err, ErrNotFound)
	}
	return err
}

// staleCursor reports whether err, of the page at cursor, says that the cursor is
// no good any more: the list begins anew then (specification 2026-07-28,
// "Pagination").
func staleCursor(err error, cursor string) bool {
	var wire *jsonrpc.Error
	return cursor != "" && errors.As(err, &wire) && wire.Code == jsonrpc.CodeInvalidParams
}

// pages asks for a list until its last page. A server that does not know the
// method has nothing to list. If a cursor goes stale the list begins anew, once,
// without the items that were given out, which are known by their keys.
func pages[T any](ctx context.Context, s *Server, what string, key func(T) string, fetch func(context.Context, *session, string) ([]T, string, error)) iter.Seq2[T, error] {
	type page struct {
		items []T
		next  string
	}
	return func(yield func(T, error) bool) {
		var none T
		cursor := ""
		given := make(map[string]bool)
		again := false
		for n := 1; ; n++ {
			p, err := ask(ctx, s, what, func(ctx context.Context, sess *session) (page, error) {
				items, next, err := fetch(ctx, sess, cursor)
				return page{items, next}, err
			})
			var wire *jsonrpc.Error
			switch {
			case errors.As(err, &wire) && wire.Code == jsonrpc.CodeMethodNotFound:
				return
			case staleCursor(err, cursor) && !again:
				again, cursor = true, ""
				continue
			case err != nil:
				yield(none, err)
				return
			}
			for _, item := range p.items {
				if again && given[key(item)] {
					continue
				}
				given[key(item)] = true
				if !yield(item, nil) {
					return
				}
			}
			switch {
			case p.next == "":
				return
			case p.next == cursor:
				yield(none, fmt.Errorf("%s: %s: page %q says that it follows itself", s, what, cursor))
				return
			case n == maxPages:
				yield(none, fmt.Errorf("%s: %s: there are more than %d pages", s, what, maxPages))
				return
			}
			cursor = p.next
		}
	}
}

// The names of the tools that let the model read resources. No tool of a server
// can be taken for them: two of one name cannot be offered.
const (
	listResourcesTool = "resources/list"
	readResourceTool  = "resources/read"
)

// maxListed is how many resources the model is told of.
const maxListed = 500

// resourceTools returns the tools of [Server.ResourceTools].
func (s *Server) resourceTools() []*tool {
	if !s.ResourceTools {
		return nil
	}
	def := tramontane.Definition{Server: s.Name, ReadOnly: true, Idempotent: true, Additive: true, Safe: true}
	list, read := def, def
	list.Original = listResourcesTool
	list.Description = fmt.Sprintf("List the resources (files, records, documents) that the server %s has, with their URIs.", s.Name)
	list.Parameters = json.RawMessage(`{"type":"object","properties":{},"additionalProperties":false}`)
	read.Original = readResourceTool
	read.Description = fmt.Sprintf("Read a resource of the server %s by its URI.", s.Name)
	read.Parameters = json.RawMessage(`{"type":"object","properties":{"uri":{"type":"string","description":"URI of the resource"}},"required":["uri"],"additionalProperties":false}`)
	return []*tool{{server: s, def: list}, {server: s, def: read}}
}

// callResources makes a call of one of resourceTools, and reports whether it is
// one.
func (s *Server) callResources(ctx context.Context, name string, call *tramontane.Call) (result *tramontane.ToolResult, err error, is bool) {
	switch {
	case !s.ResourceTools:
		return nil, nil, false
	case name == listResourcesTool:
		result, err = s.listForModel(ctx)
	case name == readResourceTool:
		result, err = s.readForModel(ctx, call)
	default:
		return nil, nil, false
	}
	return result, err, true
}

func (s *Server) listForModel(ctx context.Context) (*tramontane.ToolResult, error) {
	result := new(tramontane.ToolResult)
	say := func(text string) {
		result.Content = append(result.Content, &tramontane.TextContent{Text: text})
	}
	for link, err := range s.Resources(ctx) {
		if err != nil {
			return nil, err
		}
		if len(result.Content) == maxListed {
			say(fmt.Sprintf("There are more than these %d.", maxListed))
			break
		}
		result.Content = append(result.Content, link)
	}
	if len(result.Content) == 0 {
		say("There are no resources that are listed.")
	}
	var templates []string
	for t, err := range s.ResourceTemplates(ctx) {
		if err != nil {
			return nil, err
		}
		if len(templates) == maxListed {
			break
		}
		templates = append(templates, strings.TrimSuffix(fmt.Sprintf("%s: %s. %s", t.URITemplate, t.Name, t.Description), ". "))
	}
	if templates != nil {
		say("URIs of these forms can be read too:\n" + strings.Join(templates, "\n"))
	}
	return result, nil
}

func (s *Server) readForModel(ctx context.Context, call *tramontane.Call) (*tramontane.ToolResult, error) {
	var in struct {
		URI string `json:"uri"`
	}
	if err := json.Unmarshal(call.Arguments, &in); err != nil || in.URI == "" {
		return nil, errors.New("the argument uri is missing")
	}
	contents, err := s.ReadResource(ctx, in.URI)
	if err != nil {
		return nil, err
	}
	result := new(tramontane.ToolResult)
	for _, c := range contents {
		result.Content = append(result.Content, c)
	}
	return result, nil
}
