package rotation

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// DefaultEvery is how often a Secret is looked at. Nobody may watch them.
const DefaultEvery = 15 * time.Second

// passInterval is how often it is looked whether something has to be told or done.
const passInterval = time.Second

// Options of a Rotation. All but those with a default are required.
type Options struct {
	Lattice      string
	Applications Applications
	Hosts        Hosts
	Versions     Versions
	Outcomes     Outcomes
	Courier      Courier
	// Leading says whether this process acts on the lattice.
	Leading func() bool

	// Every is how often each Secret is looked at. Default: DefaultEvery.
	Every time.Duration
	// Metrics of the process. Default: nobody sees them.
	Metrics *Metrics
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Random returns numbers in [0,1). Default: rand.Float64.
	Random func() float64
}

// Rotation looks after the secrets of one lattice.
type Rotation struct {
	options Options
	label   string
}

// New checks the options.
func New(o Options) (*Rotation, error) {
	if o.Lattice == "" || o.Applications == nil || o.Hosts == nil || o.Versions == nil || o.Outcomes == nil || o.Courier == nil || o.Leading == nil {
		return nil, errors.New("the rotation of secrets needs a lattice, applications, hosts, versions, outcomes, a courier, and who leads")
	}
	if o.Every <= 0 {
		o.Every = DefaultEvery
	}
	if o.Metrics == nil {
		o.Metrics = newMetrics()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return &Rotation{options: o, label: o.Metrics.label(o.Lattice)}, nil
}

// Run works whenever this process leads, until ctx ends.
func (r *Rotation) Run(ctx context.Context) error {
	tick := time.NewTicker(passInterval)
	defer tick.Stop()
	var now *term
	end := func() {
		if now != nil {
			now.end()
			now = nil
		}
	}
	defer end()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !r.options.Leading() {
			end()
			continue
		}
		if now == nil {
			now = r.begin(ctx)
		}
		now.pass(ctx)
	}
}
