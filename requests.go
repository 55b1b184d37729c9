package tramontane

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"slices"

	"github.com/tramontane-dev/tramontane/internal/loop"
	"github.com/tramontane-dev/tramontane/mistral"
)

// callModel sends the request and waits for the whole reply. It never repeats
// it: the client does what is safe, and the loop the rest.
func (d *driver) callModel(c *loop.CallModel) loop.Event {
	if c.ConversationID != "" {
		req := &mistral.AppendRequest{
			Inputs:            mistral.Inputs{Entries: inputs(c.Inputs)},
			ToolConfirmations: c.Confirmations,
		}
		if d.reports != nil {
			return d.follow(d.client.StreamAppend(d.ctx, c.ConversationID, req), c.ConversationID)
		}
		return d.reply(d.client.Append(d.ctx, c.ConversationID, req))
	}
	req := d.startRequest(c)
	if d.reports != nil {
		return d.follow(d.client.StreamStart(d.ctx, req), "")
	}
	return d.reply(d.client.Start(d.ctx, req))
}

// inputs makes sure that no inputs are sent as a list, not as empty text.
func inputs(entries mistral.Entries) mistral.Entries {
	if entries == nil {
		return mistral.Entries{}
	}
	return entries
}

func (d *driver) reply(resp *mistral.ConversationResponse, err error) loop.Event {
	if err != nil {
		return d.modelFailed(err, "")
	}
	return &loop.ModelReplied{ConversationID: resp.ConversationID, Outputs: resp.Outputs, Usage: resp.Usage}
}

func (d *driver) modelFailed(err error, conversation string) loop.Event {
	d.cause = err
	e := new(mistral.Error)
	failed := &loop.ModelFailed{Message: err.Error(), ConversationID: conversation}
	failed.Answered = errors.As(err, &e) && e.StatusCode >= http.StatusInternalServerError
	failed.Uncertain = failed.Answered || mistral.Uncertain(err)
	if failed.Uncertain {
		d.runner.logger().Warn("whether a request was carried out is not known", "error", err)
	}
	return failed
}

// follow passes the events of a reply on and puts its entries together.
func (d *driver) follow(events iter.Seq2[mistral.Event, error], conversation string) loop.Event {
	reply := &loop.ModelReplied{ConversationID: conversation}
	var entries accumulator
	for event, err := range events {
		if err != nil {
			return d.modelFailed(err, reply.ConversationID)
		}
		d.emit(&ReplyEvent{Event: event})
		switch e := event.(type) {
		case *mistral.ResponseStarted:
			reply.ConversationID = e.ConversationID
		case *mistral.ResponseError:
			return d.replyBroke(e, reply.ConversationID)
		case *mistral.ResponseDone:
			reply.Usage = e.Usage
		default:
			entries.add(e)
		}
	}
	reply.Outputs = entries.entries()
	return reply
}

// replyBroke is a stream that ended with the API's own word that it failed.
func (d *driver) replyBroke(e *mistral.ResponseError, conversation string) loop.Event {
	d.cause = &mistral.Error{StatusCode: e.Code, Message: e.Message}
	return &loop.ModelFailed{
		Message:        fmt.Sprintf("the API broke the reply off: %s (code %d)", e.Message, e.Code),
		Uncertain:      true,
		Answered:       true,
		ConversationID: conversation,
	}
}

// startRequest is the request that starts the conversation: under the id of the
// agent if the run adds nothing to it, and otherwise inline, so that the agent
// stays as it is.
func (d *driver) startRequest(c *loop.CallModel) *mistral.ConversationRequest {
	r := d.runner
	req := &mistral.ConversationRequest{Inputs: mistral.Inputs{Entries: inputs(c.Inputs)}}
	if d.state.Mode == loop.Local {
		store := false
		req.Store = &store
	}
	switch {
	case c.Agent == nil:
		req.Model = r.Model
		req.Instructions = r.Instructions
		req.Tools = d.defined
		req.CompletionArgs = r.completionArgs(nil)
	case d.agent == nil:
		req.AgentID, req.AgentVersion = c.Agent.ID, c.Agent.Version
	default:
		req.Model = d.agent.Model
		req.Instructions = joinInstructions(d.agent.Instructions, r.Instructions)
		req.Tools = mergeTools(d.agent.Tools, d.defined)
		req.CompletionArgs = r.completionArgs(d.agent.CompletionArgs)
		req.Guardrails = d.agent.Guardrails
	}
	return req
}

func joinInstructions(first, second string) string {
	if first == "" || second == "" {
		return first + second
	}
	return first + "\n\n" + second
}

// mergeTools adds ours to the agent's tools, in place of functions of the same
// name: the program is the one that answers them.
func mergeTools(agents, ours mistral.Tools) mistral.Tools {
	merged := slices.DeleteFunc(slices.Clone(agents), func(t mistral.Tool) bool {
		f, ok := t.(*mistral.FunctionTool)
		return ok && slices.ContainsFunc(ours, func(o mistral.Tool) bool {
			return o.(*mistral.FunctionTool).Function.Name == f.Function.Name
		})
	})
	return append(merged, ours...)
}

// completionArgs are those of the Runner over base, with the format of the
// Output. They are nil if there is nothing to say.
func (r *Runner) completionArgs(base *mistral.CompletionArgs) *mistral.CompletionArgs {
	if base == nil && r.CompletionArgs == nil && r.Output == nil {
		return nil
	}
	args := mergeArgs(base, r.CompletionArgs)
	if r.Output != nil {
		args.ResponseFormat = r.Output.format()
	}
	return args
}

// mergeArgs returns base with the fields that over sets. Both may be nil.
func mergeArgs(base, over *mistral.CompletionArgs) *mistral.CompletionArgs {
	merged := new(mistral.CompletionArgs)
	if base != nil {
		*merged = *base
	}
	if over == nil {
		return merged
	}
	to, from := reflect.ValueOf(merged).Elem(), reflect.ValueOf(over).Elem()
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return merged
}

func (d *driver) readHistory(c *loop.ReadHistory) loop.Event {
	history, err := d.client.History(d.ctx, c.ConversationID)
	var apiErr *mistral.Error
	switch {
	case errors.As(err, &apiErr) && apiErr.StatusCode == http.StatusNotFound:
		d.cause = err
		return &loop.HistoryRead{Missing: true}
	case err != nil:
		d.cause = err
		return &loop.HistoryRead{Message: fmt.Sprintf("history of conversation %s: %v", c.ConversationID, err)}
	}
	return &loop.HistoryRead{Entries: history.Entries}
}
