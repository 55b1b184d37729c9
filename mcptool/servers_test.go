package mcptool_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// namedServer returns a server of that name which offers tools of those names.
func namedServer(t *testing.T, name string, tools ...string) *mcptool.Server {
	t.Helper()
	s := testServer(t, "named")
	s.Name = name
	s.Env["TOOLS"] = strings.Join(tools, "\n")
	return s
}

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70)
	tests := []struct {
		name    string
		servers map[string][]string
		want    []string // sorted
	}{
		{"plain", map[string][]string{"a": {"t", "u-v_w"}, "b": {"t"}}, []string{"a_t", "a_u-v_w", "b_t"}},
		{"cleaned", map[string][]string{"My Server": {"do.it", "größe"}}, []string{"My_Server_do_it", "My_Server_gr__e"}},
		{"in one server", map[string][]string{"a": {"x.y", "x_y", "z"}}, []string{"a_x_y_35d885f9", "a_x_y_7ace4eaa", "a_z"}},
		{"across servers", map[string][]string{"a_b": {"c"}, "a": {"b_c"}}, []string{"a_b_c_0c1d18f5", "a_b_c_662f0bbb"}},
		{"letter case", map[string][]string{"a": {"X", "x"}}, []string{"a_X", "a_x"}},
		{"long", map[string][]string{"a": {long + "1", long + "2"}, long: {"t"}}, nil},
		// A server that tries to take the name of another's tool.
		{"made up", map[string][]string{"a": {"x.y", "x_y", "x_y_35d885f9"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var servers mcptool.Servers
			for name, tools := range tt.servers {
				servers = append(servers, namedServer(t, name, tools...))
			}
			got := toolNames(t, servers)
			for name, id := range got {
				if len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
					t.Errorf("the model cannot take the name %q", name)
				}
				if !slices.Contains(tt.servers[id[0]], id[1]) {
					t.Errorf("%s is %v, which no server offers", name, id)
				}
			}
			slices.Reverse(servers)
			if diff := cmp.Diff(got, toolNames(t, servers)); diff != "" {
				t.Errorf("names depend on the order of the servers:\n%s", diff)
			}
			if tt.want == nil {
				return
			}
			var names []string
			for name := range got {
				names = append(names, name)
			}
			slices.Sort(names)
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

// toolNames returns server and tool by name.
func toolNames(t *testing.T, servers mcptool.Servers) map[string][2]string {
	t.Helper()
	tools, err := servers.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string][2]string)
	for _, tt := range tools {
		d := tt.Definition()
		if id, ok := names[d.Name]; ok {
			t.Errorf("%s is both %v and %s, %s", d.Name, id, d.Server, d.Original)
		}
		names[d.Name] = [2]string{d.Server, d.Original}
	}
	return names
}

func TestServersFail(t *testing.T) {
	t.Parallel()
	good, broken, missing := testServer(t, "good"), testServer(t, "broken"), testServer(t, "good")
	good.Name, broken.Name, missing.Name, missing.Command = "one", "two", "three", "no-such-command"
	servers := mcptool.Servers{good, broken, missing}
	_, err := servers.Tools(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"mcp server two", "exit status 3", "mcp server three", "no-such-command"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	var states []mcptool.State
	for _, st := range servers.Status() {
		states = append(states, st.State)
	}
	if diff := cmp.Diff([]mcptool.State{mcptool.Ready, mcptool.Failed, mcptool.Failed}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if err := servers.Close(); err != nil {
		t.Error(err)
	}

	_, err = mcptool.Servers{good, good}.Tools(t.Context())
	if err == nil || !strings.Contains(err.Error(), "two servers of this name") {
		t.Errorf("two servers of one name: %v", err)
	}
}
