package census

import (
	"maps"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// hear takes one event.
func (c *Census) hear(event lattice.Event) {
	switch data := event.Data.(type) {
	case lattice.HostHeartbeat:
		c.put(event.Host, data.Inventory)
	case lattice.HostStopped:
		c.forget(event.Host)
	case lattice.HostStarted, lattice.LabelsChanged, lattice.ComponentScaled, lattice.ProviderStarted, lattice.ProviderStopped:
		// An event tells a part, sometimes a misleading one (after an update, a component is said to be at 0): the host
		// itself knows.
		c.mark(event.Host, false)
	}
}

// lost is called when events may have been missed: what is known stays until everybody was asked again, unless there is
// no connection to ask by.
func (c *Census) lost(why error) {
	c.setWhy(why)
	c.mark("", true)
}

// mark asks for a host, or everybody, to be asked soon.
func (c *Census) mark(id string, all bool) {
	c.mu.Lock()
	if all {
		c.askAll = true
	} else {
		c.dirty[id] = true
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default: // it is awake already
	}
}

func (c *Census) setWhy(why error) {
	c.mu.Lock()
	same := c.why == nil && why == nil || c.why != nil && why != nil && c.why.Error() == why.Error()
	c.why = why
	c.mu.Unlock()
	if !same {
		c.changed(nil)
	}
}

func (c *Census) put(id string, inventory lattice.Inventory) {
	now := c.now()
	c.mu.Lock()
	known := c.hosts[id]
	fresh := known == nil || known.host.Silent || !same(known.host.Inventory, inventory)
	next := Host{ID: id, Inventory: inventory, StartedAt: now.Add(-time.Duration(inventory.UptimeSeconds) * time.Second)}
	if known != nil && known.host.Inventory.FriendlyName == inventory.FriendlyName {
		next.StartedAt = known.host.StartedAt // by seconds only, it would seem to move
	}
	what := c.move(id, known, &entry{host: next, heard: now})
	c.mu.Unlock()
	if fresh {
		c.changed(what)
	}
}

func (c *Census) forget(id string) {
	c.mu.Lock()
	known := c.hosts[id]
	what := c.move(id, known, nil)
	delete(c.dirty, id)
	c.mu.Unlock()
	if known != nil {
		c.changed(what)
	}
}

// expire asks hosts whose heartbeats are overdue; one that does not answer is gone.
func (c *Census) expire() {
	limit := time.Duration(missed * float64(c.heartbeat))
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, e := range c.hosts {
		if now.Sub(e.heard) > limit {
			c.dirty[id] = true
		}
	}
}

// same compares what two inventories say, without the uptime, which always moves.
func same(a, b lattice.Inventory) bool {
	return a.FriendlyName == b.FriendlyName && a.Version == b.Version && maps.Equal(a.Labels, b.Labels) &&
		maps.EqualFunc(byID(a.Components, componentID), byID(b.Components, componentID), sameComponent) &&
		maps.EqualFunc(byID(a.Providers, providerID), byID(b.Providers, providerID), sameProvider)
}

func componentID(c lattice.ComponentDescription) string { return c.ID }
func providerID(p lattice.ProviderDescription) string   { return p.ID }

func sameComponent(a, b lattice.ComponentDescription) bool {
	return a.ImageRef == b.ImageRef && a.MaxInstances == b.MaxInstances && maps.Equal(a.Annotations, b.Annotations)
}

func sameProvider(a, b lattice.ProviderDescription) bool {
	return a.ImageRef == b.ImageRef && maps.Equal(a.Annotations, b.Annotations)
}

func byID[T any](list []T, id func(T) string) map[string]T {
	out := make(map[string]T, len(list))
	for _, item := range list {
		out[id(item)] = item
	}
	return out
}
