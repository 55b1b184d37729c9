package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A person is who sits at the terminal and can be asked.
type person struct {
	in     *bufio.Reader
	out    io.Writer
	secret func() (string, error) // reads a line that is not shown
	grants *mcptool.Grants        // what was allowed for good

	always map[string]bool // tools that need no more questions in this run
}

// findPerson returns the person at the terminal of this process, or nil if
// there is none, as in CI. The caller closes what it returns.
func findPerson() (*person, io.Closer) {
	tty, err := os.OpenFile(terminalPath, os.O_RDWR, 0)
	if err != nil {
		return nil, io.NopCloser(nil)
	}
	if !term.IsTerminal(int(tty.Fd())) {
		tty.Close()
		return nil, io.NopCloser(nil)
	}
	return &person{
		in: bufio.NewReader(tty), out: tty,
		secret: func() (string, error) {
			line, err := term.ReadPassword(int(tty.Fd()))
			return string(line), err
		},
		grants: newGrants(), always: map[string]bool{},
	}, tty
}

// approve puts a call to the person. It is asked one call at a time.
func (p *person) approve(ctx context.Context, call *tramontane.Call, def tramontane.Definition) (tramontane.Decision, error) {
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
		if err != nil {
			return tramontane.Later(), err
		}
		switch word := strings.ToLower(answer); word {
		case "y", "yes":
			return tramontane.Allow(), nil
		case "a", "always":
			p.always[call.Name] = true
			return tramontane.Allow(), nil
		case "f", "for good":
			return tramontane.Allow(), p.grants.Add(def)
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
func (p *person) input(in mcptool.Input) (string, error) {
	fmt.Fprintf(p.out, "\n%s", printable(cmp.Or(in.Description, in.ID)))
	for i, option := range in.Options {
		fmt.Fprintf(p.out, "\n  %d  %s", i+1, printable(option))
	}
	fmt.Fprint(p.out, ": ")
	if in.Secret {
		defer fmt.Fprintln(p.out)
		return p.secret()
	}
	answer, err := p.readLine(context.Background()) // a file is read before there is a run
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

// readLine returns the next line of the person. The goroutine that reads on
// when ctx ends lives as long as the process, which ends then: the read of a
// terminal cannot be broken off on every system.
func (p *person) readLine(ctx context.Context) (string, error) {
	type answer struct {
		line string
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		line, err := p.in.ReadString('\n')
		read <- answer{line, err}
	}()
	select {
	case a := <-read:
		return strings.TrimSpace(a.line), a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
