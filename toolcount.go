package tramontane

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tramontane-dev/tramontane/mistral"
)

// defaultMaxTools is what chat APIs commonly take: they refuse a longer list
// with an error that names nobody. Mistral's does not say what it takes.
const defaultMaxTools = 128

// checkToolCount refuses more tools than a conversation may have, and says
// whose they are. The agent's may be nil.
func (r *Runner) checkToolCount(agents, ours mistral.Tools, byName map[string]Tool) error {
	limit := cmp.Or(r.MaxTools, defaultMaxTools)
	all := len(mergeTools(agents, ours))
	if limit < 0 || all <= limit {
		return nil
	}
	counts := map[string]int{}
	for _, tool := range byName {
		counts[origin(tool.Definition())]++
	}
	if n := all - len(ours); n > 0 {
		counts["the agent itself"] = n
	}
	var whose []string
	for name := range counts {
		whose = append(whose, name)
	}
	slices.SortFunc(whose, func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
	for i, name := range whose {
		whose[i] = fmt.Sprintf("%s has %d", name, counts[name])
	}
	return fmt.Errorf("there are %d tools, and a conversation takes at most %d: %s; leave servers out, or exclude tools by name (mcptool.Policy, --exclude), or set Runner.MaxTools if the API takes more",
		all, limit, strings.Join(whose, ", "))
}
