package hostgroup

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A group is settled when every pod is a new one and ready: an old one that stays, because the new one cannot start, does
// not stand in for it.
func TestSettled(t *testing.T) {
	for name, tc := range map[string]struct {
		status appsv1.DeploymentStatus
		want   bool
	}{
		"all new, all ready":             {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2}, true},
		"not seen yet":                   {appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2}, false},
		"a new one is not ready":         {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 1}, false},
		"old ones are ready instead":     {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 4, UpdatedReplicas: 2, ReadyReplicas: 2}, false},
		"an old one stays beside them":   {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 2, ReadyReplicas: 3}, false},
		"one is missing":                 {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1}, false},
		"more than wanted, all new ones": {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: 3}, true},
	} {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(2))}, Status: tc.status}
		if got := sizeOf(d).settled(); got != tc.want {
			t.Errorf("%s: settled %t; want %t", name, got, tc.want)
		}
	}
}
