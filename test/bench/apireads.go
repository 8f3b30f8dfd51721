package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// fillTime is what the caches of a started trellis have to fill.
const fillTime = 15 * time.Second

// read compares gets and lists.
func (b *apiBench) read(ctx context.Context) error {
	got := byWay{}
	for range rounds {
		for _, t := range b.ways() {
			var objects []*object
			for range b.size.gets / rounds {
				objects = append(objects, b.objects(t)[rand.IntN(b.size.objects)])
			}
			if err := got.of(t).alone(ctx, objects, t.get); err != nil {
				return err
			}
		}
	}
	b.compare("get: p50", "ms", func(t *target) float64 { return got.of(t).p50() }, atMostMore(1.5))
	b.compare("get: p99", "ms", func(t *target) float64 { return got.of(t).p99() }, nil)
	if err := b.readLists(ctx, "list of a namespace: p50", "bench-001", b.size.lists, 1.3); err != nil {
		return err
	}
	if err := b.readLists(ctx, "list of all: p50", "", 3, 1); err != nil {
		return err
	}
	return b.countCached(ctx)
}

func (b *apiBench) readLists(ctx context.Context, name, namespace string, times int, limit float64) error {
	w := byWay{}
	want := b.size.objects
	if namespace != "" {
		want /= b.size.namespaces
	}
	for range times {
		for _, t := range b.ways() {
			var found int
			took, err := timed(func() (err error) { found, err = t.list(ctx, namespace); return err })
			if err != nil {
				return err
			}
			if found < want {
				return fmt.Errorf("%s shows %d objects, want at least %d", t.collection(namespace), found, want)
			}
			w.of(t).took = append(w.of(t).took, took)
		}
	}
	b.compare(name, "ms", func(t *target) float64 { return w.of(t).p50() }, atMostTimes(limit))
	return nil
}

// countCached shows that consistent lists were answered from the watch cache.
func (b *apiBench) countCached(ctx context.Context) error {
	answer, err := b.direct.send(ctx, http.MethodGet, b.trellis.Config.Host+"/metrics", "")
	if err != nil {
		return err
	}
	var cached, all float64
	for _, line := range strings.Split(string(answer), "\n") {
		if !strings.HasPrefix(line, "apiserver_watch_cache_consistent_read_total{") || !strings.Contains(line, `resource="applications"`) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return fmt.Errorf("read %q: %w", line, err)
		}
		all += value
		if strings.Contains(line, `fallback="false"`) && strings.Contains(line, `success="true"`) {
			cached += value
		}
	}
	if all == 0 {
		return fmt.Errorf("the metrics of trellis show no consistent list")
	}
	b.add(atLeast(row{Name: "consistent lists from the cache", Value: 100 * cached / all, Unit: "%"}, 100))
	return nil
}

// discover asks for what kubectl asks at its start.
func (b *apiBench) discover(ctx context.Context, times int) (byWay, error) {
	w := byWay{}
	for range rounds {
		for _, t := range []*target{b.aggregated, b.direct} {
			for range times / rounds {
				took, err := timed(func() error { _, err := t.send(ctx, http.MethodGet, t.base, ""); return err })
				if err != nil {
					return nil, err
				}
				w.of(t).took = append(w.of(t).took, took)
			}
		}
	}
	return w, nil
}

// withoutNATS asks for discovery while there is no NATS.
func (b *apiBench) withoutNATS(ctx context.Context) error {
	up, err := b.discover(ctx, b.size.gets)
	if err != nil {
		return err
	}
	b.nats.Stop()
	down, err := b.discover(ctx, b.size.gets)
	if err != nil {
		return err
	}
	for _, t := range []*target{b.aggregated, b.direct} {
		r := row{Name: "discovery without NATS: p99, " + t.name, Value: down.of(t).p99(), Unit: "ms", Peer: "with NATS", PeerValue: up.of(t).p99()}
		b.add(atMostTimes(2)(r))
	}
	return b.nats.Start(ctx)
}

// restart measures start and memory with all objects there.
func (b *apiBench) restart(ctx context.Context) error {
	b.add(row{Name: "memory of trellis serve, highest under the load", Value: float64(b.trellis.Peak()) / mib, Unit: "MiB",
		Peer: "kube-apiserver (all of it, now)", PeerValue: float64(b.kube.Memory()) / mib})
	b.add(atMost(row{Name: "memory of trellis serve after the load", Value: float64(b.trellis.Memory()) / mib, Unit: "MiB"}, 256))
	// First the peer: a trellis that finds no kube-apiserver for long gives up its leases and ends.
	b.trellis.Stop()
	b.kube.StopServer()
	theirs, err := timed(func() error { return b.kube.Start(ctx) })
	if err != nil {
		return err
	}
	ours, err := timed(func() error { return b.trellis.Start(ctx) })
	if err != nil {
		return err
	}
	b.add(atMost(row{Name: "start to ready", Value: ours.Seconds(), Unit: "s"}, 3))
	r := row{Name: "start to ready, in relation", Value: ours.Seconds(), Unit: "s", Peer: "kube-apiserver with the CRD", PeerValue: theirs.Seconds()}
	b.add(atMostTimes(1)(r))
	if err := b.settle(ctx); err != nil {
		return err
	}
	highest, err := b.watchMemory(ctx)
	if err != nil {
		return err
	}
	b.add(atMost(row{Name: "memory of trellis serve after a start", Value: float64(highest) / mib, Unit: "MiB"}, 256))
	return nil
}

// watchMemory is the highest resident memory in the time after a start in which all caches fill.
func (b *apiBench) watchMemory(ctx context.Context) (highest int64, err error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for until := time.Now().Add(fillTime); time.Now().Before(until); {
		highest = max(highest, b.trellis.Memory())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return highest, nil
}

// settle waits until kube-apiserver reaches ours again.
func (b *apiBench) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return b.kube.Served(ctx, ourGroup)
}
