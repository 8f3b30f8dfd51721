package exposure

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// Trigger says what to look at again: one application, or all of a lattice.
type Trigger struct {
	Application types.NamespacedName
	Lattice     string
}

// CacheByObject narrows what the manager's cache holds to what Trellis made. Pods are those of host groups.
func CacheByObject() map[client.Object]cache.ByObject {
	managed, err := labels.NewRequirement(v1alpha1.ManagedByLabel, selection.In, []string{v1alpha1.ManagedBy, v1alpha1.ManagedByOld})
	if err != nil {
		panic("the managed-by label is not a label: " + err.Error()) // constants: can't happen
	}
	mine := cache.ByObject{Label: labels.NewSelector().Add(*managed)}
	return map[client.Object]cache.ByObject{&corev1.Service{}: mine, &discoveryv1.EndpointSlice{}: mine}
}

// SetupWithManager starts the controller with the manager. Every trigger sent on triggers is followed; applications
// that appear, change or go, and lattices in which hosts, links or configurations change, are to be sent.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, triggers <-chan Trigger) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("exposure").
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(applicationOf)).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(applicationOf)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.applicationsOfPod)).
		WatchesRawSource(r.triggerSource(triggers)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Complete(r)
}

// applicationOf finds the application of a Service or slice. What has no annotation was made by wasmCloud's operator
// under the application's own name.
func applicationOf(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetAnnotations()[ApplicationLabel]
	if name == "" {
		name = object.GetLabels()[v1alpha1.AppNameLabel]
	}
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

func (r *Reconciler) applicationsOfPod(_ context.Context, pod client.Object) []reconcile.Request {
	var out []reconcile.Request
	for _, key := range r.index.ofPod(pod.GetUID()) {
		out = append(out, reconcile.Request{NamespacedName: key})
	}
	return out
}

func (r *Reconciler) triggerSource(triggers <-chan Trigger) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case t, open := <-triggers:
					if !open {
						return
					}
					r.follow(ctx, t, queue)
				}
			}
		}()
		return nil
	})
}

func (r *Reconciler) follow(ctx context.Context, t Trigger, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	if t.Application.Name != "" {
		queue.Add(reconcile.Request{NamespacedName: t.Application})
		return
	}
	keys, err := r.options.Applications.InLattice(ctx, t.Lattice)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the applications of a lattice failed", "lattice", t.Lattice)
		return
	}
	for _, key := range keys {
		queue.Add(reconcile.Request{NamespacedName: key})
	}
}
