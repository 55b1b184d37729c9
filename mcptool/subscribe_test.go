package mcptool_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A shelf is a server whose resource changes when it is told to.
type shelf struct {
	server       *mcp.Server
	content      atomic.Int64
	subscribed   atomic.Int64
	unsubscribed chan string
}

func newShelf(era string) *shelf {
	sh := &shelf{unsubscribed: make(chan string, 16)}
	sh.server = mcp.NewServer(&mcp.Implementation{Name: "shelf", Version: "1"}, &mcp.ServerOptions{
		SubscribeHandler: func(_ context.Context, req *mcp.SubscribeRequest) error {
			if req.Params.URI == "x:refused" {
				return errors.New("nobody is told of this one")
			}
			sh.subscribed.Add(1)
			return nil
		},
		UnsubscribeHandler: func(_ context.Context, req *mcp.UnsubscribeRequest) error {
			sh.unsubscribed <- req.Params.URI
			return nil
		},
	})
	if era < "2026" {
		sh.server.AddReceivingMiddleware(refuse("server/discover"))
	}
	sh.server.AddResource(&mcp.Resource{URI: "x:a", Name: "a"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: "x:a", Text: fmt.Sprint(sh.content.Load())}}}, nil
	})
	addTool(sh.server, "change", func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return said("changed"), sh.change(ctx)
	})
	return sh
}

func (sh *shelf) change(ctx context.Context) error {
	sh.content.Add(1)
	return sh.server.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: "x:a"})
}

func (sh *shelf) at(t *testing.T, transport string, stateless bool) *mcptool.Server {
	t.Helper()
	s := &mcptool.Server{Name: "test"}
	if transport == "http" {
		s.URL = serveHTTP(t, mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return sh.server }, &mcp.StreamableHTTPOptions{Stateless: stateless}))
	} else {
		s.Dial = mcptool.InMemory(sh.server)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// shelves runs a test in both eras, over two transports.
func shelves(t *testing.T, test func(t *testing.T, sh *shelf, s *mcptool.Server)) {
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		for _, transport := range []string{"memory", "http"} {
			t.Run(era+" "+transport, func(t *testing.T) {
				t.Parallel()
				sh := newShelf(era)
				test(t, sh, sh.at(t, transport, era > "2026"))
			})
		}
	}
}

