package hostgroup

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// CacheByObject narrows what the manager's cache holds to the objects of host groups.
func CacheByObject() map[client.Object]cache.ByObject {
	pods := labels.SelectorFromSet(labels.Set{v1alpha1.AppNameLabel: v1alpha1.AppName})
	managed, err := labels.NewRequirement(v1alpha1.ManagedByLabel, selection.In, []string{v1alpha1.ManagedBy, v1alpha1.ManagedByOld})
	if err != nil {
		panic("the managed-by label is not a label: " + err.Error()) // constants: can't happen
	}
	mine := cache.ByObject{Label: pods.Add(*managed), Transform: cache.TransformStripManagedFields()}
	workloads := cache.ByObject{Label: pods.Add(*managed)} // managed fields tell who owns replicas
	return map[client.Object]cache.ByObject{
		&corev1.Pod{}:            {Label: pods, Transform: cache.TransformStripManagedFields()},
		&corev1.ConfigMap{}:      mine,
		&corev1.ServiceAccount{}: mine,
		&appsv1.Deployment{}:     workloads,
		&appsv1.DaemonSet{}:      workloads,

		&policyv1.PodDisruptionBudget{}: mine,
	}
}

// SetupWithManager starts the controller with the manager. Every lattice name sent on changed (hosts or applications of
// that lattice changed) looks at the groups of the lattice again; nil means that nobody sends.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, changed <-chan string) error {
	spec := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	b := ctrl.NewControllerManagedBy(mgr).
		Named("hostgroup").
		For(&v1alpha1.WasmCloudHostConfig{}, builder.WithPredicates(spec)).
		Owns(&appsv1.Deployment{}).
		Owns(&appsv1.DaemonSet{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.ServiceAccount{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(groupOfPod))
	if changed != nil {
		b = b.WatchesRawSource(r.latticeSource(changed))
	}
	return b.Complete(r)
}

func groupOfPod(_ context.Context, pod client.Object) []reconcile.Request {
	name := pod.GetLabels()[v1alpha1.InstanceLabel]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: pod.GetNamespace(), Name: name}}}
}

func (r *Reconciler) latticeSource(changed <-chan string) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case lattice, open := <-changed:
					if !open {
						return
					}
					r.enqueueLattice(ctx, lattice, queue)
				}
			}
		}()
		return nil
	})
}

func (r *Reconciler) enqueueLattice(ctx context.Context, lattice string, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	var groups v1alpha1.WasmCloudHostConfigList
	if err := r.options.Client.List(ctx, &groups); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing host groups failed", "lattice", lattice)
		return
	}
	for i := range groups.Items {
		if groups.Items[i].Spec.Lattice == lattice {
			queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&groups.Items[i])})
		}
	}
}
