package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tramontane-dev/tramontane/mcptool"
)

const mcpHelp = `Mcp looks at MCP servers and uses them without a model: what is configured, does
it work, what tools are there, what does one of them answer. The servers are
named as for tramontane run, by --mcp-config and --mcp.

Exit codes:
  0    done
  1    a tool failed, or output could not be written
  2    wrong flags, or a config that cannot be used; nothing was started
  3    an MCP server cannot be had, or wants a login first
  6    it took longer than --timeout
  8    tools are not as the lock file pins them
  129, 130, 143  ended by SIGHUP, Ctrl-C, SIGTERM`

func newMCPCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "List, test and call MCP servers",
		Long:  mcpHelp,
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMCPListCommand(), newMCPTestCommand(), newMCPToolsCommand(), newMCPCallCommand(),
		newMCPLoginCommand(), newMCPLogoutCommand(), newMCPLockCommand(), newMCPGrantsCommand())
	return cmd
}

// mcpFlags are the flags of all commands under mcp.
type mcpFlags struct {
	serverFlags
	output  string
	timeout time.Duration
}

// add adds the flags that all of them have, and more for those that need more.
func (f *mcpFlags) add(cmd *cobra.Command, more ...func(*pflag.FlagSet)) {
	flags := cmd.Flags()
	flags.SortFlags = false
	f.addServers(flags)
	for _, add := range more {
		add(flags)
	}
	flags.StringVar(&f.output, "output", outputText, "`FORMAT` of standard output: text or json")
	flags.Var((*timeFlag)(&f.timeout), "timeout", "`TIME` that it may take, such as 90s or 5m (default: no limit)")
}

// A mcpJob is a command under mcp that is checked and ready to start.
type mcpJob struct {
	*toolbox
	tty    io.Closer
	json   bool
	out    *printer
	cancel context.CancelFunc
}

// begin checks the flags and returns the job. The caller calls end.
func (f *mcpFlags) begin(cmd *cobra.Command) (context.Context, *mcpJob, error) {
	if f.output != outputText && f.output != outputJSON {
		return nil, nil, usageErrorf("--output %q: want %s or %s", f.output, outputText, outputJSON)
	}
	person, tty := findPerson()
	box, err := f.load(cmd.Context(), newLogger(cmd.ErrOrStderr()), person)
	if err != nil {
		tty.Close()
		return nil, nil, err
	}
	switch {
	case len(box.servers) > 0:
	case len(f.configs) > 0:
		tty.Close()
		return nil, nil, usageErrorf("%s: there is no MCP server in it that is not disabled", strings.Join(f.configs, ", "))
	default:
		tty.Close()
		return nil, nil, usageErrorf("no MCP server is named; give --mcp-config FILE or --mcp 'NAME=COMMAND ARG...'; see %s --help", cmd.CommandPath())
	}
	j := &mcpJob{
		toolbox: box,
		tty:     tty,
		json:    f.output == outputJSON,
		out:     &printer{out: cmd.OutOrStdout()},
		cancel:  func() {},
	}
	ctx := cmd.Context()
	if f.timeout > 0 {
		ctx, j.cancel = context.WithTimeoutCause(ctx, f.timeout, errTimeout)
	}
	return ctx, j, nil
}

func (j *mcpJob) end() {
	j.servers.Close()
	j.tty.Close()
	j.cancel()
}

// named returns the servers of these names, or all if there are none.
func (j *mcpJob) named(names []string) (mcptool.Servers, error) {
	if len(names) == 0 {
		return j.servers, nil
	}
	var chosen mcptool.Servers
	for _, name := range names {
		i := slices.IndexFunc(j.servers, func(s *mcptool.Server) bool { return s.Name == name })
		if i < 0 {
			return nil, usageErrorf("there is no MCP server %q; there are %s", name, serverNames(j.servers))
		}
		if !slices.Contains(chosen, j.servers[i]) {
			chosen = append(chosen, j.servers[i])
		}
	}
	return chosen, nil
}

// only makes the job do without the servers that were not chosen. Rules and a
// lock file may be about them: then they are started, and may fail.
func (j *mcpJob) only(chosen mcptool.Servers) {
	p := j.guard.Policy
	if len(p.Include)+len(p.Exclude)+len(p.Confirm) == 0 && j.guard.LockFile == "" {
		j.guard.Toolset = chosen
		j.servers = chosen
		return
	}
	for _, s := range j.servers {
		if s.Need == mcptool.Required && !slices.Contains(chosen, s) {
			s.Need = mcptool.Optional
		}
	}
}

// behind returns the servers that can have a tool of this name for the model.
func (j *mcpJob) behind(tool string) mcptool.Servers {
	return slices.DeleteFunc(slices.Clone(j.servers), func(s *mcptool.Server) bool {
		return !strings.HasPrefix(tool, notInNames.ReplaceAllString(s.Name, "_")+"_")
	})
}

// notInNames are the characters that names for models do not have.
var notInNames = regexp.MustCompile(`[^A-Za-z0-9_-]`)

func serverNames(servers mcptool.Servers) string {
	names := make([]string, len(servers))
	for i, s := range servers {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// A table is text in columns.
type table struct {
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write writes the columns with two spaces between them.
func (t *table) write(w io.Writer) error {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "%-*s", widths[i]+2, cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return outputError(err)
}

// printable makes text of a server fit for one line of a terminal.
func printable(s string) string {
	return visible(strings.Join(strings.Fields(s), " "))
}

// visible replaces what would change how a terminal shows the rest, and what
// it does not show: control characters, those that turn the direction of text
// or have no width, and variation selectors, which can carry whole texts.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || unicode.Is(unicode.Variation_Selector, r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// shorten cuts s after n characters.
func shorten(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}
