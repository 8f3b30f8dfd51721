//go:build cgo

package wt

// #include "shim.h"
import "C"

import (
	"fmt"
	"unicode/utf8"
	"unsafe"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

func set[T any](out *C.wasmtime_component_val_t, kind C.wasmtime_component_valkind_t, v T) {
	*(*T)(of(&out.of)) = v
	out.kind = kind
}

// setName copies a string into wasmtime's memory. wasmtime aborts the process over one that is not UTF-8: this is the
// one place where strings enter, and it refuses them.
func setName(out *C.wasm_name_t, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("the string %.64q is not UTF-8 and cannot be handed to a component", s)
	}
	if len(s) == 0 {
		C.wasm_byte_vec_new_empty(out)
		return nil
	}
	C.wasm_byte_vec_new(out, C.size_t(len(s)), (*C.wasm_byte_t)(unsafe.Pointer(unsafe.StringData(s))))
	return nil
}

func setString(out *C.wasmtime_component_val_t, kind C.wasmtime_component_valkind_t, s string) error {
	var name C.wasm_name_t
	if err := setName(&name, s); err != nil {
		return err
	}
	set(out, kind, name)
	return nil
}

// lower writes a Go value into out, which then belongs to wasmtime. After an error out holds a false, so that it can
// be deleted like any value.
func lower(context *C.wasmtime_context_t, v any, out *C.wasmtime_component_val_t) error {
	set(out, C.WASMTIME_COMPONENT_BOOL, false)
	switch v := v.(type) {
	case bool:
		set(out, C.WASMTIME_COMPONENT_BOOL, v)
	case int8:
		set(out, C.WASMTIME_COMPONENT_S8, v)
	case uint8:
		set(out, C.WASMTIME_COMPONENT_U8, v)
	case int16:
		set(out, C.WASMTIME_COMPONENT_S16, v)
	case uint16:
		set(out, C.WASMTIME_COMPONENT_U16, v)
	case cm.Char:
		if !utf8.ValidRune(rune(v)) {
			return fmt.Errorf("%#x is no character", int32(v))
		}
		set(out, C.WASMTIME_COMPONENT_CHAR, uint32(v))
	case int32:
		set(out, C.WASMTIME_COMPONENT_S32, v)
	case uint32:
		set(out, C.WASMTIME_COMPONENT_U32, v)
	case int64:
		set(out, C.WASMTIME_COMPONENT_S64, v)
	case uint64:
		set(out, C.WASMTIME_COMPONENT_U64, v)
	case float32:
		set(out, C.WASMTIME_COMPONENT_F32, v)
	case float64:
		set(out, C.WASMTIME_COMPONENT_F64, v)
	case string:
		return setString(out, C.WASMTIME_COMPONENT_STRING, v)
	case cm.Enum:
		return setString(out, C.WASMTIME_COMPONENT_ENUM, string(v))
	case []byte:
		C.tw_list_of_bytes(out, (*C.uint8_t)(unsafe.SliceData(v)), C.size_t(len(v)))
	default:
		return lowerCompound(context, v, out)
	}
	return nil
}

func lowerCompound(context *C.wasmtime_context_t, v any, out *C.wasmtime_component_val_t) error {
	switch v := v.(type) {
	case cm.List:
		C.tw_list_new(out, C.size_t(len(v)))
		return lowerItems(context, v, as[C.wasmtime_component_vallist_t](out).data, out)
	case cm.Tuple:
		C.tw_tuple_new(out, C.size_t(len(v)))
		return lowerItems(context, v, as[C.wasmtime_component_valtuple_t](out).data, out)
	case cm.Record:
		return lowerRecord(context, v, out)
	case cm.Variant:
		return lowerVariant(context, v, out)
	case cm.Option:
		inner, err := lowerPayload(context, v.Some, v.Value)
		if err != nil {
			return err
		}
		set(out, C.WASMTIME_COMPONENT_OPTION, inner)
	case cm.Result:
		inner, err := lowerPayload(context, v.Value != nil, v.Value)
		if err != nil {
			return err
		}
		set(out, C.WASMTIME_COMPONENT_RESULT, C.wasmtime_component_valresult_t{is_ok: C.bool(!v.Failed), val: inner})
	case cm.Flags:
		return lowerFlags(v, out)
	case cm.Resource:
		return lowerResource(context, v, out)
	default:
		return fmt.Errorf("a host function returned a %T, which no component can take", v)
	}
	return nil
}

// undo deletes a half built value.
func undo(out *C.wasmtime_component_val_t, err error) error {
	if err != nil {
		C.wasmtime_component_val_delete(out)
		set(out, C.WASMTIME_COMPONENT_BOOL, false)
	}
	return err
}

func lowerItems(context *C.wasmtime_context_t, items []any, data *C.wasmtime_component_val_t, out *C.wasmtime_component_val_t) error {
	slots := unsafe.Slice(data, len(items))
	for i, item := range items {
		if err := lower(context, item, &slots[i]); err != nil {
			return undo(out, err)
		}
	}
	return nil
}

func lowerRecord(context *C.wasmtime_context_t, r cm.Record, out *C.wasmtime_component_val_t) error {
	C.tw_record_new(out, C.size_t(len(r)))
	slots := unsafe.Slice(as[C.wasmtime_component_valrecord_t](out).data, len(r))
	for i, field := range r {
		if err := setName(&slots[i].name, field.Name); err != nil {
			return undo(out, err)
		}
		if err := lower(context, field.Value, &slots[i].val); err != nil {
			return undo(out, err)
		}
	}
	return nil
}

func lowerFlags(flags cm.Flags, out *C.wasmtime_component_val_t) error {
	C.tw_flags_new(out, C.size_t(len(flags)))
	slots := unsafe.Slice(as[C.wasmtime_component_valflags_t](out).data, len(flags))
	for i, name := range flags {
		if err := setName(&slots[i], name); err != nil {
			return undo(out, err)
		}
	}
	return nil
}

func lowerVariant(context *C.wasmtime_context_t, v cm.Variant, out *C.wasmtime_component_val_t) error {
	var name C.wasm_name_t
	if err := setName(&name, v.Case); err != nil {
		return err
	}
	inner, err := lowerPayload(context, v.Value != nil, v.Value)
	if err != nil {
		C.wasm_byte_vec_delete(&name)
		return err
	}
	set(out, C.WASMTIME_COMPONENT_VARIANT, C.wasmtime_component_valvariant_t{discriminant: name, val: inner})
	return nil
}

// lowerPayload moves a value into wasmtime's heap; nil when there is none.
func lowerPayload(context *C.wasmtime_context_t, present bool, v any) (*C.wasmtime_component_val_t, error) {
	if !present {
		return nil, nil
	}
	var inner C.wasmtime_component_val_t
	if err := lower(context, v, &inner); err != nil {
		return nil, err
	}
	return C.wasmtime_component_val_new(&inner), nil
}

func lowerResource(context *C.wasmtime_context_t, r cm.Resource, out *C.wasmtime_component_val_t) error {
	host := C.wasmtime_component_resource_host_new(C.bool(r.Owned), C.uint32_t(r.Rep), C.uint32_t(r.Kind))
	defer C.wasmtime_component_resource_host_delete(host)
	var handle *C.wasmtime_component_resource_any_t
	if err := C.wasmtime_component_resource_host_to_any(context, host, &handle); err != nil {
		return takeError(err)
	}
	set(out, C.WASMTIME_COMPONENT_RESOURCE, handle)
	return nil
}
