package hostgroup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/json"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/conditions"
)

// lookAtForeign says whether the pods keep the template of wasmCloud's operator, and notes in the status what it made.
func (r *Reconciler) lookAtForeign(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) (bool, error) {
	foreign, err := r.foreignTemplate(ctx, group)
	if err != nil {
		return false, err
	}
	r.noteTemplate(group, foreign)
	return foreign != nil, r.noteOrphan(ctx, group, foreign)
}

// noteTemplate keeps the condition that tells of pods with the template of wasmCloud's operator.
func (r *Reconciler) noteTemplate(group *v1alpha1.WasmCloudHostConfig, foreign client.Object) {
	if foreign == nil {
		conditions.Remove(&group.Status.Conditions, v1alpha1.ConditionTemplateOutdated)
		return
	}
	r.set(group, v1alpha1.ConditionTemplateOutdated, metav1.ConditionTrue, "MadeByWasmCloudOperator", fmt.Sprintf(
		"The pods keep the template of wasmCloud's operator, which lacks: %s. Changes of the spec wait. Set the annotation %s: %s to replace the pods.",
		strings.Join(lacks(podSpecOf(foreign)), "; "), v1alpha1.AdoptAnnotation, v1alpha1.AdoptRoll))
}

// noteOrphan keeps the condition that tells of the workload of the other kind that wasmCloud's operator left behind when
// the kind was changed. While the pods keep its template, nothing of it is removed.
func (r *Reconciler) noteOrphan(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, foreign client.Object) error {
	other, err := r.other(ctx, group)
	if err != nil {
		return err
	}
	owned := other != nil && metav1.IsControlledBy(other, group)
	if other == nil || owned && foreign == nil { // ours, or replaced by ours: it goes by itself
		conditions.Remove(&group.Status.Conditions, v1alpha1.ConditionOrphanedWorkload)
		return nil
	}
	kind := strings.ToLower(kindOf(other))
	next := fmt.Sprintf("Remove it with kubectl delete %s %s", kind, group.Name)
	if owned {
		next += fmt.Sprintf(", or set the annotation %s: %s, with which it goes once its pods are replaced", v1alpha1.AdoptAnnotation, v1alpha1.AdoptRoll)
	}
	r.set(group, v1alpha1.ConditionOrphanedWorkload, metav1.ConditionTrue, "LeftByWasmCloudOperator", fmt.Sprintf(
		"%s %s of another kind than the group asks for still runs hosts. %s.", kindOf(other), group.Name, next))
	return nil
}

func podSpecOf(workload client.Object) *corev1.PodSpec {
	switch w := workload.(type) {
	case *appsv1.Deployment:
		return &w.Spec.Template.Spec
	case *appsv1.DaemonSet:
		return &w.Spec.Template.Spec
	}
	return &corev1.PodSpec{}
}

// namesPod says whether the host of a pod gets the labels that join the two.
func namesPod(pod *corev1.PodSpec) bool {
	for _, c := range pod.Containers {
		if c.Name == v1alpha1.HostContainer && slices.ContainsFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == labelEnvPrefix+v1alpha1.HostLabelPodUID }) {
			return true
		}
	}
	return false
}

// lacks lists what the template of wasmCloud's operator is missing.
func lacks(pod *corev1.PodSpec) []string {
	var out []string
	add := func(missing bool, what string) {
		if missing {
			out = append(out, what)
		}
	}
	probed := false
	for _, c := range pod.Containers {
		probed = probed || c.Name == v1alpha1.HostContainer && c.ReadinessProbe != nil
	}
	add(!namesPod(pod), "labels that join hosts and pods")
	add(!probed, "probes")
	add(len(pod.InitContainers) == 0, "a leaf that starts before and ends after the host and listens on 127.0.0.1 only")
	add(pod.SecurityContext == nil || pod.SecurityContext.RunAsNonRoot == nil, "restricted pod security")
	add(pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken, "pods without an API token")
	return out
}

// ignoredFields names what the additions hold that Kubernetes does not know.
func ignoredFields(options *v1alpha1.SchedulingOptions) string {
	if options == nil {
		return ""
	}
	var out []string
	look := func(field string, additions *apiextensionsv1.JSON, into any) {
		if additions == nil {
			return
		}
		unknown, err := json.UnmarshalStrict(additions.Raw, into)
		if err != nil {
			return
		}
		for _, u := range unknown {
			if !strings.Contains(u.Error(), `"$`) { // directives of the merge
				out = append(out, fmt.Sprintf("%s: %v", field, u))
			}
		}
	}
	look("podTemplateAdditions", options.PodTemplateAdditions, &corev1.PodSpec{})
	if c := options.ContainerTemplateAdditions; c != nil {
		look("containerTemplateAdditions.nats", c.Nats, &corev1.Container{})
		look("containerTemplateAdditions.wasmcloud", c.Wasmcloud, &corev1.Container{})
	}
	return strings.Join(out, ", ")
}
