package exposure

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// Trigger says what to look at again: one application, those of a lattice that asked for what has that name, or all of a
// lattice.
type Trigger struct {
	Application types.NamespacedName
	Lattice     string
	// Told says that nothing changed of the application but what was reported of it.
	Told bool
	// Name of a component, provider or configuration in the lattice.
	Name string
}

// CacheByObject narrows what the manager's cache holds to what Trellis made. Pods are those of host groups; of nodes and
// definitions only names and labels are kept.
func CacheByObject() map[client.Object]cache.ByObject {
	mine := cache.ByObject{Label: mine(), Transform: cache.TransformStripManagedFields()}
	return map[client.Object]cache.ByObject{
		&corev1.Service{}: mine, &discoveryv1.EndpointSlice{}: mine, &networkingv1.Ingress{}: mine,
		nodeMetadata(): {Transform: slim}, definitionMetadata(): {Transform: slim},
	}
}

// mine selects what Trellis and wasmCloud's operator made.
func mine() labels.Selector {
	managed, err := labels.NewRequirement(v1alpha1.ManagedByLabel, selection.In, []string{v1alpha1.ManagedBy, v1alpha1.ManagedByOld})
	if err != nil {
		panic("the managed-by label is not a label: " + err.Error()) // constants: can't happen
	}
	return labels.NewSelector().Add(*managed)
}

func slim(obj any) (any, error) {
	if object, ok := obj.(client.Object); ok {
		object.SetAnnotations(nil)
		object.SetManagedFields(nil)
	}
	return obj, nil
}

// SetupWithManager starts the controller with the manager. Every trigger sent on triggers is followed; applications
// that appear, change or go, and what changes in lattices (hosts of components and providers, links, configurations), are to
// be sent.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, triggers <-chan Trigger) error {
	// Without an index each look would go through all slices of the namespace.
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &discoveryv1.EndpointSlice{}, serviceOfSlice, servicesOf); err != nil {
		return fmt.Errorf("indexing endpoint slices: %w", err)
	}
	r.indexed = true
	r.reporter = newReporter(r.report)
	if err := mgr.Add(r.reporter); err != nil {
		return fmt.Errorf("set up the reports: %w", err)
	}
	definitions, err := r.watchRoutes(mgr)
	if err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("exposure").
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(r.concernedBy)).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(applicationOf)).
		Watches(&networkingv1.Ingress{}, handler.EnqueueRequestsFromMapFunc(applicationOf)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.applicationsOfPod)).
		WatchesMetadata(nodeMetadata(), handler.EnqueueRequestsFromMapFunc(r.everyApplication), builder.WithPredicates(zoneChanged())).
		WatchesMetadata(definitionMetadata(), definitions, builder.WithPredicates(predicate.NewPredicateFuncs(ofGatewayAPI))).
		WatchesRawSource(r.triggerSource(triggers)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8, ReconciliationTimeout: lookTimeout}).
		Complete(r)
}

// lookTimeout bounds one look. A look at routes waits for their watch, and waits in vain when that was ended meanwhile because
// the cluster serves another version of the kind.
const lookTimeout = 15 * time.Second

// serviceOfSlice is the name of the index of slices by the Service they belong to.
const serviceOfSlice = "service"

func servicesOf(slice client.Object) []string {
	return []string{slice.GetLabels()[discoveryv1.LabelServiceName]}
}

// zoneChanged lets pass what moves endpoints to another zone: a node that gets or changes its label.
func zoneChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return e.Object.GetLabels()[corev1.LabelTopologyZone] != "" },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetLabels()[corev1.LabelTopologyZone] != e.ObjectNew.GetLabels()[corev1.LabelTopologyZone]
		},
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

// applicationOf finds the application of a Service, slice, Ingress or route. What has no annotation was made by
// wasmCloud's operator under the application's own name.
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
	return requests(r.index.ofPod(pod.GetUID()))
}

// everyApplication names those that have endpoints.
func (r *Reconciler) everyApplication(context.Context, client.Object) []reconcile.Request {
	return requests(r.index.all())
}

func requests(keys []types.NamespacedName) []reconcile.Request {
	out := make([]reconcile.Request, 0, len(keys))
	for _, key := range keys {
		out = append(out, reconcile.Request{NamespacedName: key})
	}
	return out
}

func (r *Reconciler) triggerSource(triggers <-chan Trigger) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		r.again.to(func(key types.NamespacedName, when urgency) {
			enqueue(queue, reconcile.Request{NamespacedName: key}, when)
		})
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case t, open := <-triggers:
					if !open {
						return
					}
					r.follow(ctx, t)
				}
			}
		}()
		return nil
	})
}

func enqueue(queue workqueue.TypedRateLimitingInterface[reconcile.Request], request reconcile.Request, when urgency) {
	if ordered, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		ordered.AddWithOpts(priorityqueue.AddOpts{Priority: new(int(when))}, request)
		return
	}
	queue.Add(request)
}

func (r *Reconciler) follow(ctx context.Context, t Trigger) {
	if t.Application.Name != "" {
		when := now
		if t.Told {
			when = perhaps
		}
		r.again.add(t.Application, when)
		return
	}
	if t.Name != "" {
		r.tell(r.index.interested(subject{t.Lattice, t.Name}))
		return
	}
	keys, err := r.options.Applications.InLattice(ctx, t.Lattice)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the applications of a lattice failed", "lattice", t.Lattice)
		return
	}
	for _, key := range keys {
		// Of thousands hardly any has changed. Those that nothing serves yet wait for this and come first, and neither they
		// nor pods wait behind the others.
		when := perhaps
		if behind, _ := r.index.listeners(key); len(behind) == 0 {
			when = now
		}
		r.again.add(key, when)
	}
}
