package exposure

import (
	"slices"
	"sync"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// written remembers slices as we wrote them last, until the cache shows them: an update of what the cache shows meanwhile
// would be refused, and a pod may change several times before.
type written struct {
	mu sync.Mutex
	of map[types.NamespacedName]map[string]*writtenSlice // by application and name
}

type writtenSlice struct {
	// replaced are the resourceVersions in whose place it came; empty stands for none.
	replaced []string
	// now is nil if it was deleted.
	now *discoveryv1.EndpointSlice
}

func versionOf(slice *discoveryv1.EndpointSlice) string {
	if slice == nil {
		return ""
	}
	return slice.ResourceVersion
}

// newest is the slice as we wrote it last, if the cache shows one whose place it took, else what the cache shows: nil for
// none.
func (w *written) newest(app types.NamespacedName, name string, cached *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.of[app][name]
	if last == nil {
		return cached
	}
	if slices.Contains(last.replaced, versionOf(cached)) {
		return last.now
	}
	w.drop(app, name)
	return cached
}

// note takes a slice that was written in the place of another; nil stands for none.
func (w *written) note(app types.NamespacedName, name string, before, now *discoveryv1.EndpointSlice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[types.NamespacedName]map[string]*writtenSlice{}
	}
	if w.of[app] == nil {
		w.of[app] = map[string]*writtenSlice{}
	}
	last := w.of[app][name]
	if last == nil || last.now != before {
		last = &writtenSlice{}
		w.of[app][name] = last
	}
	last.replaced, last.now = append(last.replaced, versionOf(before)), now
}

// forget drops what is remembered of an application.
func (w *written) forget(app types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of, app)
}

// drop is called with the lock.
func (w *written) drop(app types.NamespacedName, name string) {
	if delete(w.of[app], name); len(w.of[app]) == 0 {
		delete(w.of, app)
	}
}
