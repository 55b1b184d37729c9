package mcptool

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tramontane-dev/tramontane"
)

// Servers are several servers as one [tramontane.Toolset], in which no two
// tools have the same name. A run that is given the servers one by one instead
// refuses to start when two names meet.
type Servers []*Server

// Tools starts the servers side by side, where that is needed, and returns
// their tools in the order of the servers. If some of them fail, it returns an
// error that names each.
func (s Servers) Tools(ctx context.Context) ([]tramontane.Tool, error) {
	names := make(map[string]bool)
	for _, server := range s {
		if names[server.Name] {
			return nil, fmt.Errorf("%s: there are two servers of this name; rename one", server)
		}
		names[server.Name] = true
	}
	lists := make([][]*tool, len(s))
	errs := make([]error, len(s))
	var wg sync.WaitGroup
	for i, server := range s {
		wg.Go(func() { lists[i], errs[i] = server.list(ctx) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var all []*tool
	for _, list := range lists {
		all = append(all, list...)
	}
	return nameTools(all)
}

// Status returns how each server is doing, in their order.
func (s Servers) Status() []Status {
	all := make([]Status, len(s))
	for i, server := range s {
		all[i] = server.Status()
	}
	return all
}

// Close closes the servers side by side and returns when all are gone.
func (s Servers) Close() error {
	errs := make([]error, len(s))
	var wg sync.WaitGroup
	for i, server := range s {
		wg.Go(func() { errs[i] = server.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
