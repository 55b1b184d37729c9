//go:build !windows

package main

import "syscall"

// noTerminal starts a program that has no terminal.
func noTerminal() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
