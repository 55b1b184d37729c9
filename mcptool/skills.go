package mcptool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// skillsExtension is the name of the extension (SEP-2640).
const skillsExtension = "io.modelcontextprotocol/skills"

// ErrSkill is in the error of [Server.LoadSkill] and [Server.ReadSkillFile] if
// what the server gives is not what its entry says: it was changed on the way,
// or since the entry was made. Such content is not returned. [Server.Skill] has
// the entry as it is now.
var ErrSkill = errors.New("the skill is not what its entry says")

// The limits up to which skills are taken (specification of the extension,
// "Limits"), and how long a SKILL.md may be in whose front matter nothing is
// looked for after.
const (
	maxSkillFiles  = 512
	maxSkillBytes  = 16 << 20
	maxFrontmatter = 16 << 10 // parsing some takes time that grows with its square
)

// A Skill is the entry of a skill that a server has: instructions for the model,
// in a file SKILL.md, and files that belong to it. What a skill says is the
// server's own word, and no more to be trusted than it is; that its files match
// the entry says only that both are of one make. What is in its front matter
// beyond name and description grants nothing.
//
// A skill is known by its server and its URI. Two may have one name.
type Skill struct {
	// Server is the name of the server.
	Server string

	// URI is that of SKILL.md.
	URI string

	Name        string
	Description string

	// Frontmatter is the head of SKILL.md as a JSON object, Name and Description
	// among it.
	Frontmatter json.RawMessage

	// Files are all files of the skill, SKILL.md among them. If nil, the server
	// makes them as they are asked for, and nobody can tell whether they were
	// changed.
	Files []SkillFile
}

// A SkillFile is one file of a [Skill].
type SkillFile struct {
	URI    string
	SHA256 string // 64 hexadecimal digits
	Size   int64  // in bytes
}

// Path returns the path of the file at uri within the skill, such as
// references/FORMS.md, or "" if it is none of the skill's.
func (k *Skill) Path(uri string) string {
	rel, ok := strings.CutPrefix(uri, k.root())
	if !ok || !localPath(rel) {
		return ""
	}
	return rel
}

// root is the directory of the skill, with a slash.
func (k *Skill) root() string { return strings.TrimSuffix(k.URI, "SKILL.md") }

// hiddenStep finds dots and slashes that are there once a URI is decoded.
var hiddenStep = regexp.MustCompile(`(?i)%(2e|2f|5c|00)`)

// localPath reports whether a path stays where it starts, and shows what it is:
// it stands in what the model is told.
func localPath(rel string) bool {
	return rel != "" && path.Clean("/"+rel) == "/"+rel && !strings.ContainsAny(rel, "?#\\") && !hiddenStep.MatchString(rel) && visible(rel) == rel
}

func (k *Skill) file(uri string) (SkillFile, bool) {
	for _, f := range k.Files {
		if f.URI == uri {
			return f, true
		}
	}
	return SkillFile{}, false
}

// The wire types of the extension.
type (
	wireSkill struct {
		URI         string          `json:"uri"`
		Frontmatter json.RawMessage `json:"frontmatter"`
		Resources   json.RawMessage `json:"resources"`
	}
	wireSkillFile struct {
		URI    string `json:"uri"`
		Digest string `json:"digest"`
		Size   *int64 `json:"size"`
	}
	listSkillsParams struct {
		mcp.ParamsBase
		Cursor string `json:"cursor,omitempty"`
	}
	listSkillsResult struct {
		mcp.ResultBase
		Skills     []json.RawMessage `json:"skills"`
		NextCursor string            `json:"nextCursor"`
		TTL        float64           `json:"ttlMs"`
	}
	getSkillParams struct {
		mcp.ParamsBase
		URI string `json:"uri"`
	}
	getSkillResult struct {
		mcp.ResultBase
		Skill json.RawMessage `json:"skill"`
	}
)

func addSkillMethods(client *mcp.Client) error {
	return errors.Join(
		mcp.AddSendingCustomMethod[*listSkillsParams, *listSkillsResult](client, "skills/list"),
		mcp.AddSendingCustomMethod[*getSkillParams, *getSkillResult](client, "skills/get"),
	)
}

