package manifest

import (
	"fmt"
	"slices"
)

// knownInterfaces are those that a misspelling is likely of: namespace, package, interfaces. Other namespaces are never
// checked.
var knownInterfaces = map[string]map[string][]string{
	"wrpc": {
		"blobstore": {"blobstore"},
		"keyvalue":  {"atomics", "store"},
		"http":      {"incoming-handler", "outgoing-handler"},
	},
	"wasi": {
		"blobstore": {"blobstore"},
		"config":    {"runtime"},
		"keyvalue":  {"atomics", "store", "batch", "watch"},
		"http":      {"incoming-handler", "outgoing-handler"},
		"logging":   {"logging"},
	},
	"wasmcloud": {
		"messaging": {"consumer", "handler"},
	},
}

// unrecognized words a warning for every interface of a link that is probably misspelled.
func unrecognized(l linkTrait) []string {
	packages, ok := knownInterfaces[l.Namespace]
	if !ok {
		return nil
	}
	var out []string
	for _, iface := range l.Interfaces {
		if !slices.Contains(packages[l.Package], iface) {
			out = append(out, fmt.Sprintf("unrecognized interface [%s:%s/%s]", l.Namespace, l.Package, iface))
		}
	}
	return out
}
