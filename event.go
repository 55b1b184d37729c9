package tramontane

import "github.com/tramontane-dev/tramontane/mistral"

// An Event is something that happens in a streamed run: a *[ReplyEvent],
// *[FoundEvent], *[ResultEvent] or *[DoneEvent].
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

	// IsError says that the call failed or was not made.
	IsError bool
}

// DoneEvent is the last event of a run.
type DoneEvent struct {
	Result *Result
}

func (*ReplyEvent) isEvent()  {}
func (*FoundEvent) isEvent()  {}
func (*ResultEvent) isEvent() {}
func (*DoneEvent) isEvent()   {}
