package mcpauth

import (
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// openerWait is how long the program that opens a browser has to fail. It may
// run for as long as the browser does.
const openerWait = 2 * time.Second

// openBrowser shows a page, which [checkAuthURL] let through, in the browser of
// this machine. No shell sees the URL.
func openBrowser(pageURL string) error {
	command, err := browserCommand(pageURL)
	if err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.SysProcAttr = detached // an interrupt at the terminal is not for the browser
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	// This goroutine ends with the opener, which may be the browser itself: it
	// is the person's, so nobody waits for it or ends it.
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%s: %w", command[0], err)
		}
	case <-time.After(openerWait):
	}
	return nil
}

var errNoDisplay = errors.New("this machine has no display")
