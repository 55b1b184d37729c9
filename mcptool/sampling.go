//lint:file-ignore SA1019 servers still sample, though it is deprecated as a whole

package mcptool

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A Sampling says on what terms a server may ask a model (specification
// 2025-11-25, "Sampling"). Its zero value lets it, within the limits, ask that of
// the run in whose call it asks, whose tokens are counted for that run.
//
// A server gets nothing of the run's conversation, whatever includeContext it
// asks for, and no tools: a request with some is refused. The time of the model
// is time of the call; that of Approve and Review is not.
type Sampling struct {
	// Approve looks at a request before the model does. It may change it. An
	// error denies it, and so does a panic; the server is told only that it was
	// denied. It is asked one question at a time, also with [Server.Elicit]. If
	// nil, every request is allowed.
	Approve func(ctx context.Context, req *SampleRequest) error

	// Model answers a request. If nil, it is the model of the run, by
	// [tramontane.Sample], and a request in no run, or in the calls of several
	// without a word for which, is refused.
	Model func(ctx context.Context, req *SampleRequest) (*SampleAnswer, error)

	// Review looks at an answer before the server does, as Approve at the
	// request. If nil, every answer is sent.
	Review func(ctx context.Context, req *SampleRequest, answer *SampleAnswer) error

	// MaxTokens bounds what one answer may have, whatever the server asks for. If
	// zero, it is 4096.
	MaxTokens int

	// MaxPerCall is how many requests a server may make in one call. Those of
	// which no call is known count together, from the start of one call to that
	// of the next. If zero, it is 16; if negative, there is no limit.
	MaxPerCall int
}

// A SampleRequest is what a server asks a model. All but Server and Call is the
// server's own words, and no more to be trusted than it is.
type SampleRequest struct {
	// Server is the name of the server that asks.
	Server string

	// Call is the tool call in the middle of which it asks. If nil, that is not
	// known; see [Elicitation].
	Call *tramontane.Call

	// Instructions tell the model how to behave. If zero, nothing does.
	Instructions string

	// Messages are what was said so far, never empty.
	Messages []SampleMessage

	// MaxTokens bounds the answer. It is at most that of the [Sampling].
	MaxTokens int

	// Temperature is that of the model. If nil, it is the model's own.
	Temperature *float64

	// Stop are texts at which the answer ends. If nil, there are none.
	Stop []string

	// Hints are names, or parts of names, of models that the server would like,
	// the best first. The model of a run stays what it is.
	Hints []string
}

// A SampleMessage is one message of a [SampleRequest].
type SampleMessage struct {
	Role    string // user or assistant
	Content []tramontane.Content
}

// A SampleAnswer is what a model says to a [SampleRequest].
type SampleAnswer struct {
	// Model is the name of the model. Required.
	Model string

	// Text is what it says.
	Text string

	// Cut says that the text ends because it was as long as it may be.
	Cut bool
}

const (
	defaultMaxTokens  = 4096
	defaultMaxPerCall = 16

	// codeDenied is the answer to a request that a person denied (specification
	// 2025-11-25, "Sampling: Error Handling").
	codeDenied = -1
)

// samplesKey is the key of a context's *atomic.Int32, which counts the requests
// for a model that were made in one request to the server.
type samplesKey struct{ server *Server }

// sample answers sampling/createMessage, and the same as an input request of a
// call.
func (s *Server) sample(ctx context.Context, wire *mcp.CreateMessageWithToolsRequest) (*mcp.CreateMessageWithToolsResult, error) {
	ctx, leave := s.inTask(ctx, relatedTask(wire.Params.Meta))
	defer leave()
	req, err := s.sampleRequest(ctx, wire.Params)
	if err != nil {
		s.logger().WarnContext(ctx, "mcp server asks a model what it cannot be asked", "server", s.Name, "cause", err)
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
	}
	caller, stop, err := s.caller(ctx)
	if err != nil && s.Sampling.Model == nil {
		return nil, &jsonrpc.Error{Code: codeDenied, Message: "no model can be asked: " + err.Error()}
	}
	defer stop()
	if !s.countSample(caller) {
		s.logger().WarnContext(ctx, "mcp server asks a model too often in one call", "server", s.Name)
		return nil, &jsonrpc.Error{Code: codeDenied, Message: "the model was asked too often in one call"}
	}
	if approve := s.Sampling.Approve; approve != nil {
		if err := s.ask(ctx, caller, "sampling", func(ctx context.Context) error { return approve(ctx, req) }); err != nil {
			return nil, err
		}
	}
	answer, err := s.askModel(caller, req)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		s.logger().WarnContext(ctx, "the model that an mcp server asks gives no answer", "server", s.Name, "cause", err)
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "the model gave no answer"}
	case answer == nil:
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "the model gave no answer"}
	}
	if review := s.Sampling.Review; review != nil {
		sent := *answer
		answer = &sent
		if err := s.ask(ctx, caller, "review of sampling", func(ctx context.Context) error { return review(ctx, req, answer) }); err != nil {
			return nil, err
		}
	}
	result := &mcp.CreateMessageWithToolsResult{
		Meta:    taskMeta(wire.Params.Meta),
		Content: []mcp.Content{&mcp.TextContent{Text: answer.Text}}, Model: answer.Model, Role: "assistant", StopReason: "endTurn",
	}
	if answer.Cut {
		result.StopReason = "maxTokens"
	}
	return result, nil
}

