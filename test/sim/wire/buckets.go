package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

const (
	// bucketTimeout is how long a host waits for JetStream.
	bucketTimeout = 5 * time.Second
	// watchPause is between two tries to watch a bucket, watchCheck how often it is asked whether it was replaced.
	watchPause = 200 * time.Millisecond
	watchCheck = 5 * time.Second
)

// buckets are those of a lattice in JetStream.
type buckets struct {
	js       jetstream.JetStream
	names    [2]string
	kv       [2]jetstream.KeyValue
	watching sync.WaitGroup
}

var _ sim.Buckets = (*buckets)(nil)

func openBuckets(ctx context.Context, conn *nats.Conn, name, domain string) (*buckets, error) {
	b := &buckets{}
	var err error
	if domain == "" {
		b.js, err = jetstream.New(conn)
	} else {
		b.js, err = jetstream.NewWithDomain(conn, domain)
	}
	if err != nil {
		return nil, fmt.Errorf("open the buckets of lattice %s: %w", name, err)
	}
	for bucket, of := range map[sim.Bucket]func(string) (string, error){
		sim.DataBucket: lattice.DataBucket, sim.ConfigBucket: lattice.ConfigBucket,
	} {
		if b.names[bucket], err = of(name); err != nil {
			return nil, fmt.Errorf("open the buckets of lattice %s: %w", name, err)
		}
		if b.kv[bucket], err = b.open(ctx, bucket); err != nil {
			return nil, fmt.Errorf("open the buckets of lattice %s: %w", name, err)
		}
	}
	return b, nil
}

// open opens a bucket or makes it as hosts do: the name and nothing else.
func (b *buckets) open(ctx context.Context, bucket sim.Bucket) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	kv, err := b.js.KeyValue(ctx, b.names[bucket])
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	kv, err = b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: b.names[bucket]})
	if errors.Is(err, jetstream.ErrBucketExists) { // somebody was faster, with other settings
		return b.js.KeyValue(ctx, b.names[bucket])
	}
	return kv, err
}

// Get reads an entry.
func (b *buckets) Get(bucket sim.Bucket, key string) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), bucketTimeout)
	defer cancel()
	e, err := b.kv[bucket].Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", sim.ErrUnavailable, err)
	}
	return e.Value(), true, nil
}

// Put writes an entry, whatever was there.
func (b *buckets) Put(bucket sim.Bucket, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), bucketTimeout)
	defer cancel()
	if _, err := b.kv[bucket].Put(ctx, key, value); err != nil {
		return fmt.Errorf("%w: %w", sim.ErrUnavailable, err)
	}
	return nil
}

// Purge removes an entry with all its history, as hosts do.
func (b *buckets) Purge(bucket sim.Bucket, key string) error {
	ctx, cancel := context.WithTimeout(context.Background(), bucketTimeout)
	defer cancel()
	if err := b.kv[bucket].Purge(ctx, key); err != nil {
		return fmt.Errorf("%w: %w", sim.ErrUnavailable, err)
	}
	return nil
}

// Watch reports a bucket until it is told to stop: when the bucket is replaced it begins anew.
func (b *buckets) Watch(bucket sim.Bucket, report func(sim.Entry)) (func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	b.watching.Go(func() {
		for ctx.Err() == nil {
			if err := b.watchOnce(ctx, bucket, report); err != nil {
				select {
				case <-ctx.Done():
				case <-time.After(watchPause):
				}
			}
		}
	})
	return cancel, nil
}

var errReplaced = errors.New("the bucket was replaced")

func (b *buckets) watchOnce(ctx context.Context, bucket sim.Bucket, report func(sim.Entry)) error {
	born, err := b.born(ctx, bucket)
	if err != nil {
		return err
	}
	watcher, err := b.kv[bucket].WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = watcher.Stop() }() // fails only when the connection is closed
	report(sim.Entry{Reset: true})
	check := time.NewTicker(watchCheck)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, open := <-watcher.Updates():
			switch {
			case !open:
				return errReplaced
			case e == nil:
				report(sim.Entry{Synced: true})
			case e.Operation() == jetstream.KeyValuePut:
				report(sim.Entry{Key: e.Key(), Value: e.Value(), Time: e.Created()})
			default:
				report(sim.Entry{Key: e.Key(), Time: e.Created()})
			}
		case <-check.C:
			now, err := b.born(ctx, bucket)
			if errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && !now.Equal(born) {
				return errReplaced
			}
		}
	}
}

// born is when the bucket was made.
func (b *buckets) born(ctx context.Context, bucket sim.Bucket) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, "KV_"+b.names[bucket])
	if err != nil {
		return time.Time{}, err
	}
	return s.CachedInfo().Created, nil
}

func (b *buckets) wait() { b.watching.Wait() }
