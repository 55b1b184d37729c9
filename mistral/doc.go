// Package mistral is a client of Mistral's API for agents, conversations,
// models and chat completions, and of servers that speak the same API.
//
// The zero [Client] is ready to use; it reads MISTRAL_API_KEY and
// MISTRAL_BASE_URL when it makes a request:
//
//	var client mistral.Client
//	reply, err := client.Start(ctx, &mistral.ConversationRequest{
//		Model:  "mistral-medium-latest",
//		Inputs: mistral.Inputs{Text: "Which wind blows beside the Mistral?"},
//	})
//
// # Conversations
//
// [Client.Start], [Client.Append] and [Client.Restart] wait for a whole reply;
// StreamStart, StreamAppend and StreamRestart return its events as they come.
// The entries of a reply are [Entry] values, of which a type switch finds the
// kinds. A [FunctionCall] among them has to be answered by one
// [FunctionResult], in the inputs of the next append.
//
// # Errors
//
// An answer with an error status is an [*Error]. A request that was sent and
// whose answer did not come in whole may have been executed: [Uncertain] tells.
// It is not repeated, as adding to a conversation twice is worse than not at
// all; read [Client.History] to see what came of it.
//
// # What the wire has and this package does not know
//
// Unions (entries, chunks, tools, events, messages) have an Unknown variant
// with the raw JSON, and every struct has a field Extra that keeps members
// without a field, nulls, and members that were there with their zero value. So
// what was read and is sent back loses nothing. Package encoding/json may be
// used on all types; it compacts raw JSON. A single value of a union is decoded
// in a list.
//
// A field that is not pointer, slice or raw JSON is left out when it is zero and
// the API does not require it.
package mistral
