package orchestrator

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// latticesCounted lattices have a label value of their own; all others share otherLattices, so that nobody who can
	// make lattices can fill the memory of whoever scrapes.
	latticesCounted = 100
	otherLattices   = "_other"
)

// Metrics counts what all orchestrators of a process do. Its names are an interface: docs/spec/metrics.md lists them.
type Metrics struct {
	plans    *prometheus.HistogramVec
	commands *prometheus.HistogramVec
	effects  *prometheus.HistogramVec
	failures *prometheus.CounterVec
	events   *prometheus.CounterVec
	statuses *prometheus.CounterVec
	gauges   []gauge
	vectors  []prometheus.Collector

	mu       sync.Mutex
	labels   map[string]string
	sessions map[*session]string
}

// gauge is a figure of the sessions of one lattice, added up.
type gauge struct {
	desc *prometheus.Desc
	of   func(snapshot) float64
}

// RegisterMetrics makes the metrics of a process and registers them.
func RegisterMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := newMetrics()
	for _, c := range append(m.vectors, m) {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func newMetrics() *Metrics {
	m := &Metrics{labels: map[string]string{}, sessions: map[*session]string{}}
	m.plans = m.histogram("plan_duration_seconds", "How long it took to plan one application.", 0.00001, "lattice")
	m.commands = m.histogram("command_duration_seconds", "How long a host took to answer a command; result is ok or error.", 0.0005, "lattice", "verb", "result")
	m.effects = m.histogram("effect_duration_seconds", "How long it took from the answer to a command until its effect was seen.", 0.0005, "lattice", "verb")
	m.failures = m.counter("command_failures_total", "Commands that failed: refused, not answered, or without effect in time.", "lattice", "verb")
	m.events = m.counter("events_total", "Events of hosts that were read, heartbeats included.", "lattice")
	m.statuses = m.counter("status_writes_total", "Writes of the status of applications; result is ok or error.", "lattice", "result")
	m.gauge("leading", "1 while this process holds the lease of the lattice.", func(snapshot) float64 { return 1 })
	m.gauge("hosts", "Hosts that are known.", func(s snapshot) float64 { return s.hosts })
	m.gauge("queue_length", "Applications and teardown records that wait to be planned.", func(s snapshot) float64 { return s.queue })
	m.gauge("commands_in_flight", "Commands that were sent and whose effect is awaited.", func(s snapshot) float64 { return s.inFlight })
	m.gauge("orphans", "Components and providers that run in the name of an application that nobody knows.", func(s snapshot) float64 { return s.orphans })
	m.gauge("teardown_records", "Teardown records that are not done.", func(s snapshot) float64 { return s.records })
	return m
}

func name(s string) string { return prometheus.BuildFQName("trellis", "orchestrator", s) }

func (m *Metrics) histogram(n, help string, smallest float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name(n), Help: help, Buckets: prometheus.ExponentialBuckets(smallest, 4, 10)}, labels)
	m.vectors = append(m.vectors, v)
	return v
}

func (m *Metrics) counter(n, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name(n), Help: help}, labels)
	m.vectors = append(m.vectors, v)
	return v
}

func (m *Metrics) gauge(n, help string, of func(snapshot) float64) {
	m.gauges = append(m.gauges, gauge{prometheus.NewDesc(name(n), help, []string{"lattice"}, nil), of})
}

// applicationsDesc describes the gauge that has a label more.
var applicationsDesc = prometheus.NewDesc(name("applications"), "Applications of the lattice by the phase that was recorded last.", []string{"lattice", "phase"}, nil)

// Describe is that of a prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, g := range m.gauges {
		out <- g.desc
	}
	out <- applicationsDesc
}

// Collect is that of a prometheus.Collector: the figures of the sessions, added up by label.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	type series struct {
		desc           *prometheus.Desc
		lattice, phase string
	}
	sums := map[series]float64{}
	for s, lattice := range m.sessions {
		shown := s.meter.shown.Load()
		if shown == nil {
			continue
		}
		for _, g := range m.gauges {
			sums[series{g.desc, lattice, ""}] += g.of(*shown)
		}
		for phase, n := range shown.applications {
			sums[series{applicationsDesc, lattice, phase}] += n
		}
	}
	for k, v := range sums {
		labels := []string{k.lattice}
		if k.phase != "" {
			labels = append(labels, k.phase)
		}
		out <- prometheus.MustNewConstMetric(k.desc, prometheus.GaugeValue, v, labels...)
	}
}

// enter makes the session's meter, under the label of its lattice.
func (m *Metrics) enter(s *session, lattice string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	label, known := m.labels[lattice]
	if !known {
		label = lattice
		if len(m.labels) >= latticesCounted {
			label = otherLattices
		} else {
			m.labels[lattice] = label
		}
	}
	m.sessions[s] = label
	s.meter = &meter{Metrics: m, lattice: label}
}

func (m *Metrics) leave(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, s)
}
