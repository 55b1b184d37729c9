//go:build !unix || darwin

package mcpauth

// keyringReachable reports why there is no keyring: here there always is one.
func keyringReachable() error { return nil }
