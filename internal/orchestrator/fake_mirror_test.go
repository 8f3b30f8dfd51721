package orchestrator

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

// mirror holds what the buckets of a lattice hold, wherever they are.
type mirror struct {
	mu      sync.Mutex
	entries [2]map[string][]byte
	stops   []func()
}

func follow(b sim.Buckets) *mirror {
	m := &mirror{entries: [2]map[string][]byte{{}, {}}}
	for bucket := range m.entries {
		m.stops = append(m.stops, mustHave(b.Watch(sim.Bucket(bucket), func(e sim.Entry) { m.take(bucket, e) })))
	}
	return m
}

func (m *mirror) take(bucket int, e sim.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case e.Reset:
		clear(m.entries[bucket])
	case e.Synced:
	case e.Value == nil:
		delete(m.entries[bucket], e.Key)
	default:
		m.entries[bucket][e.Key] = e.Value
	}
}

func (m *mirror) all(bucket sim.Bucket) map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.entries[bucket])
}

func (m *mirror) close() {
	for _, stop := range m.stops {
		stop()
	}
}

// storedLinks are the links of the lattice, in the order of their sources.
func (b *bus) storedLinks() (links []lattice.Link) {
	entries := b.mirror.all(sim.DataBucket)
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		if strings.HasPrefix(key, "COMPONENT_") {
			links = append(links, mustHave(lattice.Decode[lattice.ComponentSpec](entries[key])).Links...)
		}
	}
	return links
}

// configs are the configurations of the lattice.
func (b *bus) configs() map[string]lattice.Config {
	out := map[string]lattice.Config{}
	for name, body := range b.mirror.all(sim.ConfigBucket) {
		out[name] = mustHave(lattice.Decode[lattice.Config](body))
	}
	return out
}
