package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/sqlite"
)

const runHelp = `Run asks an agent and prints its answer. The agent calls the tools of the MCP
servers that you name until it can answer. Without PROMPT, or with "-", the
prompt is read from standard input; with PROMPT, standard input is not read.

Who answers, the first of these that applies:
  --model-url URL      a chat-completions endpoint, such as Ollama, vLLM, llama.cpp
  --base-url URL       a server of Mistral's Agents API, such as tramontane serve
  --model offline      the offline demo model
  MISTRAL_BASE_URL     as --base-url; MISTRAL_API_KEY is sent there
  MISTRAL_API_KEY      Mistral
  otherwise            the offline demo model: rules, no AI. It calls only tools
                       that are marked read-only, unless asked for by name.

Standard output holds the answer and nothing else. With --output stream-json it
is one JSON object a line, each with "v" (1), "seq" (from 0) and "type": first
"start" with every MCP server, its state and the tools; then "api" with an event
of the API as it came, "tool_result" for each call of a tool, and "found" with a
reply that was lost on its way and read from the conversation instead; among them
"progress" of a call, "server_log" with a line of a server's log, "server" with a
server's new state, and "tools_changed" of a server; last "end" with "reason",
"exit_code" and the "result", which is what --output json prints.

`

const runExample = `  tramontane run --mcp-config mcp.json "What is on my calendar today?"
  tramontane run --mcp 'files=npx -y @modelcontextprotocol/server-filesystem .' "List the files here."
  tramontane run --model-url http://127.0.0.1:11434/v1 --model qwen3 "Say hello."
  git log -5 | tramontane run --schema notes.schema.json --output json`

// runFlags are the flags of run.
type runFlags struct {
	serverFlags
	model        string
	agent        string
	instructions string
	schema       string
	output       string
	baseURL      string
	modelURL     string
	modelKeyEnv  string
	db           string
	maxTurns     int
	timeout      time.Duration
}

func newRunCommand() *cobra.Command {
	f := new(runFlags)
	cmd := &cobra.Command{
		Use:     "run [flags] [PROMPT]",
		Short:   "Ask an agent that has the tools of MCP servers",
		Long:    runHelp + exitHelp,
		Example: runExample,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageErrorf("run takes one prompt, and there are %d arguments; put the prompt in quotes", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.serverFlags.add(flags)
	flags.StringVar(&f.model, "model", "", "`NAME` of the model (with Mistral: "+defaultModel+")")
	flags.StringVar(&f.agent, "agent", "", "`ID` of an agent to run instead of a model")
	flags.StringVar(&f.instructions, "instructions", "", "`TEXT` that tells the model how to behave")
	flags.StringVar(&f.schema, "schema", "", "JSON Schema of the answer: a `FILE`, or the schema itself")
	flags.StringVar(&f.output, "output", outputText, "`FORMAT` of standard output: text, json or stream-json")
	flags.StringVar(&f.baseURL, "base-url", "", "`URL` of a server of Mistral's Agents API")
	flags.StringVar(&f.modelURL, "model-url", "", "`URL` of a chat-completions endpoint, such as http://127.0.0.1:11434/v1")
	flags.StringVar(&f.modelKeyEnv, "model-key-env", "", "`VARIABLE` that holds the key for --model-url")
	flags.StringVar(&f.db, "db", "", "SQLite `FILE` that keeps the conversations, when no other server does (default: none)")
	flags.Var((*turnsFlag)(&f.maxTurns), "max-turns", "the model may reply `N` times (default 20)")
	flags.Var((*timeFlag)(&f.timeout), "timeout", "`TIME` that the run may take, such as 90s or 5m (default: no limit)")
	return cmd
}

// A job is a run that is checked and ready to start.
type job struct {
	flags   *runFlags
	prompt  string
	api     *apiChoice
	output  *tramontane.Output
	box     *toolbox
	person  *person // nil if there is none
	printer *printer
}

func (f *runFlags) run(cmd *cobra.Command, args []string) error {
	person, tty := findPerson()
	defer tty.Close()
	j, err := f.check(cmd, args, person)
	if err != nil {
		return err
	}
	if j.api.offline() {
		fmt.Fprint(cmd.ErrOrStderr(), offlineNotice)
	}
	ctx := cmd.Context()
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.timeout, errTimeout)
		defer cancel()
	}
	return j.run(ctx)
}

const offlineNotice = `tramontane: the offline demo model answers. It is no AI: it follows rules, and knows nothing but what the tools return.
tramontane: for a real model set MISTRAL_API_KEY, or use a local Ollama: --model-url http://127.0.0.1:11434/v1 --model NAME
`

