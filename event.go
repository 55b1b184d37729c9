package tramontane

import "github.com/tramontane-dev/tramontane/mistral"

// An Event is something that happens in a streamed run: a *[ReplyEvent],
// *[ResultEvent] or *[DoneEvent].
type Event interface{ isEvent() }

// ReplyEvent is an event of the API, as it came.
type ReplyEvent struct {
	Event mistral.Event
}

// ResultEvent is the result of a call that the program answers, in the order of
// the model's calls.
type ResultEvent struct {
	// Call is the call that was answered.
	Call Call

	// Entry is what the model is told.
	Entry *mistral.FunctionResult

	// Result is what the tool returned. If nil, the call was not made, or
	// failed without a result.
	Result *ToolResult

	// IsError says that the call failed or was not made.
	IsError bool
}

// DoneEvent is the last event of a run.
type DoneEvent struct {
	Result *Result
}

func (*ReplyEvent) isEvent()  {}
func (*ResultEvent) isEvent() {}
func (*DoneEvent) isEvent()   {}
