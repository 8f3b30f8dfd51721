package rotation

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// pg is the Secret of the tests.
var pg = types.NamespacedName{Namespace: "vault", Name: "pg"}

// password is what component api of shop wants.
func password(rotation policy.Rotation) Wanted {
	return Wanted{
		Component: "api", ID: "shop-api", Name: "password", Secret: pg, Rotation: rotation,
		Reference: secrets.NewReference("pg", "password", "", map[string]string{"namespace": "vault"}),
	}
}

// world is a lattice with an application, in a bubble of virtual time.
type world struct {
	*testing.T
	ctx     context.Context
	metrics *Metrics

	mu      sync.Mutex
	apps    []Application
	running map[string][]string
	lost    error
	version map[types.NamespacedName]Version
	looks   int
	refuses error // of the API of Kubernetes
	watch   secrets.OutcomeWatch
	removed []secrets.Outcome
	// obeys: a host that is told to fetch does, and gets the version that the Secret has.
	obeys   bool
	unable  map[string]bool
	told    []string
	reports int
	broken  error // of the Application API
	follows bool  // this process does not lead
}

var (
	_ Applications = (*world)(nil)
	_ Hosts        = (*world)(nil)
	_ Versions     = (*world)(nil)
	_ Outcomes     = (*world)(nil)
	_ Courier      = (*world)(nil)
)

func (w *world) locked(f func()) { w.mu.Lock(); defer w.mu.Unlock(); f() }

func (w *world) Live(context.Context) ([]Application, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.apps), w.broken
}

func (w *world) Report(_ context.Context, app Application, told []oam.SecretStatus) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reports++
	for i := range w.apps {
		if w.apps[i].Name == app.Name {
			w.apps[i].Told = told
		}
	}
	return w.broken
}

func (w *world) Known() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

func (w *world) Running(id string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.running[id])
}

func (w *world) Version(_ context.Context, secret types.NamespacedName, _ string) (Version, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	return w.version[secret], w.refuses
}

func (w *world) Watch(ctx context.Context, lattice string, watch secrets.OutcomeWatch) <-chan struct{} {
	if lattice != "default" {
		w.Errorf("the outcomes of lattice %s are watched", lattice)
	}
	w.locked(func() { w.watch = watch })
	watch.Reset()
	watch.Synced()
	return ctx.Done()
}

func (w *world) Remove(_ context.Context, o secrets.Outcome) error {
	w.locked(func() { w.removed = append(w.removed, o) })
	return nil
}

func (w *world) Refresh(_ context.Context, host, id string) error {
	w.mu.Lock()
	unable := w.unable[host]
	w.told = append(w.told, "refresh "+id+" on "+host)
	w.mu.Unlock()
	if unable {
		return ErrUnsupported
	}
	return w.fetch(host)
}

func (w *world) Restart(_ context.Context, p Place) error {
	w.locked(func() { w.told = append(w.told, "restart "+p.ID+" on "+p.Host) })
	return w.fetch(p.Host)
}

func (w *world) fetch(host string) error {
	w.mu.Lock()
	obeys, version := w.obeys, w.version[pg].ResourceVersion
	w.mu.Unlock()
	if !obeys {
		return errors.New("away")
	}
	w.given(host, version)
	return nil
}

// note tells the watch what came of a request.
func (w *world) note(host string, change func(*secrets.Outcome)) {
	o := secrets.Outcome{Lattice: "default", Namespace: "team-a", Application: "shop", Component: "api", Host: host, Reference: password("").Reference, Time: time.Now()}
	change(&o)
	w.mu.Lock()
	watch := w.watch
	w.mu.Unlock()
	watch.Noted(o)
}

func (w *world) given(host, version string) {
	w.note(host, func(o *secrets.Outcome) { o.Version = version })
}

func (w *world) refused(host string, kind secrets.Kind, reason string) {
	w.note(host, func(o *secrets.Outcome) { o.Kind, o.Reason = kind, reason })
}

// set gives the Secret a version.
func (w *world) set(version string) {
	w.locked(func() { w.version[pg] = Version{version, time.Now()} })
}

// does takes what hosts were told since it was called last.
func (w *world) does() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.told
	w.told = nil
	return told
}

// want changes what the application wants.
func (w *world) want(change func(*Wanted)) {
	w.locked(func() {
		next := slices.Clone(w.apps[0].Wanted)
		change(&next[0])
		w.apps[0].Wanted = next
	})
}

func (w *world) number(n *int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *n
}

func (w *world) forgotten() []secrets.Outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.removed)
}

// status is the one of the first secret of the first application.
func (w *world) status() oam.SecretStatus {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.apps[0].Told) == 0 {
		w.Fatal("nothing is told of the secret")
	}
	return w.apps[0].Told[0]
}

// pass lets virtual time go by.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// inWorld runs a test where shop wants the password and hosts run it. The test begins when the rotation watches.
func inWorld(t *testing.T, rotation policy.Rotation, hosts []string, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			T: t, metrics: newMetrics(), obeys: true, unable: map[string]bool{},
			apps:    []Application{{Namespace: "team-a", Name: "shop", UID: "1", Wanted: []Wanted{password(rotation)}}},
			running: map[string][]string{"shop-api": hosts}, version: map[types.NamespacedName]Version{pg: {"1", time.Now()}},
		}
		r, err := New(Options{
			Lattice: "default", Applications: w, Hosts: w, Versions: w, Outcomes: w, Courier: w, Metrics: w.metrics,
			Leading: func() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.follows }, Random: func() float64 { return 0.5 },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		w.ctx = ctx
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		w.pass(passInterval + time.Millisecond)
		test(w)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// gathered are the metrics of the lattice: counters and gauges by name, of histograms count and sum.
func (w *world) gathered() map[string]float64 {
	w.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range w.metrics.collectors() {
		if err := registry.Register(c); err != nil {
			w.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		w.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				out[f.GetName()+"_count"], out[f.GetName()+"_sum"] = float64(h.GetSampleCount()), h.GetSampleSum()
			} else {
				out[f.GetName()] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}
