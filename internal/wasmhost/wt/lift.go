//go:build cgo

package wt

// #include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

// of is the address of a union, which cgo shows as an array of bytes.
func of[T any](union *T) unsafe.Pointer { return unsafe.Pointer(union) }

func as[T any](v *C.wasmtime_component_val_t) T { return *(*T)(of(&v.of)) }

func nameOf(n C.wasm_name_t) string { return goString(n.data, n.size) }

func liftAll(context *C.wasmtime_context_t, values []C.wasmtime_component_val_t) ([]any, error) {
	out := make([]any, len(values))
	for i := range values {
		v, err := lift(context, &values[i])
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// lift copies a value of wasmtime's, which stays wasmtime's.
func lift(context *C.wasmtime_context_t, v *C.wasmtime_component_val_t) (any, error) {
	switch v.kind {
	case C.WASMTIME_COMPONENT_BOOL:
		return as[bool](v), nil
	case C.WASMTIME_COMPONENT_S8:
		return as[int8](v), nil
	case C.WASMTIME_COMPONENT_U8:
		return as[uint8](v), nil
	case C.WASMTIME_COMPONENT_S16:
		return as[int16](v), nil
	case C.WASMTIME_COMPONENT_U16:
		return as[uint16](v), nil
	case C.WASMTIME_COMPONENT_S32:
		return as[int32](v), nil
	case C.WASMTIME_COMPONENT_U32:
		return as[uint32](v), nil
	case C.WASMTIME_COMPONENT_S64:
		return as[int64](v), nil
	case C.WASMTIME_COMPONENT_U64:
		return as[uint64](v), nil
	case C.WASMTIME_COMPONENT_F32:
		return as[float32](v), nil
	case C.WASMTIME_COMPONENT_F64:
		return as[float64](v), nil
	case C.WASMTIME_COMPONENT_CHAR:
		return cm.Char(as[uint32](v)), nil
	case C.WASMTIME_COMPONENT_STRING:
		return nameOf(as[C.wasm_name_t](v)), nil
	case C.WASMTIME_COMPONENT_ENUM:
		return cm.Enum(nameOf(as[C.wasm_name_t](v))), nil
	}
	return liftCompound(context, v)
}

func liftCompound(context *C.wasmtime_context_t, v *C.wasmtime_component_val_t) (any, error) {
	switch v.kind {
	case C.WASMTIME_COMPONENT_LIST:
		return liftList(context, as[C.wasmtime_component_vallist_t](v))
	case C.WASMTIME_COMPONENT_TUPLE:
		t := as[C.wasmtime_component_valtuple_t](v)
		items, err := liftAll(context, unsafe.Slice(t.data, int(t.size)))
		return cm.Tuple(items), err
	case C.WASMTIME_COMPONENT_RECORD:
		return liftRecord(context, as[C.wasmtime_component_valrecord_t](v))
	case C.WASMTIME_COMPONENT_VARIANT:
		t := as[C.wasmtime_component_valvariant_t](v)
		payload, err := liftPayload(context, t.val)
		return cm.Variant{Case: nameOf(t.discriminant), Value: payload}, err
	case C.WASMTIME_COMPONENT_OPTION:
		inner := as[*C.wasmtime_component_val_t](v)
		payload, err := liftPayload(context, inner)
		return cm.Option{Some: inner != nil, Value: payload}, err
	case C.WASMTIME_COMPONENT_RESULT:
		t := as[C.wasmtime_component_valresult_t](v)
		payload, err := liftPayload(context, t.val)
		return cm.Result{Failed: !bool(t.is_ok), Value: payload}, err
	case C.WASMTIME_COMPONENT_FLAGS:
		t := as[C.wasmtime_component_valflags_t](v)
		flags := make(cm.Flags, 0, int(t.size))
		for _, name := range unsafe.Slice(t.data, int(t.size)) {
			flags = append(flags, nameOf(name))
		}
		return flags, nil
	case C.WASMTIME_COMPONENT_RESOURCE:
		return liftResource(context, as[*C.wasmtime_component_resource_any_t](v))
	}
	return nil, fmt.Errorf("the component passed a value of the unknown kind %d", v.kind)
}

func liftPayload(context *C.wasmtime_context_t, v *C.wasmtime_component_val_t) (any, error) {
	if v == nil {
		return nil, nil
	}
	return lift(context, v)
}

func liftList(context *C.wasmtime_context_t, l C.wasmtime_component_vallist_t) (any, error) {
	items := unsafe.Slice(l.data, int(l.size))
	if len(items) > 0 && items[0].kind == C.WASMTIME_COMPONENT_U8 {
		bytes := make([]byte, len(items))
		if !C.tw_bytes_of(&l, (*C.uint8_t)(&bytes[0])) {
			return nil, fmt.Errorf("the component passed a list of mixed kinds")
		}
		return bytes, nil
	}
	values, err := liftAll(context, items)
	return cm.List(values), err
}

func liftRecord(context *C.wasmtime_context_t, r C.wasmtime_component_valrecord_t) (any, error) {
	record := make(cm.Record, 0, int(r.size))
	entries := unsafe.Slice(r.data, int(r.size))
	for i := range entries {
		value, err := lift(context, &entries[i].val)
		if err != nil {
			return nil, err
		}
		record = append(record, cm.Field{Name: nameOf(entries[i].name), Value: value})
	}
	return record, nil
}

// liftResource ends the borrow at once: one that is still open when the host function returns traps the component.
func liftResource(context *C.wasmtime_context_t, handle *C.wasmtime_component_resource_any_t) (any, error) {
	var host *C.wasmtime_component_resource_host_t
	if err := C.wasmtime_component_resource_any_to_host(context, handle, &host); err != nil {
		return nil, takeError(err)
	}
	defer C.wasmtime_component_resource_host_delete(host)
	return cm.Resource{
		Kind:  uint32(C.wasmtime_component_resource_host_type(host)),
		Rep:   uint32(C.wasmtime_component_resource_host_rep(host)),
		Owned: bool(C.wasmtime_component_resource_host_owned(host)),
	}, nil
}
