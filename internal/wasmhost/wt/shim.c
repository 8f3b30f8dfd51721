//go:build cgo

#include "shim.h"

#include <string.h>

#include "_cgo_export.h"

// The data pointer of functions, resources and stores is never followed by wasmtime: it is a number that Go knows.

static wasmtime_error_t *call(void *env, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                              wasmtime_component_val_t *args, size_t nargs, wasmtime_component_val_t *results,
                              size_t nresults) {
  (void)type;
  return trellisHostCall((uintptr_t)env, context, args, nargs, results, nresults);
}

static wasmtime_error_t *drop(void *env, wasmtime_context_t *context, uint32_t rep) {
  return trellisHostDrop((uintptr_t)env, context, rep);
}

static void release(void *env) { trellisHostRelease((uintptr_t)env); }

static wasmtime_error_t *tick(wasmtime_context_t *context, void *data, uint64_t *delta,
                              wasmtime_update_deadline_kind_t *kind) {
  (void)data;
  *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
  return trellisHostTick(context, delta);
}

wasm_engine_t *tw_engine_new(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_component_model_set(config, true);
  wasmtime_config_epoch_interruption_set(config, true);
  return wasm_engine_new_with_config(config);
}

wasmtime_store_t *tw_store_new(wasm_engine_t *engine, uintptr_t data) {
  wasmtime_store_t *store = wasmtime_store_new(engine, (void *)data, NULL);
  if (store != NULL) {
    wasmtime_store_epoch_deadline_callback(store, tick, NULL, NULL);
  }
  return store;
}

uintptr_t tw_context_data(wasmtime_context_t *context) { return (uintptr_t)wasmtime_context_get_data(context); }

wasmtime_error_t *tw_add_func(wasmtime_component_linker_instance_t *instance, const char *name, size_t name_len,
                              uintptr_t env) {
  return wasmtime_component_linker_instance_add_func(instance, name, name_len, call, (void *)env, release);
}

wasmtime_error_t *tw_add_resource(wasmtime_component_linker_instance_t *instance, const char *name, size_t name_len,
                                  uint32_t type, uintptr_t env) {
  wasmtime_component_resource_type_t *resource = wasmtime_component_resource_type_new_host(type);
  wasmtime_error_t *error =
      wasmtime_component_linker_instance_add_resource(instance, name, name_len, resource, drop, (void *)env, release);
  wasmtime_component_resource_type_delete(resource);
  return error;
}

void tw_list_new(wasmtime_component_val_t *out, size_t n) {
  out->kind = WASMTIME_COMPONENT_LIST;
  if (n == 0) {
    wasmtime_component_vallist_new_empty(&out->of.list);
    return;
  }
  wasmtime_component_vallist_new_uninit(&out->of.list, n);
  memset(out->of.list.data, 0, n * sizeof(wasmtime_component_val_t));
}

void tw_tuple_new(wasmtime_component_val_t *out, size_t n) {
  out->kind = WASMTIME_COMPONENT_TUPLE;
  if (n == 0) {
    wasmtime_component_valtuple_new_empty(&out->of.tuple);
    return;
  }
  wasmtime_component_valtuple_new_uninit(&out->of.tuple, n);
  memset(out->of.tuple.data, 0, n * sizeof(wasmtime_component_val_t));
}

void tw_record_new(wasmtime_component_val_t *out, size_t n) {
  out->kind = WASMTIME_COMPONENT_RECORD;
  if (n == 0) {
    wasmtime_component_valrecord_new_empty(&out->of.record);
    return;
  }
  wasmtime_component_valrecord_new_uninit(&out->of.record, n);
  memset(out->of.record.data, 0, n * sizeof(wasmtime_component_valrecord_entry_t));
}

void tw_flags_new(wasmtime_component_val_t *out, size_t n) {
  out->kind = WASMTIME_COMPONENT_FLAGS;
  if (n == 0) {
    wasmtime_component_valflags_new_empty(&out->of.flags);
    return;
  }
  wasmtime_component_valflags_new_uninit(&out->of.flags, n);
  memset(out->of.flags.data, 0, n * sizeof(wasm_name_t));
}

void tw_list_of_bytes(wasmtime_component_val_t *out, const uint8_t *bytes, size_t n) {
  tw_list_new(out, n);
  wasmtime_component_val_t *data = out->of.list.data;
  for (size_t i = 0; i < n; i++) {
    data[i].kind = WASMTIME_COMPONENT_U8;
    data[i].of.u8 = bytes[i];
  }
}

bool tw_bytes_of(const wasmtime_component_vallist_t *list, uint8_t *out) {
  for (size_t i = 0; i < list->size; i++) {
    if (list->data[i].kind != WASMTIME_COMPONENT_U8) {
      return false;
    }
    out[i] = list->data[i].of.u8;
  }
  return true;
}
