package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// An Elicitation is a question of a server to a person (specification
// 2025-11-25, "Elicitation"). It has one of two forms: a form to fill in, or a
// URL to visit. Message, Schema and URL are the server's own words and no more
// to be trusted than it is: show which Server asks, and let the person decline.
type Elicitation struct {
	// Server is the name of the server that asks.
	Server string

	// Call is the tool call in the middle of which it asks. If nil, that is not
	// known: before protocol version 2026-07-28 a question does not say what it
	// belongs to, and more than one call is under way.
	Call *tramontane.Call

	// Message says what the server wants and why.
	Message string

	// Fields are what is to be filled in, those that are required first. The SDK
	// does not keep the server's order. If nil, the question is a URL, or only to
	// be agreed to.
	Fields []ElicitationField

	// Schema is the JSON Schema of the answer, of type object, as the server
	// sent it. If nil, there is nothing to fill in.
	Schema json.RawMessage

	// URL is to be visited in a browser, with the person's consent, after they
	// saw all of it. It is not fetched by this package, and must not be by any
	// program: the visit may be what the person would be agreeing to. It is of
	// http or https. If zero, the question is a form.
	URL string

	// Host is the host of URL, to be shown so that it cannot be overlooked.
	Host string

	// Warnings say what is suspicious about URL. If nil, nothing is.
	Warnings []string

	// Problem says why the answer before this one was not what the server asks
	// for. If zero, the question is put for the first time.
	Problem string
}

// An ElicitationField is one field of a form.
type ElicitationField struct {
	// Name is the name of the field in the Content of the answer.
	Name string

	// Title is for people. If zero, Name is as good.
	Title string

	// Description says what to fill in. It may be empty.
	Description string

	// Type is string, number, integer, boolean, or array, of strings.
	Type string

	// Format is email, uri, date, date-time or another one of a string. If
	// zero, any string will do.
	Format string

	// Options are the values to choose from. If nil, the field is free.
	Options []ElicitationOption

	// Default is the value that the field has if it is left out, as JSON. If
	// nil, there is none.
	Default json.RawMessage

	// Required says that the field must be filled in.
	Required bool
}

// An ElicitationOption is a value to choose.
type ElicitationOption struct {
	Value string
	Title string // for people; if zero, Value is as good
}

// An ElicitationAction is what a person does about a question.
type ElicitationAction string

// What a person does about a question.
const (
	ElicitAccept  ElicitationAction = "accept"  // the form is filled in, the visit agreed to
	ElicitDecline ElicitationAction = "decline" // the person said no
	ElicitCancel  ElicitationAction = "cancel"  // the person said nothing
)

// An ElicitationAnswer is what a person says to a question.
type ElicitationAnswer struct {
	// Action is what the person does. If zero, it is ElicitCancel.
	Action ElicitationAction

	// Content are the fields of a form that was accepted: strings, numbers,
	// booleans and lists of strings. Fields with a default may be left out. If
	// nil, all are.
	Content map[string]any
}

const (
	// maxAsked is how often a person is asked the same if the answer does not
	// fit.
	maxAsked = 3

	// completeTime is how long a call waits for the server's word that a visit
	// is over. Servers need not give it, so the call is then sent anyway.
	completeTime = 2 * time.Minute

	// maxVisits is how often a call may be answered with URLs to visit.
	maxVisits = 3
)

// questions are those that a server puts to persons, one at a time: two forms
// at once on one terminal are none. The zero value is ready.
type questions struct {
	once sync.Once
	turn chan struct{}

	mu      sync.Mutex // guards the field below
	awaited map[string]chan struct{}
}

func (q *questions) enter(ctx context.Context) error {
	q.once.Do(func() { q.turn = make(chan struct{}, 1) })
	select {
	case q.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *questions) leave() { <-q.turn }

// await returns a channel that is closed when the server says that a visit is
// over. Forget releases what it holds.
func (q *questions) await(id string) (over <-chan struct{}, forget func()) {
	c := make(chan struct{})
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.awaited == nil {
		q.awaited = make(map[string]chan struct{})
	}
	q.awaited[id] = c
	return c, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.awaited, id)
	}
}

func (q *questions) complete(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c, ok := q.awaited[id]; ok {
		close(c)
		delete(q.awaited, id)
	}
}

