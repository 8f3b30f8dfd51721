package scaler

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// parse makes a model of components in flow style.
func parse(t *testing.T, components string) *manifest.Model {
	t.Helper()
	app, err := manifest.DecodeWadm("application/yaml",
		[]byte("apiVersion: v\nkind: k\nmetadata: {name: app}\nspec: {components: ["+components+"]}"))
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Parse(app.Name, &app.Spec)
}

func component(image, scaler string) string {
	return fmt.Sprintf("{name: c, type: component, properties: {image: %q}, traits: [%s]}", image, scaler)
}

func total(l *lab, id string) (n int) {
	for _, h := range l.hosts {
		n += int(h.Components[id].Count)
	}
	return n
}

func TestPlan_KeepsWhatFits(t *testing.T) {
	l := newLab(host("NA"), host("NB"))
	four := parse(t, component("i:1", "{type: spreadscaler, properties: {instances: 4}}"))
	l.settle(t, Want{Model: four})
	l.SetHost(host("NC"))
	l.SetHost(host("ND"))
	if out := Plan(Want{Model: four}, l.Lattice); len(out.Commands) > 0 {
		t.Errorf("new hosts moved what ran: %v", out.Commands)
	}
	six := parse(t, component("i:1", "{type: spreadscaler, properties: {instances: 6}}"))
	l.settle(t, Want{Model: six})
	for _, id := range []string{"NA", "NB"} {
		if n := l.hosts[id].Components["app-c"].Count; n != 2 {
			t.Errorf("host %s has %d, want the 2 it had", id, n)
		}
	}
	three := parse(t, component("i:1", "{type: spreadscaler, properties: {instances: 3}}"))
	l.settle(t, Want{Model: three})
	if n := total(l, "app-c"); n != 3 {
		t.Errorf("%d instances after scaling down to 3", n)
	}
}

func TestPlan_ExchangesImagesInPlace(t *testing.T) {
	l := newLab(host("NA"), host("NB"))
	l.settle(t, Want{Model: parse(t, component("i:1", "{type: daemonscaler, properties: {instances: 2}}"))})
	rounds := l.settle(t, Want{Model: parse(t, component("i:2", "{type: daemonscaler, properties: {instances: 2}}"))})
	if len(rounds) != 1 || len(rounds[0]) != 2 || rounds[0][0].Verb != Update {
		t.Errorf("an image change is %v, want one update for each host", rounds)
	}
	// Another number and another image: first the number with the old image, then the image.
	rounds = l.settle(t, Want{Model: parse(t, component("i:3", "{type: daemonscaler, properties: {instances: 5}}"))})
	if len(rounds) != 2 || rounds[0][0].Verb != Scale || rounds[0][0].Image != "i:2" || rounds[1][0].Verb != Update {
		t.Errorf("image and number together are %v", rounds)
	}
}

func TestPlan_RestartsOneHostAfterAnotherWhereImagesCannotBeExchanged(t *testing.T) {
	l := newLab(host("NA"), host("NB"), host("NC"))
	l.settle(t, Want{Model: parse(t, component("i:1", "{type: spreadscaler, properties: {instances: 3}}"))})
	for _, id := range l.order {
		l.MarkNoUpdate(id)
	}
	w := Want{Model: parse(t, component("i:2", "{type: spreadscaler, properties: {instances: 3}}"))}
	for range 10 {
		out := Plan(w, l.Lattice)
		if len(out.Commands) == 0 {
			break
		}
		l.obey(t, out.Commands)
		running := 0
		for _, h := range l.hosts {
			if h.Components["app-c"].Count > 0 {
				running++
			}
		}
		if running < 2 {
			t.Fatalf("only %d of 3 hosts serve during the change", running)
		}
	}
	for _, h := range l.hosts {
		if i := h.Components["app-c"]; i.Image != "i:2" || i.Count != 1 {
			t.Errorf("host %s ends with %+v", h.ID, i)
		}
	}
}

