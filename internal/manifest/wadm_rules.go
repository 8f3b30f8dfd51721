package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

var manifestName = regexp.MustCompile(`^[-A-Za-z0-9_]+$`)

func (w *wadmCheck) name() {
	if !manifestName.MatchString(w.app.Name) {
		w.fail(fmt.Sprintf(`manifest name [%s] is not allowed (should match regex [^[-\w]+$])`, w.app.Name))
	}
}

func (w *wadmCheck) version() {
	if w.app.Annotations[v1beta1.VersionAnnotation] == LatestVersion {
		w.fail(LatestVersion + " is not allowed in wadm")
	}
}

func (w *wadmCheck) metadata() {
	for _, key := range sortedKeys(w.app.Labels) {
		if !oamKey(key) {
			w.fail(fmt.Sprintf("Invalid OAM label: (%q, %q)", key, w.app.Labels[key]))
		}
	}
	for _, key := range sortedKeys(w.app.Annotations) {
		if !oamKey(key) {
			w.fail(fmt.Sprintf("Invalid OAM annotation: (%q, %q)", key, w.app.Annotations[key]))
		}
	}
}

func (w *wadmCheck) names() {
	names, ids := map[string]bool{}, map[string]bool{}
	for _, c := range w.app.Spec.Components {
		if names[c.Name] {
			w.fail("Duplicate component name in manifest: " + c.Name)
		}
		names[c.Name] = true
		if id := c.Properties.ID; id != "" {
			if ids[id] {
				w.fail("Duplicate component identifier in manifest: " + id)
			}
			ids[id] = true
		}
	}
}

// missing lists all absent targets in one message, in order of their names (wadm's order is random).
func (w *wadmCheck) missing() {
	var absent []string
	w.each(func(_ v1beta1.Component, s shape) {
		if s.link != nil && !w.listed(s.link.Target) && !slices.Contains(absent, s.link.Target) {
			absent = append(absent, s.link.Target)
		}
	})
	if len(absent) > 0 {
		slices.Sort(absent)
		w.fail("The following capability component(s) are missing from the manifest: " + quoteList(absent))
	}
}

func quoteList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (w *wadmCheck) listed(name string) bool {
	return slices.ContainsFunc(w.app.Spec.Components, func(c v1beta1.Component) bool { return c.Name == name })
}

func (w *wadmCheck) interfaces() {
	w.each(func(_ v1beta1.Component, s shape) {
		if s.kind == TraitLink && s.link != nil {
			for _, text := range unrecognized(*s.link) {
				w.warn(text)
			}
		}
	})
}

func (w *wadmCheck) targets() {
	w.each(func(_ v1beta1.Component, s shape) {
		switch {
		case s.kind != TraitLink:
		case s.link != nil:
			if w.listed(s.link.Target) {
				return
			}
			who := fmt.Sprintf("(name [%s])", s.link.Name)
			if s.link.Name == "" {
				who = fmt.Sprintf("(target [%s])", s.link.Target)
			}
			w.warn(fmt.Sprintf("link %s target [%s] is not a listed component", who, s.link.Target))
		default:
			w.customTarget(s.value)
		}
	})
}

func (w *wadmCheck) customTarget(v any) {
	members, _ := v.(map[string]any)
	target, ok := members["target"]
	if !ok {
		w.fail("custom link is missing 'target' property")
		return
	}
	inner, _ := target.(map[string]any)
	name, ok := inner["name"].(string)
	switch {
	case !ok:
		w.fail("custom link is missing 'target' name property")
	case !w.listed(name):
		w.warn(fmt.Sprintf("custom link target [%s] is not a listed component", name))
	}
}

func (w *wadmCheck) secrets() {
	check := func(secrets []v1beta1.SecretProperty) {
		for _, s := range secrets {
			if _, _, err := secretPolicy(w.app.Spec.Policies, s); err != nil {
				w.fail(err.Error())
			}
		}
	}
	for i, c := range w.app.Spec.Components {
		check(c.Properties.Secrets)
		for _, s := range w.shapes[i] {
			if s.link != nil {
				check(s.link.Source.Secrets)
				check(s.link.TargetConfig.Secrets)
			}
		}
	}
}

func (w *wadmCheck) customTraits() {
	w.each(func(_ v1beta1.Component, s shape) {
		switch {
		case !s.custom():
		case s.kind == TraitLink:
			w.fail("Link trait deserialized as custom trait, ensure fields are correct: " + rawJSON(s.value))
		case s.kind == TraitSpread || s.kind == TraitDaemon:
			w.fail("Scaler trait deserialized as custom trait, ensure fields are correct: " + rawJSON(s.value))
		}
	})
}

// sources are wadm's rules about image and application; the first that applies to a component is reported.
func (w *wadmCheck) sources() {
	for _, c := range w.app.Spec.Components {
		p := c.Properties
		switch {
		case p.Image != "" && p.Application != nil:
			w.fail("Component cannot have both 'image' and 'application' properties")
		case p.Image == "" && p.Application == nil:
			w.fail("Component must have either 'image' or 'application' property")
		case p.Application == nil:
		case len(p.Config) > 0:
			w.fail(fmt.Sprintf("Shared component '%s' cannot specify additional 'config'", p.Application.Name))
		case len(p.Secrets) > 0:
			w.fail(fmt.Sprintf("Shared component '%s' cannot specify additional 'secrets'", p.Application.Name))
		case slices.ContainsFunc(c.Traits, func(t v1beta1.Trait) bool { return t.Type == TraitSpread || t.Type == TraitDaemon }):
			w.fail(fmt.Sprintf("Shared component '%s' cannot include a scaler trait", p.Application.Name))
		}
	}
}

func (w *wadmCheck) duplicateLinks() {
	type key struct{ component, name, namespace, pkg, iface string }
	seen := map[key]bool{}
	w.each(func(c v1beta1.Component, s shape) {
		if s.link == nil || s.kind != TraitLink {
			return
		}
		name := s.link.Name
		if name == "" {
			name = DefaultLinkName
		}
		for _, iface := range s.link.Interfaces {
			k := key{c.Name, name, s.link.Namespace, s.link.Package, iface}
			if seen[k] {
				w.fail(fmt.Sprintf("Duplicate link found inside component '%s': %s (%s:%s/%s)", c.Name, name, k.namespace, k.pkg, iface))
			}
			seen[k] = true
		}
	})
}

func (w *wadmCheck) linkConfigs() {
	seen := map[string]bool{}
	w.each(func(_ v1beta1.Component, s shape) {
		if s.link == nil || s.kind != TraitLink {
			return
		}
		for _, c := range slices.Concat(s.link.TargetConfig.Config, s.link.Source.Config) {
			if c.Properties == nil {
				continue
			}
			if seen[c.Name] {
				w.fail(fmt.Sprintf("Duplicate link config name found: '%s'", c.Name))
			}
			seen[c.Name] = true
		}
	})
}

// oldForms are warnings of wadm's file validator about deprecated members.
func (w *wadmCheck) oldForms() {
	w.each(func(_ v1beta1.Component, s shape) {
		members, _ := s.value.(map[string]any)
		if s.kind != TraitLink || members == nil {
			return
		}
		for _, end := range []string{"source", "target"} {
			if _, ok := members[end+"_config"]; ok {
				w.warn(fmt.Sprintf("one of the components' link trait contains a %s_config key, please use %s:config: rather", end, end))
			}
		}
	})
}
