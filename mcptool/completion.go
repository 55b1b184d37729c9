package mcptool

import (
	"context"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A CompletionRef says what a value is for. One of its fields is set.
type CompletionRef struct {
	// Prompt is the name of a [Prompt].
	Prompt string

	// URITemplate is that of a [ResourceTemplate].
	URITemplate string
}

// maxCompletions is how many values an answer may have (specification 2025-11-25,
// "Completion: Completion Results").
const maxCompletions = 100

// A Completion is what a server proposes for a value that a person has begun to
// type. Its zero value proposes nothing.
type Completion struct {
	// Values are proposals, the best first: a hundred at most.
	Values []string

	// Total is how many there are. If zero, it is not known.
	Total int

	// More says that there are more than Values.
	More bool
}

// Complete asks the server for values of an argument of a prompt, or of a
// variable of a resource template, that begin with value, reaching it first
// where that is needed (specification 2025-11-25, "Completion"). Known are the
// other arguments, as far as they are filled in; it may be nil. A server that
// completes nothing proposes nothing. The error wraps [ErrNotFound] if there is
// no such prompt or template.
func (s *Server) Complete(ctx context.Context, ref CompletionRef, argument, value string, known map[string]string) (*Completion, error) {
	params := &mcp.CompleteParams{Argument: mcp.CompleteParamsArgument{Name: argument, Value: value}}
	switch {
	case ref.Prompt != "" && ref.URITemplate != "", ref == CompletionRef{}:
		return nil, errors.New("complete: set one of Prompt and URITemplate")
	case ref.Prompt != "":
		params.Ref = &mcp.CompleteReference{Type: "ref/prompt", Name: ref.Prompt}
	default:
		params.Ref = &mcp.CompleteReference{Type: "ref/resource", URI: ref.URITemplate}
	}
	if known != nil {
		params.Context = &mcp.CompleteContext{Arguments: known}
	}
	res, err := ask(ctx, s, "complete "+ref.Prompt+ref.URITemplate, func(ctx context.Context, sess *session) (*mcp.CompleteResult, error) {
		if caps := sess.InitializeResult().Capabilities; caps == nil || caps.Completions == nil {
			return new(mcp.CompleteResult), nil
		}
		return sess.Complete(ctx, params)
	})
	var wire *jsonrpc.Error
	switch {
	case errors.As(err, &wire) && wire.Code == jsonrpc.CodeMethodNotFound:
		return new(Completion), nil
	case err != nil:
		return nil, notFound(err)
	}
	c := res.Completion
	most := min(len(c.Values), maxCompletions)
	return &Completion{Values: c.Values[:most:most], Total: c.Total, More: c.HasMore || most < len(c.Values)}, nil
}
