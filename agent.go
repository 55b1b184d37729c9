package tramontane

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tramontane-dev/tramontane/internal/loop"
	"github.com/tramontane-dev/tramontane/mistral"
)

// prepareAgent finds out with what the conversation starts: with the agent as
// it is, inline with what the agent has, or with a version made for the run.
// Mistral's API takes neither tools nor a response format beside an agent_id.
func (d *driver) prepareAgent(a loop.Agent) (loop.Event, error) {
	select {
	case <-d.listed:
	case <-d.ctx.Done():
		return prepareFailed(d.ctx.Err())
	}
	r := d.runner
	if a.Own {
		return &loop.AgentPrepared{Agent: a}, nil // by the run that is resumed
	}
	if len(d.defined) == 0 && r.Output == nil && r.Instructions == "" && r.CompletionArgs == nil {
		return &loop.AgentPrepared{Agent: a}, nil
	}
	agent, err := d.readAgent(a)
	if err != nil {
		return prepareFailed(err)
	}
	if r.OwnVersion {
		return d.ownVersion(a, agent)
	}
	if len(agent.Handoffs) > 0 {
		return prepareFailed(fmt.Errorf("agent %s hands conversations to other agents, so tools and an output cannot travel with the conversation; set Runner.OwnVersion to make a version of the agent for them", a.ID))
	}
	d.agent = agent
	return &loop.AgentPrepared{Agent: a}, nil
}

// readAgent reads the agent, unless its version is known and so can never
// change.
func (d *driver) readAgent(a loop.Agent) (*mistral.Agent, error) {
	var key string
	if a.Version != nil && a.Version.Alias == "" {
		key = a.ID + "@" + a.Version.String()
		if agent := d.runner.agents.load(key); agent != nil {
			return agent, nil
		}
	}
	agent, err := d.client.Agent(d.ctx, a.ID, &mistral.AgentOptions{Version: a.Version})
	if err != nil {
		return nil, fmt.Errorf("agent %s: %w", a.ID, err)
	}
	if key != "" {
		d.runner.agents.store(key, agent)
	}
	return agent, nil
}

// ownVersion pins the conversation to a version of the agent that has what the
// run adds. It is found again by a digest of its contents, so that many runs
// make it once. Two programs that start at the same moment may make it twice:
// the API has no compare-and-set.
func (d *driver) ownVersion(a loop.Agent, base *mistral.Agent) (loop.Event, error) {
	update := &mistral.AgentUpdate{
		Instructions:   joinInstructions(base.Instructions, d.runner.Instructions),
		Tools:          mergeTools(base.Tools, d.defined),
		CompletionArgs: d.runner.completionArgs(base.CompletionArgs),
		Guardrails:     base.Guardrails,
		Model:          base.Model,
		Handoffs:       base.Handoffs,
	}
	digest, err := digestOf(update)
	if err != nil {
		return prepareFailed(err)
	}
	message := "tramontane " + digest
	key := a.ID + "#" + digest
	made := d.runner.agents.load(key)
	if made == nil {
		if made, err = d.findVersion(a.ID, message); err != nil {
			return prepareFailed(err)
		}
	}
	if made != nil {
		d.runner.agents.store(key, made)
		a.Version, a.Own = &mistral.AgentVersion{Number: made.Version}, true
		return &loop.AgentPrepared{Agent: a}, nil
	}
	update.VersionMessage = message
	if made, err = d.client.UpdateAgent(d.ctx, a.ID, update); err != nil {
		return prepareFailed(fmt.Errorf("agent %s: make a version: %w", a.ID, err))
	}
	if _, err := d.client.SwitchAgentVersion(d.ctx, a.ID, base.Version); err != nil {
		return prepareFailed(fmt.Errorf("agent %s: its version %d was made for this run and is now the current one; switch back to version %d: %w", a.ID, made.Version, base.Version, err))
	}
	d.runner.agents.store(key, made)
	a.Version, a.Own = &mistral.AgentVersion{Number: made.Version}, true
	a.Made = mistral.NewTimestamp(time.Now())
	return &loop.AgentPrepared{Agent: a}, nil
}

const versionsPage = 100

// findVersion returns the version of the agent with that message, or nil.
func (d *driver) findVersion(id, message string) (*mistral.Agent, error) {
	for page := 0; ; page++ {
		versions, err := d.client.AgentVersions(d.ctx, id, &mistral.PageOptions{Page: page, PageSize: versionsPage})
		if err != nil {
			return nil, fmt.Errorf("agent %s: versions: %w", id, err)
		}
		i := slices.IndexFunc(versions, func(v mistral.Agent) bool { return strings.TrimSpace(v.VersionMessage) == message })
		if i >= 0 {
			return &versions[i], nil
		}
		if len(versions) < versionsPage {
			return nil, nil
		}
	}
}

func digestOf(u *mistral.AgentUpdate) (string, error) {
	data, err := json.Marshal(u)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16]), nil
}
