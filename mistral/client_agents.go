package mistral

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// AgentOptions are the options of [Client.Agent].
type AgentOptions struct {
	// Version is the version to return. If nil, it is the current one.
	Version *AgentVersion
}

// AgentListOptions are the options of [Client.Agents]. Fields that are set
// narrow the list.
type AgentListOptions struct {
	Page           int             // from 0 on
	PageSize       int             // at most 1000; if zero, the API chooses: 20
	DeploymentChat *bool           // if not nil, those that are in Le Chat, or that are not
	Sources        []string        // what made them: "api", "playground", "agent_builder_v1"
	Name           string          // of the agents
	Search         string          // in names and ids
	ID             string          // of the one agent
	Metadata       json.RawMessage // a JSON object; how it is matched is up to the API
}

// PageOptions are the options of [Client.AgentVersions].
type PageOptions struct {
	Page     int // from 0 on
	PageSize int // at most 100; if zero, the API chooses: 20
}

// CreateAgent makes an agent.
func (c *Client) CreateAgent(ctx context.Context, in *AgentRequest) (*Agent, error) {
	return get[Agent](ctx, c, &request{method: http.MethodPost, path: "/v1/agents"}, in)
}

// Agent returns an agent. opts may be nil, for its current version.
func (c *Client) Agent(ctx context.Context, id string, opts *AgentOptions) (*Agent, error) {
	query := url.Values{}
	if opts != nil && opts.Version != nil {
		query.Set("agent_version", opts.Version.String())
	}
	return get[Agent](ctx, c, &request{method: http.MethodGet, path: "/v1/agents" + escape(id), query: query}, nil)
}

// Agents returns one page of the agents, which is nil after the last. opts may be
// nil, for the first page.
func (c *Client) Agents(ctx context.Context, opts *AgentListOptions) ([]Agent, error) {
	var o AgentListOptions
	if opts != nil {
		o = *opts
	}
	query := pageQuery(o.Page, o.PageSize)
	if o.DeploymentChat != nil {
		query.Set("deployment_chat", strconv.FormatBool(*o.DeploymentChat))
	}
	for _, source := range o.Sources {
		query.Add("sources", source)
	}
	for name, value := range map[string]string{"name": o.Name, "search": o.Search, "id": o.ID, "metadata": string(o.Metadata)} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return list[Agent](ctx, c, &request{method: http.MethodGet, path: "/v1/agents", query: query})
}

// UpdateAgent changes an agent, which makes a new version of it, and returns
// that. There is no compare-and-set: of two updates at once, the second builds
// on the first.
func (c *Client) UpdateAgent(ctx context.Context, id string, in *AgentUpdate) (*Agent, error) {
	return get[Agent](ctx, c, &request{method: http.MethodPatch, path: "/v1/agents" + escape(id)}, in)
}

// DeleteAgent deletes an agent with all its versions. As it is repeated after a
// lost connection, an [*Error] with StatusCode 404 can mean that the first try
// did it.
func (c *Client) DeleteAgent(ctx context.Context, id string) error {
	return c.do(ctx, &request{method: http.MethodDelete, path: "/v1/agents" + escape(id)}, nil, nil)
}

// AgentVersions returns one page of the versions of an agent, which is nil after
// the last. opts may be nil, for the first page.
func (c *Client) AgentVersions(ctx context.Context, id string, opts *PageOptions) ([]Agent, error) {
	var o PageOptions
	if opts != nil {
		o = *opts
	}
	path := "/v1/agents" + escape(id, "versions")
	return list[Agent](ctx, c, &request{method: http.MethodGet, path: path, query: pageQuery(o.Page, o.PageSize)})
}

// AgentAtVersion returns a version of an agent, as [Client.Agent] with
// AgentOptions does by another endpoint.
func (c *Client) AgentAtVersion(ctx context.Context, id string, version AgentVersion) (*Agent, error) {
	path := "/v1/agents" + escape(id, "versions", version.String())
	return get[Agent](ctx, c, &request{method: http.MethodGet, path: path}, nil)
}

// SwitchAgentVersion makes a version of an agent its current one, and returns
// that. It makes no new version.
func (c *Client) SwitchAgentVersion(ctx context.Context, id string, version int) (*Agent, error) {
	query := url.Values{"version": {strconv.Itoa(version)}}
	path := "/v1/agents" + escape(id, "version")
	return get[Agent](ctx, c, &request{method: http.MethodPatch, path: path, query: query}, nil)
}

func pageQuery(page, size int) url.Values {
	query := url.Values{}
	if page != 0 {
		query.Set("page", strconv.Itoa(page))
	}
	if size != 0 {
		query.Set("page_size", strconv.Itoa(size))
	}
	return query
}