// ask has a person decide, when it is their turn. No call is late meanwhile. The
// error is for the server, which is told no more than it must know.
func (s *Server) ask(ctx, caller context.Context, what string, decide func(context.Context) error) (err error) {
	defer s.pause(ctx)()
	if err := s.questions.enter(ctx); err != nil {
		return err
	}
	defer s.questions.leave()
	defer func() {
		if p := recover(); p != nil {
			s.logger().ErrorContext(ctx, what+" panicked", "server", s.Name, "panic", p, "stack", string(debug.Stack()))
			err = &jsonrpc.Error{Code: codeDenied, Message: "denied"}
		}
	}()
	err = decide(caller)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.logger().InfoContext(ctx, what+" was denied", "server", s.Name, "cause", err)
		return &jsonrpc.Error{Code: codeDenied, Message: "denied"}
	}
	return nil
}

// caller returns a context of the run in which the server asks, which ends with
// ctx, and with the call if that is known, until stop is called. Before protocol
// version 2026-07-28 a request does not say which call it belongs to. The error
// says why no run is known; the context is then ctx.
func (s *Server) caller(ctx context.Context) (_ context.Context, stop func(), err error) {
	if ctx.Value(samplesKey{s}) != nil {
		return ctx, func() {}, nil // it came as the answer to a request of ours
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []*underway
	runs := make(map[string]bool)
	for _, u := range s.underway {
		run, _, _ := strings.Cut(u.call.Key, "/")
		runs[run] = true
		calls = append(calls, u)
	}
	switch {
	case len(calls) == 0:
		return ctx, func() {}, errors.New("no call is under way")
	case len(runs) > 1:
		return ctx, func() {}, errors.New("calls of several runs are under way, and the request does not say which it belongs to")
	}
	// Of several calls of the run, the one that has asked the least is counted.
	asked := func(u *underway) int32 { return u.ctx.Value(samplesKey{s}).(*atomic.Int32).Load() }
	call := slices.MinFunc(calls, func(a, b *underway) int { return cmp.Compare(asked(a), asked(b)) })
	if len(calls) > 1 {
		return &borrowed{ctx, call.ctx}, func() {}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	stopAfter := context.AfterFunc(call.ctx, cancel)
	return &borrowed{ctx, call.ctx}, func() { stopAfter(); cancel() }, nil
}

// countSample counts a request of the server and reports whether it may be made.
func (s *Server) countSample(ctx context.Context) bool {
	most := s.Sampling.MaxPerCall
	if most == 0 {
		most = defaultMaxPerCall
	}
	n, ok := ctx.Value(samplesKey{s}).(*atomic.Int32)
	if !ok {
		n = &s.stray
	}
	return most < 0 || int(n.Add(1)) <= most
}

// sampleRequest reads what the server asks.
func (s *Server) sampleRequest(ctx context.Context, params *mcp.CreateMessageWithToolsParams) (*SampleRequest, error) {
	if len(params.Tools) > 0 || params.ToolChoice != nil {
		return nil, errors.New("tools: this client does not offer sampling with tools")
	}
	if len(params.Messages) == 0 {
		return nil, errors.New("messages: there are none")
	}
	most := s.Sampling.MaxTokens
	if most <= 0 {
		most = defaultMaxTokens
	}
	req := &SampleRequest{
		Server: s.Name, Call: s.askedIn(ctx), Instructions: params.SystemPrompt, MaxTokens: most, Stop: params.StopSequences,
	}
	if n := params.MaxTokens; n > 0 && n < int64(most) {
		req.MaxTokens = int(n)
	}
	if params.Temperature != 0 { // the SDK does not tell 0 from nothing
		req.Temperature = &params.Temperature
	}
	if params.ModelPreferences != nil {
		for _, hint := range params.ModelPreferences.Hints {
			if hint != nil && hint.Name != "" {
				req.Hints = append(req.Hints, hint.Name)
			}
		}
	}
	for i, m := range params.Messages {
		if m == nil || m.Role != "user" && m.Role != "assistant" || len(m.Content) == 0 {
			return nil, fmt.Errorf("messages: message %d has no role of user or assistant, or no content", i+1)
		}
		message := SampleMessage{Role: string(m.Role)}
		for _, block := range m.Content {
			raw, err := json.Marshal(block)
			if err != nil {
				return nil, err
			}
			var c content
			if err := json.Unmarshal(raw, &c); err != nil {
				return nil, err
			}
			switch c.Content.(type) {
			case *tramontane.TextContent, *tramontane.ImageContent, *tramontane.AudioContent:
			default:
				return nil, fmt.Errorf("messages: message %d has content that is no text, image or audio", i+1)
			}
			message.Content = append(message.Content, c.Content)
		}
		req.Messages = append(req.Messages, message)
	}
	return req, nil
}

// askModel has a model answer. A panic of the program's own Model is an error:
// it may be in a goroutine that nobody else would recover.
func (s *Server) askModel(ctx context.Context, req *SampleRequest) (_ *SampleAnswer, err error) {
	if s.Sampling.Model == nil {
		return askRun(ctx, req)
	}
	defer func() {
		if p := recover(); p != nil {
			s.logger().ErrorContext(ctx, "sampling panicked", "server", s.Name, "panic", p, "stack", string(debug.Stack()))
			err = errors.New("it panicked")
		}
	}()
	return s.Sampling.Model(ctx, req)
}

// askRun has the model of the run answer.
func askRun(ctx context.Context, req *SampleRequest) (*SampleAnswer, error) {
	args := &mistral.CompletionArgs{MaxTokens: &req.MaxTokens, Temperature: req.Temperature}
	if len(req.Stop) > 0 {
		args.Stop = &mistral.Stop{Texts: req.Stop}
	}
	sample := &tramontane.SampleRequest{Instructions: req.Instructions, CompletionArgs: args}
	for _, m := range req.Messages {
		sample.Inputs = append(sample.Inputs, &mistral.MessageInput{Role: m.Role, Content: inputContents(m.Content)})
	}
	reply, err := tramontane.Sample(ctx, sample)
	if err != nil {
		return nil, err
	}
	answer := &SampleAnswer{Model: reply.Model}
	// The API does not say why the model stopped.
	answer.Cut = reply.Usage.CompletionTokens >= req.MaxTokens
	said := false
	for _, entry := range reply.Outputs {
		if m, ok := entry.(*mistral.MessageOutput); ok {
			answer.Text += m.Content.String()
			said = true
		}
	}
	if !said {
		return nil, errors.New("the reply has no message")
	}
	return answer, nil
}

// inputContents is inputContent for several.
func inputContents(all []tramontane.Content) mistral.Content {
	if len(all) == 1 {
		return inputContent(all[0])
	}
	var chunks mistral.Chunks
	for _, c := range all {
		one := inputContent(c)
		if one.Chunks == nil {
			one.Chunks = mistral.Chunks{&mistral.TextChunk{Text: one.Text}}
		}
		chunks = append(chunks, one.Chunks...)
	}
	return mistral.Content{Chunks: chunks}
}
