package mcpauth

import (
	"os"
	"syscall"
)

var detached = &syscall.SysProcAttr{Setsid: true}

func browserCommand(pageURL string) ([]string, error) {
	if os.Getenv("SSH_CONNECTION") != "" {
		return nil, errNoDisplay // it would open on the screen of the other machine
	}
	return []string{"/usr/bin/open", pageURL}, nil
}
