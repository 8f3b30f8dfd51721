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
		at, refs := targets(slices, p)
		for _, ref := range refs {
			pod, err := r.podByName(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, ref.UID)
			if err != nil {
				return err
			}
			if pod != nil {
				at.by = append(at.by, server{pod: pod, zone: r.zone(ctx, pod)})
			}
		}
		at.by = sortServers(at.by)
		ports = append(ports, at)
	}
	return r.applySlices(ctx, app, service.UID, ports)
}

// slices returns the slices of the application's Service, whoever made them.
func (r *Reconciler) slices(ctx context.Context, app *Application) ([]discoveryv1.EndpointSlice, error) {
	var list discoveryv1.EndpointSliceList
	options := []client.ListOption{client.InNamespace(app.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: serviceName(app.Name)}}
	if r.indexed {
		options = append(options, client.MatchingFields{serviceOfSlice: serviceName(app.Name)})
	}
	if err := r.options.Client.List(ctx, &list, options...); err != nil {
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
					udp := p.Protocol != nil && *p.Protocol == corev1.ProtocolUDP
					out[listener{pod: string(e.TargetRef.UID), number: uint16(*p.Port), udp: udp}] = true
				}
			}
		}
	}
	return out
}

// targets returns the port of the slices that belongs to one of a Service, and what is behind it. Hosts outside of the
// cluster stay as they are: nothing here knows better.
func targets(slices []discoveryv1.EndpointSlice, p corev1.ServicePort) (at served, refs []corev1.ObjectReference) {
	at = served{name: p.Name, number: uint16(p.Port), front: uint16(p.Port), protocol: p.Protocol}
	for _, slice := range slices {
		if len(slice.Ports) != 1 || slice.Ports[0].Port == nil || slice.Ports[0].Name == nil || *slice.Ports[0].Name != p.Name || !ourSlice(&slice) {
			continue
		}
		at.number = uint16(*slice.Ports[0].Port)
		if slice.Ports[0].AppProtocol != nil {
			at.appProtocol = *slice.Ports[0].AppProtocol
		}
		for _, e := range slice.Endpoints {
			if e.TargetRef != nil {
				refs = append(refs, *e.TargetRef)
			} else if len(e.Addresses) == 1 {
				at.by = append(at.by, server{address: e.Addresses[0]})
			}
		}
	}
	return at, refs
}
