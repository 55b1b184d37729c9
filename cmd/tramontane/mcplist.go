package main

import (
	"github.com/spf13/cobra"

	"github.com/tramontane-dev/tramontane/mcptool"
)

const mcpListHelp = `List shows the MCP servers that are configured and how each is reached. It starts
nothing. Arguments of commands are not shown, nor what follows "?" in a URL: they
may hold secrets.`

func newMCPListCommand() *cobra.Command {
	f := new(mcpFlags)
	cmd := &cobra.Command{
		Use:     "list [flags]",
		Short:   "Show the MCP servers that are configured",
		Long:    mcpListHelp,
		Example: "  tramontane mcp list --mcp-config mcp.json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, j, err := f.begin(cmd)
			if err != nil {
				return err
			}
			defer j.end()
			return j.list()
		},
	}
	f.add(cmd)
	return cmd
}

type listedServer struct {
	Name      string `json:"name"`
	Transport string `json:"transport"`
	Command   string `json:"command,omitempty"` // without arguments, which may hold secrets
	URL       string `json:"url,omitempty"`     // without a query, for the same reason
	Need      string `json:"need"`
}

func (j *mcpJob) list() error {
	var all []listedServer
	for _, s := range j.servers {
		all = append(all, newListedServer(s))
	}
	if j.json {
		return j.out.line(map[string]any{"servers": all})
	}
	t := new(table)
	t.add("NAME", "TRANSPORT", "WHERE", "NEED")
	for _, s := range all {
		t.add(printable(s.Name), s.Transport, printable(s.Command+s.URL), s.Need)
	}
	return t.write(j.out.out)
}

func newListedServer(s *mcptool.Server) listedServer {
	return listedServer{Name: s.Name, Transport: transportOf(s), Command: s.Command, URL: s.Status().URL, Need: needWord(s.Need)}
}

func needWord(n mcptool.Need) string {
	switch n {
	case mcptool.Optional:
		return "optional"
	case mcptool.Lazy:
		return "lazy"
	}
	return "required"
}
