package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/orchestrator"
)

var _ orchestrator.HostEnds = (*podEnds)(nil)

// podEnds tells orchestrators at once when the pod of a host is terminating, so that its share is replaced in time, and
// when it is gone: a host that was killed says no goodbye, and its heartbeats would be missed only after a minute.
type podEnds struct {
	mu       sync.Mutex
	next     int
	watchers map[int]podWatcher
	// pods says of each, by its uid, whether it is terminating; synced whether these are all that there are.
	pods   map[string]bool
	synced func() bool
}

type podWatcher struct{ ending, gone func(label, value string) }

func newPodEnds() *podEnds {
	return &podEnds{watchers: map[int]podWatcher{}, pods: map[string]bool{}, synced: func() bool { return false }}
}

// follow tells the watchers about pods of the cache.
func (d *podEnds) follow(ctx context.Context, pods cache.Cache) error {
	informer, err := pods.GetInformer(ctx, &corev1.Pod{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch the pods of hosts: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: d.seen, UpdateFunc: d.changed, DeleteFunc: d.deleted,
	})
	if err != nil {
		return fmt.Errorf("watch the pods of hosts: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.synced = registration.HasSynced
	return nil
}

// seen tells of a pod once that it is terminating.
func (d *podEnds) seen(obj any) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	uid, ending := string(pod.UID), pod.DeletionTimestamp != nil
	d.mu.Lock()
	told := d.pods[uid] || !ending
	d.pods[uid] = ending
	watchers := d.listeners()
	d.mu.Unlock()
	for _, w := range watchers {
		if !told {
			w.ending(v1alpha1.HostLabelPodUID, uid)
		}
	}
}

// changed: one of the same name may have taken the place of another.
func (d *podEnds) changed(before, now any) {
	old, ok := before.(*corev1.Pod)
	pod, too := now.(*corev1.Pod)
	if ok && too && old.UID != pod.UID {
		d.deleted(before)
	}
	d.seen(now)
}

func (d *podEnds) deleted(obj any) {
	if lost, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = lost.Obj
	}
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	d.mu.Lock()
	delete(d.pods, string(pod.UID))
	watchers := d.listeners()
	d.mu.Unlock()
	for _, w := range watchers {
		w.gone(v1alpha1.HostLabelPodUID, string(pod.UID))
	}
}

// listeners are called without the lock: they may wait for somebody who asks whether a pod is alive.
func (d *podEnds) listeners() []podWatcher { return slices.Collect(maps.Values(d.watchers)) }

// Alive says whether there is a pod of that uid, as soon as all pods are known.
func (d *podEnds) Alive(label, value string) (alive, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if label != v1alpha1.HostLabelPodUID || !d.synced() {
		return false, false
	}
	_, alive = d.pods[value]
	return alive, true
}

// Watch calls ending for each host whose pod is terminating, those that are already included, and gone for each whose pod
// is gone, named by the label that carries the pod's uid, until ctx ends.
func (d *podEnds) Watch(ctx context.Context, ending, gone func(label, value string)) {
	d.mu.Lock()
	id := d.next
	d.next++
	d.watchers[id] = podWatcher{ending, gone}
	var before []string
	for uid, terminating := range d.pods {
		if terminating {
			before = append(before, uid)
		}
	}
	d.mu.Unlock()
	for _, uid := range before {
		ending(v1alpha1.HostLabelPodUID, uid)
	}
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, id)
	})
}
