package mcptool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Tasks are part of version 2025-11-25, where the client asks for them, and an
// extension of 2026-07-28, where the server makes them as it likes. The SDK knows
// neither.
const (
	tasksExtension  = "io.modelcontextprotocol/tasks"
	relatedTaskMeta = "io.modelcontextprotocol/related-task"
)

// codeNoCapability is what a server answers that wants a capability of the
// client which it was not told of.
const codeNoCapability = -32021

// The states of a task.
const (
	taskWorking   = "working"
	taskInput     = "input_required"
	taskCompleted = "completed"
	taskFailed    = "failed"
	taskCancelled = "cancelled"
)

// A taskStatus is what a server says of a task. Of the fields below Interval,
// only 2026-07-28 has any, and only in answers to tasks/get.
type taskStatus struct {
	ID         string  `json:"taskId"`
	Status     string  `json:"status"`
	Message    string  `json:"statusMessage"`
	Interval   float64 `json:"pollInterval"`
	IntervalMs float64 `json:"pollIntervalMs"`

	Requests json.RawMessage `json:"inputRequests"`
	Result   json.RawMessage `json:"result"`
	Error    *jsonrpc.Error  `json:"error"`
}

// given reports whether there is a value.
func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// over reports whether the task has ended.
func (t *taskStatus) over() bool {
	return t.Status == taskCompleted || t.Status == taskFailed || t.Status == taskCancelled
}

// interval returns the time that the server wants between two questions about
// the task, or zero if it does not say.
func (t *taskStatus) interval() time.Duration {
	ms := max(t.Interval, t.IntervalMs)
	if !(ms > 0) {
		return 0
	}
	return time.Duration(min(ms, float64(maxTaskPoll/time.Millisecond)) * float64(time.Millisecond))
}

// begunTask returns the task that a result of tools/call says was begun, or nil
// if it is the result of the tool.
func begunTask(raw json.RawMessage) *taskStatus {
	if !bytes.Contains(raw, []byte(`"taskId"`)) {
		return nil
	}
	var r struct {
		Type    string          `json:"resultType"`
		Content json.RawMessage `json:"content"`
		Task    json.RawMessage `json:"task"`
	}
	if json.Unmarshal(raw, &r) != nil {
		return nil
	}
	body := raw
	switch {
	case r.Type == "task" && r.Task != nil:
		body = r.Task // as drafts of the extension had it
	case r.Type == "task":
	case r.Type == "" && r.Content == nil && r.Task != nil:
		body = r.Task // 2025-11-25
	default:
		return nil
	}
	var t taskStatus
	if json.Unmarshal(body, &t) != nil || t.ID == "" {
		return nil
	}
	return &t
}

type taskParams struct {
	mcp.ParamsBase
	TaskID    string          `json:"taskId"`
	Responses json.RawMessage `json:"inputResponses,omitempty"`
}

// A taskAnswer is never filled: results of tasks/ go past the SDK.
type taskAnswer struct {
	mcp.ResultBase
}

// addTaskMethods teaches the SDK's client the requests about tasks.
func addTaskMethods(client *mcp.Client) error {
	var errs []error
	for _, method := range []string{"tasks/get", "tasks/result", "tasks/update", "tasks/cancel"} {
		errs = append(errs, mcp.AddSendingCustomMethod[*taskParams, *taskAnswer](client, method))
	}
	return errors.Join(errs...)
}

// sendTask makes a request about a task.
func sendTask(ctx context.Context, sess *session, method string, params *taskParams) (json.RawMessage, error) {
	sent := *params // the SDK writes into it
	return rawResult(mcp.CallCustomMethod[*taskParams, *taskAnswer](ctx, sess.ClientSession, method, &sent))
}

// A taskSupport is what a server of 2025-11-25 offers of tasks.
type taskSupport struct {
	calls, cancel bool
}

// A handshake remembers what the answer to initialize said that the SDK drops.
// Its zero value knows nothing, and there are no tasks.
type handshake struct {
	request atomic.Pointer[jsonrpc.ID]
	support atomic.Pointer[taskSupport]
}

func (h *handshake) sent(req *jsonrpc.Request) {
	if req.Method == "initialize" {
		h.request.Store(&req.ID)
	}
}

func (h *handshake) answered(resp *jsonrpc.Response) {
	if id := h.request.Load(); id != nil && *id == resp.ID && resp.Error == nil {
		support := readTaskSupport(resp.Result)
		h.support.Store(&support)
	}
}

func (h *handshake) tasks() taskSupport {
	if support := h.support.Load(); support != nil {
		return *support
	}
	return taskSupport{}
}

// readTaskSupport reads the result of initialize.
func readTaskSupport(raw json.RawMessage) taskSupport {
	var r struct {
		Capabilities struct {
			Tasks struct {
				Cancel   json.RawMessage `json:"cancel"`
				Requests struct {
					Tools struct {
						Call json.RawMessage `json:"call"`
					} `json:"tools"`
				} `json:"requests"`
			} `json:"tasks"`
		} `json:"capabilities"`
	}
	if json.Unmarshal(raw, &r) != nil {
		return taskSupport{}
	}
	has := func(raw json.RawMessage) bool { return given(raw) && string(raw) != "false" }
	tasks := r.Capabilities.Tasks
	return taskSupport{calls: has(tasks.Requests.Tools.Call), cancel: has(tasks.Cancel)}
}

// relatedTask returns the id of the task that a message belongs to (2025-11-25,
// "Associating Task-Related Messages"), or nothing.
func relatedTask(meta map[string]any) string {
	related, _ := meta[relatedTaskMeta].(map[string]any)
	id, _ := related["taskId"].(string)
	return id
}

// taskMeta returns the _meta of the answer to a message with the one given.
func taskMeta(meta map[string]any) mcp.Meta {
	if relatedTask(meta) == "" {
		return nil
	}
	return mcp.Meta{relatedTaskMeta: meta[relatedTaskMeta]}
}
