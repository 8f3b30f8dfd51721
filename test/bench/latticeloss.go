package main

import (
	"context"
	"fmt"
	"time"
)

// losses ends hosts in good order, as when their pods are deleted, and waits for what ran there.
func (b *latticeBench) losses(ctx context.Context) error {
	var took []time.Duration
	for range b.size.losses {
		host := b.view.busiest()
		ids := b.view.on(host)
		b.view.gone(host)
		began := time.Now()
		if err := b.hosts.Do(`{stop: {host: %s}}`, host); err != nil {
			return err
		}
		b.up--
		at, err := b.view.moved(ctx, ids)
		if err != nil {
			return err
		}
		for _, t := range at {
			took = append(took, t.Sub(began))
		}
	}
	q := quantilesOf(took)
	what := fmt.Sprintf("lattice: host ends, %d components on %d hosts run again", len(took), b.size.losses)
	b.add(row{Name: what + ", p50", Value: q.p50.Seconds(), Unit: "s"})
	b.add(atMost(row{Name: what + ", p99", Value: q.p99.Seconds(), Unit: "s"}, 2))
	return nil
}

// silence cuts a host from NATS and waits for what ran there.
func (b *latticeBench) silence(ctx context.Context) error {
	host := b.view.busiest()
	ids := b.view.on(host)
	b.view.gone(host)
	began := time.Now()
	if err := b.hosts.Do(`{mute: {host: %s}}`, host); err != nil {
		return err
	}
	at, err := b.view.moved(ctx, ids)
	if err != nil {
		return err
	}
	var last time.Duration
	for _, t := range at {
		last = max(last, t.Sub(began))
	}
	b.add(atMost(row{Name: fmt.Sprintf("lattice: host falls silent (heartbeats of 30 s), its %d components run again", len(ids)),
		Value: last.Seconds(), Unit: "s"}, 62))
	if err := b.hosts.Do(`{kill: {host: %s}}`, host); err != nil {
		return err
	}
	b.up--
	return nil
}

// drifted stops components all over the lattice, behind the orchestrator's back.
func (b *latticeBench) drifted(ctx context.Context) (ids []string, err error) {
	for i := range b.size.drift {
		id := smallID((i*b.count + b.count - 1) / b.size.drift % b.count)
		if err := b.view.stop(ctx, id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// restart ends trellis in good order, as an update does, and kills it, and takes the time from its start to the first thing
// that it sets right. One that was killed has left a lease that must run out first.
func (b *latticeBench) restart(ctx context.Context) error {
	if err := b.restarted(ctx, "restart", b.trellis.Stop, 5); err != nil {
		return err
	}
	return b.restarted(ctx, "start after a kill", b.trellis.Kill, 0)
}

func (b *latticeBench) restarted(ctx context.Context, what string, end func(), goal float64) error {
	if err := b.settled(ctx); err != nil { // second reports of what was started are no news
		return err
	}
	end()
	ids, err := b.drifted(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	started := make(chan error, 1)
	go func() { started <- b.trellis.Start(ctx) }()
	first, last, err := b.setRight(ctx, ids)
	if err != nil {
		return err
	}
	if err := <-started; err != nil {
		return err
	}
	what = fmt.Sprintf("lattice: %s with %d applications", what, b.count)
	r := row{Name: what + ", start of the process to the first useful action", Value: first.Sub(began).Seconds(), Unit: "s"}
	if goal > 0 {
		r = atMost(r, goal)
	}
	b.add(r)
	b.add(row{Name: what + ", all set right", Value: last.Sub(began).Seconds(), Unit: "s"})
	b.add(row{Name: what + ", memory, highest", Value: float64(b.trellis.Peak()) / mib, Unit: "MiB"})
	return b.watch(ctx)
}

// setRight waits until what was stopped runs again.
func (b *latticeBench) setRight(ctx context.Context, ids []string) (first, last time.Time, err error) {
	at, err := b.view.moved(ctx, ids)
	for _, t := range at {
		if first.IsZero() || t.Before(first) {
			first = t
		}
		if t.After(last) {
			last = t
		}
	}
	return first, last, err
}

// reobserve cuts trellis from NATS, lets components drift meanwhile, and takes the time from when it may connect again to
// when all is right.
func (b *latticeBench) reobserve(ctx context.Context) error {
	if err := b.growTo(ctx, b.up, b.count+b.size.extra); err != nil {
		return err
	}
	if err := b.settled(ctx); err != nil {
		return err
	}
	b.cable.Cut(true)
	ids, err := b.drifted(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	b.cable.Cut(false)
	_, last, err := b.setRight(ctx, ids)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("lattice: connection back, %d applications on %d hosts looked at", b.count, b.up)
	b.add(atMost(row{Name: fmt.Sprintf("%s and %d set right", what, len(ids)), Value: last.Sub(began).Seconds(), Unit: "s"}, 30))
	b.add(row{Name: what + ", memory", Value: float64(b.trellis.Memory()) / mib, Unit: "MiB"})
	return nil
}
