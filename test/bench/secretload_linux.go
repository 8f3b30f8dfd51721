package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
)

// fetched is what became of fetches.
type fetched struct {
	took     []time.Duration
	failures []error
	all      time.Duration
}

// rate is how many were answered with the value in a second.
func (f fetched) rate() float64 { return float64(len(f.took)-len(f.failures)) / f.all.Seconds() }

// warm fetches every secret once, as soon as trellis has seen hosts and applications and pulled the images.
func (s *secretsBench) warm(ctx context.Context) error {
	for n := range s.secrets {
		for {
			err := s.one(ctx, n)
			if err == nil {
				break
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("no secret was ever given: %w; %w", ctx.Err(), err)
			}
		}
	}
	return nil
}

// fetch asks at a rate, whether there were answers to what was asked before or not. A fetch counts from when it was due.
func (s *secretsBench) fetch(ctx context.Context) fetched {
	n := s.size.rate * int(s.size.span/time.Second)
	got := fetched{took: make([]time.Duration, n)}
	failures := make([]error, n)
	var group sync.WaitGroup
	began := time.Now()
	for i := range n {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(s.size.rate))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
		}
		group.Go(func() {
			failures[i] = s.one(ctx, i)
			got.took[i] = time.Since(due)
		})
	}
	group.Wait()
	got.all = time.Since(began)
	for _, err := range failures {
		if err != nil {
			got.failures = append(got.failures, err)
		}
	}
	return got
}

var errOtherValue = errors.New("the answer is not the value of the Secret")

// one fetches for the ith time: groups, their hosts and applications take turns, each with every other.
func (s *secretsBench) one(ctx context.Context, i int) error {
	a, v := s.askers[i%len(s.askers)], s.secrets[(i+i/len(s.secrets))%len(s.secrets)]
	host := a.hosts[i/len(s.askers)%len(a.hosts)]
	got, err := a.client.Get(ctx, v.reference, secret.Identity{EntityJWT: v.token, HostJWT: host, Application: &v.name})
	if err != nil {
		return err
	}
	if got.Reveal() != any(v.value) {
		return errOtherValue
	}
	return nil
}
