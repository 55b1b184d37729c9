package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tramontane-dev/tramontane/internal/wire"
	"github.com/tramontane-dev/tramontane/mistral"
)

// codeUnansweredCalls is the API's own code of an append whose results are not
// those of the open calls.
const codeUnansweredCalls = "3230"

// An apiError is an answer that is not a success.
type apiError struct {
	status  int
	kind    string // "type" on the wire
	code    string // the API's number of the error; empty for null
	message string
	detail  []detail // if the status is 422
	header  http.Header
	cause   error // for the log
}

// A detail says what is wrong with one place of a request. The official SDKs
// require all of its members.
type detail struct {
	loc  []any // "body" or "query", then names and indexes
	msg  string
	kind string // "type" on the wire
}

func (e *apiError) Error() string {
	parts := make([]string, 0, 1+len(e.detail))
	if e.message != "" {
		parts = append(parts, e.message)
	}
	for _, d := range e.detail {
		parts = append(parts, d.String())
	}
	return strings.Join(parts, "; ")
}

func (e *apiError) Unwrap() error { return e.cause }

func (d detail) String() string {
	var b strings.Builder
	for _, step := range d.loc {
		if n, ok := step.(int); ok {
			fmt.Fprintf(&b, "[%d]", n)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		fmt.Fprint(&b, step)
	}
	return b.String() + ": " + d.msg
}

func badRequest(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "invalid_request_error", message: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *apiError {
	return &apiError{status: http.StatusNotFound, kind: "not_found_error", message: fmt.Sprintf(format, args...)}
}

func invalid(details ...detail) *apiError {
	return &apiError{status: http.StatusUnprocessableEntity, kind: "invalid_request_error", detail: details}
}

// modelError says that the model did not answer, and what came of it. A request that the model's server found wrong is the caller's to change; a
// *mistral.Error that no request gave (it has no method) is a model's own
// answer and goes out as it is. Everything else is 503 and not 502, which
// would leave open whether the conversation has changed.
func modelError(err error, message string) *apiError {
	out := &apiError{
		status:  http.StatusServiceUnavailable,
		kind:    "model_error",
		message: message,
		cause:   err,
	}
	var upstream *mistral.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		out.status = http.StatusGatewayTimeout
	case !errors.As(err, &upstream):
	case upstream.Method == "" && upstream.StatusCode >= 400 && upstream.StatusCode < 600:
		out.status, out.kind, out.code, out.message = upstream.StatusCode, upstream.Type, upstream.Code, upstream.Message
	case upstream.StatusCode == http.StatusTooManyRequests:
		out.status = http.StatusTooManyRequests
		if upstream.RetryAfter > 0 {
			seconds := int(upstream.RetryAfter.Seconds() + 0.999)
			out.header = http.Header{"Retry-After": {strconv.Itoa(seconds)}}
		}
	case upstream.StatusCode == http.StatusBadRequest, upstream.StatusCode == http.StatusNotFound,
		upstream.StatusCode == http.StatusRequestEntityTooLarge, upstream.StatusCode == http.StatusUnprocessableEntity:
		out.status, out.code = http.StatusBadRequest, upstream.Code
	}
	return out
}

// asAPIError turns any error of a handler into an answer.
func asAPIError(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	return &apiError{
		status: http.StatusInternalServerError, kind: "server_error",
		message: "the server could not do this; its log says why", cause: err,
	}
}

// errorBody is the JSON of an error. On status 422 its detail is a list: the
// SDKs' parsers fail on anything else.
func errorBody(e *apiError) []byte {
	b := append([]byte(`{"object":"error","message":`), wire.AppendString(nil, e.Error())...)
	b = append(append(b, `,"type":`...), wire.AppendString(nil, e.kind)...)
	b = append(b, `,"param":null,"code":`...)
	switch _, err := strconv.Atoi(e.code); {
	case e.code == "":
		b = append(b, "null"...)
	case err == nil:
		b = append(b, e.code...)
	default:
		b = wire.AppendString(b, e.code)
	}
	if e.status == http.StatusUnprocessableEntity {
		b = append(b, `,"detail":[`...)
		for i, d := range e.detail {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendDetail(b, d)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendDetail(b []byte, d detail) []byte {
	b = append(b, `{"loc":[`...)
	for i, step := range d.loc {
		if i > 0 {
			b = append(b, ',')
		}
		switch step := step.(type) {
		case int:
			b = strconv.AppendInt(b, int64(step), 10)
		case string:
			b = wire.AppendString(b, step)
		}
	}
	b = append(append(b, `],"msg":`...), wire.AppendString(nil, d.msg)...)
	b = append(append(b, `,"type":`...), wire.AppendString(nil, d.kind)...)
	return append(b, '}')
}
