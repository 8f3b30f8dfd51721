package secrets

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

// TestMetricNames compares what is described with the page about it, line by line: dashboards depend on the names.
func TestMetricNames(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "spec", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented, described []string
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `trellis_secrets_") {
			documented = append(documented, strings.Trim(strings.TrimSpace(cells[1]), "`")+" "+strings.TrimSpace(cells[3]))
		}
	}
	descriptions := make(chan *prometheus.Desc, 10)
	for _, c := range newMetrics(time.Now).collectors() {
		c.Describe(descriptions)
	}
	close(descriptions)
	for d := range descriptions {
		var name, help string
		if _, err := fmt.Sscanf(d.String(), "Desc{fqName: %q, help: %q", &name, &help); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		described = append(described, name+" "+help)
	}
	if diff := cmp.Diff(described, documented); diff != "" {
		t.Errorf("docs/spec/metrics.md differs (-code +page):\n%s", diff)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := RegisterMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.keys.Store(&Keyring{made: time.Now().Add(-time.Hour)})
	m.answered("default", operationGet, "", time.Millisecond)
	m.answered("default", operationGet, Unauthorized, time.Millisecond)
	m.answered("default", operationGet, UpstreamError, time.Millisecond)
	m.answered("default", "invented by somebody", InvalidRequest, time.Millisecond)
	m.answered("default", operationKey, "", time.Millisecond)
	got := gathered(t, registry)
	age := got["trellis_secrets_key_age_seconds"]
	delete(got, "trellis_secrets_key_age_seconds")
	if age < 3600 || age > 3700 {
		t.Errorf("the key is %v s old", age)
	}
	want := map[string]float64{
		"trellis_secrets_request_duration_seconds default get given":         1,
		"trellis_secrets_request_duration_seconds default get refused":       1,
		"trellis_secrets_request_duration_seconds default get failed":        1,
		"trellis_secrets_request_duration_seconds default other refused":     1,
		"trellis_secrets_request_duration_seconds default server_xkey given": 1,
		"trellis_secrets_refusals_total Unauthorized default":                1,
		"trellis_secrets_refusals_total UpstreamError default":               1,
		"trellis_secrets_refusals_total InvalidRequest default":              1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// gathered are the values of all series by name and labels; of histograms the count.
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
				series += " " + l.GetValue()
			}
			values[series] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// TestMetricsAreBounded: however many lattices there are, the labels of most are shared.
func TestMetricsAreBounded(t *testing.T) {
	m, labels := newMetrics(time.Now), map[string]bool{}
	for i := range 2 * latticesCounted {
		labels[m.label(fmt.Sprint("lattice-", i))] = true
	}
	if len(labels) != latticesCounted+1 || m.label("lattice-7") != "lattice-7" {
		t.Errorf("%d labels", len(labels))
	}
}

// TestRatesAreBounded: however many names askers invent.
func TestRatesAreBounded(t *testing.T) {
	r, now := newRates(1, 2), time.Unix(1_800_000_000, 0)
	for i := range 3 * maxAskers {
		r.allow(Asker{Group: fmt.Sprint(i)}, now)
	}
	if len(r.of) > maxAskers || r.allow(Asker{Group: "one more"}, now) {
		t.Errorf("%d askers have a rate of their own", len(r.of))
	}
	if now = now.Add(time.Minute); !r.allow(Asker{Group: "later"}, now) || len(r.of) != 1 {
		t.Errorf("those who asked long ago are kept: %d", len(r.of))
	}
}
