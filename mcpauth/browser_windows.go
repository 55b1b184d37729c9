package mcpauth

import (
	"os"
	"path/filepath"
	"syscall"
)

var detached = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}

func browserCommand(pageURL string) ([]string, error) {
	if os.Getenv("SSH_CONNECTION") != "" {
		return nil, errNoDisplay
	}
	return []string{filepath.Join(os.Getenv("SystemRoot"), "System32", "rundll32.exe"), "url.dll,FileProtocolHandler", pageURL}, nil
}
