package hostgroup

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// judgeHosts sets the condition Hosts.
func (r *Reconciler) judgeHosts(group *v1alpha1.WasmCloudHostConfig, pods []corev1.Pod, mine []joined) {
	set := func(status metav1.ConditionStatus, reason, message string) {
		r.set(group, v1alpha1.ConditionHosts, status, reason, message)
	}
	missing, unnamed := podsWithoutHost(pods, mine)
	silent := slices.DeleteFunc(slices.Clone(mine), func(j joined) bool { return !j.host.Silent })
	lattice := group.Spec.Lattice
	switch {
	case len(missing) > unnamed:
		set(metav1.ConditionFalse, v1alpha1.ReasonHostsMissing, fmt.Sprintf(
			"%d of %d ready pods have no host in lattice %s%s: look at the logs of the containers %s and %s.",
			len(missing)-unnamed, len(missing)-unnamed+len(mine), lattice, example(missing, unnamed), v1alpha1.HostContainer, v1alpha1.LeafContainer))
	case len(silent) > 0:
		set(metav1.ConditionFalse, v1alpha1.ReasonHostsSilent, fmt.Sprintf(
			"%d of %d hosts do not answer in lattice %s, %s for one: has its leaf lost the hub? Check that NATS runs and takes the credentials; the logs of container %s show what the hub answers.",
			len(silent), len(mine), lattice, nameOf(silent[0]), v1alpha1.LeafContainer))
	case unnamed > 0:
		set(metav1.ConditionTrue, v1alpha1.ReasonHostsConnected, "The hosts do not name their pods; as many as expected are in lattice "+lattice+". Losses are noticed by their heartbeats.")
	default:
		set(metav1.ConditionTrue, v1alpha1.ReasonHostsConnected, "The hosts of all ready pods are in lattice "+lattice+".")
	}
}

// podsWithoutHost names the ready pods that no host names, and counts the hosts that name no pod.
func podsWithoutHost(pods []corev1.Pod, mine []joined) (missing []string, unnamed int) {
	seen := map[string]bool{}
	for _, j := range mine {
		if j.pod == nil {
			unnamed++
			continue
		}
		seen[j.pod.Name] = true
	}
	for i := range pods {
		if podReady(&pods[i]) && !seen[pods[i].Name] {
			missing = append(missing, pods[i].Name)
		}
	}
	return missing, unnamed
}

// example names a pod where hosts say which pod is theirs.
func example(missing []string, unnamed int) string {
	if unnamed > 0 {
		return ""
	}
	return ", " + missing[0] + " for one"
}

func nameOf(j joined) string {
	if j.pod == nil {
		return "host " + j.host.ID
	}
	return "that of pod " + j.pod.Name
}
