// Small C functions between Go and wasmtime: whatever needs an integer as a pointer, a C callback, or a loop over values.
#ifndef TRELLIS_WT_SHIM_H
#define TRELLIS_WT_SHIM_H

#include <stdint.h>
#include <stdlib.h>
#include <wasm.h>
#include <wasmtime.h>

wasmtime_store_t *tw_store_new(wasm_engine_t *engine, uintptr_t data);
uintptr_t tw_context_data(wasmtime_context_t *context);

wasmtime_error_t *tw_add_func(wasmtime_component_linker_instance_t *instance, const char *name, size_t name_len, uintptr_t env);
wasmtime_error_t *tw_add_resource(wasmtime_component_linker_instance_t *instance, const char *name, size_t name_len,
                                  uint32_t type, uintptr_t env);

// A list of n bytes, and back. tw_bytes_of returns false when an element is not a byte.
void tw_list_of_bytes(wasmtime_component_val_t *out, const uint8_t *bytes, size_t n);
bool tw_bytes_of(const wasmtime_component_vallist_t *list, uint8_t *out);

// Vectors whose elements are initialised, so that a half filled one can be deleted.
void tw_list_new(wasmtime_component_val_t *out, size_t n);
void tw_tuple_new(wasmtime_component_val_t *out, size_t n);
void tw_record_new(wasmtime_component_val_t *out, size_t n);
void tw_flags_new(wasmtime_component_val_t *out, size_t n);

// An engine for components that can be interrupted.
wasm_engine_t *tw_engine_new(void);

#endif
