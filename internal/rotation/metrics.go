package rotation

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// latticesCounted have a label of their own; names of lattices are chosen by users.
	latticesCounted = 100
	otherLattices   = "_other"
)

// Metrics of the process; docs/spec/metrics.md lists them.
type Metrics struct {
	lag   *prometheus.HistogramVec
	stale *prometheus.GaugeVec

	mu       sync.Mutex
	lattices map[string]bool
}

// RegisterMetrics makes the metrics of a process and registers them.
func RegisterMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := newMetrics()
	for _, c := range m.collectors() {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func newMetrics() *Metrics {
	return &Metrics{
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "trellis_rotation_lag_seconds",
			Help:    "How long it took from the change of a Secret until a host had fetched its new value for a component.",
			Buckets: prometheus.ExponentialBuckets(0.25, 4, 10),
		}, []string{"lattice"}),
		stale: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "trellis_rotation_stale",
			Help: "Components on hosts that were given another value of a Secret than it has now.",
		}, []string{"lattice"}),
		lattices: map[string]bool{},
	}
}

func (m *Metrics) collectors() []prometheus.Collector { return []prometheus.Collector{m.lag, m.stale} }

// label of a lattice.
func (m *Metrics) label(lattice string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lattices[lattice] {
		return lattice
	}
	if len(m.lattices) >= latticesCounted {
		return otherLattices
	}
	m.lattices[lattice] = true
	return lattice
}

func (m *Metrics) delivered(label string, lag time.Duration) {
	m.lag.WithLabelValues(label).Observe(max(lag, 0).Seconds()) // clocks of NATS and Kubernetes differ
}

func (m *Metrics) outdated(label string, places int) {
	m.stale.WithLabelValues(label).Set(float64(places))
}

// left: another process looks after the lattice now.
func (m *Metrics) left(label string) { m.stale.DeleteLabelValues(label) }
