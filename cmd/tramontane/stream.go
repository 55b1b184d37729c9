package main

import (
	"context"
	"encoding/json"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// streamVersion is the version of the lines of stream-json. It changes when
// what was there before changes its meaning, not when something is added.
const streamVersion = 1

// A head begins each line of stream-json.
type head struct {
	V    int    `json:"v"`
	Seq  int    `json:"seq"`
	Type string `json:"type"`
}

type startLine struct {
	head
	Version string         `json:"version"` // of this program
	Model   string         `json:"model,omitempty"`
	AgentID string         `json:"agent_id,omitempty"`
	Servers []serverReport `json:"servers"`
	Tools   []toolReport   `json:"tools"`
}

type apiLine struct {
	head
	Event mistral.Event `json:"event"` // as it came
}

type resultLine struct {
	head
	Call    callReport              `json:"call"`
	Entry   *mistral.FunctionResult `json:"entry"` // what the model is told
	IsError bool                    `json:"is_error"`
	Unshown []unshownReport         `json:"unshown,omitempty"` // parts that the entry only names
	Whole   string                  `json:"whole,omitempty"`   // URI, if the entry has only head and tail
}

type progressLine struct {
	head
	Call     callReport `json:"call"`
	Progress float64    `json:"progress"`
	Total    float64    `json:"total,omitempty"`
	Message  string     `json:"message,omitempty"`
}

type logLine struct {
	head
	Server string          `json:"server"`
	Level  string          `json:"level"`
	Logger string          `json:"logger,omitempty"`
	Data   json.RawMessage `json:"data"`
	Missed int             `json:"missed,omitempty"` // log lines before this one that are not here
}

type serverLine struct {
	head
	Server string `json:"server"`
	State  string `json:"state"`
	Error  string `json:"error,omitempty"`
}

type toolsChangedLine struct {
	head
	Server string `json:"server"`
}

type foundLine struct {
	head
	Entries mistral.Entries `json:"entries"`
}

type endLine struct {
	head
	Reason   string     `json:"reason"`
	ExitCode int        `json:"exit_code"`
	Error    string     `json:"error,omitempty"`
	Result   *runReport `json:"result"`
}

func (p *printer) head(kind string) head {
	h := head{V: streamVersion, Seq: p.seq, Type: kind}
	p.seq++
	return h
}

// start writes what is known before the first request, if the format has it.
func (p *printer) start(model, agentID string, servers []serverReport, tools []tramontane.Tool) error {
	if p.format != outputStream {
		return nil
	}
	return p.line(&startLine{
		head: p.head("start"), Version: version(), Model: model, AgentID: agentID,
		Servers: servers, Tools: newToolReports(tools),
	})
}

// follow runs the runner and writes what happens meanwhile, if the format has
// it. When it cannot be written, the run is cancelled.
func (p *printer) follow(ctx context.Context, runner *tramontane.Runner, input []mistral.Entry) (*tramontane.Result, error) {
	if p.format != outputStream {
		return runner.Run(ctx, input, nil)
	}
	for event, err := range runner.Stream(ctx, input, nil) {
		if done, ok := event.(*tramontane.DoneEvent); ok {
			return done.Result, err
		}
		if err := p.happened(event); err != nil {
			return nil, err
		}
	}
	panic("unreachable: the last event of a run is a DoneEvent")
}

func (p *printer) happened(event tramontane.Event) error {
	switch e := event.(type) {
	case *tramontane.ReplyEvent:
		return p.line(&apiLine{head: p.head("api"), Event: e.Event})
	case *tramontane.FoundEvent:
		return p.line(&foundLine{head: p.head("found"), Entries: e.Entries})
	case *tramontane.ResultEvent:
		return p.line(&resultLine{head: p.head("tool_result"), Call: newCallReport(e.Call), Entry: e.Entry, IsError: e.IsError,
			Unshown: newUnshownReports(e.Unshown), Whole: e.Whole})
	case *tramontane.ProgressEvent:
		return p.line(&progressLine{head: p.head("progress"), Call: newCallReport(e.Call), Progress: e.Progress, Total: e.Total, Message: e.Message})
	case *tramontane.LogEvent:
		return p.line(&logLine{head: p.head("server_log"), Server: e.Server, Level: e.Level, Logger: e.Logger, Data: e.Data, Missed: e.Missed})
	case *tramontane.ServerEvent:
		line := &serverLine{head: p.head("server"), Server: e.Server, State: e.State}
		if e.Err != nil {
			line.Error = e.Err.Error()
		}
		return p.line(line)
	case *tramontane.ToolsChangedEvent:
		return p.line(&toolsChangedLine{head: p.head("tools_changed"), Server: e.Server})
	}
	return nil
}
