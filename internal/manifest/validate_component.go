package manifest

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

var (
	identifier = regexp.MustCompile(IDPattern)
	blank      = regexp.MustCompile(`\s`)
)

func (c *check) component(path *field.Path, comp *v1beta1.Component) {
	switch first := c.names[comp.Name]; {
	case comp.Name == "":
		c.errs = append(c.errs, field.Required(path.Child("name"), "give the component a name; links refer to it"))
	case len(comp.Name) > MaxNameLength:
		c.errs = append(c.errs, field.TooLong(path.Child("name"), "", MaxNameLength))
	case first != nil:
		c.duplicate(path.Child("name"), comp.Name, "Duplicate component name in manifest: %s; links refer to components by name, rename one", comp.Name)
	default:
		c.names[comp.Name] = comp
		c.id(path, comp)
	}
	if kindOf(comp.Type) == "" {
		c.errs = append(c.errs, field.NotSupported(path.Child("type"), comp.Type, []string{TypeComponent, TypeCapability}))
	}
	if len(comp.Traits) > MaxTraits {
		c.errs = append(c.errs, field.TooMany(path.Child("traits"), len(comp.Traits), MaxTraits))
	}
	c.source(path.Child("properties"), comp)
	properties := path.Child("properties")
	c.ends(properties.Child("config"), properties.Child("secrets"), endConfig{Config: comp.Properties.Config, Secrets: comp.Properties.Secrets}, false)
	c.scalers(path.Child("traits"), comp)
}

// id checks explicit ids and that no two components end up with the same one.
func (c *check) id(path *field.Path, comp *v1beta1.Component) {
	id := ComponentID(c.app.Name, *comp)
	at := path.Child("properties", "id")
	if comp.Properties.ID == "" {
		at = path.Child("name")
	}
	switch other, taken := c.ids[id]; {
	case comp.Properties.ID != "" && !identifier.MatchString(id):
		c.invalid(at, id, "use letters, digits, -, _, / and =; the id becomes part of NATS subjects")
	case len(id) > MaxIDLength:
		c.invalid(at, id, "the id %s has %d characters, at most %d are possible", id, len(id), MaxIDLength)
	case taken && comp.Properties.ID != "" && c.names[other].Properties.ID != "":
		c.duplicate(at, id, "Duplicate component identifier in manifest: %s; component %q has it too, give one of the two another id", id, other)
	case taken && comp.Properties.Application == nil:
		c.invalid(at, id, "component %q has the same id in the lattice; rename one of the two or give it another id", other)
	default:
		c.ids[id] = comp.Name
	}
}

// source checks what the component is: an image or a component that another application shares.
func (c *check) source(path *field.Path, comp *v1beta1.Component) {
	p := comp.Properties
	switch {
	case p.Image != "" && p.Application != nil:
		c.invalid(path, "image and application", "Component cannot have both 'image' and 'application' properties; "+
			"keep image to run it here, or application to use the one of another application")
	case p.Application == nil && p.Image == "":
		c.errs = append(c.errs, field.Required(path.Child("image"), "Component must have either 'image' or 'application' "+
			"property; image is the reference of the component or provider, for instance ghcr.io/wasmcloud/http-server:0.23.0"))
	case p.Application == nil:
		if blank.MatchString(p.Image) {
			c.invalid(path.Child("image"), p.Image, "an image reference contains no blanks")
		}
	default:
		c.shared(path, comp)
	}
}

func (c *check) shared(path *field.Path, comp *v1beta1.Component) {
	ref := comp.Properties.Application
	if ref.Name == "" {
		c.errs = append(c.errs, field.Required(path.Child("application", "name"), "name the application that shares the component"))
	}
	if ref.Component == "" {
		c.errs = append(c.errs, field.Required(path.Child("application", "component"), "name the component of that application"))
	}
	const where = "; the application that runs it decides that"
	if len(comp.Properties.Config) > 0 {
		c.errs = append(c.errs, field.Forbidden(path.Child("config"), fmt.Sprintf("Shared component '%s' cannot specify additional 'config'"+where, ref.Name)))
	}
	if len(comp.Properties.Secrets) > 0 {
		c.errs = append(c.errs, field.Forbidden(path.Child("secrets"), fmt.Sprintf("Shared component '%s' cannot specify additional 'secrets'"+where, ref.Name)))
	}
}

// ends checks the configurations and secrets of a component or of one end of a link.
func (c *check) ends(configs, secrets *field.Path, e endConfig, onLink bool) {
	if n := len(e.Config); n > MaxConfigs {
		c.errs = append(c.errs, field.TooMany(configs, n, MaxConfigs))
	}
	if n := len(e.Secrets); n > MaxSecrets {
		c.errs = append(c.errs, field.TooMany(secrets, n, MaxSecrets))
	}
	for i, cfg := range e.Config {
		c.config(configs.Index(i), cfg, onLink)
	}
	c.secrets(secrets, e.Secrets)
}

func (c *check) secrets(path *field.Path, secrets []v1beta1.SecretProperty) {
	for i, s := range secrets {
		at := path.Index(i)
		if s.Name == "" {
			c.errs = append(c.errs, field.Required(at.Child("name"), "the component looks the secret up by this name"))
		}
		if s.Properties.Key == "" {
			c.errs = append(c.errs, field.Required(at.Child("properties", "key"), "name what the backend of the policy has under it"))
		}
		if _, _, err := secretPolicy(c.app.Spec.Policies, s); err != nil {
			c.invalid(at.Child("properties", "policy"), s.Properties.Policy, "%v; list it under spec.policies with type %s and property backend",
				err, SecretPolicyType)
		}
	}
}

