package secrets

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Defaults of Options.
const (
	DefaultInFlight = 32
	// DefaultTimeout is half of what a host waits.
	DefaultTimeout = 5 * time.Second
	DefaultRate    = 50
	DefaultBurst   = 200
)

// Options say what a Server serves and from what.
type Options struct {
	// Conn is a connection in the lattice's account. It is not closed here.
	Conn *nats.Conn
	// Lattice that the connection is for.
	Lattice string
	// Prefixes of the subjects; one that ends in ".*.*" is that of host groups, whose namespace and name (see GroupPrefix)
	// stand there. Requests below others come from nobody knows whom. The first gives the queue group of replicas its name.
	// Default: wasmcloud.secrets and wasmcloud.secrets.*.*.
	Prefixes []string
	// Backend is the name by which manifests ask for it. Default: kube.
	Backend string
	// Keyring of all replicas.
	Keyring *Keyring

	// Doubt says, for each request, why NATS does not keep host groups to their own prefixes just now: who asks is unknown
	// then, whatever the subject says. Empty while it does. Default: it always does.
	Doubt func() string

	Keeper  Keeper
	Memory  Memory
	Auditor Auditor
	// Metrics of the process. Default: nobody sees them.
	Metrics *Metrics

	// InFlight is how many requests are worked on at once; more are refused. Default: 32.
	InFlight int
	// Timeout of one request. Default: 5 s.
	Timeout time.Duration
	// Rate and Burst limit each asker, in requests a second and at once. Default: 50 and 200.
	Rate  float64
	Burst int
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Server answers requests for secrets in one lattice.
type Server struct {
	options  Options
	subjects subjects
	rates    *rates
	// slots has an entry for each request that is worked on.
	slots   chan struct{}
	running sync.WaitGroup
	label   string
	ready   atomic.Bool
}

// New checks the options.
func New(o Options) (*Server, error) {
	if o.Conn == nil || o.Lattice == "" || o.Keyring == nil || o.Keeper == nil || o.Memory == nil || o.Auditor == nil {
		return nil, errors.New("serve secrets: a connection, a lattice, a keyring and the three interfaces are required")
	}
	o = o.complete()
	subjects, err := newSubjects(o.Lattice, o.Backend, o.Prefixes)
	if err != nil {
		return nil, err
	}
	o.Metrics.keys.Store(o.Keyring)
	return &Server{
		options: o, subjects: subjects, rates: newRates(o.Rate, o.Burst),
		slots: make(chan struct{}, o.InFlight), label: o.Metrics.label(o.Lattice),
	}, nil
}

func (o Options) complete() Options {
	if len(o.Prefixes) == 0 {
		o.Prefixes = []string{DefaultPrefix, DefaultPrefix + ofGroups}
	}
	if o.Backend == "" {
		o.Backend = DefaultBackend
	}
	if o.Doubt == nil {
		o.Doubt = func() string { return "" }
	}
	if o.InFlight <= 0 {
		o.InFlight = DefaultInFlight
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Rate <= 0 {
		o.Rate = DefaultRate
	}
	if o.Burst <= 0 {
		o.Burst = DefaultBurst
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = newMetrics(o.Now)
	}
	return o
}

// Ready says whether hosts are answered: NATS is connected and has the subscriptions.
func (s *Server) Ready() bool { return s.ready.Load() && s.options.Conn.IsConnected() }

// Run answers requests until ctx ends; those that were accepted are answered before it returns. It is called once.
func (s *Server) Run(ctx context.Context) error {
	requests := context.WithoutCancel(ctx)
	subs, err := s.subscribe(func(msg *nats.Msg) { s.take(requests, msg) })
	if err == nil {
		err = s.supervise(ctx)
	}
	s.ready.Store(false)
	err = errors.Join(err, s.stop(subs))
	s.running.Wait() // not longer than one time-out
	if s.options.Conn.IsConnected() {
		err = errors.Join(err, s.flush(requests))
	}
	if err != nil {
		return fmt.Errorf("serve secrets of lattice %s: %w", s.options.Lattice, err)
	}
	return nil
}
