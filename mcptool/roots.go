//lint:file-ignore SA1019 servers still use what MCP 2026-07-28 deprecates: sampling, roots, logging

package mcptool

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Root is a directory, or a file, that a server may work in (specification
// 2025-11-25, "Roots"). It is a request to the server, and keeps it from
// nothing.
type Root struct {
	// URI is that of the directory, of the scheme file.
	URI string

	// Name is for people. If zero, the URI says it.
	Name string
}

// DirRoot returns the root of a directory, by its path. A relative path starts
// at the working directory of the program, as it is now.
func DirRoot(path string) (Root, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return Root{}, fmt.Errorf("root %s: %w", path, err)
	}
	slashed := filepath.ToSlash(full)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/, on Windows
	}
	u := url.URL{Scheme: "file", Path: slashed}
	return Root{URI: u.String(), Name: filepath.Base(full)}, nil
}

// SetRoots takes the place of Roots, and tells the server that the list has
// changed, if it has a session that can be told: in protocol version 2026-07-28
// servers ask when they need it. Whether there is such a list at all is said at
// the start of a session, so a server that knows of none learns of it in its
// next. The error is about a root that is none, and changes nothing.
func (s *Server) SetRoots(roots []Root) error {
	if err := s.checkRoots(roots); err != nil {
		return err
	}
	s.roots.set(roots, s.Roots)
	return nil
}

// roots are those that hold now. The zero value is that of a server whose Roots
// never changed.
type roots struct {
	mu      sync.Mutex  // guards the fields below
	client  *mcp.Client // that answers the server, of the last session; nil if none
	changed bool
	all     []Root // if changed
}

// allRoots returns the roots that hold now, or nil if there is no such list.
func (s *Server) allRoots() []Root { return s.roots.now(s.Roots) }

// now returns the roots, or nil if there is no such list.
func (r *roots) now(first []Root) []Root {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed {
		return r.all
	}
	return first
}

// share gives the roots to a client, now and when they change.
func (r *roots) share(client *mcp.Client, first []Root) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.client = client
	if !r.changed {
		r.all = first
	}
	r.add()
}

func (r *roots) set(all, first []Root) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := first
	if r.changed {
		before = r.all
	}
	r.changed, r.all = true, append([]Root{}, all...)
	if r.client == nil {
		return
	}
	r.add()
	var gone []string
	for _, root := range before {
		if !slices.ContainsFunc(all, func(other Root) bool { return other.URI == root.URI }) {
			gone = append(gone, root.URI)
		}
	}
	r.client.RemoveRoots(gone...)
}

// add gives all roots to the client. The caller holds mu.
func (r *roots) add() {
	all := make([]*mcp.Root, len(r.all))
	for i, root := range r.all {
		all[i] = &mcp.Root{URI: root.URI, Name: root.Name}
	}
	r.client.AddRoots(all...)
}

func (s *Server) checkRoots(roots []Root) error {
	for _, r := range roots {
		if u, err := url.Parse(r.URI); err != nil || u.Scheme != "file" || u.Path == "" {
			return fmt.Errorf("%s: root %q: its URI is not one of scheme file, such as file:///home/ada/project", s, r.URI)
		}
	}
	return nil
}
