package hostgroup

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// applyWorkload makes the Deployment or DaemonSet, and removes the one of the other kind once the new one is ready.
func (r *Reconciler) applyWorkload(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, objects Objects) error {
	var wanted, other client.Object
	if objects.DaemonSet != nil {
		wanted, other = objects.DaemonSet, &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}}
	} else {
		wanted, other = objects.Deployment, &appsv1.DaemonSet{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}}
		live, err := r.live(ctx, objects.Deployment)
		if err != nil {
			return err
		}
		if live != nil && autoscaled(live) {
			objects.Deployment.Spec.Replicas = nil
		}
	}
	if err := r.apply(ctx, group, wanted); err != nil {
		return err
	}
	return r.removeOther(ctx, group, wanted, other)
}

func (r *Reconciler) removeOther(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, wanted, other client.Object) error {
	other.SetName(group.Name)
	other.SetNamespace(group.Namespace)
	live := other
	if err := r.options.Client.Get(ctx, client.ObjectKeyFromObject(other), live); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !metav1.IsControlledBy(live, group) {
		return nil
	}
	now, err := r.live(ctx, wanted)
	if err != nil || now == nil {
		return err
	}
	if size := sizeOf(now); !size.settled() {
		return nil
	}
	if err := r.options.Client.Delete(ctx, live, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		return fmt.Errorf("removing what %s replaced: %w", group.Name, client.IgnoreNotFound(err))
	}
	return nil
}

// size is the common part of the status of Deployments and DaemonSets.
type size struct {
	wanted, current, updated, ready int32
	seen                            bool
}

func (s size) settled() bool { return s.seen && s.updated >= s.wanted && s.ready >= s.wanted }

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
