package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
)

// Parse makes the model of an application with this name and spec. It never fails: what cannot be read is listed in
// Problems, so that a stored manifest that newer rules would refuse still runs as far as it can.
func Parse(name string, spec *v1beta1.ApplicationSpec) *Model {
	p := parser{model: &Model{Name: name}, spec: spec, configs: map[string]int{}, external: map[string]bool{}}
	for i := range spec.Components {
		p.component(&spec.Components[i])
	}
	for i := range spec.Components {
		p.links(&spec.Components[i], &p.model.Components[i])
	}
	p.model.External = sortedKeys(p.external)
	slices.SortStableFunc(p.model.Configs, func(a, b Config) int {
		return boolToInt(a.Secret) - boolToInt(b.Secret)
	})
	return p.model
}

type parser struct {
	model    *Model
	spec     *v1beta1.ApplicationSpec
	configs  map[string]int
	external map[string]bool
}

func (p *parser) problem(component, format string, args ...any) {
	p.model.Problems = append(p.model.Problems, Problem{Component: component, Text: fmt.Sprintf(format, args...)})
}

func (p *parser) component(c *v1beta1.Component) {
	out := Component{Name: c.Name, ID: ComponentID(p.model.Name, *c), Kind: kindOf(c.Type), Image: c.Properties.Image}
	shared := c.Properties.Application
	switch {
	case shared != nil && out.Image != "":
		p.problem(c.Name, "Application specified both an image and a shared application reference")
		out.Image = ""
	case shared != nil:
		out.Shared = &Reference{Application: shared.Name, Component: shared.Component}
	case out.Image == "":
		p.problem(c.Name, "Application did not specify an image or shared application reference")
	case out.Kind == "":
		p.problem(c.Name, "type %q is not known; use component or capability", c.Type)
	case p.taken(out.ID) != "":
		p.problem(c.Name, "component %s has the same id %s; only that one runs", p.taken(out.ID), out.ID)
	default:
		out.Config = p.endConfig(c.Name, endConfig{Config: c.Properties.Config, Secrets: c.Properties.Secrets})
		out.Scaler = p.scaler(c, &out)
	}
	p.model.Components = append(p.model.Components, out)
}

// taken is the name of a component before that runs under an id.
func (p *parser) taken(id string) string {
	for _, c := range p.model.Components {
		if c.ID == id && c.Shared == nil {
			return c.Name
		}
	}
	return ""
}

func kindOf(componentType string) Kind {
	switch componentType {
	case TypeComponent, TypeActor:
		return KindComponent
	case TypeCapability:
		return KindProvider
	}
	return ""
}

// scaler reads the first scaler trait; a provider without one runs once, a component without one does not run.
func (p *parser) scaler(c *v1beta1.Component, out *Component) *Scaler {
	for _, t := range c.Traits {
		if t.Type != TraitSpread && t.Type != TraitDaemon {
			continue
		}
		v, err := properties(t)
		var read scalerTrait
		if err == nil {
			read, err = readScaler(v)
		}
		if err != nil {
			p.problem(c.Name, "trait %s is not usable: %v", t.Type, err)
			continue
		}
		s, err := p.newScaler(c, out, read, t.Type == TraitDaemon)
		if err != nil {
			p.problem(c.Name, "trait %s is not usable: %v", t.Type, err)
			return nil
		}
		return s
	}
	if out.Kind == KindComponent {
		return nil
	}
	s, _ := p.newScaler(c, out, scalerTrait{Instances: 1}, false)
	return s
}

func (p *parser) newScaler(c *v1beta1.Component, out *Component, t scalerTrait, daemon bool) (*Scaler, error) {
	spreads, err := t.shares()
	if daemon {
		spreads, err = t.everywhere()
	}
	if err != nil {
		return nil, err
	}
	if out.Kind == KindProvider && daemon {
		// A provider runs once on a host or not at all.
		for i := range spreads {
			spreads[i].Instances = min(spreads[i].Instances, 1)
		}
	}
	return &Scaler{
		ID:     ScalerID(daemon, p.model.Name, c.Name, out.ID, out.Image, out.Config),
		Daemon: daemon, Instances: uint32(t.Instances), Spreads: spreads,
	}, nil
}

