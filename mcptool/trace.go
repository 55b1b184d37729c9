package mcptool

import (
	"context"
	"maps"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// traceKeys are the keys of _meta that carry a trace context: the only ones
// without a prefix (SEP-414, and specification 2026-07-28, "_meta").
var traceKeys = []string{"traceparent", "tracestate", "baggage"}

// traced is a middleware that adds the trace context to each request. A hook
// serves any tracing library, and a program without one links none; the
// propagators of OpenTelemetry fill a map of this kind.
func (s *Server) traced(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		var params mcp.Params
		switch method {
		case "initialize", "server/discover", "subscriptions/listen":
			// They belong to no request of the program's.
		default:
			params = req.GetParams()
		}
		if params == nil {
			return next(ctx, method, req)
		}
		var meta mcp.Meta
		for trace, i := s.Trace(ctx), 0; i < len(traceKeys); i++ {
			value := trace[traceKeys[i]]
			if value == "" {
				continue
			}
			if meta == nil {
				meta = maps.Clone(mcp.Meta(params.GetMeta()))
			}
			if meta == nil {
				meta = mcp.Meta{}
			}
			meta[traceKeys[i]] = value
		}
		if meta != nil {
			params.SetMeta(meta)
		}
		return next(ctx, method, req)
	}
}
