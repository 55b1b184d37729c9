package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/tramontane-dev/tramontane/mcpauth"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// A person is who sits at the terminal and can be asked, by any goroutine: the
// approval of a call, a question of a server in the middle of another call and
// a login may come at the same time.
type person struct {
	in     *bufio.Reader
	out    io.Writer
	secret func() (string, error) // reads a line that is not shown
	show   func()                 // what is typed, although secret still reads
	grants *mcptool.Grants        // what was allowed for good

	turn    chan struct{}   // held by who asks; guards the fields below
	reading chan line       // gets the line that a withdrawn question waited for; nil if there is none
	always  map[string]bool // tools that need no more questions in this run
}

// A line is what the person typed.
type line struct {
	text string
	err  error
}

func newPerson(in io.Reader, out io.Writer, grants *mcptool.Grants) *person {
	return &person{
		in: bufio.NewReader(in), out: out, grants: grants,
		turn: make(chan struct{}, 1), always: map[string]bool{},
	}
}

// findPerson returns the person at the terminal of this process, or nil if
// there is none, as in CI. The caller closes what it returns.
func findPerson() (*person, io.Closer) {
	tty, err := os.OpenFile(terminalPath, os.O_RDWR, 0)
	if err != nil {
		return nil, io.NopCloser(nil)
	}
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil { // it is no terminal
		tty.Close()
		return nil, io.NopCloser(nil)
	}
	p := newPerson(tty, tty, newGrants())
	p.secret = func() (string, error) {
		secret, err := term.ReadPassword(fd)
		return string(secret), err
	}
	p.show = func() { term.Restore(fd, before) }
	return p, tty
}

// begin waits until nobody else asks. The caller calls end when it has its
// answer.
func (p *person) begin(ctx context.Context) (end func(), err error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-p.reading: // it was typed before this question was there
		p.reading = nil
	default:
	}
	return func() { <-p.turn }, nil
}

// readLine returns the next line of the person, whose turn it is. The read of a
// terminal cannot be broken off on every system: when ctx ends it goes on, and
// the next question has its line, so that no two reads share the terminal.
func (p *person) readLine(ctx context.Context) (string, error) {
	if p.reading == nil {
		p.reading = make(chan line, 1)
		go func(read chan<- line) {
			text, err := p.in.ReadString('\n')
			read <- line{strings.TrimSpace(text), err}
		}(p.reading)
	}
	select {
	case l := <-p.reading:
		p.reading = nil
		return l.text, l.err
	case <-ctx.Done():
		fmt.Fprint(p.out, "\nThis is asked no more.\n")
		return "", ctx.Err()
	}
}

// readSecret is readLine for what is not shown. When ctx ends there is no other
// question: it is asked before anything starts.
func (p *person) readSecret(ctx context.Context) (string, error) {
	read := make(chan line, 1)
	go func() {
		text, err := p.secret()
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		return l.text, l.err
	case <-ctx.Done():
		p.show() // or the shell would have a terminal that stays dark
		return "", ctx.Err()
	}
}

// prompter returns a prompter that sends the person to a page when nothing else
// is asked.
func (p *person) prompter(with mcpauth.Prompter) mcpauth.Prompter { return &turnPrompter{with, p} }

type turnPrompter struct {
	mcpauth.Prompter
	person *person
}

// Begin implements [mcpauth.Prompter].
func (t *turnPrompter) Begin(ctx context.Context, redirectURI string) (mcpauth.Prompt, error) {
	prompt, err := t.Prompter.Begin(ctx, redirectURI)
	if err != nil {
		return nil, err
	}
	return &turnPrompt{prompt, t.person}, nil
}

type turnPrompt struct {
	mcpauth.Prompt
	person *person
}

// Ask implements [mcpauth.Prompt].
func (t *turnPrompt) Ask(ctx context.Context, authURL string) (callbackURL string, err error) {
	end, err := t.person.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	return t.Prompt.Ask(ctx, authURL)
}
