package apply

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCovers(t *testing.T) {
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: map[string]string{"a": "1"}, Finalizers: []string{"ours"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i", StartupProbe: &corev1.Probe{PeriodSeconds: 2}}}}}
		if change != nil {
			change(p)
		}
		return p
	}
	for name, tc := range map[string]struct {
		live func(*corev1.Pod)
		want bool
	}{
		"same": {nil, true},
		"defaults, status, times and labels of others": {func(p *corev1.Pod) {
			p.CreationTimestamp = metav1.Now()
			p.Labels["b"] = "2"
			p.Spec.DNSPolicy = corev1.DNSClusterFirst
			p.Spec.Containers[0].StartupProbe.SuccessThreshold = 1
			p.Status.Phase = corev1.PodRunning
		}, true},
		"another image":      {func(p *corev1.Pod) { p.Spec.Containers[0].Image = "x" }, false},
		"one more":           {func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "d"}) }, false},
		"label changed":      {func(p *corev1.Pod) { p.Labels["a"] = "2" }, false},
		"held by others too": {func(p *corev1.Pod) { p.Finalizers = []string{"theirs", "ours"} }, true},
		"let go":             {func(p *corev1.Pod) { p.Finalizers = nil }, false},
		"let go, and being deleted": {func(p *corev1.Pod) {
			p.Finalizers, p.DeletionTimestamp = []string{"theirs"}, new(metav1.Now())
		}, true},
		"something absent": {func(p *corev1.Pod) { p.Spec.Containers[0].StartupProbe = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := covers(pod(tc.live), pod(nil))
			if err != nil || got != tc.want {
				t.Errorf("covers = %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}
