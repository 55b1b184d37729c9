// Package sqlite keeps agents and conversations in one SQLite file. It needs no
// cgo.
package sqlite
