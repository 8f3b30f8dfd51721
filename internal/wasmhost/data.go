package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/lattice"
)

const (
	// openPatience bounds the wait for JetStream: beside a leaf node the domain may take a while to appear.
	openPatience = 60 * time.Second
	openRetry    = 250 * time.Millisecond
	kvTimeout    = 5 * time.Second
)

// latticeData is the host's view of the two buckets that all hosts of a lattice share.
type latticeData struct {
	log     logr.Logger
	conn    *nats.Conn
	js      jetstream.JetStream
	specs   jetstream.KeyValue
	configs jetstream.KeyValue
	// changed is told of every new revision of a component's or provider's specification.
	changed func(id string, spec lattice.ComponentSpec)
	// check is how often the host looks whether the buckets are still those that it follows.
	check     time.Duration
	followers []*follower

	mu     sync.Mutex
	links  map[string][]lattice.Link
	claims map[string]lattice.Claims
	named  map[string]namedConfig
}

type namedConfig struct {
	revision uint64
	values   lattice.Config // nil when deleted
}

func openData(ctx context.Context, conn *nats.Conn, name, domain string, log logr.Logger) (*latticeData, error) {
	js, err := jetstream.New(conn)
	if domain != "" {
		js, err = jetstream.NewWithDomain(conn, domain)
	}
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	d := &latticeData{
		log: log, conn: conn, js: js, changed: func(string, lattice.ComponentSpec) {},
		links: map[string][]lattice.Link{}, claims: map[string]lattice.Claims{}, named: map[string]namedConfig{},
	}
	for _, b := range []struct {
		name func(string) (string, error)
		into *jetstream.KeyValue
	}{{lattice.DataBucket, &d.specs}, {lattice.ConfigBucket, &d.configs}} {
		bucket, err := b.name(name)
		if err != nil {
			return nil, err
		}
		if *b.into, err = openBucket(ctx, js, bucket); err != nil {
			return nil, fmt.Errorf("open the bucket %s: %w", bucket, err)
		}
	}
	return d, nil
}

func openBucket(ctx context.Context, js jetstream.JetStream, bucket string) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	for {
		kv, err := js.KeyValue(ctx, bucket)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket})
		}
		if err == nil {
			return kv, nil
		}
		select {
		case <-time.After(openRetry):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (d *latticeData) applySpec(entry jetstream.KeyValueEntry) {
	key, err := lattice.ParseDataKey(entry.Key())
	if err != nil {
		return // keys of old hosts and foreign ones
	}
	if key.ClaimsSubject != "" {
		d.applyClaims(key.ClaimsSubject, entry)
		return
	}
	if entry.Operation() != jetstream.KeyValuePut {
		// Upstream keeps the links of a deleted specification; nobody deletes one but a cleaning hand, who means it.
		d.setLinks(key.ComponentID, nil)
		d.changed(key.ComponentID, lattice.ComponentSpec{})
		return
	}
	spec, err := lattice.Decode[lattice.ComponentSpec](entry.Value())
	if err != nil {
		d.log.Info("A specification in the lattice's data cannot be read", "key", entry.Key(), "reason", err.Error())
		return
	}
	d.setLinks(key.ComponentID, spec.Links)
	d.changed(key.ComponentID, spec)
}

func (d *latticeData) setLinks(id string, links []lattice.Link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(links) == 0 {
		delete(d.links, id)
		return
	}
	d.links[id] = links
}

func (d *latticeData) applyClaims(subject string, entry jetstream.KeyValueEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.claims, subject)
	if entry.Operation() != jetstream.KeyValuePut {
		return
	}
	if claims, err := lattice.Decode[lattice.Claims](entry.Value()); err == nil {
		d.claims[subject] = claims
	}
}

func (d *latticeData) applyConfig(entry jetstream.KeyValueEntry) {
	c := namedConfig{revision: entry.Revision()}
	if entry.Operation() == jetstream.KeyValuePut {
		values, err := lattice.Decode[lattice.Config](entry.Value())
		if err != nil {
			d.log.Info("A configuration cannot be read", "config", entry.Key(), "reason", err.Error())
		}
		c.values = values
		if c.values == nil {
			c.values = lattice.Config{}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.named[entry.Key()].revision <= c.revision {
		d.named[entry.Key()] = c
	}
}
