package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tramontane-dev/tramontane/mcptool"
)

const mcpGrantsHelp = `Grants shows which tools were allowed for good, when tramontane run asked about
a call. A grant counts only at a terminal: without one, as in CI, a call that
needs a word is not made. It ends by itself when the server changes the tool.
--revoke ends it now: 'SERVER' for all tools of a server, 'SERVER:TOOL' for one.`

func newMCPGrantsCommand() *cobra.Command {
	var revoke []string
	cmd := &cobra.Command{
		Use:     "grants [flags]",
		Short:   "Show and revoke what was allowed for good",
		Long:    mcpGrantsHelp,
		Example: "  tramontane mcp grants --revoke files:delete_file",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			grants := newGrants()
			for _, what := range revoke {
				if err := revokeGrant(grants, what); err != nil {
					return err
				}
			}
			all, err := grants.All()
			if err != nil {
				return err
			}
			t := new(table)
			t.add("SERVER", "TOOL")
			for _, g := range all {
				t.add(printable(g.Server), printable(g.Tool))
			}
			return t.write(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringArrayVar(&revoke, "revoke", nil, "end the grants of `SERVER[:TOOL]` (repeatable)")
	return cmd
}

func revokeGrant(grants *mcptool.Grants, what string) error {
	server, tool, _ := strings.Cut(what, ":")
	n, err := grants.Revoke(server, tool)
	if err != nil {
		return err
	}
	if n == 0 {
		return usageErrorf("--revoke %s: there is no such grant; see tramontane mcp grants", what)
	}
	return nil
}

// newGrants returns the grants of this user.
func newGrants() *mcptool.Grants {
	g := new(mcptool.Grants)
	if dir, err := os.UserConfigDir(); err == nil {
		g.Path = filepath.Join(dir, "tramontane", "grants.json")
	}
	return g
}
