package mcptool

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Since version 2026-07-28, HTTP headers mirror parts of a request, so that what
// stands before a server can route it unread: the method, the name of what is
// used, and the arguments of a tool that its schema marks with "x-mcp-header"
// (specification 2026-07-28, "Streamable HTTP: Request Headers").
const (
	methodHeader      = "Mcp-Method"
	nameHeader        = "Mcp-Name"
	paramHeaderPrefix = "Mcp-Param-"
	paramHeaderKey    = "x-mcp-header"
)

// maxHeaderDepth bounds how deep in a schema marks are looked for: each level is
// parsed anew, so that without it a small schema of a server takes minutes.
const maxHeaderDepth = 32

// setMirrorHeaders sets the headers that mirror req.
func setMirrorHeaders(ctx context.Context, h http.Header, req *jsonrpc.Request) {
	var params struct {
		Name      *string         `json:"name"`
		URI       *string         `json:"uri"`
		TaskID    *string         `json:"taskId"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if v := protocolVersion(req.Params); v != "" {
		h[versionHeader] = []string{v}
	}
	h[methodHeader] = []string{req.Method}
	switch req.Method {
	case "tools/call", "prompts/get", "resources/read", "tasks/get", "tasks/update", "tasks/cancel":
		json.Unmarshal(req.Params, &params) // the SDK has made it
	}
	switch {
	case req.Method == "resources/read" && params.URI != nil:
		h[nameHeader] = []string{headerValue(*params.URI)}
	case strings.HasPrefix(req.Method, "tasks/") && params.TaskID != nil:
		h[nameHeader] = []string{headerValue(*params.TaskID)}
	case params.Name != nil:
		h[nameHeader] = []string{headerValue(*params.Name)}
	}
	if schema, ok := ctx.Value(schemaKey{}).(json.RawMessage); ok && req.Method == "tools/call" {
		marks, err := headerParams(schema)
		if err != nil {
			return // such a tool is not offered
		}
		for _, m := range marks {
			if value, ok := m.value(params.Arguments); ok {
				h[http.CanonicalHeaderKey(paramHeaderPrefix+m.header)] = []string{headerValue(value)}
			}
		}
	}
}

// protocolVersion returns the version that the params of a request name, or
// nothing.
func protocolVersion(params json.RawMessage) string {
	var p struct {
		Meta map[string]json.RawMessage `json:"_meta"`
	}
	var version string
	if json.Unmarshal(params, &p) == nil {
		json.Unmarshal(p.Meta[mcp.MetaKeyProtocolVersion], &version)
	}
	return version
}

type schemaKey struct{}

// withSchema returns a context for a call of the tool whose parameters have the
// schema.
func withSchema(ctx context.Context, schema json.RawMessage) context.Context {
	if !bytes.Contains(schema, []byte(paramHeaderKey)) {
		return ctx
	}
	return context.WithValue(ctx, schemaKey{}, schema)
}

// mirrors reports whether the requests on l have mirroring headers.
func mirrors(l link) bool {
	c, ok := l.(*httpLink)
	return ok && c.isModern()
}

// checkHeaderParams returns why a tool whose parameters have the schema must
// not be offered on a link that mirrors, or nil.
func checkHeaderParams(schema json.RawMessage) error {
	_, err := headerParams(schema)
	return err
}

// A headerParam is an argument that stands in a header too.
type headerParam struct {
	path   []string // of property names
	header string   // without the prefix
}

// headerParams returns the arguments that stand in headers, in the order of
// their paths.
func headerParams(schema json.RawMessage) ([]headerParam, error) {
	if !bytes.Contains(schema, []byte(paramHeaderKey)) {
		return nil, nil
	}
	var root schemaNode
	if err := json.Unmarshal(schema, &root); err != nil {
		return nil, fmt.Errorf("its inputSchema is malformed: %w", err)
	}
	params, err := root.params(nil, nil)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(params, func(a, b headerParam) int { return slices.Compare(a.path, b.path) })
	seen := make(map[string]string)
	for _, p := range params {
		key, name := strings.ToLower(p.header), strings.Join(p.path, ".")
		if other, ok := seen[key]; ok {
			return nil, fmt.Errorf("its parameters %s and %s have the same %s %q", other, name, paramHeaderKey, p.header)
		}
		seen[key] = name
	}
	return params, nil
}

// A schemaNode is the part of a JSON schema that matters here. Type may be any
// JSON, as may the mark.
type schemaNode struct {
	Type       json.RawMessage            `json:"type"`
	Header     json.RawMessage            `json:"x-mcp-header"`
	Properties map[string]json.RawMessage `json:"properties"`
}

// params appends the marked properties of n, which is at path.
func (n *schemaNode) params(path []string, to []headerParam) ([]headerParam, error) {
	if len(path) == maxHeaderDepth && len(n.Properties) > 0 {
		return nil, fmt.Errorf("its inputSchema has %s and is more than %d levels deep", paramHeaderKey, maxHeaderDepth)
	}
	for name, raw := range n.Properties {
		var prop schemaNode
		if json.Unmarshal(raw, &prop) != nil {
			continue // true, false, or what is for the server to explain
		}
		at := append(slices.Clip(path), name)
		if prop.Header != nil {
			header, err := prop.header()
			if err != nil {
				return nil, fmt.Errorf("its parameter %s: %w", strings.Join(at, "."), err)
			}
			to = append(to, headerParam{at, header})
		}
		var err error
		if to, err = prop.params(at, to); err != nil {
			return nil, err
		}
	}
	return to, nil
}

// header returns the name that a marked property has in the header.
func (n *schemaNode) header() (string, error) {
	var kind, name string
	json.Unmarshal(n.Type, &kind) // a list of types is none
	switch kind {
	case "string", "integer", "boolean":
	default:
		return "", fmt.Errorf("%s is for strings, integers and booleans only, and its type is %.40s", paramHeaderKey, n.Type)
	}
	if json.Unmarshal(n.Header, &name) != nil || name == "" {
		return "", fmt.Errorf("%s is %.40s, which is no name", paramHeaderKey, n.Header)
	}
	const others = "!#$%&'*+-.^_`|~"
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(others, c) >= 0) {
			return "", fmt.Errorf("%s is %q, which cannot stand in a header", paramHeaderKey, name)
		}
	}
	return name, nil
}

