package server_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/sqlite"
)

// A bubble is a server without a network, for tests in which time stands still.
type bubble struct {
	t      *testing.T
	server *server.Server
}

func newBubble(t *testing.T, m server.Model, opts *server.Options) *bubble {
	store, err := sqlite.Open(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &bubble{t, server.New(store, m, opts)}
}

func (b *bubble) post(ctx context.Context, path, body string) (int, answer) {
	req := httptest.NewRequestWithContext(ctx, "POST", "http://localhost"+path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, req)
	return w.Code, answer{b.t, w.Body.String()}
}

// Appends that wait for others are not forgotten when one of these is done, and
// stop waiting when their callers leave.
func TestQueuedAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(script)
		for range 4 {
			m.add(says("Sure."))
		}
		b := newBubble(t, m, nil)
		_, first := b.post(t.Context(), conversations, `{"model":"m","inputs":"x"}`)
		path := conversations + "/" + first.get("conversation_id")

		asked, release := 0, make(chan struct{})
		m.before = func(context.Context, *mistral.ChatRequest) error {
			asked++
			<-release
			return nil
		}
		var wg sync.WaitGroup
		answered := 0
		appends := func(ctx context.Context, want int) {
			wg.Go(func() {
				defer func() { answered++ }()
				if status, a := b.post(ctx, path, `{"inputs":"x"}`); status != want {
					t.Errorf("status %d, want %d: %s", status, want, a.body)
				}
			})
			synctest.Wait()
		}
		wantAsked := func(want int) {
			t.Helper()
			if asked != want {
				t.Errorf("the model was asked %d times, want %d", asked, want)
			}
		}
		appends(t.Context(), http.StatusOK)
		left, leave := context.WithCancel(t.Context())
		appends(left, http.StatusServiceUnavailable)
		leave()
		synctest.Wait()
		if answered != 1 {
			t.Error("who left waits all the same")
		}
		appends(t.Context(), http.StatusOK)
		wantAsked(1)
		release <- struct{}{}
		synctest.Wait()
		wantAsked(2)
		appends(t.Context(), http.StatusOK)
		wantAsked(2)
		release <- struct{}{}
		synctest.Wait()
		wantAsked(3)
		release <- struct{}{}
		wg.Wait()
	})
}

// slow is a model that says a piece after each pause.
type slow []time.Duration

func (slow) Complete(context.Context, *mistral.ChatRequest) (*mistral.ChatResponse, error) {
	return nil, errors.New("slow only streams")
}

func (m slow) Stream(ctx context.Context, _ *mistral.ChatRequest) iter.Seq2[*mistral.ChatChunk, error] {
	return func(yield func(*mistral.ChatChunk, error) bool) {
		for _, pause := range m {
			<-time.After(pause)
			chunk := new(mistral.ChatChunk)
			if err := chunk.UnmarshalJSON([]byte(says("x"))); err != nil || !yield(chunk, err) {
				return
			}
		}
	}
}

// A comment comes when nothing else came for so long, and not sooner or later.
func TestKeepAliveInTime(t *testing.T) {
	for _, test := range []struct {
		pauses slow
		want   int
	}{
		{slow{10 * time.Second, 10 * time.Second, 14 * time.Second}, 0},
		{slow{10 * time.Second, 16 * time.Second}, 1},
		{slow{time.Second, 46 * time.Second, 14 * time.Second}, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, a := newBubble(t, test.pauses, nil).post(t.Context(), conversations, `{"model":"m","inputs":"x","stream":true}`)
			if got := strings.Count(a.body, ": keep-alive\n\n"); got != test.want {
				t.Errorf("%d comments with the pauses %v, want %d: %s", got, test.pauses, test.want, a.body)
			}
		})
	}
}