// elicit answers elicitation/create, and the same as an input request of a call.
func (s *Server) elicit(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	ctx, leave := s.inTask(ctx, relatedTask(req.Params.Meta))
	defer leave()
	question, schema, err := s.question(ctx, req.Params)
	if err != nil {
		s.logger().WarnContext(ctx, "mcp server asks what cannot be asked", "server", s.Name, "cause", err)
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
	}
	answer, err := s.put(ctx, question, schema)
	if err != nil {
		return nil, err
	}
	result := &mcp.ElicitResult{Meta: taskMeta(req.Params.Meta), Action: string(answer.Action)}
	if answer.Action == ElicitAccept && question.URL == "" {
		result.Content = answer.Content
	}
	return result, nil
}

// question reads what the server asks. The schema is nil for a URL.
func (s *Server) question(ctx context.Context, params *mcp.ElicitParams) (*Elicitation, *outputSchema, error) {
	q := &Elicitation{Server: s.Name, Message: params.Message, Call: s.askedIn(ctx)}
	if params.URL != "" {
		q.URL = params.URL
		return q, nil, q.readURL()
	}
	if params.RequestedSchema == nil {
		return q, nil, nil
	}
	raw, err := json.Marshal(params.RequestedSchema)
	if err != nil {
		return nil, nil, err
	}
	schema := readOutputSchema(raw)
	if err := schema.flat(); err != nil {
		return nil, nil, fmt.Errorf("requestedSchema: %w", err)
	}
	q.Schema, q.Fields = raw, fields(raw)
	return q, schema, nil
}

// askedIn returns the call that a question is about, as far as that is known.
func (s *Server) askedIn(ctx context.Context) *tramontane.Call {
	u, ok := ctx.Value(underwayKey{}).(*underway)
	if !ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.underway) != 1 {
			return nil
		}
		for _, u = range s.underway {
		}
	}
	call := *u.call
	return &call
}

// put puts a question to the person, when it is its turn, until the answer fits
// or the person does not want to. No call is late meanwhile.
func (s *Server) put(ctx context.Context, q *Elicitation, schema *outputSchema) (*ElicitationAnswer, error) {
	defer s.pause(ctx)()
	if err := s.questions.enter(ctx); err != nil {
		return nil, err
	}
	defer s.questions.leave()
	person, stop := s.personContext(ctx)
	defer stop()
	for range maxAsked {
		answer := s.putOnce(person, *q)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if answer.Action != ElicitAccept || schema == nil {
			return answer, nil
		}
		content, err := complete(schema, answer.Content)
		if err == nil {
			answer.Content = content
			return answer, nil
		}
		q.Problem = err.Error()
	}
	return nil, fmt.Errorf("the answer does not fit the requested schema: %s", q.Problem)
}

// putOnce calls Elicit. What goes wrong in it is no business of the server,
// which is told that the person said nothing.
func (s *Server) putOnce(ctx context.Context, q Elicitation) (answer *ElicitationAnswer) {
	defer func() {
		if p := recover(); p != nil {
			s.logger().ErrorContext(ctx, "elicitation panicked", "server", s.Name, "panic", p, "stack", string(debug.Stack()))
			answer = &ElicitationAnswer{Action: ElicitCancel}
		}
	}()
	given, err := s.Elicit(ctx, &q)
	if err != nil && ctx.Err() == nil {
		s.logger().WarnContext(ctx, "elicitation failed; the server is told that nobody answered", "server", s.Name, "cause", err)
	}
	if err != nil || given == nil {
		return &ElicitationAnswer{Action: ElicitCancel}
	}
	copied := *given
	switch copied.Action {
	case ElicitAccept, ElicitDecline, ElicitCancel:
	case "":
		copied.Action = ElicitCancel
	default:
		s.logger().WarnContext(ctx, "elicitation was answered with an unknown action; the server is told that nobody answered", "server", s.Name, "action", string(copied.Action))
		copied.Action = ElicitCancel
	}
	return &copied
}

