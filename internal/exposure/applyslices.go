package exposure

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// applySlices makes the slices of a Service and removes those that are no longer wanted, the one of wasmCloud's
// operator included. New ones come first, so that no endpoint is away in between.
func (r *Reconciler) applySlices(ctx context.Context, app *Application, service types.UID, ports []served) error {
	keep := map[string]bool{}
	for _, slice := range buildSlices(app, service, ports) {
		keep[slice.Name] = true
		err := r.applier(v1alpha1.FieldManager).Apply(ctx, slice, func(live client.Object) bool { return live.GetLabels()[discoveryv1.LabelManagedBy] == SliceManager })
		if err != nil {
			return err
		}
	}
	live, err := r.slices(ctx, app)
	if err != nil {
		return err
	}
	for i := range live {
		slice := &live[i]
		if keep[slice.Name] || !ourSlice(slice) {
			continue
		}
		if err := r.options.Client.Delete(ctx, slice); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("removing endpoint slice %s: %w", slice.Name, err)
		}
	}
	return nil
}

// ourSlice recognises slices of Trellis and those of wasmCloud's operator, which named no manager.
func ourSlice(slice *discoveryv1.EndpointSlice) bool {
	labels := slice.Labels
	if labels[discoveryv1.LabelManagedBy] == SliceManager {
		return true
	}
	_, managed := labels[discoveryv1.LabelManagedBy]
	return !managed && managedByUs(labels)
}

func managedByUs(labels map[string]string) bool {
	by := labels[v1alpha1.ManagedByLabel]
	return by == v1alpha1.ManagedBy || by == v1alpha1.ManagedByOld
}

// owned says whether a Service of the application's name may be changed: one that carries our labels for an application
// of this name (an earlier one of that name included, so that the address stays when wash deletes and puts), or one that
// wasmCloud's operator made.
func owned(live client.Object, app *Application) bool {
	labels := live.GetLabels()
	if !managedByUs(labels) {
		return false
	}
	if name, ours := live.GetAnnotations()[ApplicationLabel]; ours {
		return name == app.Name && labels[ApplicationUIDLabel] != ""
	}
	return labels[v1alpha1.AppNameLabel] == app.Name && madeByWasmCloud(live)
}

// madeByWasmCloud recognises the form of a Service of wasmCloud's operator: no selector, and its finalizer or its field manager.
func madeByWasmCloud(live client.Object) bool {
	service, ok := live.(*corev1.Service)
	if !ok || len(service.Spec.Selector) > 0 {
		return false
	}
	for _, f := range service.Finalizers {
		if f == v1alpha1.ServiceFieldManager {
			return true
		}
	}
	for _, m := range service.ManagedFields {
		if m.Manager == v1alpha1.ServiceFieldManager {
			return true
		}
	}
	return false
}
