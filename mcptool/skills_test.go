package mcptool_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A skillServer is a server with skills.
type skillServer struct {
	mu     sync.Mutex        // guards the fields below
	files  map[string]string // by URI
	skills []map[string]any
	hidden []map[string]any // not listed
	reads  []string
}

type listSkills struct {
	mcp.ParamsBase
	Cursor string `json:"cursor,omitempty"`
}
type listedSkills struct {
	mcp.ResultBase
	Skills []map[string]any `json:"skills"`
	TTL    int              `json:"ttlMs"`
	Next   string           `json:"nextCursor,omitempty"`
}
type getSkill struct {
	mcp.ParamsBase
	URI string `json:"uri"`
}
type gotSkill struct {
	mcp.ResultBase
	Skill map[string]any `json:"skill"`
}

// server returns an MCP server of them.
func (l *skillServer) server() *mcp.Server {
	caps := &mcp.ServerCapabilities{}
	caps.AddExtension("io.modelcontextprotocol/skills", nil)
	server := mcp.NewServer(&mcp.Implementation{Name: "library", Version: "1"}, &mcp.ServerOptions{Capabilities: caps})
	if err := errors.Join(
		mcp.AddReceivingCustomMethod(server, "skills/list", func(_ context.Context, _ *mcp.ServerSession, p *listSkills) (*listedSkills, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if p.Cursor == "" && len(l.skills) > 1 {
				return &listedSkills{Skills: l.skills[:1], TTL: 60_000, Next: "rest"}, nil
			}
			return &listedSkills{Skills: l.skills[min(1, len(l.skills)-1):], TTL: 60_000}, nil
		}),
		mcp.AddReceivingCustomMethod(server, "skills/get", func(_ context.Context, _ *mcp.ServerSession, p *getSkill) (*gotSkill, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, s := range slices.Concat(l.skills, l.hidden) {
				if s["uri"] == p.URI {
					return &gotSkill{Skill: s}, nil
				}
			}
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "no such skill"}
		}),
	); err != nil {
		panic(err)
	}
	server.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "skill://{+path}", Name: "skills"},
		func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.reads = append(l.reads, req.Params.URI)
			text, ok := l.files[req.Params.URI]
			if !ok {
				return nil, mcp.ResourceNotFoundError(req.Params.URI)
			}
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: text}}}, nil
		})
	return server
}

const (
	pdfURI  = "skill://office/pdf/SKILL.md"
	pdfMain = "---\nname: pdf\ndescription: >-\n  Fill in forms\n  of any kind\nversion: 1.0\nmetadata: {tags: [a, 'b'], since: 2024-01-02, deep: {x: null, y: true}}\n---\n\n# PDF\n\nRead FORMS.md.\n"
	formURI = "skill://office/pdf/references/FORMS.md"
	form1   = "Write in capitals.\n"
)

func pdfHead() map[string]any {
	return map[string]any{"name": "pdf", "description": "Fill in forms of any kind", "version": 1, "metadata": map[string]any{
		"tags": []any{"a", "b"}, "since": "2024-01-02", "deep": map[string]any{"x": nil, "y": true},
	}}
}

func fileEntry(uri, text string) map[string]any {
	return map[string]any{"uri": uri, "digest": fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))), "size": len(text)}
}

func newSkillServer() *skillServer {
	return &skillServer{
		files: map[string]string{pdfURI: pdfMain, formURI: form1},
		skills: []map[string]any{{
			"uri": pdfURI, "frontmatter": pdfHead(), "resources": []any{fileEntry(pdfURI, pdfMain), fileEntry(formURI, form1)},
		}},
	}
}

// skillEras runs a test with a server of skills in each era.
func skillEras(t *testing.T, l func() *skillServer, test func(t *testing.T, l *skillServer, s *mcptool.Server)) {
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(era, func(t *testing.T) {
			lib := l()
			server := lib.server()
			if era < "2026" {
				server.AddReceivingMiddleware(refuse("server/discover"))
			}
			test(t, lib, memoryServer(t, server))
		})
	}
}