// hasSkills reports whether the server has said that it has skills.
func (sess *session) hasSkills() bool {
	caps := sess.InitializeResult().Capabilities
	if caps == nil {
		return false
	}
	_, ok := caps.Extensions[skillsExtension]
	return ok
}

// Skills returns the entries of the server's skills (extension
// io.modelcontextprotocol/skills, SEP-2640), reaching it first where that is
// needed: page by page, as the sequence is ranged over. None of their files is
// fetched. A server without the extension has an empty sequence, and one with it
// may have more skills than it lists: see [Server.Skill]. Entries that break the
// rules of the extension are left out and logged.
func (s *Server) Skills(ctx context.Context) iter.Seq2[*Skill, error] {
	return s.skillPages(ctx, new(time.Duration))
}

// skillPages is Skills. It sets ttl to how long all of the answer holds.
func (s *Server) skillPages(ctx context.Context, ttl *time.Duration) iter.Seq2[*Skill, error] {
	key := func(sk *Skill) string { return sk.URI }
	return pages(ctx, s, "list skills", key, func(ctx context.Context, sess *session, cursor string) ([]*Skill, string, error) {
		if !sess.hasSkills() {
			return nil, "", nil
		}
		res, err := mcp.CallCustomMethod[*listSkillsParams, *listSkillsResult](ctx, sess.ClientSession, "skills/list", &listSkillsParams{Cursor: cursor})
		if err != nil {
			return nil, "", err
		}
		if holds := time.Duration(res.TTL * float64(time.Millisecond)); *ttl < 0 || holds < *ttl {
			*ttl = holds
		}
		var skills []*Skill
		for _, raw := range res.Skills {
			skill, err := s.readSkill(raw)
			if err != nil {
				s.logger().WarnContext(ctx, "mcp server offers a skill that cannot be used",
					"server", s.Name, "skill", string(raw[:min(len(raw), 200)]), "cause", err)
				continue
			}
			skills = append(skills, skill)
		}
		return skills, res.NextCursor, nil
	})
}

// Skill returns the entry of one skill, as it is now, by the URI of its SKILL.md,
// also of one that [Server.Skills] does not list. No file of it is fetched. The
// error wraps [ErrNotFound] if there is no such skill.
func (s *Server) Skill(ctx context.Context, uri string) (*Skill, error) {
	res, err := ask(ctx, s, "skill "+uri, func(ctx context.Context, sess *session) (*getSkillResult, error) {
		if !sess.hasSkills() {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the server has no skills"}
		}
		return mcp.CallCustomMethod[*getSkillParams, *getSkillResult](ctx, sess.ClientSession, "skills/get", &getSkillParams{URI: uri})
	})
	if err != nil {
		return nil, notFound(err)
	}
	skill, err := s.readSkill(res.Skill)
	if err == nil && skill.URI != uri {
		err = fmt.Errorf("the server answers with the skill %s", skill.URI)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: skill %s: %w", s, uri, err)
	}
	return skill, nil
}

