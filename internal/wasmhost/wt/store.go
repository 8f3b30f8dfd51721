//go:build cgo

package wt

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"runtime/cgo"
	"time"
)

// Limits bound what one instance may use; zero means wasmtime's own bound.
type Limits struct {
	// MemoryBytes is for each linear memory, TableElements for each table.
	MemoryBytes   int64
	TableElements int64
	Tables        int64
	Instances     int64
	Memories      int64
}

// Options configure a Store.
type Options struct {
	// Data is handed to host functions.
	Data any
	// Limits are enforced by the engine.
	Limits Limits
	// Interrupt is asked every few ticks while the component computes; an error traps it.
	Interrupt func() error
	// InterruptEvery is how often Interrupt is asked; never less than a tick.
	InterruptEvery time.Duration
}

// Store holds one instance of a component and serves one call.
type Store struct {
	ptr       *C.wasmtime_store_t
	context   *C.wasmtime_context_t
	handle    cgo.Handle
	data      any
	interrupt func() error
	ticks     C.uint64_t
	cause     error
}

// NewStore returns an empty store. Close it.
func (e *Engine) NewStore(o Options) *Store {
	s := &Store{data: o.Data, interrupt: o.Interrupt, ticks: C.uint64_t(max(1, o.InterruptEvery/tickEvery))}
	s.handle = cgo.NewHandle(s)
	s.ptr = C.tw_store_new(e.ptr, C.uintptr_t(s.handle))
	s.context = C.wasmtime_store_context(s.ptr)
	l := o.Limits
	C.wasmtime_store_limiter(s.ptr, orNone(l.MemoryBytes), orNone(l.TableElements), orNone(l.Instances), orNone(l.Tables), orNone(l.Memories))
	C.wasmtime_context_set_epoch_deadline(s.context, s.ticks)
	return s
}

func orNone(n int64) C.int64_t {
	if n <= 0 {
		return -1
	}
	return C.int64_t(n)
}

// Close frees the instance. Handles that the component still held are not reported to their HostDrop.
func (s *Store) Close() {
	C.wasmtime_store_delete(s.ptr)
	s.handle.Delete()
}

// Instance is an instance of a component within its Store.
type Instance struct {
	store *Store
	of    C.wasmtime_component_instance_t
}

// Instantiate links and starts a component.
func (l *Linker) Instantiate(s *Store, c *Component) (*Instance, error) {
	i := &Instance{store: s}
	if err := C.wasmtime_component_linker_instantiate(l.ptr, s.context, c.ptr, &i.of); err != nil {
		return nil, s.failure(err)
	}
	return i, nil
}

// Call runs a function that has no result and waits for its end. An error means that the component trapped; the store
// is of no further use.
func (i *Instance) Call(x *Export, args ...any) error {
	s := i.store
	var function C.wasmtime_component_func_t
	if !C.wasmtime_component_instance_get_func(&i.of, s.context, x.ptr, &function) {
		return errors.New("the component's export is not a function")
	}
	values := make([]C.wasmtime_component_val_t, len(args)+1) // one more: the address of an empty slice is no address
	for n, arg := range args {
		if err := lower(s.context, arg, &values[n]); err != nil {
			return fmt.Errorf("argument %d: %w", n, err)
		}
	}
	err := C.wasmtime_component_func_call(&function, s.context, &values[0], C.size_t(len(args)), nil, 0)
	for n := range args {
		C.wasmtime_component_val_delete(&values[n])
	}
	if err != nil {
		return s.failure(err)
	}
	C.wasmtime_context_set_epoch_deadline(s.context, C.uint64_t(math.MaxInt32))
	return s.failure(C.wasmtime_component_func_post_return(&function, s.context))
}

// failure prefers the error that a host function or the interrupt gave over wasmtime's text of it.
func (s *Store) failure(err *C.wasmtime_error_t) error {
	text := takeError(err)
	if text != nil && s.cause != nil {
		return s.cause
	}
	return text
}