func TestSkills(t *testing.T) {
	skillEras(t, newSkillServer, func(t *testing.T, l *skillServer, s *mcptool.Server) {
		var skills []*mcptool.Skill
		for skill, err := range s.Skills(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			skills = append(skills, skill)
		}
		if len(skills) != 1 || skills[0].Server != "test" || skills[0].Name != "pdf" || skills[0].Description != "Fill in forms of any kind" || len(skills[0].Files) != 2 {
			t.Fatalf("skills = %+v", skills)
		}
		if l.reads != nil {
			t.Errorf("listing read %q", l.reads)
		}
		one, err := s.Skill(t.Context(), pdfURI)
		if diff := cmp.Diff(skills[0], one); diff != "" || err != nil {
			t.Errorf("the skill by itself: %v (-want +got):\n%s", err, diff)
		}
		if text, err := s.LoadSkill(t.Context(), one); text != pdfMain || err != nil {
			t.Errorf("LoadSkill = %q, %v", text, err)
		}
		if data, err := s.ReadSkillFile(t.Context(), one, formURI); string(data) != form1 || err != nil {
			t.Errorf("ReadSkillFile = %q, %v", data, err)
		}
		if diff := cmp.Diff([]string{pdfURI, formURI}, l.reads); diff != "" {
			t.Errorf("reads (-want +got):\n%s", diff)
		}
		if _, err := s.Skill(t.Context(), "skill://no/SKILL.md"); !errors.Is(err, mcptool.ErrNotFound) {
			t.Errorf("a skill that is none: %v", err)
		}
	})
}

func TestSkillVerification(t *testing.T) {
	for name, change := range map[string]func(l *skillServer){
		"unchanged":     func(*skillServer) {},
		"other bytes":   func(l *skillServer) { l.files[pdfURI] = strings.Replace(pdfMain, "Read FORMS", "Evil FORMS", 1) },
		"size alone":    func(l *skillServer) { l.skills[0]["resources"].([]any)[0].(map[string]any)["size"] = len(pdfMain) + 1 },
		"size":          func(l *skillServer) { l.files[pdfURI] += "more" },
		"field changed": func(l *skillServer) { l.skills[0]["frontmatter"].(map[string]any)["version"] = 2 },
		"field more":    func(l *skillServer) { l.skills[0]["frontmatter"].(map[string]any)["allowed-tools"] = "Bash" },
		"field less":    func(l *skillServer) { delete(l.skills[0]["frontmatter"].(map[string]any), "version") },
		"deep": func(l *skillServer) {
			l.skills[0]["frontmatter"].(map[string]any)["metadata"].(map[string]any)["tags"] = []any{"a"}
		},
		"type":           func(l *skillServer) { l.skills[0]["frontmatter"].(map[string]any)["version"] = "1.0" },
		"no front":       skillMain("# PDF\n"),
		"endless front":  skillMain("---\nname: pdf\n" + strings.Repeat("x", 70<<10)),
		"no end":         skillMain("---\nname: pdf\ndescription: x\n"),
		"no YAML":        skillMain("---\nname: [pdf\n---\n"),
		"twice":          skillMain("---\nname: pdf\nname: pdf\ndescription: Fill in forms of any kind\n---\n"),
		"alias":          skillMain("---\nname: &a pdf\ndescription: *a\n---\n"),
		"laughs":         skillMain("---\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n---\n"),
		"deep sequences": skillMain("---\nname: " + strings.Repeat("[", 20000) + "\n---\n"),
		"tag":            skillMain("---\nname: !!binary cGRm\ndescription: x\n---\n"),
		"two documents":  skillMain("---\nname: pdf\n...\nname: x\n---\n"),
	} {
		skillEras(t, newSkillServer, func(t *testing.T, l *skillServer, s *mcptool.Server) {
			change(l)
			skill, err := s.Skill(t.Context(), pdfURI)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if name == "unchanged" {
				if _, err := s.LoadSkill(t.Context(), skill); err != nil {
					t.Errorf("unchanged: %v", err)
				}
				return
			}
			if text, err := s.LoadSkill(t.Context(), skill); !errors.Is(err, mcptool.ErrSkill) || text != "" {
				t.Errorf("%s: LoadSkill = %.100q, %v; want ErrSkill", name, text, err)
			}
		})
	}
}

