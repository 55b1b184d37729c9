package mcptool_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// offered is a Toolset of tools that are known from the start.
type offered []tramontane.Definition

func (o offered) Tools(context.Context) ([]tramontane.Tool, error) {
	var tools []tramontane.Tool
	for _, def := range o {
		tools = append(tools, offeredTool(def))
	}
	return tools, nil
}

type offeredTool tramontane.Definition

func (t offeredTool) Definition() tramontane.Definition { return tramontane.Definition(t) }

func (t offeredTool) Call(context.Context, *tramontane.Call) (*tramontane.ToolResult, error) {
	return nil, nil
}

// guarded returns the tools that a guard lets through, as <server>/<tool>, with
// ! behind those that ask.
func guarded(t *testing.T, g *mcptool.Guard) string {
	t.Helper()
	tools, err := g.Tools(t.Context())
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, tool := range tools {
		def := tool.Definition()
		name := def.Server + "/" + def.Original
		if def.Server == "" {
			name = def.Name
		}
		if def.Confirm {
			name += "!"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

var shop = offered{
	{Name: "now", ReadOnly: true},
	{Name: "files_read", Server: "files", Original: "read", ReadOnly: true},
	{Name: "files_write", Server: "files", Original: "write"},
	{Name: "files_delete_all", Server: "files", Original: "delete.all"},
	{Name: "web_read", Server: "web", Original: "read", ReadOnly: true, Trusted: true, Closed: true},
	{Name: "web_post", Server: "web", Original: "post", Additive: true, Trusted: true},
	{Name: "my_server_a_b", Server: "my:server", Original: "a:b"},
	{Name: "my_server__star", Server: "my:server", Original: "*star"},
}

func TestPolicy(t *testing.T) {
	type rules = []mcptool.Rule
	const all = "now files/read files/write files/delete.all web/read web/post my:server/a:b my:server/*star"
	tests := []struct {
		name   string
		policy mcptool.Policy
		want   string
	}{
		{"zero", mcptool.Policy{}, all},
		{"by name, of all servers", mcptool.Policy{Include: rules{"read"}}, "files/read web/read"},
		{"by the model's name", mcptool.Policy{Include: rules{"files_read"}}, "files/read"},
		{"by the model's name, of one server", mcptool.Policy{Include: rules{"files_read", "/^$|now/"}}, "now files/read"},
		{"of one server, others keep theirs", mcptool.Policy{Include: rules{"files:read"}},
			"now files/read web/read web/post my:server/a:b my:server/*star"},
		{"of one server, and for all", mcptool.Policy{Include: rules{"files:write", "read"}}, "files/read files/write web/read"},
		{"exclude beats include", mcptool.Policy{Include: rules{"files:*", "read"}, Exclude: rules{"files:delete*"}},
			"files/read files/write web/read"},
		{"glob", mcptool.Policy{Include: rules{"*t*e*", "n?w"}}, "now files/write files/delete.all"},
		{"glob with a dot", mcptool.Policy{Include: rules{"delete.*"}}, "files/delete.all"},
		{"regular expression", mcptool.Policy{Include: rules{"/^(read|post)$/"}}, "files/read web/read web/post"},
		{"regular expression with slashes and colons", mcptool.Policy{Include: rules{"/(?:pos|/:/)t/"}}, "web/post"},
		{"regular expression of one server", mcptool.Policy{Exclude: rules{"files:/./", `"my:server":/./`}}, "now web/read web/post"},
		{"quoted", mcptool.Policy{Include: rules{`"a:b"`, `"*star"`}}, "my:server/a:b my:server/*star"},
		{"quoted server and tool", mcptool.Policy{Exclude: rules{`"my:server":"*star"`, `"my:server":a:b`}},
			"now files/read files/write files/delete.all web/read web/post"},
		{"confirm", mcptool.Policy{Exclude: rules{`"my:server":*`}, Confirm: rules{"files:delete*", "web:*"}},
			"now files/read files/write files/delete.all! web/read! web/post!"},
		{"what may write: hints of trusted servers count", mcptool.Policy{Exclude: rules{`"my:server":*`}, Confirm: rules{"@writes"}},
			"now files/read! files/write! files/delete.all! web/read web/post!"},
		{"what is read-only", mcptool.Policy{Include: rules{"@read-only"}}, "now web/read"},
		{"what may destroy", mcptool.Policy{Exclude: rules{"@destructive"}}, "now web/read web/post"},
		{"what may reach the web", mcptool.Policy{Exclude: rules{"@open-world"}}, "web/read"},
		{"hints of one server", mcptool.Policy{Exclude: rules{"web:@open-world", "files:@destructive", `"my:server":@writes`}}, "now web/read"},
		{"a hint that no tool has", mcptool.Policy{Exclude: rules{"*_*", "now"}, Confirm: rules{"web:@destructive"}}, ""},
	}
	for _, tt := range tests {
		got := guarded(t, &mcptool.Guard{Toolset: shop, Policy: tt.policy})
		if got != tt.want {
			t.Errorf("%s: %+v\n got %s\nwant %s", tt.name, tt.policy, got, tt.want)
		}
	}
}

func TestPolicyErrors(t *testing.T) {
	tests := []struct {
		rule string
		want []string
	}{
		{"files:raed", []string{"exclude rule files:raed: there is no such tool on server files; did you mean read?"}},
		{"files:READ", []string{"did you mean read"}},
		{"files:launch", []string{"there is no such tool on server files; it offers read, write, delete.all"}},
		{"file_write", []string{"there is no such tool on the servers files, web, my:server", "did you mean files_write?"}},
		{"launch_rockets", []string{"there is no such tool on the servers files, web, my:server"}},
		{"fiels:read", []string{"there is no server fiels; did you mean files?"}},
		{"ftp:read", []string{"there is no server ftp; there is files, web, my:server"}},
		{"a:b", []string{"there is no server a", `the tool of this name is written "a:b"`}},
		{"my:server:a:b", []string{"there is no server my"}},
		{"web:del*", []string{"exclude rule web:del* fits no tool on server web"}},
		{"files:ea?", []string{"fits no tool"}},
		{"files:r*a", []string{"fits no tool"}},
		{"/launch/", []string{"exclude rule /launch/ fits no tool on the servers"}},
		{"\x1b[2Jx", []string{`\u{1b}[2Jx`}},

		{"", []string{"no name of a tool"}},
		{"*\xe8", []string{"not UTF-8"}},
		{"files:", []string{"no name of a tool"}},
		{":read", []string{"no server before the colon"}},
		{`"":read`, []string{"no server before the colon"}},
		{`""`, []string{"the name is empty"}},
		{`"a`, []string{"not quoted to its end"}},
		{`"a"b`, []string{"something behind the quoted name"}},
		{`files:"a`, []string{"not quoted to its end"}},
		{"/", []string{"between two slashes"}},
		{"//", []string{"between two slashes"}},
		{"/a", []string{"between two slashes"}},
		{"/a/i", []string{"(?i)"}},
		{"/(/", []string{"missing closing )"}},
		{"@reading", []string{"no such hint", "@read-only", "@writes", "@destructive", "@open-world"}},
		{"files:@x", []string{"no such hint"}},
	}
	for _, tt := range tests {
		_, err := (&mcptool.Guard{Toolset: shop, Policy: mcptool.Policy{Exclude: []mcptool.Rule{mcptool.Rule(tt.rule)}}}).Tools(t.Context())
		if err == nil {
			t.Errorf("rule %q: no error", tt.rule)
			continue
		}
		for _, want := range append(tt.want, "exclude") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("rule %q: error %q lacks %q", tt.rule, err, want)
			}
		}
	}
	// All are told at once.
	_, err := (&mcptool.Guard{Toolset: shop, Policy: mcptool.Policy{
		Include: []mcptool.Rule{"x"}, Exclude: []mcptool.Rule{"y"}, Confirm: []mcptool.Rule{"files:@read-only", "z"},
	}}).Tools(t.Context())
	for _, want := range []string{"include rule x", "exclude rule y", "confirm rule z"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	_, err = (&mcptool.Guard{Toolset: shop, Policy: mcptool.Policy{Include: []mcptool.Rule{"files:@read-only"}}}).Tools(t.Context())
	if want := "hints count only for servers that are trusted"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("include what no tool has: %v, want %q", err, want)
	}
}

// A rule says what it means, whatever the names are.
func TestExactRule(t *testing.T) {
	names := []string{"read", "a b", "a:b", "*", "wh?", "/x/", "/x", "@writes", "@other", `"quoted"`, `a"b`, `back\slash`, "größe", "a/b", ".", "\xe8", "*\xe8", "\x1b[2J"}
	for _, server := range append(names, "") {
		for _, name := range names {
			rule := mcptool.ExactRule(server, name)
			if _, err := mcptool.ParseRule(string(rule)); err != nil {
				t.Errorf("ExactRule(%q, %q) = %s: %v", server, name, rule, err)
				continue
			}
			set := offered{{Name: "x_1", Server: server, Original: name}, {Name: "x_2", Server: server, Original: name + "2"},
				{Name: "x_3", Server: "another", Original: name + "3"}}
			if server == "" { // which stands for all
				set[0].Server, set[1].Server = "s", "s"
			}
			got := guarded(t, &mcptool.Guard{Toolset: set, Policy: mcptool.Policy{Exclude: []mcptool.Rule{rule}}})
			want := fmt.Sprintf("%s/%s2 another/%s3", set[1].Server, name, name)
			if got != want {
				t.Errorf("ExactRule(%q, %q) = %s leaves %s, want %s", server, name, rule, got, want)
			}
		}
	}
}

// A tool that asks is called as before.
func TestGuardedCall(t *testing.T) {
	t.Parallel()
	s := namedServer(t, "s", "read")
	g := &mcptool.Guard{Toolset: s, Policy: mcptool.Policy{Confirm: []mcptool.Rule{"*"}}}
	tools, err := g.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if def := tools[0].Definition(); !def.Confirm {
		t.Errorf("definition %+v, want it to ask", def)
	}
	res, err := tools[0].Call(t.Context(), &tramontane.Call{Arguments: []byte(`{}`)})
	if err != nil || res.IsError {
		t.Errorf("call: %+v, %v", res, err)
	}
}

func FuzzParseRule(f *testing.F) {
	for _, text := range []string{"read", "files:read", "*", "/a/", `"a:b"`, `"a":"b"`, "@writes", "a:@writes", "", ":", "a:/(/"} {
		f.Add(text, "server", "tool")
	}
	f.Fuzz(func(t *testing.T, text, server, tool string) {
		rule, err := mcptool.ParseRule(text)
		if err == nil && string(rule) != text {
			t.Errorf("ParseRule(%q) = %q", text, rule)
		}
		if err == nil {
			guarded(t, &mcptool.Guard{Toolset: shop, Policy: mcptool.Policy{Exclude: []mcptool.Rule{rule}}})
		}
		if tool != "" {
			if _, err := mcptool.ParseRule(string(mcptool.ExactRule(server, tool))); err != nil {
				t.Errorf("ExactRule(%q, %q): %v", server, tool, err)
			}
		}
	})
}
