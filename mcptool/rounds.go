//lint:file-ignore SA1019 servers still use what MCP 2026-07-28 deprecates: sampling, roots, logging

package mcptool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Since version 2026-07-28 a server asks in the middle of a request by answering
// it with its questions: the request is sent again with the answers, and with a
// state that the server reads its place from (specification 2026-07-28, "Multi
// Round-Trip Requests"). The SDK's way of doing so is switched off, for three
// faults: it decodes the state and encodes it again, which loses an empty one and
// changes what is not valid Unicode; it takes an answer that has a state and no
// questions, by which a server that is busy asks for time, for the result; and it
// sends to a busy server again at once.

const (
	// maxRounds is how often one request is sent for its questions.
	maxRounds = 10

	// maxBusyRounds is how often in a row a server may answer with no question.
	maxBusyRounds = 5

	// busyWait is how long the first such answer is waited after, and half of
	// what the second is.
	busyWait = 500 * time.Millisecond
)

// An inputRequired is a result that is none yet.
type inputRequired struct {
	Requests json.RawMessage `json:"inputRequests"`
	State    json.RawMessage `json:"requestState"`
}

// rounds makes a request with do, again for each time that the server asks.
// Questions are put one after the other, in the server's order.
func (s *Server) rounds(ctx context.Context, sess *session, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	reqCtx := ctx
	busy := 0
	for n := 1; ; n++ {
		raw, err := do(reqCtx)
		var carried *carriedResult
		if errors.As(err, &carried) {
			raw, err = carried.raw, nil
		}
		if err != nil || !asksForInput(raw) {
			return raw, err
		}
		var asked inputRequired
		if err := json.Unmarshal(raw, &asked); err != nil {
			return nil, fmt.Errorf("%w: it cannot be read: %w", errUnanswered, err)
		}
		questions, err := inputRequests(asked.Requests)
		if err != nil {
			return nil, err
		}
		if n == maxRounds {
			return nil, fmt.Errorf("%w: it asked %d times and gave no result", errUnanswered, n)
		}
		var more requestMembers
		if len(questions) == 0 {
			if busy++; busy > maxBusyRounds {
				return nil, fmt.Errorf("%w: it was busy %d times in a row", errUnanswered, busy)
			}
			if err := sleep(ctx, jitter(busyWait<<(busy-1))); err != nil {
				return nil, err
			}
		} else {
			busy = 0
			answers, err := s.answerInputs(ctx, sess, questions)
			if err != nil {
				return nil, err
			}
			more.add("inputResponses", answers)
		}
		if given(asked.State) {
			more.add("requestState", asked.State)
		}
		reqCtx = withMembers(ctx, more)
	}
}

// An inputRequest is a question of a server in a result.
type inputRequest struct {
	key    string
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// inputRequests returns the questions in their order.
func inputRequests(raw json.RawMessage) ([]inputRequest, error) {
	if !given(raw) {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("%w: it cannot be read: inputRequests is no object", errUnanswered)
	}
	var all []inputRequest
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: it cannot be read: %w", errUnanswered, err)
		}
		var req inputRequest
		if err := d.Decode(&req); err != nil {
			return nil, fmt.Errorf("%w: it cannot be read: %w", errUnanswered, err)
		}
		req.key = name.(string)
		all = append(all, req)
	}
	return all, nil
}

// answerInputs returns the answers to questions, by their keys.
func (s *Server) answerInputs(ctx context.Context, sess *session, questions []inputRequest) (json.RawMessage, error) {
	var answers requestMembers
	for _, q := range questions {
		answer, err := s.answerInput(ctx, sess, q)
		if err != nil {
			return nil, fmt.Errorf("%w: %s (%s): %w", errUnanswered, visible(q.key), visible(q.Method), err)
		}
		answers.add(q.key, answer)
	}
	return answers.object(), nil
}

// errUnanswered is in the error of a request whose last answer was a question. It
// is known what came of it, so it is not made a second time.
var errUnanswered = errors.New("the request ended with a question of the server")

// notOffered is the error of a question that the server was not told it may ask.
func notOffered(method string) error {
	feature, _, _ := strings.Cut(method, "/")
	return fmt.Errorf("this program does not support %s", visible(feature))
}

// answerInput answers one question as if the server had asked it by a request of
// its own.
func (s *Server) answerInput(ctx context.Context, sess *session, q inputRequest) (json.RawMessage, error) {
	opts := s.clientOptions()
	switch q.Method {
	case "elicitation/create":
		var params mcp.ElicitParams
		if opts.ElicitationHandler == nil {
			return nil, notOffered(q.Method)
		}
		if err := json.Unmarshal(q.Params, &params); err != nil {
			return nil, err
		}
		return encoded(opts.ElicitationHandler(ctx, &mcp.ElicitRequest{Session: sess.ClientSession, Params: &params}))
	case "sampling/createMessage":
		handler := opts.CreateMessageWithToolsHandler
		if handler == nil {
			return nil, notOffered(q.Method)
		}
		var params mcp.CreateMessageWithToolsParams
		if err := json.Unmarshal(q.Params, &params); err != nil {
			return nil, err
		}
		return encoded(handler(ctx, &mcp.CreateMessageWithToolsRequest{Session: sess.ClientSession, Params: &params}))
	case "roots/list":
		roots := s.allRoots()
		if roots == nil {
			return nil, notOffered(q.Method)
		}
		result := &mcp.ListRootsResult{Roots: []*mcp.Root{}}
		for _, r := range roots {
			result.Roots = append(result.Roots, &mcp.Root{URI: r.URI, Name: r.Name})
		}
		return json.Marshal(result)
	}
	return nil, notOffered(q.Method)
}

func encoded[T any](answer T, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// requestMembers are members of a JSON object, their values as they came.
type requestMembers []byte

func (m *requestMembers) add(name string, value json.RawMessage) {
	if len(*m) > 0 {
		*m = append(*m, ',')
	}
	quoted, _ := json.Marshal(name) // a string never fails
	*m = append(append(append(*m, quoted...), ':'), value...)
}

func (m requestMembers) object() json.RawMessage {
	return json.RawMessage("{" + string(m) + "}")
}

type membersKey struct{}

// withMembers returns a context whose requests have more members in their params
// than the SDK knows.
func withMembers(ctx context.Context, more requestMembers) context.Context {
	if len(more) == 0 {
		return ctx
	}
	if has, ok := ctx.Value(membersKey{}).(requestMembers); ok {
		more = requestMembers(string(has) + "," + string(more))
	}
	return context.WithValue(ctx, membersKey{}, more)
}

// takesMembers reports whether requests of the method get the members of their
// contexts. The SDK sends other requests, and notices, in the same contexts.
func takesMembers(method string) bool {
	return method == "tools/call" || method == "prompts/get" || method == "resources/read"
}

// addMembers returns req, or a copy of it with the members of ctx in its params.
func addMembers(ctx context.Context, req *jsonrpc.Request) *jsonrpc.Request {
	more, ok := ctx.Value(membersKey{}).(requestMembers)
	if !ok || !takesMembers(req.Method) {
		return req
	}
	params := bytes.TrimRight(req.Params, " \t\r\n")
	if !bytes.HasSuffix(params, []byte("}")) {
		return req // no object, which the SDK does not send
	}
	params = params[:len(params)-1]
	added := *req
	added.Params = json.RawMessage(string(params) + "," + string(more) + "}")
	return &added
}

// jitter returns a time up to a quarter shorter than d, so that those who were
// sent away together do not come back together.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/4+1) }
