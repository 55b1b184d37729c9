// Package loop is the run of an agent as a pure function: [Step] takes a
// [State] and an [Event], and returns the next State and the [Command]s to
// carry out. A driver carries them out and reports what came back as Events.
//
// There is no clock, randomness, I/O, goroutine or map order in here: a run
// can be stopped after any Step, saved as JSON, moved and resumed, and the same
// events give the same run. The transcripts in design/loop.md are its tests.
package loop
