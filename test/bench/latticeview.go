package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/ledger"
	"github.com/trellis-operator/trellis/internal/store"
)

// view is what hosts report, as somebody else on the same NATS sees it.
type view struct {
	conn    *nats.Conn
	control *control.Client
	js      jetstream.JetStream
	stored  atomic.Uint64

	mu sync.Mutex
	// places are the hosts on which a component runs, with since when.
	places map[string]map[string]time.Time
	news   chan struct{}
}

func newView(ctx context.Context, url string) (*view, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, fmt.Errorf("look at the lattice: %w", err)
	}
	v := &view{conn: conn, places: map[string]map[string]time.Time{}, news: make(chan struct{})}
	if v.js, err = jetstream.New(conn); err != nil {
		return v, fmt.Errorf("look at the lattice: %w", err)
	}
	if v.control, err = control.New(conn, lattice.DefaultLattice, control.Options{}); err != nil {
		return v, err
	}
	if _, err = conn.Subscribe(objects, func(*nats.Msg) { v.stored.Add(1) }); err != nil {
		return v, fmt.Errorf("look at the lattice: %w", err)
	}
	_, err = v.control.Events(ctx, v.note, nil)
	return v, err
}

func (v *view) note(e lattice.Event) {
	scaled, ok := e.Data.(lattice.ComponentScaled)
	if !ok {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	at := v.places[scaled.ComponentID]
	switch {
	case scaled.MaxInstances == 0:
		delete(at, e.Host)
	case at == nil:
		v.places[scaled.ComponentID] = map[string]time.Time{e.Host: time.Now()}
	case at[e.Host].IsZero():
		at[e.Host] = time.Now()
	default:
		return // the second report of the same
	}
	close(v.news)
	v.news = make(chan struct{})
}

// on are the components of a host.
func (v *view) on(host string) (ids []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, at := range v.places {
		if _, runs := at[host]; runs {
			ids = append(ids, id)
		}
	}
	return ids
}

// busiest is the host that runs most.
func (v *view) busiest() (host string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	count := map[string]int{}
	for _, at := range v.places {
		for host := range at {
			count[host]++
		}
	}
	for name, n := range count {
		if n > count[host] || n == count[host] && name < host {
			host = name
		}
	}
	return host
}

// forget takes a component out of the view: what is reported next is news.
func (v *view) forget(id string) (hosts []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	hosts = slices.Collect(maps.Keys(v.places[id]))
	delete(v.places, id)
	return hosts
}

// gone takes a host out of the view that can no longer say what it runs.
func (v *view) gone(host string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, at := range v.places {
		delete(at, host)
	}
}

// moved waits until components run somewhere, and says since when each does.
func (v *view) moved(ctx context.Context, ids []string) (map[string]time.Time, error) {
	for {
		v.mu.Lock()
		news, at := v.news, map[string]time.Time{}
		for _, id := range ids {
			for _, since := range v.places[id] {
				at[id] = since
			}
		}
		v.mu.Unlock()
		if len(at) == len(ids) {
			return at, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return at, fmt.Errorf("%d of %d components run again: %w", len(at), len(ids), ctx.Err())
		}
	}
}

// stop ends a component behind the orchestrator's back.
func (v *view) stop(ctx context.Context, id string) error {
	for _, host := range v.forget(id) {
		cmd := lattice.ScaleComponent{ComponentID: id, ComponentRef: "ghcr.io/acme/main:1", HostID: host}
		if _, err := v.control.ScaleComponent(ctx, cmd); err != nil {
			return err
		}
	}
	return nil
}

// objects matches what the store writes of objects; the records of its own compactions, one a minute as long as there is
// young history, are left out.
const objects = store.DefaultStream + ".*.obj.>"

// written is how many messages were written for objects since the view began, and ever for claims.
func (v *view) written(ctx context.Context) (uint64, error) {
	name := "KV_" + ledger.Bucket(lattice.DefaultLattice)
	stream, err := v.js.Stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("count messages of stream %s: %w", name, err)
	}
	return v.stored.Load() + stream.CachedInfo().State.LastSeq, nil
}
