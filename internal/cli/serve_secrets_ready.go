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

// secretReadiness is the part of readiness that secrets have. Lattices whose NATS belongs to somebody else are no part of
// it: whoever runs that NATS could take the Application API away from everybody.
type secretReadiness struct {
	// counts says whether a lattice is part of it.
	counts func(lattice string) bool

	mu sync.Mutex
	of map[string]func() bool
}

func newSecretReadiness(counts func(lattice string) bool) *secretReadiness {
	return &secretReadiness{counts: counts, of: map[string]func() bool{}}
}

func (r *secretReadiness) add(lattice string, ready func() bool) {
	if !r.counts(lattice) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[lattice] = ready
}

func (r *secretReadiness) check() healthz.HealthChecker {
	return healthz.NamedCheck("secrets", func(*http.Request) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		var missing []string
		for _, lattice := range slices.Sorted(maps.Keys(r.of)) {
			if !r.of[lattice]() {
				missing = append(missing, lattice)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("no secrets are served in lattices %s: NATS is away, or refuses the subscription", strings.Join(missing, ", "))
		}
		return nil
	})
}
