package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const formatVersion = 1

// errTaken means that somebody else wrote the key.
var errTaken = errors.New("another process was faster")

// record is the value of the key.
type record struct {
	Version int    `json:"v"`
	Holder  string `json:"holder"`
	// Released says that the holder has stopped acting. A key that was merely deleted proves nothing of the kind.
	Released bool `json:"released,omitempty"`
}

// sight is what a look at the key found.
type sight struct {
	record
	revision uint64
}

type bucket struct {
	kv  jetstream.KeyValue
	key string
}

func newJetStream(conn *nats.Conn, domain string) (jetstream.JetStream, error) {
	if domain == "" {
		return jetstream.New(conn)
	}
	return jetstream.NewWithDomain(conn, domain)
}

// key names a lease; every byte that a key cannot hold is written as =XX.
func key(cluster, lattice string) string { return token(cluster) + "." + token(lattice) }

func token(name string) string {
	var out strings.Builder
	for i := range len(name) {
		switch b := name[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '-', b == '_':
			out.WriteByte(b)
		default:
			fmt.Fprintf(&out, "=%02X", b)
		}
	}
	return out.String()
}

// open opens the bucket, and makes it when there is none: memory does not survive its server.
func (l *Lease) open(ctx context.Context) (b *bucket, made bool, err error) {
	kv, err := l.js.KeyValue(ctx, Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		made = true
		kv, err = l.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: Bucket, Description: "Which process acts on a lattice",
			Storage: jetstream.MemoryStorage, TTL: l.config.TTL, History: 1, Replicas: l.config.Replicas,
		})
		if errors.Is(err, jetstream.ErrBucketExists) { // another process was faster, with other settings
			kv, err = l.js.KeyValue(ctx, Bucket)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("open the bucket of leases: %w", err)
	}
	return &bucket{kv: kv, key: l.key}, made, nil
}

// look returns nil when there is no lease.
func (b *bucket) look(ctx context.Context) (*sight, error) {
	entry, err := b.kv.Get(ctx, b.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the lease: %w", err)
	}
	seen := &sight{revision: entry.Revision()}
	// What cannot be read is somebody's lease.
	if err := json.Unmarshal(entry.Value(), &seen.record); err != nil {
		seen.record = record{}
	}
	return seen, nil
}

// write writes the key if it is at revision last, 0 if there must be none.
func (b *bucket) write(ctx context.Context, r record, last uint64) (revision uint64, err error) {
	r.Version = formatVersion
	body, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("encode the lease: %w", err)
	}
	if last == 0 {
		revision, err = b.kv.Create(ctx, b.key, body)
	} else {
		revision, err = b.kv.Update(ctx, b.key, body, last)
	}
	return revision, wrap("write", err)
}

// remove deletes the key if it is at a revision.
func (b *bucket) remove(ctx context.Context, last uint64) error {
	return wrap("remove", b.kv.Delete(ctx, b.key, jetstream.LastRevision(last)))
}

func wrap(verb string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyExists): // the library maps both codes of JetStream to it
		return errTaken
	default:
		return fmt.Errorf("%s the lease: %w", verb, err)
	}
}
