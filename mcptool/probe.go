package mcptool

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A probe remembers what came of server/discover. The SDK sends initialize after
// any failure of it, but a server that refuses it as only one of 2026-07-28 or
// later does must not be asked that way (specification 2026-07-28,
// "Versioning"). Its zero value knows nothing.
type probe struct {
	mu      sync.Mutex // guards the fields below
	id      jsonrpc.ID // of the last
	refused error      // why initialize is not to be sent; nil if it may be
}

func (p *probe) sent(req *jsonrpc.Request) {
	if req.Method != "server/discover" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id, p.refused = req.ID, nil
}

func (p *probe) answered(resp *jsonrpc.Response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.id.IsValid() && p.id == resp.ID {
		p.refused = refusal(resp)
	}
}

// refusal returns why initialize is not to be sent, or nil.
func (p *probe) refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// A refusedError is the error of a server that a session cannot be had with,
// though it speaks 2026-07-28 or later.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }

// refusal returns what is in the answer to a probe that forbids initialize, or
// nil.
func refusal(resp *jsonrpc.Response) error {
	var wire *jsonrpc.Error
	if !errors.As(resp.Error, &wire) {
		var result struct {
			Supported []string `json:"supportedVersions"`
		}
		if resp.Error != nil || json.Unmarshal(resp.Result, &result) != nil || len(result.Supported) == 0 || known(result.Supported, "") {
			return nil
		}
		return &refusedError{fmt.Errorf("there is no common protocol version%s", versions(result.Supported))}
	}
	said := fmt.Errorf("the server answered with error %d: %w", wire.Code, wire)
	switch wire.Code {
	case mcp.CodeHeaderMismatch, mcp.CodeMissingRequiredClientCapabilities:
		return &refusedError{said}
	case mcp.CodeUnsupportedProtocolVersion:
		var data mcp.UnsupportedProtocolVersionData
		json.Unmarshal(wire.Data, &data) // what is malformed names none
		if known(data.Supported, legacyVersion) {
			return nil
		}
		return &refusedError{fmt.Errorf("there is no common protocol version%s: %w", versions(data.Supported), said)}
	}
	return nil
}

// known reports whether we speak one of the versions, up to newest if that is
// set.
func known(all []string, newest string) bool {
	ours := mcp.SupportedProtocolVersions()
	return slices.ContainsFunc(all, func(v string) bool { return slices.Contains(ours, v) && (newest == "" || v <= newest) })
}

// versions says in an error which versions a server has.
func versions(all []string) string {
	if len(all) == 0 {
		return ""
	}
	theirs := visible(strings.Join(all[:min(len(all), 10)], ", "))
	return fmt.Sprintf(" (it speaks %.200s; this program %s)", theirs, strings.Join(mcp.SupportedProtocolVersions(), ", "))
}
