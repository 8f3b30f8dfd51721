package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// What hosts keep is in buckets that they share, so any of them deletes a link or a configuration for all. Where no host
// is left to ask, the client does what a host would do; otherwise a lattice that lost its last host would keep what was
// torn down, and bring it back to the next host.

// deleteStoredLink takes a link out of the record of its source; a link that is not there is no error.
func (c *Client) deleteStoredLink(ctx context.Context, key lattice.LinkKey) error {
	name, err := lattice.ComponentKey(key.SourceID)
	if err != nil {
		return err
	}
	kv, err := c.stored(ctx, lattice.DataBucket)
	if kv == nil {
		return err
	}
	for {
		entry, err := kv.Get(ctx, name)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		spec, err := lattice.Decode[lattice.ComponentSpec](entry.Value())
		if err != nil {
			return fmt.Errorf("%s: %w: %w", name, ErrBadReply, err)
		}
		left := slices.DeleteFunc(slices.Clone(spec.Links), func(l lattice.Link) bool { return l.Key() == key })
		if len(left) == len(spec.Links) {
			return nil
		}
		spec.Links = left
		body, err := lattice.Encode(spec)
		if err != nil {
			return err
		}
		// Hosts do not compare when they write, but one that came meanwhile must not lose what it wrote before.
		_, err = kv.Update(ctx, name, body, entry.Revision())
		if err == nil || !lostRace(err) {
			return err
		}
	}
}

// deleteStoredConfig purges a configuration, as hosts do.
func (c *Client) deleteStoredConfig(ctx context.Context, name string) error {
	kv, err := c.stored(ctx, lattice.ConfigBucket)
	if kv == nil {
		return err
	}
	return kv.Purge(ctx, name)
}

// stored opens a bucket of the lattice; nil when there is none, and then there is nothing to delete.
func (c *Client) stored(ctx context.Context, name func(lattice string) (string, error)) (jetstream.KeyValue, error) {
	bucket, err := name(c.Lattice())
	if err != nil {
		return nil, err
	}
	kv, err := c.js.KeyValue(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	return kv, nil
}

// codeWrongLastSequenceReplicated is what JetStream says instead where the bucket is replicated.
const codeWrongLastSequenceReplicated = 10164

// lostRace says that somebody else wrote since.
func lostRace(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == codeWrongLastSequenceReplicated)
}
