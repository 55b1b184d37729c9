package mcptool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// toolsChanged is the notice that a server's tools have changed. It is taken in
// here, not by the SDK, whose handler would run beside the replies that follow
// it, and whose subscription leaves a goroutine behind.
const toolsChanged = "notifications/tools/list_changed"

// A codec reads the messages of a server for a connection. The results of some
// requests it takes past the SDK; see [carriedResult]. Its zero value is ready.
type codec struct {
	tools toolList // what the server said that it offers

	// dropped, if not nil, says whether a response is to be dropped.
	dropped func(id jsonrpc.ID) bool

	mu      sync.Mutex             // guards the field below
	carried map[jsonrpc.ID]carried // by the ids of requests
}

// A carried says which results of a request go past the SDK.
type carried int

const (
	carriedAlways carried = iota
	carriedAsking         // if it asks for input
	carriedNever          // it is only checked
	carriedUnkept         // it is checked, and the SDK is not to keep it
)

// note keeps what decode must know of a request, or of the end of one, that is
// about to be sent.
func (c *codec) note(req *jsonrpc.Request) {
	switch req.Method {
	case "tools/call", "tools/list", "tasks/get", "tasks/result", "tasks/update", "tasks/cancel":
		c.carry(req.ID, carriedAlways)
	case "prompts/get", "resources/read":
		c.carry(req.ID, carriedAsking)
	case "prompts/list", "resources/list", "resources/templates/list":
		c.carry(req.ID, carriedUnkept)
	case "completion/complete", "skills/list", "skills/get":
		c.carry(req.ID, carriedNever)
	case "notifications/cancelled":
		var params struct {
			RequestID json.RawMessage `json:"requestId"`
		}
		if json.Unmarshal(req.Params, &params) != nil {
			return
		}
		if id, err := parseID(params.RequestID); err == nil {
			c.forget(id)
		}
	}
}

func (c *codec) carry(id jsonrpc.ID, how carried) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.carried == nil {
		c.carried = make(map[jsonrpc.ID]carried)
	}
	c.carried[id] = how
}

// forget tells that the request id will have no answer.
func (c *codec) forget(id jsonrpc.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.carried, id)
}

// An envelope is a JSON-RPC message, its contents unread.
type envelope struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *jsonrpc.Error  `json:"error"`
}

// decode returns the messages in data: one, or those of a batch, which
// servers of 2025-03-26 may send. An error leaves out what it is about.
func (c *codec) decode(data []byte) ([]jsonrpc.Message, error) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 {
		return nil, nil
	}
	all := []json.RawMessage{trimmed}
	if trimmed[0] == '[' {
		if err := json.Unmarshal(trimmed, &all); err != nil {
			return nil, err
		}
	}
	var msgs []jsonrpc.Message
	var errs []error // they cost no other message of the batch
	for _, raw := range all {
		var e envelope
		if err := json.Unmarshal(raw, &e); err != nil {
			errs = append(errs, err)
			continue
		}
		msg, err := c.message(&e)
		if err != nil {
			errs = append(errs, err)
		} else if msg != nil {
			msgs = append(msgs, msg)
		}
	}
	return msgs, errors.Join(errs...)
}

func (c *codec) message(e *envelope) (jsonrpc.Message, error) {
	if e.Version != "2.0" {
		return nil, errors.New(`it has no "jsonrpc": "2.0"`)
	}
	id, err := parseID(e.ID)
	if err != nil {
		return nil, err
	}
	if e.Method != nil {
		return c.take(&jsonrpc.Request{ID: id, Method: *e.Method, Params: e.Params}), nil
	}
	if !id.IsValid() {
		return nil, errors.New("it has neither a method nor an id")
	}
	resp := &jsonrpc.Response{ID: id, Result: e.Result}
	if e.Error != nil {
		resp.Error = e.Error
	}
	return c.take(resp), nil
}

// take returns what the SDK is to get in the place of a message from the
// server, or nil.
func (c *codec) take(msg jsonrpc.Message) jsonrpc.Message {
	resp, ok := msg.(*jsonrpc.Response)
	if !ok {
		if req, ok := msg.(*jsonrpc.Request); ok && req.Method == toolsChanged {
			c.tools.changed()
		}
		return msg
	}
	if c.dropped != nil && c.dropped(resp.ID) {
		return nil
	}
	c.mu.Lock()
	how, ok := c.carried[resp.ID]
	delete(c.carried, resp.ID)
	c.mu.Unlock()
	switch {
	case !ok || resp.Error != nil:
		return resp
	case how == carriedAlways, how == carriedAsking && asksForInput(resp.Result):
		return &jsonrpc.Response{ID: resp.ID, Error: &carriedResult{resp.Result}}
	}
	var result struct {
		Type string `json:"resultType"`
	}
	json.Unmarshal(resp.Result, &result) // the SDK says what is wrong with it
	if err := checkKind(result.Type); err != nil {
		return &jsonrpc.Response{ID: resp.ID, Error: err}
	}
	if how == carriedNever {
		return resp
	}
	return &jsonrpc.Response{ID: resp.ID, Result: unkept(resp.Result)}
}

// unkept returns a result without the time that it holds. The SDK would keep it
// for that long by session, though a session may serve several users, and though
// it may rest on what somebody answered (specification 2026-07-28, "Caching" and
// "Multi Round-Trip Requests").
func unkept(raw json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return raw // the SDK says what is wrong with it
	}
	if _, ok := members["ttlMs"]; !ok {
		return raw
	}
	delete(members, "ttlMs")
	without, err := json.Marshal(members)
	if err != nil {
		return raw
	}
	return without
}

// parseID reads the id of a message. No id and null give the zero ID.
func parseID(raw json.RawMessage) (jsonrpc.ID, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return jsonrpc.ID{}, nil
	}
	if raw[0] == '"' {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return jsonrpc.ID{}, err
		}
		return jsonrpc.MakeID(s)
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return jsonrpc.ID{}, fmt.Errorf("its id %.40s is neither a string nor an integer", raw)
	}
	return jsonrpc.MakeID(float64(n))
}
