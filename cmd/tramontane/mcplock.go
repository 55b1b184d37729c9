package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/tramontane-dev/tramontane/mcptool"
)

const mcpLockHelp = `Lock pins what the tools of the MCP servers are: names, descriptions, schemas and
how the servers are reached. It shows how they differ from what was pinned before,
and writes the lock file anew. A run with --lock FILE then does not start when a
server has changed a tool. With --check nothing is written, and a difference is
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
			path := f.lock
			if path == "" {
				path = mcptool.DefaultLockFile
			}
			f.lock = "" // it is what is to be written
			ctx, j, err := f.begin(cmd)
			if err != nil {
				return err
			}
			defer j.end()
			return j.lock(ctx, path, check)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "write nothing, and fail if there is a difference")
	return cmd
}

func (j *mcpJob) lock(ctx context.Context, path string, check bool) error {
	if _, err := j.start(ctx); err != nil {
		return err
	}
	// All of them, whatever the rules leave out today.
	tools, err := j.servers.Tools(ctx)
	if err != nil {
		return &exitError{exitServer, err}
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
	if err := j.out.write([]byte(drift.String())); err != nil {
		return err
	}
	switch {
	case check && len(drift.Changes) > 0:
		return &exitError{exitDrift, fmt.Errorf("%s: tools are not as it pins them: %d differences", path, len(drift.Changes))}
	case check:
		return nil
	}
	pinned.Update(now)
	return pinned.WriteFile(path)
}
