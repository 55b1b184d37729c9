package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/model"
)

const serveHelp = `Serve speaks Mistral's Agents and Conversations API, so that the official SDKs
work against it, and keeps agents and conversations in an SQLite file of yours.
Any chat-completions endpoint can be its model: Mistral, vLLM, Ollama, llama.cpp.
Without --model-url the offline demo model answers under every name: rules, no AI.

The first line on standard output is the address to give to a client, as
MISTRAL_BASE_URL or server_url. No key is needed, and so it listens on loopback
addresses only.

It stops on Ctrl-C and SIGTERM: replies under way get a few seconds to end, and
the database is closed.

Exit codes: 0 stopped; 1 the server failed; 2 wrong flags, or an address, model
or database that cannot be used.`

const serveExample = `  tramontane serve --model-url http://127.0.0.1:11434/v1
  MISTRAL_BASE_URL=http://127.0.0.1:8787 python my_agent.py`

// serveFlags are the flags of serve.
type serveFlags struct {
	addr        string
	db          string
	modelURL    string
	modelKeyEnv string
	scripted    string
}

func newServeCommand() *cobra.Command {
	f := new(serveFlags)
	cmd := &cobra.Command{
		Use:     "serve [flags]",
		Short:   "Serve Mistral's Agents and Conversations API",
		Long:    serveHelp,
		Example: serveExample,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.serve(cmd) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.addr, "addr", "127.0.0.1:8787", "loopback `HOST:PORT` to listen on; port 0 takes a free one")
	flags.StringVar(&f.db, "db", "", "SQLite `FILE` (default: tramontane.db in the data directory of the user)")
	flags.StringVar(&f.modelURL, "model-url", "", "`URL` of a chat-completions endpoint, such as http://127.0.0.1:11434/v1; every model name is passed on to it")
	flags.StringVar(&f.modelKeyEnv, "model-key-env", "", "`VARIABLE` that holds the key for --model-url")
	flags.StringVar(&f.scripted, "scripted", "", "`FILE` of replies, for tests")
	if err := flags.MarkHidden("scripted"); err != nil {
		panic(err)
	}
	return cmd
}

func (f *serveFlags) serve(cmd *cobra.Command) error {
	if err := server.CheckLoopback(f.addr); err != nil {
		return usageErrorf("--addr: %w", err)
	}
	m, err := f.model(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	path, err := f.database()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	store, err := openStore(ctx, path)
	if err != nil {
		return err
	}
	logger := newLogger(cmd.ErrOrStderr())
	api, err := listen(f.addr, server.New(store, m, &server.Options{Logger: logger, Models: m.Models}), logger)
	if err != nil {
		store.Close()
		return usageErrorf("--addr: %w; --addr 127.0.0.1:0 takes a free port", err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "tramontane: agents and conversations are kept in %s\n", path)
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), api.url); err != nil {
		api.close(0)
		store.Close()
		return outputError(err)
	}
	return wait(ctx, api, store)
}

// wait serves until ctx ends.
func wait(ctx context.Context, api *apiServer, store io.Closer) error {
	defer store.Close()
	select {
	case <-ctx.Done():
	case err := <-api.ended:
		return err
	}
	return api.close(shutdownGrace)
}

// A listedModel answers, and says under which names.
type listedModel interface {
	server.Model
	Models(ctx context.Context) ([]mistral.Model, error)
}

// model is what answers.
func (f *serveFlags) model(stderr io.Writer) (listedModel, error) {
	switch {
	case f.scripted != "" && f.modelURL != "":
		return nil, usageErrorf("--scripted and --model-url exclude each other")
	case f.modelURL == "" && f.modelKeyEnv != "":
		return nil, usageErrorf("--model-key-env names the key for --model-url, which is missing")
	case f.modelURL != "":
		return newChat(f.modelURL, f.modelKeyEnv)
	case f.scripted != "":
		scripted, err := model.LoadScripted(f.scripted)
		if err != nil {
			return nil, usageErrorf("--scripted: %w", err)
		}
		return scripted, nil
	}
	fmt.Fprintln(stderr, "tramontane: no --model-url: the offline demo model answers under every name. It is no AI; a local Ollama is --model-url http://127.0.0.1:11434/v1")
	return new(model.Offline), nil
}

// database returns the path of the database, whose directory exists if it is
// the default one.
func (f *serveFlags) database() (string, error) {
	if f.db != "" {
		return f.db, nil
	}
	dir, err := dataDir()
	if err == nil {
		dir = filepath.Join(dir, "tramontane")
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", usageErrorf("no place for the database: %w; name a file with --db", err)
	}
	return filepath.Join(dir, "tramontane.db"), nil
}

// dataDir is where programs keep what belongs to the user.
func dataDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return os.UserConfigDir() // there, both are one
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "share"), err
}
