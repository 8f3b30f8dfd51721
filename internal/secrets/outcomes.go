package secrets

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// OutcomesBucket is the bucket of outcomes, in the operator's own account: no client of a lattice reaches it.
	OutcomesBucket = "TRELLIS-SECRETS-OUTCOMES"

	outcomesBytes = 64 << 20
	// outcomesQueue are the outcomes that wait to be written. More are dropped: requests do not wait for notes.
	outcomesQueue = 4096
	outcomeTries  = 3
	outcomePause  = time.Second
	outcomeWait   = 5 * time.Second
	// markerTTL is how long the bucket remembers that an entry was removed.
	markerTTL = time.Hour
)

// Outcomes keeps what came of requests, in a bucket that all replicas share. It is safe for concurrent use.
type Outcomes struct {
	js       jetstream.JetStream
	cluster  string
	replicas int
	// check is how often a watch asks whether the bucket is still the one it began with.
	check time.Duration
	queue chan Outcome

	mu sync.Mutex
	kv jetstream.KeyValue
}

// NewOutcomes returns the outcomes of a cluster, which make their bucket when they are first needed. The connection stays
// the caller's. Domain is the JetStream domain, "" for the account's own; replicas are those of a new bucket.
func NewOutcomes(conn *nats.Conn, domain string, replicas int, cluster string) (*Outcomes, error) {
	js, err := jetstream.New(conn)
	if domain != "" {
		js, err = jetstream.NewWithDomain(conn, domain)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare the outcomes of requests for secrets: %w", err)
	}
	return &Outcomes{
		js: js, cluster: cluster, replicas: max(replicas, 1), check: 30 * time.Second, queue: make(chan Outcome, outcomesQueue),
	}, nil
}

// Record has an outcome written by Run. It does not wait; what there is no room for is lost.
func (s *Outcomes) Record(o Outcome) {
	select {
	case s.queue <- o:
	default:
	}
}

// Run writes what is recorded until ctx ends.
func (s *Outcomes) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case o := <-s.queue:
			if err := s.write(ctx, o); err != nil && ctx.Err() == nil {
				logr.FromContextOrDiscard(ctx).Info("What came of a request for a secret was not noted; the status of the application may be behind",
					"application", o.Namespace+"/"+o.Application, "component", o.Component, "host", o.Host, "reason", err.Error())
			}
		}
	}
}

// write tries some times: NATS may be away for a moment, and others wait behind.
func (s *Outcomes) write(ctx context.Context, o Outcome) error {
	body := o.encode()
	if len(body) > maxOutcomeBytes {
		return fmt.Errorf("it has %d bytes, and may have %d", len(body), maxOutcomeBytes)
	}
	for try := 1; ; try++ {
		err := s.put(ctx, o.key(s.cluster), body)
		if err == nil || try == outcomeTries {
			return err
		}
		s.forget()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(outcomePause):
		}
	}
}

func (s *Outcomes) put(ctx context.Context, key string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, outcomeWait)
	defer cancel()
	kv, err := s.open(ctx)
	if err != nil {
		return err
	}
	_, err = kv.Put(ctx, key, body)
	return err
}

// Remove forgets an outcome, as it was told, that concerns nobody any more. It is no error if that is gone already, or was
// noted anew.
func (s *Outcomes) Remove(ctx context.Context, o Outcome) error {
	ctx, cancel := context.WithTimeout(ctx, outcomeWait)
	defer cancel()
	kv, err := s.open(ctx)
	if err == nil {
		err = kv.Purge(ctx, o.key(s.cluster), jetstream.LastRevision(o.Revision), jetstream.PurgeTTL(markerTTL))
	}
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) { // the library maps both codes of JetStream to it
		return fmt.Errorf("forget what came of a request for a secret: %w", err)
	}
	return nil
}

func (s *Outcomes) open(ctx context.Context) (jetstream.KeyValue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kv != nil {
		return s.kv, nil
	}
	kv, err := s.js.KeyValue(ctx, OutcomesBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = s.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: OutcomesBucket, Description: "What came of requests for secrets, without values",
			Storage: jetstream.FileStorage, History: 1, Replicas: s.replicas,
			MaxBytes: outcomesBytes, MaxValueSize: maxOutcomeBytes, LimitMarkerTTL: markerTTL,
		})
	}
	if errors.Is(err, jetstream.ErrBucketExists) { // another replica was faster
		kv, err = s.js.KeyValue(ctx, OutcomesBucket)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", OutcomesBucket, err)
	}
	s.kv = kv
	return kv, nil
}

func (s *Outcomes) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kv = nil
}
