//go:build !cgo

// Package engine runs components on wasmtime, which needs a build with cgo. This build has none.
package engine

import (
	"context"
	"errors"

	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// ErrUnsupported is what a build without cgo answers.
var ErrUnsupported = errors.New("this build cannot run WebAssembly: build it with CGO_ENABLED=1 and a C compiler")

// Options configure an Engine.
type Options struct {
	CacheDir string
	Compiler []string
}

// Engine never exists in this build.
type Engine struct{}

// New fails with ErrUnsupported.
func New(Options) (*Engine, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Engine) Close() {}

// Compile fails with ErrUnsupported.
func (*Engine) Compile([]byte) error { return ErrUnsupported }

// Load fails with ErrUnsupported.
func (*Engine) Load(context.Context, []byte) (wasmhost.Component, error) { return nil, ErrUnsupported }