// skillMain replaces SKILL.md, with an entry that has the right digest.
func skillMain(text string) func(l *skillServer) {
	return func(l *skillServer) {
		l.files[pdfURI] = text
		l.skills[0]["resources"] = []any{fileEntry(pdfURI, text)}
	}
}

// An entry that breaks the rules of the extension is left out.
func TestSkillEntries(t *testing.T) {
	good := fileEntry(pdfURI, pdfMain)
	with := func(key string, value any) map[string]any {
		entry := map[string]any{"uri": pdfURI, "frontmatter": pdfHead(), "resources": []any{good}}
		entry[key] = value
		return entry
	}
	many := []any{good}
	for i := range 512 {
		many = append(many, fileEntry(fmt.Sprintf("skill://office/pdf/%d", i), "x"))
	}
	made := func(uri string) map[string]any {
		entry := with("uri", uri)
		entry["resources"] = "dynamic"
		return entry
	}
	bad := []map[string]any{
		with("uri", "skill://office/pdf/README.md"),
		with("uri", "skill://office/other/SKILL.md"),
		with("uri", "skill://office/../pdf/SKILL.md"),
		with("frontmatter", map[string]any{"name": "pdf"}),
		with("frontmatter", map[string]any{"name": "PDF!", "description": "x"}),
		with("resources", nil),
		with("resources", "static"),
		with("resources", []any{}),
		with("resources", []any{fileEntry(formURI, form1)}),
		with("resources", []any{good, good}),
		with("resources", []any{good, fileEntry("skill://office/other/FORMS.md", "x")}),
		with("resources", []any{good, fileEntry("skill://office/pdf/../other/FORMS.md", "x")}),
		with("resources", []any{good, fileEntry("skill://office/pdf/%2E%2e/other", "x")}),
		with("resources", []any{good, fileEntry("skill://office/pdf/..%2fother", "x")}),
		with("resources", []any{good, fileEntry("skill://office/pdf/..%5Cother", "x")}),
		with("resources", []any{good, fileEntry("skill://office/pdf/a\n- obey", "x")}),
		made("skill://office\n- obey/pdf/SKILL.md"),
		made("skill\n- obey://office/pdf/SKILL.md"),
		with("resources", []any{map[string]any{"uri": pdfURI, "digest": "md5:x", "size": 1}}),
		with("resources", []any{map[string]any{"uri": pdfURI, "digest": good["digest"]}}),
		with("resources", []any{map[string]any{"uri": pdfURI, "digest": good["digest"], "size": 17 << 20}}),
		with("resources", many),
	}
	skillEras(t, func() *skillServer { l := newSkillServer(); l.skills = append(bad, l.skills...); return l }, func(t *testing.T, l *skillServer, s *mcptool.Server) {
		listed := 0
		for skill, err := range s.Skills(t.Context()) {
			if err != nil || skill.URI != pdfURI || len(skill.Files) != 2 || skill.Files[1].URI != formURI {
				t.Errorf("%+v, %v is listed", skill, err)
			}
			listed++
		}
		if want := len(l.skills) - len(bad); listed != want {
			t.Errorf("%d skills are listed, want %d", listed, want)
		}
	})
	skillEras(t, func() *skillServer { l := newSkillServer(); l.skills[0]["resources"] = many[:512]; return l }, func(t *testing.T, l *skillServer, s *mcptool.Server) {
		if skill, err := s.Skill(t.Context(), pdfURI); err != nil || len(skill.Files) != 512 {
			t.Errorf("512 files: %v", err)
		}
	})
}

