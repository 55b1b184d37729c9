package mcptool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// subscribe sends the request for notices of changes and delivers those that
// come on the stream that answers it. A stream that is lost is asked for again,
// under another id, as the specification demands (2026-07-28, "Subscriptions"):
// the SDK knows of one request, which fails only when the server does not want
// to send notices.
func (c *httpLink) subscribe(ctx context.Context, req *jsonrpc.Request) error {
	ctx = standing(ctx)
	failures := 0
	for round := 1; ; round++ {
		sent := *req
		if round > 1 {
			var err error
			if sent.ID, err = jsonrpc.MakeID(fmt.Sprintf("%v-%d", req.ID.Raw(), round)); err != nil {
				return err
			}
		}
		data, err := jsonrpc.EncodeMessage(&sent)
		if err != nil {
			return err
		}
		begun := time.Now()
		err = c.exchangeAs(ctx, &sent, data, req.ID)
		if err == nil || ctx.Err() != nil || c.ctx.Err() != nil {
			return err
		}
		// While nobody listens, nothing that is known of the tools holds.
		c.codec.tools.forget()
		if _, ok := errors.AsType[*jsonrpc.Error](err); ok || !passing(err) {
			return err
		}
		if time.Since(begun) > lastDelay {
			failures = 0
		}
		wait := reopenDelay(failures, err)
		failures++
		c.logger.Debug("mcp server is asked again for notices of changes", "wait", wait, "cause", err)
		within, _, cancel := c.within(ctx)
		err = sleep(within, wait)
		cancel()
		if err != nil {
			return err
		}
	}
}
