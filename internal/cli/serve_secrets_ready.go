package cli

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiserver/pkg/server/healthz"
)

// secretReadiness is the part of readiness that secrets have: a new replica whose subscription NATS refuses does not take
// the place of an old one. It never takes the Application API away, which namespaces need to go even while NATS is away:
// what was served once passes, and so does what has no connection. Lattices whose NATS belongs to somebody else are no part
// of it: whoever runs that NATS would decide.
type secretReadiness struct {
	// counts says whether a lattice is part of it.
	counts func(lattice string) bool

	mu sync.Mutex
	of map[string]*servedLattice
}

type servedLattice struct {
	connected, ready func() bool
	// once says that it was ready at a time.
	once bool
}

func newSecretReadiness(counts func(lattice string) bool) *secretReadiness {
	return &secretReadiness{counts: counts, of: map[string]*servedLattice{}}
}

func (r *secretReadiness) add(lattice string, connected, ready func() bool) {
	if !r.counts(lattice) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[lattice] = &servedLattice{connected: connected, ready: ready}
}

func (r *secretReadiness) check() healthz.HealthChecker {
	return healthz.NamedCheck("secrets", func(*http.Request) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		var missing []string
		for _, lattice := range slices.Sorted(maps.Keys(r.of)) {
			l := r.of[lattice]
			l.once = l.once || l.ready()
			if !l.once && l.connected() {
				missing = append(missing, lattice)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("no secrets are served in lattices %s: NATS has not let the operator subscribe below secrets.prefix", strings.Join(missing, ", "))
		}
		return nil
	})
}
