// Package mcptest provides MCP servers for tests of programs that use package
// mcptool: one of Go functions in a few lines, which records what it is called
// with, and which fails in the ways in which servers and networks fail.
//
//	server := &mcptest.Server{Tools: []tramontane.Tool{
//		tramontane.Func("pay", "Pays an invoice.", pay, nil),
//	}}
//	runner.Toolsets = []tramontane.Toolset{server.Start(t)}
//	server.Break(mcptest.At{Nth: 2, Ran: true}, mcptest.Cut{})
//
// What the agent did is in [Server.Calls], a plain value to compare.
//
// The protocol is that of go-sdk's server, so that clients meet what they meet
// elsewhere: in memory, by streamable HTTP and by HTTP with SSE, and in the
// versions with and without sessions. In memory, a test can run in a bubble of
// testing/synctest, where delays and deadlines cost no time.
//
// There is no server of standard input and output here: it would be another
// process, which the test binary would have to become in its TestMain, and what
// a run sees when such a server dies is what it sees when one in memory does.
package mcptest
