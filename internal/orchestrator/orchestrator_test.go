package orchestrator

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/conditions"
)

func TestConverges(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.start("NB", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(100 * time.Millisecond)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 2})
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		want := []string{
			"put config hello-addr map[address:0.0.0.0:8080]", "put config hello-defaults map[a:b]",
			"start hello-server ghcr.io/x/server:1 on NA", "start hello-server ghcr.io/x/server:1 on NB",
			"put link hello-server->hello-http [hello-addr]",
			"scale hello-http=2 ghcr.io/x/http:1 on NA", "scale hello-http=2 ghcr.io/x/http:1 on NB",
		}
		got := w.commands()
		sortWithin(got, []int{2, 2, 3}) // the link waits for its source to start, not for its target
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		w.quiet(5 * time.Minute)
		ready := conditions.Find(w.app("hello").Status.Conditions, "Ready")
		if ready == nil || ready.Status != "True" {
			t.Errorf("Ready is %v", ready)
		}
	})
}

// News cost a look at the applications they concern, and a heartbeat that says nothing new costs none.
func TestCost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.start("NB", nil)
		w.orchestrate()
		w.pass(time.Second)
		for _, name := range []string{"hello", "two", "three"} {
			w.apply(w.yaml(strings.Replace(hello, "name: hello", "name: "+name, 1)))
		}
		w.pass(time.Minute)
		before := w.o.Plans()
		w.pass(time.Hour)
		if n := w.o.Plans() - before; n != 0 {
			t.Errorf("an hour of heartbeats cost %d plans", n)
		}
		w.apply(w.yaml(strings.Replace(hello, "instances: 4", "instances: 6", 1)))
		w.pass(time.Minute)
		if n := w.o.Plans() - before; n == 0 || n > 8 {
			t.Errorf("a change of one application of three cost %d plans", n)
		}
	})
}

// sortWithin sorts within groups of the given sizes: commands of one stage come in any order.
func sortWithin(list []string, sizes []int) {
	at := 0
	for _, n := range sizes {
		if at+n > len(list) {
			return
		}
		part := list[at : at+n]
		for i := range part {
			for j := i + 1; j < len(part); j++ {
				if part[j] < part[i] {
					part[i], part[j] = part[j], part[i]
				}
			}
		}
		at += n
	}
}

func TestHostDiesAndComesBackEmpty(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.Kill("NA")
		w.start("NC", nil)
		w.pass(time.Second)
		// NC is known at once; NA's share moves when its heartbeats are overdue.
		w.wantCounts(map[string]int{"hello-server": 1})
		w.pass(65 * time.Second)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		// The same host restarts: same id, nothing on it.
		w.start("NC", nil)
		w.pass(2 * time.Second)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
		w.Stop("NC")
		w.pass(time.Second)
		c := conditions.Find(w.app("hello").Status.Conditions, "Deployed")
		if c.Reason != ReasonNoHosts {
			t.Errorf("without hosts Deployed says %v", c)
		}
		w.start("ND", nil)
		w.pass(2 * time.Second)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
		w.quiet(5 * time.Minute)
	})
}

func TestUndeployByRecord(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		app := w.yaml(hello)
		w.apply(app)
		w.pass(time.Second)
		w.commands()
		w.remove("ns", "hello")
		w.pass(500 * time.Millisecond)
		want := []string{
			"delete link hello-server (default)", "scale hello-http=0 ghcr.io/x/http:1 on NA", "stop hello-server on NA",
			"delete config hello-addr", "delete config hello-defaults",
		}
		got := w.commands()
		sortWithin(got, []int{1, 1, 1, 2})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		if len(w.records) != 0 || len(w.counts()) != 0 || len(w.links()) != 0 || len(w.configs()) != 0 {
			t.Errorf("left: records %v, running %v, links %v, configs %v", w.records, w.counts(), w.links(), w.configs())
		}
		w.quiet(time.Minute)
	})
}

// TestTeardownAfterTheLastHost: the last host goes first, then the application: nothing waits for a host to come.
func TestTeardownAfterTheLastHost(t *testing.T) {
	for name, c := range map[string]struct {
		leave func(*world)
		// longest is how long its record stays: a host that may only be cut off is waited for.
		longest time.Duration
	}{
		"said so":        {func(w *world) { w.Stop("NA") }, 5 * time.Second},
		"without a word": {func(w *world) { w.Kill("NA"); w.pass(2 * time.Minute) }, ghostMemory + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start("NA", nil)
				w.orchestrate()
				w.pass(time.Second)
				w.apply(w.yaml(hello))
				w.pass(time.Second)
				c.leave(w)
				w.pass(time.Second)
				w.remove("ns", "hello")
				w.pass(5 * time.Second)
				if len(w.links()) != 0 || len(w.configs()) != 0 {
					t.Errorf("left: links %v, configs %v", w.links(), w.configs())
				}
				w.pass(c.longest)
				if len(w.records) != 0 {
					t.Errorf("left: records %v", w.records)
				}
				w.quiet(time.Minute)
			})
		})
	}
}

