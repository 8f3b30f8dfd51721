package orchestrator

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/lattice"
)

// pods are those who end the pods of hosts, and the way by which hosts ask to be drained.
type pods struct {
	ending, gone func(label, value string)
	left         func(uid string) (lattice.DrainAnswer, bool)
	// before are pods that were ending before anybody listened.
	before []string
}

var (
	_ HostEnds = (*pods)(nil)
	_ Drains   = (*pods)(nil)
)

func (p *pods) Watch(_ context.Context, ending, gone func(label, value string)) {
	p.ending, p.gone = ending, gone
	for _, uid := range p.before {
		ending("pod", uid)
	}
}

func (p *pods) Alive(_, _ string) (alive, known bool) { return false, false }

func (p *pods) ServeDrains(ctx context.Context, left func(string) (lattice.DrainAnswer, bool)) (<-chan struct{}, error) {
	p.left = left
	return ctx.Done(), nil
}

// withPods runs a test with hosts in pods of their own: host NA in pod a, and so on; hello is deployed.
func withPods(t *testing.T, hosts string, test func(w *world, p *pods)) {
	t.Helper()
	inWorld(t, func(w *world) {
		for _, name := range strings.Fields(hosts) {
			w.startInPod(name)
		}
		p := &pods{}
		w.pods = p
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(time.Second)
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		w.commands()
		test(w, p)
	})
}

func (w *world) startInPod(host string) {
	w.start(host, map[string]string{"pod": strings.ToLower(strings.TrimPrefix(host, "N"))})
}

func (w *world) wantCommands(want ...string) {
	w.Helper()
	if diff := cmp.Diff(want, w.commands()); diff != "" {
		w.Errorf("commands (-want +got):\n%s", diff)
	}
}

// wantLeft asks, as a pod does that ends.
func (w *world) wantLeft(p *pods, uid string, want lattice.DrainAnswer) {
	w.Helper()
	if got, ok := p.left(uid); !ok || got != want {
		w.Errorf("left on the host of pod %s: %+v (%t), want %+v", uid, got, ok, want)
	}
}

func TestDrain(t *testing.T) {
	asks := func(_ *world, p *pods) { p.left("a") }
	told := func(_ *world, p *pods) { p.ending("pod", "a") }
	for name, begin := range map[string]func(*world, *pods){"asked for": asks, "told by Kubernetes": told} {
		t.Run(name, func(t *testing.T) {
			withPods(t, "NA NB", func(w *world, p *pods) {
				begin(w, p)
				w.pass(time.Second)
				w.wantCommands("scale hello-http=4 ghcr.io/x/http:1 on NB")
				w.wantLeft(p, "a", lattice.DrainAnswer{Known: true, Components: 1, Providers: 1})
				w.pass(linger - 2*time.Second)
				w.wantCommands() // nodes still send requests here
				w.wantPhase("hello", v1beta1.PhaseDeployed)
				w.pass(2 * time.Second)
				w.wantCommands("stop hello-server on NA", "scale hello-http=0 ghcr.io/x/http:1 on NA")
				w.wantLeft(p, "a", lattice.DrainAnswer{Known: true})
				w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
				w.wantPhase("hello", v1beta1.PhaseDeployed)
				w.Stop("NA")
				w.pass(time.Second)
				p.gone("pod", "a")
				w.quiet(time.Minute)
			})
		})
	}
}

// A host of which nobody knows has nothing to wait for, and one that runs nothing may end at once.
func TestDrain_NothingLeft(t *testing.T) {
	inWorld(t, func(w *world) {
		p := &pods{}
		w.pods = p
		w.startInPod("NA")
		w.orchestrate()
		w.pass(2 * time.Second)
		w.wantLeft(p, "x", lattice.DrainAnswer{})
		w.wantLeft(p, "a", lattice.DrainAnswer{Known: true})
	})
}

