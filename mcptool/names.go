package mcptool

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	maxName    = 64 // characters, the limit of the model APIs
	hashLength = 8  // hex digits
)

// A toolID is what makes a tool the one it is.
type toolID struct {
	server string
	tool   string
}

// toolNames returns the name for the model of each tool: <server>_<tool>, with
// '_' for each character that a name cannot hold. A name that is too long, and
// all that would be equal, end in a hash of server and tool instead. So names
// depend on the set of ids, not on its order, and no server can take the name
// of another's tool for its own.
func toolNames(ids []toolID) ([]string, error) {
	names := make([]string, len(ids))
	hashed := make([]bool, len(ids))
	for i, id := range ids {
		names[i] = clean(id.server) + "_" + clean(id.tool)
		if len(names[i]) > maxName {
			names[i], hashed[i] = hashedName(id), true
		}
	}
	// A name with a hash can be equal to one that a server made up to be so;
	// then that one gets a hash too.
	for changed := true; changed; {
		changed = false
		first := make(map[string]int)
		var equal []int
		for i, name := range names {
			j, taken := first[name]
			if !taken {
				first[name] = i
				continue
			}
			equal = append(equal, i, j)
		}
		for _, i := range equal {
			if !hashed[i] {
				names[i], hashed[i], changed = hashedName(ids[i]), true, true
			}
		}
		if len(equal) > 0 && !changed {
			a, b := ids[equal[0]], ids[equal[1]]
			return nil, fmt.Errorf("tool %q of server %s and tool %q of server %s cannot be told apart; rename a server",
				b.tool, b.server, a.tool, a.server)
		}
	}
	return names, nil
}

// hashedName keeps as much of both names as fits: at least 20 characters of
// the server's.
func hashedName(id toolID) string {
	sum := sha256.Sum256([]byte(id.server + "\x00" + id.tool))
	room := maxName - hashLength - 2
	server, tool := clean(id.server), clean(id.tool)
	if len(server)+len(tool) > room {
		server = server[:min(len(server), max(20, room-len(tool)))]
		tool = tool[:min(len(tool), room-len(server))]
	}
	return server + "_" + tool + "_" + hex.EncodeToString(sum[:])[:hashLength]
}

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, s)
}
