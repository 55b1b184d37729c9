package mcptool

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// maxPages bounds a list whose cursors never end.
const maxPages = 1000

// A toolList remembers what tools are offered on a link, until the server says
// that they changed: a run needs no round trip to know them. Its zero value
// knows nothing.
type toolList struct {
	mu      sync.Mutex // guards the fields below
	notify  func()     // told of changes, not under mu
	changes int        // times that the server said so
	known   bool
	until   time.Time // when tools hold no more; zero if the server says so
	tools   []*listedTool
}

// get returns the tools, if they are known.
func (l *toolList) get() ([]*listedTool, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tools, l.known && (l.until.IsZero() || time.Now().Before(l.until))
}

// version returns how often the tools have changed.
func (l *toolList) version() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes
}

// put remembers tools that were asked for after so many changes. An answer that
// is older than the last change tells nothing for next time.
func (l *toolList) put(tools []*listedTool, changes int, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changes == changes {
		l.tools, l.known, l.until = tools, true, until
	}
}

// onChange has f called when the tools change that were known. It must not
// block.
func (l *toolList) onChange(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notify = f
}

// changed forgets the tools: the server says that it has others.
func (l *toolList) changed() {
	l.mu.Lock()
	notify := l.notify
	l.mu.Unlock()
	if l.forget() && notify != nil {
		notify()
	}
}

// forget forgets the tools. It reports whether they were known.
func (l *toolList) forget() (known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known = l.known
	l.changes++
	l.tools, l.known = nil, false
	return known
}

// list returns the server's tools, each without its name for the model,
// starting or reaching the server where that is needed.
func (s *Server) list(ctx context.Context) ([]*tool, error) {
	for again := false; ; again = true {
		sess, err := s.connect(ctx)
		if err != nil {
			return nil, err
		}
		listed, err := s.listSession(ctx, sess)
		if err == nil {
			s.shelve(ctx)
			return s.toolsOf(listed), nil
		}
		// To list changes nothing, so it may be asked for once more on another
		// session.
		if again || ctx.Err() != nil || sess.conn.ended() == nil {
			return nil, err
		}
	}
}

