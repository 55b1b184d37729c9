//go:build !windows

package main

// terminalPath is the terminal of the process, whatever its standard input and
// output are.
const terminalPath = "/dev/tty"
