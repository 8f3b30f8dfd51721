package orchestrator

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"
)

// fakeDeaths knows which pods there are.
type fakeDeaths struct {
	mu   sync.Mutex
	pods map[string]bool
	// blind: nobody can tell.
	blind    bool
	watchers []func(label, value string)
}

var _ HostEnds = (*fakeDeaths)(nil)

func newFakeDeaths() *fakeDeaths { return &fakeDeaths{pods: map[string]bool{}} }

func (d *fakeDeaths) Watch(_ context.Context, _, dead func(label, value string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers = append(d.watchers, dead)
}

func (d *fakeDeaths) Alive(_, value string) (alive, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pods[value], !d.blind
}

// set says whether the pod is there; of one that goes, watchers hear.
func (d *fakeDeaths) set(pod string, there bool) {
	d.mu.Lock()
	gone := d.pods[pod] && !there
	d.pods[pod] = there
	watchers := d.watchers
	d.mu.Unlock()
	for _, dead := range watchers {
		if gone {
			dead("pod", pod)
		}
	}
}

// A host and its pod go while nobody looks, in the moment in which the application is deleted: its record names the host,
// and whoever looks after the lattice next never saw it. The record goes all the same, as soon as it is certain that the
// pod is no more, and not before.
func TestAPodThatWentUnseen(t *testing.T) {
	for name, c := range map[string]struct {
		gone, blind bool
		longest     time.Duration
	}{
		"the pod is gone":       {gone: true, longest: inheritedPause + 2*orphanInterval},
		"the pod is there":      {longest: ghostMemory + time.Minute},
		"nobody can tell of it": {gone: true, blind: true, longest: ghostMemory + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.deaths.set("1", true)
				w.start("NA", map[string]string{"pod": "1"})
				w.start("NB", nil)
				w.orchestrate()
				w.pass(time.Second)
				w.apply(w.yaml(hello))
				w.pass(2 * time.Second)
				w.end()
				w.Kill("NA")
				w.remove("ns", "hello")
				if c.gone {
					w.deaths.set("1", false)
				}
				w.deaths.blind = c.blind
				w.orchestrate()
				if !c.gone || c.blind {
					w.pass(5 * time.Minute)
					if len(w.openRecords()) != 1 {
						t.Errorf("records: %v; want the one that waits for the host", w.openRecords())
					}
				}
				w.pass(c.longest)
				w.wantCounts(map[string]int{})
				if len(w.openRecords()) != 0 {
					t.Errorf("left: %v", w.openRecords())
				}
			})
		})
	}
}

// A host that is silent for long is waited for, until its pod is gone.
func TestAGhostWhosePodGoes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deaths.set("1", true)
		w.start("NA", map[string]string{"pod": "1"})
		w.start("NB", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.Mute("NA", true)
		w.pass(2 * time.Minute)
		w.remove("ns", "hello")
		w.pass(time.Minute)
		if len(w.openRecords()) != 1 {
			t.Errorf("records: %v; want the one that waits for the silent host", w.openRecords())
		}
		w.deaths.set("1", false)
		w.pass(time.Second)
		if len(w.openRecords()) != 0 {
			t.Errorf("left: %v", w.openRecords())
		}
	})
}

// The last host says goodbye in the moment in which the application is deleted: its status still names the host.
func TestAGoodbyeJustBeforeTheEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.start("NB", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(2 * time.Second)
		status := w.app("hello").Status.DeepCopy()
		w.Stop("NA")
		w.pass(10 * time.Second)
		app := w.app("hello").DeepCopy()
		app.Status = *status
		w.api.mu.Lock()
		w.api.apps[appKey{"ns", "hello"}] = app
		w.api.mu.Unlock()
		w.remove("ns", "hello")
		w.pass(5 * time.Second)
		if len(w.openRecords()) != 0 {
			t.Errorf("left: %v", w.openRecords())
		}
	})
}

// openRecords are the teardown records that there are.
func (w *world) openRecords() map[string]Teardown {
	w.api.mu.Lock()
	defer w.api.mu.Unlock()
	return maps.Clone(w.records)
}
