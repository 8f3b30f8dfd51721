package scaler_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// model reads the components of an application called app.
func model(t *testing.T, components string) *manifest.Model {
	t.Helper()
	text := "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: app}\nspec:\n  components:\n" + components
	app, err := manifest.DecodeWadm("application/yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Parse(app.Name, &app.Spec)
}

func component(trait, properties string) string {
	return fmt.Sprintf("    - {name: c, type: component, properties: {image: x, id: c}, traits: [{type: %s, properties: %s}]}\n", trait, properties)
}

func provider(trait, properties string) string {
	return strings.Replace(component(trait, properties), "type: component", "type: capability", 1)
}

// zones adds hosts that are called as their zone.
func zones(w *world, names ...string) {
	for _, name := range names {
		zone, _, _ := strings.Cut(name, "-")
		w.addHost(name, map[string]string{"zone": zone})
	}
}

func (w *world) counts(id string) map[string]uint32 {
	out := map[string]uint32{}
	for name, h := range w.hosts {
		for _, m := range []map[string]*running{h.components, h.providers} {
			if r := m[id]; r != nil {
				out[name] += r.count
			}
		}
	}
	return out
}

func spreads(weights ...any) string {
	var parts []string
	for i := 0; i < len(weights); i += 2 {
		parts = append(parts, fmt.Sprintf("{name: %v, requirements: {zone: %v}, weight: %v}", weights[i], weights[i], weights[i+1]))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// The tables of wadm's own tests, where wadm's arithmetic is kept.
func TestPlan_Placement(t *testing.T) {
	for _, c := range []struct {
		name, manifest string
		hosts          []string
		had            map[string]uint32 // of this application
		foreign        map[string]uint32 // of somebody else
		want           map[string]uint32
		unready        string
	}{
		{name: "103 over three", manifest: component("spreadscaler", "{instances: 103, spread: "+spreads("a", 42, "b", 3, "c", 37)+"}"),
			hosts: []string{"a", "b", "c"}, want: map[string]uint32{"a": 53, "b": 3, "c": 47}},
		{name: "7 over two", manifest: component("spreadscaler", "{instances: 7, spread: "+spreads("a", 30, "b", 40)+"}"),
			hosts: []string{"a", "b"}, want: map[string]uint32{"a": 3, "b": 4}},
		{name: "only what differs", manifest: component("spreadscaler", "{instances: 9, spread: "+spreads("a", 1, "b", 1, "c", 1)+"}"),
			hosts: []string{"a", "b", "c"}, had: map[string]uint32{"a": 3, "b": 5, "c": 1}, want: map[string]uint32{"a": 3, "b": 3, "c": 3}},
		{name: "less", manifest: component("spreadscaler", "{instances: 9, spread: "+spreads("a", 1, "b", 1)+"}"),
			hosts: []string{"a", "b"}, had: map[string]uint32{"a": 10, "b": 10}, want: map[string]uint32{"a": 5, "b": 4}},
		{name: "none", manifest: component("spreadscaler", "{instances: 0}"), hosts: []string{"a", "b"},
			had: map[string]uint32{"a": 10, "b": 10}, want: map[string]uint32{}},
		{name: "fewest first", manifest: component("spreadscaler", "{instances: 6}"), hosts: []string{"a", "b", "c"},
			had: map[string]uint32{"b": 3}, want: map[string]uint32{"a": 2, "b": 3, "c": 1}},
		{name: "what is enough stays where it is", manifest: component("spreadscaler", "{instances: 6}"), hosts: []string{"a", "b", "c"},
			had: map[string]uint32{"b": 6}, want: map[string]uint32{"b": 6}},
		{name: "no host for one spread", manifest: component("spreadscaler", "{instances: 4, spread: "+spreads("a", 1, "z", 1)+"}"),
			hosts: []string{"a"}, want: map[string]uint32{"a": 2},
			unready: "Could not satisfy spread z for x, 0/1 eligible hosts found. Start a host with labels zone=z, or change the requirements."},
		{name: "not eligible any more", manifest: component("spreadscaler", "{instances: 2, spread: "+spreads("a", 1)+"}"),
			hosts: []string{"a", "b"}, had: map[string]uint32{"b": 2}, want: map[string]uint32{"a": 2}},
		{name: "foreign instances stay", manifest: component("spreadscaler", "{instances: 4}"), hosts: []string{"a", "b"},
			foreign: map[string]uint32{"a": 9}, want: map[string]uint32{"a": 9, "b": 4}},
		{name: "daemon", manifest: component("daemonscaler", "{instances: 13}"), hosts: []string{"a", "b", "c"},
			had: map[string]uint32{"a": 1, "b": 20}, want: map[string]uint32{"a": 13, "b": 13, "c": 13}},
		{name: "daemon with spreads", manifest: component("daemonscaler", "{instances: 2, spread: "+spreads("a", 1, "b", 99)+"}"),
			hosts: []string{"a-1", "a-2", "b", "c"}, had: map[string]uint32{"c": 1}, want: map[string]uint32{"a-1": 2, "a-2": 2, "b": 2}},
		{name: "daemon without hosts", manifest: component("daemonscaler", "{instances: 2, spread: "+spreads("z", 1)+"}"), hosts: []string{"a"},
			want: map[string]uint32{}, unready: "Could not satisfy daemonscaler z for x, 0 eligible hosts found. Start a host with labels zone=z, or change the requirements."},
		{name: "provider by default", manifest: "    - {name: c, type: capability, properties: {image: x, id: c}}\n", hosts: []string{"a", "b"},
			want: map[string]uint32{"a": 1}},
		{name: "provider on several", manifest: provider("spreadscaler", "{instances: 2, spread: "+spreads("a", 1, "b", 1)+"}"),
			hosts: []string{"a", "b", "c"}, want: map[string]uint32{"a": 1, "b": 1}},
		{name: "provider: too few hosts", manifest: provider("spreadscaler", "{instances: 3}"), hosts: []string{"a", "b"},
			want: map[string]uint32{"a": 1, "b": 1}, unready: "Could not satisfy spread default for x, 2/3 eligible hosts found. Start a host in this lattice."},
		{name: "provider: someone else's serves too", manifest: provider("spreadscaler", "{instances: 2}"), hosts: []string{"a", "b", "c"},
			foreign: map[string]uint32{"c": 1}, want: map[string]uint32{"a": 1, "c": 1}},
		{name: "provider: too many", manifest: provider("spreadscaler", "{instances: 2}"), hosts: []string{"a", "b", "c"},
			had: map[string]uint32{"a": 1, "b": 1}, foreign: map[string]uint32{"c": 1}, want: map[string]uint32{"a": 1, "c": 1}},
		{name: "provider daemon", manifest: provider("daemonscaler", "{instances: 5}"), hosts: []string{"a", "b"},
			had: map[string]uint32{"b": 1}, want: map[string]uint32{"a": 1, "b": 1}},
		{name: "provider daemon of none", manifest: provider("daemonscaler", "{instances: 0}"), hosts: []string{"a", "b"},
			had: map[string]uint32{"b": 1}, foreign: map[string]uint32{"a": 1}, want: map[string]uint32{"a": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, m := newWorld(), model(t, c.manifest)
			zones(w, c.hosts...)
			s := m.Components[0].Scaler
			w.place(m.Components[0], c.had, func(host string) map[string]string { return marks("app", s.ID, s.Spreads[0].Name) })
			w.place(m.Components[0], c.foreign, func(string) map[string]string { return marks("other", "id", "default") })
			out, _ := w.settle(t, scaler.Want{Model: m})
			if diff := cmp.Diff(c.want, w.counts("c")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got := out.Components[0]; got.Message != c.unready || got.Ready != (c.unready == "") {
				t.Errorf("ready %t, message %q; want message %q", got.Ready, got.Message, c.unready)
			}
		})
	}
}

func (w *world) place(c manifest.Component, counts map[string]uint32, annotations func(host string) map[string]string) {
	for host, n := range counts {
		r := &running{image: c.Image, code: c.Image, count: n, annotations: annotations(host), config: c.Config}
		if c.Kind == manifest.KindProvider {
			w.hosts[host].providers[c.ID] = r
		} else {
			w.hosts[host].components[c.ID] = r
		}
		w.show(host)
	}
}

func TestPlan_HealsHostLoss(t *testing.T) {
	w, m := newWorld(), model(t, component("spreadscaler", "{instances: 5, spread: "+spreads("a", 1)+"}"))
	zones(w, "a-1", "a-2", "b")
	w.settle(t, scaler.Want{Model: m})
	had := w.counts("c")
	delete(w.hosts, "a-1")
	w.seen.RemoveHost("a-1")
	if _, commands := w.settle(t, scaler.Want{Model: m}); len(commands) != 1 {
		t.Errorf("commands are %+v, want one", commands)
	}
	if diff := cmp.Diff(map[string]uint32{"a-2": 5}, w.counts("c")); diff != "" {
		t.Errorf("before %v; -want +got:\n%s", had, diff)
	}
	// A new host gets nothing: nothing is missing.
	zones(w, "a-3")
	if _, commands := w.settle(t, scaler.Want{Model: m}); len(commands) != 0 {
		t.Errorf("commands for a new host: %+v", commands)
	}
	// A host that loses the label loses the instances, after the others have them.
	w.hosts["a-2"].labels = map[string]string{"zone": "b"}
	w.show("a-2")
	w.settle(t, scaler.Want{Model: m})
	if diff := cmp.Diff(map[string]uint32{"a-3": 5}, w.counts("c")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

const linked = `
    - {name: c, type: component, properties: {image: x}, traits: [{type: spreadscaler, properties: {instances: 1}}]}
    - name: http
      type: capability
      properties: {image: y}
      traits:
        - type: link
          properties: {namespace: wasi, package: http, interfaces: [%s], target: {name: c}, source: {config: [{name: %s, properties: {address: '%s'}}]}}
`

func verbs(commands []scaler.Command) (out []string) {
	for _, c := range commands {
		out = append(out, string(c.Verb))
	}
	return out
}

// What a link's ends do not hear of unless the link is new.
func TestPlan_ChangedLinks(t *testing.T) {
	old := fmt.Sprintf(linked, "incoming-handler", "addr", "0.0.0.0:8080")
	for _, c := range []struct {
		name, manifest string
		want           []string
	}{
		{"nothing", old, nil},
		{"content of its configuration", fmt.Sprintf(linked, "incoming-handler", "addr", "0.0.0.0:9090"), []string{"PutConfig", "DeleteLink", "PutLink"}},
		{"name of its configuration", fmt.Sprintf(linked, "incoming-handler", "other", "0.0.0.0:8080"),
			[]string{"PutConfig", "DeleteLink", "PutLink", "DeleteConfig"}},
		{"its interfaces", fmt.Sprintf(linked, "incoming-handler, outgoing-handler", "addr", "0.0.0.0:8080"), []string{"DeleteLink", "PutLink"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			zones(w, "a")
			before := model(t, old)
			w.settle(t, scaler.Want{Model: before})
			now := model(t, c.manifest)
			out, commands := w.settle(t, scaler.Want{Model: now, Retired: retired(before)})
			if diff := cmp.Diff(c.want, verbs(commands)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !out.Converged {
				t.Errorf("not converged: %+v", out)
			}
			w.effective(t, now)
		})
	}
}

// retired is what a version leaves to the next one.
func retired(m *manifest.Model) scaler.Retired {
	var r scaler.Retired
	for _, l := range m.Links {
		r.Links = append(r.Links, lattice.Link{
			SourceID: l.Source, Target: l.Target, Name: l.Name, WitNamespace: l.Namespace, WitPackage: l.Package, Interfaces: l.Interfaces,
			SourceConfig: l.SourceConfig, TargetConfig: l.TargetConfig,
		})
	}
	for _, c := range m.Configs {
		r.Configs = append(r.Configs, c.Name)
	}
	return r
}

// effective checks that what runs is what is wanted, not only what is shown.
func (w *world) effective(t *testing.T, m *manifest.Model) {
	t.Helper()
	for _, l := range m.Links {
		found := false
		for _, stored := range w.links[l.Source] {
			if stored.Target != l.Target || stored.Name != l.Name || stored.WitNamespace != l.Namespace || stored.WitPackage != l.Package {
				continue
			}
			found = true
			for name, told := range stored.told {
				if !maps.Equal(told, w.configs[name]) {
					t.Errorf("the ends of link %s -> %s know %v of configuration %s, it is %v", l.Source, l.Target, told, name, w.configs[name])
				}
			}
		}
		if !found {
			t.Errorf("link %s -> %s is missing", l.Source, l.Target)
		}
	}
	for _, c := range m.Components {
		for name, h := range w.hosts {
			if r := h.components[c.ID]; r != nil && c.Scaler != nil && r.annotations[lattice.AnnotationAppSpec] == m.Name && r.code != c.Image {
				t.Errorf("host %s shows image %s for %s and runs %s, wanted is %s", name, r.image, c.ID, r.code, c.Image)
			}
		}
	}
}

// A manifest without secrets of others: a link waits for a configuration that nobody brings, and says so.
func TestPlan_WaitsForForeignConfig(t *testing.T) {
	m := model(t, "    - {name: c, type: component, properties: {image: x, config: [{name: theirs}]}, traits: [{type: spreadscaler, properties: {instances: 1}}]}\n")
	w := newWorld()
	zones(w, "a")
	out, commands := w.settle(t, scaler.Want{Model: m})
	if len(commands) > 0 || out.Converged || !strings.HasPrefix(out.Components[0].Message, "Specified configuration theirs does not exist") {
		t.Errorf("commands %+v, state %+v", commands, out.Components[0])
	}
	w.putConfig("theirs", lattice.Config{"a": "b"})
	if out, _ = w.settle(t, scaler.Want{Model: m}); !out.Converged {
		t.Errorf("not converged: %+v", out)
	}
	// Undeploying leaves it.
	w.settle(t, scaler.Want{Model: &manifest.Model{Name: "app"}, Retired: retired(m)})
	if _, there := w.configs["theirs"]; !there || len(w.counts("app-c")) > 0 {
		t.Errorf("there: %t, runs: %v", there, w.counts("app-c"))
	}
}

// A version that cannot start does not end the one that runs.
func TestPlan_OldStaysUntilNewIsComplete(t *testing.T) {
	before := model(t, "    - {name: old, type: component, properties: {image: x}, traits: [{type: spreadscaler, properties: {instances: 1}}]}\n")
	w := newWorld()
	zones(w, "a")
	w.settle(t, scaler.Want{Model: before})
	next := model(t, "    - {name: new, type: component, properties: {image: x}, traits: [{type: spreadscaler, properties: {instances: 1, spread: "+spreads("b", 1)+"}}]}\n")
	out, commands := w.settle(t, scaler.Want{Model: next, Retired: retired(before)})
	if len(commands) > 0 || out.Converged {
		t.Errorf("commands %+v, converged %t", commands, out.Converged)
	}
	zones(w, "b")
	out, commands = w.settle(t, scaler.Want{Model: next, Retired: retired(before)})
	if diff := cmp.Diff([]string{"Scale", "Scale"}, verbs(commands)); diff != "" || commands[0].ID != "app-new" || !out.Converged {
		t.Errorf("commands %+v, converged %t", commands, out.Converged)
	}
}
