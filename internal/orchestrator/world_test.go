package orchestrator

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/conditions"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// world is an orchestrator with everything around it, in a bubble of virtual time.
type world struct {
	*testing.T
	*bus
	*line
	*api
	ctx    context.Context
	deaths *fakeDeaths
	o      *Orchestrator
	// metrics are counted with by orchestrators that start from now on.
	metrics *Metrics
	// pods, if any, are those of the hosts.
	pods *pods
	end  func()
}

// inWorld runs a test in a bubble.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx := logr.NewContext(t.Context(), testr.NewWithOptions(t, testr.Options{Verbosity: 1}))
		b := newBus(1)
		defer b.close()
		w := &world{T: t, bus: b, line: newLine(b, 500*time.Millisecond), api: newAPI(), ctx: ctx, deaths: newFakeDeaths()}
		test(w)
		if w.end != nil {
			w.end()
		}
	})
}

// orchestrate starts an orchestrator; w.end ends it.
func (w *world) orchestrate() {
	w.Helper()
	c := Config{Lattice: "default", Control: w.line, Applications: w.api, Revisions: fakeRevisions{w.api},
		Teardowns: fakeTeardowns{w.api}, Lease: fakeLease{w.api}, Recorder: fakeRecorder{w.api},
		IdentityLabel: "pod", HostEnds: w.deaths, Metrics: w.metrics, Random: func() float64 { return 0.5 }}
	if w.pods != nil {
		c.HostEnds, c.Drains = w.pods, w.pods
	}
	o, err := New(c)
	if err != nil {
		w.Fatal(err)
	}
	w.o = o
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := o.Run(ctx); err != nil {
			w.Error(err)
		}
	}()
	w.end = func() { cancel(); <-done; w.end = nil }
}

// pass lets virtual time go by.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) app(name string) *v1beta1.Application {
	a, _ := w.api.Get("ns", name)
	return a
}

// yaml is an application from a manifest.
func (w *world) yaml(text string) *v1beta1.Application {
	w.Helper()
	app, err := manifest.DecodeWadm("application/yaml", []byte(text))
	if err != nil {
		w.Fatal(err)
	}
	app.Namespace = "ns"
	return app
}

func (w *world) wantCounts(want map[string]int) {
	w.Helper()
	if got := w.counts(); !maps.Equal(got, want) {
		w.Errorf("running: %v, want %v", got, want)
	}
}

func (w *world) wantPhase(name string, phase v1beta1.ApplicationPhase) {
	w.Helper()
	app := w.app(name)
	if app.Status.Phase != phase {
		c := conditions.Find(app.Status.Conditions, "Deployed")
		w.Errorf("phase of %s is %s, want %s (%v)", name, app.Status.Phase, phase, c)
	}
}

func (w *world) statusWrites() int {
	w.api.mu.Lock()
	defer w.api.mu.Unlock()
	return w.writes
}

func (w *world) quiet(d time.Duration) {
	w.Helper()
	w.commands()
	w.pass(2 * statusPause) // what is written at most once in a while may be due
	writes := w.statusWrites()
	w.pass(d)
	if got := w.commands(); len(got) > 0 {
		w.Errorf("a converged lattice got commands: %q", got)
	}
	if now := w.statusWrites(); now != writes {
		w.Errorf("%d status writes although nothing changed", now-writes)
	}
}

const hello = `
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: hello
  annotations: {version: v1}
spec:
  components:
    - name: http
      type: component
      properties: {image: "ghcr.io/x/http:1"}
      traits:
        - type: spreadscaler
          properties: {instances: 4}
    - name: server
      type: capability
      properties:
        image: ghcr.io/x/server:1
        config: [{name: defaults, properties: {a: b}}]
      traits:
        - type: daemonscaler
          properties: {instances: 1}
        - type: link
          properties:
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            target: {name: http}
            source: {config: [{name: addr, properties: {address: "0.0.0.0:8080"}}]}
`
