//go:build cgo

// Package engine runs components on wasmtime: it joins package wt (cgo) and package wasi (the interfaces offered).
package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"

	"github.com/trellis-operator/trellis/internal/wasmhost"
	"github.com/trellis-operator/trellis/internal/wasmhost/wasi"
	"github.com/trellis-operator/trellis/internal/wasmhost/wt"
)

// largeCode is the size from which a component is worth a process of its own to be compiled in.
const largeCode = 256 << 10

var _ wasmhost.Engine = (*Engine)(nil)

// Engine implements wasmhost.Engine.
type Engine struct {
	wt         *wt.Engine
	cache      *cache
	compiler   []string
	interfaces map[string]wasi.Interface
	compiling  chan struct{}  // one at a time: a large component needs a gigabyte while it is compiled
	components sync.WaitGroup // those not freed yet
}

// Options configure an Engine.
type Options struct {
	// CacheDir is the folder of compiled code; it must belong to this user alone.
	CacheDir string
	// Compiler is a command that reads a component from its standard input and puts it into the cache as Compile does.
	// Without one, everything is compiled in this process.
	Compiler []string
}

// New starts an engine.
func New(o Options) (*Engine, error) {
	c, err := openCache(o.CacheDir, wt.Version+";"+wt.EngineConfig)
	if err != nil {
		return nil, err
	}
	runtime, err := wt.NewEngine()
	if err != nil {
		return nil, err
	}
	return &Engine{wt: runtime, cache: c, compiler: o.Compiler, interfaces: wasi.Interfaces(), compiling: make(chan struct{}, 1)}, nil
}

// Close ends the engine once its components are closed and their last requests are over.
func (e *Engine) Close() {
	e.components.Wait()
	e.wt.Close()
}

// Load implements wasmhost.Engine.
func (e *Engine) Load(ctx context.Context, code []byte) (wasmhost.Component, error) {
	select {
	case e.compiling <- struct{}{}:
		defer func() { <-e.compiling }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	compiled, err := e.compiled(ctx, code)
	if err != nil {
		return nil, fmt.Errorf("the component cannot be compiled: %w", err)
	}
	c, err := e.prepare(compiled)
	if err != nil {
		compiled.Close()
		return nil, err
	}
	return c, nil
}

func (e *Engine) compiled(ctx context.Context, code []byte) (*wt.Component, error) {
	digest := sha256.Sum256(code)
	if c, ok := e.cached(digest); ok {
		return c, nil
	}
	if e.compiler != nil && len(code) > largeCode {
		if err := e.compileApart(ctx, code); err != nil {
			return nil, err
		}
		if c, ok := e.cached(digest); ok {
			return c, nil
		}
	}
	return e.compileHere(digest, code)
}

func (e *Engine) cached(digest [sha256.Size]byte) (*wt.Component, bool) {
	path, ok := e.cache.find(digest)
	if !ok {
		return nil, false
	}
	c, err := e.wt.Load(path)
	return c, err == nil
}

// compileHere compiles in this process. A cache that cannot be written costs the next start, not this one.
func (e *Engine) compileHere(digest [sha256.Size]byte, code []byte) (*wt.Component, error) {
	c, err := e.wt.Compile(code)
	if err != nil {
		return nil, err
	}
	native, err := c.Serialize()
	if err != nil {
		return c, nil
	}
	if err := e.cache.store(digest, native); err != nil {
		return c, nil
	}
	mapped, ok := e.cached(digest)
	if !ok {
		return c, nil
	}
	c.Close() // the mapped file costs no memory that is not used
	return mapped, nil
}

// Compile puts the compiled code of a component into the cache. It is what the compiler's own process does.
func (e *Engine) Compile(code []byte) error {
	c, err := e.wt.Compile(code)
	if err != nil {
		return err
	}
	defer c.Close()
	native, err := c.Serialize()
	if err != nil {
		return err
	}
	return e.cache.store(sha256.Sum256(code), native)
}

// compileApart compiles in a process of its own: a large component takes half a gigabyte meanwhile, which this process
// would keep, and what can go wrong in a compiler goes wrong there.
func (e *Engine) compileApart(ctx context.Context, code []byte) error {
	cmd := exec.CommandContext(ctx, e.compiler[0], e.compiler[1:]...)
	cmd.Stdin = bytes.NewReader(code)
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	if text := strings.TrimSpace(said.String()); err != nil && text != "" {
		return errors.New(text)
	}
	if err != nil {
		return fmt.Errorf("the compiler ended with: %w", err)
	}
	return nil
}
