package secrets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Memory knows which requests were taken already, by all replicas.
type Memory interface {
	// First says whether a key comes for the first time. When it can't tell, the request is not served.
	First(ctx context.Context, key string) (bool, error)
}

// replayKey names a request by all that was sealed, which nobody can change without the key. The header's key would not do:
// X25519 ignores one of its bits and gives the same result for eight points, so that somebody who only has the message can
// write other keys above it.
func replayKey(sealed []byte) string {
	sum := sha256.Sum256(sealed)
	return hex.EncodeToString(sum[:])
}

const (
	// Bucket is the bucket of requests in the account of a lattice.
	Bucket = "TRELLIS-SECRETS-SEEN"

	remembered = time.Minute
)

// Seen is a Memory in a bucket that all replicas share. It is safe for concurrent use.
type Seen struct {
	js       jetstream.JetStream
	replicas int

	mu sync.Mutex
	kv jetstream.KeyValue
}

var _ Memory = (*Seen)(nil)

// NewSeen returns a memory that makes its bucket when it is first asked. The connection is to the lattice's account and
// stays the caller's. Domain is the JetStream domain, "" for the account's own; replicas are those of a new bucket.
func NewSeen(conn *nats.Conn, domain string, replicas int) (*Seen, error) {
	js, err := jetstream.New(conn)
	if domain != "" {
		js, err = jetstream.NewWithDomain(conn, domain)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare the memory of requests for secrets: %w", err)
	}
	return &Seen{js: js, replicas: max(replicas, 1)}, nil
}

// First is that of Memory: to create a key is to compare and to set it.
func (s *Seen) First(ctx context.Context, key string) (bool, error) {
	err := s.create(ctx, key)
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		// The bucket is gone: memory does not survive its server.
		s.forget()
		err = s.create(ctx, key)
	}
	switch {
	case errors.Is(err, jetstream.ErrKeyExists): // the library maps both codes of JetStream to it
		return false, nil
	case err != nil:
		return false, fmt.Errorf("note the request in bucket %s: %w", Bucket, err)
	}
	return true, nil
}

func (s *Seen) create(ctx context.Context, key string) error {
	kv, err := s.open(ctx)
	if err != nil {
		return err
	}
	_, err = kv.Create(ctx, key, nil)
	return err
}

func (s *Seen) open(ctx context.Context) (jetstream.KeyValue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kv != nil {
		return s.kv, nil
	}
	kv, err := s.js.KeyValue(ctx, Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = s.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: Bucket, Description: "Requests for secrets that Trellis has taken",
			Storage: jetstream.MemoryStorage, TTL: remembered, History: 1, Replicas: s.replicas,
		})
	}
	if errors.Is(err, jetstream.ErrBucketExists) { // another replica was faster
		kv, err = s.js.KeyValue(ctx, Bucket)
	}
	if err != nil {
		return nil, err
	}
	s.kv = kv
	return kv, nil
}

func (s *Seen) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kv = nil
}