func TestPlan_ChangedListOfConfigurations(t *testing.T) {
	with := func(config string) *manifest.Model {
		return parse(t, fmt.Sprintf("{name: c, type: component, properties: {image: i, config: [%s]}, traits: [{type: spreadscaler, properties: {instances: 2}}]}, {name: p, type: capability, properties: {image: \"oci://j\", config: [%s]}}", config, config))
	}
	l := newLab(host("NA"))
	l.settle(t, Want{Model: with("{name: one, properties: {a: b}}")})
	rounds := l.settle(t, Want{Model: with("{name: one, properties: {a: b}}, {name: two, properties: {a: c}}")})
	var verbs []string
	for _, r := range rounds {
		for _, c := range r {
			verbs = append(verbs, string(c.Verb))
		}
	}
	if got, want := strings.Join(verbs, " "), "PutConfig StopProvider Scale StartProvider"; got != want {
		t.Errorf("a longer list of configurations is %s, want %s", got, want)
	}
	// Only values change: nothing restarts.
	rounds = l.settle(t, Want{Model: with("{name: one, properties: {a: x}}, {name: two, properties: {a: c}}")})
	if len(rounds) != 1 || len(rounds[0]) != 1 || rounds[0][0].Verb != PutConfig {
		t.Errorf("a changed value is %v", rounds)
	}
	// Hosts drop the new annotations of a command that changes nothing: what they accepted is not sent again.
	i := l.hosts["NA"].Components["app-c"]
	i.Annotations = annotations("app", "something-else", "default")
	l.SetComponent("NA", "app-c", i)
	w := Want{Model: with("{name: one, properties: {a: x}}, {name: two, properties: {a: c}}")}
	if out := Plan(w, l.Lattice); len(out.Commands) != 1 {
		t.Fatalf("unknown scaler id: %v", out.Commands)
	}
	l.Accept("NA", "app-c", w.Model.Component("c").Scaler.ID)
	if out := Plan(w, l.Lattice); len(out.Commands) != 0 {
		t.Errorf("accepted, and still %v", out.Commands)
	}
}

func TestPlan_NeverTouchesWhatIsForeign(t *testing.T) {
	l := newLab(host("NA"), host("NB"))
	foreign := Instance{Image: "i:1", Count: 7}
	l.SetComponent("NA", "app-c", foreign)
	m := parse(t, component("i:1", "{type: spreadscaler, properties: {instances: 2}}"))
	l.settle(t, Want{Model: m})
	if !l.hosts["NA"].Components["app-c"].equal(foreign) || l.hosts["NB"].Components["app-c"].Count != 2 {
		t.Errorf("NA %+v NB %+v", l.hosts["NA"].Components, l.hosts["NB"].Components)
	}
	l.RemoveHost("NB")
	out := Plan(Want{Model: m}, l.Lattice)
	if len(out.Commands) > 0 || !strings.Contains(out.Components[0].Message, "started by someone else") {
		t.Errorf("with a foreign instance on the only host: %v, %q", out.Commands, out.Components[0].Message)
	}
	out = Plan(Want{Model: &manifest.Model{Name: "app"}}, l.Lattice)
	if len(out.Commands) > 0 {
		t.Errorf("undeploying stops the foreign instance: %v", out.Commands)
	}
	p := parse(t, "{name: p, type: capability, properties: {image: \"wasmcloud+builtin://x\"}}")
	l.SetProvider("NA", "app-p", Instance{Image: "x", Count: 1})
	if out = Plan(Want{Model: p}, l.Lattice); len(out.Commands) > 0 || !out.Converged {
		t.Errorf("a foreign provider that serves: %v, converged %t", out.Commands, out.Converged)
	}
}

