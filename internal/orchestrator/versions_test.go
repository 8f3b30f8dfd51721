package orchestrator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/conditions"
	"github.com/trellis-operator/trellis/internal/lattice"
)

// second is hello with another image, another configuration behind a renamed link, and the provider under another name.
const second = `
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: hello
  annotations: {version: v2}
spec:
  components:
    - name: http
      type: component
      properties: {image: "ghcr.io/x/http:2"}
      traits:
        - type: spreadscaler
          properties: {instances: 4}
    - name: server2
      type: capability
      properties:
        image: ghcr.io/x/server:1
      traits:
        - type: daemonscaler
          properties: {instances: 1}
        - type: link
          properties:
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            target: {name: http}
            source: {config: [{name: addr2, properties: {address: "0.0.0.0:8080"}}]}
`

func (w *world) wantSecond() {
	w.Helper()
	w.wantCounts(map[string]int{"hello-http": 4, "hello-server2": 1})
	w.wantPhase("hello", v1beta1.PhaseDeployed)
	if diff := cmp.Diff([]string{"hello-server2->hello-http"}, w.links()); diff != "" {
		w.Errorf("links: %s", diff)
	}
	if len(w.configs()) != 1 || w.configs()["hello-addr2"] == nil {
		w.Errorf("configs: %v", w.configs())
	}
	for _, c := range w.inventory("NA").Components {
		if c.ImageRef != "ghcr.io/x/http:2" {
			w.Errorf("runs %s", c.ImageRef)
		}
	}
	if st := w.app("hello").Status; len(st.Links) != 1 || len(st.Configs) != 1 || st.DeployedVersion != "v2" {
		w.Errorf("status: %+v", st)
	}
}

func TestNewVersion(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.commands()
		w.apply(w.yaml(second))
		w.pass(2 * time.Second)
		w.wantSecond()
		got := w.commands()
		if i := slices.IndexFunc(got, func(c string) bool { return strings.HasPrefix(c, "scale") }); i >= 0 {
			t.Errorf("the image was changed by %q, want update", got[i])
		}
		started := slices.Index(got, "start hello-server2 ghcr.io/x/server:1 on NA")
		stopped := slices.Index(got, "stop hello-server on NA")
		if started < 0 || stopped < started {
			t.Errorf("the new provider was not started before the old one was stopped: %q", got)
		}
		w.quiet(5 * time.Minute)
		// And back, by a pin.
		back := w.yaml(second)
		back.Annotations[v1beta1.DeployedVersionAnnotation] = "v1"
		w.apply(back)
		w.pass(2 * time.Second)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		if got := w.app("hello").Status.DeployedVersion; got != "v1" {
			t.Errorf("deployed version is %q", got)
		}
		w.quiet(5 * time.Minute)
	})
}

func TestNewVersionWhereImagesCannotBeExchanged(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.noUpdate = true
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.apply(w.yaml(second))
		w.pass(2 * time.Second)
		w.wantSecond()
		w.quiet(5 * time.Minute)
	})
}

// A version that came while no orchestrator ran, or whose predecessor was being removed when it ended, is cleaned up after.
func TestNewVersionAcrossRestarts(t *testing.T) {
	for _, late := range []time.Duration{0, 3 * time.Millisecond, 8 * time.Millisecond, 15 * time.Millisecond, 25 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond} {
		inWorld(t, func(w *world) {
			w.start("NA", nil)
			w.orchestrate()
			w.pass(time.Second)
			w.apply(w.yaml(hello))
			w.pass(time.Second)
			if late == 0 {
				w.end()
			}
			w.apply(w.yaml(second))
			if late > 0 {
				w.pass(late)
				w.end()
			}
			w.pass(time.Minute)
			w.orchestrate()
			w.pass(3 * time.Second)
			w.wantSecond()
			w.quiet(5 * time.Minute)
		})
	}
}

func TestUnknownVersion(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		app := w.yaml(hello)
		w.apply(app)
		w.pass(time.Second)
		w.commands()
		app.Annotations[v1beta1.DeployedVersionAnnotation] = "v7"
		w.apply(app)
		w.pass(time.Minute)
		if got := w.commands(); len(got) > 0 {
			t.Errorf("a pin to nothing sent %q", got)
		}
		c := conditions.Find(w.app("hello").Status.Conditions, "Deployed")
		if c.Reason != ReasonVersionNotFound || !strings.Contains(c.Message, "v7") || !strings.Contains(c.Message, "v1") {
			t.Errorf("Deployed: %v", c)
		}
	})
}

