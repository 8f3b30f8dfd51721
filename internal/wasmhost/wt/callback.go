//go:build cgo

package wt

// #include "shim.h"
import "C"

import (
	"fmt"
	"runtime/cgo"
	"strings"
	"unsafe"
)

func storeOf(context *C.wasmtime_context_t) *Store {
	return cgo.Handle(C.tw_context_data(context)).Value().(*Store)
}

// trap hands an error to wasmtime and keeps it for whoever called the component.
func (s *Store) trap(err error) *C.wasmtime_error_t {
	s.cause = err
	text := C.CString(strings.ToValidUTF8(err.Error(), "?"))
	defer C.free(unsafe.Pointer(text))
	return C.wasmtime_error_new(text)
}

//export trellisHostCall
func trellisHostCall(env C.uintptr_t, context *C.wasmtime_context_t, args *C.wasmtime_component_val_t, nargs C.size_t,
	results *C.wasmtime_component_val_t, nresults C.size_t) (failed *C.wasmtime_error_t) {
	s := storeOf(context)
	defer func() {
		if r := recover(); r != nil {
			failed = s.trap(fmt.Errorf("a host function panicked: %v", r))
		}
	}()
	values, err := liftAll(context, unsafe.Slice(args, int(nargs)))
	if err != nil {
		return s.trap(err)
	}
	result, err := cgo.Handle(env).Value().(HostFunc)(s.data, values)
	if err != nil {
		return s.trap(err)
	}
	if nresults == 1 {
		if err := lower(context, result, results); err != nil {
			return s.trap(err)
		}
	}
	return nil
}

//export trellisHostDrop
func trellisHostDrop(env C.uintptr_t, context *C.wasmtime_context_t, rep C.uint32_t) (failed *C.wasmtime_error_t) {
	s := storeOf(context)
	defer func() {
		if r := recover(); r != nil {
			failed = s.trap(fmt.Errorf("a host destructor panicked: %v", r))
		}
	}()
	if err := cgo.Handle(env).Value().(HostDrop)(s.data, uint32(rep)); err != nil {
		return s.trap(err)
	}
	return nil
}

//export trellisHostRelease
func trellisHostRelease(env C.uintptr_t) { cgo.Handle(env).Delete() }

//export trellisHostTick
func trellisHostTick(context *C.wasmtime_context_t, delta *C.uint64_t) *C.wasmtime_error_t {
	s := storeOf(context)
	*delta = s.ticks
	if s.interrupt == nil {
		return nil
	}
	if err := s.interrupt(); err != nil {
		return s.trap(err)
	}
	return nil
}
