package tramontane

import (
	"encoding/json"

	"github.com/tramontane-dev/tramontane/mistral"
)

// An Event is something that happens in a streamed run: a *[ReplyEvent],
// *[FoundEvent], *[KeptEvent], *[ResultEvent] or *[DoneEvent], or what tools and
// servers report meanwhile: a *[ProgressEvent], *[LogEvent], *[ServerEvent],
// *[ToolsChangedEvent] or *[ResourceUpdatedEvent]. More kinds may come: pass over
// those that you do not know.
type Event interface{ isEvent() }

// ReplyEvent is an event of the API, as it came.
type ReplyEvent struct {
	Event mistral.Event
}

// FoundEvent is a reply whose request had been lost, as the history of the
// conversation has it. No ReplyEvent tells of it, save those that came before
// the stream of the reply broke.
type FoundEvent struct {
	Entries mistral.Entries
}

// KeptEvent says that a call has begun something that outlives it; see [Keep].
// There may be several for one call.
type KeptEvent struct {
	// Call is the call, with its Handle.
	Call Call

	// State is the run as it stands, never nil: whoever stores it can resume the
	// run if the program dies before its end. Other calls that are under way by
	// then are of unknown outcome.
	State *State
}

// ResultEvent is the result of a call that the program answers, in the order of
// the model's calls.
type ResultEvent struct {
	// Call is the call that was answered. If it was not made because its
	// arguments are no JSON, they are here as a JSON string of what the model
	// sent.
	Call Call

	// Entry is what the model is told.
	Entry *mistral.FunctionResult

	// Result is what the tool returned. If nil, the call was not made, failed
	// without a result, or was made in an earlier part of the run.
	Result *ToolResult

	// Unshown are the parts of Result that Entry only names, because a result
	// is text for the API: images, audio, and resources that are no text.
	Unshown []Content

	// Whole is the URI under which [Result.Resources] has the text of which
	// Entry has the head and the tail. If zero, nothing was cut, or it was in an
	// earlier part of the run.
	Whole string

	// IsError says that the call failed or was not made.
	IsError bool
}

// ProgressEvent says how far a call has come that is not over.
type ProgressEvent struct {
	// Call is the call. A tool that emits the event may leave it zero.
	Call Call

	// Progress grows with each event of a call, in the tool's own measure.
	Progress float64

	// Total is what Progress will be in the end. If zero, it is not known.
	Total float64

	// Message says what is being done. It may be empty.
	Message string
}

// LogEvent is a line of an MCP server's log. That it came in a run does not
// mean that the run caused it: a server may serve several.
type LogEvent struct {
	// Server is the name of the server.
	Server string

	// Level is one of those of syslog: debug, info, notice, warning, error,
	// critical, alert or emergency.
	Level string

	// Logger is the part of the server that speaks. It may be empty.
	Logger string

	// Data is what it says, any JSON value.
	Data json.RawMessage

	// Missed is how many log events before this one were dropped because the
	// reader of the stream was too far behind.
	Missed int
}

// ServerEvent says that an MCP server's state has changed.
type ServerEvent struct {
	// Server is the name of the server.
	Server string

	// State is its new state, as package mcptool names them: ready, failed,
	// needs_login and so on.
	State string

	// Err says what went wrong. If nil, nothing did.
	Err error
}

// ToolsChangedEvent says that an MCP server offers other tools than before. The
// tools of a conversation were fixed when it began, so the new ones are for the
// next.
type ToolsChangedEvent struct {
	// Server is the name of the server.
	Server string
}

// ResourceUpdatedEvent says that a resource of an MCP server may have changed,
// which the program has subscribed to.
type ResourceUpdatedEvent struct {
	// Server is the name of the server.
	Server string

	// URI is that of the resource.
	URI string
}

// DoneEvent is the last event of a run.
type DoneEvent struct {
	Result *Result
}

func (*ReplyEvent) isEvent()           {}
func (*FoundEvent) isEvent()           {}
func (*KeptEvent) isEvent()            {}
func (*ResultEvent) isEvent()          {}
func (*ProgressEvent) isEvent()        {}
func (*LogEvent) isEvent()             {}
func (*ServerEvent) isEvent()          {}
func (*ToolsChangedEvent) isEvent()    {}
func (*ResourceUpdatedEvent) isEvent() {}
func (*DoneEvent) isEvent()            {}
