package mcptool

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/tramontane-dev/tramontane"
)

// DefaultLockFile is the usual name of a lock file, beside the config file.
const DefaultLockFile = "tramontane-lock.json"

// lockVersion is that of the file's form.
const lockVersion = 1

// A Lock pins what the tools of servers are: a server that changes one after a
// person has looked at it is noticed by a [Guard]. It is kept in a JSON file
// that is made to be read and reviewed, and is the same for the same tools.
//
// A server may offer more tools to clients that can do more: to those with
// [Server.Elicit] such as ask a person, with [Server.Sampling] such as ask a
// model. For those that come and go, every Lock but the one that was made in the
// same circumstances reports drift. A program that runs at a terminal and without
// one gives the servers the same fields in both, or excludes such tools by the
// [Policy], which a [Guard] does not pin then.
type Lock struct {
	// Servers are the pinned servers by name.
	Servers map[string]LockedServer `json:"servers"`
}

// A LockedServer is what a Lock keeps of a server: how it is reached, and its
// tools. It holds no secrets: of variables and headers it has the names, and in
// arguments and URLs it has *** for what looks like a secret. The variables of a
// config file stand there as the file has them.
type LockedServer struct {
	Command []string              `json:"command,omitempty"` // with its arguments
	URL     string                `json:"url,omitempty"`
	Env     []string              `json:"env,omitempty"`     // names of variables
	Headers []string              `json:"headers,omitempty"` // their names
	Tools   map[string]LockedTool `json:"tools"`             // by the server's own name
}

// A LockedTool is what a Lock keeps of a tool: all that the model or a person
// is told of it. Schemas are in a canonical form.
type LockedTool struct {
	Title       string
	Description string
	Hints       []string
	Input       json.RawMessage
	Output      json.RawMessage
}

