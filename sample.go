package tramontane

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/tramontane-dev/tramontane/mistral"
)

// ErrNoRun is the error of [Sample] if its context belongs to no run that is
// under way, so that there is no model to ask.
var ErrNoRun = errors.New("no run is under way that a model belongs to")

// A SampleRequest is what [Sample] asks a model.
type SampleRequest struct {
	// Instructions tell the model how to behave. If zero, nothing does: those of
	// the run are its own.
	Instructions string

	// Inputs are the messages so far. Required.
	Inputs []mistral.Entry

	// CompletionArgs are the settings of the model. If nil, they are the API's,
	// not those of the run.
	CompletionArgs *mistral.CompletionArgs
}

// A SampleReply is what the model says to a [SampleRequest].
type SampleReply struct {
	// Model is the name of the model.
	Model string

	// Outputs is what it says.
	Outputs mistral.Entries

	// Usage is what it cost. The Usage of the run's [Result] has it too.
	Usage mistral.Usage
}

// Sample asks the model of the run that ctx belongs to, beside the conversation
// of the run: a tool that needs a model's help in a call has it by this. It
// sends one request, which starts a conversation that the API does not keep
// (store: false), with the model, and without the instructions and the tools, of
// the run. A ctx belongs to a run if it is, or comes from, one that the run gave
// to [Tool.Call] or [Toolset.Tools].
//
// The error is [ErrNoRun] in any other ctx, and after the run has ended;
// otherwise it is one of the API, or that of a ctx or a run that ended meanwhile.
// Sample is safe for concurrent use.
func Sample(ctx context.Context, req *SampleRequest) (*SampleReply, error) {
	d, ok := ctx.Value(samplerKey{}).(*driver)
	if !ok || d.ctx.Err() != nil {
		return nil, ErrNoRun
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)() // the values of ctx may have outlived its call
	model, err := d.sampleModel(ctx)
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	store := false
	resp, err := d.client.Start(ctx, &mistral.ConversationRequest{
		Model:          model,
		Instructions:   req.Instructions,
		Inputs:         mistral.Inputs{Entries: inputs(req.Inputs)},
		CompletionArgs: req.CompletionArgs,
		Store:          &store,
	})
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	d.mu.Lock()
	d.sampled.PromptTokens += resp.Usage.PromptTokens
	d.sampled.CompletionTokens += resp.Usage.CompletionTokens
	d.sampled.TotalTokens += resp.Usage.TotalTokens
	d.mu.Unlock()
	return &SampleReply{Model: model, Outputs: resp.Outputs, Usage: resp.Usage}, nil
}

// samplerKey is the key of a context's *driver.
type samplerKey struct{}

// sampleModel returns the name of the model that runs. Where the Runner does not
// name it, the API does: that of the agent, or of the conversation that is
// continued.
func (d *driver) sampleModel(ctx context.Context) (string, error) {
	d.mu.Lock()
	model, conversation := cmp.Or(d.runner.Model, d.model), d.conversation
	d.mu.Unlock()
	if model != "" {
		return model, nil
	}
	id, version := d.runner.AgentID, d.runner.AgentVersion
	if id == "" {
		c, err := d.client.Conversation(ctx, conversation)
		if err != nil {
			return "", err
		}
		model, id, version = c.Model, c.AgentID, c.AgentVersion
	}
	if model == "" {
		agent, err := d.client.Agent(ctx, id, &mistral.AgentOptions{Version: version})
		if err != nil {
			return "", err
		}
		model = agent.Model
	}
	d.mu.Lock()
	d.model = model
	d.mu.Unlock()
	return model, nil
}
