package orchestrator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/test/sim"
)

// converged is a world in which hello runs on one host.
func converged(w *world) {
	w.start("NA", nil)
	w.orchestrate()
	w.pass(time.Second)
	w.apply(w.yaml(hello))
	w.pass(time.Second)
	w.wantPhase("hello", v1beta1.PhaseDeployed)
	w.commands()
}

var helloOnNA = Renewal{Namespace: "ns", Application: "hello", ID: "hello-http", Host: "NA"}

// renewed are the commands that renew it.
var renewed = []string{"scale hello-http=4 ghcr.io/x/http:1 on NA"}

// TestRenew: the command that the component runs by is sent once more, and nothing follows.
func TestRenew(t *testing.T) {
	inWorld(t, func(w *world) {
		converged(w)
		before := w.inventory("NA").Components[0]
		if err := w.o.Renew(w.ctx, helloOnNA); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		if diff := cmp.Diff(renewed, w.commands()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, w.inventory("NA").Components[0]); diff != "" {
			t.Errorf("what runs (-before +after):\n%s", diff)
		}
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		w.quiet(5 * time.Minute)
	})
}

// TestRenew_Provider: it is stopped and started, once.
func TestRenew_Provider(t *testing.T) {
	inWorld(t, func(w *world) {
		converged(w)
		if err := w.o.Renew(w.ctx, Renewal{Namespace: "ns", Application: "hello", ID: "hello-server", Host: "NA"}); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		if diff := cmp.Diff([]string{"stop hello-server on NA", "start hello-server ghcr.io/x/server:1 on NA"}, w.commands()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
		w.quiet(5 * time.Minute)
	})
}

// TestRenew_NeverStarts: what does not run as the deployed version wants is left alone.
func TestRenew_NeverStarts(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(w *world)
		renewal Renewal
	}{
		"another application": {renewal: Renewal{"ns", "other", "hello-http", "NA"}},
		"another component":   {renewal: Renewal{"ns", "hello", "hello-https", "NA"}},
		"another provider":    {renewal: Renewal{"ns", "hello", "hello-servers", "NA"}},
		"a host without it":   {renewal: Renewal{"ns", "hello", "hello-http", "NB"}},
		"undeployed": {func(w *world) {
			w.annotate(appKey{"ns", "hello"}, map[string]string{v1beta1.DeployedVersionAnnotation: "none"})
		}, helloOnNA},
		"deleted":               {func(w *world) { w.remove("ns", "hello") }, helloOnNA},
		"another process leads": {func(w *world) { w.end() }, helloOnNA},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				converged(w)
				if c.change != nil {
					c.change(w)
					w.pass(5 * time.Second)
					w.commands()
				}
				if err := w.o.Renew(w.ctx, c.renewal); !errors.Is(err, ErrNotNow) {
					t.Errorf("error %v", err)
				}
				w.pass(time.Second)
				if got := w.commands(); len(got) > 0 {
					t.Errorf("commands %q", got)
				}
			})
		})
	}
}

// TestRenew_ThenStop: as long as a host has not said that it is done, it is not told to stop what it renews. It could do that
// first, and start the component again.
func TestRenew_ThenStop(t *testing.T) {
	inWorld(t, func(w *world) {
		converged(w)
		w.SetFaults(func(f *sim.Faults) { f.DelayEvent = sim.Fixed(3 * time.Second) })
		if err := w.o.Renew(w.ctx, helloOnNA); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Millisecond) // what is not sent yet is not sent any more when the application goes
		w.remove("ns", "hello")
		w.pass(2500 * time.Millisecond)
		for _, sent := range w.commands() {
			if strings.HasPrefix(sent, "scale hello-http=0") {
				t.Errorf("too early: %s", sent)
			}
		}
		w.pass(2 * time.Minute)
		if len(w.counts()) != 0 || len(w.records) != 0 {
			t.Errorf("left: %v, records %v", w.counts(), w.records)
		}
	})
}

// TestRenew_Fails: a refusal shows in the status of secrets; the application runs on, and stays as it was.
func TestRenew_Fails(t *testing.T) {
	inWorld(t, func(w *world) {
		converged(w)
		w.SetFaults(func(f *sim.Faults) { f.LoseCommand = 1 })
		if err := w.o.Renew(w.ctx, helloOnNA); err != nil {
			t.Fatal(err)
		}
		if err := w.o.Renew(w.ctx, helloOnNA); !errors.Is(err, ErrNotNow) {
			t.Errorf("a second one at once: %v", err)
		}
		w.pass(10 * time.Second)
		w.SetFaults(func(f *sim.Faults) { f.LoseCommand = 0 })
		w.pass(2 * time.Minute)
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
		w.quiet(5 * time.Minute)
		if err := w.o.Renew(w.ctx, helloOnNA); err != nil {
			t.Error(err)
		}
	})
}
