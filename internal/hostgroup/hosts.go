package hostgroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// observeHosts joins the hosts of the lattice with the pods of the group by the labels of the downward API.
func (r *Reconciler) observeHosts(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, pods []corev1.Pod) {
	status := &group.Status
	all, err := r.options.Hosts.Hosts(ctx, group.Spec.Lattice)
	if errors.Is(err, ErrLoginRefused) {
		r.set(group, v1alpha1.ConditionHosts, metav1.ConditionFalse, v1alpha1.ReasonLoginRefused, refusedLogin(group, err))
		return
	}
	if err != nil {
		// What was known stays: nobody saw it end.
		r.set(group, v1alpha1.ConditionHosts, metav1.ConditionUnknown, v1alpha1.ReasonLatticeNotObserved, err.Error())
		return
	}
	mine, others, unjoined := joinHosts(all, pods)
	if nameless := countNameless(pods); nameless > 0 { // also while they are being replaced
		theirs := hostsOfOldPods(group, unjoined, nameless)
		mine, others = append(mine, theirs...), others-len(theirs)
	}
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
	r.judgeHosts(group, pods, mine)
}

// refusedLogin says which login it is: hosts have the same one as Trellis, and keep their connection for some time at most.
func refusedLogin(group *v1alpha1.WasmCloudHostConfig, err error) string {
	if name := group.Spec.SecretName; name != "" {
		return fmt.Sprintf("NATS takes the login of Secret %s of spec.secretName no more; put one there that it takes: %v", name, err)
	}
	return fmt.Sprintf("NATS takes the login of lattice %s no more: %v", group.Spec.Lattice, err)
}

// joined is a host with its pod; pods of wasmCloud's own template are not known by their hosts.
type joined struct {
	host Host
	pod  *corev1.Pod
}

// joinHosts returns the hosts of these pods by pod name, the number of all other hosts, and those among them that run in
// Kubernetes without labels of their pod (wasmCloud's own template).
func joinHosts(all []Host, pods []corev1.Pod) (mine []joined, others int, unjoined []Host) {
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
				unjoined = append(unjoined, h)
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

// countNameless counts the pods of wasmCloud's template, whose hosts know no pod.
func countNameless(pods []corev1.Pod) (n int) {
	for i := range pods {
		if !namesPod(&pods[i].Spec) {
			n++
		}
	}
	return n
}

// hostsOfOldPods are the hosts with the labels of the group that know no pod, as many as there are pods without a host.
// Groups with equal labels in one lattice can't be told apart.
func hostsOfOldPods(group *v1alpha1.WasmCloudHostConfig, unjoined []Host, pods int) []joined {
	var out []joined
	slices.SortFunc(unjoined, func(a, b Host) int { return strings.Compare(a.ID, b.ID) })
	for _, h := range unjoined {
		carries := true
		for key, value := range group.Spec.HostLabels {
			carries = carries && h.Labels[key] == value
		}
		if carries && len(out) < pods {
			out = append(out, joined{host: h})
		}
	}
	return out
}

func hostStatus(j joined, startedAt *metav1.Time) v1alpha1.HostStatus {
	if startedAt == nil && !j.host.StartedAt.IsZero() {
		// Hosts tell their uptime, so this value trembles: the first one is kept.
		startedAt = &metav1.Time{Time: j.host.StartedAt.UTC().Truncate(1e9)}
	}
	out := v1alpha1.HostStatus{ID: j.host.ID, Name: j.host.Name, Version: j.host.Version, Ready: !j.host.Silent, StartedAt: startedAt,
		Components: int32(j.host.Components), Providers: int32(j.host.Providers)}
	if j.pod != nil {
		out.Pod, out.Node, out.Ready = j.pod.Name, j.pod.Spec.NodeName, podReady(j.pod)
	}
	return out
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
