package mistral

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// An Error is an answer of the API with an error status.
type Error struct {
	Method     string // of the request
	Path       string // of the request, from /v1 on
	StatusCode int
	Code       string        // the API's own number of the error; empty if it gave none
	Type       string        // the API's own kind of error; empty if it gave none
	Message    string        // what is wrong; empty if the API did not say
	Detail     []FieldError  // what is wrong with fields of the request (status 422)
	RequestID  string        // to quote to who runs the API; empty if it gave none
	RetryAfter time.Duration // how long the API asks to wait; zero if it did not
	Body       []byte        // of the response, at most 64 KiB, without the key
}

// A FieldError is what is wrong with one field of a request.
type FieldError struct {
	Loc  string // the field, as body.inputs[0].content
	Msg  string
	Type string // "missing", "extra_forbidden", ...
}

const (
	maxErrorBody = 64 << 10
	maxErrorLine = 500 // characters of Error's message
)

// Error returns one line with the request, the status and what is wrong.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Method == "" {
		b.WriteString("mistral:")
	} else {
		fmt.Fprintf(&b, "mistral: %s %s:", e.Method, e.Path)
	}
	b.WriteString(strings.TrimRight(fmt.Sprintf(" %d %s", e.StatusCode, http.StatusText(e.StatusCode)), " "))
	message := e.Message
	for i, d := range e.Detail {
		if i > 0 || message != "" {
			message += "; "
		}
		message += d.Loc + ": " + d.Msg
	}
	if message = oneLine(message); message != "" {
		b.WriteString(": " + message)
	}
	if e.Code != "" {
		b.WriteString(" (code " + oneLine(e.Code) + ")")
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + oneLine(e.RequestID) + ")")
	}
	return b.String()
}

// oneLine returns text without line ends and other control characters, cut to
// a length that fits a log.
func oneLine(text string) string {
	var b strings.Builder
	n := 0
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		for _, r := range word {
			if n++; n > maxErrorLine {
				return b.String() + "..."
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// A requestError is a request without an answer that could be read.
type requestError struct {
	method, path string
	err          error
	unsent       bool // certainly nothing was written
	unreadable   bool // an answer came, but not one of this API
}

func (e *requestError) Error() string {
	note := ""
	if e.uncertain() {
		note = " (the request may have been executed)"
	}
	return fmt.Sprintf("mistral: %s %s: %v%s", e.method, e.path, e.err, note)
}

func (e *requestError) Unwrap() error { return e.err }

func (e *requestError) uncertain() bool { return !e.unsent && changes(e.method) }

func changes(method string) bool {
	return method == http.MethodPost || method == http.MethodPatch
}

// unsent returns the error of a request of which certainly nothing was written.
func (r *request) unsent(err error) error {
	return &requestError{method: r.method, path: r.path, err: err, unsent: true}
}

// lost returns the error of a request that was sent and whose answer did not
// come in whole.
func (r *request) lost(err error) error {
	return &requestError{method: r.method, path: r.path, err: err}
}

// unreadable returns the error of an answer that does not say what it should.
func (r *request) unreadable(resp *http.Response, err error) error {
	err = fmt.Errorf("%s answer of type %q: %w", resp.Status, resp.Header.Get("Content-Type"), err)
	return &requestError{method: r.method, path: r.path, err: err, unreadable: true}
}

// Uncertain reports whether err leaves open if the request was executed: a POST
// or PATCH was written, at least in part, and then its answer did not come in
// whole, could not be read, or was that of a gateway which had lost the server
// behind it (status 502 and 504, and Cloudflare's 520, 522 and 524). Such a
// request must not be made again before its outcome was looked up. Uncertain is
// also true of a stream that broke off. It is false of the other errors that the
// API itself reports, though a server that fails with 500 may leave something
// behind.
func Uncertain(err error) bool {
	if e := new(Error); errors.As(err, &e) {
		return changes(e.Method) && lostServer(e.StatusCode)
	}
	e := new(requestError)
	return errors.As(err, &e) && e.uncertain()
}

// lostServer reports whether a status is that of a gateway which had passed the
// request on, or may have.
func lostServer(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusGatewayTimeout, 520, 522, 524: // the last three are Cloudflare's
		return true
	}
	return false
}

// refused reads the answer to a request that failed.
func (r *request) refused(resp *http.Response) *Error {
	// What could be read of the body is better than no error.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	body = r.key.hideIn(body)
	e := &Error{
		Method: r.method, Path: r.path, StatusCode: resp.StatusCode,
		RequestID: requestID(resp.Header), RetryAfter: retryAfter(resp.Header), Body: body,
	}
	if resp.StatusCode < 400 {
		e.Message = "redirects are not followed" + redirectHint(resp)
		return e
	}
	e.parse(body)
	return e
}

func requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Mistral-Correlation-Id", "X-Kong-Request-Id"} {
		if id := h.Get(name); id != "" {
			return id
		}
	}
	return ""
}

func redirectHint(resp *http.Response) string {
	to, err := resp.Location()
	if err != nil {
		return ""
	}
	origin := url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}
	return ": if " + origin.String() + " is right, set the base URL to it"
}

// parse takes what is wrong from a body, whatever its form.
func (e *Error) parse(body []byte) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	// "404 page not found" begins with a JSON value, but is none.
	if !json.Valid(body) || d.Decode(&value) != nil {
		e.Message = plain(string(body))
		return
	}
	e.take(value)
}

// take knows the forms {message, type, code}, {detail}, {message: {detail}} and
// {error: {message, type, code}}; detail is a text or a list. The first text is
// the message.
func (e *Error) take(value any) {
	switch value := value.(type) {
	case string:
		e.Message = first(e.Message, value)
	case []any:
		for _, item := range value {
			e.takeDetail(item)
		}
	case map[string]any:
		e.Type = first(e.Type, value["type"])
		e.Code = first(e.Code, value["code"])
		for _, name := range []string{"message", "error", "detail"} {
			e.take(value[name])
		}
	}
}

func (e *Error) takeDetail(value any) {
	object, ok := value.(map[string]any)
	if !ok {
		e.Detail = append(e.Detail, FieldError{Msg: fmt.Sprint(value)})
		return
	}
	e.Detail = append(e.Detail, FieldError{
		Loc: location(object["loc"]), Msg: first("", object["msg"]), Type: first("", object["type"]),
	})
}

// first returns text, or if that is empty the string or number in value.
func first(text string, value any) string {
	if text != "" {
		return text
	}
	switch value := value.(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	}
	return ""
}

func location(value any) string {
	steps, _ := value.([]any)
	var b strings.Builder
	for _, step := range steps {
		text := fmt.Sprint(step)
		if _, err := strconv.Atoi(text); err == nil {
			b.WriteString("[" + text + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(text)
	}
	return b.String()
}

// plain returns the text of a body that is no JSON: of a page its title.
func plain(body string) string {
	body = strings.TrimSpace(strings.ToValidUTF8(body, "\ufffd"))
	if !strings.HasPrefix(body, "<") {
		return body
	}
	lower := strings.ToLower(body)
	start := strings.Index(lower, "<title>")
	end := strings.Index(lower, "</title>")
	if start < 0 || end < start || len(lower) != len(body) {
		return "an HTML page"
	}
	return strings.TrimSpace(body[start+len("<title>") : end])
}
