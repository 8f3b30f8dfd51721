package orchestrator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Defaults of Config.
const (
	DefaultHeartbeatInterval = 30 * time.Second
	DefaultComponentDeadline = 30 * time.Second
	DefaultProviderDeadline  = 60 * time.Second
	DefaultPerHost           = 8
	DefaultPerLattice        = 64
)

// Config of an Orchestrator. Fields without a default are required.
type Config struct {
	// Lattice is the name of the lattice.
	Lattice      string
	Control      Control
	Applications Applications
	Revisions    Revisions
	Teardowns    Teardowns
	Lease        Lease
	// Recorder of Events. Default: none.
	Recorder Recorder
	// HostEnds, where something knows about hosts' pods. Default: heartbeats only.
	HostEnds HostEnds
	// Drains, where somebody asks before hosts end. Default: nobody does.
	Drains Drains
	// IdentityLabel is a label whose value one host at a time has, as the uid of its pod: a host that starts with the
	// value of another has taken its place. Default: none.
	IdentityLabel string

	// Metrics to count with. Default: some that nobody reads.
	Metrics *Metrics

	// HeartbeatInterval of hosts, as long as a host has not shown a shorter one. Default: DefaultHeartbeatInterval.
	HeartbeatInterval time.Duration
	// ComponentDeadline and ProviderDeadline are how long the effect of an accepted command may take.
	ComponentDeadline, ProviderDeadline time.Duration
	// PerHost and PerLattice bound the commands under way.
	PerHost, PerLattice int
	// Random returns numbers in [0,1) for the jitter of back-off. Default: rand.Float64.
	Random func() float64
}

func (c Config) complete() (Config, error) {
	if err := lattice.ValidateName(c.Lattice); err != nil {
		return c, fmt.Errorf("make an orchestrator: %w", err)
	}
	if c.Control == nil || c.Applications == nil || c.Revisions == nil || c.Teardowns == nil || c.Lease == nil {
		return c, errors.New("make an orchestrator: Control, Applications, Revisions, Teardowns and Lease are required")
	}
	setDefault(&c.HeartbeatInterval, DefaultHeartbeatInterval)
	setDefault(&c.ComponentDeadline, DefaultComponentDeadline)
	setDefault(&c.ProviderDeadline, DefaultProviderDeadline)
	setDefault(&c.PerHost, DefaultPerHost)
	setDefault(&c.PerLattice, DefaultPerLattice)
	if c.Metrics == nil {
		c.Metrics = newMetrics()
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	return c, nil
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
