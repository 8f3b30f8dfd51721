package exposure

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/internal/policy"
)

// ungranted says which namespace grants a route no use of its Services; empty if all do, or none is needed. It is said
// before any Gateway does: some take such a route and answer requests with an error.
func (r *Reconciler) ungranted(ctx context.Context, namespace string, w policy.Route) (string, error) {
	for _, rule := range w.Rules {
		for _, ref := range rule.BackendRefs {
			if ref.Namespace == "" || ref.Namespace == namespace {
				continue
			}
			granted, err := r.granted(ctx, namespace, w.Kind, ref)
			if err != nil {
				return "", err
			}
			if !granted {
				return fmt.Sprintf("namespace %s has no ReferenceGrant that lets objects of kind %s in namespace %s use %s %s; make one there, or use a backend of this namespace",
					ref.Namespace, w.Kind, namespace, kindOf(ref), ref.Name), nil
			}
		}
	}
	return "", nil
}

func kindOf(ref policy.BackendRef) string {
	if ref.Kind == "" {
		return "Service"
	}
	return ref.Kind
}

// grant is the spec of a ReferenceGrant.
type grant struct {
	From []struct {
		Group     string `json:"group"`
		Kind      string `json:"kind"`
		Namespace string `json:"namespace"`
	} `json:"from"`
	To []struct {
		Group string `json:"group"`
		Kind  string `json:"kind"`
		Name  string `json:"name"`
	} `json:"to"`
}

func (r *Reconciler) granted(ctx context.Context, namespace, kind string, ref policy.BackendRef) (bool, error) {
	version, served, err := r.routes.kinds.served("ReferenceGrant")
	if err != nil || !served {
		return false, err
	}
	var list unstructured.UnstructuredList
	list.SetGroupVersionKind(version.GroupVersion().WithKind("ReferenceGrantList"))
	if err := r.options.Live.List(ctx, &list, client.InNamespace(ref.Namespace)); err != nil {
		return false, fmt.Errorf("listing the ReferenceGrants of namespace %s: %w", ref.Namespace, err)
	}
	for _, item := range list.Items {
		var g grant
		if err := readPart(&item, "spec", &g); err != nil {
			continue // what can't be read grants nothing
		}
		if g.lets(namespace, kind, ref) {
			return true, nil
		}
	}
	return false, nil
}

func (g grant) lets(namespace, kind string, ref policy.BackendRef) bool {
	from, to := false, false
	for _, f := range g.From {
		from = from || f.Group == gatewayGroup && f.Kind == kind && f.Namespace == namespace
	}
	for _, t := range g.To {
		to = to || t.Group == ref.Group && t.Kind == kindOf(ref) && (t.Name == "" || t.Name == ref.Name)
	}
	return from && to
}
