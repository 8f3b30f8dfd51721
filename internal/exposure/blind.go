package exposure

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// refresh keeps the endpoints of a lattice that can't be observed true to their pods: none is added, but a pod that is
// gone or not ready must not get traffic only because NATS is away.
func (r *Reconciler) refresh(ctx context.Context, app *Application) error {
	service, err := r.service(ctx, app)
	if err != nil || service == nil || !owned(service, app) {
		return err
	}
	slices, err := r.slices(ctx, app)
	if err != nil {
		return err
	}
	key := keyOf(app)
	if _, known := r.index.listeners(key); !known {
		r.index.set(key, listenersIn(slices)) // so that events of these pods lead here
	}
	var ports []served
	for _, p := range service.Spec.Ports {
		at := served{name: p.Name, number: uint16(p.Port)}
		for _, ref := range targets(slices, p.Port) {
			pod, err := r.podByName(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, ref.UID)
			if err != nil {
				return err
			}
			if pod != nil {
				at.pods = append(at.pods, servingPod{pod: pod})
			}
		}
		at.pods = sortPods(at.pods)
		ports = append(ports, at)
	}
	return r.applySlices(ctx, app, service.UID, ports)
}

// slices returns the slices of the application's Service, whoever made them.
func (r *Reconciler) slices(ctx context.Context, app *Application) ([]discoveryv1.EndpointSlice, error) {
	var list discoveryv1.EndpointSliceList
	err := r.options.Client.List(ctx, &list, client.InNamespace(app.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: serviceName(app.Name)})
	if err != nil {
		return nil, fmt.Errorf("listing endpoint slices: %w", err)
	}
	return list.Items, nil
}

// listenersIn returns the pods and ports of slices, without hosts.
func listenersIn(slices []discoveryv1.EndpointSlice) map[listener]bool {
	out := map[listener]bool{}
	for _, slice := range slices {
		for _, e := range slice.Endpoints {
			for _, p := range slice.Ports {
				if e.TargetRef != nil && p.Port != nil {
					out[listener{pod: string(e.TargetRef.UID), number: uint16(*p.Port)}] = true
				}
			}
		}
	}
	return out
}

// targets returns the pods behind a port.
func targets(slices []discoveryv1.EndpointSlice, port int32) []corev1.ObjectReference {
	var out []corev1.ObjectReference
	for _, slice := range slices {
		if len(slice.Ports) != 1 || slice.Ports[0].Port == nil || *slice.Ports[0].Port != port {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.TargetRef != nil {
				out = append(out, *e.TargetRef)
			}
		}
	}
	return out
}
