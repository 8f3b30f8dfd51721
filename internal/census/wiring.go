package census

import (
	"context"
	"slices"
	"sync"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Feeds report the buckets of a lattice; internal/control satisfies it.
type Feeds interface {
	WatchLattice(ctx context.Context, handle func(lattice.SpecChange)) (done <-chan struct{})
	WatchConfig(ctx context.Context, handle func(lattice.ConfigChange)) (done <-chan struct{})
}

// Wiring knows the links and configurations of one lattice. It is safe for concurrent use.
type Wiring struct {
	feeds   Feeds
	changed func(names []string)

	mu      sync.Mutex
	links   table[[]lattice.Link]
	configs table[map[string]string]
}

// table holds what a watch reported. While a watch begins again, what was known before stays visible: a reset says that
// the next complete list replaces it, not that everything is gone.
type table[T any] struct {
	shown, next map[string]T
	complete    bool
}

// NewWiring returns a wiring that knows nothing before Run; changed is called whenever it knows something else, with the
// names of the configurations and the ids of the sources of links that changed, or nil if anything may have.
func NewWiring(feeds Feeds, changed func(names []string)) *Wiring {
	if changed == nil {
		changed = func([]string) {}
	}
	return &Wiring{feeds: feeds, changed: changed}
}

// Run follows both buckets until ctx ends.
func (w *Wiring) Run(ctx context.Context) error {
	specs := w.feeds.WatchLattice(ctx, func(c lattice.SpecChange) {
		follow(w, &w.links, c, func(s lattice.ComponentSpec) []lattice.Link { return s.Links })
	})
	configs := w.feeds.WatchConfig(ctx, func(c lattice.ConfigChange) {
		follow(w, &w.configs, c, func(c lattice.Config) map[string]string { return c })
	})
	<-specs
	<-configs
	return nil
}

// Complete says whether both buckets were read once.
func (w *Wiring) Complete() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links.complete && w.configs.complete
}

// Links returns the links whose source is a component or provider.
func (w *Wiring) Links(source string) []lattice.Link {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.links.shown[source])
}

// Config returns a named configuration. It is shared and must not be changed.
func (w *Wiring) Config(name string) (map[string]string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	values, ok := w.configs.shown[name]
	return values, ok
}

func follow[V, T any](w *Wiring, t *table[T], c lattice.Change[V], value func(V) T) {
	w.mu.Lock()
	news := t.take(c.Kind, c.Name, func() T { return value(c.Value) })
	w.mu.Unlock()
	switch {
	case news && c.Kind == lattice.ChangeSynced:
		w.changed(nil)
	case news:
		w.changed([]string{c.Name})
	}
}

// take applies one report and says whether what is shown has changed.
func (t *table[T]) take(kind lattice.ChangeKind, name string, value func() T) (news bool) {
	switch kind {
	case lattice.ChangeReset:
		t.next = map[string]T{}
		return false
	case lattice.ChangeSynced:
		t.shown, t.next, t.complete = t.next, nil, true
		return true
	}
	into := t.shown
	if t.next != nil {
		into = t.next
	}
	if kind == lattice.ChangePut {
		into[name] = value()
	} else {
		delete(into, name)
	}
	return t.next == nil
}
