package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// A ResourceUpdate says that a resource may have changed.
type ResourceUpdate struct {
	// URI is that of the subscription, or of a part of it that changed.
	URI string

	// Anew says that the subscription has begun, for the first time or after a
	// loss: what happened before is not known, so that the resource is to be read
	// now.
	Anew bool
}

const (
	// maxUpdates is how many different URIs wait for a reader who is behind. More
	// are told as one change of the resource that was subscribed to.
	maxUpdates = 64

	// unsubscribeTime bounds the request to tell of changes no more: without it,
	// who breaks off a sequence could wait for a dead server.
	unsubscribeTime = 5 * time.Second
)

// Subscribe returns the changes of a resource, reaching the server first where
// that is needed, in both protocol eras (specification 2025-11-25, "Resources:
// Subscriptions", and 2026-07-28, "Subscriptions"). The first update says that
// the subscription stands. When the session or the stream of notices is lost, it
// is made anew, as often as needed and in the server's own time, and an update
// with Anew says so. Updates that come while the reader is behind are told as
// one. What an update is of, [Server.ReadResource] tells.
//
// The sequence ends with ctx, and with an error: if the server cannot be had at
// first, does not tell of changes of this resource, wants a person to log in, or
// was closed. To break it off ends the subscription. It may be ranged over
// several times, also at once.
//
// Runs that have to do with the server get a [tramontane.ResourceUpdatedEvent]
// for each change of a resource that anybody has subscribed to.
func (s *Server) Subscribe(ctx context.Context, uri string) iter.Seq2[*ResourceUpdate, error] {
	return func(yield func(*ResourceUpdate, error) bool) {
		s.init()
		e := s.watched.join(uri)
		defer s.leave(ctx, e)
		failures := 0
		for first := true; ; first = false {
			sess, refused, err := s.watchOn(ctx, e.watch)
			switch {
			case ctx.Err() != nil:
				yield(nil, fmt.Errorf("%s: subscribe %s: %w", s, uri, ctx.Err()))
				return
			case err != nil && (first || refused || needsLogin(err) || s.life.Err() != nil):
				yield(nil, err)
				return
			case err != nil:
				wait := reopenDelay(failures, err)
				failures++
				s.logger().DebugContext(ctx, "an mcp server is subscribed to again later", "server", s.Name, "uri", uri, "wait", wait, "cause", err)
				if !s.rest(ctx, wait) {
					yield(nil, s.overError(ctx, uri))
					return
				}
				continue
			}
			begun := time.Now()
			s.watched.begun(e)
			if !yield(&ResourceUpdate{URI: uri, Anew: true}, nil) {
				return
			}
			if !s.follow(ctx, e, sess, yield) {
				return
			}
			if time.Since(begun) > lastDelay {
				failures = 0
			}
			// A server that ends subscriptions as fast as they are made is not asked
			// as fast.
			wait := reopenDelay(failures, nil)
			failures++
			if !s.rest(ctx, wait) {
				yield(nil, s.overError(ctx, uri))
				return
			}
		}
	}
}

// follow yields updates as long as the subscription stands. It reports whether
// it is to be made anew.
func (s *Server) follow(ctx context.Context, e *ear, sess *session, yield func(*ResourceUpdate, error) bool) (again bool) {
	for {
		select {
		case <-e.news:
		case <-sess.gone:
			return true
		case <-ctx.Done():
			yield(nil, s.overError(ctx, e.watch.uri))
			return false
		case <-s.life.Done():
			yield(nil, s.overError(ctx, e.watch.uri))
			return false
		}
		uris, anew, lost, err := s.watched.take(e)
		for _, uri := range uris {
			if !yield(&ResourceUpdate{URI: uri, Anew: anew && uri == e.watch.uri}, nil) {
				return false
			}
		}
		if err != nil {
			yield(nil, fmt.Errorf("%s: subscribe %s: %w", s, e.watch.uri, err))
			return false
		}
		if lost {
			return true
		}
	}
}

// overError says why a subscription is over.
func (s *Server) overError(ctx context.Context, uri string) error {
	why := ctx.Err()
	if why == nil {
		why = errClosed
	}
	return fmt.Errorf("%s: subscribe %s: %w", s, uri, why)
}

// rest waits, and reports whether there is sense in going on.
func (s *Server) rest(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.life.Done():
	}
	return false
}

