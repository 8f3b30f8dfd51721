package exposure

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// unlabelled returns the pods of a lattice whose hosts do not name them: those that wasmCloud's operator made and that
// keep its template. For them its rule goes on: every running pod of the lattice's host groups is an endpoint.
func (r *Reconciler) unlabelled(ctx context.Context, lattice string) ([]*corev1.Pod, error) {
	var groups v1alpha1.WasmCloudHostConfigList
	if err := r.options.Client.List(ctx, &groups); err != nil {
		return nil, fmt.Errorf("listing host groups: %w", err)
	}
	var out []*corev1.Pod
	for _, group := range groups.Items {
		if group.Spec.Lattice != lattice {
			continue
		}
		var pods corev1.PodList
		err := r.options.Client.List(ctx, &pods, client.InNamespace(group.Namespace),
			client.MatchingLabels{v1alpha1.AppNameLabel: v1alpha1.AppName, v1alpha1.InstanceLabel: group.Name})
		if err != nil {
			return nil, fmt.Errorf("listing the pods of host group %s/%s: %w", group.Namespace, group.Name, err)
		}
		for i := range pods.Items {
			if pod := &pods.Items[i]; pod.Status.Phase == corev1.PodRunning && alive(pod) && !namesItself(pod) {
				out = append(out, pod)
			}
		}
	}
	return out, nil
}

// namesItself says whether the host of a pod gets the pod's uid by the downward API.
func namesItself(pod *corev1.Pod) bool {
	for _, c := range pod.Spec.Containers {
		for _, v := range c.Env {
			if v.Name == "WASMCLOUD_LABEL_"+v1alpha1.HostLabelPodUID {
				return true
			}
		}
	}
	return false
}
