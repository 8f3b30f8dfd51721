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
		f := &follower{kv: b.kv, apply: b.apply, connected: d.conn.StatusChanged(nats.CONNECTED)}
		if err := f.begin(ctx); err != nil {
			return fmt.Errorf("watch the bucket %s: %w", b.kv.Bucket(), err)
		}
		go func() {
			defer d.conn.RemoveStatusListener(f.connected)
			f.run(ctx)
		}()
	}
	return nil
}

// follower applies every entry of a bucket, those that are there and those to come. After a reconnect it begins anew: a
// watch finds out by itself that its server has forgotten it, but only after many seconds.
type follower struct {
	kv        jetstream.KeyValue
	apply     func(jetstream.KeyValueEntry)
	connected chan nats.Status
	watcher   jetstream.KeyWatcher
}

// begin returns once what is there now has been applied.
func (f *follower) begin(ctx context.Context) error {
	var err error
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
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (f *follower) follow(ctx context.Context) {
	for {
		select {
		case entry, open := <-f.watcher.Updates():
			if !open {
				return
			}
			if entry != nil {
				f.apply(entry)
			}
		case <-f.connected:
			return
		case <-ctx.Done():
			return
		}
	}
}
