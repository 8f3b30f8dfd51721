// Package ociwasm moves WebAssembly components between files and OCI registries.
//
// A component is an OCI image manifest with exactly one layer that holds the raw bytes. Both media types in use are
// read (application/wasm and application/vnd.module.wasm.content.layer.v1+wasm), and raw bytes in a layer of type
// application/vnd.oci.image.layer.v1.tar, as wasmCloud hosts do; the first is written.
package ociwasm