// personContext returns a context with the values of the run that is asked, if
// it is known whose it is, for a program that serves several persons. It ends
// with the call that the question is about.
func (s *Server) personContext(ctx context.Context) (_ context.Context, stop func()) {
	if _, ok := ctx.Value(underwayKey{}).(*underway); ok {
		return ctx, func() {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.underway) != 1 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var call context.Context
	for _, u := range s.underway {
		call = u.ctx
	}
	stopAfter := context.AfterFunc(call, cancel)
	return &borrowed{ctx, call}, func() { stopAfter(); cancel() }
}

// A borrowed is a context with the values of another.
type borrowed struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (b *borrowed) Value(key any) any {
	if v := b.values.Value(key); v != nil {
		return v
	}
	return b.Context.Value(key)
}

// complete returns the content with defaults for what was left out, and checks
// that it fits. Defaults come first, also those of required fields: a person
// who leaves a field alone agrees to what it shows.
func complete(schema *outputSchema, content map[string]any) (map[string]any, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	full := map[string]any{} // of JSON's own types, which the schema speaks of
	if err := json.Unmarshal(data, &full); err != nil {
		return nil, err
	}
	if full == nil {
		full = map[string]any{}
	}
	for name, property := range schema.resolved.Schema().Properties {
		if _, there := full[name]; there || property == nil || property.Default == nil {
			continue
		}
		var value any
		if err := json.Unmarshal(property.Default, &value); err != nil {
			return nil, fmt.Errorf("default of %s: %w", name, err)
		}
		full[name] = value
	}
	if data, err = json.Marshal(full); err != nil {
		return nil, err
	}
	return full, schema.check(data)
}

// readURL checks the URL and says what people must be told of it.
func (q *Elicitation) readURL() error {
	u, err := url.Parse(q.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("url is not one of https or http")
	}
	q.Host = u.Host
	name := u.Hostname()
	if u.Scheme == "http" && !loopback(name) {
		q.Warnings = append(q.Warnings, "the connection is not encrypted")
	}
	if u.User != nil {
		q.Warnings = append(q.Warnings, fmt.Sprintf("what stands before the @ is no address: the host is %s", u.Host))
	}
	if strings.Contains(strings.ToLower("."+name), ".xn--") || strings.ContainsFunc(name, func(r rune) bool { return r > 0x7f }) {
		q.Warnings = append(q.Warnings, "the name of the host has letters that are not ASCII, and may look like another one")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// visits lets a person visit the URLs that a server asks for with the error of
// a call (code -32042, specification 2025-11-25, "URL Elicitation Required
// Error"), and reports whether the call is to be sent again: the server did
// nothing yet. The error says why not. The context is that of the request.
func (s *Server) visits(ctx context.Context, refused *jsonrpc.Error) error {
	var data struct {
		Elicitations []*mcp.ElicitParams `json:"elicitations"`
	}
	if err := json.Unmarshal(refused.Data, &data); err != nil || len(data.Elicitations) == 0 {
		return errors.New("it names no URL to visit")
	}
	var urls []string
	for _, params := range data.Elicitations {
		if params == nil || params.URL == "" {
			return errors.New("it asks for something else than visits to URLs")
		}
		urls = append(urls, params.URL)
	}
	if s.Elicit == nil {
		return fmt.Errorf("a person has to visit first: %s", strings.Join(urls, " "))
	}
	defer s.pause(ctx)()
	s.mu.Lock()
	told := s.session != nil && s.session.legacy() // later versions have no word for it
	s.mu.Unlock()
	for _, params := range data.Elicitations {
		over, forget := s.questions.await(params.ElicitationID)
		defer forget()
		q, _, err := s.question(ctx, params)
		if err != nil {
			return err
		}
		answer, err := s.put(ctx, q, nil)
		switch {
		case err != nil:
			return err
		case answer.Action != ElicitAccept:
			return fmt.Errorf("the person did not agree to visit %s", params.URL)
		case !told || params.ElicitationID == "":
			continue
		}
		timer := time.NewTimer(completeTime)
		defer timer.Stop()
		select {
		case <-over:
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// withVisits makes a request with do, again after each error that asks for
// visits which the person made. Sending it again is part of the protocol: the
// server answered that it did nothing.
func (s *Server) withVisits(ctx context.Context, do func() (json.RawMessage, error)) (json.RawMessage, error) {
	for n := 0; ; n++ {
		raw, err := do()
		var wire *jsonrpc.Error
		if !errors.As(err, &wire) || wire.Code != mcp.CodeURLElicitationRequired || n == maxVisits {
			return raw, err
		}
		if why := s.visits(ctx, wire); why != nil {
			return nil, &jsonrpc.Error{Code: wire.Code, Message: fmt.Sprintf("%s: %v", wire.Message, why), Data: wire.Data}
		}
	}
}
