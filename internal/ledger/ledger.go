// Package ledger keeps what a lattice must remember beside its objects: who holds a name, what is still to be stopped,
// and in which namespace of a cluster wash creates applications. It is one KV bucket in the lattice's account, shared by
// all clusters that use the lattice.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// FormatVersion stands in every value that is written.
	FormatVersion = 1

	// markerTTL is how long the bucket remembers that a key was removed. A watch that was away for longer begins anew
	// and sees what exists.
	markerTTL = time.Hour
)

// Bucket returns the name of a lattice's bucket.
func Bucket(lattice string) string { return "TRELLIS_" + lattice }

// Ledger is the bucket of one lattice. It is safe for concurrent use.
type Ledger struct {
	js      jetstream.JetStream
	kv      jetstream.KeyValue
	lattice string
	// check is how often a watch asks whether the bucket is still the one it began with.
	check time.Duration
}

// Open opens the ledger of a lattice, and makes its bucket if there is none. The connection is to the lattice's account;
// it stays the caller's. Domain is the JetStream domain, "" for the account's own.
func Open(ctx context.Context, conn *nats.Conn, lattice, domain string) (*Ledger, error) {
	js, err := newJetStream(conn, domain)
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", Bucket(lattice), err)
	}
	kv, err := openBucket(ctx, js, Bucket(lattice))
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", Bucket(lattice), err)
	}
	return &Ledger{js: js, kv: kv, lattice: lattice, check: 30 * time.Second}, nil
}

func newJetStream(conn *nats.Conn, domain string) (jetstream.JetStream, error) {
	if domain == "" {
		return jetstream.New(conn)
	}
	return jetstream.NewWithDomain(conn, domain)
}

func openBucket(ctx context.Context, js jetstream.JetStream, bucket string) (jetstream.KeyValue, error) {
	kv, err := js.KeyValue(ctx, bucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: bucket, Description: "Claims, teardowns and home namespaces of Trellis",
		Storage: jetstream.FileStorage, History: 1, LimitMarkerTTL: markerTTL,
	})
	if errors.Is(err, jetstream.ErrBucketExists) { // another replica was faster
		return js.KeyValue(ctx, bucket)
	}
	return kv, err
}

// Lattice returns the name of the lattice.
func (l *Ledger) Lattice() string { return l.lattice }

// read decodes the value of a key and returns its revision; ok is false when there is none.
func (l *Ledger) read(ctx context.Context, key string, into any) (revision uint64, ok bool, err error) {
	entry, err := l.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read %s of the ledger: %w", key, err)
	}
	return entry.Revision(), true, decode(entry, into)
}

func decode(entry jetstream.KeyValueEntry, into any) error {
	if err := json.Unmarshal(entry.Value(), into); err != nil {
		return fmt.Errorf("decode %s of the ledger: %w", entry.Key(), err)
	}
	return nil
}

// lost says whether a write was refused because somebody else came first. The library maps both codes of JetStream
// (10071, and 10164 when replicated) to this error.
func lost(err error) bool { return errors.Is(err, jetstream.ErrKeyExists) }

// create writes a key that must not exist.
func (l *Ledger) create(ctx context.Context, key string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s of the ledger: %w", key, err)
	}
	if _, err = l.kv.Create(ctx, key, body); err != nil {
		return fmt.Errorf("write %s of the ledger: %w", key, err)
	}
	return nil
}

// replace writes a key that must be at a revision.
func (l *Ledger) replace(ctx context.Context, key string, value any, revision uint64) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s of the ledger: %w", key, err)
	}
	if _, err := l.kv.Update(ctx, key, body, revision); err != nil {
		return fmt.Errorf("write %s of the ledger: %w", key, err)
	}
	return nil
}

// remove deletes a key; revision 0 whatever it is. The marker that remains goes by itself.
func (l *Ledger) remove(ctx context.Context, key string, revision uint64) error {
	options := []jetstream.KVDeleteOpt{jetstream.PurgeTTL(markerTTL)}
	if revision > 0 {
		options = append(options, jetstream.LastRevision(revision))
	}
	if err := l.kv.Purge(ctx, key, options...); err != nil {
		return fmt.Errorf("remove %s of the ledger: %w", key, err)
	}
	return nil
}
