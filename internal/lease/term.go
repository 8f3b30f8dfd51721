package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
)

const releaseTimeout = 500 * time.Millisecond

var (
	errExpired      = errors.New("it could not be renewed in time")
	errDisconnected = errors.New("the connection to NATS was lost")
)

// term is one time of holding the lease; it belongs to one goroutine.
type term struct {
	lease    *Lease
	bucket   *bucket
	revision uint64
	deadline time.Time
	// led is closed when lead has returned.
	led  chan struct{}
	stop context.CancelFunc
	// acting: the time of the term has come.
	acting bool
}

// serve keeps the lease, calls lead, and returns when lead has returned and the lease is released or lost. lead may look
// at once; the lease is valid only when its time has come.
func (l *Lease) serve(ctx context.Context, b *bucket, won *claim, lead func(context.Context)) {
	t := &term{lease: l, bucket: b, revision: won.revision, deadline: won.sent.Add(l.config.TTL), led: make(chan struct{})}
	log := logr.FromContextOrDiscard(ctx).WithValues("lattice", l.config.Lattice)
	why := t.run(ctx, won.earliest, lead)
	if why != nil {
		log.Info("The lease is lost", "reason", why.Error())
	}
	// From here on nothing may be sent, whatever lead still does.
	l.until.Store(nil)
	t.stop()
	<-t.led
	if why != nil {
		return
	}
	if err := t.release(ctx); err != nil {
		log.Info("The lease was not handed over, it will expire", "reason", err.Error())
	}
}

// run returns nil when the lease is given up freely, else why it is lost.
func (t *term) run(ctx context.Context, earliest time.Time, lead func(context.Context)) error {
	connected, leave := whileConnected(ctx, t.lease.config.Conn)
	defer leave()
	renew := time.NewTicker(t.lease.config.Renew)
	defer renew.Stop()
	begin := time.NewTimer(earliest.Sub(t.lease.config.Now()))
	defer begin.Stop()
	t.lead(ctx, lead)
	for {
		select {
		case <-connected.Done():
			if ctx.Err() != nil {
				return nil
			}
			return errDisconnected
		case <-t.led:
			return nil
		case <-begin.C:
			if !t.lease.config.Now().Before(t.deadline) { // this process was stopped for a while
				return errExpired
			}
			t.acting = true
			t.publish()
		case <-renew.C:
			if err := t.renew(connected); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// lead calls lead beside the renewals.
func (t *term) lead(ctx context.Context, lead func(context.Context)) {
	ctx, t.stop = context.WithCancel(ctx)
	go func() {
		defer close(t.led)
		lead(ctx)
	}()
}

// publish tells Valid of the deadline.
func (t *term) publish() {
	if t.acting {
		deadline := t.deadline
		t.lease.until.Store(&deadline)
	}
}

// renew returns an error when the lease is lost. A renewal that merely fails is tried again at the next tick.
func (t *term) renew(ctx context.Context) error {
	now := t.lease.config.Now()
	left := t.deadline.Sub(now)
	if left <= 0 {
		return errExpired
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	revision, err := t.bucket.write(ctx, record{Holder: t.lease.config.Holder}, t.revision)
	if errors.Is(err, errTaken) {
		return t.recognise(ctx)
	}
	if err == nil {
		t.revision, t.deadline = revision, now.Add(t.lease.config.TTL)
		t.publish()
	}
	return nil
}

// recognise tells a renewal of our own whose answer did not arrive from a lease that somebody else has. It does not
// extend the lease.
func (t *term) recognise(ctx context.Context) error {
	found, err := t.bucket.look(ctx)
	switch {
	case err != nil:
		return nil // the next renewal tries again
	case found == nil:
		return fmt.Errorf("it is gone: %w", errTaken)
	case found.Released || found.Holder != t.lease.config.Holder:
		return errTaken
	}
	t.revision = found.revision
	return nil
}

// release hands the lease over. One that was never acted under is only removed: whoever comes next waits in our place.
func (t *term) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if !t.acting {
		return t.bucket.remove(ctx, t.revision)
	}
	_, err := t.bucket.write(ctx, record{Holder: t.lease.config.Holder, Released: true}, t.revision)
	return err
}

// whileConnected returns a context that ends with ctx or with the connection.
func whileConnected(ctx context.Context, conn *nats.Conn) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	changes := conn.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	if !conn.IsConnected() {
		cancel()
	}
	go func() {
		select {
		case <-changes:
		case <-ctx.Done():
		}
		cancel()
	}()
	return ctx, func() {
		cancel()
		conn.RemoveStatusListener(changes)
	}
}
