package main

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/model"
)

const (
	// defaultModel is asked of Mistral, and of servers that say nothing else.
	defaultModel = "mistral-medium-latest"

	// offlineModel is the name by which the offline model is asked for.
	offlineModel = "offline"
)

// An apiChoice is the API that a run talks to.
type apiChoice struct {
	client  *mistral.Client // nil if the server in this process is it
	chat    *model.Chat     // of that server; if nil, the offline model answers
	anyTool bool            // the offline model may call tools that are not read-only
	model   string          // what requests name; empty with an agent
	db      string          // file of that server; empty for a temporary one
}

// offline says whether the offline model answers.
func (c *apiChoice) offline() bool { return c.client == nil && c.chat == nil }

// chooseAPI decides by the flags first and the environment second.
func chooseAPI(f *runFlags) (*apiChoice, error) {
	if f.agent != "" && f.model != "" {
		return nil, usageErrorf("--agent and --model exclude each other: an agent has its model")
	}
	c := &apiChoice{model: f.model, db: f.db}
	key, base := os.Getenv("MISTRAL_API_KEY"), os.Getenv("MISTRAL_BASE_URL")
	switch {
	case f.baseURL != "" && f.modelURL != "":
		return nil, usageErrorf("--base-url and --model-url exclude each other: the first is a server of agents, the second a chat model")
	case f.modelURL == "" && f.modelKeyEnv != "":
		return nil, usageErrorf("--model-key-env names the key for --model-url, which is missing")
	case f.modelURL != "" && f.model == offlineModel:
		return nil, usageErrorf("--model offline and --model-url exclude each other; name a model that is served there")
	case f.modelURL != "" && f.model == "" && f.agent == "":
		return nil, usageErrorf("--model-url needs --model, the name of a model that is served there")
	case f.agent != "" && f.db == "" && (f.modelURL != "" || f.baseURL == "" && base == "" && key == ""):
		return nil, usageErrorf("--agent %s: no server is named that could have it; set MISTRAL_API_KEY, or give --base-url, or --db with the file that it is in", f.agent)
	case f.modelURL != "":
		chat, err := newChat(f.modelURL, f.modelKeyEnv)
		c.chat = chat
		return c, err
	case f.baseURL != "":
		if err := checkURL("--base-url", f.baseURL, "http://127.0.0.1:8787"); err != nil {
			return nil, err
		}
		c.client = &mistral.Client{BaseURL: f.baseURL}
	case f.model == offlineModel:
		c.anyTool = true
		return c, nil
	case base != "":
		if err := checkURL("MISTRAL_BASE_URL", base, "http://127.0.0.1:8787"); err != nil {
			return nil, err
		}
		c.client = new(mistral.Client)
	case key != "":
		c.client = new(mistral.Client)
	default:
		if c.model == "" && f.agent == "" {
			c.model = offlineModel
		}
		return c, nil
	}
	if f.db != "" {
		return nil, usageErrorf("--db is for the server inside this program, but another one keeps the conversations; leave it out, or give --model-url or --model offline")
	}
	if c.model == "" && f.agent == "" {
		c.model = defaultModel
	}
	return c, nil
}

// newChat returns the model at the URL, with the key in the variable, if one is
// named.
func newChat(modelURL, keyEnv string) (*model.Chat, error) {
	if err := checkURL("--model-url", modelURL, "http://127.0.0.1:11434/v1"); err != nil {
		return nil, err
	}
	chat := &model.Chat{BaseURL: modelURL}
	if keyEnv == "" {
		return chat, nil
	}
	key := os.Getenv(keyEnv)
	if key == "" {
		return nil, usageErrorf("--model-key-env: the variable %s is not set; set it to the key, or leave the flag out", keyEnv)
	}
	chat.Key = mistral.Key(key)
	return chat, nil
}

func checkURL(what, raw, example string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		// It is not shown: it may hold a password.
		return usageErrorf("%s: want a URL such as %s", what, example)
	}
	return nil
}

// shutdownGrace is how long requests may go on when a server stops. What still
// runs then is cancelled.
const shutdownGrace = 3 * time.Second

// An apiServer serves the API on a port.
type apiServer struct {
	url    string
	http   *http.Server
	cancel context.CancelFunc // of the requests
	ended  chan error         // gets what Serve returned
}

// listen starts to serve handler on addr.
func listen(addr string, handler http.Handler, logger *slog.Logger) (*apiServer, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &apiServer{
		url:    "http://" + l.Addr().String(),
		cancel: cancel,
		ended:  make(chan error, 1),
		http: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 10 * time.Second,
			BaseContext:       func(net.Listener) context.Context { return ctx },
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		},
	}
	go func() { s.ended <- s.http.Serve(l) }()
	return s, nil
}

// close stops the server: requests under way may end within grace, and are
// cancelled then.
func (s *apiServer) close(grace time.Duration) error {
	defer s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.cancel()
		// Handlers see that and return; one that does not must not keep the
		// process for ever.
		ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
		defer cancel()
		if err = s.http.Shutdown(ctx); err != nil {
			err = errors.Join(err, s.http.Close())
		}
	}
	if ended := <-s.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// startOwn starts the server inside this process, with a key that nobody else
// knows, and returns its client. The witness sees what the model says.
func startOwn(store server.Store, m *witness) (*apiServer, *mistral.Client, error) {
	key := mistral.Key(rand.Text())
	api, err := listen("127.0.0.1:0", server.New(store, m, &server.Options{Key: key}), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	return api, &mistral.Client{BaseURL: api.url, APIKey: key}, nil
}

// ownModel returns the model of the server inside this process. The offline
// model may call what says of itself that it changes nothing.
func (c *apiChoice) ownModel(tools []tramontane.Tool) server.Model {
	switch {
	case c.chat != nil:
		return c.chat
	case c.anyTool:
		return new(model.Offline)
	}
	readOnly := map[string]bool{}
	for _, tool := range tools {
		def := tool.Definition()
		readOnly[def.Name] = def.ReadOnly
	}
	return &model.Offline{MayCall: func(tool string) bool { return readOnly[tool] }}
}

// A modelError is what the model in this process said instead of an answer.
type modelError struct{ err error }

func (e *modelError) Error() string { return e.err.Error() }
func (e *modelError) Unwrap() error { return e.err }

// A witness passes on what a model says and keeps its last error: over HTTP the
// run would only see that there was one.
type witness struct {
	server.Model

	mu  sync.Mutex // guards the field below
	err error
}

func (w *witness) Complete(ctx context.Context, req *mistral.ChatRequest) (*mistral.ChatResponse, error) {
	resp, err := w.Model.Complete(ctx, req)
	w.keep(err)
	return resp, err
}

func (w *witness) Stream(ctx context.Context, req *mistral.ChatRequest) iter.Seq2[*mistral.ChatChunk, error] {
	return func(yield func(*mistral.ChatChunk, error) bool) {
		for chunk, err := range w.Model.Stream(ctx, req) {
			w.keep(err)
			if !yield(chunk, err) {
				return
			}
		}
	}
}

func (w *witness) keep(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *witness) lastError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
