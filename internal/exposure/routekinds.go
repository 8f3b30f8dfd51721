package exposure

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// settling is how long after a change of definitions an answer is not kept: the API server shows a definition some time
// before it serves its kind, and serves it some time after it is gone.
const settling = 10 * time.Second

// kindMapper finds the version of a kind that the cluster serves. meta.RESTMapper is one.
type kindMapper interface {
	RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error)
}

// routeKinds knows which kinds of the Gateway API the cluster serves. That there are none is normal, and is asked once:
// whoever sees a definition come or go calls forget.
type routeKinds struct {
	// ask returns a mapper that knows nothing yet: one that has seen a kind never learns that it is gone.
	ask func() (kindMapper, error)
	now func() time.Time

	mu    sync.Mutex
	known map[string]schema.GroupVersionKind // an empty one: not served
	since time.Time
}

func newRouteKinds(ask func() (kindMapper, error), now func() time.Time) *routeKinds {
	return &routeKinds{ask: ask, now: now, known: map[string]schema.GroupVersionKind{}}
}

// served returns the version of a kind, and whether the cluster serves it. What was never set up serves none.
func (k *routeKinds) served(kind string) (schema.GroupVersionKind, bool, error) {
	if k == nil {
		return schema.GroupVersionKind{}, false, nil
	}
	k.mu.Lock()
	found, asked := k.known[kind]
	since := k.since
	k.mu.Unlock()
	if asked {
		return found, found.Kind != "", nil
	}
	found, err := k.find(kind)
	if err != nil {
		return found, false, fmt.Errorf("asking whether the cluster serves %s: %w", kind, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if since == k.since && k.now().Sub(since) >= settling {
		k.known[kind] = found
	}
	return found, found.Kind != "", nil
}

func (k *routeKinds) find(kind string) (schema.GroupVersionKind, error) {
	mapper, err := k.ask()
	if err != nil {
		return schema.GroupVersionKind{}, err
	}
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: gatewayGroup, Kind: kind})
	if meta.IsNoMatchError(err) {
		return schema.GroupVersionKind{}, nil
	}
	if err != nil {
		return schema.GroupVersionKind{}, err
	}
	return mapping.GroupVersionKind, nil
}

// forget makes the next question go to the cluster.
func (k *routeKinds) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known, k.since = map[string]schema.GroupVersionKind{}, k.now()
}
