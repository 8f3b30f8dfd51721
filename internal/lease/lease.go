// Package lease makes sure that of all processes of a cluster one acts on a lattice. The lease is one key of a KV bucket
// with memory storage in the lattice's account: the holder renews it, the others look at it, one message each per period.
//
// Hosts check no fencing token, so safety rests on time. A holder counts its lease from the moment it sent the renewal,
// by its monotonic clock, and stops acting a margin before the end. A successor begins only after the full TTL and the
// timeout of a command have passed since the last renewal it has seen, unless the lease was released.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// Bucket holds the leases of all lattices and clusters that share an account. No ledger can have this name.
	Bucket = "TRELLIS-LEASES"

	// DefaultTTL is how long a renewal lasts.
	DefaultTTL = 2 * time.Second
	// DefaultRenew is the time between two renewals, and between two looks of those who wait.
	DefaultRenew = 500 * time.Millisecond
	// DefaultMargin is how long before the end of its lease a holder stops acting.
	DefaultMargin = time.Second
	// DefaultCommandTimeout is how long a command of the last holder may be under way; as in package control.
	DefaultCommandTimeout = 2 * time.Second
)

// Config says which lease, and how it is kept.
type Config struct {
	// Conn is a connection to the lattice's account. It stays the caller's.
	Conn *nats.Conn
	// Domain is the JetStream domain of the bucket, "" for the account's own.
	Domain string
	// Cluster and Lattice name the lease.
	Cluster, Lattice string
	// Holder names this process among the contenders. Default: a random id.
	Holder string
	// TTL, Renew, Margin and CommandTimeout: the Default constants. All contenders must use the same.
	TTL, Renew, Margin, CommandTimeout time.Duration
	// Replicas of the bucket. Default: 1.
	Replicas int
	// Sole says that no other process can hold the lease when this one starts, as where the NATS server is part of the
	// process: the first term begins without waiting. Default: false.
	Sole bool
	// Now returns the time with a monotonic reading. Default: time.Now.
	Now func() time.Time
}

// Lease is one process's part in a lease. Hold is called once at a time; Valid at any time.
type Lease struct {
	config Config
	js     jetstream.JetStream
	key    string
	// until is when the lease ends that is being acted under; nil when none is.
	until atomic.Pointer[time.Time]
}

// New makes a lease; nothing is sent before Hold.
func New(c Config) (*Lease, error) {
	c, err := c.complete()
	if err != nil {
		return nil, fmt.Errorf("make the lease of lattice %q: %w", c.Lattice, err)
	}
	js, err := newJetStream(c.Conn, c.Domain)
	if err != nil {
		return nil, fmt.Errorf("make the lease of lattice %q: %w", c.Lattice, err)
	}
	return &Lease{config: c, js: js, key: key(c.Cluster, c.Lattice)}, nil
}

func (c Config) complete() (Config, error) {
	if c.Conn == nil || c.Cluster == "" || c.Lattice == "" {
		return c, errors.New("a lease needs a connection, a cluster and a lattice")
	}
	if c.Holder == "" {
		c.Holder = rand.Text()
	}
	setDefault(&c.TTL, DefaultTTL)
	setDefault(&c.Renew, DefaultRenew)
	setDefault(&c.Margin, DefaultMargin)
	setDefault(&c.CommandTimeout, DefaultCommandTimeout)
	setDefault(&c.Replicas, 1)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Renew+c.Margin >= c.TTL {
		return c, fmt.Errorf("a lease of %s, not used in its last %s, cannot be renewed every %s", c.TTL, c.Margin, c.Renew)
	}
	return c, nil
}

func setDefault[T int | time.Duration](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}

// Valid says whether the lease is held and will be for long enough to send a command now.
func (l *Lease) Valid() bool {
	until := l.until.Load()
	return until != nil && l.config.Now().Before(until.Add(-l.config.Margin))
}

// Hold calls lead whenever the lease was won, with a context that ends when the lease or the connection is lost, and
// returns nil when ctx ends. While the last holder's commands may still be under way lead may look and not act: Valid
// says so. lead must return soon after its context has ended: only then is the lease handed over, and
// only then can it be won again. The one error is a connection that was closed.
func (l *Lease) Hold(ctx context.Context, lead func(ctx context.Context)) error {
	c := &contender{lease: l, sole: l.config.Sole}
	for {
		won, err := c.contend(ctx)
		if err != nil {
			return fmt.Errorf("hold the lease of lattice %q: %w", l.config.Lattice, err)
		}
		if won == nil {
			return nil
		}
		l.serve(ctx, c.bucket, won, lead)
	}
}
