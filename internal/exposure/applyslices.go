package exposure

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/apply"
)

// applySlices makes the slices of a Service and removes those that are no longer wanted, the one of wasmCloud's
// operator included. New ones come first, so that no endpoint is away in between.
func (r *Reconciler) applySlices(ctx context.Context, app *Application, service types.UID, ports []served) error {
	cached, err := r.slices(ctx, app)
	if err != nil {
		return err
	}
	known := map[string]*discoveryv1.EndpointSlice{}
	for i := range cached {
		known[cached[i].Name] = &cached[i]
	}
	key := keyOf(app)
	for _, slice := range buildSlices(app, service, ports) {
		if err := r.applySlice(ctx, key, slice, r.written.newest(key, slice.Name, known[slice.Name])); err != nil {
			return err
		}
		delete(known, slice.Name)
	}
	for name, slice := range known {
		slice = r.written.newest(key, name, slice)
		if slice == nil || !ourSlice(slice) {
			continue
		}
		if err := r.options.Client.Delete(ctx, slice); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("removing endpoint slice %s: %w", name, err)
		}
		r.written.note(key, name, slice, nil)
	}
	return nil
}

// applySlice makes one slice; live is nil if there is none. Nobody else has a say in what is ours, so that it is replaced as
// Kubernetes' own controller does: a server-side apply costs kube-apiserver several times as much, for each application of a
// pod that changes.
func (r *Reconciler) applySlice(ctx context.Context, app types.NamespacedName, wanted, live *discoveryv1.EndpointSlice) error {
	now, err := r.writeSlice(ctx, wanted, live)
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		// Somebody else wrote it, or it does not carry our labels.
		if live, err = r.liveSlice(ctx, client.ObjectKeyFromObject(wanted)); err == nil {
			now, err = r.writeSlice(ctx, wanted, live)
		}
	}
	switch {
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsRequestEntityTooLargeError(err):
		return &apply.RefusedError{Kind: "EndpointSlice", Name: wanted.Name, Err: err}
	case err != nil:
		return fmt.Errorf("writing endpoint slice %s: %w", wanted.Name, err)
	case now != live:
		r.written.note(app, wanted.Name, live, now)
	}
	return nil
}

func (r *Reconciler) liveSlice(ctx context.Context, key types.NamespacedName) (*discoveryv1.EndpointSlice, error) {
	live := &discoveryv1.EndpointSlice{}
	if err := r.options.Live.Get(ctx, key, live); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return live, nil
}

// writeSlice writes what differs, and returns the slice as it is then: live, if nothing does.
func (r *Reconciler) writeSlice(ctx context.Context, wanted, live *discoveryv1.EndpointSlice) (*discoveryv1.EndpointSlice, error) {
	if live == nil {
		now := wanted.DeepCopy()
		return now, r.options.Client.Create(ctx, now, client.FieldOwner(v1alpha1.FieldManager))
	}
	if live.Labels[discoveryv1.LabelManagedBy] != SliceManager {
		return nil, &apply.NotOwnedError{Kind: "EndpointSlice", Name: wanted.Name}
	}
	now := live.DeepCopy()
	now.Labels, now.Annotations = labels.Merge(live.Labels, wanted.Labels), labels.Merge(live.Annotations, wanted.Annotations)
	now.OwnerReferences, now.Endpoints, now.Ports = wanted.OwnerReferences, wanted.Endpoints, wanted.Ports
	if equality.Semantic.DeepEqual(now, live) {
		return live, nil
	}
	return now, r.options.Client.Update(ctx, now, client.FieldOwner(v1alpha1.FieldManager))
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
