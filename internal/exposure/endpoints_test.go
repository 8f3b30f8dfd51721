package exposure

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The conditions of an endpoint are those that Kubernetes' own controller would set: nodes send requests to what is ready, and
// to what serves and terminates as long as nothing is ready.
func TestEndpoint_Conditions(t *testing.T) {
	for name, c := range map[string]struct {
		ready, deleted                  bool
		wantReady, serving, terminating bool
	}{
		"ready":                    {true, false, true, true, false},
		"not ready":                {false, false, false, false, false},
		"terminating, and serving": {true, true, false, true, true},
		"terminating":              {false, true, false, false, true},
	} {
		pod := podNamed("a", "10.0.0.1")
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
		if c.ready {
			pod.Status.Conditions[0].Status = corev1.ConditionTrue
		}
		if c.deleted {
			pod.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
		}
		got := (server{pod: pod}).endpoint("10.0.0.1").Conditions
		if *got.Ready != c.wantReady || *got.Serving != c.serving || *got.Terminating != c.terminating {
			t.Errorf("%s: ready %t, serving %t, terminating %t", name, *got.Ready, *got.Serving, *got.Terminating)
		}
		if !alive(pod) {
			t.Errorf("%s: is no endpoint at all", name)
		}
	}
}

// A host that drains serves until it has ended: not ready, serving, terminating, as Kubernetes' own controller says it.
func TestEndpoints_TerminatingPodsThatServe(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	pod := w.pod("hosts-0")
	pod.Finalizers = []string{"example.com/hold"} // a grace period, which the fake has not
	if err := w.client.Update(context.Background(), pod); err != nil {
		t.Fatal(err)
	}
	w.delete(pod)
	w.reconcile()
	w.expect("10.0.0.1:8080! 10.0.0.2:8080 [fd00::2]:8080", "True/Exposed")
	c := w.slices()[0].Endpoints[0].Conditions
	if *c.Ready || !*c.Serving || !*c.Terminating {
		t.Errorf("conditions = %v %v %v", *c.Ready, *c.Serving, *c.Terminating)
	}
	w.view.hosts["hello_world-httpserver"] = []Host{hostOf("hosts-1")} // the host stopped it
	w.reconcile()
	w.expect("10.0.0.2:8080 [fd00::2]:8080", "True/Exposed")
}

func TestEndpoints_Zones(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{corev1.LabelTopologyZone: "a"}}}
	w := newWorld(t, node)
	w.reconcile()
	if z := w.slices()[0].Endpoints[0].Zone; z == nil || *z != "a" {
		t.Errorf("zone = %v", z)
	}
	if got := w.r.everyApplication(context.Background(), node); len(got) != 1 || got[0].NamespacedName != hello {
		t.Errorf("applications of a node = %v", got)
	}
	w.atRest()
}

// One event of a pod is one look at the applications that it serves, and no look at any other.
func TestEndpoints_APodConcernsItsApplicationsOnly(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	stranger := podNamed("stranger", "10.0.0.9")
	for pod, want := range map[*corev1.Pod]int{w.pod("hosts-0"): 1, stranger: 0} {
		if got := w.r.applicationsOfPod(context.Background(), pod); len(got) != want {
			t.Errorf("pod %s: %v", pod.Name, got)
		}
	}
	w.app.Deployed = false
	w.reconcile()
	if got := w.r.applicationsOfPod(context.Background(), w.pod("hosts-0")); len(got) > 0 {
		t.Errorf("after the undeployment: %v", got)
	}
}
