package scaler

import (
	"slices"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

func wantedLink(l manifest.Link) lattice.Link {
	return lattice.Link{
		SourceID: l.Source, Target: l.Target, Name: l.Name, WitNamespace: l.Namespace, WitPackage: l.Package,
		Interfaces: l.Interfaces, SourceConfig: l.SourceConfig, TargetConfig: l.TargetConfig,
	}
}

func (p *planner) links() {
	for _, l := range p.want.Model.Links {
		p.link(wantedLink(l))
	}
}

// link puts a missing link. One that is there but differs is deleted first: hosts hand only new links to providers, so a
// changed one would be stored and have no effect. The put follows when the deletion shows.
func (p *planner) link(want lattice.Link) {
	state := LinkState{Link: want}
	old, reason := p.obstacle(want)
	switch missing := p.missing(slices.Concat(want.SourceConfig, want.TargetConfig)); {
	case old == nil && reason == "":
		state.Ready = true
	case missing != "":
		state.Message = missing
	case old != nil:
		state.Message = "is being replaced: " + reason
		p.command(Command{Verb: DeleteLink, Stage: StageLinks, Link: old, Reason: reason})
	default:
		state.Message = "is being put"
		link := want
		p.command(Command{Verb: PutLink, Stage: StageLinks, Link: &link, Reason: reason})
	}
	if !state.Ready {
		p.ups++
	}
	p.out.Links = append(p.out.Links, state)
}

// obstacle returns the stored link that must go first, and why; no link and a reason: there is none of this kind; neither:
// the link is as wanted.
func (p *planner) obstacle(want lattice.Link) (*lattice.Link, string) {
	for _, stored := range p.seen.links[want.SourceID] {
		old := stored.Link
		if old.Key() != want.Key() {
			continue
		}
		switch {
		case equalLinks(old, want):
			if name := p.newerConfig(stored); name != "" {
				return &old, "configuration " + name + " changed after the link was put"
			}
			return nil, ""
		case old.Target == want.Target:
			return &old, "the link has other interfaces or configurations"
		case intersect(old.Interfaces, want.Interfaces):
			return &old, "the link leads to " + old.Target
		}
	}
	return nil, "the link does not exist"
}

// newerConfig names a configuration of a link that changed after the link was put, or is about to: its content reaches
// the ends of the link only with a new put.
func (p *planner) newerConfig(l Link) string {
	for _, name := range slices.Concat(l.SourceConfig, l.TargetConfig) {
		if c, ok := p.seen.configs[name]; ok && after(c.Time, l.Time) {
			return name
		}
	}
	return ""
}

func after(a, b time.Time) bool { return !a.IsZero() && !b.IsZero() && a.After(b) }

// wants says whether the current version has such a link. The target counts: hosts keep links of one key to several
// targets when their interfaces differ.
func (p *planner) wants(link lattice.Link) bool {
	return slices.ContainsFunc(p.want.Model.Links, func(l manifest.Link) bool {
		w := wantedLink(l)
		return w.Key() == link.Key() && w.Target == link.Target
	})
}
