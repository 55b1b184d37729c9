package tramontane

import (
	"context"
	"encoding/json"
)

// A Tool is a function that the model can call: one of the program's own (see
// [Func]) or one that an MCP server offers (see package mcptool).
//
// A Tool must be safe for concurrent use: calls that the model asks for in one
// turn run in parallel.
type Tool interface {
	// Definition says what the model is told about the tool. It must give the
	// same answer for the whole of a run.
	Definition() Definition

	// Call runs the tool and returns what it has to say. What it has to say
	// before that goes to [Emit].
	//
	// A failure that the model should see and can react to is a ToolResult with
	// IsError set, or an error: a run treats both alike, as its
	// [Runner.OnToolError] says, and so is a panic. A nil ToolResult is an empty
	// one. The error of a call that may have had its effect all the same wraps
	// [ErrOutcomeUnknown].
	//
	// If ctx ends, Call should return soon, with ctx's error: the run waits for
	// it, and takes the outcome of a call that then fails as unknown, unless
	// [Keep] has a handle of what the call began.
	Call(ctx context.Context, call *Call) (*ToolResult, error)
}

// A Toolset offers tools that are known only once it has been asked, such as
// those of an MCP server.
type Toolset interface {
	// Tools returns the tools, connecting first where that is needed. A run
	// asks once, before its first request to the model, and takes a panic for an
	// error. It must be safe for concurrent use.
	Tools(ctx context.Context) ([]Tool, error)
}

// A Definition is what a [Tool] says of itself.
type Definition struct {
	// Name is what the model calls: 1 to 64 characters of a-z, A-Z, 0-9, '_'
	// and '-'. Required, and unique in a run.
	Name string

	// Description tells the model what the tool does and when to call it. If
	// zero, the model sees the name alone.
	Description string

	// Parameters is a JSON Schema (2020-12) of type object. If zero, the tool
	// takes no arguments.
	Parameters json.RawMessage

	// Strict asks the model API to hold the arguments to Parameters. If zero,
	// the schema is a hint to the model.
	Strict bool

	// Server is the name of the MCP server that offers the tool. If zero, the
	// tool is a function of the program.
	Server string

	// Original is the tool's name on that server, before it was made unique
	// and short enough for the model. If zero, it is Name.
	Original string

	// Title is a name for people. If zero, Original is as good.
	Title string

	// Output is the JSON Schema (2020-12) of the results' Structured. If zero,
	// nothing is promised.
	Output json.RawMessage

	// ReadOnly says that the tool, by its own account, changes nothing. An MCP
	// server's account of itself is not to be trusted with more than a hint,
	// unless Trusted is set. If zero, the tool may change things.
	ReadOnly bool

	// Idempotent says that, by its own account, a second call with the same
	// arguments changes nothing more. If zero, it may.
	Idempotent bool

	// Additive says that the tool, by its own account, destroys nothing that was
	// there before. If zero, it may.
	Additive bool

	// Closed says that the tool, by its own account, reaches nothing beyond its
	// own domain, such as the open web. If zero, it may.
	Closed bool

	// Trusted says that the program believes what the MCP server says of the
	// tool. If zero, its hints are shown and nothing rests on them.
	Trusted bool

	// Confirm says that a person must allow each call: without an Approve of the
	// [Runner] the call stays pending, whatever else is called. If zero, the
	// Runner decides.
	Confirm bool

	// Safe says that a call may be sent twice without harm, because the program
	// says so or because a trusted server does. If zero, a call is sent at most
	// once.
	Safe bool
}

// A Call is one request of the model to run a tool.
type Call struct {
	// Key names the call for good: <run>/<turn>/<tool call id>. A tool that can
	// tell repeated calls apart may use it as its idempotency key.
	Key string

	// ID is the model's name for the call (tool_call_id).
	ID string

	// Name is the name of the tool, as in its Definition.
	Name string

	// Arguments is a JSON object. If the model sent none, it is {}. A Tool gets
	// nothing else; where a call is only shown, see [ResultEvent], it may be
	// what the model sent instead of one.
	Arguments json.RawMessage

	// Handle is what an earlier part of the run gave to [Keep] in this call: the
	// tool goes on with what it names, and begins nothing anew. If nil, nothing
	// was begun.
	Handle json.RawMessage
}
