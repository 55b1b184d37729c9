// Package server serves the agents and conversations of Mistral's API, as the
// OpenAPI and the official SDKs know them, over any chat model.
//
// A [Server] is an [http.Handler]. It keeps agents and conversations in a
// [Store] (package sqlite has one) and asks a [Model] for each reply.
//
// What a request needs and this package does not do yet, such as handoffs,
// connectors or web search, is refused by name; it is never ignored.
package server
