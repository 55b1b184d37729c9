package mistral

import (
	"context"
	"iter"
	"net/http"

	"github.com/tramontane-dev/tramontane/internal/wire"
)

// Models returns the models that there are.
func (c *Client) Models(ctx context.Context) ([]Model, error) {
	var out ModelList
	err := c.do(ctx, &request{method: http.MethodGet, path: "/v1/models"}, nil, func(body []byte) error {
		return wire.Unmarshal(body, &out)
	})
	if err != nil {
		return nil, err
	}
	return out.Data, nil
}

// Model returns what the API says of a model.
func (c *Client) Model(ctx context.Context, id string) (*Model, error) {
	return get[Model](ctx, c, &request{method: http.MethodGet, path: "/v1/models" + escape(id)}, nil)
}

// Chat asks a model for the next message of a chat and waits for all of it.
func (c *Client) Chat(ctx context.Context, in *ChatRequest) (*ChatResponse, error) {
	return get[ChatResponse](ctx, c, chatRequest(), in.streamed(false))
}

// StreamChat is like Chat and returns the message as it comes, in pieces. A
// server that fails on the way is an [*Error]; its StatusCode is 200 unless the
// server gave another. Otherwise the sequence is as [Client.StreamStart] says.
func (c *Client) StreamChat(ctx context.Context, in *ChatRequest) iter.Seq2[*ChatChunk, error] {
	return stream(ctx, c, chatRequest(), in.streamed(true), decodeChatChunk)
}

func chatRequest() *request {
	return &request{method: http.MethodPost, path: "/v1/chat/completions"}
}

func (in ChatRequest) streamed(stream bool) *ChatRequest {
	in.Stream = &stream
	return &in
}
