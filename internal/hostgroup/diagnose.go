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

// leafPatience is how long a leaf may look for its hub before it is a problem; a leaf that finds it takes one or two.
const leafPatience = 6 * time.Second

// crashMemory is how long a failure of a container that is not ready counts: as long as the kubelet remembers it.
const crashMemory = 10 * time.Minute

// diagnose returns the most telling problem of the pods, and when to look again.
func diagnose(pods []corev1.Pod, workload client.Object, now time.Time) (finding, time.Duration) {
	var later time.Duration
	for i := range pods {
		pod := &pods[i]
		ended := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded // evicted ones are replaced
		if pod.DeletionTimestamp != nil || ended || podReady(pod) {
			continue
		}
		if found := scheduling(pod); found.reason != "" {
			return found, 0
		}
		for _, c := range append(append([]corev1.ContainerStatus{}, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...) {
			if found, wait := containerProblem(pod, c, now); found.reason != "" {
				return found, wait
			}
		}
		found, wait := leafProblem(pod, now)
		if found.reason != "" {
			return found, 0
		}
		later = soonest(later, wait)
	}
	found, wait := refusedPods(pods, workload, now)
	return found, soonest(later, wait)
}

func scheduling(pod *corev1.Pod) finding {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return finding{v1alpha1.ReasonUnschedulable, fmt.Sprintf("No node takes pod %s: %s", pod.Name, c.Message)}
		}
	}
	return finding{}
}

func containerProblem(pod *corev1.Pod, c corev1.ContainerStatus, now time.Time) (finding, time.Duration) {
	why := ""
	if c.State.Waiting != nil {
		why = c.State.Waiting.Reason
	}
	switch why {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
		return finding{v1alpha1.ReasonImagePull, fmt.Sprintf(
			"Container %s of pod %s can't pull image %s: correct the reference, or name a pull secret in podTemplateAdditions.imagePullSecrets; kubectl describe pod %s shows the registry's answer.",
			c.Name, pod.Name, c.Image, pod.Name)}, 0
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return finding{v1alpha1.ReasonCrashLoop, fmt.Sprintf("Container %s of pod %s can't be started: kubectl describe pod %s shows why.", c.Name, pod.Name, pod.Name)}, 0
	}
	exit := lastExit(c)
	if exit == nil && why != "CrashLoopBackOff" {
		return finding{}, 0
	}
	code, wait := "", time.Duration(0)
	if exit != nil {
		code = fmt.Sprintf(" (exit code %d, %s)", exit.ExitCode, exit.Reason)
		if wait = crashMemory - now.Sub(exit.FinishedAt.Time); wait <= 0 && why != "CrashLoopBackOff" {
			return finding{}, 0
		}
	}
	return finding{v1alpha1.ReasonCrashLoop, fmt.Sprintf("Container %s of pod %s fails%s: kubectl logs %s -c %s --previous shows why.",
		c.Name, pod.Name, code, pod.Name, c.Name)}, max(wait, 0)
}

// lastExit returns how a container that is not ready failed last. While it is tried again it waits, runs and ends in turn:
// the finding must not come and go with that.
func lastExit(c corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	for _, exit := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
		if !c.Ready && exit != nil && exit.ExitCode != 0 {
			return exit
		}
	}
	return nil
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

// refusedPods tells of pods that could not even be made. A DaemonSet has no word for it: it has no pods then.
func refusedPods(pods []corev1.Pod, workload client.Object, now time.Time) (finding, time.Duration) {
	switch w := workload.(type) {
	case *appsv1.Deployment:
		for _, c := range w.Status.Conditions {
			if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
				return finding{v1alpha1.ReasonPodsRefused, "Kubernetes refuses the pods: " + c.Message}, 0
			}
		}
	case *appsv1.DaemonSet:
		if w.Status.DesiredNumberScheduled == 0 || len(pods) > 0 {
			return finding{}, 0
		}
		if wait := leafPatience - now.Sub(w.CreationTimestamp.Time); wait > 0 {
			return finding{}, wait
		}
		return finding{v1alpha1.ReasonPodsRefused, fmt.Sprintf("The DaemonSet has no pods: kubectl describe daemonset %s shows why Kubernetes refuses them.", w.Name)}, 0
	}
	return finding{}, 0
}
