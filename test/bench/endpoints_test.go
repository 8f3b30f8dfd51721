package main

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestEndpoints(t *testing.T) {
	e := newEndpoints()
	ready := true
	e.seen(&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Endpoints: []discoveryv1.Endpoint{{
		TargetRef: &corev1.ObjectReference{UID: "pod"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}}})
	if names := e.with("pod"); len(names) != 1 || names[0] != "a" || e.ready["a"].IsZero() {
		t.Fatalf("slices with the pod: %v, ready %v", names, e.ready)
	}
	at := time.Now().Add(time.Hour)
	for _, step := range []struct {
		pods map[types.UID]bool
		want state
	}{{map[types.UID]bool{"pod": false}, unready}, {map[types.UID]bool{"pod": true}, serving}, {nil, gone}} {
		before, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := e.follows(before, []string{"a"}, "pod", step.want); err == nil {
			t.Errorf("state %d was there before it was said", step.want)
		}
		cancel()
		at = at.Add(time.Second)
		e.note("a", step.pods, at)
		if last, err := e.follows(t.Context(), []string{"a"}, "pod", step.want); err != nil || !last.Equal(at) {
			t.Errorf("state %d came at %v, %v; want %v", step.want, last, err, at)
		}
	}
}

// TestEndpoints_Waiting: a slice that came to what is waited for is not looked at again, whatever happens to it then.
func TestEndpoints_Waiting(t *testing.T) {
	e, began := newEndpoints(), time.Now()
	e.note("a", map[types.UID]bool{"other": true}, began)
	e.note("b", map[types.UID]bool{"pod": true}, began.Add(time.Second))
	rest, last := e.waiting([]string{"a", "b"}, "pod", gone)
	if len(rest) != 1 || rest[0] != "b" || !last.Equal(began) {
		t.Errorf("waits for %v, the last of the others came after %s", rest, last.Sub(began))
	}
}
