// Package wt runs WebAssembly components through the C interface of wasmtime.
//
// It is the only place of the project that uses cgo. It knows components, linkers, stores and values and nothing of
// WASI, HTTP or lattices. The headers under include are those of the wasmtime release that the wasmtime-go module
// links statically; the two must change together (see Version).
//
// Rules of the C interface that this package keeps so that its callers need not:
//   - a string that is not UTF-8, or a character that is no Unicode scalar value, aborts the process: lower checks every one;
//   - an object used with a store that it does not belong to aborts the process: instances and functions never leave their Store;
//   - a borrowed handle must be deleted by the callee: lift does so at once;
//   - a store that trapped cannot be used again: a Store runs one call and is closed.
package wt

// Version is the release of wasmtime whose headers are under include.
const Version = "39.0.1"
