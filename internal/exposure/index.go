package exposure

import (
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// index remembers which applications a pod serves, so that an event of the pod touches only those.
type index struct {
	mu   sync.Mutex
	apps map[types.NamespacedName]map[listener]bool
	pods map[string]map[types.NamespacedName]bool
	// interests are what an application asked of its lattice, and asking who asked.
	interests map[types.NamespacedName][]subject
	asking    map[subject][]types.NamespacedName
	// referred are the applications that the routes of another name, by that one.
	referred map[types.NamespacedName][]types.NamespacedName
}

func newIndex() *index {
	return &index{apps: map[types.NamespacedName]map[listener]bool{}, pods: map[string]map[types.NamespacedName]bool{},
		interests: map[types.NamespacedName][]subject{}, asking: map[subject][]types.NamespacedName{},
		referred: map[types.NamespacedName][]types.NamespacedName{}}
}

// set records what an application's endpoints come from.
func (x *index) set(key types.NamespacedName, listeners map[listener]bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(key)
	x.apps[key] = listeners
	for l := range listeners {
		if x.pods[l.pod] == nil {
			x.pods[l.pod] = map[types.NamespacedName]bool{}
		}
		x.pods[l.pod][key] = true
	}
}

func (x *index) forget(key types.NamespacedName) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(key)
	x.keepOnly(key, nil)
	delete(x.referred, key)
}

// refer records which other applications the routes of one name.
func (x *index) refer(key types.NamespacedName, named []types.NamespacedName) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(named) == 0 {
		delete(x.referred, key)
		return
	}
	x.referred[key] = named
}

// referrers are the applications whose routes name one.
func (x *index) referrers(key types.NamespacedName) (out []types.NamespacedName) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for referrer, named := range x.referred {
		if slices.Contains(named, key) {
			out = append(out, referrer)
		}
	}
	return out
}

func (x *index) drop(key types.NamespacedName) {
	for l := range x.apps[key] {
		delete(x.pods[l.pod], key)
		if len(x.pods[l.pod]) == 0 {
			delete(x.pods, l.pod)
		}
	}
	delete(x.apps, key)
}

// listeners returns what set recorded, and whether it recorded anything.
func (x *index) listeners(key types.NamespacedName) (map[listener]bool, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	found, known := x.apps[key]
	return found, known
}

// all returns every application of which something is known.
func (x *index) all() []types.NamespacedName {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Collect(maps.Keys(x.apps))
}

// ofPod returns the applications that a pod serves.
func (x *index) ofPod(uid types.UID) []types.NamespacedName {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []types.NamespacedName
	for key := range x.pods[string(uid)] {
		out = append(out, key)
	}
	return out
}
