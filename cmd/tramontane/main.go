// Command tramontane runs Mistral agents with MCP tools from a terminal, and
// serves Mistral's Agents and Conversations API over any chat model.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(execute()) }

// execute runs the command line of this process and returns its exit code.
func execute() int {
	ctx, stop := withSignals(context.Background())
	defer stop()
	root := newRootCommand()
	return report(root.ErrOrStderr(), root.ExecuteContext(ctx))
}

const rootHelp = `Tramontane runs Mistral agents that use MCP tools.

  tramontane run     ask an agent, here and now, with the tools of MCP servers
  tramontane serve   serve Mistral's Agents and Conversations API yourself
  tramontane mcp     list, test and call MCP servers

MCP, the Model Context Protocol, is how programs offer tools to models; an MCP
server is such a program. Everything can be tried without an account: where no
model is given, a small offline demo model answers, and says so.`

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "tramontane",
		Short:         "Run Mistral agents with MCP tools",
		Long:          rootHelp,
		Version:       version(),
		SilenceErrors: true, // report prints them
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("tramontane {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageErrorf("%v; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(newRunCommand(), newServeCommand(), newMCPCommand(), newVersionCommand())
	return root
}

// noArguments is for commands that take none.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasParent() && !cmd.HasSubCommands():
		return usageErrorf("%s takes no argument, and there is %q; see %[1]s --help", cmd.CommandPath(), args[0])
	default:
		return usageErrorf("there is no command %q; see %s --help", args[0], cmd.CommandPath())
	}
}

// A signalError is the cause of a context that a signal ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string {
	switch e.signal {
	case syscall.SIGTERM:
		return "stopped by SIGTERM"
	case syscall.SIGHUP:
		return "stopped by SIGHUP: the terminal is gone"
	}
	return "stopped by Ctrl-C (SIGINT)"
}

// withSignals returns a context that the first SIGINT, SIGTERM or SIGHUP ends,
// with a *signalError as its cause. A second one ends the process at once.
func withSignals(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	got := make(chan os.Signal, 1)
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signals = append(signals, syscall.SIGHUP)
	}
	signal.Notify(got, signals...)
	// With a reader that went away, a write to standard output is to be an
	// error, so that servers and temporary files are cleaned up.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		select {
		case s := <-got:
			signal.Reset(signals...)
			cancel(&signalError{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(got)
		cancel(nil)
	}
}
