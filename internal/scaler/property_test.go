package scaler_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// chance makes random lattices and applications out of few names, so that they meet.
type chance struct{ *rand.Rand }

func (c chance) pick(from ...string) string { return from[c.IntN(len(from))] }

func (c chance) one(in int) bool { return c.IntN(in) == 0 }

func (c chance) trait(kind string, properties map[string]any) v1beta1.Trait {
	raw, err := json.Marshal(properties)
	if err != nil {
		panic(err)
	}
	return v1beta1.Trait{Type: kind, Properties: &apiextensionsv1.JSON{Raw: raw}}
}

func (c chance) configs() []v1beta1.ConfigProperty {
	var out []v1beta1.ConfigProperty
	for _, name := range []string{"one", "two"} {
		if c.one(3) {
			out = append(out, v1beta1.ConfigProperty{Name: name, Properties: map[string]string{"v": "1"}})
		}
	}
	return out
}

func (c chance) scaler() v1beta1.Trait {
	properties := map[string]any{"instances": c.IntN(8)}
	var spread []any
	for _, zone := range []string{"a", "b"} {
		if c.one(3) {
			spread = append(spread, map[string]any{"name": zone, "requirements": map[string]string{"zone": zone}, "weight": 1 + c.IntN(100)})
		}
	}
	if len(spread) > 0 && c.one(3) { // one that overlaps with the others
		spread = append(spread, map[string]any{"name": "any"})
	}
	if len(spread) > 0 {
		properties["spread"] = spread
	}
	return c.trait(c.pick("spreadscaler", "spreadscaler", "daemonscaler"), properties)
}

// application makes a version of app; values of configurations differ between versions, not within one.
func (c chance) application(version string) *v1beta1.ApplicationSpec {
	spec := &v1beta1.ApplicationSpec{}
	for i := range 1 + c.IntN(3) {
		kind, image := "component", c.pick("img:1", "img:2")
		if c.one(3) {
			kind, image = "capability", c.pick("oci://p:1", "oci://p:2", "wasmcloud+builtin://http-server")
		}
		spec.Components = append(spec.Components, v1beta1.Component{
			Name: fmt.Sprintf("%s%d", kind[:2], i), Type: kind,
			Properties: v1beta1.ComponentProperties{Image: image, Config: c.configs()},
			Traits:     []v1beta1.Trait{c.scaler()},
		})
	}
	for i := range spec.Components {
		for range c.IntN(3) {
			spec.Components[i].Traits = append(spec.Components[i].Traits, c.trait("link", map[string]any{
				"namespace": "n", "package": c.pick("p", "q"), "interfaces": []string{c.pick("x", "y")}, "name": c.pick("l", "m"),
				"target": map[string]any{"name": spec.Components[c.IntN(len(spec.Components))].Name, "config": c.linkConfigs(version)},
			}))
		}
	}
	return spec
}

func (c chance) linkConfigs(version string) []v1beta1.ConfigProperty {
	if c.one(2) {
		return nil
	}
	return []v1beta1.ConfigProperty{{Name: c.pick("three", "four"), Properties: map[string]string{"v": version}}}
}

// lattice has hosts that were there before, with what other applications, people and other orchestrators left on them.
func (c chance) lattice(models ...*manifest.Model) *world {
	w := newWorld()
	for i := range c.IntN(6) {
		w.addHost(fmt.Sprintf("h%d", i), map[string]string{"zone": c.pick("a", "b", "c")}).noUpdate = c.one(4)
	}
	for _, name := range slices.Sorted(maps.Keys(w.hosts)) {
		for _, m := range models {
			for _, x := range m.Components {
				if c.one(3) {
					c.leave(w.hosts[name], m, x)
				}
			}
		}
		w.show(name)
	}
	return w
}

func (c chance) leave(h *worldHost, m *manifest.Model, x manifest.Component) {
	annotations := marks(c.pick(m.Name, m.Name, m.Name, "other"), c.pick(x.Scaler.ID, x.Scaler.ID, "unknown"), c.pick("default", "a", "b", "any"))
	if c.one(8) {
		annotations = nil
	}
	image := c.pick(x.Image, x.Image, "img:0")
	r := &running{image: image, code: image, count: uint32(1 + c.IntN(9)), annotations: annotations, config: x.Config}
	if annotations[lattice.AnnotationAppSpec] != m.Name {
		r.config = nil
	}
	if x.Kind == manifest.KindProvider {
		r.image, r.count = lattice.NormalizeProviderRef(image), 1
		r.code = r.image
		h.providers[x.ID] = r
		return
	}
	h.components[x.ID] = r
}

