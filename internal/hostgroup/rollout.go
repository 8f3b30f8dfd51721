package hostgroup

import (
	appsv1 "k8s.io/api/apps/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

func rolloutOf(group *v1alpha1.WasmCloudHostConfig) *v1alpha1.Rollout {
	if group.Spec.SchedulingOptions == nil {
		return nil
	}
	return group.Spec.SchedulingOptions.Rollout
}

// deploymentStrategy leaves to Kubernetes what the user leaves open.
func deploymentStrategy(rollout *v1alpha1.Rollout) appsv1.DeploymentStrategy {
	if rollout == nil {
		return appsv1.DeploymentStrategy{}
	}
	return appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
		MaxUnavailable: rollout.MaxUnavailable, MaxSurge: rollout.MaxSurge}}
}

// daemonSetStrategy says that none may be missing where there is a surplus: Kubernetes takes one of the two only.
func daemonSetStrategy(rollout *v1alpha1.Rollout) appsv1.DaemonSetUpdateStrategy {
	if rollout == nil {
		return appsv1.DaemonSetUpdateStrategy{}
	}
	unavailable := rollout.MaxUnavailable
	if unavailable == nil && rollout.MaxSurge != nil && !isZero(rollout.MaxSurge) {
		unavailable = new(intstr.FromInt32(0))
	}
	return appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType, RollingUpdate: &appsv1.RollingUpdateDaemonSet{
		MaxUnavailable: unavailable, MaxSurge: rollout.MaxSurge}}
}

func isZero(n *intstr.IntOrString) bool { return n.String() == "0" || n.String() == "0%" }

// budget limits what a drain takes away. There is none for a DaemonSet: a drain leaves its pods alone, and the budget's
// controller can't count them.
func budget(group *v1alpha1.WasmCloudHostConfig, replicas int32) *policyv1.PodDisruptionBudget {
	var wish v1alpha1.PodDisruptionBudget
	if options := group.Spec.SchedulingOptions; options != nil && options.PodDisruptionBudget != nil {
		wish = *options.PodDisruptionBudget
	}
	wanted := replicas > 1
	if wish.Enabled != nil {
		wanted = *wish.Enabled
	}
	if !wanted {
		return nil
	}
	if wish.MaxUnavailable == nil && wish.MinAvailable == nil {
		wish.MaxUnavailable = new(intstr.FromInt32(1))
	}
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: objectMeta(group, group.Name),
		Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: wish.MaxUnavailable, MinAvailable: wish.MinAvailable,
			Selector: &metav1.LabelSelector{MatchLabels: selectorLabels(group)},
			// A pod that is not ready serves nobody: it must not keep a node from being drained.
			UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow)},
	}
}
