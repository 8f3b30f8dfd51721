package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/lattice"
)

const retryPause = time.Second

// WatchLattice reports the records of components and providers: ChangeReset, every record, ChangeSynced, then changes,
// until ctx ends; done is closed after the last call. Claims and foreign keys are left out.
//
// A bucket that does not exist yet is created as hosts create it. When the bucket is lost, replaced or cannot be read,
// the watch tries again for good and begins anew with ChangeReset. All calls come from one goroutine.
func (c *Client) WatchLattice(ctx context.Context, handle func(lattice.SpecChange)) (done <-chan struct{}) {
	bucket, err := lattice.DataBucket(c.Lattice())
	return watchBucket(ctx, c, bucket, err, func(key string) (string, bool) {
		parsed, err := lattice.ParseDataKey(key)
		return parsed.ComponentID, err == nil && parsed.ComponentID != ""
	}, handle)
}

// WatchConfig reports the named configurations of the lattice, in the way of WatchLattice.
func (c *Client) WatchConfig(ctx context.Context, handle func(lattice.ConfigChange)) (done <-chan struct{}) {
	bucket, err := lattice.ConfigBucket(c.Lattice())
	return watchBucket(ctx, c, bucket, err, func(key string) (string, bool) { return key, true }, handle)
}

// watch is one watch of one bucket.
type watch[T any] struct {
	js     jetstream.JetStream
	bucket string
	// check is how often the watch asks whether the bucket is still the one it began with.
	check  time.Duration
	name   func(key string) (string, bool)
	handle func(lattice.Change[T])
}

func watchBucket[T any](ctx context.Context, c *Client, bucket string, nameErr error,
	name func(string) (string, bool), handle func(lattice.Change[T])) <-chan struct{} {
	ended := make(chan struct{})
	w := &watch[T]{js: c.js, bucket: bucket, check: c.options.BucketCheck, name: name, handle: handle}
	go func() {
		defer close(ended)
		log := logr.FromContextOrDiscard(ctx).WithValues("bucket", bucket)
		for ctx.Err() == nil {
			err := nameErr
			if err == nil {
				err = w.once(ctx)
			}
			if ctx.Err() != nil {
				return
			}
			log.Info("The watch of a lattice's bucket begins again", "reason", err.Error())
			select {
			case <-ctx.Done():
			case <-time.After(retryPause):
			}
		}
	}()
	return ended
}

// errReplaced ends a watch whose bucket was deleted and made again: its revisions begin anew.
var errReplaced = errors.New("the bucket was replaced")

// once watches until something is wrong with the bucket or ctx ends.
func (w *watch[T]) once(ctx context.Context) error {
	kv, err := openBucket(ctx, w.js, w.bucket)
	if err != nil {
		return err
	}
	born, err := incarnation(ctx, w.js, w.bucket)
	if err != nil {
		return err
	}
	watcher, err := kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", w.bucket, err)
	}
	defer func() { _ = watcher.Stop() }() // fails only when the connection is closed
	w.handle(lattice.Change[T]{Kind: lattice.ChangeReset})
	check := time.NewTicker(w.check)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case entry, open := <-watcher.Updates():
			if !open {
				return fmt.Errorf("the watch of bucket %s ended", w.bucket)
			}
			w.report(ctx, entry)
		case <-check.C:
			now, err := incarnation(ctx, w.js, w.bucket)
			if errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && !now.Equal(born) {
				return errReplaced
			}
		}
	}
}

func (w *watch[T]) report(ctx context.Context, entry jetstream.KeyValueEntry) {
	if entry == nil {
		w.handle(lattice.Change[T]{Kind: lattice.ChangeSynced})
		return
	}
	name, ours := w.name(entry.Key())
	if !ours {
		return
	}
	if entry.Operation() != jetstream.KeyValuePut {
		w.handle(lattice.Change[T]{Kind: lattice.ChangeDelete, Name: name})
		return
	}
	value, err := lattice.Decode[T](entry.Value())
	if err != nil {
		// A host cannot read it either: to it the entry does not exist.
		logr.FromContextOrDiscard(ctx).Info("An entry of a lattice's bucket cannot be read",
			"bucket", w.bucket, "key", entry.Key(), "reason", err.Error())
		w.handle(lattice.Change[T]{Kind: lattice.ChangeDelete, Name: name})
		return
	}
	w.handle(lattice.Change[T]{Kind: lattice.ChangePut, Name: name, Value: value, Time: entry.Created()})
}

// openBucket opens a bucket of the lattice or creates it as hosts do: the name and nothing else.
func openBucket(ctx context.Context, js jetstream.JetStream, bucket string) (jetstream.KeyValue, error) {
	kv, err := js.KeyValue(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket})
		if errors.Is(err, jetstream.ErrBucketExists) { // a host was faster, with other settings
			kv, err = js.KeyValue(ctx, bucket)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	return kv, nil
}

// incarnation tells one life of a bucket from the next.
func incarnation(ctx context.Context, js jetstream.JetStream, bucket string) (time.Time, error) {
	s, err := js.Stream(ctx, "KV_"+bucket)
	if err != nil {
		return time.Time{}, fmt.Errorf("look up bucket %s: %w", bucket, err)
	}
	return s.CachedInfo().Created, nil
}
