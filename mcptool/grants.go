package mcptool

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/tramontane-dev/tramontane"
)

// Grants remember which tools a person allowed for good, so that the Approve of
// a [tramontane.Runner] need not ask again. A grant is for one tool of one
// server as it is now: when the server changes the tool, or when another server
// takes its name, the grant is void. Nothing here allows a call by itself.
//
// The zero value keeps grants in memory. Set the fields before the first use
// and leave them alone then. All methods are safe for concurrent use; programs
// that share a file see each other's grants at once, but two that change it in
// the same moment may lose one change.
type Grants struct {
	// Path is a JSON file of this person's, which is made when it is needed, as
	// is its directory. If zero, grants end with the program.
	Path string

	// Servers are those of the run. A grant is bound to how its server is
	// reached, too, if it is one of them. If nil, it is bound to its name.
	Servers Servers

	mu   sync.Mutex // guards the field below and the file
	kept []Grant    // without a file
}

// A Grant allows all calls of one tool.
type Grant struct {
	Server string `json:"server,omitempty"` // empty for a function of the program
	Tool   string `json:"tool"`             // by the server's own name
	Digest string `json:"digest"`           // of the server and the tool as they were
}

// Has reports whether the tool is allowed, as it is now.
func (g *Grants) Has(tool tramontane.Definition) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all, err := g.load()
	return slices.Contains(all, g.grant(tool)), err
}

// Add allows the tool, as it is now.
func (g *Grants) Add(tool tramontane.Definition) error {
	return g.change(func(all []Grant) []Grant {
		grant := g.grant(tool)
		all = slices.DeleteFunc(all, func(old Grant) bool { return old.Server == grant.Server && old.Tool == grant.Tool })
		return append(all, grant)
	})
}

// Revoke takes back what was allowed of a tool, or of all tools of the server
// if tool is empty. It returns how many grants there were.
func (g *Grants) Revoke(server, tool string) (int, error) {
	revoked := 0
	err := g.change(func(all []Grant) []Grant {
		return slices.DeleteFunc(all, func(old Grant) bool {
			found := old.Server == server && (tool == "" || old.Tool == tool)
			if found {
				revoked++
			}
			return found
		})
	})
	return revoked, err
}

// All returns the grants, those that are void among them, in the order in which
// they were made.
func (g *Grants) All() ([]Grant, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all, err := g.load()
	return slices.Clone(all), err
}

func (g *Grants) grant(tool tramontane.Definition) Grant {
	pinned := struct {
		Server LockedServer
		Dir    string // where a relative command starts
		Tool   LockedTool
	}{Tool: lockTool(tool)}
	for _, s := range g.Servers {
		if s.Name == tool.Server {
			pinned.Server, pinned.Dir = s.identity(), s.Dir
		}
	}
	data, err := marshalRaw(pinned)
	if err != nil {
		data = fmt.Append(nil, pinned) // cannot be: it is strings and valid JSON
	}
	sum := sha256.Sum256(data)
	return Grant{Server: tool.Server, Tool: original(tool), Digest: "sha256:" + hex.EncodeToString(sum[:])}
}

func (g *Grants) change(edit func([]Grant) []Grant) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	all, err := g.load()
	if err != nil {
		return err
	}
	all = edit(all)
	if g.Path == "" {
		g.kept = all
		return nil
	}
	data, err := marshalRaw(grantFile{grantVersion, all})
	if err == nil {
		err = os.MkdirAll(filepath.Dir(g.Path), 0o700)
	}
	if err == nil {
		err = writeFileAtomic(g.Path, indented(data), 0o600)
	}
	if err != nil {
		return fmt.Errorf("grants %s: %w", g.Path, err)
	}
	return nil
}

// grantVersion is that of the file's form.
const grantVersion = 1

type grantFile struct {
	Version int     `json:"version"`
	Grants  []Grant `json:"grants"`
}

func (g *Grants) load() ([]Grant, error) {
	if g.Path == "" {
		return g.kept, nil
	}
	data, err := os.ReadFile(g.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("grants: %w", err)
	}
	var file grantFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("grants %s: %w; remove the file to be asked again", g.Path, err)
	}
	if file.Version != grantVersion {
		return nil, fmt.Errorf("grants %s: its version is %d, and this program knows %d", g.Path, file.Version, grantVersion)
	}
	return file.Grants, nil
}