// Deleted while its first commands are under way: nothing is left, whenever that was.
func TestDeletedWhileItStarts(t *testing.T) {
	for late := time.Duration(0); late < 60*time.Millisecond; late += 2 * time.Millisecond {
		inWorld(t, func(w *world) {
			w.start("NA", nil)
			w.orchestrate()
			w.pass(time.Second)
			w.apply(w.yaml(hello))
			w.pass(late)
			w.remove("ns", "hello")
			w.pass(2 * time.Minute)
			if len(w.counts())+len(w.links())+len(w.configs())+len(w.records) != 0 {
				t.Errorf("deleted after %s; left: running %v, links %v, configs %v, records %v", late, w.counts(), w.links(), w.configs(), w.records)
			}
		})
	}
}

func TestLabelChangeMoves(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", map[string]string{"zone": "a"})
		w.start("NB", map[string]string{"zone": "b"})
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(strings.Replace(hello, "{instances: 4}", "{instances: 4, spread: [{name: a, requirements: {zone: a}}]}", 1)))
		w.pass(time.Second)
		relabel := func(host, zone string) {
			if err := w.other.PutLabel(w.ctx, host, "zone", zone); err != nil {
				t.Error(err)
			}
		}
		relabel("NB", "a")
		relabel("NA", "c")
		w.pass(time.Second)
		if n := len(w.inventory("NA").Components); n != 0 {
			t.Errorf("NA still runs %d components", n)
		}
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 2})
		w.quiet(5 * time.Minute)
	})
}

// The process of a host is killed and starts anew in the same pod: under another id, without a goodbye.
func TestAHostThatTookThePlaceOfAnother(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", map[string]string{"pod": "1"})
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.Mute("NA", true)
		w.start("NB", map[string]string{"pod": "1"})
		w.pass(5 * time.Second)
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		if len(w.inventory("NB").Components) != 1 {
			t.Errorf("the new host runs %+v", w.inventory("NB"))
		}
		w.remove("ns", "hello")
		w.pass(5 * time.Second)
		if len(w.records) != 0 {
			t.Errorf("the record waits for the host that is gone: %v", w.records)
		}
	})
}

func TestMuteHostHoldsUpNobodyElse(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.start("NB", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.Mute("NA", true)
		// Half of what any host may do is asked of the one that does not answer; the configurations are there already.
		w.storeConfig("hello-defaults", lattice.Config{"a": "b"})
		w.storeConfig("hello-addr", lattice.Config{"address": "0.0.0.0:8080"})
		w.apply(w.yaml(hello))
		w.pass(5 * time.Second)
		if len(w.inventory("NB").Components) != 1 || len(w.inventory("NB").Providers) != 1 {
			t.Errorf("NB runs %+v", w.inventory("NB"))
		}
		w.pass(2 * time.Minute)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		// It was only deaf: it comes back with a heartbeat, and gets its share of the daemon.
		w.Mute("NA", false)
		w.pass(2 * time.Minute)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 2})
		w.quiet(5 * time.Minute)
	})
}

// A host that was cut off comes back with what a deleted application ran on it.
func TestGhost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.start("NB", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.Mute("NA", true)
		w.pass(2 * time.Minute)
		w.remove("ns", "hello")
		w.pass(time.Minute)
		w.Mute("NA", false)
		w.pass(time.Minute)
		w.wantCounts(map[string]int{})
		if len(w.records) != 0 {
			t.Errorf("records left: %v", w.records)
		}
	})
}

func TestEvents(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.failing.put("ghcr.io/x/server:2", "no such image")
		w.apply(w.yaml(strings.Replace(hello, "server:1", "server:2", 1)))
		w.pass(time.Minute)
		want := []string{"Normal hello Placing", "Normal hello Deployed", "Normal hello Placing", "Warning hello CommandFailed"}
		if diff := cmp.Diff(want, w.events); diff != "" {
			t.Errorf("Events (-want +got):\n%s", diff)
		}
	})
}

func TestReportsOrphans(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.end()
		w.api = newAPI()
		w.orchestrate()
		w.pass(time.Minute)
		if got := w.o.Orphans(); len(got) != 2 || got[0].Application != "hello" {
			t.Errorf("orphans: %v", got)
		}
	})
}
