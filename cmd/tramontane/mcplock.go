package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/tramontane-dev/tramontane/mcptool"
)

const mcpLockHelp = `Lock pins what the tools of the MCP servers are: names, descriptions, schemas and
how the servers are reached. It shows how they differ from what was pinned before,
and writes the lock file anew: that of --lock, or that of the config file, or
` + mcptool.DefaultLockFile + `. A run with --lock FILE then does not start when
a server has changed a tool. With --check nothing is written, and a difference is
exit code 8.`

func newMCPLockCommand() *cobra.Command {
	f := new(mcpFlags)
	var check bool
	cmd := &cobra.Command{
		Use:     "lock [flags]",
		Short:   "Pin the tools of MCP servers in a lock file",
		Long:    mcpLockHelp,
		Example: "  tramontane mcp lock --mcp-config mcp.json\n  tramontane run --mcp-config mcp.json --lock " + mcptool.DefaultLockFile + " ...",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, j, err := f.begin(cmd)
			if err != nil {
				return err
			}
			defer j.end()
			path := cmp.Or(j.guard.LockFile, mcptool.DefaultLockFile)
			// All tools, as they are: what the file pins now and the rules leave
			// out today does not matter.
			j.guard.LockFile, j.guard.Policy = "", mcptool.Policy{}
			return j.lock(ctx, path, check)
		},
	}
	f.add(cmd, f.addLock)
	cmd.Flags().BoolVar(&check, "check", false, "write nothing, and fail if there is a difference")
	return cmd
}

// A lockReport says how tools differ from what was pinned.
type lockReport struct {
	File    string         `json:"file"`
	Written bool           `json:"written"`
	Changes []changeReport `json:"changes"`
	Diff    string         `json:"diff"`
}

type changeReport struct {
	Server string             `json:"server"`
	Tool   string             `json:"tool,omitempty"` // empty for the server itself
	Kind   mcptool.ChangeKind `json:"kind"`
	Fields []string           `json:"fields,omitempty"`
}

func (j *mcpJob) lock(ctx context.Context, path string, check bool) error {
	tools, err := j.start(ctx)
	if err != nil {
		return err
	}
	pinned, err := mcptool.ReadLock(path)
	if errors.Is(err, fs.ErrNotExist) {
		pinned, err = new(mcptool.Lock), nil
	}
	if err != nil {
		return usageErrorf("%w", err)
	}
	now := mcptool.NewLock(j.servers, tools)
	drift := pinned.Drift(now)
	if check {
		if err := j.writeDrift(path, drift, ""); err != nil || len(drift.Changes) == 0 {
			return err
		}
		return &exitError{exitDrift, fmt.Errorf("%s: tools are not as it pins them: %d differences", path, len(drift.Changes))}
	}
	pinned.Update(now)
	if err := pinned.WriteFile(path); err != nil {
		return err
	}
	return j.writeDrift(path, drift, fmt.Sprintf("Wrote %s: it pins %s of %s.\n", printable(path), count(len(tools), "tool"), count(len(now.Servers), "server")))
}

// count is a number with what is counted.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// writeDrift writes the difference, and what was done, if anything was.
func (j *mcpJob) writeDrift(path string, drift *mcptool.Drift, done string) error {
	if !j.json {
		return j.out.write([]byte(drift.String() + done))
	}
	r := &lockReport{File: path, Written: done != "", Changes: []changeReport{}, Diff: drift.String()}
	for _, c := range drift.Changes {
		r.Changes = append(r.Changes, changeReport{c.Server, c.Tool, c.Kind, c.Fields})
	}
	return j.out.line(r)
}
