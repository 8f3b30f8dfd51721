package orchestrator

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// TestMetrics: dashboards depend on the names, and on what they count.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := RegisterMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	inWorld(t, func(w *world) {
		w.metrics = metrics
		w.start("NA", map[string]string{"zone": "a"})
		w.failing.put("i:bad", "no such image")
		w.orchestrate()
		w.apply(w.yaml(hello))
		w.apply(w.yaml(strings.NewReplacer("hello", "broken", "ghcr.io/x/http:1", "i:bad").Replace(hello)))
		w.pass(10 * time.Second)
		got := gathered(t, registry)
		for series, want := range map[string]float64{
			"trellis_orchestrator_leading": 1, "trellis_orchestrator_hosts": 1, "trellis_orchestrator_orphans": 0,
			"trellis_orchestrator_applications Deployed": 1, "trellis_orchestrator_applications Failed": 1,
			"trellis_orchestrator_commands_in_flight": 0, "trellis_orchestrator_queue_length": 0,
			"trellis_orchestrator_teardown_records": 0, "trellis_orchestrator_effect_duration_seconds Scale": 1,
			"trellis_orchestrator_command_duration_seconds ok StartProvider": 2,
			"trellis_orchestrator_effect_duration_seconds StartProvider":     2,
		} {
			if got[series] != want {
				t.Errorf("%s is %v, want %v", series, got[series], want)
			}
		}
		for _, series := range []string{"trellis_orchestrator_plan_duration_seconds", "trellis_orchestrator_command_failures_total Scale",
			"trellis_orchestrator_events_total", "trellis_orchestrator_status_writes_total ok"} {
			if got[series] < 2 {
				t.Errorf("%s is %v, want some", series, got[series])
			}
		}
		w.end()
		if got := gathered(t, registry); got["trellis_orchestrator_leading"] != 0 {
			t.Error("it leads although it has ended")
		}
	})
}

// gathered are the values of all series of the lattice default, by name and other labels; of histograms the count.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			series := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() != "lattice" {
					series += " " + l.GetValue()
				} else if l.GetValue() != "default" {
					t.Errorf("%s has lattice %s", f.GetName(), l.GetValue())
				}
			}
			values[series] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// TestMetricNames compares what is described with the page about it, line by line.
func TestMetricNames(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "spec", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented, described []string
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `trellis_orchestrator_") {
			documented = append(documented, strings.Trim(strings.TrimSpace(cells[1]), "`")+" "+strings.TrimSpace(cells[3]))
		}
	}
	descriptions := make(chan *prometheus.Desc, 100)
	m := newMetrics()
	for _, c := range append(m.vectors, m) {
		c.Describe(descriptions)
	}
	close(descriptions)
	for d := range descriptions {
		var name, help string
		text := d.String()
		if _, err := fmt.Sscanf(text, "Desc{fqName: %q, help: %q", &name, &help); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		described = append(described, name+" "+help)
	}
	if diff := cmp.Diff(described, documented); diff != "" {
		t.Errorf("docs/spec/metrics.md differs (-code +page):\n%s", diff)
	}
}

// TestMetricsAreBounded: however many lattices there are, the series of most are shared.
func TestMetricsAreBounded(t *testing.T) {
	m := newMetrics()
	for i := range latticesCounted + 5 {
		s := &session{}
		m.enter(s, fmt.Sprint("lattice-", i))
		s.meter.shown.Store(&snapshot{hosts: 2})
		s.meter.heard()
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(append(m.vectors, m)...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range families {
		if len(f.GetMetric()) > latticesCounted+1 {
			t.Errorf("%s has %d series", f.GetName(), len(f.GetMetric()))
		}
		for _, metric := range f.GetMetric() {
			if f.GetName() == "trellis_orchestrator_hosts" && metric.GetLabel()[0].GetValue() == otherLattices {
				seen++
				if got := metric.GetGauge().GetValue(); got != 10 {
					t.Errorf("the hosts of five further lattices are %v, want 10", got)
				}
			}
		}
	}
	if seen != 1 {
		t.Errorf("%d series for the further lattices, want 1", seen)
	}
}
