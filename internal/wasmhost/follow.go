package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const followRetry = 500 * time.Millisecond

var errWatchEnded = errors.New("the watch ended")

// start reads both buckets and follows them until ctx ends.
func (d *latticeData) start(ctx context.Context) error {
	for _, b := range []struct {
		kv    jetstream.KeyValue
		apply func(jetstream.KeyValueEntry)
	}{{d.specs, d.applySpec}, {d.configs, d.applyConfig}} {
		d.followers = append(d.followers, &follower{
			kv: b.kv, apply: b.apply, connected: d.conn.StatusChanged(nats.CONNECTED),
			data: d, check: d.check, anew: make(chan struct{}, 1),
		})
	}
	for _, f := range d.followers {
		if err := f.begin(ctx); err != nil {
			return fmt.Errorf("watch the bucket %s: %w", f.kv.Bucket(), err)
		}
		go func() {
			defer d.conn.RemoveStatusListener(f.connected)
			f.run(ctx)
		}()
	}
	return nil
}

// follower applies every entry of a bucket, those that are there and those to come. After a reconnect it begins anew: a
// watch finds out by itself that its server has forgotten it, but only after many seconds. And in a bucket that was deleted
// and made again it would go on at the revision of the old one, and miss all below.
type follower struct {
	kv        jetstream.KeyValue
	apply     func(jetstream.KeyValueEntry)
	connected chan nats.Status
	data      *latticeData
	check     time.Duration
	anew      chan struct{} // holds one token when the bucket was made again
	created   time.Time     // of the bucket that is followed
	watcher   jetstream.KeyWatcher
}

// begin returns once what is there now has been applied.
func (f *follower) begin(ctx context.Context) error {
	bucket, err := f.bucket(ctx)
	if err != nil {
		return err
	}
	if !f.created.IsZero() && !bucket.Equal(f.created) {
		f.data.forgetRevisions()
	}
	f.created = bucket
	if f.watcher, err = f.kv.WatchAll(ctx); err != nil {
		return err
	}
	for {
		select {
		case entry, open := <-f.watcher.Updates():
			if !open {
				return errWatchEnded
			}
			if entry == nil {
				return nil
			}
			f.apply(entry)
		case <-f.connected:
			return errWatchEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *follower) run(ctx context.Context) {
	for {
		f.follow(ctx)
		_ = f.watcher.Stop() // it may be gone already
		for ctx.Err() == nil && f.begin(ctx) != nil {
			select {
			case <-time.After(followRetry):
			case <-ctx.Done():
			}
			_ = f.data.mend(ctx, f.kv) // where that fails, the next begin does too
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// bucket is when the bucket was made, which tells it from another one of the same name.
func (f *follower) bucket(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	status, err := f.kv.Status(ctx)
	if err != nil {
		return time.Time{}, err
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return time.Time{}, fmt.Errorf("the status of bucket %s is a %T", f.kv.Bucket(), status)
	}
	return bucket.StreamInfo().Created, nil
}

// replaced says that another bucket has the name now, or none.
func (f *follower) replaced(ctx context.Context) bool {
	created, err := f.bucket(ctx)
	return nobodyAnswers(err) || err == nil && !created.Equal(f.created)
}

func (f *follower) follow(ctx context.Context) {
	check := time.NewTicker(f.check)
	defer check.Stop()
	for {
		select {
		case entry, open := <-f.watcher.Updates():
			if !open {
				return
			}
			if entry != nil {
				f.apply(entry)
			}
		case <-check.C:
			if f.replaced(ctx) {
				return
			}
		case <-f.anew:
			return
		case <-f.connected:
			return
		case <-ctx.Done():
			return
		}
	}
}
