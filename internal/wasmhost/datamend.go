package wasmhost

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// in calls something that needs a bucket, and once more after the bucket, which somebody had deleted, was made again.
func (d *latticeData) in(ctx context.Context, kv jetstream.KeyValue, call func() error) error {
	err := call()
	if !nobodyAnswers(err) {
		return err
	}
	if mended := d.mend(ctx, kv); mended != nil {
		return err // that of the call says more
	}
	return call()
}

// nobodyAnswers: that is how JetStream tells a client of a stream that is not there.
func nobodyAnswers(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrBucketNotFound)
}

// mend makes a bucket again that was deleted while the host runs. Its content is lost to the lattice, and whoever manages
// it puts it anew. What this host knows stays in force until then: an empty bucket is no reason to cut anything.
func (d *latticeData) mend(ctx context.Context, kv jetstream.KeyValue) error {
	bucket := kv.Bucket()
	_, err := d.js.KeyValue(ctx, bucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return err
	}
	if _, err := d.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket}); err != nil {
		return fmt.Errorf("make the bucket %s again: %w", bucket, err)
	}
	d.forgetRevisions()
	for _, f := range d.followers {
		if f.kv.Bucket() != bucket {
			continue
		}
		select {
		case f.anew <- struct{}{}:
		default: // it will begin anew already
		}
	}
	d.log.Info("A bucket of the lattice was deleted and is made again; its links and configurations must be put anew", "bucket", bucket)
	return nil
}

// forgetRevisions lets the entries of a new bucket count, whose revisions begin at 1, and keeps the values until they come.
func (d *latticeData) forgetRevisions() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, c := range d.named {
		c.revision = 0
		d.named[name] = c
	}
}
