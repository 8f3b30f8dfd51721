package scaler

import (
	"maps"
	"slices"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

func (l *Lattice) index(h *Host) {
	for _, m := range []map[string]Instance{h.Components, h.Providers} {
		for id, i := range m {
			l.indexInstance(h, id, i)
		}
	}
}

func (l *Lattice) unindex(h *Host) {
	for _, m := range []map[string]Instance{h.Components, h.Providers} {
		for id, i := range m {
			l.unindexInstance(h, id, i)
		}
	}
}

func (l *Lattice) indexInstance(h *Host, id string, i Instance) {
	at := l.places[id]
	if at == nil {
		at = map[string]*Host{}
		l.places[id] = at
	}
	at[h.ID] = h
	l.count(i.Application(), id, 1)
}

func (l *Lattice) unindexInstance(h *Host, id string, i Instance) {
	if delete(l.places[id], h.ID); len(l.places[id]) == 0 {
		delete(l.places, id)
	}
	l.count(i.Application(), id, -1)
}

func (l *Lattice) count(application, id string, n int) {
	if application == "" {
		return
	}
	ids := l.owners[application]
	if ids == nil {
		ids = map[string]int{}
		l.owners[application] = ids
	}
	if ids[id] += n; ids[id] <= 0 {
		delete(ids, id)
	}
	if len(ids) == 0 {
		delete(l.owners, application)
	}
}

// placesOf returns the hosts that have a component or provider, in order.
func (l *Lattice) placesOf(id string) []*Host {
	at := l.places[id]
	out := make([]*Host, 0, len(at))
	for _, host := range slices.Sorted(maps.Keys(at)) {
		out = append(out, at[host])
	}
	return out
}

// ownedIDs returns what hosts run in the name of an application, in order.
func (l *Lattice) ownedIDs(application string) []string {
	return slices.Sorted(maps.Keys(l.owners[application]))
}

// SetSpec records the links of a source, as its record in the lattice says; time is when the record was written. It
// returns the names of configurations and the ids whose links changed.
func (l *Lattice) SetSpec(source string, spec lattice.ComponentSpec, written time.Time) Change {
	old := l.links[source]
	now := make([]Link, 0, len(spec.Links))
	for _, link := range spec.Links {
		when := written
		// Hosts write the whole record again for any of its links and at each start: only a link that was not there
		// like this is new.
		if i := slices.IndexFunc(old, func(o Link) bool { return equalLinks(o.Link, link) }); i >= 0 {
			when = old[i].Time
		}
		now = append(now, Link{Link: link, Time: when})
	}
	return l.replaceLinks(source, now)
}

// RemoveSpec forgets the links of a source.
func (l *Lattice) RemoveSpec(source string) Change { return l.replaceLinks(source, nil) }

func (l *Lattice) replaceLinks(source string, now []Link) Change {
	old := l.links[source]
	same := func(a, b Link) bool { return equalLinks(a.Link, b.Link) && a.Time.Equal(b.Time) }
	if slices.EqualFunc(old, now, same) {
		return Change{}
	}
	l.countUsers(old, -1)
	l.countUsers(now, 1)
	if len(now) == 0 {
		delete(l.links, source)
	} else {
		l.links[source] = now
	}
	return Change{IDs: []string{source}}
}

func (l *Lattice) countUsers(links []Link, n int) {
	for _, link := range links {
		for _, name := range slices.Concat(link.SourceConfig, link.TargetConfig) {
			if l.users[name] += n; l.users[name] <= 0 {
				delete(l.users, name)
			}
		}
	}
}

// SetConfig records a configuration, and says whether its content changed.
func (l *Lattice) SetConfig(name string, values lattice.Config, written time.Time) bool {
	if old, ok := l.configs[name]; ok && maps.Equal(old.Values, values) {
		return false
	}
	l.configs[name] = Config{Values: values, Time: written}
	return true
}

// RemoveConfig forgets a configuration.
func (l *Lattice) RemoveConfig(name string) { delete(l.configs, name) }

// equalLinks compares everything; the order of interfaces means nothing, that of configurations does.
func equalLinks(a, b lattice.Link) bool {
	return a.Key() == b.Key() && a.Target == b.Target && sameSet(a.Interfaces, b.Interfaces) &&
		slices.Equal(a.SourceConfig, b.SourceConfig) && slices.Equal(a.TargetConfig, b.TargetConfig)
}

func sameSet(a, b []string) bool {
	if slices.Equal(a, b) {
		return true
	}
	a, b = slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b)))
	return slices.Equal(a, b)
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

// LinkSources returns the ids that have links.
func (l *Lattice) LinkSources() []string { return slices.Sorted(maps.Keys(l.links)) }

// HasConfig says whether a configuration is stored.
func (l *Lattice) HasConfig(name string) bool {
	_, ok := l.configs[name]
	return ok
}

// HasLink says whether a link to the target is stored, whatever its interfaces and configurations.
func (l *Lattice) HasLink(link lattice.Link) bool { return l.hasLink(link.Key(), link.Target) }

// ConfigNames returns the names of all stored configurations.
func (l *Lattice) ConfigNames() []string { return slices.Sorted(maps.Keys(l.configs)) }
