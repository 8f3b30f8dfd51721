package manifest

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// linkKey is what must be unique: hosts know links by it, and refuse a second target where interfaces meet.
type linkKey struct{ source, name, namespace, pkg, iface string }

func (c *check) links(path *field.Path, comp *v1beta1.Component, seen map[linkKey]string) {
	for i, t := range comp.Traits {
		at := path.Child("traits").Index(i).Child("properties")
		v, err := properties(t)
		if t.Type != TraitLink {
			if err == nil && !slices.Contains([]string{TraitSpread, TraitDaemon, ""}, t.Type) {
				c.almostLink(at, comp, v)
			}
			continue
		}
		if err != nil {
			c.unreadable(at, err, "a link has namespace, package, interfaces and target")
			continue
		}
		read, err := readLink(v)
		if err != nil {
			c.misfit(at, v, err, "a link has namespace, package, interfaces (a list) and target (name, config, secrets)")
			c.targetOfMisfit(at.Child("target"), v)
			continue
		}
		c.link(at, comp, read, seen)
	}
}

// almostLink checks a trait of another type that wadm's parser takes for a link, for instance the old type linkdef. It
// links nothing, but wadm refuses it if its target or the policy of a secret is missing, and so do we.
func (c *check) almostLink(path *field.Path, comp *v1beta1.Component, v any) {
	read, err := readLink(v)
	if err != nil {
		return
	}
	c.linkTarget(path.Child("target"), comp, read)
	c.secrets(path.Child("target", "secrets"), read.TargetConfig.Secrets)
	c.secrets(path.Child("source", "secrets"), read.Source.Secrets)
}

// targetOfMisfit says what can be said of the target of a link that could not be read.
func (c *check) targetOfMisfit(path *field.Path, v any) {
	members, ok := v.(map[string]any)
	if !ok {
		return
	}
	target, there := members["target"]
	inner, isMap := target.(map[string]any)
	name, named := inner["name"].(string)
	switch {
	case !there:
		c.errs = append(c.errs, field.Required(path.Child("name"), "custom link is missing 'target' property; name the component that the link leads to"))
	case isMap && !named:
		c.errs = append(c.errs, field.Required(path.Child("name"), "custom link is missing 'target' name property; name the component that the link leads to"))
	case isMap && c.names[name] == nil:
		c.warn(path.Child("name"), "custom link target [%s] is not a listed component; add it, or correct the name", name)
	}
}

func (c *check) link(path *field.Path, comp *v1beta1.Component, l linkTrait, seen map[linkKey]string) {
	c.linkTarget(path.Child("target"), comp, l)
	if l.Namespace == "" || l.Package == "" {
		c.errs = append(c.errs, field.Required(path.Child(emptyOf(l)), "namespace and package name the interface, for instance wasi and http"))
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
	c.ends(l.targetConfigs(path), path.Child("target", "secrets"), l.TargetConfig, true)
	c.ends(l.sourceConfigs(path), path.Child("source", "secrets"), l.Source, true)
	if l.oldSource {
		c.warn(path.Child("source_config"), "the link uses a deprecated form, please use source: config: rather")
	}
	if l.oldTarget {
		c.warn(path.Child("target_config"), "the link uses a deprecated form, please use target: config: rather")
	}
}

func (c *check) linkTarget(path *field.Path, comp *v1beta1.Component, l linkTrait) {
	target := c.names[l.Target]
	at := path.Child("name")
	if l.plainTarget {
		at = path
	}
	switch {
	case l.Target == "":
		c.errs = append(c.errs, field.Required(at, "name the component that the link leads to"))
	case target == nil:
		c.invalid(at, l.Target, "there is no component of this name in application %q; add it, or correct the name", c.app.Name)
	case kindOf(target.Type) == KindProvider && kindOf(comp.Type) == KindProvider:
		c.warn(path, "a capability cannot be linked to the capability %q; the link has no effect", l.Target)
	}
}

// targetConfigs is where the configurations of the target were written.
func (l *linkTrait) targetConfigs(path *field.Path) *field.Path {
	if l.oldTarget {
		return path.Child("target_config")
	}
	return path.Child("target", "config")
}

// sourceConfigs is where the configurations of the source were written.
func (l *linkTrait) sourceConfigs(path *field.Path) *field.Path {
	if l.oldSource && !l.newSource {
		return path.Child("source_config")
	}
	return path.Child("source", "config")
}

func emptyOf(l linkTrait) string {
	if l.Namespace == "" {
		return "namespace"
	}
	return "package"
}

func (c *check) linkTwice(path *field.Path, comp *v1beta1.Component, l linkTrait, seen map[linkKey]string) {
	name := l.Name
	if name == "" {
		name = DefaultLinkName
	}
	for _, iface := range l.Interfaces {
		k := linkKey{ComponentID(c.app.Name, *comp), name, l.Namespace, l.Package, iface}
		if _, twice := seen[k]; twice {
			c.duplicate(path.Child("interfaces"), name, "Duplicate link found inside component '%s': %s (%s:%s/%s); give one of them another name",
				comp.Name, name, l.Namespace, l.Package, iface)
			return
		}
		seen[k] = l.Target
	}
}
