// Package hello holds the example's built component, so that `trellis dev` and the local cluster can put it into their
// registry.
package hello

import _ "embed"

// Image is the reference under which the example's manifests name the component.
const Image = "ghcr.io/trellis-operator/hello:0.1.0"

// Component is the built component.
//
//go:embed component/hello.wasm
var Component []byte
