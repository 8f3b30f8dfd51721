package secrets

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// latticesCounted lattices have a label value of their own; all others share otherLattices, so that nobody who can
	// make lattices can fill the memory of whoever scrapes.
	latticesCounted = 100
	otherLattices   = "_other"
)

// Outcomes of a request.
const (
	outcomeGiven   = "given"
	outcomeRefused = "refused" // it is the asker's fault, or his lack of a right
	outcomeFailed  = "failed"
)

// Metrics counts what all servers of a process do. Its names are an interface: docs/spec/metrics.md lists them.
type Metrics struct {
	duration *prometheus.HistogramVec
	refusals *prometheus.CounterVec
	keyAge   prometheus.GaugeFunc
	keys     atomic.Pointer[Keyring]

	mu       sync.Mutex
	lattices map[string]bool
}

// RegisterMetrics makes the metrics of a process and registers them.
func RegisterMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := newMetrics(time.Now)
	for _, c := range m.collectors() {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func newMetrics(now func() time.Time) *Metrics {
	m := &Metrics{lattices: map[string]bool{}}
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "trellis_secrets_request_duration_seconds",
		Help:    "How long it took to answer a request of a host; outcome is given, refused or failed.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 4, 10),
	}, []string{"lattice", "operation", "outcome"})
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trellis_secrets_refusals_total",
		Help: "Requests that were answered with an error, by its kind.",
	}, []string{"lattice", "kind"})
	m.keyAge = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "trellis_secrets_key_age_seconds",
		Help: "Age of the curve key that is announced to hosts; NaN if it is not known.",
	}, func() float64 { return m.age(now()) })
	return m
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.duration, m.refusals, m.keyAge}
}

func (m *Metrics) age(now time.Time) float64 {
	keys := m.keys.Load()
	if keys == nil {
		return math.NaN()
	}
	age, known := keys.age(now)
	if !known {
		return math.NaN()
	}
	return age.Seconds()
}

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

// answered counts one request; kind is empty when it was answered without an error.
func (m *Metrics) answered(lattice, operation string, kind Kind, took time.Duration) {
	outcome := outcomeGiven
	switch kind {
	case "":
	case UpstreamError, EncryptionError:
		outcome = outcomeFailed
	default:
		outcome = outcomeRefused
	}
	if operation != operationGet && operation != operationKey {
		operation = "other" // the name is the asker's
	}
	m.duration.WithLabelValues(lattice, operation, outcome).Observe(took.Seconds())
	if kind != "" {
		m.refusals.WithLabelValues(lattice, string(kind)).Inc()
	}
}
