//go:build cgo

package wt

// #include "shim.h"
import "C"

// Import is an instance that a component imports: its full name with version, its functions and its resources.
type Import struct {
	Name      string
	Functions []string
	Resources []string
}

// Imports lists what the component needs. Imports that are no instances (plain functions, types) have only a name.
func (c *Component) Imports() []Import {
	ty := C.wasmtime_component_type(c.ptr)
	defer C.wasmtime_component_type_delete(ty)
	n := C.wasmtime_component_type_import_count(ty, c.engine.ptr)
	imports := make([]Import, 0, int(n))
	for i := C.size_t(0); i < n; i++ {
		var name *C.char
		var size C.size_t
		var item C.wasmtime_component_item_t
		if !C.wasmtime_component_type_import_nth(ty, c.engine.ptr, i, &name, &size, &item) {
			continue
		}
		entry := Import{Name: C.GoStringN(name, C.int(size))}
		if item.kind == C.WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE {
			c.instanceItems(&item, &entry)
		}
		C.wasmtime_component_item_delete(&item)
		imports = append(imports, entry)
	}
	return imports
}

func (c *Component) instanceItems(item *C.wasmtime_component_item_t, into *Import) {
	ty := *(**C.wasmtime_component_instance_type_t)(of(&item.of))
	n := C.wasmtime_component_instance_type_export_count(ty, c.engine.ptr)
	for i := C.size_t(0); i < n; i++ {
		var name *C.char
		var size C.size_t
		var inner C.wasmtime_component_item_t
		if !C.wasmtime_component_instance_type_export_nth(ty, c.engine.ptr, i, &name, &size, &inner) {
			continue
		}
		switch inner.kind {
		case C.WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC:
			into.Functions = append(into.Functions, C.GoStringN(name, C.int(size)))
		case C.WASMTIME_COMPONENT_ITEM_RESOURCE:
			into.Resources = append(into.Resources, C.GoStringN(name, C.int(size)))
		}
		C.wasmtime_component_item_delete(&inner)
	}
}
