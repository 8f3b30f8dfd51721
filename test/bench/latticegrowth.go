package main

import (
	"context"
	"fmt"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// growth makes the lattice larger and takes the cost of an event at each size.
func (b *latticeBench) growth(ctx context.Context) error {
	for i := range b.size.hosts {
		if err := b.growTo(ctx, b.size.hosts[i], b.size.apps[i]); err != nil {
			return err
		}
		if err := b.costOfEvent(ctx); err != nil {
			return err
		}
		if i == rateAt {
			if err := b.atRate(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// rateAt is the step of the growth after which applications are applied at a rate.
const rateAt = 1

func (b *latticeBench) manyHosts(ctx context.Context) error {
	if err := b.growTo(ctx, b.size.last, b.count); err != nil {
		return err
	}
	return b.costOfEvent(ctx)
}

const eventRate = 500 // a second

// costOfEvent publishes events that concern one application and change nothing, and takes what they cost beyond what the
// lattice costs without them.
func (b *latticeBench) costOfEvent(ctx context.Context) error {
	if err := b.settled(ctx); err != nil {
		return err
	}
	span := time.Duration(b.size.events) * time.Second / eventRate
	idle, err := b.cpuOver(ctx, span, nil)
	if err != nil {
		return err
	}
	host := b.view.busiest()
	id := b.view.on(host)[0]
	event := lattice.ComponentScaled{ComponentID: id, HostID: host, ImageRef: "ghcr.io/acme/main:1", MaxInstances: 1}
	busy, err := b.cpuOver(ctx, span, func(i int) error {
		body, err := lattice.EncodeEvent(lattice.Event{ID: fmt.Sprint(i), Host: host, Time: time.Now(), Data: event})
		if err != nil {
			return err
		}
		return b.view.conn.Publish("wasmbus.evt.default.component_scaled", body)
	})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("lattice: %d hosts, %d applications", b.up, b.count)
	b.add(row{Name: what + ", cost of an event", Value: micro(max(0, busy-idle)) / float64(b.size.events), Unit: "us"})
	b.add(row{Name: what + ", memory", Value: float64(b.trellis.Memory()) / mib, Unit: "MiB"})
	return nil
}

// cpuOver is the processor time over a span in which something is done eventRate times a second; nil for nothing.
func (b *latticeBench) cpuOver(ctx context.Context, span time.Duration, do func(i int) error) (time.Duration, error) {
	before, err := b.trellis.CPU()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for i := 0; time.Since(began) < span; {
		for ; do != nil && i < int(time.Since(began).Seconds()*eventRate); i++ {
			if err := do(i); err != nil {
				return 0, err
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	after, err := b.trellis.CPU()
	return after - before, err
}