// toolInFile is a LockedTool in a lock file.
type toolInFile struct {
	Title       string          `json:"title,omitempty"`
	Description lines           `json:"description,omitempty"`
	Hints       []string        `json:"hints,omitempty"`
	Input       json.RawMessage `json:"input,omitempty"`
	Output      json.RawMessage `json:"output,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (t LockedTool) MarshalJSON() ([]byte, error) {
	return marshalRaw(toolInFile{t.Title, lines(t.Description), t.Hints, t.Input, t.Output})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *LockedTool) UnmarshalJSON(data []byte) error {
	var f toolInFile
	err := json.Unmarshal(data, &f)
	*t = LockedTool{f.Title, string(f.Description), f.Hints, canonical(f.Input), canonical(f.Output)}
	return err
}

// lines is a text that is a list of its lines in JSON if it has several, so
// that a review shows which of them changed.
type lines string

func (t lines) MarshalJSON() ([]byte, error) {
	if all := strings.Split(string(t), "\n"); len(all) > 1 {
		return marshalRaw(all)
	}
	return marshalRaw(string(t))
}

func (t *lines) UnmarshalJSON(data []byte) error {
	var all []string
	if json.Unmarshal(data, &all) == nil {
		*t = lines(strings.Join(all, "\n"))
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}

// NewLock returns a Lock of tools as set has returned them, before any [Guard].
// Servers of set that cannot be had are not in it, and neither are tools of the
// program itself.
func NewLock(set tramontane.Toolset, tools []tramontane.Tool) *Lock {
	l := &Lock{Servers: make(map[string]LockedServer)}
	for _, s := range serversOf(set) {
		if !s.mayOfferMore() {
			l.Servers[s.Name] = s.identityWritten()
		}
	}
	for _, t := range tools {
		def := t.Definition()
		if def.Server == "" {
			continue
		}
		server, ok := l.Servers[def.Server]
		if !ok {
			// A lazy server whose tools are known from before, or one of a
			// Toolset that is not ours.
			server = LockedServer{Tools: make(map[string]LockedTool)}
			for _, s := range serversOf(set) {
				if s.Name == def.Server {
					server = s.identityWritten()
				}
			}
			l.Servers[def.Server] = server
		}
		server.Tools[original(def)] = lockTool(def)
	}
	return l
}

func lockTool(def tramontane.Definition) LockedTool {
	t := LockedTool{
		Title:       def.Title,
		Description: def.Description,
		Input:       canonical(def.Parameters),
		Output:      canonical(def.Output),
	}
	for _, hint := range []struct {
		given bool
		name  string
	}{{def.ReadOnly, "read-only"}, {def.Idempotent, "idempotent"}, {def.Additive, "additive"}, {def.Closed, "closed"}} {
		if hint.given {
			t.Hints = append(t.Hints, hint.name)
		}
	}
	return t
}

// ReadLock reads a lock file. The error of a file that is not there wraps
// [fs.ErrNotExist].
func ReadLock(path string) (*Lock, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("mcp lock: %w", err)
	}
	file := struct {
		Version int `json:"version"`
		Lock
	}{}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("mcp lock %s: %w; make it anew with: tramontane mcp lock", path, err)
	}
	if file.Version != lockVersion {
		return nil, fmt.Errorf("mcp lock %s: its version is %d, and this program knows %d", path, file.Version, lockVersion)
	}
	return &file.Lock, nil
}

// WriteFile writes the lock to a file that everybody may read, at once: whoever
// reads it meanwhile sees all of the old or all of the new.
func (l *Lock) WriteFile(path string) error {
	data, err := marshalRaw(struct {
		Version int `json:"version"`
		*Lock
	}{lockVersion, l})
	if err == nil {
		err = writeFileAtomic(path, indented(data), 0o644)
	}
	if err != nil {
		return fmt.Errorf("mcp lock %s: %w", path, err)
	}
	return nil
}

// Update puts the servers of now in the place of those that l has of the same
// names. Others stay: a server that cannot be had today is still pinned.
func (l *Lock) Update(now *Lock) {
	if l.Servers == nil {
		l.Servers = make(map[string]LockedServer)
	}
	maps.Copy(l.Servers, now.Servers)
}

func (l *Lock) has(server, tool string) bool {
	_, ok := l.Servers[server].Tools[tool]
	return ok
}

// Drift returns how the servers of now differ from what l pins. Servers that
// are only in l are no drift: they offer nothing.
func (l *Lock) Drift(now *Lock) *Drift {
	d := new(Drift)
	for _, name := range slices.Sorted(maps.Keys(now.Servers)) {
		server := now.Servers[name]
		pinned, known := l.Servers[name]
		d.compare(name, "", known, true, pinned.fields(), server.fields())
		tools := slices.Concat(slices.Collect(maps.Keys(pinned.Tools)), slices.Collect(maps.Keys(server.Tools)))
		slices.Sort(tools)
		for _, tool := range slices.Compact(tools) {
			before, was := pinned.Tools[tool]
			after, is := server.Tools[tool]
			d.compare(name, tool, was, is, before.fields(), after.fields())
		}
	}
	return d
}

// A Drift is how servers differ from what a [Lock] pins.
type Drift struct {
	// Changes are in the order of servers and tools. If empty, all is as it was
	// pinned.
	Changes []Change
}

// A Change is one server or tool that is not as it was pinned.
type Change struct {
	Server string
	Tool   string // empty if it is the server itself, such as its command
	Kind   ChangeKind

	// Fields are what changed, such as "description" and "input".
	Fields []string

	diff string
}

// A ChangeKind says what became of a server or tool.
type ChangeKind string

// What became of a server or tool.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
)

// String names what changed, in one line that is safe to print.
func (c Change) String() string {
	name := visible(c.Server)
	if c.Tool != "" {
		name += "/" + visible(c.Tool)
	}
	if c.Kind == Changed {
		return fmt.Sprintf("%s changed (%s)", name, strings.Join(c.Fields, ", "))
	}
	return name + " " + string(c.Kind)
}

// String returns the whole difference, line by line: what was pinned begins
// with -, and what is there now with +. What servers wrote is escaped, so it is
// safe to print. If nothing changed, it is empty.
func (d *Drift) String() string {
	var b strings.Builder
	for _, c := range d.Changes {
		b.WriteString(c.String())
		b.WriteByte('\n')
		b.WriteString(c.diff)
	}
	return b.String()
}

// A field is what a lock keeps under one name, as lines to be shown.
type field struct {
	name string
	text string
}

func (s LockedServer) fields() []field {
	var url []string
	if s.URL != "" {
		url = []string{s.URL}
	}
	return []field{{"command", shown(s.Command)}, {"url", shown(url)}, {"env", shown(s.Env)}, {"headers", shown(s.Headers)}}
}

func (t LockedTool) fields() []field {
	var description []string
	if t.Description != "" {
		description = strings.Split(t.Description, "\n")
	}
	return []field{
		{"title", visible(t.Title)},
		{"description", shown(description)},
		{"hints", shown(t.Hints)},
		{"input", string(indented(t.Input))},
		{"output", string(indented(t.Output))},
	}
}

// shown returns words or lines, each on a line of its own.
func shown(words []string) string {
	var b strings.Builder
	for _, w := range words {
		b.WriteString(visible(w) + "\n")
	}
	return b.String()
}

// compare adds to the drift what became of a server or tool.
func (d *Drift) compare(server, tool string, was, is bool, before, after []field) {
	c := Change{Server: server, Tool: tool}
	switch {
	case !was:
		c.Kind = Added
	case !is:
		// What it was is in the file; what matters is that it is gone.
		d.Changes = append(d.Changes, Change{Server: server, Tool: tool, Kind: Removed})
		return
	default:
		c.Kind = Changed
	}
	var b strings.Builder
	for i := range after {
		if before[i].text == after[i].text {
			continue
		}
		c.Fields = append(c.Fields, after[i].name)
		fmt.Fprintf(&b, "  %s:\n", after[i].name)
		for _, line := range diffLines(before[i].text, after[i].text) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	c.diff = b.String()
	if c.Kind == Added || len(c.Fields) > 0 {
		d.Changes = append(d.Changes, c)
	}
}

// diffLines returns the lines of two texts that differ, with some around them,
// each behind a sign and a space.
func diffLines(before, after string) []string {
	out := diff.Diff("a", withNewline(before), "b", withNewline(after))
	var lines []string
	for i, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		switch {
		case i < 3: // the names of files
		case strings.HasPrefix(line, "@@ ") && i == 3:
		case strings.HasPrefix(line, "@@ "):
			lines = append(lines, "  ...")
		default:
			lines = append(lines, line[:1]+" "+line[1:])
		}
	}
	return lines
}

func withNewline(s string) []byte {
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return []byte(s)
}

// canonical returns JSON with the members of objects in order and nothing
// between, so that what means the same is the same.
func canonical(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // 1e400 and 2^60 stay what they are
	var value any
	if err := dec.Decode(&value); err != nil {
		value = string(raw)
	}
	data, err := marshalRaw(value)
	if err != nil {
		return raw // cannot be: it was just decoded
	}
	return data
}

// marshalRaw is json.Marshal without the escapes for HTML, which no reviewer
// wants to read, and with escapes for characters that he cannot see.
func marshalRaw(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		switch {
		case !hidden(r): // which no character outside of strings is
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes(), nil
}

// indented returns JSON with a line for each member.
func indented(raw []byte) []byte {
	if len(raw) == 0 {
		return nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return raw
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// writeFileAtomic writes a file under another name in its directory and then
// renames it. A link stays one.
func writeFileAtomic(path string, data []byte, mode os.FileMode) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // which is gone if all went well
	_, err = f.Write(data)
	err = cmp.Or(err, f.Chmod(mode), f.Sync())
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
