package secrets

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go/jetstream"
)

// OutcomeWatch is told what came of requests. All calls come from one goroutine.
type OutcomeWatch struct {
	// Reset: what was told before is void; all that is known follows.
	Reset func()
	// Noted is called for each outcome.
	Noted func(Outcome)
	// Synced: all that was known when the watch began was told.
	Synced func()
}

// Watch tells the outcomes of a lattice until ctx ends; done is closed after the last call. It begins again when the bucket
// can't be read or was replaced.
func (s *Outcomes) Watch(ctx context.Context, lattice string, w OutcomeWatch) (done <-chan struct{}) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			err := s.watch(ctx, lattice, w)
			if ctx.Err() != nil {
				return
			}
			logr.FromContextOrDiscard(ctx).V(1).Info("The watch of outcomes of requests for secrets begins again", "lattice", lattice, "reason", err.Error())
			s.forget()
			select {
			case <-ctx.Done():
			case <-time.After(outcomePause):
			}
		}
	}()
	return ended
}

var (
	errReplaced   = errors.New("the bucket was replaced")
	errWatchEnded = errors.New("the watch ended")
)

func (s *Outcomes) watch(ctx context.Context, lattice string, w OutcomeWatch) error {
	kv, err := s.open(ctx)
	if err != nil {
		return err
	}
	born, err := s.born(ctx)
	if err != nil {
		return err
	}
	watcher, err := kv.Watch(ctx, outcomesOf(s.cluster, lattice)+".>", jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer func() { _ = watcher.Stop() }() // fails only when the connection is closed
	w.Reset()
	check := time.NewTicker(s.check)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case entry, open := <-watcher.Updates():
			if !open {
				return errWatchEnded
			}
			tell(entry, w)
		case <-check.C:
			now, err := s.born(ctx)
			if errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && !now.Equal(born) {
				return errReplaced
			}
		}
	}
}

// tell hands on an entry; one that can't be read was written by a newer release, and says nothing to this one.
func tell(entry jetstream.KeyValueEntry, w OutcomeWatch) {
	if entry == nil {
		w.Synced()
		return
	}
	if o, ok := decodeOutcome(entry.Value()); ok {
		o.Time, o.Revision = entry.Created(), entry.Revision()
		w.Noted(o)
	}
}

// born tells one life of the bucket from the next.
func (s *Outcomes) born(ctx context.Context) (time.Time, error) {
	stream, err := s.js.Stream(ctx, "KV_"+OutcomesBucket)
	if err != nil {
		return time.Time{}, err
	}
	return stream.CachedInfo().Created, nil
}
