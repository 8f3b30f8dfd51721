package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// capability is the type of providers in a manifest.
const capability = "capability"

// Read returns what the expose policies of an application say, or nil if it has none. Settings are to be used only if
// there are no problems.
func Read(application string, spec *v1beta1.ApplicationSpec) (*Settings, []Problem) {
	r := &reader{application: application, spec: spec, setBy: map[string]string{}, routes: map[string]bool{}}
	for i, p := range spec.Policies {
		if p.Type == ExposeType && !redefined(spec.Policies[i+1:], p.Name) {
			r.policy(i, p)
		}
	}
	if r.settings != nil && len(r.problems) == 0 {
		r.distinct()
	}
	return r.settings, r.problems
}

// redefined: of several policies with one name the last counts, as for secrets.
func redefined(rest []v1beta1.Policy, name string) bool {
	return slices.ContainsFunc(rest, func(p v1beta1.Policy) bool { return p.Name == name })
}

type reader struct {
	application string
	spec        *v1beta1.ApplicationSpec
	settings    *Settings
	problems    []Problem
	// setBy is the policy that set a property of the Service, with its value.
	setBy map[string]string
	// routes are the kinds and names of the routes before.
	routes map[string]bool

	index    int
	current  v1beta1.Policy
	property string
}

// setters read the properties that are there, in a fixed order, so that errors are too.
func (r *reader) setters() map[string]func(string) {
	return map[string]func(string){
		"component": func(string) {}, "ports": r.ports, "routes": r.routesText, "ingress": r.ingress,
		"type": r.serviceType, "annotations": r.annotations, "labels": r.labels, "headless": r.headless,
		"sessionAffinity": r.sessionAffinity, "sessionAffinityTimeoutSeconds": r.sessionTimeout,
		"externalTrafficPolicy": r.externalTraffic, "internalTrafficPolicy": r.internalTraffic,
		"loadBalancerClass": r.loadBalancerClass, "hostAddressLabel": r.hostAddressLabel,
	}
}

func (r *reader) policy(index int, p v1beta1.Policy) {
	r.index, r.current = index, p
	if r.settings == nil {
		r.settings = &Settings{Declared: map[string]bool{}}
	}
	setters := r.setters()
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		r.property = name
		if set, known := setters[name]; known {
			set(p.Properties[name])
			continue
		}
		r.problem("", "this is no setting of the policy; it has %s", strings.Join(slices.Sorted(maps.Keys(setters)), ", "))
	}
	r.property = "component"
	if _, listed := p.Properties["ports"]; !listed {
		r.component() // which must exist, whatever it is for
	}
}

func (r *reader) problem(field, format string, args ...any) {
	r.problems = append(r.problems, Problem{Application: r.application, Index: r.index, Policy: r.current.Name,
		Property: r.property, Field: field, Text: fmt.Sprintf(format, args...)})
}

// component returns the name of the provider that the policy is about, or nothing and a problem.
func (r *reader) component() string {
	var providers []string
	for _, c := range r.spec.Components {
		if c.Type == capability {
			providers = append(providers, c.Name)
		}
	}
	name, given := r.current.Properties["component"]
	property := r.property
	r.property = "component"
	defer func() { r.property = property }()
	switch {
	case given && slices.Contains(providers, name):
		return name
	case given:
		r.problem("", "%q is no capability provider of the application; name one of %s", name, oneOf(providers))
	case r.current.Properties["ports"] == "":
		// All HTTP servers are meant.
	case len(providers) == 1:
		return providers[0]
	default:
		r.problem("", "ports belong to a capability provider; name one of %s", oneOf(providers))
	}
	return ""
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "them (the application has none: add a component of type capability)"
	}
	return strings.Join(names, ", ")
}

// once says whether a property of the Service may be set: two policies must agree.
func (r *reader) once(value string) bool {
	if before, set := r.setBy[r.property]; set && before != value {
		r.problem("", "another policy of the application sets %q; the application has one Service: set it in one policy", before)
		return false
	}
	r.setBy[r.property] = value
	return true
}

// word reads a property that is one of a few words.
func (r *reader) word(value string, words ...string) bool {
	if !slices.Contains(words, value) {
		r.problem("", "%q is unknown; use %s", shorten(value), strings.Join(words, ", "))
		return false
	}
	return r.once(value)
}

func shorten(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