// watchOn sees to it that the server tells of changes, and returns the session
// on which it does, or an error, and whether that is the server's last word.
func (s *Server) watchOn(ctx context.Context, w *watch) (_ *session, refused bool, _ error) {
	sess, err := ask(ctx, s, "subscribe "+w.uri, func(ctx context.Context, sess *session) (*session, error) {
		if caps := sess.InitializeResult().Capabilities; caps == nil || caps.Resources == nil || !caps.Resources.Subscribe {
			refused = true
			return nil, errors.New("the server does not tell of changes of resources")
		}
		select {
		case w.turn <- struct{}{}:
			defer func() { <-w.turn }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if s.watched.has(w, sess) {
			return sess, nil
		}
		err := s.watchSession(ctx, w, sess)
		if err != nil {
			s.watched.failed(w)
			var wire *jsonrpc.Error
			refused = errors.As(err, &wire)
			return nil, err
		}
		return sess, nil
	})
	return sess, refused, err
}

// watchSession makes a subscription on a session.
func (s *Server) watchSession(ctx context.Context, w *watch, sess *session) error {
	agreed := s.watched.begin(w, sess)
	if sess.legacy() {
		if err := sess.Subscribe(ctx, &mcp.SubscribeParams{URI: w.uri}); err != nil {
			return err
		}
		s.watched.stands(w.uri)
		return nil
	}
	// The SDK takes a subscription that the server has ended for one that stands.
	forget := func() {
		sess.conn.latest.Delete(w.uri)                            // the end of that one says nothing of the next
		sess.Unsubscribe(ctx, &mcp.UnsubscribeParams{URI: w.uri}) // it never fails
	}
	forget()
	if err := sess.Subscribe(ctx, &mcp.SubscribeParams{URI: w.uri}); err != nil {
		return err
	}
	var err error
	select {
	case <-agreed:
		err = s.watched.why(w)
	case <-sess.gone:
		err = mcp.ErrConnectionClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		forget()
	}
	return err
}

// leave ends the subscription if e was the last to listen.
func (s *Server) leave(ctx context.Context, e *ear) {
	w := e.watch
	if s.watched.part(e) {
		return
	}
	w.turn <- struct{}{} // held by one that leaves, if by any: it is bounded
	defer func() { <-w.turn }()
	// Until then who comes anew waits for the turn: the server must not get the
	// end of the old subscription after the begin of the new one.
	defer s.watched.forget(w)
	sess := s.watched.abandon(w)
	if sess == nil || sess.conn.ended() != nil {
		return
	}
	sess.conn.latest.Delete(w.uri)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unsubscribeTime)
	defer cancel()
	_, err := s.request(ctx, sess, nil, func(ctx context.Context) (json.RawMessage, error) {
		return nil, sess.Unsubscribe(ctx, &mcp.UnsubscribeParams{URI: w.uri})
	})
	if err != nil {
		s.logger().DebugContext(ctx, "an mcp server was not told that nobody listens", "server", s.Name, "uri", w.uri, "cause", err)
	}
}

// resourceUpdated takes in that a resource changed.
func (s *Server) resourceUpdated(uri string) {
	if s.watched.changed(uri) {
		s.tell(&tramontane.ResourceUpdatedEvent{Server: s.Name, URI: uri})
	}
}

// watched are the resources of a server that somebody listens to. Its zero value
// has none.
type watched struct {
	mu    sync.Mutex // guards the field below, and what is in it
	byURI map[string]*watch
}

// A watch is a subscription to one resource, for all who listen.
type watch struct {
	uri  string
	turn chan struct{} // held by whoever subscribes, or ends it
	ears []*ear

	sess   *session      // on which it was asked for; nil if on none, or if it is over
	agreed chan struct{} // closed when the server has said whether it agrees
	stood  bool          // it did
	rounds int           // how often it did
	anew   bool          // it did once more, after the stream of notices was lost
	err    error         // why it did not, or does no more
	denied bool          // err is the server's last word
}

// An ear is one who listens.
type ear struct {
	watch  *watch
	news   chan struct{} // holds something while there may be something to take
	uris   []string
	anew   bool // the watch was
	rounds int  // of the watch, when it was heard last that it stands
}

func (all *watched) join(uri string) *ear {
	all.mu.Lock()
	defer all.mu.Unlock()
	w := all.byURI[uri]
	if w == nil {
		w = &watch{uri: uri, turn: make(chan struct{}, 1)}
		if all.byURI == nil {
			all.byURI = make(map[string]*watch)
		}
		all.byURI[uri] = w
	}
	e := &ear{watch: w, news: make(chan struct{}, 1)}
	w.ears = append(w.ears, e)
	return e
}

