package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// endpoints is what EndpointSlices say, as kube-proxy or a gateway sees it.
type endpoints struct {
	mu sync.Mutex
	// of are the pods in each slice, and whether each is ready.
	of map[string]map[types.UID]bool
	// changed is when a slice changed last, ready when there first was a ready endpoint in it.
	changed, ready map[string]time.Time
	news           chan struct{} // closed at each change, and made anew
}

func newEndpoints() *endpoints {
	return &endpoints{of: map[string]map[types.UID]bool{}, changed: map[string]time.Time{}, ready: map[string]time.Time{}, news: make(chan struct{})}
}

// watchEndpoints follows all slices until ctx ends.
func watchEndpoints(ctx context.Context, kube kubernetes.Interface) (*endpoints, error) {
	e := newEndpoints()
	factory := informers.NewSharedInformerFactory(kube, 0)
	informer := factory.Discovery().V1().EndpointSlices().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    e.seen,
		UpdateFunc: func(_, now any) { e.seen(now) },
		DeleteFunc: func(old any) {
			if lost, ok := old.(cache.DeletedFinalStateUnknown); ok {
				old = lost.Obj
			}
			if slice, ok := old.(*discoveryv1.EndpointSlice); ok {
				e.note(slice.Name, nil, time.Now())
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watch endpoint slices: %w", err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, errors.New("endpoint slices could not be listed")
	}
	return e, nil
}

func (e *endpoints) seen(object any) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return
	}
	pods := map[types.UID]bool{}
	for _, endpoint := range slice.Endpoints {
		if endpoint.TargetRef != nil {
			pods[endpoint.TargetRef.UID] = endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready
		}
	}
	e.note(slice.Name, pods, time.Now())
}

// note records what a slice says now; nil for one that is gone.
func (e *endpoints) note(name string, pods map[types.UID]bool, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changed[name] = now
	e.of[name] = pods
	for _, ready := range pods {
		if ready && e.ready[name].IsZero() {
			e.ready[name] = now
		}
	}
	close(e.news)
	e.news = make(chan struct{})
}

// with are the slices that hold a pod.
func (e *endpoints) with(pod types.UID) (names []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, pods := range e.of {
		if _, holds := pods[pod]; holds {
			names = append(names, name)
		}
	}
	return names
}

// until waits for something that slices say; ok is called with the lock held.
func (e *endpoints) until(ctx context.Context, what string, ok func() bool) error {
	for {
		e.mu.Lock()
		done, news := ok(), e.news
		e.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
	}
}

// follows waits until slices say of a pod what it is as an endpoint, and returns when the last of them came to. What
// happens to a slice after that does not count.
func (e *endpoints) follows(ctx context.Context, names []string, pod types.UID, want state) (last time.Time, err error) {
	err = e.until(ctx, fmt.Sprintf("%d slices follow pod %s", len(names), pod), func() bool {
		var at time.Time
		if names, at = e.waiting(names, pod, want); at.After(last) {
			last = at
		}
		return len(names) == 0
	})
	return last, err
}

// waiting are those of the slices that do not say that yet, and when the last of the others changed.
func (e *endpoints) waiting(names []string, pod types.UID, want state) (rest []string, last time.Time) {
	for _, name := range names {
		ready, holds := e.of[name][pod]
		if stateOf(ready, holds) != want {
			rest = append(rest, name)
		} else if e.changed[name].After(last) {
			last = e.changed[name]
		}
	}
	return rest, last
}

// state of a pod as an endpoint.
type state int

const (
	gone state = iota
	unready
	serving
)

func stateOf(ready, holds bool) state {
	switch {
	case !holds:
		return gone
	case ready:
		return serving
	}
	return unready
}
