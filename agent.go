package tramontane

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	if d.listErr != nil {
		return prepareFailed(d.listErr) // there will be no run: read and write nothing for it
	}
	r := d.runner
	if a.Own {
		return &loop.AgentPrepared{Agent: a}, nil // by the run that is resumed
	}
	if len(d.defined) == 0 && r.Output == nil && r.Instructions == "" && r.CompletionArgs == nil {
		return &loop.AgentPrepared{Agent: a}, nil
	}
	if r.OwnVersion {
		return d.ownVersion(a)
	}
	agent, err := d.readAgent(a)
	if err != nil {
		return prepareFailed(err)
	}
	if len(agent.Handoffs) > 0 {
		return prepareFailed(fmt.Errorf("agent %s hands conversations to other agents, so tools and an output cannot travel with the conversation; set Runner.OwnVersion to make a version of the agent for them", a.ID))
	}
	if err := r.checkToolCount(agent.Tools, d.defined, d.tools); err != nil {
		return prepareFailed(err)
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

// versionMark begins the message of each version that a run made.
const versionMark = "tramontane "

// ownVersion pins the conversation to a version of the agent that has what the
// run adds. It is found again by a digest of its contents, so that many runs
// make it once. Two programs that start at the same moment may make it twice:
// the API has no compare-and-set.
func (d *driver) ownVersion(a loop.Agent) (loop.Event, error) {
	agents := &d.runner.agents
	// Another run of this Runner would find the version that is current for a
	// moment, and take it for the agent's own.
	agents.making.Lock()
	defer agents.making.Unlock()
	base, err := d.readAgent(a)
	if err != nil {
		return prepareFailed(err)
	}
	if a.Version == nil && strings.HasPrefix(base.VersionMessage, versionMark) {
		return prepareFailed(notItsOwn(base))
	}
	if err := d.runner.checkToolCount(base.Tools, d.defined, d.tools); err != nil {
		return prepareFailed(err)
	}
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
	key := a.ID + "#" + digest
	update.VersionMessage = versionMark + digest
	made := agents.load(key)
	if made == nil {
		if made, err = d.findVersion(a.ID, update.VersionMessage); err != nil {
			return prepareFailed(err)
		}
	}
	if made == nil {
		if made, err = d.makeVersion(a, base, update); err != nil {
			return prepareFailed(fmt.Errorf("agent %s: make a version: %w", a.ID, err))
		}
		a.Made = mistral.NewTimestamp(time.Now())
	}
	agents.store(key, made)
	a.Version, a.Own = &mistral.AgentVersion{Number: made.Version}, true
	return &loop.AgentPrepared{Agent: a}, nil
}

// makeVersion makes a version of the agent, and then makes the version current
// again that was so before: not base, if the run is pinned to that.
func (d *driver) makeVersion(a loop.Agent, base *mistral.Agent, update *mistral.AgentUpdate) (*mistral.Agent, error) {
	current := base
	if a.Version != nil {
		var err error
		if current, err = d.client.Agent(d.ctx, a.ID, nil); err != nil {
			return nil, err
		}
		if strings.HasPrefix(current.VersionMessage, versionMark) {
			return nil, notItsOwn(current)
		}
	}
	if current.Version != base.Version {
		// An update starts from the current version: what base lacks must go.
		update.Clear = []string{"instructions", "guardrails", "handoffs"}
		update.Tools = append(mistral.Tools{}, update.Tools...)
		if update.CompletionArgs == nil {
			update.CompletionArgs = new(mistral.CompletionArgs)
		}
	}
	made, err := d.client.UpdateAgent(d.ctx, a.ID, update)
	if err != nil && !mistral.Uncertain(err) {
		return nil, err
	}
	// The run may be cancelled between the two, and the agent must not stay
	// changed for that. Unbounded, an API that hangs would hold up the end of the
	// run.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), 10*time.Second)
	defer cancel()
	if _, back := d.client.SwitchAgentVersion(ctx, a.ID, current.Version); back != nil {
		return nil, fmt.Errorf("one made for this run may be the current version now; switch back to version %d: %w", current.Version, errors.Join(err, back))
	}
	return made, err
}

// notItsOwn is the error of an agent whose current version was made for a run:
// adding to that would add twice, and keep it.
func notItsOwn(agent *mistral.Agent) error {
	return fmt.Errorf("agent %s: its current version %d was made for a run, which may be about to switch it back; run again, or switch it to a version of its own", agent.ID, agent.Version)
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
