package exposure

import (
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/trellis-operator/trellis/internal/policy"
)

func routeName(app *Application, w policy.Route) string {
	if w.Name == "" {
		return serviceName(app.Name)
	}
	return serviceName(app.Name) + "-" + w.Name
}

// buildRoute returns the route of a policy. What the policy leaves open about backends is the application's own Service;
// near are the ports of other applications' Services.
func buildRoute(app *Application, service *corev1.Service, ports []served, near map[string]int32, w policy.Route) (*unstructured.Unstructured, error) {
	spec := policy.Route{ParentRefs: w.ParentRefs, Hostnames: w.Hostnames, Rules: resolve(app, ports, near, w.Rules)}
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encoding the route %s: %w", routeName(app, w), err)
	}
	// Whole numbers stay whole numbers, as in what the API server answers.
	route := &unstructured.Unstructured{}
	if err := route.UnmarshalJSON([]byte(`{"kind":"` + w.Kind + `","apiVersion":"v1","spec":` + string(raw) + `}`)); err != nil {
		return nil, fmt.Errorf("encoding the route %s: %w", routeName(app, w), err)
	}
	unstructured.RemoveNestedField(route.Object, "spec", "kind") // that of the policy, which is no field of the spec
	route.SetName(routeName(app, w))
	route.SetNamespace(app.Namespace)
	route.SetLabels(labelsOf(app))
	annotations := map[string]string{ApplicationLabel: app.Name}
	maps.Copy(annotations, w.Annotations)
	route.SetAnnotations(annotations)
	route.SetOwnerReferences([]metav1.OwnerReference{ownerOf(service)})
	return route, nil
}

// resolve fills in the backends of rules.
func resolve(app *Application, ports []served, near map[string]int32, rules []policy.Rule) []policy.Rule {
	if len(rules) == 0 {
		rules = []policy.Rule{{}}
	}
	out := make([]policy.Rule, 0, len(rules))
	for _, rule := range rules {
		if len(rule.BackendRefs) == 0 && !redirects(rule) {
			rule.BackendRefs = []policy.BackendRef{{}}
		}
		refs := make([]policy.BackendRef, 0, len(rule.BackendRefs))
		for _, ref := range rule.BackendRefs {
			refs = append(refs, backend(app, ports, near, ref))
		}
		rule.BackendRefs = refs
		out = append(out, rule)
	}
	return out
}

func ownerOf(service *corev1.Service) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Service", Name: service.Name, UID: service.UID, Controller: new(true)}
}

// redirects says whether a rule answers by itself: the Gateway API wants no backend then.
func redirects(rule policy.Rule) bool {
	for _, f := range rule.Filters {
		if f["type"] == "RequestRedirect" {
			return true
		}
	}
	return false
}

// backend resolves what the policy leaves open.
func backend(app *Application, ports []served, near map[string]int32, ref policy.BackendRef) policy.BackendRef {
	switch {
	case ref.Application != "":
		if ref.Port == 0 {
			ref.Port = near[ref.Application]
		}
		ref.Name, ref.Application = serviceName(ref.Application), ""
	case ref.Name == "":
		ref.Name = serviceName(app.Name)
	default:
		return ref
	}
	if ref.Port == 0 {
		ref.Port = int32(ports[0].front)
	}
	return ref
}
