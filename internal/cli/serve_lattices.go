package cli

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/binding"
	"github.com/trellis-operator/trellis/internal/census"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/exposure"
	"github.com/trellis-operator/trellis/internal/orchestrator"
)

const (
	latticeRetry = time.Second
	// serveWindow is how long hosts of a cluster may take to answer a ping.
	serveWindow = 2 * time.Second
)

// latticeSupervisor runs orchestrator, wadm's API and observer for each bound lattice, from the moment it is bound.
type latticeSupervisor struct {
	bindings  *binding.Set
	lattices  *lattices
	loopback  *rest.Config
	cache     *applications.Cache
	guard     *storeGuard
	living    livingNamespace
	observers *observers
	recorder  orchestrator.Recorder
	ends      orchestrator.HostEnds
	identity  string
	accounts  map[string]string // of lattices, for the multitenant form of wadm's subjects

	// secrets is nil where none are served.
	secrets *secretService

	// groups and exposed are told which lattices and applications to look at again.
	groups  *notes[string]
	exposed *notes[exposure.Trigger]

	started map[string]bool
}

// run starts what is missing whenever bindings change, until ctx ends; then it ends what it started.
func (s *latticeSupervisor) run(ctx context.Context) error {
	running := newParts()
	s.started = map[string]bool{}
	s.cache.Follow(ctx, s.applicationChanged)
	for ctx.Err() == nil {
		changed := s.bindings.Changed()
		again := s.startMissing(ctx, running)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-again:
		case err := <-running.failed:
			return err
		}
	}
	return running.stop()
}

// startMissing starts the lattices that do not run yet; again fires when one could not be started.
func (s *latticeSupervisor) startMissing(ctx context.Context, running *parts) (again <-chan time.Time) {
	for _, name := range s.bindings.Lattices() {
		if s.started[name] {
			continue
		}
		if err := s.start(ctx, running, name); err != nil {
			logr.FromContextOrDiscard(ctx).Info("A lattice is not connected yet; it is tried again", "lattice", name, "reason", err.Error())
			if s.observers.fail(name, err) {
				s.groups.add(name)
			}
			again = time.After(latticeRetry)
			continue
		}
		s.started[name] = true
	}
	return again
}

func (s *latticeSupervisor) start(ctx context.Context, running *parts, name string) error {
	link, err := s.lattices.link(ctx, name)
	if err != nil {
		return err
	}
	hosts, err := control.New(link.conn, name, control.Options{Domain: link.domain, Window: serveWindow})
	if err != nil {
		return err
	}
	told := func(what []string) {
		s.groups.add(name)
		if what == nil {
			s.exposed.add(exposure.Trigger{Lattice: name})
		}
		for _, id := range what {
			s.exposed.add(exposure.Trigger{Lattice: name, Name: id})
		}
	}
	view := &observer{census: census.New(hosts, census.Options{Changed: told}), wiring: census.NewWiring(hosts, told)}
	runtime := &latticeRuntime{
		name: name, bindings: s.bindings, lattices: s.lattices, loopback: s.loopback, cache: s.cache, guard: s.guard,
		living: s.living, recorder: s.recorder, ends: s.ends, identityLabel: v1alpha1.HostLabelPodUID, identity: s.identity, window: serveWindow,
		account: s.accounts[name],
	}
	serveSecrets, err := s.secrets.prepare(name, link)
	if err != nil {
		return err
	}
	if err := runtime.start(ctx, running); err != nil {
		return err
	}
	serveSecrets(ctx, running)
	if err := s.secrets.rotate(ctx, running, name, hosts, view.census, runtime.conductor); err != nil {
		return err
	}
	running.start(ctx, "census of lattice "+name, view.census.Run)
	running.start(ctx, "wiring of lattice "+name, view.wiring.Run)
	s.observers.set(name, view)
	return nil
}

// applicationChanged tells exposure and host groups of what they look at. Most changes are of a status that neither does.
func (s *latticeSupervisor) applicationChanged(before, now *oam.Application) {
	switch {
	case before == nil || now == nil || !looksAlike(before, now):
		s.exposed.add(exposure.Trigger{Application: keyOf(cmp.Or(now, before))})
	case !saysAlike(&before.Status, &now.Status):
		s.exposed.add(exposure.Trigger{Application: keyOf(now), Told: true})
	}
	for _, app := range []*oam.Application{before, now} {
		if app == nil || app.Status.Lattice == "" {
			continue
		}
		if before == nil || now == nil || before.Status.Lattice != now.Status.Lattice || before.Status.Version != now.Status.Version {
			s.groups.add(app.Status.Lattice)
		}
	}
}

// notes is a queue of things to look at, each at most once at a time, that never blocks who adds.
type notes[T comparable] struct {
	mu      sync.Mutex
	waiting []T
	known   map[T]bool
	wake    chan struct{}
	out     chan T
}

func newNotes[T comparable]() *notes[T] {
	return &notes[T]{known: map[T]bool{}, wake: make(chan struct{}, 1), out: make(chan T)}
}

func (n *notes[T]) add(item T) {
	n.mu.Lock()
	if !n.known[item] {
		n.known[item] = true
		n.waiting = append(n.waiting, item)
	}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// run hands the items out on n.out until ctx ends.
func (n *notes[T]) run(ctx context.Context) error {
	for {
		n.mu.Lock()
		var next T
		found := len(n.waiting) > 0
		if found {
			next = n.waiting[0]
			n.waiting = n.waiting[1:]
			delete(n.known, next)
		}
		n.mu.Unlock()
		if !found {
			select {
			case <-ctx.Done():
				return nil
			case <-n.wake:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case n.out <- next:
		}
	}
}
