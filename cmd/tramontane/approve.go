package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// approve puts a call to the person. When ctx ends meanwhile, the call stays
// pending.
func (p *person) approve(ctx context.Context, call *tramontane.Call, def tramontane.Definition) (tramontane.Decision, error) {
	end, err := p.begin(ctx)
	if err != nil {
		return tramontane.Later(), nil
	}
	defer end()
	granted, err := p.grants.Has(def)
	if err != nil {
		return tramontane.Later(), err
	}
	if granted || p.always[call.Name] {
		return tramontane.Allow(), nil
	}
	fmt.Fprint(p.out, question(call, def))
	for {
		fmt.Fprint(p.out, "Allow it? [y]es, [a]lways in this run, [f]or good, until the tool changes, [n]o, [l]ater: ")
		answer, err := p.readLine(ctx)
		switch {
		case ctx.Err() != nil:
			return tramontane.Later(), nil
		case err != nil:
			return tramontane.Later(), err
		}
		switch word := strings.ToLower(answer); word {
		case "y", "yes":
			return tramontane.Allow(), nil
		case "a", "always":
			p.always[call.Name] = true
			return tramontane.Allow(), nil
		case "f", "for good":
			if err := p.grants.Add(def); err != nil {
				p.always[call.Name] = true
				fmt.Fprintf(p.out, "It is allowed in this run only: %s\n", visible(err.Error()))
			}
			return tramontane.Allow(), nil
		case "n", "no":
			return tramontane.Deny("the person at the terminal said no"), nil
		case "l", "later":
			return tramontane.Later(), nil
		}
	}
}

// acceptDrift shows how tools differ from what was pinned, and asks whether the
// run may use them.
func (p *person) acceptDrift(ctx context.Context, drift *mcptool.Drift) (mcptool.DriftAnswer, error) {
	end, err := p.begin(ctx)
	if err != nil {
		return mcptool.RefuseDrift, err
	}
	defer end()
	fmt.Fprintf(p.out, "\nTools are not as the lock file pins them:\n%s", drift)
	for {
		fmt.Fprint(p.out, "Use them? [y]es, this time, [a]ccept and pin them so, [n]o: ")
		answer, err := p.readLine(ctx)
		if err != nil {
			return mcptool.RefuseDrift, err
		}
		switch strings.ToLower(answer) {
		case "y", "yes":
			return mcptool.AllowDrift, nil
		case "a", "accept":
			return mcptool.AcceptDrift, nil
		case "n", "no":
			return mcptool.RefuseDrift, nil
		}
	}
}

// input asks for a value that a config file wants.
func (p *person) input(ctx context.Context, in mcptool.Input) (string, error) {
	end, err := p.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	fmt.Fprintf(p.out, "\n%s", printable(cmp.Or(in.Description, in.ID)))
	for i, option := range in.Options {
		fmt.Fprintf(p.out, "\n  %d  %s", i+1, printable(option))
	}
	fmt.Fprint(p.out, ": ")
	if in.Secret {
		defer fmt.Fprintln(p.out)
		return p.readSecret(ctx)
	}
	answer, err := p.readLine(ctx)
	if n, convErr := strconv.Atoi(answer); convErr == nil && 1 <= n && n <= len(in.Options) {
		answer = in.Options[n-1]
	}
	return cmp.Or(answer, in.Default), err
}

// question says what is to be allowed. All of it is text that others wrote.
func question(call *tramontane.Call, def tramontane.Definition) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe model wants to call %s", printable(call.Name))
	if def.Server != "" {
		fmt.Fprintf(&b, " (tool %s of MCP server %s)", printable(def.Original), printable(def.Server))
	}
	if def.Description != "" {
		fmt.Fprintf(&b, "\n  %s", shorten(printable(def.Description), 200))
	}
	b.WriteString("\nwith these arguments:\n")
	var indented bytes.Buffer
	if json.Indent(&indented, call.Arguments, "  ", "  ") != nil {
		indented.Reset()
		indented.Write(call.Arguments)
	}
	for line := range strings.SplitSeq(indented.String(), "\n") {
		fmt.Fprintf(&b, "  %s\n", visible(line))
	}
	return b.String()
}
