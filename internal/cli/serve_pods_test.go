package cli

import (
	"context"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

func podOf(uid string, terminating bool) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "hosts", UID: types.UID(uid)}}
	if terminating {
		pod.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	}
	return pod
}

func TestPodEndsReachWhoeverWatches(t *testing.T) {
	ends := newPodEnds()
	ctx, cancel := context.WithCancel(t.Context())
	var first, second, late []string
	hear := func(list *[]string) (ending, gone func(string, string)) {
		return func(_, uid string) { *list = append(*list, "ending "+uid) }, func(_, uid string) { *list = append(*list, "gone "+uid) }
	}
	watch := func(ctx context.Context, list *[]string) {
		ending, gone := hear(list)
		ends.Watch(ctx, ending, gone)
	}
	watch(ctx, &first)
	watch(t.Context(), &second)
	ends.seen(podOf("a", false))
	ends.changed(podOf("a", false), podOf("a", true))
	ends.changed(podOf("a", true), podOf("a", true))
	watch(t.Context(), &late)
	ends.deleted(podOf("a", true))
	cancel()
	for deadline := time.Now().Add(10 * time.Second); ; {
		ends.mu.Lock()
		left := len(ends.watchers)
		ends.mu.Unlock()
		if left == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a watcher stays after its context ended")
		}
	}
	ends.seen(podOf("b", false))
	ends.changed(podOf("b", false), podOf("c", false)) // the end of b was missed
	if want := []string{"ending a", "gone a"}; !slices.Equal(first, want) || !slices.Equal(late, append(want, "gone b")) || !slices.Equal(second, late) {
		t.Errorf("first heard %v, second %v, the late one %v", first, second, late)
	}
}

// A pod is gone only when all pods are known and it is none of them.
func TestPodsThatAreAlive(t *testing.T) {
	ends := newPodEnds()
	label := v1alpha1.HostLabelPodUID
	ends.seen(podOf("a", true))
	if alive, known := ends.Alive(label, "a"); alive || known {
		t.Errorf("before all pods are known: alive %t, known %t; want nothing known", alive, known)
	}
	ends.synced = func() bool { return true }
	ends.seen(podOf("b", false))
	ends.deleted(podOf("b", false))
	for uid, want := range map[string]bool{"a": true, "b": false, "c": false} {
		if alive, known := ends.Alive(label, uid); alive != want || !known {
			t.Errorf("pod %s: alive %t, known %t; want %t and known", uid, alive, known, want)
		}
	}
	if _, known := ends.Alive("zone", "a"); known {
		t.Error("another label says nothing about pods")
	}
}
