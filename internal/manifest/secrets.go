package manifest

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
)

// SecretReference is a secret that a manifest names, and who asks for it.
type SecretReference struct {
	// Path of the reference in the manifest, and of its policy.
	Path, PolicyPath *field.Path
	// Name by which the workload asks.
	Name string
	// Receivers are the names of the components and providers that may ask for it. Those of a link, of either end, are
	// asked for by the providers at its ends that the application runs itself: for others hosts ask in the name of the
	// application that runs them.
	Receivers []string
	// Backend that is asked.
	Backend string
	// Key, Field and Version are what is asked for; Field and Version may be empty.
	Key, Field, Version string
	// Properties of the policy as the backend gets them: without the name of the backend.
	Properties map[string]string
}

// SecretReferences lists the secrets that a spec names, also those of parts that can't run as they stand. What has no
// usable policy is left out: nothing is ever asked for it.
func SecretReferences(spec *v1beta1.ApplicationSpec) []SecretReference {
	r := references{spec: spec}
	components := field.NewPath("spec", "components")
	for i := range spec.Components {
		c := &spec.Components[i]
		path := components.Index(i)
		r.add(path.Child("properties", "secrets"), []string{c.Name}, c.Properties.Secrets)
		for k, t := range c.Traits {
			if t.Type == TraitLink {
				r.link(path.Child("traits").Index(k).Child("properties"), c.Name, t)
			}
		}
	}
	return r.list
}

type references struct {
	spec *v1beta1.ApplicationSpec
	list []SecretReference
}

func (r *references) link(path *field.Path, source string, t v1beta1.Trait) {
	v, err := properties(t)
	if err != nil {
		return
	}
	l, err := readLink(v)
	if err != nil {
		return
	}
	providers := slices.DeleteFunc([]string{source, l.Target}, func(name string) bool { return !r.isProvider(name) })
	r.add(path.Child("source", "secrets"), providers, l.Source.Secrets)
	r.add(path.Child("target", "secrets"), providers, l.TargetConfig.Secrets)
}

func (r *references) isProvider(name string) bool {
	return slices.ContainsFunc(r.spec.Components, func(c v1beta1.Component) bool {
		return c.Name == name && kindOf(c.Type) == KindProvider && c.Properties.Application == nil
	})
}

func (r *references) add(path *field.Path, receivers []string, secrets []v1beta1.SecretProperty) {
	for i, s := range secrets {
		p, at, err := secretPolicy(r.spec.Policies, s)
		if err != nil {
			continue
		}
		r.list = append(r.list, SecretReference{
			Path: path.Index(i), PolicyPath: field.NewPath("spec", "policies").Index(at), Name: s.Name, Receivers: receivers,
			Backend: p.Properties[policy.BackendProperty], Key: s.Properties.Key, Field: s.Properties.Field,
			Version: s.Properties.Version, Properties: backendProperties(p),
		})
	}
}

// backendProperties are what the backend gets of a policy.
func backendProperties(p v1beta1.Policy) map[string]string {
	rest := maps.Clone(p.Properties)
	delete(rest, policy.BackendProperty)
	return rest
}

// Source is what the policy says to Trellis's own backend, for an application in a namespace.
func (r SecretReference) Source(namespace string) (policy.SecretSource, []policy.SecretProblem) {
	return policy.ReadSecret(namespace, r.Properties)
}
