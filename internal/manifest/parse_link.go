package manifest

import (
	"slices"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// links reads the link traits of a component.
func (p *parser) links(c *v1beta1.Component, source *Component) {
	for _, t := range c.Traits {
		if t.Type != TraitLink {
			continue
		}
		v, err := properties(t)
		var read linkTrait
		if err == nil {
			read, err = readLink(v)
		}
		if err != nil {
			p.problem(c.Name, "trait link is not usable: %v", err)
			continue
		}
		p.link(source, read)
	}
}

func (p *parser) link(source *Component, t linkTrait) {
	target := p.model.Component(t.Target)
	switch {
	case target == nil:
		p.problem(source.Name, "link target %s is not a component of this application", t.Target)
		return
	case target.Image == "" && target.Shared == nil:
		p.problem(source.Name, "link target %s has neither an image nor a shared component", t.Target)
		return
	case source.Kind == KindProvider && target.Kind == KindProvider:
		p.problem(source.Name, "a provider cannot be linked to the provider %s; the link has no effect", t.Target)
		p.model.Problems[len(p.model.Problems)-1].Harmless = true
		return
	}
	l := Link{
		Source: source.ID, Target: target.ID, Component: source.Name, Name: t.Name,
		Namespace: t.Namespace, Package: t.Package, Interfaces: slices.Clone(t.Interfaces),
		SourceConfig: p.endConfig(source.Name, t.Source),
		TargetConfig: p.endConfig(source.Name, t.TargetConfig),
	}
	if l.Name == "" {
		l.Name = DefaultLinkName
	}
	p.addLink(source, l)
}

// addLink adds a link, or its interfaces to one that the lattice could not tell from it: hosts know links by source,
// name, namespace and package, and keep one for each target.
func (p *parser) addLink(source *Component, l Link) {
	for i := range p.model.Links {
		other := &p.model.Links[i]
		if other.Source != l.Source || other.Name != l.Name || other.Namespace != l.Namespace || other.Package != l.Package {
			continue
		}
		if meet(other.Interfaces, l.Interfaces) {
			p.problem(source.Name, "Duplicate link found inside component '%s': %s (%s:%s)", source.Name, l.Name, l.Namespace, l.Package)
			return
		}
		if other.Target == l.Target {
			other.Interfaces = append(other.Interfaces, l.Interfaces...)
			other.SourceConfig = union(other.SourceConfig, l.SourceConfig)
			other.TargetConfig = union(other.TargetConfig, l.TargetConfig)
			return
		}
	}
	// A link from a shared component counts for the application that runs it.
	application := p.model.Name
	if source.Shared != nil {
		application = source.Shared.Application
	}
	l.ScalerID = scalerID([]string{"LinkScaler", application, l.Name, l.Source, l.Target, l.Namespace, l.Package},
		l.Interfaces, l.SourceConfig, l.TargetConfig)
	p.model.Links = append(p.model.Links, l)
}

func union(a, b []string) []string {
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(a, x)
		}
	}
	return a
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}
