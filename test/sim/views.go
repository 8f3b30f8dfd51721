package sim

import (
	"fmt"
	"maps"
	"slices"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// What tests ask a lattice directly, past all faults.

// Hosts are the ids of those that live, in order.
func (l *Lattice) Hosts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sortedHosts())
}

// Inventory is what runs on a host.
func (l *Lattice) Inventory(hostID string) (inv lattice.Inventory, alive bool) {
	l.with(hostID, func(h *host) { inv, alive = h.inventory(), true })
	return inv, alive
}

// Instances is what runs in the lattice: by id the sum of the limits of a component, and the number of a provider.
func (l *Lattice) Instances() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]int{}
	for _, h := range l.hosts {
		for id, c := range h.components {
			all[id] += int(c.max)
		}
		for id := range h.providers {
			all[id]++
		}
	}
	return all
}

// Code is the image that a component really runs, which is not always the one that its host names.
func (l *Lattice) Code(hostID, component string) (ref string) {
	l.with(hostID, func(h *host) {
		if c := h.components[component]; c != nil {
			ref = c.code
		}
	})
	return ref
}

// ConfigOf are the named configurations that a component or provider was started with, secrets left out for components.
func (l *Lattice) ConfigOf(hostID, id string) (names []string) {
	l.with(hostID, func(h *host) {
		if c := h.components[id]; c != nil {
			names = slices.Clone(c.config)
		}
		if p := h.providers[id]; p != nil {
			names = slices.Clone(p.config)
		}
	})
	return names
}

// Applied are the links that a provider on a host really took, ordered by source, target and name.
func (l *Lattice) Applied(hostID, providerID string) (links []AppliedLink) {
	l.with(hostID, func(h *host) {
		if p := h.providers[providerID]; p != nil {
			links = slices.Collect(maps.Values(p.applied))
		}
	})
	slices.SortFunc(links, func(a, b AppliedLink) int { return compareLinks(a.Link, b.Link) })
	return links
}

// Links are the links that are stored, in order.
func (l *Lattice) Links() ([]lattice.Link, error) {
	var links []lattice.Link
	err := l.each(DataBucket, func(e Entry) error {
		parsed, err := lattice.ParseDataKey(e.Key)
		if err != nil || parsed.ComponentID == "" {
			return nil // claims
		}
		spec, err := lattice.Decode[lattice.ComponentSpec](e.Value)
		links = append(links, spec.Links...)
		return err
	})
	slices.SortFunc(links, compareLinks)
	return links, err
}

// Configs are the named configurations that are stored.
func (l *Lattice) Configs() (map[string]lattice.Config, error) {
	configs := map[string]lattice.Config{}
	err := l.each(ConfigBucket, func(e Entry) (err error) {
		configs[e.Key], err = lattice.Decode[lattice.Config](e.Value)
		return err
	})
	return configs, err
}

// each visits what a bucket in memory holds.
func (l *Lattice) each(bucket Bucket, visit func(Entry) error) error {
	m, ok := l.buckets.(*Memory)
	if !ok {
		return fmt.Errorf("the buckets of this lattice are not in memory: read them where they are")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(m.entries[bucket])) {
		if err := visit(m.entries[bucket][key]); err != nil {
			return fmt.Errorf("read %s: %w", key, err)
		}
	}
	return nil
}

// PlaceComponent puts a running component on a host without a command or an event: what somebody else started before.
func (l *Lattice) PlaceComponent(hostID string, d lattice.ComponentDescription) {
	l.with(hostID, func(h *host) {
		h.components[d.ID] = &component{id: d.ID, ref: d.ImageRef, code: d.ImageRef, max: d.MaxInstances, limits: d.Limits,
			annotations: maps.Clone(d.Annotations)}
	})
}

// PlaceProvider puts a running provider on a host without a command; it gets the links that are stored.
func (l *Lattice) PlaceProvider(hostID string, d lattice.ProviderDescription) {
	l.with(hostID, func(h *host) {
		p := &provider{h: h, id: d.ID, ref: d.ImageRef, annotations: maps.Clone(d.Annotations),
			told: map[appliedKey]lattice.Link{}, applied: map[appliedKey]AppliedLink{}}
		h.providers[p.id] = p
		if l.providers[p.id] == nil {
			l.providers[p.id] = map[*host]*provider{}
		}
		l.providers[p.id][h] = p
		l.tellAll(p)
	})
}

func compareLinks(a, b lattice.Link) int {
	return slices.Compare([]string{a.SourceID, a.Target, a.WitNamespace, a.WitPackage, a.Name},
		[]string{b.SourceID, b.Target, b.WitNamespace, b.WitPackage, b.Name})
}