func TestUndeployAndDeployByAnnotation(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		app := w.yaml(hello)
		w.apply(app)
		w.pass(time.Second)
		app.Annotations[v1beta1.DeployedVersionAnnotation] = v1beta1.DeployedNone
		w.apply(app)
		w.pass(time.Second)
		w.wantPhase("hello", v1beta1.PhaseUndeployed)
		w.wantCounts(map[string]int{})
		if len(w.records)+len(w.configs())+len(w.links()) != 0 {
			t.Errorf("left: records %v, configs %v, links %v", w.records, w.configs(), w.links())
		}
		w.quiet(time.Minute)
		delete(app.Annotations, v1beta1.DeployedVersionAnnotation)
		w.apply(app)
		w.pass(time.Second)
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
		w.quiet(time.Minute)
	})
}

func TestDeleteAndRecreate(t *testing.T) {
	for _, gap := range []time.Duration{0, time.Millisecond, 7 * time.Millisecond, 200 * time.Millisecond, 310 * time.Millisecond, 320 * time.Millisecond, time.Second} {
		inWorld(t, func(w *world) {
			w.start("NA", nil)
			w.orchestrate()
			w.pass(time.Second)
			w.apply(w.yaml(hello))
			w.pass(time.Second)
			w.remove("ns", "hello")
			if gap > 0 {
				w.pass(gap)
			}
			w.commands()
			w.apply(w.yaml(hello))
			w.pass(40 * time.Second)
			w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
			w.wantPhase("hello", v1beta1.PhaseDeployed)
			if got := w.commands(); gap < deletePause && len(got) > 0 {
				t.Errorf("delete directly followed by put restarted something: %q", got)
			}
			if len(w.records) != 0 || len(w.links()) != 1 || len(w.configs()) != 2 {
				t.Errorf("after a pause of %s: records %v, links %v, configs %v", gap, w.records, w.links(), w.configs())
			}
			w.quiet(time.Minute)
		})
	}
}

func TestFailingImageShowsTheHostsError(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.failing.put("ghcr.io/x/http:1", "failed to fetch component: no such image")
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(10 * time.Second)
		w.wantPhase("hello", v1beta1.PhaseFailed)
		st := w.app("hello").Status
		if !strings.Contains(st.Components[0].Message, "no such image") || !strings.Contains(st.Components[0].Message, "host-NA") {
			t.Errorf("message of the component: %q", st.Components[0].Message)
		}
		if c := conditions.Find(st.Conditions, "Ready"); !strings.Contains(c.Message, "no such image") {
			t.Errorf("Ready: %v", c)
		}
		w.commands()
		w.pass(10 * time.Minute)
		if n := len(w.commands()); n > 12 || n < 3 {
			t.Errorf("%d tries in ten minutes", n)
		}
		if c := conditions.Find(w.app("hello").Status.Conditions, "Stalled"); c == nil {
			t.Error("the application is not Stalled after many failures")
		}
		w.mend("ghcr.io/x/http:1")
		w.pass(3 * time.Minute)
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		w.quiet(5 * time.Minute)
	})
}

func (w *world) mend(image string) {
	w.failing.put(image, "")
}

func TestLinkConfigChangeIsDeleteAndPut(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.commands()
		w.apply(w.yaml(strings.ReplaceAll(hello, "8080", "9090")))
		w.pass(time.Second)
		want := []string{
			"put config hello-addr map[address:0.0.0.0:9090]",
			"delete link hello-server (default)", "put link hello-server->hello-http [hello-addr]",
		}
		if diff := cmp.Diff(want, w.commands()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		w.quiet(5 * time.Minute)
	})
}

func TestLostStoreStopsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.end()
		w.commands()
		// The store is empty: no application, no revision, no record.
		w.api = newAPI()
		w.orchestrate()
		w.pass(10 * time.Minute)
		if got := w.commands(); len(got) > 0 {
			t.Errorf("an empty store sent commands: %q", got)
		}
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
	})
}

func TestUnknownStoreStopsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.end()
		w.commands()
		w.notSynced = true
		w.orchestrate()
		w.pass(10 * time.Minute)
		if got := w.commands(); len(got) > 0 {
			t.Errorf("without the list of applications commands were sent: %q", got)
		}
	})
}

func TestRestartOfTheOrchestratorSendsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.start("NB", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.end()
		w.commands()
		w.orchestrate()
		w.quiet(5 * time.Minute)
	})
}

func TestLostConnectionFreezes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.commands()
		w.disconnect()
		w.pass(10 * time.Minute)
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		w.reconnect()
		w.quiet(5 * time.Minute)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
	})
}

func TestLostLeaseSendsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.held = false
		w.apply(w.yaml(hello))
		w.pass(time.Minute)
		if got := w.commands(); len(got) > 0 {
			t.Errorf("without the lease commands were sent: %q", got)
		}
	})
}
