//lint:file-ignore SA1019 servers still use what MCP 2026-07-28 deprecates: sampling, roots, logging

package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// A LogLevel says which lines of its log a server sends: those of a level and
// of the graver ones.
type LogLevel string

// The levels of servers' logs, as syslog has them (RFC 5424).
const (
	LogDebug     LogLevel = "debug"
	LogInfo      LogLevel = "info"
	LogNotice    LogLevel = "notice"
	LogWarning   LogLevel = "warning"
	LogError     LogLevel = "error"
	LogCritical  LogLevel = "critical"
	LogAlert     LogLevel = "alert"
	LogEmergency LogLevel = "emergency"
)

// clientOptions says what the SDK's client promises servers, and does for them.
// Notifications do not come to it: see [Server.notified].
func (s *Server) clientOptions() *mcp.ClientOptions {
	opts := &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{}, // the default would promise roots
		Logger:       s.Logger,
		// Ours are in rounds.go.
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
		// Where notices of changes come only to who asks for them, the SDK asks
		// if there is a handler. The notices themselves are taken in by codec.
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) {},
	}
	opts.Capabilities.AddExtension(tasksExtension, nil)
	if s.Elicit != nil {
		opts.ElicitationHandler = s.elicit
		opts.Capabilities.Elicitation = &mcp.ElicitationCapabilities{
			Form: &mcp.FormElicitationCapabilities{},
			URL:  &mcp.URLElicitationCapabilities{},
		}
	}
	if s.Sampling != nil {
		opts.CreateMessageWithToolsHandler = s.sample
		opts.Capabilities.Sampling = &mcp.SamplingCapabilities{} // without tools
	}
	if s.allRoots() != nil {
		opts.Capabilities.RootsV2 = &mcp.RootCapabilities{ListChanged: true}
	}
	// The SDK calls it when it has forgotten what it knew of the resource.
	opts.ResourceUpdatedHandler = func(_ context.Context, req *mcp.ResourceUpdatedNotificationRequest) {
		s.resourceUpdated(req.Params.URI)
	}
	return opts
}

// newClient returns the SDK's client for one session.
func (s *Server) newClient() (*mcp.Client, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "tramontane", Version: version()}, s.clientOptions())
	if s.Trace != nil {
		client.AddSendingMiddleware(s.traced)
	}
	s.roots.share(client, s.Roots)
	return client, errors.Join(addSkillMethods(client), addTaskMethods(client))
}

// levelTime bounds the request for the log. The first call waits for it, and a
// server that does not answer it can still be called.
const levelTime = 5 * time.Second

// setLogLevel asks a server of a version before 2026-07-28 for its log, before it
// is called. Later ones are asked in each call.
func (s *Server) setLogLevel(ctx context.Context, sess *session) {
	caps := sess.InitializeResult().Capabilities
	if s.LogLevel == "" || !sess.legacy() || caps == nil || caps.Logging == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, levelTime)
	defer cancel()
	_, err := s.request(ctx, sess, nil, func(ctx context.Context) (json.RawMessage, error) {
		return nil, sess.SetLoggingLevel(ctx, &mcp.SetLoggingLevelParams{Level: mcp.LoggingLevel(s.LogLevel)})
	})
	if err != nil {
		s.logger().WarnContext(ctx, "mcp server does not take the level of its log", "server", s.Name, "level", s.LogLevel, "cause", err)
	}
}

// callMeta adds what a call says of itself beside its arguments.
func (s *Server) callMeta(meta mcp.Meta) {
	if s.LogLevel != "" {
		meta[mcp.MetaKeyLogLevel] = string(s.LogLevel) // older servers pass over it
	}
}

// notified takes in a message of the server that is no response. It is called
// as messages are read, so that what a server says of a call is told before the
// call's result: the SDK's handlers run beside the results that follow. It must
// not wait for anything.
func (s *Server) notified(req *jsonrpc.Request) {
	switch req.Method {
	case "notifications/progress":
		s.progressNotice(req.Params)
	case "notifications/message":
		s.logNotice(req.Params)
	case "notifications/tasks/status", "notifications/tasks":
		s.taskNotice(req.Params)
	case "notifications/elicitation/complete":
		var params struct {
			ID string `json:"elicitationId"`
		}
		if json.Unmarshal(req.Params, &params) == nil {
			s.questions.complete(params.ID)
		}
	}
}

func (s *Server) progressNotice(raw json.RawMessage) {
	var params struct {
		Token    any     `json:"progressToken"`
		Progress float64 `json:"progress"`
		Total    float64 `json:"total"`
		Message  string  `json:"message"`
	}
	if err := json.Unmarshal(raw, &params); err != nil {
		s.logger().Warn("mcp server sends malformed progress", "server", s.Name, "cause", err)
		return
	}
	s.logger().Debug("mcp server progress", "server", s.Name, "progress", params.Progress, "total", params.Total, "message", params.Message)
	ctx, call := s.progressed(params.Token, params.Progress, params.Total)
	if call == nil {
		return // the call is over, or was never made
	}
	tramontane.Emit(ctx, &tramontane.ProgressEvent{Call: *call, Progress: params.Progress, Total: params.Total, Message: params.Message})
}

func (s *Server) logNotice(raw json.RawMessage) {
	var params struct {
		Level  string          `json:"level"`
		Logger string          `json:"logger"`
		Data   json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &params); err != nil {
		s.logger().Warn("mcp server sends a malformed line of its log", "server", s.Name, "cause", err)
		return
	}
	s.logger().Debug("mcp server log", "server", s.Name, "level", params.Level, "data", string(params.Data))
	event := &tramontane.LogEvent{Server: s.Name, Level: params.Level, Logger: params.Logger, Data: params.Data}
	for _, ctx := range s.callers() {
		tramontane.Emit(ctx, event)
	}
}

// callers returns a context of each run with calls under way: a line of a log
// does not say which call it is about, if any.
func (s *Server) callers() []context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	byRun := make(map[string]context.Context)
	for _, u := range s.underway {
		run, _, _ := strings.Cut(u.call.Key, "/")
		byRun[run] = u.ctx
	}
	runs := make([]context.Context, 0, len(byRun))
	for _, ctx := range byRun {
		runs = append(runs, ctx)
	}
	return runs
}

// ask makes a request that is no tool call, reaching the server first where
// that is needed.
func ask[T any](ctx context.Context, s *Server, what string, do func(context.Context, *session) (T, error)) (T, error) {
	var answer T
	sess, err := s.connect(ctx)
	if err != nil {
		return answer, err
	}
	_, err = s.request(ctx, sess, nil, func(ctx context.Context) (json.RawMessage, error) {
		return s.rounds(ctx, sess, func(ctx context.Context) (json.RawMessage, error) {
			var err error
			answer, err = do(ctx, sess)
			return nil, err
		})
	})
	if err != nil {
		return answer, fmt.Errorf("%s: %s: %w", s, what, err)
	}
	return answer, nil
}
