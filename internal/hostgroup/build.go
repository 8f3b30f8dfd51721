package hostgroup

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// Objects are what a host group consists of. Exactly one of Deployment and DaemonSet is set.
type Objects struct {
	ServiceAccount *corev1.ServiceAccount
	ConfigMap      *corev1.ConfigMap
	Deployment     *appsv1.Deployment
	DaemonSet      *appsv1.DaemonSet
	// Budget is nil where none is wanted.
	Budget *policyv1.PodDisruptionBudget
}

// Build returns the objects of a valid host group. The same inputs give the same objects. The error says which of the
// user's additions can't be merged.
func Build(group *v1alpha1.WasmCloudHostConfig, in Inputs) (Objects, error) {
	config := LeafConfig(&group.Spec, in)
	template := podTemplate(group, in, config)
	if err := withAdditions(&template.Spec, &group.Spec); err != nil {
		return Objects{}, err
	}
	objects := Objects{
		ServiceAccount: &corev1.ServiceAccount{
			TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
			ObjectMeta:                   objectMeta(group, group.Name),
			AutomountServiceAccountToken: new(false),
		},
		ConfigMap: &corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			ObjectMeta: objectMeta(group, group.Name),
			Data:       map[string]string{leafConfigKey: config},
		},
	}
	if isDaemonSet(group) {
		objects.DaemonSet = daemonSet(group, template)
		return objects, nil
	}
	objects.Deployment = deployment(group, template, in.Autoscaled)
	replicas := wantedReplicas(group)
	if in.Autoscaled != nil {
		replicas = *in.Autoscaled
	}
	objects.Budget = budget(group, replicas)
	return objects, nil
}

func daemonSet(group *v1alpha1.WasmCloudHostConfig, template corev1.PodTemplateSpec) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"},
		ObjectMeta: objectMeta(group, group.Name),
		Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: selectorLabels(group)}, Template: template,
			UpdateStrategy: daemonSetStrategy(rolloutOf(group))},
	}
}

// deployment leaves the number of replicas open where an autoscaler owns it.
func deployment(group *v1alpha1.WasmCloudHostConfig, template corev1.PodTemplateSpec, autoscaled *int32) *appsv1.Deployment {
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: objectMeta(group, group.Name),
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: selectorLabels(group)}, Template: template,
			Strategy: deploymentStrategy(rolloutOf(group))},
	}
	if autoscaled == nil {
		d.Spec.Replicas = new(wantedReplicas(group))
	}
	return d
}

func isDaemonSet(group *v1alpha1.WasmCloudHostConfig) bool {
	return group.Spec.SchedulingOptions != nil && group.Spec.SchedulingOptions.Daemonset
}

func wantedReplicas(group *v1alpha1.WasmCloudHostConfig) int32 {
	if group.Spec.HostReplicas == nil {
		return 1
	}
	return *group.Spec.HostReplicas
}

// objectMeta names an object of the group and makes the group its owner, so that it goes with the group.
func objectMeta(group *v1alpha1.WasmCloudHostConfig, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:      name,
		Namespace: group.Namespace,
		Labels:    map[string]string{v1alpha1.AppNameLabel: v1alpha1.AppName, v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.Kind,
			Name: group.Name, UID: group.UID, Controller: new(true),
		}},
	}
}
