package cli

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/test/sim"
	"github.com/trellis-operator/trellis/test/sim/wire"
)

// simulated is a host on a real NATS server that outlives it, as hosts do, and keeps the commands that it gets.
type simulated struct {
	*wire.Wire
	id string

	mu       sync.Mutex
	commands []string
}

func simulate(t *testing.T, url string) *simulated {
	t.Helper()
	return simulateIn(t, url, devLattice)
}

func simulateIn(t *testing.T, url, lattice string) *simulated {
	t.Helper()
	s := &simulated{}
	w, err := wire.Start(t.Context(), wire.Options{URL: url, Connections: 1, Config: sim.Config{
		Lattice: lattice, Heartbeat: 100 * time.Millisecond, OnCommand: s.keep,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	s.Wire, s.id = w, w.Lattice.Start(sim.Host{})
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *simulated) keep(c sim.Command) {
	if c.Verb == "host.ping" || c.Verb == "host.get" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, c.Verb+" "+c.Object)
}

// sent are the commands that came after the first n.
func (s *simulated) sent(n int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands[n:])
}

func (s *simulated) runs() (components, providers int) {
	inv, _ := s.Inventory(s.id)
	return len(inv.Components), len(inv.Providers)
}