// check reads everything that the run needs and starts nothing.
func (f *runFlags) check(cmd *cobra.Command, args []string, person *person) (*job, error) {
	j := &job{flags: f, person: person}
	var err error
	if j.printer, err = newPrinter(f.output, cmd.OutOrStdout()); err != nil {
		return nil, err
	}
	if j.api, err = chooseAPI(f); err != nil {
		return nil, err
	}
	if cmd.Flags().Changed("schema") {
		if j.output, err = loadSchema(f.schema); err != nil {
			return nil, err
		}
	}
	if j.box, err = f.load(cmd.Context(), newLogger(cmd.ErrOrStderr()), j.person); err != nil {
		return nil, err
	}
	j.prompt, err = readPrompt(cmd.Context(), args, cmd.InOrStdin())
	return j, err
}

// readPrompt returns the argument, or what stands on standard input.
func readPrompt(ctx context.Context, args []string, stdin io.Reader) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		if strings.TrimSpace(args[0]) == "" {
			return "", usageErrorf("the prompt is empty")
		}
		return args[0], nil
	}
	if f, ok := stdin.(*os.File); ok && len(args) == 0 {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return "", usageErrorf("there is no prompt; give it as argument or on standard input")
		}
	}
	data, err := readAll(ctx, stdin)
	switch {
	case ctx.Err() != nil:
		return "", ended(ctx)
	case err != nil:
		return "", usageErrorf("the prompt on standard input: %w", err)
	}
	if strings.TrimSpace(string(data)) == "" {
		return "", usageErrorf("the prompt on standard input is empty; give it as argument or on standard input")
	}
	return string(data), nil
}

// readAll reads all of standard input, or until ctx ends. A read that has begun
// goes on then, and the process ends without it.
func readAll(ctx context.Context, stdin io.Reader) ([]byte, error) {
	var data []byte
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		data, err = io.ReadAll(stdin)
	}()
	select {
	case <-done:
		return data, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run starts what the job needs, runs it, prints what came of it and ends what
// it started.
func (j *job) run(ctx context.Context) error {
	var store *sqlite.Store
	var err error
	if j.api.client == nil {
		store, err = openStore(ctx, j.api.db)
		switch {
		case codeOf(err) == exitUsage:
			return err
		case err == nil:
			defer store.Close()
		}
	}
	defer j.box.servers.Close()
	var tools []tramontane.Tool
	if err == nil {
		tools, err = j.box.start(ctx)
	}
	if printErr := j.printer.start(j.api.model, j.flags.agent, newServerReports(j.box.servers, tools), tools); err == nil {
		err = printErr
	}
	var result *tramontane.Result
	if err == nil {
		result, err = j.ask(ctx, store, tools)
		err = classify(ctx, err)
		if codeOf(err) == exitPending && result != nil {
			err = waiting(result.Pending, err)
		}
	}
	r := newReport(result, newServerReports(j.box.servers, tools), err)
	if printErr := j.printer.end(r); err == nil {
		err = printErr
	}
	return err
}

// ask runs the runner. If no API is named, the one that it talks to is served
// in this process, over the store.
func (j *job) ask(ctx context.Context, store server.Store, tools []tramontane.Tool) (*tramontane.Result, error) {
	runner := &tramontane.Runner{
		Client:       j.api.client,
		Model:        j.api.model,
		AgentID:      j.flags.agent,
		Instructions: j.flags.instructions,
		Toolsets:     []tramontane.Toolset{&startedTools{j.box.servers, tools}},
		Output:       j.output,
		MaxTurns:     j.flags.maxTurns,
		ConfirmOnly:  true,
		Logger:       j.box.guard.Logger,
	}
	if j.person != nil {
		runner.Approve = j.person.approve
	}
	input := tramontane.UserText(j.prompt)
	if runner.Client != nil {
		return j.printer.follow(ctx, runner, input)
	}
	seen := &witness{Model: j.api.ownModel(tools)}
	api, client, err := startOwn(store, seen)
	if err != nil {
		return nil, fmt.Errorf("the server inside this program: %w", err)
	}
	defer api.close(0)
	runner.Client = client
	result, err := j.printer.follow(ctx, runner, input)
	if _, coded := errors.AsType[*exitError](err); coded { // of the printer
		return result, err
	}
	said := seen.lastError()
	// A model that was cut off tells nothing of why.
	if err == nil || said == nil || errors.Is(said, context.Canceled) {
		return result, err
	}
	return result, &modelError{said}
}

// startedTools are the tools of servers that were started before the run. The
// run asks for them, so that the servers know whom to tell what happens to them.
type startedTools struct {
	servers mcptool.Servers
	tools   []tramontane.Tool
}

// Tools implements [tramontane.Toolset]. It returns what the run was said to
// have: rules, lock file and person are not asked a second time.
func (t *startedTools) Tools(ctx context.Context) ([]tramontane.Tool, error) {
	up := slices.DeleteFunc(slices.Clone(t.servers), isDown)
	if _, err := up.Tools(ctx); err != nil {
		return nil, &exitError{exitServer, err}
	}
	return t.tools, nil
}