// Without another place everything stays until the host stops; the status says so. A host that comes takes over, as in a
// roll-out that starts the new pod late.
func TestDrain_NoPlace(t *testing.T) {
	withPods(t, "NA", func(w *world, p *pods) {
		p.ending("pod", "a")
		w.pass(time.Minute)
		w.wantCommands()
		w.wantLeft(p, "a", lattice.DrainAnswer{Known: true, Components: 1, Providers: 1})
		if got := message(w.app("hello")); !strings.Contains(got, "About to end, and taking nothing new: NA.") {
			t.Errorf("the status says %q", got)
		}
		w.startInPod("NB")
		w.pass(linger - time.Second)
		w.wantCounts(map[string]int{"hello-http": 8, "hello-server": 2})
		w.pass(2 * time.Second)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
		w.wantLeft(p, "a", lattice.DrainAnswer{Known: true})
		w.wantPhase("hello", v1beta1.PhaseDeployed)
	})
}

// Of two hosts that end, the third takes all.
func TestDrain_Two(t *testing.T) {
	withPods(t, "NA NB NC", func(w *world, p *pods) {
		p.left("a")
		p.ending("pod", "b")
		w.pass(3 * linger)
		w.wantLeft(p, "a", lattice.DrainAnswer{Known: true})
		w.wantLeft(p, "b", lattice.DrainAnswer{Known: true})
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
	})
}

// Who leads next is told again, and goes on.
func TestDrain_NewLeader(t *testing.T) {
	withPods(t, "NA NB", func(w *world, p *pods) {
		p.ending("pod", "a")
		w.pass(2 * time.Second)
		w.end()
		p.before = []string{"a"}
		w.orchestrate()
		w.pass(100 * time.Millisecond)
		if _, ok := p.left("a"); ok {
			t.Error("an answer came before the lattice was looked at")
		}
		w.pass(time.Second + linger)
		w.wantLeft(p, "a", lattice.DrainAnswer{Known: true})
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
	})
}

// A container may be started again in a pod that lives on: whoever asked is wrong then. And who asked and asks no more has
// changed his mind, when the host is there still.
func TestDrain_CalledOff(t *testing.T) {
	for name, live := range map[string]func(w *world){
		"the container starts again": func(w *world) { w.Stop("NA"); w.startInPod("NA"); w.pass(time.Second) },
		"nobody asks any more":       func(w *world) { w.pass(askedMemory + time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			withPods(t, "NA NB", func(w *world, p *pods) {
				p.left("a")
				w.pass(2 * linger)
				live(w)
				w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 2})
			})
		})
	}
	t.Run("but not by a host that starts in a pod that ends", func(t *testing.T) {
		withPods(t, "NA NB", func(w *world, p *pods) {
			p.ending("pod", "a")
			w.pass(2 * linger)
			w.Stop("NA")
			w.startInPod("NA")
			w.pass(2 * askedMemory)
			w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
		})
	})
}

// What runs for nobody is not waited for.
func TestDrain_Strangers(t *testing.T) {
	withPods(t, "NA NB", func(w *world, p *pods) {
		w.PlaceComponent("NA", lattice.ComponentDescription{ID: "stranger", ImageRef: "x", MaxInstances: 1})
		p.left("a")
		w.pass(2 * linger)
		w.wantLeft(p, "a", lattice.DrainAnswer{Known: true})
	})
}

// A new version that comes while a host drains is complete when it is there elsewhere; what the old one used stays until its
// last instance has ended.
func TestDrain_NewVersion(t *testing.T) {
	withPods(t, "NA NB", func(w *world, p *pods) {
		p.ending("pod", "a")
		w.pass(time.Second)
		w.apply(w.yaml(strings.ReplaceAll(hello, "name: defaults, properties: {a: b}", "name: others, properties: {a: b}")))
		w.pass(2 * time.Second)
		if _, there := w.configs()["hello-defaults"]; !there {
			t.Error("the configuration of what runs still is gone")
		}
		w.wantPhase("hello", v1beta1.PhaseReconciling)
		w.pass(2 * linger)
		w.wantLeft(p, "a", lattice.DrainAnswer{Known: true})
		if _, there := w.configs()["hello-defaults"]; there {
			t.Error("the configuration is there although nothing uses it")
		}
		w.wantPhase("hello", v1beta1.PhaseDeployed)
	})
}

