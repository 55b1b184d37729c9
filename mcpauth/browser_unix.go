//go:build unix && !darwin

package mcpauth

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

var detached = &syscall.SysProcAttr{Setsid: true}

func browserCommand(pageURL string) ([]string, error) {
	openers := []string{"xdg-open", "x-www-browser", "www-browser"}
	if os.Getenv("WSL_DISTRO_NAME") != "" {
		openers = append([]string{"wslview"}, openers...)
	} else if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		// xdg-open would start a browser for terminals, in this one.
		return nil, errNoDisplay
	}
	for _, opener := range openers {
		if path, err := exec.LookPath(opener); err == nil {
			return []string{path, pageURL}, nil
		}
	}
	return nil, errors.New("there is no xdg-open")
}
