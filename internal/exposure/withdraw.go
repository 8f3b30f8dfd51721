package exposure

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// madeFor returns the Service that Trellis made for an application of that name, or nil.
func (r *Reconciler) madeFor(ctx context.Context, key types.NamespacedName) (*corev1.Service, error) {
	var service corev1.Service
	err := r.options.Client.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: serviceName(key.Name)}, &service)
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if service.Annotations[ApplicationLabel] != key.Name || service.Labels[ApplicationUIDLabel] == "" || !managedByUs(service.Labels) {
		return nil, nil
	}
	return &service, nil
}

// withdraw removes the Service that Trellis made for an application of that name. Its slices and routes go with it.
func (r *Reconciler) withdraw(ctx context.Context, key types.NamespacedName) error {
	service, err := r.madeFor(ctx, key)
	if err != nil || service == nil {
		return err
	}
	return r.remove(ctx, service)
}

// remove deletes a Service.
func (r *Reconciler) remove(ctx context.Context, service *corev1.Service) error {
	if err := Release(ctx, r.options.Client, service); err != nil || service.DeletionTimestamp != nil {
		return err
	}
	if err := r.options.Client.Delete(ctx, service, client.Preconditions{UID: &service.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing Service %s: %w", service.Name, err)
	}
	return nil
}

// letGo releases the Service of an application of which nothing is known now, if it is being deleted: a namespace that
// ends must not wait until NATS answers. Should the application live, the Service is made anew.
func (r *Reconciler) letGo(ctx context.Context, key types.NamespacedName) error {
	service, err := r.madeFor(ctx, key)
	if err != nil || service == nil || service.DeletionTimestamp == nil {
		return err
	}
	return Release(ctx, r.options.Client, service)
}

// renew gets out of the way a Service that somebody deletes, or that must be made anew because Kubernetes changes no
// Service between headless and not. What users set on it is reported first; its end leads here again.
func (r *Reconciler) renew(ctx context.Context, app *Application, service *corev1.Service, now outcome) (gone bool, err error) {
	headless := app.Policy != nil && app.Policy.Service.Headless
	address := service.Spec.ClusterIP
	turned := len(app.Problems) == 0 && address != "" && headless != (address == corev1.ClusterIPNone)
	if service.DeletionTimestamp == nil && !turned {
		return false, nil
	}
	if err := r.report(ctx, app, now); err != nil {
		return true, err
	}
	return true, r.remove(ctx, service)
}

// Release removes the finalizer from a Service.
func Release(ctx context.Context, c client.Client, service *corev1.Service) error {
	base := service.DeepCopy()
	if !controllerutil.RemoveFinalizer(service, v1alpha1.ServiceFieldManager) {
		return nil
	}
	// A patch replaces the whole list: one that somebody adds at this moment must not be lost.
	err := c.Patch(ctx, service, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer of Service %s/%s: %w", service.Namespace, service.Name, err)
	}
	return nil
}

// ReleaseAll removes the finalizer from every Service of the cluster that Trellis or wasmCloud's operator made, and says
// from how many. The Services stay: what they lead to goes on running.
func ReleaseAll(ctx context.Context, c client.Client) (int, error) {
	released := 0
	for _, by := range []string{v1alpha1.ManagedBy, v1alpha1.ManagedByOld} {
		var list corev1.ServiceList
		if err := c.List(ctx, &list, client.InNamespace(metav1.NamespaceAll), client.MatchingLabels{v1alpha1.ManagedByLabel: by}); err != nil {
			return released, fmt.Errorf("listing Services: %w", err)
		}
		for i := range list.Items {
			service := &list.Items[i]
			if !controllerutil.ContainsFinalizer(service, v1alpha1.ServiceFieldManager) {
				continue
			}
			if err := Release(ctx, c, service); err != nil {
				return released, err
			}
			released++
		}
	}
	return released, nil
}

// without is the outcome while no port is reachable. A link that is being replaced is away for a moment: the Service
// stays, without endpoints.
func (r *Reconciler) without(ctx context.Context, app *Application, existing *corev1.Service, out outcome, loopback bool) (outcome, error) {
	r.index.set(keyOf(app), nil)
	r.tell(r.sockets.claim(keyOf(app), nil, nil))
	if existing != nil && owned(existing, app) {
		if err := r.applySlices(ctx, app, existing.UID, nil); err != nil {
			return out, err
		}
	}
	if loopback {
		out.endpoint = ""
		out.condition = failed(app, ReasonLoopback, "The HTTP server listens on a loopback address: set address to 0.0.0.0:PORT in the source config of the link.")
		return out, nil
	}
	out.condition = failed(app, ReasonPending, "No port is known yet: no link of an HTTP server is in the lattice, and no policy lists the ports of another provider.")
	return out, nil
}
