package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go/jetstream"
)

// ChangeKind says what a watch reports.
type ChangeKind int

// Kinds of changes, in the order in which a watch begins.
const (
	// Reset: what was reported before is void; the records that exist follow, then Synced.
	Reset ChangeKind = iota + 1
	// Put: the record is this now.
	Put
	// Delete: the record is gone.
	Delete
	// Synced: all records that existed when the watch began were reported.
	Synced
)

// TeardownChange is one report of WatchTeardowns.
type TeardownChange struct {
	Kind ChangeKind
	// Teardown has only Cluster and ID after Delete, and nothing after Reset and Synced.
	Teardown Teardown
}

const retryPause = time.Second

// WatchTeardowns reports the records of a cluster: Reset, every record, Synced, then changes, until ctx ends; done is
// closed after the last call. It tries again for good, from Reset on, when the bucket can't be read or was replaced. All
// calls come from one goroutine.
func (l *Ledger) WatchTeardowns(ctx context.Context, cluster string, handle func(TeardownChange)) (done <-chan struct{}) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		log := logr.FromContextOrDiscard(ctx).WithValues("bucket", Bucket(l.lattice))
		for ctx.Err() == nil {
			err := l.watchTeardowns(ctx, cluster, handle)
			if ctx.Err() != nil {
				return
			}
			log.Info("The watch of teardown records begins again", "reason", err.Error())
			select {
			case <-ctx.Done():
			case <-time.After(retryPause):
			}
		}
	}()
	return ended
}

var errReplaced = errors.New("the bucket was replaced")

func (l *Ledger) watchTeardowns(ctx context.Context, cluster string, handle func(TeardownChange)) error {
	kv, err := openBucket(ctx, l.js, Bucket(l.lattice))
	if err != nil {
		return fmt.Errorf("open ledger %s: %w", Bucket(l.lattice), err)
	}
	born, err := l.born(ctx)
	if err != nil {
		return err
	}
	watcher, err := kv.Watch(ctx, key(teardownSpace, cluster)+".*")
	if err != nil {
		return fmt.Errorf("watch teardowns: %w", err)
	}
	defer func() { _ = watcher.Stop() }() // fails only when the connection is closed
	handle(TeardownChange{Kind: Reset})
	check := time.NewTicker(l.check)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case entry, open := <-watcher.Updates():
			if !open {
				return errors.New("the watch ended")
			}
			l.report(ctx, entry, handle)
		case <-check.C:
			now, err := l.born(ctx)
			if errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && !now.Equal(born) {
				return errReplaced
			}
		}
	}
}

// born tells one life of the bucket from the next.
func (l *Ledger) born(ctx context.Context) (time.Time, error) {
	s, err := l.js.Stream(ctx, "KV_"+Bucket(l.lattice))
	if err != nil {
		return time.Time{}, fmt.Errorf("look up ledger %s: %w", Bucket(l.lattice), err)
	}
	return s.CachedInfo().Created, nil
}

func (l *Ledger) report(ctx context.Context, entry jetstream.KeyValueEntry, handle func(TeardownChange)) {
	if entry == nil {
		handle(TeardownChange{Kind: Synced})
		return
	}
	t, err := l.teardown(entry)
	if err != nil {
		// Nothing is stopped for a record that can't be read, and it stays for a release that can.
		logr.FromContextOrDiscard(ctx).Info("A teardown record can't be read", "key", entry.Key(), "reason", err.Error())
		return
	}
	if entry.Operation() != jetstream.KeyValuePut {
		handle(TeardownChange{Kind: Delete, Teardown: t})
		return
	}
	handle(TeardownChange{Kind: Put, Teardown: t})
}
