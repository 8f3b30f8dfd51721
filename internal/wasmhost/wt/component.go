//go:build cgo

package wt

// #include "shim.h"
import "C"

import (
	"errors"
	"unsafe"
)

// Component is compiled code. It may be used from many goroutines.
type Component struct {
	ptr    *C.wasmtime_component_t
	engine *Engine
}

// Compile compiles a component in its binary or text form.
func (e *Engine) Compile(code []byte) (*Component, error) {
	if len(code) == 0 {
		return nil, errors.New("the component is empty")
	}
	c := &Component{engine: e}
	err := C.wasmtime_component_new(e.ptr, (*C.uint8_t)(unsafe.SliceData(code)), C.size_t(len(code)), &c.ptr)
	if err != nil {
		return nil, takeError(err)
	}
	return c, nil
}

// Load maps compiled code from a file that Serialize's result was written to. The content is trusted: it is machine code.
func (e *Engine) Load(path string) (*Component, error) {
	c := &Component{engine: e}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if err := C.wasmtime_component_deserialize_file(e.ptr, name, &c.ptr); err != nil {
		return nil, takeError(err)
	}
	return c, nil
}

// Serialize returns the compiled code.
func (c *Component) Serialize() ([]byte, error) {
	var out C.wasm_byte_vec_t
	if err := C.wasmtime_component_serialize(c.ptr, &out); err != nil {
		return nil, takeError(err)
	}
	defer C.wasm_byte_vec_delete(&out)
	code := make([]byte, int(out.size))
	copy(code, unsafe.Slice((*byte)(unsafe.Pointer(out.data)), int(out.size)))
	return code, nil
}

// Close frees the code; instances that run keep what they need.
func (c *Component) Close() { C.wasmtime_component_delete(c.ptr) }

// Export is the place of an exported function in a component.
type Export struct {
	ptr *C.wasmtime_component_export_index_t
}

// Export finds a function within an exported instance. Versions match semantically: asking for 0.2.0 finds 0.2.12.
func (c *Component) Export(instance, function string) (*Export, bool) {
	outer := c.index(nil, instance)
	if outer == nil {
		return nil, false
	}
	defer C.wasmtime_component_export_index_delete(outer)
	inner := c.index(outer, function)
	if inner == nil {
		return nil, false
	}
	return &Export{ptr: inner}, true
}

func (c *Component) index(in *C.wasmtime_component_export_index_t, name string) *C.wasmtime_component_export_index_t {
	return C.wasmtime_component_get_export_index(c.ptr, in, cstr(name), C.size_t(len(name)))
}

// Close frees the index.
func (x *Export) Close() { C.wasmtime_component_export_index_delete(x.ptr) }

// cstr passes a Go string's bytes to a call that takes a length with it.
func cstr(s string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(s))) }
