//go:build cgo

package engine

import (
	"fmt"
	"strings"

	"github.com/trellis-operator/trellis/internal/wasmhost/wasi"
	"github.com/trellis-operator/trellis/internal/wasmhost/wt"
)

// offer defines what a component imports under one name. A function that this host does not have is defined too and
// traps when it is called: many components import more than they use.
func (e *Engine) offer(imported wt.Import, homes map[string]bool) wt.Definition {
	known, ok := e.known(imported.Name)
	d := wt.Definition{Name: imported.Name, Functions: map[string]wt.HostFunc{}, Resources: map[string]wt.ResourceDefinition{}}
	for _, name := range imported.Functions {
		if f, has := known.Functions[name]; has {
			d.Functions[name] = call(f)
			continue
		}
		d.Functions[name] = missing(imported.Name, name)
	}
	for _, name := range imported.Resources {
		kind, has := known.Resources[name]
		if !has && (ok || homes[name]) {
			continue // an alias of a resource that another interface defines
		}
		d.Resources[name] = wt.ResourceDefinition{Kind: uint32(kind), Drop: drop}
	}
	return d
}

// known finds what is offered under a name with version. Of the interfaces of WASI itself only 0.2 is meant, and of those
// of secrets only the draft: what has the same name since is another interface.
func (e *Engine) known(name string) (wasi.Interface, bool) {
	plain, version, _ := strings.Cut(name, "@")
	offered, ok := e.interfaces[plain]
	if !ok {
		return wasi.Interface{}, false
	}
	switch {
	case strings.HasPrefix(plain, "wasmcloud:secrets/"):
		ok = version == wasi.SecretsVersion
	case strings.HasPrefix(plain, "wasi:config/"), strings.HasPrefix(plain, "wasi:logging/"):
	default:
		ok = strings.HasPrefix(version, "0.2.")
	}
	if !ok {
		return wasi.Interface{}, false
	}
	return offered, true
}

// homes are the names of the resources that the interfaces offered to a component define.
func (e *Engine) homes(imports []wt.Import) map[string]bool {
	names := map[string]bool{}
	for _, imported := range imports {
		offered, _ := e.known(imported.Name)
		for name := range offered.Resources {
			names[name] = true
		}
	}
	return names
}

func call(f wasi.Func) wt.HostFunc {
	return func(data any, args []any) (any, error) { return f(data.(*wasi.Instance), args) }
}

func drop(data any, rep uint32) error { return data.(*wasi.Instance).Drop(rep) }

func missing(instance, function string) wt.HostFunc {
	return func(any, []any) (any, error) {
		return nil, fmt.Errorf("the component called %s of %s, which this host does not offer", function, instance)
	}
}
