// Package mcpauth logs in to MCP servers that are behind OAuth.
package mcpauth
