package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramontane-dev/tramontane/mcptool"
)

const mcpTestHelp = `Test starts each MCP server, or connects to it, shakes hands and lists its tools,
all at once. It shows what came of it, with the real error where one failed, and
ends with exit code 3 then. NAMEs choose servers; without any, all are tested.`

func newMCPTestCommand() *cobra.Command {
	f := new(mcpFlags)
	cmd := &cobra.Command{
		Use:     "test [flags] [NAME...]",
		Short:   "Connect to MCP servers and say what works",
		Long:    mcpTestHelp,
		Example: "  tramontane mcp test --mcp-config mcp.json\n  tramontane mcp test --mcp 'docs=https://example.com/mcp'",
		RunE: func(cmd *cobra.Command, names []string) error {
			ctx, j, err := f.begin(cmd)
			if err != nil {
				return err
			}
			defer j.end()
			servers, err := j.named(names)
			if err != nil {
				return err
			}
			return j.test(ctx, servers)
		},
	}
	f.add(cmd)
	return cmd
}

// A testedServer is what came of the test of a server.
type testedServer struct {
	Name            string        `json:"name"`
	State           mcptool.State `json:"state"`
	ProtocolVersion string        `json:"protocol_version,omitempty"`
	Tools           int           `json:"tools"`
	Milliseconds    int64         `json:"ms"`
	Error           string        `json:"error,omitempty"`
	Stderr          []string      `json:"stderr,omitempty"` // the last lines, if it failed
}

func (j *mcpJob) test(ctx context.Context, servers mcptool.Servers) error {
	tested := make([]testedServer, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() { tested[i] = j.testServer(ctx, s) })
	}
	wg.Wait()
	t := new(table)
	t.add("NAME", "STATE", "PROTOCOL", "TOOLS", "TIME")
	var errs []error
	for _, s := range tested {
		if s.Error != "" {
			errs = append(errs, errors.New(printable(s.Error)))
		}
		t.add(printable(s.Name), string(s.State), s.ProtocolVersion, fmt.Sprint(s.Tools), fmt.Sprintf("%d ms", s.Milliseconds))
	}
	if err := j.writeTested(tested, t); err != nil {
		return err
	}
	switch {
	case errs == nil:
		return nil
	case ctx.Err() != nil: // which says why some did not answer
		err := ended(ctx)
		return &exitError{codeOf(err), errors.Join(append(errs, err)...)}
	}
	return &exitError{exitServer, errors.Join(errs...)}
}

func (j *mcpJob) writeTested(tested []testedServer, t *table) error {
	if j.json {
		return j.out.line(map[string]any{"servers": tested})
	}
	return t.write(j.out.out)
}

// testServer does what the first run would do. A server that a run could do
// without is needed here.
func (j *mcpJob) testServer(ctx context.Context, s *mcptool.Server) testedServer {
	s.Need = mcptool.Required
	begin := time.Now()
	_, err := s.Tools(ctx)
	st := s.Status()
	r := testedServer{
		Name: s.Name, State: st.State, ProtocolVersion: st.ProtocolVersion, Tools: st.Tools,
		Milliseconds: time.Since(begin).Milliseconds(),
	}
	if err != nil {
		r.Error = j.startError(st, err).Error()
		r.Stderr = st.Stderr
	}
	return r
}