// part forgets e, and reports whether others listen.
func (all *watched) part(e *ear) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	w := e.watch
	w.ears = slices.DeleteFunc(w.ears, func(other *ear) bool { return other == e })
	return len(w.ears) > 0
}

// abandon returns the session on which nobody listens any more, if there is one.
func (all *watched) abandon(w *watch) *session {
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(w.ears) > 0 {
		return nil // one came meanwhile
	}
	sess := w.sess
	w.sess, w.stood = nil, false
	return sess
}

// forget forgets a watch on which nobody listens any more.
func (all *watched) forget(w *watch) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(w.ears) == 0 && all.byURI[w.uri] == w {
		delete(all.byURI, w.uri)
	}
}

// has reports whether the subscription stands on a session.
func (all *watched) has(w *watch, sess *session) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	return w.sess == sess && w.stood
}

// begin notes that a subscription is asked for. The channel is closed when the
// server has said whether it agrees.
func (all *watched) begin(w *watch, sess *session) (agreed <-chan struct{}) {
	all.mu.Lock()
	defer all.mu.Unlock()
	w.sess, w.stood, w.anew, w.err, w.denied = sess, false, false, nil, false
	w.agreed = make(chan struct{})
	return w.agreed
}

// failed notes that a subscription was not made.
func (all *watched) failed(w *watch) {
	all.mu.Lock()
	defer all.mu.Unlock()
	w.sess, w.stood = nil, false
}

// why returns why the server did not agree, or nil.
func (all *watched) why(w *watch) error {
	all.mu.Lock()
	defer all.mu.Unlock()
	return w.err
}

// begun notes that e knows that the subscription stands.
func (all *watched) begun(e *ear) {
	all.mu.Lock()
	defer all.mu.Unlock()
	e.rounds, e.uris, e.anew = e.watch.rounds, nil, false
}

// stands notes that the server agreed.
func (all *watched) stands(uri string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	w := all.byURI[uri]
	switch {
	case w == nil || w.sess == nil:
	case w.stood:
		w.anew = true // an update follows, when the SDK knows of it
	default:
		w.stood = true
		w.rounds++
		close(w.agreed)
	}
}

// over notes that the server tells of changes no more, or never did. An error
// of its own says why it never will; others, and none, pass.
func (all *watched) over(uri string, cause error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	w := all.byURI[uri]
	if w == nil || w.sess == nil {
		return // nobody wants it any more
	}
	var wire *jsonrpc.Error
	stood := w.stood
	w.sess, w.stood, w.err = nil, false, cause
	switch {
	case errors.As(cause, &wire):
		w.err, w.denied = wire, true
	case !stood && cause == nil:
		w.err = &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the server does not tell of changes of this resource"}
		w.denied = true
	}
	if !stood {
		close(w.agreed)
		return
	}
	for _, e := range w.ears {
		e.wake()
	}
}

// changed tells who listens to a resource, or to one that it is part of, and
// reports whether there is anybody.
func (all *watched) changed(uri string) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	found := false
	for _, w := range all.byURI {
		if uri != w.uri && !strings.HasPrefix(uri, strings.TrimSuffix(w.uri, "/")+"/") {
			continue
		}
		found = true
		for _, e := range w.ears {
			e.anew = e.anew || w.anew && uri == w.uri
			e.hear(uri)
		}
		w.anew = w.anew && uri != w.uri
	}
	return found
}

// hear notes a change. The caller holds the lock.
func (e *ear) hear(uri string) {
	switch {
	case slices.Contains(e.uris, uri):
	case len(e.uris) < maxUpdates:
		e.uris = append(e.uris, uri)
	default:
		e.uris = []string{e.watch.uri}
	}
	e.wake()
}

func (e *ear) wake() {
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// take returns what came for e, whether the subscription was made anew by that,
// and whether it was lost since e heard that it stands. The error says why it is over for good.
func (all *watched) take(e *ear) (uris []string, anew, lost bool, err error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	w := e.watch
	uris, anew, e.uris, e.anew = e.uris, e.anew, nil, false
	if w.denied {
		err = w.err
	}
	return uris, anew, w.sess == nil || w.rounds != e.rounds, err
}
