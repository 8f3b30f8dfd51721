package orchestrator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

// What random histories found.

// index is the place of the first command that begins with a text, or -1.
func indexOf(commands []string, prefix string) int {
	return slices.IndexFunc(commands, func(c string) bool { return strings.HasPrefix(c, prefix) })
}

// running brings up a host with hello on it.
func (w *world) running() {
	w.start("NA", nil)
	w.orchestrate()
	w.pass(time.Second)
	w.apply(w.yaml(hello))
	w.pass(2 * time.Second)
	w.commands()
}

// A restored or emptied ledger voids what was decided for records that are no longer there, also what is half done.
func TestRecordThatIsGoneEndsNothingMore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.running()
		w.SetFaults(func(f *sim.Faults) { f.DelayReply = sim.Fixed(time.Second) })
		w.remove("ns", "hello")
		w.pass(deletePause + 100*time.Millisecond)
		w.restore(backup{})
		w.pass(time.Minute)
		if got := w.commands(); len(got) != 1 {
			t.Errorf("commands %q, want the deletion of the link alone, which was sent before", got)
		}
		if n := w.counts()["hello-http"]; n != 4 {
			t.Errorf("%d instances of hello-http are left", n)
		}
	})
}

// A host that answers pings and does not tell what it runs may run what is torn down.
func TestHostThatDoesNotTellHoldsUpTeardown(t *testing.T) {
	inWorld(t, func(w *world) {
		w.running()
		w.end()
		w.untold.Store(true)
		w.orchestrate()
		w.remove("ns", "hello")
		w.pass(20 * time.Second)
		if len(w.records) != 1 || len(w.configs()) != 2 {
			t.Errorf("records %v, configs %v", w.records, w.configs())
		}
		w.untold.Store(false)
		w.pass(40 * time.Second)
		if left := len(w.records) + len(w.configs()) + len(w.counts()); left != 0 {
			t.Errorf("left: records %v, configs %v, running %v", w.records, w.configs(), w.counts())
		}
	})
}

// Who deletes and puts at once gets the configurations of what runs deleted when it runs no more.
func TestExchangeKeepsConfigurationsOfWhatRuns(t *testing.T) {
	inWorld(t, func(w *world) {
		w.running()
		next := w.yaml(strings.NewReplacer("name: defaults", "name: others", "server:1", "server:2").Replace(hello))
		w.remove("ns", "hello")
		w.apply(next)
		w.pass(5 * time.Second)
		got := w.commands()
		stop, del := indexOf(got, "stop hello-server"), indexOf(got, "delete config hello-defaults")
		if stop < 0 || del < stop {
			t.Errorf("commands %q: the configuration must go after what uses it", got)
		}
		if len(w.records) != 0 {
			t.Errorf("records left: %v", w.records)
		}
	})
}

// A configuration that a link of somebody else uses is left to them, and holds nothing up.
func TestConfigurationThatOthersUseIsLeft(t *testing.T) {
	inWorld(t, func(w *world) {
		w.running()
		w.write(sim.DataBucket, "COMPONENT_other", lattice.ComponentSpec{Links: []lattice.Link{{SourceID: "other", Target: "x",
			Name: "default", WitNamespace: "a", WitPackage: "b", SourceConfig: []string{"hello-addr"}}}})
		w.remove("ns", "hello")
		w.pass(5 * time.Second)
		if configs := w.configs(); len(w.records) != 0 || len(configs) != 1 || configs["hello-addr"] == nil {
			t.Errorf("records %v, configs %v", w.records, configs)
		}
	})
}

// A host that was told to start one image, of which nothing was heard yet, is not told another: it would call the one by
// the name of the other.
func TestOtherImageWhileTheFirstStarts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.SetFaults(func(f *sim.Faults) { f.LoseEvent = 1 })
		w.apply(w.yaml(hello))
		w.pass(500 * time.Millisecond)
		w.apply(w.yaml(strings.NewReplacer("http:1", "http:2", "instances: 4", "instances: 5").Replace(hello)))
		w.pass(2 * time.Minute)
		if ref := w.Code("NA", "hello-http"); ref != "ghcr.io/x/http:2" {
			t.Errorf("the host runs %s", ref)
		}
	})
}

// A start whose answer was lost may have taken place: the record waits until the host tells.
func TestAnswerLostBeforeTeardown(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.storeConfig("hello-defaults", lattice.Config{"a": "b"})
		w.storeConfig("hello-addr", lattice.Config{"address": "0.0.0.0:8080"})
		w.Hold("NA", true)
		w.apply(w.yaml(hello))
		w.pass(5 * time.Second)
		w.remove("ns", "hello")
		w.pass(10 * time.Second)
		if len(w.records) != 1 {
			t.Errorf("records %v", w.records)
		}
		w.Hold("NA", false)
		w.pass(2 * time.Minute)
		if left := len(w.records) + len(w.counts()) + len(w.links()); left != 0 {
			t.Errorf("left: records %v, running %v, links %v", w.records, w.counts(), w.links())
		}
	})
}

