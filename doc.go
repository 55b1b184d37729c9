// Package tramontane runs agents with tools: agents of Mistral's Agents and
// Conversations API, or of any server that speaks it, with tools from MCP
// servers and from Go functions.
package tramontane
