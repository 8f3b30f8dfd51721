package hostgroup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/conditions"
)

// observe fills the status from the workload, its pods and the lattice. The result is when to look again, if a pod is
// on the way to a problem that only time reveals.
func (r *Reconciler) observe(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) (time.Duration, error) {
	live, err := r.live(ctx, workloadOf(group))
	if err != nil {
		return 0, err
	}
	pods, err := r.pods(ctx, group)
	if err != nil {
		return 0, err
	}
	status := &group.Status
	if status.Apps == nil {
		status.Apps = []v1alpha1.AppStatus{}
	}
	status.Selector = labels.SelectorFromSet(selectorLabels(group)).String()
	var size size
	if live != nil {
		size = sizeOf(live)
	}
	status.Replicas, status.ReadyReplicas = size.current, size.ready
	later := r.observeWorkload(group, live, size, pods)
	if latticeName.MatchString(group.Spec.Lattice) { // another name would be a foreign subject
		r.observeHosts(ctx, group, pods)
		r.observeApps(ctx, group)
	}
	status.Ready = fmt.Sprintf("%d/%d", size.ready, wantedOf(group, live, size))
	return later, nil
}

func wantedOf(group *v1alpha1.WasmCloudHostConfig, live client.Object, size size) int32 {
	if live == nil && !isDaemonSet(group) {
		return wantedReplicas(group)
	}
	return size.wanted
}

// pods returns the pods of the group, by name.
func (r *Reconciler) pods(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := r.options.Client.List(ctx, &list, client.InNamespace(group.Namespace), client.MatchingLabels(selectorLabels(group)))
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return list.Items, nil
}

func (r *Reconciler) observeWorkload(group *v1alpha1.WasmCloudHostConfig, live client.Object, size size, pods []corev1.Pod) time.Duration {
	set := func(status metav1.ConditionStatus, reason, message string) {
		r.set(group, v1alpha1.ConditionWorkload, status, reason, message)
	}
	switch {
	case live == nil:
		set(metav1.ConditionUnknown, conditions.ReasonPending, "No pods have been asked for yet.")
	case size.settled() && size.wanted == 0:
		set(metav1.ConditionTrue, v1alpha1.ReasonScaledToZero, "No host is wanted.")
	case size.settled():
		set(metav1.ConditionTrue, v1alpha1.ReasonPodsReady, fmt.Sprintf("%d of %d pods are ready.", size.ready, size.wanted))
	default:
		found, later := diagnose(pods, live, r.options.Now())
		if found.reason == "" {
			found = finding{v1alpha1.ReasonRollingOut, rollingOut(size)}
		}
		set(metav1.ConditionFalse, found.reason, found.message)
		return later
	}
	return 0
}

// rollingOut says how far a roll-out is.
func rollingOut(s size) string {
	if s.ready >= s.wanted && s.current > s.updated {
		return fmt.Sprintf("%d of %d pods are new; old ones stay until those are ready.", s.updated, s.wanted)
	}
	return fmt.Sprintf("%d of %d pods are ready.", s.ready, s.wanted)
}

func (r *Reconciler) observeApps(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) {
	apps, err := r.options.Applications.Applications(ctx, group.Spec.Lattice)
	if err != nil {
		return // what was known stays
	}
	slices.SortFunc(apps, func(a, b App) int { return strings.Compare(a.Name, b.Name) })
	group.Status.AppCount = int32(len(apps))
	group.Status.Apps = make([]v1alpha1.AppStatus, 0, min(len(apps), v1alpha1.MaxApps))
	for _, app := range apps[:min(len(apps), v1alpha1.MaxApps)] {
		group.Status.Apps = append(group.Status.Apps, v1alpha1.AppStatus{Name: app.Name, Version: app.Version})
	}
}