// value returns the argument as text. It reports whether the argument is there
// and can stand in a header.
func (p headerParam) value(arguments json.RawMessage) (string, bool) {
	raw := arguments
	for _, name := range p.path {
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			return "", false
		}
		raw = object[name]
	}
	if len(raw) == 0 {
		return "", false
	}
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	case 't', 'f':
		return string(raw), true
	default:
		return integer(string(raw))
	}
}

// maxInteger is the largest integer that a JSON number holds for everybody.
const maxInteger = 1<<53 - 1

// integer returns a JSON number in plain decimal digits, if it is an integer
// that every peer reads alike.
func integer(number string) (string, bool) {
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		return strconv.FormatInt(n, 10), -maxInteger <= n && n <= maxInteger
	} else if errors.Is(err, strconv.ErrRange) {
		return "", false
	}
	// It may be written as 1.0 or 1e3.
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != float64(int64(f)) || f < -maxInteger || f > maxInteger {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}

// headerValue returns s as it can stand in a header: as it is, or in base64
// between markers.
func headerValue(s string) string {
	const prefix, suffix = "=?base64?", "?="
	plain := strings.Trim(s, " \t") == s && !(strings.HasPrefix(s, prefix) && strings.HasSuffix(s, suffix))
	for _, c := range []byte(s) {
		plain = plain && ' ' <= c && c <= '~'
	}
	if plain {
		return s
	}
	return prefix + base64.StdEncoding.EncodeToString([]byte(s)) + suffix
}
