package hostgroup

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// finding is what keeps pods from being ready. Messages hold no counters and no text of the kubelet, which changes with
// every attempt: each change would be a write.
type finding struct{ reason, message string }

// leafPatience is how long a leaf may look for its hub before it is a problem.
const leafPatience = 8 * time.Second

// diagnose returns the most telling problem of the pods, and when to look again.
func diagnose(pods []corev1.Pod, workload client.Object, now time.Time) (finding, time.Duration) {
	var later time.Duration
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp != nil || podReady(pod) {
			continue
		}
		if found := scheduling(pod); found.reason != "" {
			return found, 0
		}
		for _, c := range append(append([]corev1.ContainerStatus{}, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...) {
			if found := containerProblem(pod, c); found.reason != "" {
				return found, 0
			}
		}
		found, wait := leafProblem(pod, now)
		if found.reason != "" {
			return found, 0
		}
		later = soonest(later, wait)
	}
	return refusedPods(workload), later
}

func scheduling(pod *corev1.Pod) finding {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return finding{v1alpha1.ReasonUnschedulable, fmt.Sprintf("No node takes pod %s: %s", pod.Name, c.Message)}
		}
	}
	return finding{}
}

func containerProblem(pod *corev1.Pod, c corev1.ContainerStatus) finding {
	if c.State.Waiting == nil {
		return finding{}
	}
	switch c.State.Waiting.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
		return finding{v1alpha1.ReasonImagePull, fmt.Sprintf(
			"Container %s of pod %s can't pull image %s: correct the reference, or name a pull secret in podTemplateAdditions.imagePullSecrets; kubectl describe pod %s shows the registry's answer.",
			c.Name, pod.Name, c.Image, pod.Name)}
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return finding{v1alpha1.ReasonCrashLoop, fmt.Sprintf("Container %s of pod %s can't be started: kubectl describe pod %s shows why.", c.Name, pod.Name, pod.Name)}
	case "CrashLoopBackOff":
		return finding{v1alpha1.ReasonCrashLoop, fmt.Sprintf("Container %s of pod %s ends again and again%s: kubectl logs %s -c %s --previous shows why.",
			c.Name, pod.Name, lastExit(c), pod.Name, c.Name)}
	}
	return finding{}
}

func lastExit(c corev1.ContainerStatus) string {
	if t := c.LastTerminationState.Terminated; t != nil {
		return fmt.Sprintf(" (exit code %d, %s)", t.ExitCode, t.Reason)
	}
	return ""
}

// leafProblem looks for a leaf that runs but whose startup probe, which asks the hub, has not passed.
func leafProblem(pod *corev1.Pod, now time.Time) (finding, time.Duration) {
	for _, c := range pod.Status.InitContainerStatuses {
		if c.Name != v1alpha1.LeafContainer || c.State.Running == nil || c.Started != nil && *c.Started {
			continue
		}
		if wait := leafPatience - now.Sub(c.State.Running.StartedAt.Time); wait > 0 {
			return finding{}, wait
		}
		return finding{v1alpha1.ReasonLeafNotConnected, fmt.Sprintf(
			"The leaf of pod %s does not reach JetStream in the hub: check natsAddress, natsLeafnodePort, the credentials and jetstreamDomain; kubectl logs %s -c %s shows what the hub answers.",
			pod.Name, pod.Name, v1alpha1.LeafContainer)}, 0
	}
	return finding{}, 0
}

// refusedPods tells of pods that could not even be made.
func refusedPods(workload client.Object) finding {
	deployment, ok := workload.(*appsv1.Deployment)
	if !ok {
		return finding{}
	}
	for _, c := range deployment.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return finding{v1alpha1.ReasonPodsRefused, "Kubernetes refuses the pods: " + c.Message}
		}
	}
	return finding{}
}
