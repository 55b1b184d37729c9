// Package model holds the models that a self-hosted server can answer with.
//
// [Chat] asks any chat-completions endpoint: Mistral, vLLM, Ollama, llama.cpp
// or another that speaks the same protocol. They differ in what they take and
// in how they send calls of tools; Chat evens that out, so that its caller sees
// one way of calling tools.
//
// [Offline] plans by rules which tools to call. It is no language model, and
// answers nothing that no tool can tell.
//
// [Scripted] answers from a file of replies, for tests.
//
// Every model has two methods, Complete for a whole answer and Stream for the
// same answer in pieces, which is what package server asks of a model.
package model
