package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

const mcpToolsHelp = `Tools lists the tools of the MCP servers under the names that the model gets to
see. The marks say what a server claims of its tool: "reads" that it changes
nothing. A server can claim anything. NAMEs choose servers, which are then needed,
whatever the config file says, and the others are not: they are started only if
there are rules or a lock file, which may be about them.

--output json has the whole of each tool, with the schemas of its arguments and
of its result.`

func newMCPToolsCommand() *cobra.Command {
	f := new(mcpFlags)
	cmd := &cobra.Command{
		Use:     "tools [flags] [NAME...]",
		Short:   "List the tools of MCP servers",
		Long:    mcpToolsHelp,
		Example: "  tramontane mcp tools --mcp 'files=npx -y @modelcontextprotocol/server-filesystem .'",
		RunE: func(cmd *cobra.Command, names []string) error {
			ctx, j, err := f.begin(cmd)
			if err != nil {
				return err
			}
			defer j.end()
			return j.listTools(ctx, names)
		},
	}
	f.add(cmd, f.addChoice, f.addConfirm, f.addLock, f.addDrift)
	return cmd
}

// A describedTool is a tool with all that its server says of it.
type describedTool struct {
	toolReport
	Title      string          `json:"title,omitempty"`
	Idempotent bool            `json:"idempotent"`
	Additive   bool            `json:"additive"`
	Closed     bool            `json:"closed"`
	Trusted    bool            `json:"trusted"`
	Confirm    bool            `json:"confirm"`
	Parameters json.RawMessage `json:"parameters,omitempty"`
	Output     json.RawMessage `json:"output,omitempty"`
}

func (j *mcpJob) listTools(ctx context.Context, names []string) error {
	servers, err := j.named(names)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		for _, s := range servers {
			s.Need = mcptool.Required
		}
	}
	// Who is about to write the lock file of a config may look at the tools.
	if _, err := os.Stat(j.guard.LockFile); j.lockFlag == "" && j.guard.LockFile != "" && errors.Is(err, fs.ErrNotExist) {
		j.guard.Logger.Warn("there is no lock file yet: no tool is pinned, and no run will start", "file", j.guard.LockFile,
			"lock", strings.TrimSpace("tramontane mcp lock "+strings.Join(j.flags, " ")))
		j.guard.LockFile = ""
	}
	if len(names) > 0 {
		j.only(servers)
	}
	tools, err := j.start(ctx)
	if err != nil {
		return err
	}
	// Others may have been started as well.
	tools = slices.DeleteFunc(tools, func(t tramontane.Tool) bool {
		return len(names) > 0 && !slices.Contains(names, t.Definition().Server)
	})
	if j.json {
		all := []describedTool{}
		for i, r := range newToolReports(tools) {
			all = append(all, describeTool(r, tools[i].Definition()))
		}
		return j.out.line(map[string]any{"tools": all})
	}
	t := new(table)
	t.add("TOOL", "MARKS", "WHAT IT DOES")
	for _, tool := range tools {
		def := tool.Definition()
		t.add(def.Name, marks(def), shorten(printable(def.Description), 100))
	}
	return t.write(j.out.out)
}

func describeTool(r toolReport, def tramontane.Definition) describedTool {
	return describedTool{
		toolReport: r, Title: def.Title,
		Idempotent: def.Idempotent, Additive: def.Additive, Closed: def.Closed,
		Trusted: def.Trusted, Confirm: def.Confirm,
		Parameters: def.Parameters, Output: def.Output,
	}
}

func marks(def tramontane.Definition) string {
	switch {
	case def.Confirm:
		return "asks first"
	case def.ReadOnly:
		return "reads"
	}
	return "-"
}
