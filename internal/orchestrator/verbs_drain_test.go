package orchestrator

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// ends are the pods that are being ended, as Kubernetes knows them.
type ends struct {
	mu       sync.Mutex
	since    map[string]time.Time
	watchers map[context.Context]podWatch
}

type podWatch struct{ ending, gone func(label, value string) }

var _ HostEnds = (*ends)(nil)

func newEnds() *ends {
	return &ends{since: map[string]time.Time{}, watchers: map[context.Context]podWatch{}}
}

func (e *ends) Watch(ctx context.Context, ending, gone func(label, value string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watchers[ctx] = podWatch{ending, gone}
	for uid := range e.since {
		ending("pod", uid)
	}
	context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.watchers, ctx)
	})
}

// Alive cannot say: only pods that are being ended are noted.
func (e *ends) Alive(_, _ string) (alive, known bool) { return false, false }

// all are the pods that are being ended, and since when.
func (e *ends) all() map[string]time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.since)
}

// begin says whether the pod was not being ended yet.
func (e *ends) begin(uid string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, already := e.since[uid]; already {
		return false
	}
	e.since[uid] = time.Now()
	for _, w := range e.watchers {
		w.ending("pod", uid)
	}
	return true
}

// finish says whether the pod was not gone yet.
func (e *ends) finish(uid string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, there := e.since[uid]; !there {
		return false
	}
	delete(e.since, uid)
	for _, w := range e.watchers {
		w.gone("pod", uid)
	}
	return true
}

// drainTime is how long a pod is kept from ending.
const drainTime = 35 * time.Second

// drain ends the pod of a host: the host stops when nothing of ours is left on it, or when the time is over.
func (x *trial) drain(id string) {
	uid := x.bus.inventory(id).Labels["pod"]
	if !x.ends.begin(uid) {
		return
	}
	began := time.Now()
	var look func()
	look = func() {
		inv := x.bus.inventory(id)
		if here := inv.Labels["pod"] == uid; !here || time.Since(began) > x.hasten(drainTime) || x.strangersOnly(inv) {
			x.endPod(uid)
			return
		}
		time.AfterFunc(x.hasten(time.Second), look)
	}
	time.AfterFunc(x.hasten(time.Second), look)
}

func (x *trial) strangersOnly(inv lattice.Inventory) bool {
	for _, id := range idsOf(inv) {
		if _, annotations, _ := instance(inv, id); annotations[lattice.AnnotationAppSpec] != "" {
			return false
		}
	}
	return true
}

// endPod stops the host of a pod, if it is there, and takes the pod away.
func (x *trial) endPod(uid string) {
	for _, id := range x.bus.Hosts() {
		if x.bus.inventory(id).Labels["pod"] == uid {
			x.bus.Stop(id)
		}
	}
	x.ends.finish(uid)
}

func (x *trial) hasten(d time.Duration) time.Duration { return d / max(x.haste, 1) }
