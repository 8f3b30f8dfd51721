package scaler

import (
	"maps"
	"slices"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Lattice is what was observed of a lattice, with the indexes that planning one application needs. It is not safe for
// concurrent use.
type Lattice struct {
	hosts map[string]*Host
	// order holds the ids of hosts, sorted, so that equal input gives equal plans.
	order []string
	// places: id of a component or provider to the hosts that have it.
	places map[string]map[string]*Host
	// owners: name of an application to what hosts run in its name, counted by id.
	owners  map[string]map[string]int
	links   map[string][]Link
	users   map[string]int
	configs map[string]Config
}

// Link is a stored link.
type Link struct {
	lattice.Link
	// Time it was put, by the server's clock.
	Time time.Time
}

// Config is a stored configuration.
type Config struct {
	Values lattice.Config
	// Time its content changed, by the server's clock.
	Time time.Time
}

// NewLattice makes an empty lattice.
func NewLattice() *Lattice {
	return &Lattice{
		hosts: map[string]*Host{}, places: map[string]map[string]*Host{}, owners: map[string]map[string]int{},
		links: map[string][]Link{}, users: map[string]int{}, configs: map[string]Config{},
	}
}

// Change says what an observation changed: ids of components and providers, names of applications by annotation, and
// whether placement is concerned (a host came, went, drains, or has other labels): then whoever lacks something or wants it on
// every host, too.
type Change struct {
	IDs, Applications []string
	Placement         bool
}

// None says that nothing changed.
func (c Change) None() bool { return !c.Placement && len(c.IDs) == 0 }

// Host returns a host, or nil. It must not be changed.
func (l *Lattice) Host(id string) *Host { return l.hosts[id] }

// HostIDs returns the ids of all hosts, sorted.
func (l *Lattice) HostIDs() []string { return slices.Clone(l.order) }

// SetHost replaces what is known about a host.
func (l *Lattice) SetHost(h Host) Change {
	old := l.hosts[h.ID]
	var c Change
	if old == nil {
		i, _ := slices.BinarySearch(l.order, h.ID)
		l.order = slices.Insert(l.order, i, h.ID)
		old = &Host{ID: h.ID}
		c.Placement = true
	}
	c.suit(old, h.Labels, h.Draining)
	keepAccepted(old, &h)
	c.diff(old.Components, h.Components)
	c.diff(old.Providers, h.Providers)
	l.unindex(old)
	stored := &h
	l.hosts[h.ID] = stored
	l.index(stored)
	return c
}

// RemoveHost forgets a host and what ran on it.
func (l *Lattice) RemoveHost(id string) Change {
	old := l.hosts[id]
	if old == nil {
		return Change{}
	}
	c := Change{Placement: true}
	c.diff(old.Components, nil)
	c.diff(old.Providers, nil)
	l.unindex(old)
	delete(l.hosts, id)
	if i, ok := slices.BinarySearch(l.order, id); ok {
		l.order = slices.Delete(l.order, i, i+1)
	}
	return c
}

// SetComponent records what one host runs of a component; a count of 0 removes it.
func (l *Lattice) SetComponent(host, id string, i Instance) Change {
	return l.setInstance(host, id, i, func(h *Host) map[string]Instance { return h.Components })
}

// SetProvider records that a host runs a provider; a count of 0 removes it.
func (l *Lattice) SetProvider(host, id string, i Instance) Change {
	return l.setInstance(host, id, i, func(h *Host) map[string]Instance { return h.Providers })
}

func (l *Lattice) setInstance(host, id string, i Instance, of func(*Host) map[string]Instance) Change {
	h := l.hosts[host]
	if h == nil {
		return Change{}
	}
	m := of(h)
	old, had := m[id]
	if i.Count == 0 && !had || had && old.equal(i) {
		return Change{}
	}
	var c Change
	c.note(id, old, i)
	if had {
		l.unindexInstance(h, id, old)
		delete(m, id)
	}
	if i.Count > 0 {
		m[id] = i
		l.indexInstance(h, id, i)
	}
	return c
}

// SetLabels replaces the labels of a host.
func (l *Lattice) SetLabels(host string, labels map[string]string) Change {
	h := l.hosts[host]
	if h == nil || maps.Equal(h.Labels, labels) {
		return Change{}
	}
	var c Change
	c.suit(h, labels, h.Draining)
	h.Labels = labels
	return c
}

// SetDraining records that a host is about to end, or is not after all.
func (l *Lattice) SetDraining(host string, draining bool) Change {
	h := l.hosts[host]
	if h == nil {
		return Change{}
	}
	var c Change
	c.suit(h, h.Labels, draining)
	h.Draining = draining
	return c
}

// MarkNoUpdate records that a host cannot change the image of a running component.
func (l *Lattice) MarkNoUpdate(host string) {
	if h := l.hosts[host]; h != nil {
		h.NoUpdate = true
	}
}

// Accept records that a host took a command for an instance without showing its new annotations.
func (l *Lattice) Accept(host, id, scalerID string) {
	h := l.hosts[host]
	if h == nil {
		return
	}
	if i, ok := h.Components[id]; ok {
		i.Accepted = scalerID
		h.Components[id] = i
	}
}

func keepAccepted(old, now *Host) {
	now.NoUpdate = now.NoUpdate || old.NoUpdate
	for id, i := range now.Components {
		if o, ok := old.Components[id]; ok && o.Accepted != "" && o.scaler() == i.scaler() && o.Image == i.Image {
			i.Accepted = o.Accepted
			now.Components[id] = i
		}
	}
}

// suit notes what makes a host another place: that concerns all that runs on it, and placement.
func (c *Change) suit(h *Host, labels map[string]string, draining bool) {
	if maps.Equal(h.Labels, labels) && h.Draining == draining {
		return
	}
	c.Placement = true
	for _, m := range []map[string]Instance{h.Components, h.Providers} {
		for id, i := range m {
			c.note(id, i, i)
		}
	}
}

func (c *Change) diff(old, now map[string]Instance) {
	for id, o := range old {
		if n := now[id]; !o.equal(n) {
			c.note(id, o, n)
		}
	}
	for id, n := range now {
		if _, had := old[id]; !had {
			c.note(id, Instance{}, n)
		}
	}
}

func (c *Change) note(id string, old, now Instance) {
	c.IDs = append(c.IDs, id)
	for _, app := range []string{old.Application(), now.Application()} {
		if app != "" && !slices.Contains(c.Applications, app) {
			c.Applications = append(c.Applications, app)
		}
	}
}
