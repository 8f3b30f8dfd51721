package lease

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
)

// contender looks at the lease until it wins it. It lives through all terms: what it has seen decides how long to wait.
type contender struct {
	lease *Lease
	// bucket is nil after a failure, until it is opened again.
	bucket *bucket
	opened bool
	// revision that was seen last, and when it was first seen. Where renewals may have been missed, seen is later.
	revision uint64
	seen     time.Time
	// earliest is when a term may begin. It is known once claimed is true.
	earliest time.Time
	claimed  bool
	// sole says that nobody else can have acted before.
	sole bool
	// failing is the last error that was logged, so that it is logged once.
	failing string
}

// claim is a lease that was won.
type claim struct {
	revision uint64
	// sent is when the message that took it was sent.
	sent time.Time
	// earliest is when it may be acted under.
	earliest time.Time
}

// contend returns nil without error when ctx ended.
func (c *contender) contend(ctx context.Context) (*claim, error) {
	ticker := time.NewTicker(c.lease.config.Renew)
	defer ticker.Stop()
	for ctx.Err() == nil {
		won, err := c.attempt(ctx)
		if won != nil {
			return won, nil
		}
		if c.lease.config.Conn.IsClosed() {
			return nil, nats.ErrConnectionClosed
		}
		c.log(ctx, err)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	return nil, nil
}

// log reports a state of failure once.
func (c *contender) log(ctx context.Context, err error) {
	text := ""
	if err != nil && ctx.Err() == nil && !errors.Is(err, errTaken) {
		text = err.Error()
	}
	if text != "" && text != c.failing {
		logr.FromContextOrDiscard(ctx).Info("Cannot contend for the lease", "lattice", c.lease.config.Lattice, "reason", text)
	}
	c.failing = text
}

// attempt looks once and takes the lease if it is free.
func (c *contender) attempt(ctx context.Context) (*claim, error) {
	if !c.lease.config.Conn.IsConnected() { // natsconn logs it
		c.bucket = nil
		return nil, nil
	}
	// Not longer than the TTL: what is not known by then is out of date.
	ctx, cancel := context.WithTimeout(ctx, c.lease.config.TTL)
	defer cancel()
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	found, err := c.bucket.look(ctx)
	if err != nil {
		c.bucket = nil
		return nil, err
	}
	if !c.free(found) {
		return nil, nil
	}
	return c.take(ctx, found)
}

func (c *contender) open(ctx context.Context) error {
	if c.bucket != nil {
		return nil
	}
	b, made, err := c.lease.open(ctx)
	if err != nil {
		return err
	}
	// A bucket that was made may replace one that was lost a moment ago with a lease in it, and while we could not look
	// a lease may have been renewed.
	if made || c.opened {
		c.seen = c.lease.config.Now()
	}
	c.bucket, c.opened = b, true
	return nil
}

// free says whether the lease may be taken.
func (c *contender) free(found *sight) bool {
	if found == nil || found.Released || found.Holder == c.lease.config.Holder {
		return true
	}
	c.sole = false
	now := c.lease.config.Now()
	if found.revision != c.revision {
		c.revision, c.seen = found.revision, now
		return false
	}
	// Its server should have removed it by now.
	return now.Sub(c.seen) >= c.lease.config.TTL
}

func (c *contender) take(ctx context.Context, found *sight) (*claim, error) {
	var last uint64
	mine, released := false, false
	if found != nil {
		last, released = found.revision, found.Released
		mine = !released && found.Holder == c.lease.config.Holder && c.claimed
	}
	if !mine {
		c.claimed = false // until the outcome is known
	}
	now := c.lease.config.Now
	sent := now()
	revision, err := c.bucket.write(ctx, record{Holder: c.lease.config.Holder}, last)
	if err != nil {
		if !errors.Is(err, errTaken) {
			c.bucket = nil
		}
		return nil, err
	}
	switch {
	case mine: // nobody was there in between
	case released, c.sole:
		c.earliest = now()
	default:
		c.earliest = later(c.seen.Add(c.lease.config.TTL), now()).Add(c.lease.config.CommandTimeout)
	}
	c.claimed, c.sole = true, false
	return &claim{revision: revision, sent: sent, earliest: c.earliest}, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
