package orchestrator

import (
	"context"
	"sync/atomic"

	"github.com/trellis-operator/trellis/internal/scaler"
)

// Orchestrator looks after one lattice.
type Orchestrator struct {
	config  Config
	orphans atomic.Pointer[[]scaler.Orphan]
	leading atomic.Bool
	// term is the session of the present term, nil between terms.
	term  atomic.Pointer[session]
	plans atomic.Uint64
}

// New makes an orchestrator; it does nothing before Run.
func New(c Config) (*Orchestrator, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	return &Orchestrator{config: c}, nil
}

// Run works whenever it holds the lease, until ctx ends. It returns the error of the lease, or nil when ctx ended.
func (o *Orchestrator) Run(ctx context.Context) error {
	err := o.config.Lease.Hold(ctx, func(ctx context.Context) {
		o.leading.Store(true)
		defer o.leading.Store(false)
		newSession(o).run(ctx)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Leading says whether this process acts on the lattice.
func (o *Orchestrator) Leading() bool { return o.leading.Load() }

// Plans is how often an application was planned, in all terms of leadership.
func (o *Orchestrator) Plans() uint64 { return o.plans.Load() }

// Orphans is what ran, at the last look, in the name of applications that nobody knows. It is never stopped.
func (o *Orchestrator) Orphans() []scaler.Orphan {
	if list := o.orphans.Load(); list != nil {
		return *list
	}
	return nil
}
