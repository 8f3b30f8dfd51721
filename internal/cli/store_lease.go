package cli

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/orchestrator"
)

// guardedLease is the lease of a lattice, valid only while the store is the one that was served. Whoever comes back to
// NATS asks about the store first: the lattice's connection may be back before that of the store has noticed anything.
type guardedLease struct {
	orchestrator.Lease
	guard *storeGuard
	conn  *nats.Conn
	// begun is called when the lease has become valid.
	begun func()
	// verified is the number of connections that the lattice had when the store was verified last, this one included.
	verified atomic.Uint64
}

var _ orchestrator.Lease = (*guardedLease)(nil)

// verifyEvery is how soon after a reconnection the store is asked about, and again while it does not answer.
const verifyEvery = 100 * time.Millisecond

// Valid implements orchestrator.Lease.
func (l *guardedLease) Valid() bool {
	return l.Lease.Valid() && l.guard.keeper.Settled() && l.verified.Load() == l.connections()
}

func (l *guardedLease) connections() uint64 { return l.conn.Stats().Reconnects + 1 }

// Hold implements orchestrator.Lease. The lease is kept while the store is the wrong one: nobody else could do more.
func (l *guardedLease) Hold(ctx context.Context, lead func(context.Context)) error {
	ctx, cancel := context.WithCancel(ctx)
	var verifier sync.WaitGroup
	defer verifier.Wait()
	defer cancel()
	verifier.Go(func() { l.verify(ctx) })
	return l.Lease.Hold(ctx, func(ctx context.Context) { l.guard.whileOpen(ctx, lead) })
}

// verify asks about the store after each reconnection, and notes when the lease becomes valid, until ctx ends.
func (l *guardedLease) verify(ctx context.Context) {
	ticker := time.NewTicker(verifyEvery)
	defer ticker.Stop()
	for acted := false; ; {
		if now := l.connections(); l.verified.Load() != now && l.conn.IsConnected() && l.guard.objects.Verify(ctx) == nil {
			l.verified.Store(now)
		}
		acts := l.Valid()
		if acts && !acted {
			l.begun()
		}
		acted = acts
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
