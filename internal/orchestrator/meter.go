package orchestrator

import (
	"cmp"
	"sync/atomic"
	"time"

	"github.com/trellis-operator/trellis/internal/scaler"
)

// meter counts for one session.
type meter struct {
	*Metrics
	lattice string
	shown   atomic.Pointer[snapshot]
}

// snapshot is what a session shows of itself.
type snapshot struct {
	hosts, queue, inFlight, orphans, records float64
	applications                             map[string]float64
}

func (m *meter) planned(began time.Time) {
	m.plans.WithLabelValues(m.lattice).Observe(time.Since(began).Seconds())
}

func (m *meter) commanded(verb scaler.Verb, took time.Duration, err error) {
	m.commands.WithLabelValues(m.lattice, string(verb), result(err)).Observe(took.Seconds())
}

func (m *meter) effective(verb scaler.Verb, took time.Duration) {
	m.effects.WithLabelValues(m.lattice, string(verb)).Observe(took.Seconds())
}

func (m *meter) failed(verb scaler.Verb) {
	m.failures.WithLabelValues(m.lattice, string(verb)).Inc()
}

func (m *meter) heard() { m.events.WithLabelValues(m.lattice).Inc() }

func (m *meter) recorded(err error) { m.statuses.WithLabelValues(m.lattice, result(err)).Inc() }

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

// showInterval is the least time between two counts of everything there is: they cost more than all else of a lattice at
// rest.
const showInterval = 2 * time.Second

// show publishes the figures of the session for whoever scrapes.
func (s *session) show() {
	now := &snapshot{
		hosts: float64(len(s.hosts)), queue: float64(len(s.dirty.waiting)), orphans: float64(len(s.owner.Orphans())),
		records: float64(len(s.records)), applications: map[string]float64{},
	}
	for _, it := range s.items {
		if it.awaits() {
			now.inFlight++
		}
	}
	for _, a := range s.apps {
		now.applications[cmp.Or(string(a.app.Status.Phase), "Unknown")]++
	}
	s.meter.shown.Store(now)
}