// All at once, as when a group is deleted: nothing moves, and nothing ends before its pod does.
func TestDrain_All(t *testing.T) {
	withPods(t, "NA NB", func(w *world, p *pods) {
		p.ending("pod", "a")
		p.ending("pod", "b")
		w.pass(time.Minute)
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 2})
		w.Stop("NA")
		p.gone("pod", "a")
		w.Stop("NB")
		p.gone("pod", "b")
		w.quiet(time.Minute)
		w.wantCounts(map[string]int{})
	})
}

const (
	// nodesLag is how long nodes send requests to where they went before.
	nodesLag = 4 * time.Second
	look     = 100 * time.Millisecond
)

// traffic is what nodes do: they send requests to hosts that have been ready for some time, and to those that end as long
// as there are no others; and for some time to where they went before.
type traffic struct {
	*world
	// since is when a host began to be ready, until when it was last.
	since, until map[string]time.Time
	draining     map[string]bool
}

func (f *traffic) serves(host string) bool {
	inv := f.inventory(host)
	_, _, component := instance(inv, "hello-http")
	_, _, server := instance(inv, "hello-server")
	return component && server
}

// pass lets time go by, and watches where requests go meanwhile.
func (f *traffic) pass(d time.Duration) {
	f.Helper()
	for range d / look {
		f.world.pass(look)
		now := time.Now()
		var settled, ending []string
		for _, host := range f.Hosts() {
			switch ready := f.serves(host) && !f.draining[host]; {
			case ready && f.since[host].IsZero():
				f.since[host] = now
			case ready && now.Sub(f.since[host]) >= nodesLag:
				settled = append(settled, host)
				f.until[host] = now
			case f.draining[host] && f.serves(host):
				ending = append(ending, host)
			}
		}
		if len(settled)+len(ending) == 0 {
			f.Errorf("at %s nobody answers", now.Format("05.0"))
		}
		for host, until := range f.until {
			if now.Sub(until) < nodesLag && !f.serves(host) {
				f.Errorf("at %s requests go to %s, which does not serve any more", now.Format("05.0"), host)
			}
		}
	}
}

// A roll-out that starts a new host before it ends an old one loses no request, and never runs less than is wanted.
func TestDrain_Roll(t *testing.T) {
	for name, hosts := range map[string]string{"one host": "NA", "three hosts": "NA NB NC"} {
		t.Run(name, func(t *testing.T) {
			withPods(t, hosts, func(w *world, p *pods) {
				f := &traffic{world: w, since: map[string]time.Time{}, until: map[string]time.Time{}, draining: map[string]bool{}}
				for _, host := range w.Hosts() {
					f.since[host] = time.Now().Add(-nodesLag)
				}
				for _, old := range strings.Fields(hosts) {
					uid := strings.ToLower(strings.TrimPrefix(old, "N"))
					w.startInPod(old + "X")
					f.pass(time.Second)
					f.draining[old] = true
					p.ending("pod", uid)
					for n := 0; ; n++ {
						f.pass(500 * time.Millisecond)
						left, ok := p.left(uid)
						if ok && left.Components+left.Providers == 0 {
							break
						}
						if n > 60 {
							t.Fatalf("left on %s: %+v", old, left)
						}
					}
					delete(f.until, old)
					w.Stop(old)
					p.gone("pod", uid)
				}
				f.pass(time.Minute)
				w.wantCounts(map[string]int{"hello-http": 4, "hello-server": len(strings.Fields(hosts))})
			})
		})
	}
}
