package orchestrator

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/lattice"
)

var (
	histories = flag.Int("histories", 150, "how many random histories to run")
	firstSeed = flag.Uint64("seed", 1, "the first seed of the random histories")
)

// TestHistories runs random histories: applications come, change and go, hosts die, restart and go deaf, the connection
// breaks, the orchestrator restarts. When that ends, the lattice is what the applications say, nothing else is left in
// it, and it stays so without commands. What somebody else started is there to the end.
func TestHistories(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+uint64(*histories); seed++ {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(w *world) { history(w, rand.New(rand.NewPCG(seed, 99))) })
		})
		if !ok {
			t.Fatalf("history %d failed; run it alone with -run 'TestHistories/%d$' -seed %d", seed, seed, seed)
		}
	}
}

// foreign runs on a host of its own that never dies.
const foreignHost = "NFOREIGN"

func history(w *world, random *rand.Rand) {
	w.start(w.ctx, foreignHost, map[string]string{"zone": "none"})
	w.bus.mu.Lock()
	w.hosts[foreignHost].inv.Components = []lattice.ComponentDescription{{ID: "app0-c", ImageRef: "x", MaxInstances: 3}}
	w.bus.mu.Unlock()
	names := []string{"NA", "NB", "NC", "ND"}
	for i, id := range names[:3] {
		w.start(w.ctx, id, map[string]string{"zone": []string{"a", "b"}[i%2]})
	}
	w.orchestrate()
	for range 30 + random.IntN(20) {
		step(w, random, names)
		w.pass(time.Duration(random.IntN(4)) * time.Duration(random.IntN(4000)) * time.Millisecond / 7)
	}
	calm(w, names)
	w.pass(12 * time.Minute) // longer than a silent host is waited for
	check(w)
	w.quiet(3 * time.Minute)
}

// calm ends all faults.
func calm(w *world, names []string) {
	w.bus.mu.Lock()
	for _, h := range w.hosts {
		h.mute = false
	}
	clear(w.failing)
	down := w.down
	w.bus.mu.Unlock()
	if down {
		w.setDown(false)
	}
	if w.hosts[names[0]] == nil {
		w.start(w.ctx, names[0], map[string]string{"zone": "a"})
	}
	if w.hosts[names[1]] == nil {
		w.start(w.ctx, names[1], map[string]string{"zone": "b"})
	}
	if w.end == nil {
		w.orchestrate()
	}
}

func step(w *world, random *rand.Rand, names []string) {
	id := names[random.IntN(len(names))]
	app := fmt.Sprintf("app%d", random.IntN(3))
	w.bus.mu.Lock()
	h := w.hosts[id]
	w.bus.mu.Unlock()
	switch random.IntN(14) {
	case 0, 1, 2, 3, 4:
		w.apply(randomApp(w, random, app))
	case 5:
		if w.app(app) != nil {
			w.remove("ns", app)
		}
	case 6:
		if h != nil {
			w.kill(id)
		}
	case 7:
		if h != nil {
			w.stop(id)
		}
	case 8, 9:
		zone := []string{"a", "b"}[random.IntN(2)]
		w.start(w.ctx, id, map[string]string{"zone": zone})
	case 10:
		if h != nil {
			w.bus.mu.Lock()
			h.mute = !h.mute
			w.bus.mu.Unlock()
		}
	case 11:
		w.setDown(!w.down)
	case 12:
		if w.end != nil {
			w.end()
		} else {
			w.orchestrate()
		}
	case 13:
		w.bus.mu.Lock()
		image := fmt.Sprintf("i:%d", random.IntN(3))
		if w.failing[image] == "" {
			w.failing[image] = "no such image"
		} else {
			delete(w.failing, image)
		}
		w.bus.mu.Unlock()
	}
}

func randomApp(w *world, random *rand.Rand, name string) *v1beta1.Application {
	spread := ""
	if random.IntN(2) == 0 {
		spread = ", spread: [{name: a, requirements: {zone: a}, weight: 2}, {name: b, requirements: {zone: b}, weight: 1}]"
	}
	provider := []string{"p", "q"}[random.IntN(2)]
	text := fmt.Sprintf(`
apiVersion: v
kind: k
metadata: {name: %s}
spec:
  components:
    - {name: c, type: component, properties: {image: "i:%d", id: %s-id}, traits: [{type: %s, properties: {instances: %d%s}}]}
    - name: %s
      type: capability
      properties: {image: "i:%d", config: [{name: base%d, properties: {k: "%d"}}]}
      traits:
        - {type: spreadscaler, properties: {instances: %d}}
        - type: link
          properties: {namespace: wasi, package: http, interfaces: [incoming-handler], target: {name: c}, source: {config: [{name: addr%d, properties: {port: "%d"}}]}}
`, name, random.IntN(3), name, []string{"spreadscaler", "daemonscaler"}[random.IntN(2)], random.IntN(6)+1, spread,
		provider, random.IntN(3), random.IntN(2), random.IntN(3), random.IntN(2)+1, random.IntN(2), random.IntN(3))
	app := w.yaml(text)
	app.Annotations = map[string]string{}
	switch random.IntN(8) {
	case 0:
		app.Annotations[v1beta1.DeployedVersionAnnotation] = v1beta1.DeployedNone
	case 1:
		app.Annotations[v1beta1.WashDeployedVersionAnnotation] = v1beta1.DeployedNone
	}
	return app
}

// check compares the lattice with what the applications say.
func check(w *world) {
	w.Helper()
	links, configs := []string{}, []string{}
	want := map[string]bool{}
	for k, app := range w.apps {
		if app.Annotations[v1beta1.DeployedVersionAnnotation] == "none" || app.Annotations[v1beta1.WashDeployedVersionAnnotation] == "none" {
			w.wantPhase(k.name, v1beta1.PhaseUndeployed)
			continue
		}
		if phase := app.Status.Phase; phase != v1beta1.PhaseDeployed && !strings.Contains(message(app), "Could not satisfy") {
			w.Errorf("%s is %s: %s", k.name, phase, message(app))
		}
		if strings.Contains(message(app), "Could not satisfy") {
			return // what earlier versions left may stay
		}
		for _, c := range app.Status.Components {
			want[c.ID] = true
			if c.Running != c.Desired {
				w.Errorf("%s: %s runs %d of %d", k.name, c.ID, c.Running, c.Desired)
			}
		}
		for _, l := range app.Status.Links {
			links = append(links, l.Source+"->"+l.Target)
		}
		for _, c := range app.Status.Configs {
			configs = append(configs, c.Name)
		}
	}
	for id := range w.counts() {
		if !want[id] && id != "app0-c" {
			w.Errorf("%s runs and nobody wants it", id)
		}
	}
	slices.Sort(links)
	if got := w.links(); !slices.Equal(got, links) {
		w.Errorf("links %v, want %v", got, links)
	}
	if len(w.configs) != len(configs) {
		w.Errorf("configs %v, want %v", w.configs, configs)
	}
	if len(w.records) > 0 {
		w.Errorf("teardown records left: %v", w.records)
	}
	if foreign := w.hosts[foreignHost].inv.Components; len(foreign) == 0 || foreign[0].ID != "app0-c" {
		w.Errorf("what somebody else started was stopped: %v", foreign)
	}
}

func message(app *v1beta1.Application) string {
	for _, c := range app.Status.Conditions {
		if c.Type == v1beta1.ConditionDeployed {
			return c.Message
		}
	}
	return "no condition"
}