func TestSubscribe(t *testing.T) {
	shelves(t, func(t *testing.T, sh *shelf, s *mcptool.Server) {
		var updates []mcptool.ResourceUpdate
		for u, err := range s.Subscribe(t.Context(), "x:a") {
			if err != nil {
				t.Fatal(err)
			}
			updates = append(updates, *u)
			contents, err := s.ReadResource(t.Context(), u.URI)
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprint(len(updates) - 1); contents[0].Text != want {
				t.Errorf("at update %d the resource has %q, want %s", len(updates), contents[0].Text, want)
			}
			if len(updates) == 3 {
				break
			}
			if err := sh.change(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if want := (mcptool.ResourceUpdate{URI: "x:a", Anew: true}); updates[0] != want || updates[1].Anew || updates[2].Anew {
			t.Errorf("updates = %+v, want the first alone to be anew", updates)
		}
		if got := <-sh.unsubscribed; got != "x:a" {
			t.Errorf("unsubscribed from %s", got)
		}
	})
}

// Two who listen share a subscription, which stands until both are gone.
func TestSubscribeTwice(t *testing.T) {
	shelves(t, func(t *testing.T, sh *shelf, s *mcptool.Server) {
		for u, err := range s.Subscribe(t.Context(), "x:a") {
			if err != nil {
				t.Fatal(err)
			}
			if !u.Anew {
				break
			}
			for _, err := range s.Subscribe(t.Context(), "x:a") {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			select {
			case <-sh.unsubscribed:
				t.Error("the subscription ended with the first of two")
			default:
			}
			if err := sh.change(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		<-sh.unsubscribed
		if n := sh.subscribed.Load(); n != 1 {
			t.Errorf("subscribed %d times, want once", n)
		}
	})
}

// A subscription is made anew when the session is lost, and says so.
func TestSubscribeAfterALoss(t *testing.T) {
	shelves(t, func(t *testing.T, sh *shelf, s *mcptool.Server) {
		anew, changed := 0, false
		for u, err := range s.Subscribe(t.Context(), "x:a") {
			switch {
			case err != nil:
				t.Fatal(err)
			case u.Anew && anew == 0:
				anew++
				for ss := range sh.server.Sessions() {
					ss.Close()
				}
				if s.URL != "" && s.Status().ProtocolVersion < "2026" {
					// Nothing tells a client over HTTP before it asks.
					s.ReadResource(t.Context(), "x:a")
				}
				continue
			case u.Anew:
				anew++
				if err := sh.change(t.Context()); err != nil {
					t.Fatal(err)
				}
				continue
			}
			changed = true
			break
		}
		if anew < 2 || !changed {
			t.Errorf("%d times anew, changed after: %t; want twice and a change", anew, changed)
		}
	})
}

func TestSubscribeRefused(t *testing.T) {
	shelves(t, func(t *testing.T, sh *shelf, s *mcptool.Server) {
		updates := 0
		var last error
		for _, err := range s.Subscribe(t.Context(), "x:refused") {
			updates++
			last = err
		}
		if updates != 1 || last == nil || !strings.Contains(last.Error(), "subscribe x:refused") {
			t.Errorf("%d updates, the last with %v, want one error", updates, last)
		}
	})
	none := memoryServer(t, mcp.NewServer(&mcp.Implementation{Name: "none", Version: "1"}, nil))
	for u, err := range none.Subscribe(t.Context(), "x:a") {
		if err == nil || !strings.Contains(err.Error(), "does not tell of changes") {
			t.Errorf("a server without subscriptions: %v, %v", u, err)
		}
	}
}

// Who comes while the last subscription is being ended waits for that: otherwise
// a server of 2025-11-25 could take in its end as that of the new one.
func TestSubscribeWhileTheLastEnds(t *testing.T) {
	sh := newShelf("2025-11-25")
	ending, end := make(chan struct{}), make(chan struct{})
	var early atomic.Bool
	sh.server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			switch method {
			case "resources/unsubscribe":
				select {
				case ending <- struct{}{}:
					<-end
				default: // of the second
				}
			case "resources/subscribe":
				select {
				case <-end:
				default:
					early.Store(sh.subscribed.Load() > 0)
				}
			}
			return next(ctx, method, req)
		}
	})
	s := sh.at(t, "memory", false)
	var readers sync.WaitGroup
	readers.Go(func() {
		for range s.Subscribe(t.Context(), "x:a") {
			break
		}
	})
	<-ending
	readers.Go(func() {
		changed := false
		for u, err := range s.Subscribe(t.Context(), "x:a") {
			if err != nil {
				t.Error(err)
				return
			}
			if changed = !u.Anew; changed {
				break
			}
			if err := sh.change(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if !changed {
			t.Error("the second subscription hears nothing")
		}
	})
	// Nothing is to happen until the end; a request that is in order beside it
	// shows that one more would have come.
	for range 50 {
		if _, err := s.ReadResource(t.Context(), "x:a"); err != nil {
			t.Error(err)
		}
	}
	close(end)
	readers.Wait()
	if early.Load() {
		t.Error("the subscription was asked for before the end of the one before")
	}
}

// The end of the context and that of the server end the sequence, with a word.
func TestSubscribeEnds(t *testing.T) {
	shelves(t, func(t *testing.T, sh *shelf, s *mcptool.Server) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		for _, err := range s.Subscribe(ctx, "x:a") {
			last = err
			cancel()
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("the context ended: %v", last)
		}
		for _, err := range s.Subscribe(t.Context(), "x:a") {
			last = err
			s.Close()
		}
		if last == nil || !strings.Contains(last.Error(), "closed") {
			t.Errorf("the server was closed: %v", last)
		}
	})
}

// Runs hear of a change that the program has subscribed to.
func TestSubscribeInARun(t *testing.T) {
	shelves(t, func(t *testing.T, sh *shelf, s *mcptool.Server) {
		stands := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		var reader sync.WaitGroup
		defer reader.Wait()
		defer cancel()
		reader.Go(func() {
			once := sync.OnceFunc(func() { close(stands) })
			for range s.Subscribe(ctx, "x:a") {
				once()
			}
		})
		<-stands
		heard := make(chan string, 8)
		wait := tramontane.Func("wait", "", func(ctx context.Context, _ struct{}) (string, error) {
			if err := sh.change(ctx); err != nil {
				return "", err
			}
			return <-heard, nil
		}, nil)
		runner := scripted(t, s, "wait")
		runner.Tools = []tramontane.Tool{wait}
		for event, err := range runner.Stream(t.Context(), tramontane.UserText("Go."), nil) {
			if err != nil {
				t.Fatal(err)
			}
			switch e := event.(type) {
			case *tramontane.ResourceUpdatedEvent:
				heard <- e.Server + " " + e.URI
			case *tramontane.ResultEvent:
				if e.Entry.Result != "test x:a" {
					t.Errorf("the run hears of %q", e.Entry.Result)
				}
			}
		}
	})
}
