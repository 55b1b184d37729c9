package mcptool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// cacheVersion changes with the meaning of what is kept.
const cacheVersion = 1

// A cachedList is what a file of CacheDir holds.
type cachedList struct {
	Version int               `json:"version"`
	Server  string            `json:"server"`
	Tools   []json.RawMessage `json:"tools"`
}

// cachedTools returns the tools of a server that has no session, as they were
// listed last, if that is known.
func (s *Server) cachedTools() ([]*tool, bool) {
	s.mu.Lock()
	live := s.session != nil && s.session.conn.ended() == nil
	s.mu.Unlock()
	if live || s.CacheDir == "" {
		return nil, false
	}
	data, err := os.ReadFile(s.cacheFile())
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.logger().Warn("the list of tools kept of an mcp server cannot be read", "server", s.Name, "cause", err)
		}
		return nil, false
	}
	var kept cachedList
	if err := json.Unmarshal(data, &kept); err != nil || kept.Version != cacheVersion {
		return nil, false // of another version of this program, or none of ours
	}
	var listed []*listedTool
	for _, raw := range kept.Tools {
		t, err := decodeTool(raw)
		if err != nil {
			return nil, false
		}
		listed = append(listed, t)
	}
	return s.toolsOf(listed), true
}

// keepList keeps what the server offers for the next program. That it cannot
// be kept costs a start of the server, so it is no error.
func (s *Server) keepList(ctx context.Context, listed []*listedTool) {
	if s.CacheDir == "" {
		return
	}
	kept := cachedList{Version: cacheVersion, Server: s.Name}
	for _, t := range listed {
		kept.Tools = append(kept.Tools, t.raw)
	}
	if err := s.writeCache(kept); err != nil {
		s.logger().WarnContext(ctx, "the list of tools of an mcp server cannot be kept", "server", s.Name, "cause", err)
	}
}

func (s *Server) writeCache(kept cachedList) error {
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.CacheDir, 0o700); err != nil {
		return err
	}
	return writeFileAtomic(s.cacheFile(), data, 0o600)
}

// cacheFile is named after what makes the server another one. Secrets may be
// in some of it, and are not to be guessed from a name: values of Env and
// Header are left out, and with them whose tools these are, so servers that
// differ only in those need names of their own.
func (s *Server) cacheFile() string {
	id, err := json.Marshal([]any{s.Name, s.Command, s.Args, s.Dir, withoutSecrets(s.URL)})
	if err != nil {
		panic(err) // strings always can be encoded
	}
	sum := sha256.Sum256(id)
	return filepath.Join(s.CacheDir, hex.EncodeToString(sum[:16])+".json")
}
