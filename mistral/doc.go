// Package mistral is a client of Mistral's API for agents, conversations,
// models and chat completions, and of servers that speak the same API.
//
// Values of the wire keep what this package does not know: members without a
// field, and variants of a union as an Unknown value, byte for byte.
package mistral