func TestPlan_NewBeforeOld(t *testing.T) {
	l := newLab(host("NA", "zone", "a"))
	in := func(zone string) *manifest.Model {
		return parse(t, component("i:1", "{type: spreadscaler, properties: {instances: 2, spread: [{name: z, requirements: {zone: "+zone+"}}]}}"))
	}
	l.settle(t, Want{Model: in("a")})
	out := Plan(Want{Model: in("b")}, l.Lattice)
	if len(out.Commands) > 0 {
		t.Errorf("nothing can replace it, and it is ended: %v", out.Commands)
	}
	if want := "Could not satisfy spread z for i:1, 0/1 eligible hosts found. Start a host with labels zone=b"; !strings.HasPrefix(out.Components[0].Message, want) {
		t.Errorf("message %q, want %q", out.Components[0].Message, want)
	}
	l.SetHost(host("NB", "zone", "b"))
	rounds := l.settle(t, Want{Model: in("b")})
	if len(rounds) != 2 || rounds[0][0].Host != "NB" || rounds[1][0].Host != "NA" || rounds[1][0].Count != 0 {
		t.Errorf("moved by %v", rounds)
	}
	// A version that cannot start does not end the one that runs.
	other := parse(t, "{name: d, type: component, properties: {image: j}, traits: [{type: spreadscaler, properties: {instances: 1, spread: [{name: z, requirements: {zone: x}}]}}]}")
	if out = Plan(Want{Model: other}, l.Lattice); len(out.Commands) > 0 {
		t.Errorf("ended before the new version runs: %v", out.Commands)
	}
}

func TestPlan_OverlappingSpreads(t *testing.T) {
	l := newLab(host("NA", "zone", "a"))
	m := parse(t, component("i:1", "{type: spreadscaler, properties: {instances: 2, spread: [{name: any, requirements: {}}, {name: a, requirements: {zone: a}}]}}"))
	l.settle(t, Want{Model: m})
	if n := l.hosts["NA"].Components["app-c"].Count; n != 2 {
		t.Errorf("one host for two spreads has %d, want 2", n)
	}
	// wadm left the instance of zone a with the name of the other spread: it counts for whoever needs it.
	l = newLab(host("NA", "zone", "a"), host("NB"))
	id := m.Component("c").Scaler.ID
	l.SetComponent("NA", "app-c", Instance{Image: "i:1", Count: 1, Annotations: annotations("app", id, "any")})
	l.SetComponent("NB", "app-c", Instance{Image: "i:1", Count: 1, Annotations: annotations("app", id, "renamed")})
	if out := Plan(Want{Model: m}, l.Lattice); len(out.Commands) > 0 || !out.Converged {
		t.Errorf("an assignment exists on paper, and commands are sent: %v", out.Commands)
	}
}

func TestPlan_MissingConfiguration(t *testing.T) {
	m := parse(t, "{name: p, type: capability, properties: {image: i, config: [{name: theirs}]}}")
	l := newLab(host("NA"))
	out := Plan(Want{Model: m}, l.Lattice)
	if len(out.Commands) > 0 || !strings.Contains(out.Components[0].Message, "Specified configuration theirs does not exist") {
		t.Errorf("commands %v, message %q", out.Commands, out.Components[0].Message)
	}
	l.SetConfig("theirs", lattice.Config{"a": "b"}, l.now)
	l.settle(t, Want{Model: m})
	if len(l.hosts["NA"].Providers) != 1 {
		t.Error("not started when the configuration came")
	}
}

func TestSetSpec_KeepsTheTimeOfUnchangedLinks(t *testing.T) {
	l := NewLattice()
	a := lattice.Link{SourceID: "s", Target: "t", Name: "default", WitNamespace: "n", WitPackage: "p", Interfaces: []string{"i"}, SourceConfig: []string{"c"}}
	b := a
	b.Name = "other"
	l.SetSpec("s", lattice.ComponentSpec{Links: []lattice.Link{a}}, time.Unix(10, 0))
	l.SetConfig("c", lattice.Config{"x": "1"}, time.Unix(5, 0))
	l.SetSpec("s", lattice.ComponentSpec{Links: []lattice.Link{a, b}}, time.Unix(20, 0))
	if !l.links["s"][0].Time.Equal(time.Unix(10, 0)) || !l.links["s"][1].Time.Equal(time.Unix(20, 0)) {
		t.Errorf("times %v", l.links["s"])
	}
	if l.SetConfig("c", lattice.Config{"x": "1"}, time.Unix(30, 0)) {
		t.Error("the same content again is a change")
	}
	if !l.SetConfig("c", lattice.Config{"x": "2"}, time.Unix(15, 0)) {
		t.Error("other content is no change")
	}
	if l.users["c"] != 2 {
		t.Errorf("%d links use the configuration, want 2", l.users["c"])
	}
	l.RemoveSpec("s")
	if l.users["c"] != 0 {
		t.Errorf("%d links use the configuration after their removal", l.users["c"])
	}
}

