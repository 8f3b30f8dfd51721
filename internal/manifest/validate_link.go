package manifest

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// linkKey is what must be unique: hosts know links by it, and refuse a second target where interfaces meet.
type linkKey struct{ source, name, namespace, pkg, iface string }

func (c *check) links(path *field.Path, comp *v1beta1.Component, seen map[linkKey]string) {
	for i, t := range comp.Traits {
		if t.Type != TraitLink {
			continue
		}
		at := path.Child("traits").Index(i).Child("properties")
		v, err := properties(t)
		if err != nil {
			c.errs = append(c.errs, field.Required(at, "a link has namespace, package, interfaces and target"))
			continue
		}
		read, err := readLink(v)
		if err != nil {
			c.invalid(at, rawJSON(v), "%v; a link has namespace, package, interfaces (a list) and target (name, config, secrets)", err)
			continue
		}
		c.link(at, comp, read, seen)
	}
}

func (c *check) link(path *field.Path, comp *v1beta1.Component, l linkTrait, seen map[linkKey]string) {
	c.linkTarget(path.Child("target"), comp, l)
	if l.Namespace == "" || l.Package == "" {
		c.errs = append(c.errs, field.Required(path, "namespace and package of the interface, for instance wasi and http"))
	}
	if n := len(l.Interfaces); n > MaxInterfaces {
		c.errs = append(c.errs, field.TooMany(path.Child("interfaces"), n, MaxInterfaces))
		return
	}
	if len(l.Interfaces) == 0 {
		c.warn(path.Child("interfaces"), "the link lists no interfaces and connects nothing")
	}
	for _, text := range unrecognized(l) {
		c.warn(path.Child("interfaces"), "%s", text)
	}
	c.linkTwice(path, comp, l, seen)
	c.ends(path.Child("target"), l.TargetConfig, true)
	c.ends(path.Child("source"), l.Source, true)
	if l.oldSource {
		c.warn(path.Child("source_config"), "the link uses a deprecated form, please use source: config: rather")
	}
	if l.oldTarget {
		c.warn(path.Child("target_config"), "the link uses a deprecated form, please use target: config: rather")
	}
}

func (c *check) linkTarget(path *field.Path, comp *v1beta1.Component, l linkTrait) {
	target := c.names[l.Target]
	switch {
	case l.Target == "":
		c.errs = append(c.errs, field.Required(path.Child("name"), "name the component that the link leads to"))
	case target == nil:
		c.invalid(path.Child("name"), l.Target, "there is no component of this name in the application; add it, or correct the name")
	case kindOf(target.Type) == KindProvider && kindOf(comp.Type) == KindProvider:
		c.warn(path, "a capability cannot be linked to the capability %q; the link has no effect", l.Target)
	}
}

func (c *check) linkTwice(path *field.Path, comp *v1beta1.Component, l linkTrait, seen map[linkKey]string) {
	name := l.Name
	if name == "" {
		name = DefaultLinkName
	}
	for _, iface := range l.Interfaces {
		k := linkKey{ComponentID(c.app.Name, *comp), name, l.Namespace, l.Package, iface}
		if _, twice := seen[k]; twice {
			c.invalid(path, name, "Duplicate link found inside component '%s': %s (%s:%s/%s); give one of them another name",
				comp.Name, name, l.Namespace, l.Package, iface)
			return
		}
		seen[k] = l.Target
	}
}