// Nothing is started whose configurations could not be stored.
func TestStartsWaitForTheirConfigurations(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.SetBucketsDown(true)
		w.apply(w.yaml(hello))
		w.pass(time.Minute)
		if got := w.commands(); indexOf(got, "put config") < 0 || indexOf(got, "start ") >= 0 || indexOf(got, "put link") >= 0 {
			t.Errorf("commands %q", got)
		}
		w.SetBucketsDown(false)
		w.pass(2 * time.Minute)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
	})
}

// A store that is restored just after a status was written does not have it; it is written again.
func TestStatusThatARestoreLost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		before := w.backup()
		w.pass(time.Second)
		w.restore(before)
		w.pass(time.Minute)
		w.wantPhase("hello", v1beta1.PhaseDeployed)
	})
}

// Generations begin again at those of the backup: the same one may come back with another spec.
func TestGenerationThatCameTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		w.running()
		before := w.backup()
		w.apply(w.yaml(strings.Replace(hello, "instances: 4", "instances: 2", 1)))
		w.pass(time.Second)
		w.restore(before)
		w.apply(w.yaml(strings.Replace(hello, "instances: 4", "instances: 3", 1)))
		w.pass(time.Minute)
		w.wantCounts(map[string]int{"hello-http": 3, "hello-server": 1})
	})
}

// A host that has not said that it is done has not taken a changed list of configurations, whatever else it shows.
func TestChangedListThatTakesItsTime(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		with := strings.Replace(hello, `{image: "ghcr.io/x/http:1"}`, `{image: "ghcr.io/x/http:1", config: [{name: own, properties: {a: b}}]}`, 1)
		w.apply(w.yaml(hello))
		w.pass(2 * time.Second)
		w.storeConfig("hello-own", lattice.Config{"a": "b"})
		w.pass(time.Second)
		w.SetBucketsDown(true) // the host tries for some seconds, and fails
		w.SetFaults(func(f *sim.Faults) { f.LoseEvent = 1 })
		w.apply(w.yaml(with))
		w.pass(time.Second)
		// Something makes the host be asked what it runs: still the same number and image.
		if err := w.Emit("NA", lattice.ComponentScaled{ComponentID: "hello-http", HostID: "NA", ImageRef: "ghcr.io/x/http:1"}); err != nil {
			t.Error(err)
		}
		w.pass(20 * time.Second)
		w.ClearFaults()
		w.pass(3 * time.Minute)
		if names := w.ConfigOf("NA", "hello-http"); !slices.Equal(names, []string{"hello-own"}) {
			t.Errorf("the component runs with %v", names)
		}
	})
}

// A host that could not exchange an image still runs the old one, and does not say so. A heartbeat that is late tells of the
// time before there was any: what would be started under the new name would be the old code, called by it for good.
func TestLateHeartbeatAfterAnExchangeThatFailed(t *testing.T) {
	for _, late := range []time.Duration{100 * time.Millisecond, 30*time.Second + 500*time.Millisecond} {
		inWorld(t, func(w *world) {
			w.running()
			w.failing.put("ghcr.io/x/http:2", "no such image")
			w.apply(w.yaml(strings.NewReplacer("http:1", "http:2", "instances: 4", "instances: 1").Replace(hello)))
			w.pass(late)
			if err := w.Emit("NA", lattice.HostHeartbeat{Inventory: lattice.Inventory{HostID: "NA"}}); err != nil {
				t.Error(err)
			}
			w.pass(time.Minute)
			w.failing.put("ghcr.io/x/http:2", "")
			w.pass(2 * time.Minute)
			if ref := w.Code("NA", "hello-http"); ref != "ghcr.io/x/http:2" {
				t.Errorf("late by %s: the host runs %s", late, ref)
			}
			w.wantCounts(map[string]int{"hello-http": 1, "hello-server": 1})
		})
	}
}

// A host that does not run what was to be exchanged says so, and is told at once to start it.
func TestExchangeOfWhatIsGone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.running()
		w.SetFaults(func(f *sim.Faults) { f.LoseEvent = 1 })
		if _, err := w.other.ScaleComponent(w.ctx, lattice.ScaleComponent{ComponentID: "hello-http", HostID: "NA", ComponentRef: "ghcr.io/x/http:1"}); err != nil {
			t.Error(err)
		}
		w.pass(time.Second)
		w.ClearFaults()
		w.apply(w.yaml(strings.Replace(hello, "http:1", "http:2", 1)))
		w.pass(5 * time.Second)
		if ref := w.Code("NA", "hello-http"); ref != "ghcr.io/x/http:2" {
			t.Errorf("the host runs %q", ref)
		}
	})
}
