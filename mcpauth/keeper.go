package mcpauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A keeper holds the token of one server, and has it renewed once for any number
// of goroutines that want that.
type keeper struct {
	mu sync.Mutex // guards the fields below

	token *Token // nil: none

	// given counts the requests that went out with the token, refused those that
	// came back, and answered the callers who waited for it: each of them sends a
	// request whose refusal nobody is told of. What is left of given was
	// accepted, or is under way.
	given, refused, answered int

	// refreshes and logins are those since a token was last known to work.
	refreshes, logins streak

	nonce string // the last that the server gave for proofs of a key

	flight *flight // nil: none under way
}

// A need is why a request wants another token.
type need struct {
	refused   string   // the access token that does not do, or "" if there was none
	expired   bool     // it was not refused yet: its time is over
	signIn    bool     // a person wants to log in, whatever there is
	stepUp    bool     // the server wants more scopes
	operation string   // for which, in a step-up
	scopes    []string // that the token must have then
	challenge challenge
}

// A flight is one renewal that several may wait for.
type flight struct {
	need    need
	waiters int // guarded by keeper.mu
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // set before done is closed
}

// serves reports whether the end of the flight is the answer for n.
func (f *flight) serves(n need) bool {
	return f.need.refused == n.refused && f.need.stepUp == n.stepUp && f.need.expired == n.expired &&
		f.need.signIn == n.signIn && containsAll(f.need.scopes, n.scopes)
}

// satisfied is called with the lock held.
func (k *keeper) satisfied(n need) bool {
	switch {
	case k.token == nil:
		return n.expired // a refresh that was refused leaves nothing
	case string(k.token.Access) == n.refused:
		return false
	case n.stepUp:
		return containsAll(k.token.Scopes, n.scopes)
	}
	return true
}

// renew returns when there is a token for n, or why there is none. The work goes
// on for as long as somebody waits for it, also if the first one gives up; when
// nobody does, its context ends.
func (k *keeper) renew(ctx context.Context, n need, work func(context.Context, need) error) error {
	for {
		k.mu.Lock()
		if k.satisfied(n) {
			k.count(n)
			k.mu.Unlock()
			return nil
		}
		f := k.flight
		if f == nil {
			f = k.start(ctx, n, work)
		}
		f.waiters++
		k.mu.Unlock()

		select {
		case <-f.done:
		case <-ctx.Done():
			k.leave(f)
			return ctx.Err()
		}
		if f.serves(n) && f.err != nil {
			return f.err
		}
		if f.serves(n) {
			k.mu.Lock()
			k.count(n)
			k.mu.Unlock()
			return nil
		}
	}
}

// count is called with the lock held.
func (k *keeper) count(n need) {
	if !n.signIn { // after which no request follows by itself
		k.answered++
	}
}

// answer notes that a request is sent again, whose refusal nobody is told of.
func (k *keeper) answer() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answered++
}

// start is called with the lock held.
func (k *keeper) start(ctx context.Context, n need, work func(context.Context, need) error) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{need: n, cancel: cancel, done: make(chan struct{})}
	k.flight = f
	go func() {
		defer cancel()
		f.err = work(ctx, n)
		k.mu.Lock()
		if k.flight == f {
			k.flight = nil
		}
		k.mu.Unlock()
		close(f.done)
	}()
	return f
}

// leave ends a flight that nobody waits for any more. Who comes later starts
// another, and does not get the end of this one.
func (k *keeper) leave(f *flight) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	f.cancel()
	if k.flight == f {
		k.flight = nil
	}
}

// set puts a token in place; nil takes it away.
func (k *keeper) set(t *Token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.token = t
	k.given, k.refused, k.answered = 0, 0, 0
}

// current returns the token, or nil.
func (k *keeper) current() *Token {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.token
}

// give sets the token on a request.
func (k *keeper) give(req *http.Request) error {
	k.mu.Lock()
	t, nonce := k.token, k.nonce
	if t != nil {
		k.given++
	}
	k.mu.Unlock()
	if t == nil {
		return nil
	}
	if !t.bound {
		req.Header.Set("Authorization", "Bearer "+string(t.Access))
		return nil
	}
	proof, err := t.key.proof(req.Method, target(req.URL, req.Host), string(t.Access), nonce)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "DPoP "+string(t.Access))
	req.Header.Set(dpopHeader, proof)
	return nil
}

