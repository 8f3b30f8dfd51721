package hostgroup

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// applyWorkload makes the Deployment or DaemonSet with its budget, and removes the one of the other kind once the new one
// is ready.
func (r *Reconciler) applyWorkload(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, objects Objects) error {
	if objects.DaemonSet != nil {
		if err := r.apply(ctx, group, objects.DaemonSet); err != nil {
			return err
		}
	} else if err := r.apply(ctx, group, objects.Deployment); err != nil {
		return err
	}
	alone, err := r.removeOther(ctx, group)
	if err != nil {
		return err
	}
	if !alone {
		objects.Budget = nil // it would count the pods of both, and can't count those of a DaemonSet
	}
	return r.applyBudget(ctx, group, objects.Budget)
}

// applyBudget makes the budget, or removes it where none is wanted.
func (r *Reconciler) applyBudget(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, wanted *policyv1.PodDisruptionBudget) error {
	if wanted != nil {
		return r.apply(ctx, group, wanted)
	}
	var live policyv1.PodDisruptionBudget
	if err := r.options.Client.Get(ctx, client.ObjectKeyFromObject(group), &live); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !metav1.IsControlledBy(&live, group) {
		return nil
	}
	return r.remove(ctx, &live)
}

// removeOther removes the workload of the other kind if the wanted one is ready, and says whether there is none.
func (r *Reconciler) removeOther(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) (bool, error) {
	live, err := r.other(ctx, group)
	if err != nil || live == nil || !metav1.IsControlledBy(live, group) {
		return err == nil, err
	}
	// Asked of the API server: what a cache shows may have been removed a moment ago, when the kind was changed back.
	wanted := workloadOf(group)
	if err := r.options.Live.Get(ctx, client.ObjectKeyFromObject(group), wanted); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	if !sizeOf(wanted).replaces(group) || wanted.GetDeletionTimestamp() != nil {
		return false, nil
	}
	r.event(group, corev1.EventTypeNormal, "Replaced", fmt.Sprintf("%s %s is removed: its pods are replaced by those of the %s.",
		kindOf(live), group.Name, kindOf(wanted)))
	return false, r.remove(ctx, live)
}

func (r *Reconciler) remove(ctx context.Context, live client.Object) error {
	err := r.options.Client.Delete(ctx, live, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: new(live.GetUID())})
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) { // a conflict: it was made anew, which is looked at
		return fmt.Errorf("removing %s %s: %w", kindOf(live), live.GetName(), err)
	}
	return nil
}

// other returns the workload of the kind that is not wanted, or nil.
func (r *Reconciler) other(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) (client.Object, error) {
	var live client.Object = &appsv1.DaemonSet{}
	if isDaemonSet(group) {
		live = &appsv1.Deployment{}
	}
	err := r.options.Client.Get(ctx, client.ObjectKeyFromObject(group), live)
	if apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the %s %s: %w", kindOf(live), group.Name, err)
	}
	return live, nil
}

func kindOf(object client.Object) string {
	switch object.(type) {
	case *appsv1.Deployment:
		return "Deployment"
	case *appsv1.DaemonSet:
		return "DaemonSet"
	case *policyv1.PodDisruptionBudget:
		return "PodDisruptionBudget"
	}
	return object.GetObjectKind().GroupVersionKind().Kind
}

// size is the common part of the status of Deployments and DaemonSets.
type size struct {
	wanted, current, updated, ready int32
	seen                            bool
}

// settled says whether all pods are there and none of them is an old one, which may be ready in place of a new one that
// cannot start.
func (s size) settled() bool {
	return s.seen && s.updated >= s.wanted && s.ready >= s.wanted && s.current <= s.updated
}

// replaces says whether the pods of the other kind may go. A DaemonSet for which no node is there yet replaces nothing.
func (s size) replaces(group *v1alpha1.WasmCloudHostConfig) bool {
	return s.settled() && (s.ready > 0 || !isDaemonSet(group))
}

func sizeOf(object client.Object) size {
	switch w := object.(type) {
	case *appsv1.Deployment:
		wanted := int32(1)
		if w.Spec.Replicas != nil {
			wanted = *w.Spec.Replicas
		}
		return size{wanted: wanted, current: w.Status.Replicas, updated: w.Status.UpdatedReplicas,
			ready: w.Status.ReadyReplicas, seen: w.Status.ObservedGeneration >= w.Generation}
	case *appsv1.DaemonSet:
		return size{wanted: w.Status.DesiredNumberScheduled, current: w.Status.CurrentNumberScheduled,
			updated: w.Status.UpdatedNumberScheduled, ready: w.Status.NumberReady,
			seen: w.Status.ObservedGeneration >= w.Generation && w.Status.ObservedGeneration > 0}
	}
	return size{}
}

// autoscaledReplicas returns the number of replicas that an autoscaler of the Deployment chose, or nil.
func (r *Reconciler) autoscaledReplicas(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) (*int32, error) {
	if isDaemonSet(group) {
		return nil, nil
	}
	live, err := r.live(ctx, workloadOf(group))
	if err != nil || live == nil || !autoscaled(live) {
		return nil, err
	}
	return new(sizeOf(live).wanted), nil
}

// autoscaled says whether a HorizontalPodAutoscaler, which works through the scale subresource as the controller
// manager, owns the number of replicas.
func autoscaled(live client.Object) bool {
	for _, entry := range live.GetManagedFields() {
		if entry.Manager != "kube-controller-manager" || entry.Subresource != "scale" || entry.FieldsV1 == nil {
			continue
		}
		var fields struct {
			Spec struct {
				Replicas *struct{} `json:"f:replicas"`
			} `json:"f:spec"`
		}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) == nil && fields.Spec.Replicas != nil {
			return true
		}
	}
	return false
}

// foreignTemplate returns the workload of the group if wasmCloud's operator made it and the user has not asked for it
// to be rolled: its template stays as it is.
func (r *Reconciler) foreignTemplate(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) (client.Object, error) {
	if group.Annotations[v1alpha1.AdoptAnnotation] == v1alpha1.AdoptRoll {
		return nil, nil
	}
	wanted := workloadOf(group)
	live, err := r.live(ctx, wanted)
	if err != nil || live == nil {
		return nil, err
	}
	if _, ours := live.GetAnnotations()[v1alpha1.AppliedAnnotation]; ours || !metav1.IsControlledBy(live, group) {
		return nil, nil
	}
	return live, nil
}

// workloadOf names the Deployment or DaemonSet of the group.
func workloadOf(group *v1alpha1.WasmCloudHostConfig) client.Object {
	meta := metav1.ObjectMeta{Namespace: group.Namespace, Name: group.Name}
	if isDaemonSet(group) {
		return &appsv1.DaemonSet{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}, ObjectMeta: meta}
	}
	return &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: meta}
}
