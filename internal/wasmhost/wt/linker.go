//go:build cgo

package wt

// #include "shim.h"
import "C"

import "runtime/cgo"

// HostFunc is a function that a component calls. data is the Store's. A returned error traps the component.
// A function without a result returns nil.
type HostFunc func(data any, args []any) (any, error)

// HostDrop is told that the component dropped a resource it owned. It is not told of handles left when a Store closes.
type HostDrop func(data any, rep uint32) error

// Linker holds what components may import. Define everything before the first instantiation; then it may be used
// from many goroutines.
type Linker struct {
	ptr *C.wasmtime_component_linker_t
}

// NewLinker returns an empty linker.
func (e *Engine) NewLinker() *Linker { return &Linker{ptr: C.wasmtime_component_linker_new(e.ptr)} }

// Close frees the linker and the functions defined in it.
func (l *Linker) Close() { C.wasmtime_component_linker_delete(l.ptr) }

// Definition is one instance that a linker offers.
type Definition struct {
	Name      string
	Functions map[string]HostFunc
	Resources map[string]ResourceDefinition
}

// ResourceDefinition is a kind of resource; handles of it arrive as cm.Resource with that Kind.
type ResourceDefinition struct {
	Kind uint32
	Drop HostDrop
}

// Define adds an instance. The borrows of the linker's C objects are exclusive and end here, in their order.
func (l *Linker) Define(d Definition) error {
	root := C.wasmtime_component_linker_root(l.ptr)
	defer C.wasmtime_component_linker_instance_delete(root)
	var instance *C.wasmtime_component_linker_instance_t
	err := C.wasmtime_component_linker_instance_add_instance(root, cstr(d.Name), C.size_t(len(d.Name)), &instance)
	if err != nil {
		return takeError(err)
	}
	defer C.wasmtime_component_linker_instance_delete(instance)
	for name, resource := range d.Resources {
		env := C.uintptr_t(cgo.NewHandle(resource.Drop))
		if err := C.tw_add_resource(instance, cstr(name), C.size_t(len(name)), C.uint32_t(resource.Kind), env); err != nil {
			return takeError(err)
		}
	}
	for name, function := range d.Functions {
		env := C.uintptr_t(cgo.NewHandle(function))
		if err := C.tw_add_func(instance, cstr(name), C.size_t(len(name)), env); err != nil {
			return takeError(err)
		}
	}
	return nil
}
