// Package wasi is the part of WASI 0.2 that trellis-host offers to components, in plain Go.
//
// wasi:http/types with streaming bodies, wasi:io, clocks, random, cli, wasi:config, wasi:logging and wasmCloud's secrets work. File systems
// are empty, sockets are denied and wasi:http/outgoing-handler refuses every request. Functions get and give values of
// package cm; nothing here knows wasmtime, so all of it can be called from a Go test.
//
// An Instance is the state behind one instance of a component: one request. Its functions are called from one
// goroutine, that of the component; only bodies are shared with the HTTP server.
package wasi
