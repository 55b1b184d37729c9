package mistral

import (
	"encoding/json"
	"fmt"

	"github.com/tramontane-dev/tramontane/internal/wire"
)

// An Agent is a model with instructions, tools and settings, kept by the API
// under an id, in numbered versions.
type Agent struct {
	Instructions   string          `json:"instructions,omitzero"`
	Tools          Tools           `json:"tools,omitzero"`
	CompletionArgs *CompletionArgs `json:"completion_args,omitzero"`
	Guardrails     []Guardrail     `json:"guardrails,omitzero"`
	Model          string          `json:"model"`
	Name           string          `json:"name"`
	Description    string          `json:"description,omitzero"`
	Handoffs       []string        `json:"handoffs,omitzero"` // ids of agents it may pass the conversation to
	Metadata       json.RawMessage `json:"metadata,omitzero"` // a JSON object
	_              struct{}        `wire:"object=agent"`
	ID             string          `json:"id"`
	Version        int             `json:"version"`  // this one; the first is 0
	Versions       []int           `json:"versions"` // all of them
	CreatedAt      Timestamp       `json:"created_at"`
	UpdatedAt      Timestamp       `json:"updated_at"`
	DeploymentChat bool            `json:"deployment_chat"`          // it is in Le Chat
	Source         string          `json:"source"`                   // what made it: "api", "playground", ...
	VersionMessage string          `json:"version_message,omitzero"` // what the version is for
	Extra          Extra
}

// An AgentRequest says what a new agent is (OpenAPI, AgentCreationRequest).
type AgentRequest struct {
	Instructions   string          `json:"instructions,omitzero"`
	Tools          Tools           `json:"tools,omitzero"`
	CompletionArgs *CompletionArgs `json:"completion_args,omitzero"`
	Guardrails     []Guardrail     `json:"guardrails,omitzero"`
	Model          string          `json:"model"`
	Name           string          `json:"name"`
	Description    string          `json:"description,omitzero"`
	Handoffs       []string        `json:"handoffs,omitzero"`        // ids of agents, at least one if not nil
	Metadata       json.RawMessage `json:"metadata,omitzero"`        // a JSON object, given back as it is
	VersionMessage string          `json:"version_message,omitzero"` // at most 500 characters
	Extra          Extra
}

// An AgentUpdate changes an agent, which makes a new version of it (OpenAPI,
// AgentUpdateRequest). Fields that are zero leave the agent as it is.
type AgentUpdate struct {
	Instructions   string          `json:"instructions,omitzero"`
	Tools          Tools           `json:"tools,omitzero"`
	CompletionArgs *CompletionArgs `json:"completion_args,omitzero"`
	Guardrails     []Guardrail     `json:"guardrails,omitzero"`
	Model          string          `json:"model,omitzero"`
	Name           string          `json:"name,omitzero"`
	Description    string          `json:"description,omitzero"`
	Handoffs       []string        `json:"handoffs,omitzero"`
	DeploymentChat *bool           `json:"deployment_chat,omitzero"` // whether it is in Le Chat
	Metadata       json.RawMessage `json:"metadata,omitzero"`        // a JSON object, in place of what there was
	VersionMessage string          `json:"version_message,omitzero"` // at most 500 characters
	Extra          Extra

	// Clear names fields, as in JSON, that the agent loses: instructions,
	// guardrails, description, handoffs, metadata or version_message. It is
	// used for those that are zero above.
	Clear []string `json:"-"`
}

// AppendJSON appends the update as it goes on the wire.
func (u AgentUpdate) AppendJSON(dst []byte) ([]byte, error) {
	type fields AgentUpdate
	f := fields(u)
	if err := wire.SetNull(&f, u.Clear...); err != nil {
		return nil, fmt.Errorf("agent update: clear: %w", err)
	}
	return wire.Append(dst, f)
}
