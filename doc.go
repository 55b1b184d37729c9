// Package tramontane runs agents with tools: agents of Mistral's Agents and
// Conversations API, or of any server that speaks it, with tools from MCP
// servers and from Go functions.
//
// A [Runner] says what runs: a model or an agent, the tools, the shape of the
// answer. [Runner.Run] sends what a person says, calls the tools that the model
// asks for, and returns a [Result]; [Runner.Stream] yields what happens
// meanwhile. [Func] makes a tool of a Go function, and package mcptool makes
// tools of what an MCP server offers. [OutputOf] asks for a typed answer, and
// [Decode] reads it.
//
// # What a run promises
//
// Every call of the model gets exactly one result, in the model's order, also
// one that failed, was denied or has an unknown tool. A tool call is sent at
// most once, unless the tool is declared safe to repeat. An agent of the API is
// not changed by a run.
//
// # What the model is told of a result
//
// Text, since the API takes nothing else: of images, sound and other bytes the
// model is told that they are there, and a [ResultEvent] has them. A text that
// is too long loses its middle, and [Result.Resources] has the whole. What tools
// and servers say before they have a result goes to [Emit].
//
// # Runs that stop and go on
//
// A run that ends early, at a limit, for a person's word, by a cancelled
// context or a failure, returns its [State]. It is JSON: store it, carry it to
// another process, and hand it to [RunOptions] to go on. Results that the
// conversation waits for are kept in it and delivered then.
package tramontane
