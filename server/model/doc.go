// Package model holds the models that a self-hosted server can answer with.
//
// [Chat] asks any chat-completions endpoint: Mistral, vLLM, Ollama, llama.cpp
// or another that speaks the same protocol. They differ in what they take and
// in how they send calls of tools; Chat evens that out, so that its caller sees
// one way of calling tools.
//
// [Offline] plans by rules which tools to call. It is no language model, and
// answers nothing that no tool can tell. Its files are offline.go (its messages),
// offline_plan.go (what to call next), offline_tools.go (which tool fits),
// offline_fill.go (with which values), offline_words.go (words and values in a
// text), offline_answer.go (what the results say) and offline_value.go (JSON).
//
// [Scripted] answers from a file of replies, for tests.
//
// Every model has two methods, Complete for a whole answer and Stream for the
// same answer in pieces, which is what package server asks of a model.
package model