func (c *check) config(path *field.Path, cfg v1beta1.ConfigProperty, onLink bool) {
	at := path.Child("name")
	name := ConfigName(c.app.Name, cfg)
	switch {
	case cfg.Name == "":
		c.errs = append(c.errs, field.Required(at, "name the configuration"))
		return
	case len(name) > MaxIDLength:
		c.errs = append(c.errs, field.TooLong(at, "", MaxIDLength))
	case cfg.Properties == nil && !identifier.MatchString(name):
		c.invalid(at, name, "a configuration without properties is used by this very name; use letters, digits, -, _, / and =, or give it properties")
	case cfg.Properties == nil && strings.HasPrefix(name, "SECRET"):
		c.invalid(at, name, "names that begin with SECRET are references to secrets; list it under secrets")
	}
	if cfg.Properties == nil {
		c.foreign = append(c.foreign, foreignConfig{path, cfg.Name})
		return
	}
	switch before, twice := c.configs[name]; {
	case twice && onLink && before.onLink:
		c.duplicate(at, cfg.Name, "Duplicate link config name found: '%s'; give each its own name", cfg.Name)
	case twice && !maps.Equal(before.values, cfg.Properties):
		c.invalid(at, cfg.Name, "another configuration becomes %s in the lattice too, with other values; give each its own name", name)
	default:
		c.configs[name] = givenConfig{name: cfg.Name, values: cfg.Properties, onLink: onLink}
	}
}

// foreignConfigs warns of configurations without properties that share a name with one of the application's own. The two
// are not the same: the own one becomes `<application>-<name>` in the lattice.
func (c *check) foreignConfigs() {
	for _, f := range c.foreign {
		own, there := c.configs[DerivedID(c.app.Name, f.name)]
		if there && own.name == f.name {
			c.warn(f.path.Child("properties"), "configuration %q without properties is one that somebody else puts into the lattice, "+
				"not the one of the same name in this application; repeat the properties to use that one", f.name)
		}
	}
}

// scalers checks the traits that say how many run where, and names the traits that nothing here understands.
func (c *check) scalers(path *field.Path, comp *v1beta1.Component) {
	found := 0
	for i, t := range comp.Traits {
		at := path.Index(i)
		switch t.Type {
		case TraitLink:
		case TraitSpread, TraitDaemon:
			if found++; found > 1 {
				c.errs = append(c.errs, field.Forbidden(at, "a component has one scaler; list several spreads in it instead"))
			}
			if comp.Properties.Application != nil {
				c.errs = append(c.errs, field.Forbidden(at, fmt.Sprintf(
					"Shared component '%s' cannot include a scaler trait; the application that runs it decides that", comp.Properties.Application.Name)))
			}
			c.scaler(at, t)
		case "":
			c.errs = append(c.errs, field.Required(at.Child("type"), "use spreadscaler, daemonscaler or link"))
		default:
			c.warn(at.Child("type"), "trait %q is not known and has no effect; known are spreadscaler, daemonscaler and link", t.Type)
			c.foreignTrait(at.Child("properties"), t)
		}
	}
	if found == 0 && kindOf(comp.Type) == KindComponent && comp.Properties.Application == nil {
		c.warn(path, "component %q has no scaler and will not be started; add a trait spreadscaler or daemonscaler", comp.Name)
	}
}

func (c *check) scaler(path *field.Path, t v1beta1.Trait) {
	at := path.Child("properties")
	v, err := properties(t)
	if err != nil {
		c.unreadable(at, err, "say how many: instances: 1")
		return
	}
	read, err := readScaler(v)
	if err != nil {
		c.misfit(at, v, err, "a scaler has instances (a whole number) and spread (a list of name, requirements, weight)")
		return
	}
	if len(read.Spread) > MaxSpreads {
		c.errs = append(c.errs, field.TooMany(at.Child("spread"), len(read.Spread), MaxSpreads))
		return
	}
	_, err = read.shares()
	if t.Type == TraitDaemon {
		_, err = read.everywhere()
	}
	if err != nil {
		c.invalid(at, rawJSON(v), "%v", err)
	}
	c.spreads(at.Child("spread"), read.Spread)
}

// unreadable reports properties that are missing, too deep, or say something twice.
func (c *check) unreadable(path *field.Path, err error, next string) {
	if errors.Is(err, errNoProperties) {
		c.errs = append(c.errs, field.Required(path, next))
		return
	}
	c.invalid(path, field.OmitValueType{}, "%v; at most %d levels and %d values are read, each member once", err, MaxDepth, MaxNodes)
}

// foreignTrait checks a trait of somebody else, which is kept as it is: only its size, and what wadm checks of all that
// looks like a link.
func (c *check) foreignTrait(path *field.Path, t v1beta1.Trait) {
	if _, err := properties(t); errors.Is(err, errTooComplex) {
		c.unreadable(path, err, "")
	}
}

func (c *check) spreads(path *field.Path, spreads []spreadTrait) {
	for i, sp := range spreads {
		if slices.ContainsFunc(spreads[:i], func(o spreadTrait) bool { return o.Name == sp.Name }) {
			c.duplicate(path.Index(i).Child("name"), sp.Name, "a spread of this name is listed before; rename one")
		}
		for _, other := range spreads[:i] {
			if overlap(sp.Requirements, other.Requirements) {
				c.warn(path.Index(i), "spreads %q and %q may choose the same host; its instances then count for both together", other.Name, sp.Name)
				break
			}
		}
	}
}

// overlap says whether one host could match both requirements.
func overlap(a, b map[string]string) bool {
	for key, value := range a {
		if other, ok := b[key]; ok && other != value {
			return false
		}
	}
	return true
}
