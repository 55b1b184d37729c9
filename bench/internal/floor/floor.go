// Package floor is what one would write by hand in place of the SDK: net/http,
// encoding/json and the stock client of go-sdk, with no retries, no typed
// unions and no state. The benchmarks compare with it.
package floor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Runner runs a model with the tools of one MCP server.
type Runner struct {
	URL     string
	Client  *http.Client
	Session *mcp.ClientSession

	tools []tool
}

type tool struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

type function struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Parameters  any    `json:"parameters"`
}

type request struct {
	Model  string  `json:"model,omitempty"`
	Inputs []entry `json:"inputs"`
	Tools  []tool  `json:"tools,omitempty"`
	Stream bool    `json:"stream"`
}

type entry struct {
	Type       string `json:"type"`
	Role       string `json:"role,omitempty"`
	Content    string `json:"content,omitempty"`
	ToolCallID string `json:"tool_call_id,omitempty"`
	Name       string `json:"name,omitempty"`
	Arguments  string `json:"arguments,omitempty"`
	Result     string `json:"result,omitempty"`
}

type response struct {
	ConversationID string  `json:"conversation_id"`
	Outputs        []entry `json:"outputs"`
}

// Connect starts the MCP server and lists its tools.
func (r *Runner) Connect(ctx context.Context, command string) error {
	client := mcp.NewClient(&mcp.Implementation{Name: "floor", Version: "1"}, nil)
	var err error
	r.Session, err = client.Connect(ctx, &mcp.CommandTransport{Command: exec.Command(command)}, nil)
	if err != nil {
		return err
	}
	list, err := r.Session.ListTools(ctx, nil)
	if err != nil {
		return err
	}
	for _, t := range list.Tools {
		r.tools = append(r.tools, tool{"function", function{t.Name, t.Description, t.InputSchema}})
	}
	return nil
}

// Run asks the model, calls the tools that it wants, and returns its answer.
func (r *Runner) Run(ctx context.Context, model, text string) (string, error) {
	path := "/v1/conversations"
	req := request{Model: model, Inputs: []entry{{Type: "message.input", Role: "user", Content: text}}, Tools: r.tools}
	for {
		resp, err := r.post(ctx, path, req)
		if err != nil {
			return "", err
		}
		var answer strings.Builder
		var results []entry
		for _, out := range resp.Outputs {
			switch out.Type {
			case "message.output":
				answer.WriteString(out.Content)
			case "function.call":
				result, err := r.call(ctx, out)
				if err != nil {
					return "", err
				}
				results = append(results, entry{Type: "function.result", ToolCallID: out.ToolCallID, Result: result})
			}
		}
		if results == nil {
			return answer.String(), nil
		}
		path, req = "/v1/conversations/"+resp.ConversationID, request{Inputs: results}
	}
}

func (r *Runner) call(ctx context.Context, call entry) (string, error) {
	result, err := r.Session.CallTool(ctx, &mcp.CallToolParams{Name: call.Name, Arguments: json.RawMessage(call.Arguments)})
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, c := range result.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			text.WriteString(t.Text)
		}
	}
	return text.String(), nil
}

func (r *Runner) post(ctx context.Context, path string, in request) (*response, error) {
	body, err := r.do(ctx, path, in)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	out := new(response)
	return out, json.Unmarshal(data, out)
}

func (r *Runner) do(ctx context.Context, path string, in request) (io.ReadCloser, error) {
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.Client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return resp.Body, nil
}

// An event holds all members of all events that Stream looks at.
type event struct {
	Type           string `json:"type"`
	CreatedAt      string `json:"created_at"`
	ConversationID string `json:"conversation_id"`
	OutputIndex    int    `json:"output_index"`
	ContentIndex   int    `json:"content_index"`
	ID             string `json:"id"`
	Model          string `json:"model"`
	AgentID        string `json:"agent_id"`
	Role           string `json:"role"`
	Content        string `json:"content"`
}

// Stream asks the model and returns its answer and the number of the events
// that it came in.
func (r *Runner) Stream(ctx context.Context, model, text string) (answer string, events int, err error) {
	req := request{Model: model, Inputs: []entry{{Type: "message.input", Role: "user", Content: text}}, Stream: true}
	body, err := r.do(ctx, "/v1/conversations", req)
	if err != nil {
		return "", 0, err
	}
	defer body.Close()
	var b strings.Builder
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var e event
		if err := json.Unmarshal(data, &e); err != nil {
			return "", 0, err
		}
		events++
		b.WriteString(e.Content)
	}
	return b.String(), events, lines.Err()
}
