package mcptool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"github.com/tramontane-dev/tramontane"
)

// A Guard is a Toolset behind a [Policy] and a lock file: what it returns is
// what a run may use. It looks again in each run, so that a server that changes
// its tools meanwhile is noticed.
//
// Set the fields before the first use and leave them alone then. A Guard is
// safe for concurrent use if its Toolset and Ask are.
type Guard struct {
	// Toolset is what is guarded, such as [Servers]. Required. The Guard does
	// not close it.
	Toolset tramontane.Toolset

	// Policy says which tools are let through, and how. If zero, all are.
	Policy Policy

	// LockFile is the path of a file that pins the tools, see [Lock]. Tools that
	// the Policy leaves out need not be as they are pinned, and neither need
	// servers that cannot be had. What a server offers may depend on whether it
	// can ask a person, as [Lock] says. If zero, nothing is pinned.
	LockFile string

	// OnDrift says what becomes of a run whose tools are not as they are pinned,
	// or for which there is no lock file. If zero, it is BlockDrift.
	OnDrift DriftMode

	// Ask is asked about drift if OnDrift is AskDrift. If nil, or if it returns
	// an error, the run does not start.
	Ask func(ctx context.Context, drift *Drift) (DriftAnswer, error)

	// Logger receives warnings: drift if OnDrift is WarnDrift, and rules of the
	// Policy that fit nothing while a server cannot be had. If nil, they are
	// discarded.
	Logger *slog.Logger
}

// A DriftMode says what becomes of a run whose tools are not as a lock file pins
// them. Its zero value is BlockDrift.
type DriftMode string

// What becomes of a run whose tools are not as a lock file pins them.
const (
	BlockDrift DriftMode = "block" // it ends before the model is called, with a *DriftError
	AskDrift   DriftMode = "ask"   // a person is asked, see Guard.Ask
	WarnDrift  DriftMode = "warn"  // the difference is logged, and the run goes on
)

// ParseDriftMode returns the mode of that name, as config files and flags have
// it.
func ParseDriftMode(name string) (DriftMode, error) {
	switch mode := DriftMode(name); mode {
	case BlockDrift, AskDrift, WarnDrift:
		return mode, nil
	}
	return "", fmt.Errorf("there is no mode %q, only %s, %s and %s", name, BlockDrift, AskDrift, WarnDrift)
}

// A DriftAnswer is a person's word on drift. Its zero value is RefuseDrift.
type DriftAnswer int

// What a person says to drift.
const (
	RefuseDrift DriftAnswer = iota // the run does not start
	AllowDrift                     // it starts, and the next one asks again
	AcceptDrift                    // it starts, and the lock file pins what was shown; what the Policy leaves out stays as it was
)

// A DriftError is the error of a run that did not start because tools are not as
// they are pinned.
type DriftError struct {
	LockFile string
	Missing  bool   // there is no lock file
	Drift    *Drift // never nil
}

// Error names the tools and says how to accept them. The whole difference is
// in Drift.
func (e *DriftError) Error() string {
	if e.Missing {
		return fmt.Sprintf("mcp lock %s: there is no such file, so no tool is pinned; pin the tools with: tramontane mcp lock", e.LockFile)
	}
	const most = 10
	var changes []string
	for _, c := range e.Drift.Changes[:min(len(e.Drift.Changes), most)] {
		changes = append(changes, c.String())
	}
	if more := len(e.Drift.Changes) - most; more > 0 {
		changes = append(changes, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("mcp lock %s: tools are not as they were pinned: %s; look at the difference and accept it with: tramontane mcp lock",
		e.LockFile, strings.Join(changes, ", "))
}

// Tools implements [tramontane.Toolset]. The error names each rule of the Policy
// that is wrong, or is a [*DriftError].
func (g *Guard) Tools(ctx context.Context) ([]tramontane.Tool, error) {
	rules, err := g.Policy.parse()
	if err != nil {
		return nil, err // before a server is started
	}
	if g.Toolset == nil {
		return nil, errors.New("mcp guard: its Toolset is nil: set it to what is guarded, such as Servers")
	}
	all, err := g.Toolset.Tools(ctx)
	if err != nil {
		return nil, err
	}
	notes, err := rules.check(g.offer(all))
	if err != nil {
		return nil, err
	}
	for _, note := range notes {
		g.logger().WarnContext(ctx, "mcp policy: "+note)
	}
	var tools []tramontane.Tool
	for _, t := range all {
		def := t.Definition()
		switch {
		case !rules.keeps(def):
		case rules.confirms(def) && !def.Confirm:
			def.Confirm = true
			tools = append(tools, &confirmedTool{t, def})
		default:
			tools = append(tools, t)
		}
	}
	if g.LockFile != "" {
		if err := g.checkLock(ctx, rules, tools, all); err != nil {
			return nil, err
		}
	}
	return tools, nil
}

// A confirmedTool asks a person before each call.
type confirmedTool struct {
	tramontane.Tool
	def tramontane.Definition
}

func (t *confirmedTool) Definition() tramontane.Definition { return t.def }

// offer returns what rules can speak of.
func (g *Guard) offer(tools []tramontane.Tool) *offer {
	o := new(offer)
	known := make(map[string]bool)
	offering := make(map[string]bool)
	for _, t := range tools {
		def := t.Definition()
		o.tools = append(o.tools, def)
		offering[def.Server] = true
	}
	for _, s := range serversOf(g.Toolset) {
		known[s.Name] = true
		o.servers = append(o.servers, s.Name)
		if !offering[s.Name] && s.mayOfferMore() {
			o.down = append(o.down, s.Name)
		}
	}
	for _, def := range o.tools {
		if def.Server != "" && !known[def.Server] {
			known[def.Server] = true
			o.servers = append(o.servers, def.Server)
		}
	}
	return o
}

// checkLock compares the tools that are let through with the lock file.
func (g *Guard) checkLock(ctx context.Context, rules *matchers, tools, all []tramontane.Tool) error {
	lock, err := ReadLock(g.LockFile)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing:
		lock = new(Lock)
	case err != nil:
		return err
	}
	now := NewLock(g.Toolset, tools)
	drift := lock.Drift(now)
	offered := NewLock(g.Toolset, all)
	drift.Changes = slices.DeleteFunc(drift.Changes, func(c Change) bool {
		if c.Kind != Removed {
			return false
		}
		// What the policy leaves out looks as if it were gone, and of what is
		// gone there is only the name to say whether it would.
		return offered.has(c.Server, c.Tool) || !rules.keeps(tramontane.Definition{Server: c.Server, Original: c.Tool})
	})
	if len(drift.Changes) == 0 && !missing {
		return nil
	}
	refused := &DriftError{LockFile: g.LockFile, Missing: missing, Drift: drift}
	switch {
	case g.OnDrift == WarnDrift:
		g.logger().WarnContext(ctx, refused.Error(), "diff", drift.String())
		return nil
	case g.OnDrift != AskDrift || g.Ask == nil:
		return refused
	}
	answer, err := g.Ask(ctx, drift)
	switch {
	case err != nil:
		return errors.Join(refused, err)
	case answer == AcceptDrift:
		for name, server := range now.Servers {
			for tool, pinned := range lock.Servers[name].Tools {
				// Nobody was shown what the policy leaves out.
				if _, shown := server.Tools[tool]; !shown && offered.has(name, tool) {
					server.Tools[tool] = pinned
				}
			}
		}
		lock.Update(now)
		return lock.WriteFile(g.LockFile)
	case answer == AllowDrift:
		return nil
	default:
		return refused
	}
}

func (g *Guard) logger() *slog.Logger {
	if g.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return g.Logger
}
