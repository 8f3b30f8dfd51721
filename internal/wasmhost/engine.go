package wasmhost

import (
	"context"
	"net/http"
	"time"
)

// Engine compiles components. Package engine has the one on wasmtime; tests of the protocol use a fake.
type Engine interface {
	// Load makes a component of its code. Compiling a large one takes many seconds.
	Load(ctx context.Context, code []byte) (Component, error)
}

// Component answers HTTP requests, each in a fresh instance.
type Component interface {
	// Serve answers one request. It panics with http.ErrAbortHandler when the response broke off in the middle.
	Serve(w http.ResponseWriter, r *http.Request, call Call)
	// Close frees the component once the requests under way have ended.
	Close()
}

// Call is what one instance gets.
type Call struct {
	// Config returns the component's configuration as it is now.
	Config func() map[string]string
	// Secret returns one of the component's secrets, a string or a []byte, by the name that the component has for it.
	Secret func(name string) (value any, ok bool)
	// Log takes what the component logs.
	Log func(level, context, message string)
	// MaxMemory bounds the linear memory, MaxTime the execution.
	MaxMemory int64
	MaxTime   time.Duration
	// MaxCoreInstances bounds the core modules of the component.
	MaxCoreInstances int64
	// Done is called once, when the instance is gone, which may be after Serve returned. The error says why it failed.
	Done func(error)
}