// change is what happens to a lattice while an application runs.
func (c chance) change(w *world) {
	names := slices.Sorted(maps.Keys(w.hosts))
	switch c.IntN(4) {
	case 0:
		w.addHost(fmt.Sprintf("n%d", c.IntN(100)), map[string]string{"zone": c.pick("a", "b", "c")})
	case 1:
		if len(names) > 0 {
			name := c.pick(names...)
			delete(w.hosts, name)
			w.seen.RemoveHost(name)
		}
	case 2:
		if len(names) > 0 {
			name := c.pick(names...)
			w.hosts[name].labels = map[string]string{"zone": c.pick("a", "b", "c")}
			w.show(name)
		}
	case 3:
		for _, name := range names {
			clear(w.hosts[name].components)
			w.show(name)
		}
	}
}

// Random lattices and versions: the plan comes to an end, means what it says, is the same for the same input, and never
// touches what is somebody else's.
func TestPlan_Converges(t *testing.T) {
	const seeds = 800
	converged := 0
	for seed := range uint64(seeds) {
		c := chance{rand.New(rand.NewPCG(seed, 7))}
		before, after := manifest.Parse("app", c.application("1")), manifest.Parse("app", c.application("2"))
		w := c.lattice(before, after)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w.converge(t, scaler.Want{Model: before})
			left := retired(before)
			for range 3 {
				if w.converge(t, scaler.Want{Model: after, Retired: left}) {
					converged++
				}
				c.change(w)
			}
			w.converge(t, scaler.Want{Model: after, Retired: left})
			w.empties(t, before, after)
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if converged < seeds { // of three times as many: else the lattices are too hostile to show anything
		t.Errorf("only %d of %d versions came to be", converged, 3*seeds)
	}
}

func (w *world) converge(t *testing.T, want scaler.Want) bool {
	t.Helper()
	first := scaler.Plan(want, w.seen)
	for _, order := range []func([]string){func([]string) {}, slices.Reverse[[]string]} {
		// Times are left out, so only what does not depend on them is compared.
		again := scaler.Plan(want, w.again(order))
		if diff := cmp.Diff(first.Components, again.Components); diff != "" {
			t.Errorf("the same lattice, another plan:\n%s", diff)
		}
	}
	if diff := cmp.Diff(first, scaler.Plan(want, w.seen)); diff != "" {
		t.Errorf("asked twice, another plan:\n%s", diff)
	}
	foreign := w.foreign(want.Model.Name)
	out, _ := w.settle(t, want)
	if diff := cmp.Diff(foreign, w.foreign(want.Model.Name)); diff != "" {
		t.Errorf("things of somebody else changed:\n%s", diff)
	}
	if !out.Converged {
		if !explained(out) {
			t.Errorf("neither converged nor a reason why: %+v", out)
		}
		w.mustServe(t, want.Model, out)
		return false
	}
	w.effective(t, want.Model)
	w.exact(t, want.Model)
	return true
}

func explained(out scaler.Outcome) bool {
	for _, c := range out.Components {
		if !c.Ready && c.Message != "" {
			return true
		}
	}
	for _, l := range out.Links {
		if !l.Ready && l.Message != "" {
			return true
		}
	}
	return false
}

// foreign is everything that does not run in the name of the application.
func (w *world) foreign(application string) map[string]string {
	out := map[string]string{}
	for name, h := range w.hosts {
		for _, m := range []map[string]*running{h.components, h.providers} {
			for id, r := range m {
				if r.annotations[lattice.AnnotationAppSpec] != application {
					out[name+" "+id] = fmt.Sprintf("%+v", *r)
				}
			}
		}
	}
	return out
}

// mustServe: what could be placed is ready even where something else could not.
func (w *world) mustServe(t *testing.T, m *manifest.Model, out scaler.Outcome) {
	t.Helper()
	for i, c := range m.Components {
		if c.Kind != manifest.KindComponent || c.Scaler == nil || out.Components[i].Ready {
			continue
		}
		reason := false
		for _, sp := range c.Scaler.Spreads {
			free, taken := 0, 0
			for _, h := range w.hosts {
				if !sp.Matches(h.labels) {
					continue
				}
				if r := h.components[c.ID]; r != nil && r.annotations[lattice.AnnotationAppSpec] != m.Name {
					taken++
				} else {
					free++
				}
			}
			reason = reason || sp.Instances > 0 && (free == 0 || c.Scaler.Daemon && taken > 0)
		}
		if !reason {
			t.Errorf("component %s could be placed: %+v", c.ID, out.Components[i])
		}
	}
}

// exact: as many as wanted, and nothing besides, in the name of the application.
func (w *world) exact(t *testing.T, m *manifest.Model) {
	t.Helper()
	wanted := map[string]bool{}
	for _, c := range m.Components {
		wanted[c.ID] = true
		var sum uint64
		for name, n := range w.counts(c.ID) {
			h := w.hosts[name]
			r := h.components[c.ID]
			if r == nil {
				r = h.providers[c.ID]
			}
			if r.annotations[lattice.AnnotationAppSpec] != m.Name {
				if c.Kind == manifest.KindProvider && r.image == lattice.NormalizeProviderRef(c.Image) && serves(c, h) {
					sum++
				}
				continue
			}
			if sum += uint64(n); !serves(c, h) {
				t.Errorf("%s runs on %s, which is not eligible", c.ID, name)
			}
		}
		if !c.Scaler.Daemon && c.Kind == manifest.KindComponent && sum != uint64(c.Scaler.Instances) {
			t.Errorf("%s runs %d times, wanted are %d", c.ID, sum, c.Scaler.Instances)
		}
		if !c.Scaler.Daemon && sum < uint64(c.Scaler.Instances) {
			t.Errorf("%s runs %d times, wanted are %d", c.ID, sum, c.Scaler.Instances)
		}
	}
	for _, h := range w.hosts {
		for _, place := range []map[string]*running{h.components, h.providers} {
			for id, r := range place {
				if r.annotations[lattice.AnnotationAppSpec] == m.Name && !wanted[id] {
					t.Errorf("%s still runs", id)
				}
			}
		}
	}
	for _, links := range w.links {
		for _, l := range links {
			if !slices.ContainsFunc(m.Links, func(x manifest.Link) bool {
				return x.Source == l.SourceID && x.Target == l.Target && x.Name == l.Name && x.Namespace == l.WitNamespace && x.Package == l.WitPackage
			}) {
				t.Errorf("a link is left that nobody wants: %+v", l.Link)
			}
		}
	}
	for _, c := range m.Configs {
		if !maps.Equal(c.Values, w.configs[c.Name]) {
			t.Errorf("configuration %s is %v, wanted is %v", c.Name, w.configs[c.Name], c.Values)
		}
	}
}

func serves(c manifest.Component, h *worldHost) bool {
	return slices.ContainsFunc(c.Scaler.Spreads, func(sp manifest.Spread) bool { return sp.Matches(h.labels) })
}

// empties tears everything down: nothing in the name of the application is left, and nothing else is gone.
func (w *world) empties(t *testing.T, models ...*manifest.Model) {
	t.Helper()
	foreign := w.foreign("app")
	all := scaler.Teardown{Application: "app"}
	for _, m := range models {
		r := record(m)
		all.IDs, all.Links, all.Configs = append(all.IDs, r.IDs...), append(all.Links, r.Links...), append(all.Configs, r.Configs...)
	}
	if _, done := w.tearDown(t, all, live{}); !done {
		t.Errorf("the teardown has no end: %v", w.left())
	}
	if diff := cmp.Diff(foreign, w.foreign("app")); diff != "" {
		t.Errorf("things of somebody else changed:\n%s", diff)
	}
	for name, h := range w.hosts {
		for _, place := range []map[string]*running{h.components, h.providers} {
			for id, r := range place {
				if r.annotations[lattice.AnnotationAppSpec] == "app" {
					t.Errorf("%s is left on %s", id, name)
				}
			}
		}
	}
	for source, links := range w.links {
		if len(links) > 0 {
			t.Errorf("links of %s are left: %+v", source, links)
		}
	}
	if len(w.configs) > 0 {
		t.Errorf("configurations are left: %v", w.configs)
	}
}

// A new version of a component on hosts that can exchange images never runs with less than the smaller of the two versions.
func TestPlan_UpdateWithoutGap(t *testing.T) {
	const seeds = 500
	tried := 0
	for seed := range uint64(seeds) {
		c := chance{rand.New(rand.NewPCG(seed, 11))}
		version := func() *manifest.Model {
			spread := c.scaler()
			spread.Type = "spreadscaler"
			return manifest.Parse("app", &v1beta1.ApplicationSpec{Components: []v1beta1.Component{{
				Name: "c", Type: "component", Traits: []v1beta1.Trait{spread},
				Properties: v1beta1.ComponentProperties{Image: c.pick("img:1", "img:2"), Config: c.configs()},
			}}})
		}
		before, after := version(), version()
		w := newWorld()
		for i, zone := range []string{"a", "a", "b", "b", "c"}[:2+c.IntN(4)] {
			w.addHost(fmt.Sprintf("h%d", i), map[string]string{"zone": zone})
		}
		if out, _ := w.settle(t, scaler.Want{Model: before}); !out.Converged {
			continue
		}
		tried++
		least := min(before.Components[0].Scaler.Instances, after.Components[0].Scaler.Instances)
		want := scaler.Want{Model: after, Retired: retired(before)}
		for range 20 {
			out := scaler.Plan(want, w.seen)
			for _, command := range out.Commands {
				w.obey(t, command)
				var sum uint32
				for _, n := range w.counts("app-c") {
					sum += n
				}
				if sum < least {
					t.Fatalf("seed %d: %d run after %+v, at least %d must", seed, sum, command, least)
				}
			}
			if len(out.Commands) == 0 {
				break
			}
		}
	}
	if tried < seeds/2 {
		t.Errorf("only %d of %d tried", tried, seeds)
	}
}

// While hosts drain, nothing is begun on them, and a component that has other places never runs with less than wanted. In
// the end nothing is left on them, unless there is no other place.
func TestPlan_DrainWithoutGap(t *testing.T) {
	const seeds = 500
	emptied := 0
	for seed := range uint64(seeds) {
		c := chance{rand.New(rand.NewPCG(seed, 13))}
		m := manifest.Parse("app", c.application("1"))
		w := newWorld()
		for i := range 2 + c.IntN(4) {
			w.addHost(fmt.Sprintf("h%d", i), map[string]string{"zone": c.pick("a", "b")})
		}
		want := scaler.Want{Model: m, MayLeave: func(string) bool { return true }}
		if out, _ := w.settle(t, want); !out.Converged {
			continue
		}
		for id := range w.hosts {
			w.hosts[id].draining = c.one(2)
			w.show(id)
		}
		out := w.drain(t, want)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if out.Replaced && len(out.Leaving) == 0 {
			emptied++
		}
	}
	if emptied < seeds/4 {
		t.Errorf("only %d of %d came to an end", emptied, seeds)
	}
}

func (w *world) drain(t *testing.T, want scaler.Want) scaler.Outcome {
	t.Helper()
	for range 20 {
		out := scaler.Plan(want, w.seen)
		if len(out.Commands) == 0 {
			if out.Replaced && len(out.Leaving) > 0 || !out.Replaced && !explained(out) {
				t.Errorf("it does not go on: %+v", out)
			}
			return out
		}
		for _, command := range out.Commands {
			h := w.seen.Host(command.Host)
			if h != nil && h.Draining && (command.Verb == scaler.StartProvider || command.Count > 0 || !out.Replaced) {
				t.Errorf("on a host that drains: %+v", command)
			}
			w.obey(t, command)
			for _, x := range want.Model.Components {
				var sum uint32
				for _, n := range w.counts(x.ID) {
					sum += n
				}
				if !x.Scaler.Daemon && sum < x.Scaler.Instances {
					t.Errorf("%d of %s run after %+v, at least %d must", sum, x.ID, command, x.Scaler.Instances)
				}
			}
		}
	}
	t.Fatal("no end of commands")
	return scaler.Outcome{}
}