// listSession returns what is offered on a session. Whoever asks while another
// waits for the answer shares it.
func (s *Server) listSession(ctx context.Context, sess *session) ([]*listedTool, error) {
	known := sess.conn.list()
	if listed, ok := known.get(); ok {
		return listed, nil
	}
	select {
	case s.listing <- struct{}{}:
		defer func() { <-s.listing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: list tools: %w", s, ctx.Err())
	}
	if listed, ok := known.get(); ok {
		return listed, nil
	}
	changes := known.version()
	asked := time.Now()
	got, err := s.listPages(ctx, sess)
	if now := known.version(); err == nil && now != changes {
		// Servers that register their tools one by one as they start say so
		// each time. What they have after that is worth a second question.
		changes, asked = now, time.Now()
		got, err = s.listPages(ctx, sess)
	}
	if err != nil {
		s.mu.Lock()
		if s.session == sess && ctx.Err() == nil {
			s.missing = err
		}
		s.mu.Unlock()
		return nil, err
	}
	personal := got.private && s.HeaderFunc != nil
	s.mu.Lock()
	s.personal = personal
	s.mu.Unlock()
	switch {
	case personal:
		// It is one user's, and the next who asks may be another.
		return got.tools, nil
	case sess.legacy() || sess.conn.subscribed.Load():
		known.put(got.tools, changes, time.Time{})
	case got.ttl > 0:
		known.put(got.tools, changes, asked.Add(got.ttl))
	}
	s.keepList(ctx, got.tools)
	return got.tools, nil
}

// A toolAnswer is what a server lists, and what versions that say so say of it.
type toolAnswer struct {
	tools   []*listedTool
	ttl     time.Duration // it holds
	private bool          // nobody else may be shown it
}

// listPages asks a session for its tools.
func (s *Server) listPages(ctx context.Context, sess *session) (got toolAnswer, err error) {
	params := &mcp.ListToolsParams{}
	seen := make(map[string]bool)
	var refused error
	again := false
	for page := 1; ; page++ {
		raw, err := s.request(ctx, sess, nil, func(ctx context.Context) (json.RawMessage, error) {
			return rawResult(sess.ListTools(ctx, params))
		})
		var wire *jsonrpc.Error
		if errors.As(err, &wire) && wire.Code == jsonrpc.CodeMethodNotFound {
			break // a server of prompts or resources only
		}
		if staleCursor(err, params.Cursor) && !again {
			again, refused, got = true, nil, toolAnswer{}
			clear(seen)
			params = &mcp.ListToolsParams{}
			continue
		}
		if err != nil {
			return toolAnswer{}, oneLine(fmt.Errorf("%s: list tools: %w", s, err))
		}
		var list toolPage
		if err := json.Unmarshal(raw, &list); err != nil {
			return toolAnswer{}, fmt.Errorf("%s: list tools: the answer is malformed: %w", s, err)
		}
		if err := checkKind(list.Type); err != nil {
			return toolAnswer{}, fmt.Errorf("%s: list tools: %w", s, err)
		}
		if holds := time.Duration(list.TTL * float64(time.Millisecond)); params.Cursor == "" || holds < got.ttl {
			got.ttl = holds
		}
		got.private = got.private || list.Scope == "private"
		for _, raw := range list.Tools {
			t, err := decodeTool(raw)
			if err == nil && seen[t.Name] {
				err = errors.New("its name was listed before")
			}
			if err == nil && mirrors(sess.conn.link) {
				err = checkHeaderParams(t.InputSchema)
			}
			if err != nil {
				shown := string(raw[:min(len(raw), 200)])
				s.logger().WarnContext(ctx, "mcp server offers a tool that cannot be used", "server", s.Name, "tool", shown, "cause", err)
				refused = oneLine(fmt.Errorf("%s: it offers a tool that cannot be used, %s: %w", s, shown, err))
				continue
			}
			seen[t.Name] = true
			got.tools = append(got.tools, t)
		}
		if list.NextCursor == "" {
			break
		}
		if list.NextCursor == params.Cursor {
			return toolAnswer{}, fmt.Errorf("%s: list tools: page %q says that it follows itself", s, params.Cursor)
		}
		if page == maxPages {
			return toolAnswer{}, fmt.Errorf("%s: list tools: there are more than %d pages", s, maxPages)
		}
		params = &mcp.ListToolsParams{Cursor: list.NextCursor}
	}
	s.mu.Lock()
	s.missing = refused
	s.mu.Unlock()
	return got, nil
}

// toolsOf makes tools of what the server listed.
func (s *Server) toolsOf(listed []*listedTool) []*tool {
	s.changedTo(listed)
	tools := make([]*tool, len(listed))
	for i, t := range listed {
		tools[i] = &tool{server: s, def: s.definition(t), tasks: t.Execution.TaskSupport}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tools, s.offered, s.stale, s.gone = len(listed), listed, false, nil
	return slices.Concat(tools, s.resourceTools(), s.skillTools())
}

// compare lists the tools of a session that took the place of another, and
// tells the runs if they are others than those that they have.
func (s *Server) compare(sess *session) {
	listed, err := s.listSession(s.life, sess)
	if err != nil {
		s.logger().Warn("a new session of an mcp server does not list its tools", "server", s.Name, "cause", err)
		return
	}
	s.changedTo(listed)
}

// changedTo tells the runs if the server lists others than the tools that they
// have.
func (s *Server) changedTo(listed []*listedTool) {
	has := make(map[string]bool, len(listed))
	for _, t := range listed {
		has[t.Name] = true
	}
	var gone []string
	s.mu.Lock()
	if s.personal {
		s.mu.Unlock()
		return // another user's list tells nothing of a change
	}
	same := s.offered == nil || slices.EqualFunc(s.offered, listed, func(a, b *listedTool) bool { return bytes.Equal(a.raw, b.raw) })
	for _, t := range s.offered {
		if !has[t.Name] {
			gone = append(gone, t.Name)
		}
	}
	if len(gone) > 0 {
		s.gone = oneLine(fmt.Errorf("%s: it does not offer any more what runs have: %s", s, strings.Join(gone, ", ")))
	}
	s.mu.Unlock()
	if !same {
		s.toolsChanged()
	}
}

// toolsChanged tells the runs, once, that the server has other tools now than
// they.
func (s *Server) toolsChanged() {
	s.mu.Lock()
	told := s.stale
	s.stale = true
	s.mu.Unlock()
	if told {
		return
	}
	s.logger().Info("the tools of an mcp server changed; the next conversation has the new ones", "server", s.Name)
	s.tell(&tramontane.ToolsChangedEvent{Server: s.Name})
}

func (s *Server) definition(t *listedTool) tramontane.Definition {
	hints := t.Annotations
	def := tramontane.Definition{
		Description: t.Description,
		Parameters:  t.InputSchema,
		Server:      s.Name,
		Original:    t.Name,
		Title:       cmp.Or(t.Title, hints.Title),
		Output:      t.OutputSchema,
		ReadOnly:    hints.ReadOnly != nil && *hints.ReadOnly,
		Idempotent:  hints.Idempotent != nil && *hints.Idempotent,
		Additive:    hints.Destructive != nil && !*hints.Destructive,
		Closed:      hints.OpenWorld != nil && !*hints.OpenWorld,
		Trusted:     s.Trusted,
	}
	def.Safe = def.Trusted && (def.ReadOnly || def.Idempotent)
	if def.Description == "" {
		def.Description = def.Title
	}
	return def
}