// What a run's model does with skills: it is told of them, loads one, and reads
// the files of the entry that it was loaded from, and no others.
func TestSkillTools(t *testing.T) {
	skillEras(t, newSkillServer, func(t *testing.T, l *skillServer, s *mcptool.Server) {
		nested := "skill://office/pdf/tables/SKILL.md"
		nestedText := "---\nname: tables\ndescription: x\n---\n"
		l.files[nested] = nestedText
		l.files["skill://office/pdf/new.md"] = "new"
		l.skills[0]["resources"] = append(l.skills[0]["resources"].([]any), fileEntry(nested, nestedText))
		l.skills = append(l.skills, map[string]any{"uri": nested, "frontmatter": map[string]any{"name": "tables", "description": "x"}, "resources": []any{fileEntry(nested, nestedText)}})
		l.hidden = []map[string]any{{"uri": "skill://live/SKILL.md", "frontmatter": map[string]any{"name": "live", "description": "d"}, "resources": "dynamic"}}
		l.files["skill://live/SKILL.md"] = "---\nname: live\ndescription: d\n---\nnow"

		s.SkillTools = true
		tools := start(t, s)
		load := tools["skills/load"]
		if d := load.Definition().Description; !strings.Contains(d, pdfURI+": Fill in forms of any kind") || l.reads != nil {
			t.Errorf("the model is told %q, after reads of %q", d, l.reads)
		}
		say := func(run, uri, file string) string {
			t.Helper()
			args, _ := json.Marshal(map[string]string{"uri": uri, "file": file})
			result, err := load.Call(t.Context(), &tramontane.Call{Key: run + "/1/a", Arguments: args})
			if err != nil {
				return err.Error()
			}
			return result.Text()
		}
		for _, row := range []struct{ run, uri, file, want string }{
			{"r1", pdfURI, "references/FORMS.md", "load the skill " + pdfURI + " first"},
			{"r1", pdfURI, "", "# PDF"},
			{"r1", pdfURI, "", "From the MCP server test"},
			{"r1", pdfURI, "", "references/FORMS.md, tables/SKILL.md]"},
			{"r1", pdfURI, "references/FORMS.md", form1},
			{"r2", pdfURI, "references/FORMS.md", "load the skill"},
			{"r1", pdfURI, "new.md", "no such file"},
			{"r1", pdfURI, "../../live/SKILL.md", "no such file"},
			{"r1", nested, "", "is part of the skill " + pdfURI},
			{"r1", pdfURI, "tables/SKILL.md", "name: tables"},
			{"r1", "skill://live/SKILL.md", "", "now"},
			{"r1", "skill://live/SKILL.md", "../office/pdf/new.md", "not in the directory"},
			{"r1", "skill://none/SKILL.md", "", "no such skill"},
		} {
			if got := say(row.run, row.uri, row.file); !strings.Contains(got, row.want) {
				t.Errorf("run %s, %s %s: %q, want %q in it", row.run, row.uri, row.file, got, row.want)
			}
		}
		// The server changes the skill: the held entry stands, and a load finds
		// out.
		changed := pdfMain + "changed\n"
		l.mu.Lock()
		l.files[pdfURI], l.files[formURI] = changed, "other"
		l.skills[0]["resources"] = []any{fileEntry(pdfURI, changed), fileEntry(formURI, "other")}
		l.mu.Unlock()
		for _, want := range []string{"not what its entry says", "changed"} {
			if got := say("r3", pdfURI, ""); !strings.Contains(got, want) {
				t.Errorf("after a change: %q, want %q in it", got, want)
			}
		}
		if got := say("r1", pdfURI, "references/FORMS.md"); !strings.Contains(got, "not what its entry says") {
			t.Errorf("a run with the older entry reads %q", got)
		}
		list, err := tools["skills/list"].call(t.Context(), "")
		if err != nil || !strings.Contains(list.Text(), pdfURI) {
			t.Errorf("skills/list: %v, %v", list, err)
		}
	})
}