var (
	skillName   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	skillDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// readSkill reads an entry, and returns an error if it breaks a rule that makes
// it unsafe to load.
func (s *Server) readSkill(raw json.RawMessage) (*Skill, error) {
	var wire wireSkill
	if err := json.Unmarshal(raw, &wire); err != nil {
		return nil, err
	}
	var head struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	if err := json.Unmarshal(wire.Frontmatter, &head); err != nil {
		return nil, fmt.Errorf("frontmatter: %w", err)
	}
	skill := &Skill{Server: s.Name, URI: wire.URI, Name: head.Name, Description: head.Description, Frontmatter: wire.Frontmatter}
	dir, isMain := strings.CutSuffix(wire.URI, "/SKILL.md")
	scheme, place, hasScheme := strings.Cut(dir, "://")
	switch {
	case !isMain || !hasScheme || visible(scheme) != scheme || !localPath(place):
		return nil, fmt.Errorf("uri %q is not that of a SKILL.md", wire.URI)
	case head.Name == "" || head.Description == "":
		return nil, errors.New("frontmatter has no name or no description")
	case !skillName.MatchString(head.Name) || path.Base(place) != head.Name:
		return nil, fmt.Errorf("the name %q is not that of the directory in %s", head.Name, wire.URI)
	}
	var kind string
	if json.Unmarshal(wire.Resources, &kind) == nil && kind == "dynamic" {
		return skill, nil
	}
	var files []wireSkillFile
	if err := json.Unmarshal(wire.Resources, &files); err != nil || files == nil {
		return nil, errors.New(`resources is neither a list of files nor "dynamic"`)
	}
	if len(files) > maxSkillFiles {
		return nil, fmt.Errorf("it has %d files, and more than %d are not taken", len(files), maxSkillFiles)
	}
	total := int64(0)
	seen := make(map[string]bool)
	for _, f := range files {
		switch {
		case f.URI != wire.URI && skill.Path(f.URI) == "":
			return nil, fmt.Errorf("the file %q is not of this skill", f.URI)
		case seen[f.URI]:
			return nil, fmt.Errorf("the file %q is there twice", f.URI)
		case !skillDigest.MatchString(f.Digest):
			return nil, fmt.Errorf("the digest of %s is none of SHA-256", f.URI)
		case f.Size == nil || *f.Size < 0 || *f.Size > maxSkillBytes:
			return nil, fmt.Errorf("%s has no size, or one over %d bytes", f.URI, maxSkillBytes)
		}
		seen[f.URI] = true
		total += *f.Size
		skill.Files = append(skill.Files, SkillFile{URI: f.URI, SHA256: strings.TrimPrefix(f.Digest, "sha256:"), Size: *f.Size})
	}
	switch {
	case !seen[wire.URI]:
		return nil, errors.New("its files lack SKILL.md")
	case total > maxSkillBytes:
		return nil, fmt.Errorf("its files have %d bytes, and more than %d are not taken", total, maxSkillBytes)
	}
	return skill, nil
}

// LoadSkill fetches SKILL.md of a skill, verifies it against the entry (size,
// digest and front matter), and returns it whole. This is the moment for a person
// to agree, if the program wants one to: the entry is all that there is to know
// before. The error wraps [ErrSkill] if something does not match.
func (s *Server) LoadSkill(ctx context.Context, skill *Skill) (string, error) {
	data, err := s.ReadSkillFile(ctx, skill, skill.URI)
	if err != nil {
		return "", err
	}
	if err := compareFrontmatter(data, skill.Frontmatter); err != nil {
		return "", fmt.Errorf("%s: skill %s: %w: %w", s, skill.URI, ErrSkill, err)
	}
	return string(data), nil
}

// ReadSkillFile fetches a file of a skill and verifies its size and digest. A
// file that the entry does not have is one that does not match it, and the error
// wraps [ErrSkill] then too. A skill without Files has any file of its
// directory, unverified. Files of other than text may have about 12 MiB, since
// a message has at most 16 MiB.
func (s *Server) ReadSkillFile(ctx context.Context, skill *Skill, uri string) ([]byte, error) {
	bad := func(format string, args ...any) ([]byte, error) {
		return nil, fmt.Errorf("%s: skill %s: file %s: %w: %w", s, skill.URI, uri, ErrSkill, fmt.Errorf(format, args...))
	}
	if skill.Server != s.Name {
		return nil, fmt.Errorf("%s: skill %s is of the server %s", s, skill.URI, skill.Server)
	}
	entry, listed := skill.file(uri)
	switch {
	case skill.Files != nil && !listed:
		return bad("the entry has no such file")
	case uri != skill.URI && skill.Path(uri) == "":
		return bad("it is not in the directory of the skill")
	}
	contents, err := s.ReadResource(ctx, uri)
	if err != nil {
		return nil, err
	}
	if len(contents) != 1 || contents[0].URI != uri {
		return bad("the server answers with something else")
	}
	data := contents[0].Blob
	if data == nil {
		data = []byte(contents[0].Text)
	}
	if skill.Files == nil {
		if len(data) > maxSkillBytes {
			return bad("it has %d bytes, and more than %d are not taken", len(data), maxSkillBytes)
		}
		return data, nil
	}
	if int64(len(data)) != entry.Size {
		return bad("it has %d bytes, not %d", len(data), entry.Size)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != entry.SHA256 {
		return bad("its digest is another one")
	}
	return data, nil
}