// ScalerID is wadm's id of a spread or daemon scaler: what runs for it carries the id as an annotation.
func ScalerID(daemon bool, application, component, id, image string, config []string) string {
	kind := "SpreadScaler"
	if daemon {
		kind = "DaemonScaler"
	}
	return scalerID([]string{kind, application, component, id, image}, config)
}

// endConfig records the configurations of a component or of an end of a link and returns their names in the lattice.
func (p *parser) endConfig(component string, e endConfig) []string {
	var names []string
	for _, c := range e.Config {
		name := ConfigName(p.model.Name, c)
		names = append(names, name)
		if c.Properties == nil {
			p.external[name] = true
			continue
		}
		p.addConfig(component, Config{Name: name, Values: maps.Clone(c.Properties)})
	}
	for _, s := range e.Secrets {
		c, err := p.secret(s)
		if err != nil {
			p.problem(component, "%v", err)
			continue
		}
		names = append(names, c.Name)
		p.addConfig(component, c)
	}
	return names
}

// addConfig keeps the first of two that share a name: a configuration that flips between two contents would never settle.
func (p *parser) addConfig(component string, c Config) {
	if i, ok := p.configs[c.Name]; ok {
		if !maps.Equal(p.model.Configs[i].Values, c.Values) {
			p.problem(component, "configuration %s is given twice with different values; the first counts", c.Name)
		}
		return
	}
	p.configs[c.Name] = len(p.model.Configs)
	p.model.Configs = append(p.model.Configs, c)
}

// secret makes the stored form of a secret reference.
func (p *parser) secret(s v1beta1.SecretProperty) (Config, error) {
	found, _, err := secretPolicy(p.spec.Policies, s)
	if err != nil {
		return Config{}, err
	}
	body, err := json.Marshal(struct {
		Type       string            `json:"type"`
		Properties map[string]string `json:"properties"`
	}{secretPolicyBody, backendProperties(found)})
	if err != nil {
		return Config{}, fmt.Errorf("encode the policy of secret %s: %w", s.Name, err)
	}
	values := map[string]string{
		"name": s.Name, "type": secretType, "backend": found.Properties[policy.BackendProperty],
		"key": s.Properties.Key, "policy": string(body),
	}
	if s.Properties.Field != "" {
		values["field"] = s.Properties.Field
	}
	if s.Properties.Version != "" {
		values["version"] = s.Properties.Version
	}
	return Config{Name: SecretConfigName(p.model.Name, s.Name), Values: values, Secret: true}, nil
}

// secretPolicy finds the policy of a secret, and its place in the list; of several with one name the last counts. Errors are
// wadm's texts.
func secretPolicy(policies []v1beta1.Policy, s v1beta1.SecretProperty) (v1beta1.Policy, int, error) {
	want := s.Properties.Policy
	for i := len(policies) - 1; i >= 0; i-- {
		p := policies[i]
		if p.Name != want {
			continue
		}
		if p.Type != SecretPolicyType {
			return p, i, fmt.Errorf("secret '%s' is mapped to policy '%s' which is not a secret policy. Expected type '%s'",
				s.Name, want, SecretPolicyType)
		}
		if _, ok := p.Properties[policy.BackendProperty]; !ok {
			return p, i, fmt.Errorf("secret '%s' is mapped to policy '%s' which does not include a 'backend' property", s.Name, want)
		}
		return p, i, nil
	}
	return v1beta1.Policy{}, 0, fmt.Errorf("secret '%s' is mapped to unknown policy '%s'", s.Name, want)
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
