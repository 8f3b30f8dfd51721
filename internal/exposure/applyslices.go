package exposure

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/apply"
)

// applySlices makes the slices of a Service and removes those that are no longer wanted, the one of wasmCloud's
// operator included. New ones come first, so that no endpoint is away in between.
func (r *Reconciler) applySlices(ctx context.Context, app *Application, service types.UID, ports []served) error {
	live, err := r.slices(ctx, app)
	if err != nil {
		return err
	}
	found := map[string]*discoveryv1.EndpointSlice{}
	for i := range live {
		found[live[i].Name] = &live[i]
	}
	for _, slice := range buildSlices(app, service, ports) {
		if err := r.applySlice(ctx, slice, found[slice.Name]); err != nil {
			return err
		}
		delete(found, slice.Name)
	}
	for name, slice := range found {
		if !ourSlice(slice) {
			continue
		}
		if err := r.options.Client.Delete(ctx, slice); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("removing endpoint slice %s: %w", name, err)
		}
	}
	return nil
}

// applySlice makes one slice. Nobody else has a say in what is ours, so that it is replaced as Kubernetes' own controller
// does: a server-side apply costs kube-apiserver several times as much, for each application of a pod that changes.
func (r *Reconciler) applySlice(ctx context.Context, wanted, live *discoveryv1.EndpointSlice) error {
	var err error
	if live == nil {
		err = r.options.Client.Create(ctx, wanted.DeepCopy(), client.FieldOwner(v1alpha1.FieldManager))
	} else {
		err = r.replaceSlice(ctx, wanted, live)
	}
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		// The cache is behind what we wrote ourselves, or the slice does not carry our labels.
		live = &discoveryv1.EndpointSlice{}
		if err = r.options.Live.Get(ctx, client.ObjectKeyFromObject(wanted), live); err == nil {
			err = r.replaceSlice(ctx, wanted, live)
		}
	}
	switch {
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsRequestEntityTooLargeError(err):
		return &apply.RefusedError{Kind: "EndpointSlice", Name: wanted.Name, Err: err}
	case err != nil:
		return fmt.Errorf("writing endpoint slice %s: %w", wanted.Name, err)
	}
	return nil
}

// replaceSlice writes what differs.
func (r *Reconciler) replaceSlice(ctx context.Context, wanted, live *discoveryv1.EndpointSlice) error {
	if live.Labels[discoveryv1.LabelManagedBy] != SliceManager {
		return &apply.NotOwnedError{Kind: "EndpointSlice", Name: wanted.Name}
	}
	now := live.DeepCopy()
	now.Labels, now.Annotations = union(live.Labels, wanted.Labels), union(live.Annotations, wanted.Annotations)
	now.OwnerReferences, now.Endpoints, now.Ports = wanted.OwnerReferences, wanted.Endpoints, wanted.Ports
	if equality.Semantic.DeepEqual(now, live) {
		return nil
	}
	return r.options.Client.Update(ctx, now, client.FieldOwner(v1alpha1.FieldManager))
}

// union is what others set and what is ours, which wins.
func union(theirs, ours map[string]string) map[string]string {
	out := maps.Clone(theirs)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, ours)
	return out
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