// hear takes the nonce that a response of the server may bring. It reports
// whether the request is to be sent again with it: that is so if it was refused
// for want of one, and did not have this one. The token was not judged then.
func (k *keeper) hear(req *http.Request, resp *http.Response, server *url.URL) (again bool) {
	nonce := readNonce(resp.Header)
	if nonce == "" || origin(req.URL) != origin(server) {
		return false
	}
	k.mu.Lock()
	k.nonce = nonce
	k.mu.Unlock()
	if resp.StatusCode != http.StatusUnauthorized || !readChallenge(resp.Header).nonce {
		return false
	}
	sent, err := readJWT(req.Header.Get(dpopHeader))
	if err != nil || sent.Nonce == nonce {
		return false
	}
	k.refuse(credentials(req))
	return true
}

// credentials returns the access token of a request, or "".
func credentials(req *http.Request) string {
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "dpop") {
		return token
	}
	return ""
}

// A streak counts renewals that nothing good is known to have come of. A server
// that refuses every token, since it trusts another issuer than it names, say,
// must not send a person through one login after the other.
type streak struct {
	n    int
	last time.Time
}

const (
	streakLimit  = 3
	streakWindow = 10 * time.Minute
)

func (s *streak) over() bool { return s.n >= streakLimit && time.Since(s.last) < streakWindow }

func (s *streak) add() {
	if time.Since(s.last) >= streakWindow {
		s.n = 0
	}
	s.n, s.last = s.n+1, time.Now()
}

// learn notes that the server refused a token, and whether it can have accepted
// it before. It returns whether a refresh, and a login, may still help.
func (k *keeper) learn(access string) (refresh, login bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.token != nil && string(k.token.Access) == access && k.given > k.answered+k.refused {
		k.refreshes, k.logins = streak{}, streak{}
	}
	return !k.refreshes.over(), !k.logins.over()
}

// renewed counts a renewal.
func (k *keeper) renewed(s *streak) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.add()
}

// restart forgets what was learned: a person has taken the matter in hand.
func (k *keeper) restart() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refreshes, k.logins = streak{}, streak{}
}

// refuse counts a refusal of the token in use.
func (k *keeper) refuse(access string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.token != nil && string(k.token.Access) == access {
		k.refused++
	}
}

// authorize gives req the token, which goes to the origin of the server only.
func (k *keeper) authorize(req *http.Request, server *url.URL, name string) error {
	if origin(req.URL) != origin(server) {
		return fmt.Errorf("%s: a request to %s://%s must not carry its token", name, req.URL.Scheme, req.URL.Host)
	}
	if err := k.give(req); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Another token, with another proof of the same key, would fare no better.
var errProof = errors.New("it does not take the proof of the key that the token is bound to (invalid_dpop_proof): is the clock of this machine right?")

var errForbidden = errors.New("it refuses the request to this user (403), and another login would not change that")

// readNeed says what a refusal by the server calls for. The error says that
// nothing would help.
func (k *keeper) readNeed(req *http.Request, resp *http.Response, server *url.URL) (need, error) {
	if origin(req.URL) != origin(server) {
		return need{}, fmt.Errorf("another server refuses the request, %s://%s", req.URL.Scheme, req.URL.Host)
	}
	n := need{challenge: readChallenge(resp.Header)}
	if n.refused = credentials(req); n.refused != "" {
		k.refuse(n.refused)
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		if n.challenge.problem == invalidProof && req.Header.Get(dpopHeader) != "" {
			return n, errProof
		}
		return n, nil
	case http.StatusForbidden:
		if n.challenge.problem != "insufficient_scope" {
			return n, errForbidden
		}
		n.stepUp, n.scopes, n.operation = true, n.challenge.scopes, operationOf(req)
		return n, nil
	}
	return n, fmt.Errorf("status %d is no matter of a login", resp.StatusCode)
}

// operationOf names what a request does: its method and the name of the tool,
// prompt or resource, which newer clients say in headers.
func operationOf(req *http.Request) string {
	if method := req.Header.Get("Mcp-Method"); method != "" {
		return strings.TrimSpace(method + " " + req.Header.Get("Mcp-Name"))
	}
	if req.GetBody != nil {
		if body, err := req.GetBody(); err == nil {
			defer body.Close()
			var message struct {
				Method string
				Params struct{ Name, URI string }
			}
			data, _ := io.ReadAll(io.LimitReader(body, guardBody))
			if json.Unmarshal(data, &message) == nil && message.Method != "" {
				return strings.TrimSpace(message.Method + " " + message.Params.Name + message.Params.URI)
			}
		}
	}
	return req.Method + " " + req.URL.Path
}
