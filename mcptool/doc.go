// Package mcptool makes the tools of MCP servers usable in a run.
//
// A [Server] is one server: a process of this machine that is spoken to through
// its standard input and output, a remote one that is reached by HTTP, or one in
// this process. It is a [tramontane.Toolset]: a run asks it for its tools, and
// it is started or reached when it is asked. Any number of runs share it.
// [Servers] are several as one, and [LoadConfig] reads them from the JSON files
// that other MCP clients use.
//
// # What a server gets and what becomes of it
//
// A server sees few variables of this program's environment, none of which is
// an API key; the rest is given to it by name. It runs in a process group of
// its own, and Close ends the group, so that wrappers such as npx and "go run"
// leave nothing behind. What it prints on its standard error is kept for the
// errors that need it; lines on its standard output that are no messages are
// logged and skipped.
//
// # When servers fail
//
// [Server.Need] says whether a run can do without a server. A server whose
// session ended is started or reached anew by the next call or run; one that
// fails again and again is waited with, and its calls fail meanwhile. A
// [Status] says how a server is doing. Runs get a [tramontane.ServerEvent] when
// that changes for the worse or back, and a [tramontane.ToolsChangedEvent] when
// the server has other tools than they.
//
// # Names
//
// The model knows a tool as <server>_<tool>, with '_' for every character that
// is neither an ASCII letter or digit nor '_' or '-'. If that is longer than 64
// characters or would be the name of two tools, a hash of both names takes the
// place of the end. The server's own name for the tool is in its Definition.
//
// # Results
//
// Every kind of content is kept, those that this package does not know
// included. That a tool failed is a result too, with IsError set: it is for
// the model to see. A call is sent to the server once, and a second time only if
// the server cannot have worked on it or the tool is Safe. When it is not known
// whether a call ran, the error wraps [tramontane.ErrOutcomeUnknown]. A structured result that is not what
// the tool's output schema says is kept, with a note.
//
// # What a server says and asks in the middle of a call
//
// Progress and, with LogLevel, the server's log go to the stream of the run as
// a [tramontane.ProgressEvent] and a [tramontane.LogEvent]. What the server asks
// a person goes to Elicit, one question at a time, while the deadlines of calls
// stand still. What it asks a model, the model of the run answers, if
// [Server.Sampling] allows it. Roots tell it where it may work.
//
// # Calls that outlive their requests
//
// A server may make a task of a call. It is waited for over the ends of sessions,
// and, in a run, over the end of the run: a run that was cancelled, or whose
// program died, goes on with its tasks when it is resumed, and makes none anew
// (see [tramontane.Keep]). [Server.CancelTask] is for runs that will not be.
//
// # Resources and prompts
//
// A program lists and reads them with the methods of the Server; with
// ResourceTools the model can read resources too. The messages of a prompt are
// input for a run: [PromptResult.Inputs]. [Server.Complete] proposes values for
// what a person types, and [Server.Subscribe] tells of changes, across lost
// sessions.
//
// # Skills
//
// A server may have skills: instructions for the model, and files that belong to
// them. With SkillTools the model is told of them and loads what it needs. What
// is not what the server's own list says of it is not used; what is, is still
// only the server's word. See [Skill].
package mcptool