// Whatever the spreads, hosts and labels: plans come to an end, what can run does, and a converged lattice stays as it is.
func TestPlan_Random(t *testing.T) {
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 7))
		l := newLab()
		for i := range random.IntN(6) + 1 {
			l.SetHost(host(fmt.Sprintf("N%d", i), "zone", fmt.Sprint(random.IntN(3)), "disk", fmt.Sprint(random.IntN(2))))
		}
		for range 5 {
			m := randomModel(t, random)
			l.settle(t, Want{Model: m})
			out := Plan(Want{Model: m}, l.Lattice)
			if len(out.Commands) > 0 {
				t.Fatalf("seed %d: no rest", seed)
			}
			c := out.Components[0]
			if c.Ready && c.Running != c.Desired && !m.Component("c").Scaler.Daemon {
				t.Fatalf("seed %d: ready with %d of %d", seed, c.Running, c.Desired)
			}
			if !c.Ready && !strings.Contains(c.Message, "Could not satisfy") {
				t.Fatalf("seed %d: not ready: %q", seed, c.Message)
			}
			id := l.order[random.IntN(len(l.order))]
			switch random.IntN(3) {
			case 0:
				l.SetLabels(id, map[string]string{"zone": fmt.Sprint(random.IntN(3))})
			case 1:
				fresh := host(id)
				fresh.Labels = l.hosts[id].Labels
				l.SetHost(fresh)
			}
		}
	}
}

func randomModel(t *testing.T, random *rand.Rand) *manifest.Model {
	t.Helper()
	var spreads []string
	for i := range random.IntN(4) {
		var req []string
		if random.IntN(2) == 0 {
			req = append(req, fmt.Sprintf("zone: '%d'", random.IntN(3)))
		}
		if random.IntN(3) == 0 {
			req = append(req, fmt.Sprintf("disk: '%d'", random.IntN(2)))
		}
		spreads = append(spreads, fmt.Sprintf("{name: s%d, weight: %d, requirements: {%s}}", i, random.IntN(5)+1, strings.Join(req, ", ")))
	}
	kind, trait := "component", "spreadscaler"
	if random.IntN(2) == 0 {
		kind = "capability"
	}
	if random.IntN(4) == 0 {
		trait = "daemonscaler"
	}
	return parse(t, fmt.Sprintf("{name: c, type: %s, properties: {image: i%d}, traits: [{type: %s, properties: {instances: %d, spread: [%s]}}]}",
		kind, random.IntN(2), trait, random.IntN(9), strings.Join(spreads, ", ")))
}

// What is seen to be as wanted by the hosts that run it is so by all hosts too, with the same state, and the other way round.
func TestPlan_AsWanted(t *testing.T) {
	short := 0
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 11))
		l := newLab()
		for i := range random.IntN(6) + 1 {
			l.SetHost(host(fmt.Sprintf("N%d", i), "zone", fmt.Sprint(random.IntN(3)), "disk", fmt.Sprint(random.IntN(2))))
		}
		m := randomModel(t, random)
		l.settle(t, Want{Model: m})
		if random.IntN(3) == 0 {
			m = randomModel(t, random) // then much is not as wanted
		}
		look := func() *workload {
			c := m.Component("c")
			return &workload{planner: &planner{want: Want{Model: m}, seen: l.Lattice}, c: c, state: ComponentState{Name: c.Name, ID: c.ID, Kind: c.Kind, Image: c.Image}}
		}
		byPlaces, byAll := look(), look()
		asWanted := byPlaces.asWanted()
		byAll.place()
		if satisfied := byAll.state.Ready && len(byAll.out.Commands) == 0; asWanted != satisfied && !m.Component("c").Scaler.Daemon {
			t.Fatalf("seed %d: as wanted by its places: %t, by all hosts: %t", seed, asWanted, satisfied)
		}
		if !asWanted {
			continue
		}
		short++
		if diff := cmp.Diff(byAll.state, byPlaces.state); diff != "" {
			t.Fatalf("seed %d (-all hosts +places):\n%s", seed, diff)
		}
	}
	if short < 100 {
		t.Errorf("only %d of 400 were as wanted: the test says little", short)
	}
}
