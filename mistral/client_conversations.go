package mistral

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
)

// ConversationListOptions are the options of [Client.Conversations].
type ConversationListOptions struct {
	Page     int             // from 0 on
	PageSize int             // if zero, the API chooses: 100
	Metadata json.RawMessage // a JSON object that the conversations have to contain
}

// Start starts a conversation and waits for the whole reply. It returns an
// [*Error] with StatusCode 404 if the agent does not exist.
func (c *Client) Start(ctx context.Context, in *ConversationRequest) (*ConversationResponse, error) {
	return get[ConversationResponse](ctx, c, startRequest(), in.streamed(false))
}

// StreamStart starts a conversation and returns its reply as it comes. The
// sequence ends after a [ResponseDone], a [ResponseError] or an error; a stream
// that breaks off is an error, which wraps [io.ErrUnexpectedEOF] if the server
// ended it. Leaving the loop ends the request. Nothing is sent before the
// sequence is ranged over, and everything again each time.
func (c *Client) StreamStart(ctx context.Context, in *ConversationRequest) iter.Seq2[Event, error] {
	return stream(ctx, c, startRequest(), in.streamed(true), decodeReply)
}

// Append adds inputs to a conversation and waits for the whole reply. It returns
// an [*Error] with StatusCode 404 if the conversation does not exist, and with
// Code 3230 if a call in it would stay without a result. It is safe for
// concurrent use, but concurrent replies interleave in no set order.
func (c *Client) Append(ctx context.Context, id string, in *AppendRequest) (*ConversationResponse, error) {
	return get[ConversationResponse](ctx, c, appendRequest(id), in.streamed(false))
}

// StreamAppend is like Append and returns the reply as [Client.StreamStart]
// does.
func (c *Client) StreamAppend(ctx context.Context, id string, in *AppendRequest) iter.Seq2[Event, error] {
	return stream(ctx, c, appendRequest(id), in.streamed(true), decodeReply)
}

// Restart starts a new conversation that has the entries of the conversation id
// up to in.FromEntryID, and waits for the whole reply.
func (c *Client) Restart(ctx context.Context, id string, in *RestartRequest) (*ConversationResponse, error) {
	return get[ConversationResponse](ctx, c, restartRequest(id), in.streamed(false))
}

// StreamRestart is like Restart and returns the reply as [Client.StreamStart]
// does.
func (c *Client) StreamRestart(ctx context.Context, id string, in *RestartRequest) iter.Seq2[Event, error] {
	return stream(ctx, c, restartRequest(id), in.streamed(true), decodeReply)
}

// Conversation returns what the API keeps about a conversation.
func (c *Client) Conversation(ctx context.Context, id string) (*Conversation, error) {
	return get[Conversation](ctx, c, &request{method: http.MethodGet, path: "/v1/conversations" + escape(id)}, nil)
}

// Conversations returns one page of the conversations, which is nil after the
// last. opts may be nil, for the first page.
func (c *Client) Conversations(ctx context.Context, opts *ConversationListOptions) ([]Conversation, error) {
	var o ConversationListOptions
	if opts != nil {
		o = *opts
	}
	query := pageQuery(o.Page, o.PageSize)
	if o.Metadata != nil {
		query.Set("metadata", string(o.Metadata))
	}
	return list[Conversation](ctx, c, &request{method: http.MethodGet, path: "/v1/conversations", query: query})
}

// History returns every entry of a conversation, in the order in which they were
// added.
func (c *Client) History(ctx context.Context, id string) (*History, error) {
	return get[History](ctx, c, &request{method: http.MethodGet, path: "/v1/conversations" + escape(id, "history")}, nil)
}

// Messages returns every message of a conversation, and nothing of its calls.
func (c *Client) Messages(ctx context.Context, id string) (*Messages, error) {
	return get[Messages](ctx, c, &request{method: http.MethodGet, path: "/v1/conversations" + escape(id, "messages")}, nil)
}

// DeleteConversation deletes a conversation with its entries. As with
// [Client.DeleteAgent], status 404 can mean that a first try did it.
func (c *Client) DeleteConversation(ctx context.Context, id string) error {
	return c.do(ctx, &request{method: http.MethodDelete, path: "/v1/conversations" + escape(id)}, nil, nil)
}

func startRequest() *request {
	return &request{method: http.MethodPost, path: "/v1/conversations"}
}

func appendRequest(id string) *request {
	return &request{method: http.MethodPost, path: "/v1/conversations" + escape(id)}
}

func restartRequest(id string) *request {
	return &request{method: http.MethodPost, path: "/v1/conversations" + escape(id, "restart")}
}

// streamed returns a copy of the request that asks for a stream or for none.
func (in ConversationRequest) streamed(stream bool) *ConversationRequest {
	in.Stream = &stream
	return &in
}

func (in AppendRequest) streamed(stream bool) *AppendRequest {
	in.Stream = &stream
	return &in
}

func (in RestartRequest) streamed(stream bool) *RestartRequest {
	in.Stream = &stream
	return &in
}
