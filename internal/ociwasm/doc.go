// Package ociwasm moves what hosts run between files and OCI registries: WebAssembly components both ways, the archives of
// capability providers out of registries only.
//
// Each is an OCI image manifest with exactly one layer that holds the raw bytes. Of components both media types in use
// are read (application/wasm and application/vnd.module.wasm.content.layer.v1+wasm), of providers that of wash, and of either
// raw bytes in a layer of type application/vnd.oci.image.layer.v1.tar, as wasmCloud hosts do; the first is written.
package ociwasm
