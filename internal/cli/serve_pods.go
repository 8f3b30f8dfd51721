package cli

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/orchestrator"
)

var _ orchestrator.HostDeaths = (*podDeaths)(nil)

// podDeaths tells orchestrators at once when the pod of a host is gone: a host that was killed says no goodbye, and its
// heartbeats would be missed only after a minute.
type podDeaths struct {
	mu       sync.Mutex
	next     int
	watchers map[int]func(label, value string)
}

func newPodDeaths() *podDeaths { return &podDeaths{watchers: map[int]func(string, string){}} }

// follow tells the watchers about pods that the cache no longer has.
func (d *podDeaths) follow(ctx context.Context, pods cache.Cache) error {
	informer, err := pods.GetInformer(ctx, &corev1.Pod{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch the pods of hosts: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{DeleteFunc: func(obj any) {
		if lost, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
			obj = lost.Obj
		}
		if pod, ok := obj.(*corev1.Pod); ok {
			d.tell(v1alpha1.HostLabelPodUID, string(pod.UID))
		}
	}})
	return err
}

func (d *podDeaths) tell(label, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, dead := range d.watchers {
		dead(label, value)
	}
}

// Watch calls dead for each host whose pod is gone, named by the label that carries the pod's uid, until ctx ends.
func (d *podDeaths) Watch(ctx context.Context, dead func(label, value string)) {
	d.mu.Lock()
	id := d.next
	d.next++
	d.watchers[id] = dead
	d.mu.Unlock()
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, id)
	})
}
