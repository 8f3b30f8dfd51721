package sim

import (
	"maps"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// AppliedLink is a link as a provider took it: its configurations are those of the moment when it was delivered. Later
// changes of a configuration, and later puts of the same link, do not reach the provider; a delete and a put do.
type AppliedLink struct {
	Link                       lattice.Link
	SourceConfig, TargetConfig map[string]string
}

// appliedKey is what makes a link known to a provider already.
type appliedKey struct {
	key    lattice.LinkKey
	target string
}

func keyOf(l lattice.Link) appliedKey { return appliedKey{key: l.Key(), target: l.Target} }

// specChanged is the watch of the data bucket. It is called from wherever the bucket was written, so that it only plans.
func (l *Lattice) specChanged(e Entry) {
	id, ok := strings.CutPrefix(e.Key, "COMPONENT_")
	if !ok || e.Value == nil {
		return // "On KV delete … links remain in memory. KV purge markers are … ignored."
	}
	spec, err := lattice.Decode[lattice.ComponentSpec](e.Value)
	if err != nil {
		return // hosts only log it
	}
	l.after(0, func() {
		l.specs[id] = spec
		for _, link := range spec.Links {
			l.tell(link)
		}
	})
}

// tell gives a link to the providers that are its source or its target, on every host that hears of it. Builtin providers
// do not learn of links from the bucket.
func (l *Lattice) tell(link lattice.Link) {
	for _, p := range l.ends(link) {
		if !p.builtin && !p.h.mute {
			l.tellOne(p, link)
		}
	}
}

// ends are the providers at the ends of a link, in order.
func (l *Lattice) ends(link lattice.Link) []*provider {
	var all []*provider
	for _, id := range slices.Compact([]string{link.SourceID, link.Target}) {
		at := slices.Collect(maps.Values(l.providers[id]))
		slices.SortFunc(at, func(a, b *provider) int { return strings.Compare(a.h.id, b.h.id) })
		all = append(all, at...)
	}
	return all
}

// tellOne: "links not already known to the host are delivered to a provider".
func (l *Lattice) tellOne(p *provider, link lattice.Link) {
	if old, known := p.told[keyOf(link)]; known && equalLinks(old, link) {
		return
	}
	p.told[keyOf(link)] = link
	l.apply(p, link)
}

// tellAll gives a provider that starts, or whose host is back, all links that it is an end of.
func (l *Lattice) tellAll(p *provider) {
	for _, id := range sortedKeys(l.specs) {
		for _, link := range l.specs[id].Links {
			if link.SourceID == p.id || link.Target == p.id {
				l.tellOne(p, link)
			}
		}
	}
}

// apply is the provider's side: "ignores a link put that is already known".
func (l *Lattice) apply(p *provider, link lattice.Link) {
	if _, known := p.applied[keyOf(link)]; known {
		return
	}
	applied := AppliedLink{Link: link}
	p.applied[keyOf(link)] = applied
	l.io(func(b Buckets) (err error) {
		if applied.SourceConfig, err = merged(b, link.SourceConfig); err == nil {
			applied.TargetConfig, err = merged(b, link.TargetConfig)
		}
		return err
	}, func(err error) {
		if held, known := p.applied[keyOf(link)]; known && equalLinks(held.Link, link) {
			if err != nil {
				delete(p.applied, keyOf(link)) // "a link whose config … cannot be resolved is skipped"
				return
			}
			p.applied[keyOf(link)] = applied
		}
	})
}

// merged is the content of named configurations, later ones over earlier ones.
func merged(b Buckets, names []string) (map[string]string, error) {
	all := map[string]string{}
	for _, name := range names {
		value, found, err := b.Get(ConfigBucket, name)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if config, err := lattice.Decode[lattice.Config](value); err == nil {
			maps.Copy(all, config)
		}
	}
	return all, nil
}

// offerLink is the publish for old providers by the host that handled the put; builtin providers listen to it, and get
// nothing where secrets are involved.
func (l *Lattice) offerLink(from *host, link lattice.Link) {
	if from.mute || slices.ContainsFunc(slices.Concat(link.SourceConfig, link.TargetConfig), lattice.IsSecret) {
		return
	}
	for _, p := range l.ends(link) {
		if p.builtin && !p.h.mute {
			p.told[keyOf(link)] = link
			l.apply(p, link)
		}
	}
}

// withdrawLink is the publish to both ends by the host that handled the delete.
func (l *Lattice) withdrawLink(from *host, link lattice.Link) {
	if from.mute || link.Target == "" {
		return
	}
	for _, p := range l.ends(link) {
		if !p.h.mute {
			delete(p.told, keyOf(link))
			delete(p.applied, keyOf(link))
		}
	}
}

// setMute cuts a host off or mends it. One that is back reads on in the data bucket, but what was published meanwhile is
// lost to it.
func (h *host) setMute(mute bool) {
	was := h.mute
	if h.mute = mute; mute || !was {
		return
	}
	for _, id := range sortedKeys(h.providers) {
		if p := h.providers[id]; !p.builtin {
			h.l.tellAll(p)
		}
	}
}

func equalLinks(a, b lattice.Link) bool {
	return keyOf(a) == keyOf(b) && slices.Equal(a.Interfaces, b.Interfaces) &&
		slices.Equal(a.SourceConfig, b.SourceConfig) && slices.Equal(a.TargetConfig, b.TargetConfig)
}
