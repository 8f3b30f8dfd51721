package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	writers = 32
	rounds  = 4
	// openRate is how many writes a second the open loop begins, whether or not those before have ended.
	openRate = 100
)

// samples are the latencies of a way, and what all of them took.
type samples struct {
	took  []time.Duration
	total time.Duration
}

func (s *samples) rate() float64 { return float64(len(s.took)) / s.total.Seconds() }

func (s *samples) p50() float64 { return milli(quantilesOf(s.took).p50) }
func (s *samples) p99() float64 { return milli(quantilesOf(s.took).p99) }

// byWay are the samples of each way.
type byWay map[*target]*samples

func (w byWay) of(t *target) *samples {
	if w[t] == nil {
		w[t] = &samples{}
	}
	return w[t]
}

// alone calls one after the other.
func (s *samples) alone(ctx context.Context, objects []*object, call func(context.Context, *object) error) error {
	began := time.Now()
	for _, o := range objects {
		took, err := timed(func() error { return call(ctx, o) })
		if err != nil {
			return err
		}
		s.took = append(s.took, took)
	}
	s.total += time.Since(began)
	return nil
}

// together calls from 32 clients, each of which goes on when it has its answer.
func (s *samples) together(ctx context.Context, objects []*object, call func(context.Context, *object) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var group sync.WaitGroup
	began := time.Now()
	for w := range writers {
		group.Go(func() {
			for i := w; i < len(objects) && ctx.Err() == nil; i += writers {
				took, err := timed(func() error { return call(ctx, objects[i]) })
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				s.took = append(s.took, took)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	s.total += time.Since(began)
	return context.Cause(ctx)
}

// atRate begins a call every hundredth of a second; the latency counts from when it should have begun.
func (s *samples) atRate(ctx context.Context, objects []*object, call func(context.Context, *object) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var group sync.WaitGroup
	began := time.Now()
	for i, o := range objects {
		due := began.Add(time.Duration(i) * time.Second / openRate)
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
		}
		group.Go(func() {
			if err := call(ctx, o); err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			s.took = append(s.took, time.Since(due))
			mu.Unlock()
		})
	}
	group.Wait()
	s.total += time.Since(began)
	return context.Cause(ctx)
}

// populate creates the objects of both groups with 32 clients; ours half through the aggregator and half directly.
func (b *apiBench) populate(ctx context.Context) error {
	for i := range b.size.objects {
		theirs, ours := numbered(i, b.size.namespaces), numbered(i, b.size.namespaces)
		b.theirs, b.ours = append(b.theirs, &theirs), append(b.ours, &ours)
	}
	made := byWay{}
	for round := range rounds {
		from, to := b.size.objects*round/rounds, b.size.objects*(round+1)/rounds
		middle := (from + to) / 2
		for _, step := range []struct {
			way     *target
			objects []*object
		}{{b.peer, b.theirs[from:to]}, {b.aggregated, b.ours[from:middle]}, {b.direct, b.ours[middle:to]}} {
			if err := made.of(step.way).together(ctx, step.objects, step.way.create); err != nil {
				return err
			}
		}
	}
	b.together("create", made)
	return nil
}

// together adds the rows of 32 clients.
func (b *apiBench) together(what string, w byWay) {
	name := fmt.Sprintf("%s, %d clients: ", what, writers)
	b.compare(name+"rate", "1/s", func(t *target) float64 { return w.of(t).rate() }, atLeastTimes(0.5))
	b.compare(name+"p50", "ms", func(t *target) float64 { return w.of(t).p50() }, nil)
	b.compare(name+"p99", "ms", func(t *target) float64 { return w.of(t).p99() }, atMostTimes(2))
}

// operation is a kind of write.
type operation struct {
	name string
	call func(*target) func(context.Context, *object) error
}

var updates = []operation{
	{"update of the spec", func(t *target) func(context.Context, *object) error { return t.update }},
	{"update of the status", func(t *target) func(context.Context, *object) error { return t.updateStatus }},
}

// writeAlone is what one client sees.
func (b *apiBench) writeAlone(ctx context.Context) error {
	created := byWay{}
	for round := range rounds {
		for _, t := range b.ways() {
			var objects []*object
			for i := range b.size.single / rounds {
				objects = append(objects, &object{namespace: "bench-000", name: fmt.Sprintf("alone-%s-%d-%d", t.name, round, i)})
			}
			if err := created.of(t).alone(ctx, objects, t.create); err != nil {
				return err
			}
		}
	}
	b.alone("create", created)
	for _, op := range updates {
		w := byWay{}
		for round := range rounds {
			for _, t := range b.ways() {
				if err := w.of(t).alone(ctx, b.some(t, round, b.size.single/rounds), op.call(t)); err != nil {
					return err
				}
			}
		}
		b.alone(op.name, w)
	}
	return nil
}

func (b *apiBench) alone(what string, w byWay) {
	b.compare(what+", 1 client: p50", "ms", func(t *target) float64 { return w.of(t).p50() }, limit(8))
	b.compare(what+", 1 client: p99", "ms", func(t *target) float64 { return w.of(t).p99() }, limit(25))
}

// some are n objects of a way, others in each round.
func (b *apiBench) some(t *target, round, n int) []*object {
	all := b.objects(t)
	out := make([]*object, n)
	for i := range out {
		out[i] = all[(round*n+i)%len(all)]
	}
	return out
}

func (b *apiBench) writeTogether(ctx context.Context) error {
	for _, op := range updates {
		w := byWay{}
		for round := range rounds {
			for _, t := range b.ways() {
				if err := w.of(t).together(ctx, b.some(t, round, b.size.closed/rounds), op.call(t)); err != nil {
					return err
				}
			}
		}
		b.together(op.name, w)
	}
	return nil
}

func (b *apiBench) writeAtRate(ctx context.Context) error {
	for _, op := range updates {
		w := byWay{}
		for round := range 2 {
			for _, t := range b.ways() {
				if err := w.of(t).atRate(ctx, b.some(t, round, b.size.open*openRate/2), op.call(t)); err != nil {
					return err
				}
			}
		}
		name := fmt.Sprintf("%s, open loop of %d/s: p99", op.name, openRate)
		b.compare(name, "ms", func(t *target) float64 { return w.of(t).p99() }, limit(50))
	}
	return nil
}
