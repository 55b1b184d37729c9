package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A shelf is what a server has besides tools.
type shelf struct {
	resources int               // how many it lists at least
	templates int               // how many templates
	texts     map[string]string // by URI, in what is read there
	missing   string            // a URI at which there is nothing
	prompts   []asking
}

// An asking is a prompt, filled in, and a text that it then has.
type asking struct {
	name string
	args map[string]string
	text string
}

// read lists and reads all that is on the shelf.
func read(ctx context.Context, s *mcptool.Server, want shelf) error {
	listed := 0
	for link, err := range s.Resources(ctx) {
		if err != nil {
			return err
		}
		if link.URI == "" || link.Name == "" {
			return fmt.Errorf("%s lists a resource without URI or name: %+v", s, link)
		}
		if _, err := s.ReadResource(ctx, link.URI); err != nil {
			return err
		}
		listed++
	}
	if listed < want.resources {
		return fmt.Errorf("%s lists %d resources, not %d", s, listed, want.resources)
	}
	ok("%s: %d resources, each was read", s.Name, listed)

	templates := 0
	for template, err := range s.ResourceTemplates(ctx) {
		if err != nil {
			return err
		}
		if !strings.Contains(template.URITemplate, "{") {
			return fmt.Errorf("%s has a template that is none: %+v", s, template)
		}
		templates++
	}
	if templates != want.templates {
		return fmt.Errorf("%s has %d templates, not %d", s, templates, want.templates)
	}
	ok("%s: %d resource templates", s.Name, templates)

	for uri, text := range want.texts {
		contents, err := s.ReadResource(ctx, uri)
		if err != nil {
			return err
		}
		if len(contents) != 1 || !strings.Contains(contents[0].Text+string(contents[0].Blob), text) {
			return fmt.Errorf("%s: %s has no %q: %+v", s, uri, text, contents)
		}
		ok("%s: read %s", s.Name, uri)
	}
	if _, err := s.ReadResource(ctx, want.missing); !errors.Is(err, mcptool.ErrNotFound) {
		return fmt.Errorf("%s: read %s: %v, not ErrNotFound", s, want.missing, err)
	}
	ok("%s: no resource %s", s.Name, want.missing)
	return readPrompts(ctx, s, want.prompts)
}

// readPrompts fills in each prompt of the server. All of them must be given.
func readPrompts(ctx context.Context, s *mcptool.Server, askings []asking) error {
	left := make(map[string]bool)
	for prompt, err := range s.Prompts(ctx) {
		if err != nil {
			return err
		}
		left[prompt.Name] = true
	}
	for _, a := range askings {
		prompt, err := s.Prompt(ctx, a.name, a.args)
		if err != nil {
			return err
		}
		var said []string
		for _, m := range prompt.Messages {
			said = append(said, (&tramontane.ToolResult{Content: []tramontane.Content{m.Content}}).Text())
		}
		if text := strings.Join(said, "\n"); !strings.Contains(text, a.text) {
			return fmt.Errorf("%s: prompt %s has no %q: %q", s, a.name, a.text, text)
		}
		if len(prompt.Inputs()) != len(prompt.Messages) {
			return fmt.Errorf("%s: prompt %s has %d messages and gives a run %d", s, a.name, len(prompt.Messages), len(prompt.Inputs()))
		}
		delete(left, a.name)
		ok("%s: prompt %s", s.Name, a.name)
	}
	if len(left) > 0 {
		return fmt.Errorf("%s offers prompts that nobody filled in: %q", s, slices.Sorted(maps.Keys(left)))
	}
	if _, err := s.Prompt(ctx, "no-such-prompt", nil); err == nil {
		return fmt.Errorf("%s fills in a prompt that it does not have", s)
	}
	return nil
}

// cancelled gives up a call that takes long as soon as it runs, and finds that
// the server is as before.
func cancelled(ctx context.Context, s *mcptool.Server, slow, slowArgs string, after step) error {
	tools, err := s.Tools(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(tools, func(t tramontane.Tool) bool { return t.Definition().Original == slow })
	if i < 0 {
		return fmt.Errorf("%s offers no %s", s, slow)
	}
	callCtx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = tools[i].Call(callCtx, &tramontane.Call{Arguments: []byte(slowArgs)})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		return fmt.Errorf("%s: a call that was given up ended after %v with %v", s, time.Since(began), err)
	}
	ok("%s: a call was given up", s.Name)
	return play(ctx, s, []step{after}, nil)
}

// news counts what the events of a run say.
type news struct {
	last *tramontane.ProgressEvent
	logs []*tramontane.LogEvent
}

func (n *news) watch(event tramontane.Event) {
	switch e := event.(type) {
	case *tramontane.ProgressEvent:
		n.last = e
	case *tramontane.LogEvent:
		n.logs = append(n.logs, e)
	}
}

// heard checks that progress came to its end, and that there were log lines of
// the server.
func (n *news) heard(s *mcptool.Server, total float64, logs int) error {
	if n.last == nil || n.last.Progress != total || n.last.Total != total || n.last.Call.Name == "" {
		return fmt.Errorf("%s: the last news of progress is %+v, not %v", s, n.last, total)
	}
	for _, line := range n.logs {
		if line.Server != s.Name || line.Level == "" || len(line.Data) == 0 {
			return fmt.Errorf("%s: a line of its log is %+v", s, line)
		}
	}
	if len(n.logs) < logs {
		return fmt.Errorf("%s: %d lines of its log, not %d", s, len(n.logs), logs)
	}
	ok("%s: progress came to its end, %d lines of its log", s.Name, len(n.logs))
	return nil
}
