package cli

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func operatorPod() (*appsv1.Deployment, *corev1.Pod) {
	labels := map[string]string{"app": "trellis"}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "trellis"},
			Spec: appsv1.DeploymentSpec{Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: labels}}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "trellis-1", Labels: labels}}
}

// Nothing is let go before the last pod of the operator is gone: it would be taken again.
func TestUninstall_WaitsForTheOperatorsEnd(t *testing.T) {
	t.Parallel()
	deployment, pod := operatorPod()
	kube := fake.NewClientset(deployment, pod)
	o := uninstallOptions{namespace: "sys", deployment: "trellis", timeout: 20 * time.Millisecond}
	if err := stopOperator(t.Context(), kube, o); err == nil || !strings.Contains(err.Error(), "1 pods of Deployment sys/trellis") {
		t.Errorf("with a pod that runs: %v", err)
	}
	scaled, err := kube.AppsV1().Deployments("sys").Get(t.Context(), "trellis", metav1.GetOptions{})
	if err != nil || *scaled.Spec.Replicas != 0 {
		t.Errorf("replicas = %v, %v", scaled.Spec.Replicas, err)
	}
	done := make(chan error, 1)
	o.timeout = time.Minute
	go func() { done <- stopOperator(t.Context(), kube, o) }()
	if err := kube.CoreV1().Pods("sys").Delete(t.Context(), "trellis-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := stopOperator(t.Context(), fake.NewClientset(), o); err != nil {
		t.Errorf("without a Deployment: %v", err)
	}
}
