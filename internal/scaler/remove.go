package scaler

import (
	"slices"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// removeOld ends what earlier versions left: links, then what runs, then configurations, which go last because whatever
// used them must be gone first.
func (p *planner) removeOld() {
	if p.ups > 0 {
		p.keepOld()
		return
	}
	d := demolition{application: p.want.Model.Name, seen: p.seen, reason: "the deployed version has no such "}
	for _, link := range p.want.Retired.Links {
		if !p.wants(link) && d.link(link.Key(), link.Target) {
			p.out.Retired.Links = append(p.out.Retired.Links, link)
			p.out.Links = append(p.out.Links, LinkState{Link: link, Retired: true, Message: "is being removed"})
		}
	}
	for _, id := range p.unwantedIDs() {
		d.instance(id)
		p.showOld(id, "is being removed")
	}
	// What is about to end on hosts that drain was not brought up to date, and uses what it was started with.
	inUse := len(d.commands)+len(p.leaving) > 0
	for _, name := range p.retiredConfigs() {
		if !d.config(name, inUse) {
			continue
		}
		p.out.Retired.Configs = append(p.out.Retired.Configs, name)
		p.out.Configs = append(p.out.Configs, ConfigState{Name: name, Retired: true, Message: "is being removed"})
	}
	p.out.Commands = append(p.out.Commands, d.commands...)
}

// keepOld shows what is to be removed later.
func (p *planner) keepOld() {
	for _, id := range p.unwantedIDs() {
		p.showOld(id, "will be removed when the new version is complete")
	}
	for _, link := range p.want.Retired.Links {
		if !p.wants(link) && p.seen.hasLink(link.Key(), link.Target) {
			p.out.Retired.Links = append(p.out.Retired.Links, link)
			p.out.Links = append(p.out.Links, LinkState{Link: link, Retired: true, Message: "will be removed when the new version is complete"})
		}
	}
	for _, name := range p.retiredConfigs() {
		p.out.Retired.Configs = append(p.out.Retired.Configs, name)
		p.out.Configs = append(p.out.Configs, ConfigState{Name: name, Retired: true, Message: "will be removed when the new version is complete"})
	}
}

func (p *planner) retiredConfigs() []string {
	var out []string
	for _, name := range p.want.Retired.Configs {
		_, stored := p.seen.configs[name]
		if stored && !p.brings(name) && !slices.Contains(p.want.Model.External, name) && !slices.Contains(out, name) &&
			(p.want.Keep == nil || !p.want.Keep(name)) {
			out = append(out, name)
		}
	}
	return out
}

// wantedIDs are the ids that must not be ended. A component that cannot be read as it stands goes on running.
func (p *planner) wantedIDs() map[string]bool {
	out := map[string]bool{}
	for _, c := range p.want.Model.Components {
		broken := slices.ContainsFunc(p.want.Model.Problems, func(x manifest.Problem) bool { return x.Component == c.Name && !x.Harmless })
		if c.Shared == nil && (c.Scaler != nil || broken) {
			out[c.ID] = true
		}
	}
	return out
}

// unwantedIDs is what runs in the name of the application and is not part of its version.
func (p *planner) unwantedIDs() []string {
	wanted := p.wantedIDs()
	return slices.DeleteFunc(p.seen.ownedIDs(p.want.Model.Name), func(id string) bool { return wanted[id] })
}

// showOld shows where a component of an earlier version runs. Its hosts are recorded like all others, so that they are
// waited for when the application goes.
func (p *planner) showOld(id, message string) {
	s := ComponentState{Name: id, ID: id, Kind: manifest.KindComponent, Message: id + " of an earlier version " + message}
	for _, h := range p.seen.placesOf(id) {
		i, ok := h.Components[id]
		if !ok || i.Application() != p.want.Model.Name {
			if i, ok = h.Providers[id]; !ok || i.Application() != p.want.Model.Name {
				continue
			}
			s.Kind = manifest.KindProvider
		}
		s.Image = i.Image
		s.Running += uint64(i.Count)
		s.Hosts = append(s.Hosts, Placement{Host: h.ID, Name: h.Name, Instances: i.Count})
	}
	p.out.Components = append(p.out.Components, s)
}

// demolition collects the commands that end what one application has.
type demolition struct {
	application string
	seen        *Lattice
	reason      string
	commands    []Command
}

func (l *Lattice) hasLink(key lattice.LinkKey, target string) bool {
	return slices.ContainsFunc(l.links[key.SourceID], func(s Link) bool {
		return s.Key() == key && (target == "" || s.Target == target)
	})
}

// link deletes a stored link, and says whether there was one.
func (d *demolition) link(key lattice.LinkKey, target string) bool {
	for _, stored := range d.seen.links[key.SourceID] {
		if stored.Key() == key && (target == "" || stored.Target == target) {
			link := stored.Link
			d.commands = append(d.commands, Command{Verb: DeleteLink, Stage: StageDownLinks, Link: &link, Reason: d.reason + "link"})
			return true
		}
	}
	return false
}

// instance ends a component or provider wherever it runs in the name of the application, and says whether it did.
func (d *demolition) instance(id string) bool {
	found := false
	for _, h := range d.seen.placesOf(id) {
		if i, ok := h.Components[id]; ok && i.Application() == d.application {
			found = true
			d.commands = append(d.commands, Command{
				Verb: Scale, Stage: StageDownComponents, Host: h.ID, ID: id, Image: i.Image,
				Annotations: annotations(d.application, "", ""), Reason: d.reason + "component",
			})
		}
		if i, ok := h.Providers[id]; ok && i.Application() == d.application {
			found = true
			d.commands = append(d.commands, Command{
				Verb: StopProvider, Stage: StageDownProviders, Host: h.ID, ID: id, Reason: d.reason + "provider",
			})
		}
	}
	return found
}

// config deletes a stored configuration as soon as nothing uses it, and says whether there is something to do yet. One
// that links of somebody else use is left to them.
func (d *demolition) config(name string, inUse bool) bool {
	if _, stored := d.seen.configs[name]; !stored || !inUse && d.seen.users[name] > 0 {
		return false
	}
	if !inUse {
		d.commands = append(d.commands, Command{Verb: DeleteConfig, Stage: StageDownConfigs, ID: name, Reason: d.reason + "configuration"})
	}
	return true
}
