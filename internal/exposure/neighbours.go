package exposure

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trellis-operator/trellis/internal/policy"
)

// neighbours returns the first port of the Service of each application that routes name without a port, and has events of
// those Services look at this application again. One whose Service is not there is missing.
func (r *Reconciler) neighbours(ctx context.Context, app *Application, wanted []policy.Route) (map[string]int32, error) {
	ports := map[string]int32{}
	var named []types.NamespacedName
	for _, name := range namedBy(wanted) {
		named = append(named, types.NamespacedName{Namespace: app.Namespace, Name: name})
		var service corev1.Service
		err := r.options.Client.Get(ctx, types.NamespacedName{Namespace: app.Namespace, Name: serviceName(name)}, &service)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading the Service of application %s: %w", name, err)
		}
		if err == nil && len(service.Spec.Ports) > 0 {
			ports[name] = service.Spec.Ports[0].Port
		}
	}
	r.index.refer(keyOf(app), named)
	return ports, nil
}

// namedBy are the applications that routes name without a port.
func namedBy(routes []policy.Route) (names []string) {
	for _, route := range routes {
		for _, rule := range route.Rules {
			for _, ref := range rule.BackendRefs {
				if ref.Application != "" && ref.Port == 0 {
					names = append(names, ref.Application)
				}
			}
		}
	}
	return names
}

// concernedBy finds the applications that an event of a Service concerns: its own, and those whose routes name that one.
func (r *Reconciler) concernedBy(ctx context.Context, service client.Object) []reconcile.Request {
	requests := applicationOf(ctx, service)
	for _, own := range requests {
		for _, key := range r.index.referrers(own.NamespacedName) {
			requests = append(requests, reconcile.Request{NamespacedName: key})
		}
	}
	return requests
}
