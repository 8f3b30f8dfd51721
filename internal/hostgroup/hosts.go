package hostgroup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/conditions"
)

// observeHosts joins the hosts of the lattice with the pods of the group by the labels of the downward API.
func (r *Reconciler) observeHosts(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, pods []corev1.Pod) {
	status := &group.Status
	all, err := r.options.Hosts.Hosts(ctx, group.Spec.Lattice)
	if err != nil {
		// What was known stays: nobody saw it end.
		r.set(group, v1alpha1.ConditionHosts, metav1.ConditionUnknown, v1alpha1.ReasonLatticeNotObserved, err.Error())
		return
	}
	mine, others, unjoined := joinHosts(all, pods)
	known := map[string]*metav1.Time{}
	for _, h := range status.Hosts {
		known[h.ID] = h.StartedAt
	}
	status.OtherHostCount = int32(others)
	status.HostCount = int32(len(mine))
	status.Hosts = nil
	for _, j := range mine[:min(len(mine), v1alpha1.MaxHosts)] {
		status.Hosts = append(status.Hosts, hostStatus(j, known[j.host.ID]))
	}
	r.judgeHosts(group, pods, mine, unjoined)
}

type joined struct {
	host Host
	pod  *corev1.Pod
}

// joinHosts returns the hosts of these pods by pod name, the number of all other hosts, and how many of those run in
// Kubernetes without labels of their pod (wasmCloud's own template).
func joinHosts(all []Host, pods []corev1.Pod) (mine []joined, others, unjoined int) {
	byUID := map[string]*corev1.Pod{}
	for i := range pods {
		byUID[string(pods[i].UID)] = &pods[i]
	}
	newest := map[string]joined{}
	for _, h := range all {
		uid := h.Labels[v1alpha1.HostLabelPodUID]
		pod := byUID[uid]
		if pod == nil {
			others++
			if uid == "" && h.Labels["kubernetes"] == "true" {
				unjoined++
			}
			continue
		}
		// A host that ended in a pod that goes on is still listed until its heartbeats are overdue.
		if old, found := newest[uid]; !found || old.host.StartedAt.Before(h.StartedAt) {
			newest[uid] = joined{h, pod}
		}
	}
	for _, j := range newest {
		mine = append(mine, j)
	}
	slices.SortFunc(mine, func(a, b joined) int { return strings.Compare(a.pod.Name, b.pod.Name) })
	return mine, others, unjoined
}

func hostStatus(j joined, startedAt *metav1.Time) v1alpha1.HostStatus {
	if startedAt == nil && !j.host.StartedAt.IsZero() {
		// Hosts tell their uptime, so this value trembles: the first one is kept.
		startedAt = &metav1.Time{Time: j.host.StartedAt.UTC().Truncate(1e9)}
	}
	return v1alpha1.HostStatus{ID: j.host.ID, Name: j.host.Name, Pod: j.pod.Name, Node: j.pod.Spec.NodeName,
		Version: j.host.Version, Ready: podReady(j.pod), StartedAt: startedAt,
		Components: int32(j.host.Components), Providers: int32(j.host.Providers)}
}

func (r *Reconciler) judgeHosts(group *v1alpha1.WasmCloudHostConfig, pods []corev1.Pod, mine []joined, unjoined int) {
	set := func(status metav1.ConditionStatus, reason, message string) {
		r.set(group, v1alpha1.ConditionHosts, status, reason, message)
	}
	seen := map[string]bool{}
	for _, j := range mine {
		seen[j.pod.Name] = true
	}
	var missing []string
	for i := range pods {
		if podReady(&pods[i]) && !seen[pods[i].Name] {
			missing = append(missing, pods[i].Name)
		}
	}
	lattice := group.Spec.Lattice
	switch {
	case len(missing) > 0 && conditions.IsTrue(group.Status.Conditions, v1alpha1.ConditionTemplateOutdated) && unjoined >= len(missing):
		set(metav1.ConditionTrue, v1alpha1.ReasonHostsConnected, "The hosts do not name their pods; as many as expected are in lattice "+lattice+".")
	case len(missing) > 0:
		set(metav1.ConditionFalse, v1alpha1.ReasonHostsMissing, fmt.Sprintf(
			"%d of %d ready pods have no host in lattice %s, %s for one: look at the logs of its container %s.",
			len(missing), len(missing)+len(mine), lattice, missing[0], v1alpha1.HostContainer))
	default:
		set(metav1.ConditionTrue, v1alpha1.ReasonHostsConnected, "The hosts of all ready pods are in lattice "+lattice+".")
	}
}

func podReady(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
