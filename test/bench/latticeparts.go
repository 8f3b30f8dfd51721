package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// single applies one application after the other.
func (b *latticeBench) single(ctx context.Context) error {
	// The first one waits until the orchestrator leads.
	if _, err := b.apps.apply(ctx, "first", wholeApp("first", 7999)); err != nil {
		return err
	}
	took := make([]time.Duration, 0, b.size.single)
	for i := range b.size.single {
		name := fmt.Sprintf("alone-%d", i)
		d, err := b.apps.apply(ctx, name, wholeApp(name, 8000+i))
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	q := quantilesOf(took)
	b.add(atMost(row{Name: "lattice: one application, apply to Deployed, p50", Value: milli(q.p50), Unit: "ms"}, 50))
	b.add(atMost(row{Name: "lattice: one application, apply to Deployed, p99", Value: milli(q.p99), Unit: "ms"}, 150))
	return nil
}

// usage is what trellis used of a processor over a time.
func (b *latticeBench) usage() (stop func() (cores float64, err error), err error) {
	began := time.Now()
	before, err := b.trellis.CPU()
	return func() (float64, error) {
		after, err := b.trellis.CPU()
		return (after - before).Seconds() / time.Since(began).Seconds(), err
	}, err
}

// atRate applies applications at a rate, whether or not those before are deployed.
func (b *latticeBench) atRate(ctx context.Context) error {
	used, err := b.usage()
	if err != nil {
		return err
	}
	n := int(b.size.rate.Seconds() * applyRate)
	took, failures := make([]time.Duration, n), make([]error, n)
	var group sync.WaitGroup
	tick := time.NewTicker(time.Second / applyRate)
	defer tick.Stop()
	for i := range n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		group.Go(func() {
			name := fmt.Sprintf("rate-%d", i)
			took[i], failures[i] = b.apps.apply(ctx, name, wholeApp(name, 10_000+i))
		})
	}
	group.Wait()
	cores, err := used()
	if err != nil {
		return err
	}
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	q, what := quantilesOf(took), fmt.Sprintf("lattice: %d applications at %d/s", n, applyRate)
	b.add(row{Name: what + ", apply to Deployed, p50", Value: milli(q.p50), Unit: "ms"})
	b.add(atMost(row{Name: what + ", apply to Deployed, p99", Value: milli(q.p99), Unit: "ms"}, 1000))
	b.add(atMost(row{Name: what + ", cores", Value: cores, Unit: "cores"}, 0.5))
	b.add(atMost(row{Name: what + ", memory", Value: float64(b.trellis.Memory()) / mib, Unit: "MiB"}, 256))
	return nil
}

// settled waits until nothing is commanded and nothing stored for a while.
func (b *latticeBench) settled(ctx context.Context) error {
	for since, last := time.Now(), ""; time.Since(since) < 3*time.Second; {
		commands, writes, err := b.activity(ctx)
		if err != nil {
			return err
		}
		if now := fmt.Sprint(commands, writes); now != last {
			since, last = time.Now(), now
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the lattice does not come to rest: %w", ctx.Err())
		}
	}
	return nil
}

func (b *latticeBench) activity(ctx context.Context) (commands, writes uint64, err error) {
	counts, err := b.hosts.Counts()
	if err != nil {
		return 0, 0, err
	}
	writes, err = b.view.written(ctx)
	return counts.Changing(), writes, err
}

// steady lets a converged lattice be.
func (b *latticeBench) steady(ctx context.Context) error {
	if err := b.settled(ctx); err != nil {
		return err
	}
	commands, writes, err := b.activity(ctx)
	if err != nil {
		return err
	}
	used, err := b.usage()
	if err != nil {
		return err
	}
	select {
	case <-time.After(b.size.steady):
	case <-ctx.Done():
		return ctx.Err()
	}
	cores, err := used()
	if err != nil {
		return err
	}
	commandsAfter, writesAfter, err := b.activity(ctx)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("lattice: %d hosts x %d components steady for %s", b.up, b.count, b.size.steady)
	b.add(atMost(row{Name: what + ", processor", Value: 100 * cores, Unit: "% of a core"}, 5))
	b.add(atMost(row{Name: what + ", memory", Value: float64(b.trellis.Memory()) / mib, Unit: "MiB"}, 256))
	b.add(row{Name: what + ", memory, highest so far", Value: float64(b.trellis.Peak()) / mib, Unit: "MiB"})
	b.add(atMost(row{Name: what + ", commands", Value: float64(commandsAfter - commands), Unit: "commands"}, 0))
	b.add(atMost(row{Name: what + ", store writes", Value: float64(writesAfter - writes), Unit: "writes"}, 0))
	return nil
}
