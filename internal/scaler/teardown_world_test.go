package scaler_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// live is what other applications want.
type live struct {
	applications, ids, configs map[string]bool
	links                      map[lattice.LinkKey]bool
	unsettled                  bool
}

func (l live) HasApplication(name string) bool    { return l.applications[name] }
func (l live) WantsID(id string) bool             { return l.ids[id] }
func (l live) WantsLink(key lattice.LinkKey) bool { return l.links[key] }
func (l live) WantsConfig(name string) bool       { return l.configs[name] }
func (l live) Settled(string) bool                { return !l.unsettled }

func (w *world) run(host, id string, a map[string]string) {
	w.hosts[host].components[id] = &running{image: "x", code: "x", count: 1, annotations: a}
	w.show(host)
}

const torn = `
    - {name: c, type: component, properties: {image: x, config: [{name: conf, properties: {a: b}}]}, traits: [{type: spreadscaler, properties: {instances: 4}}]}
    - name: http
      type: capability
      properties: {image: y}
      traits:
        - type: daemonscaler
          properties: {instances: 1}
        - type: link
          properties: {namespace: wasi, package: http, interfaces: [incoming-handler], target: {name: c}, source: {config: [{name: addr, properties: {address: ':8080'}}]}}
`

func record(m *manifest.Model) scaler.Teardown {
	r := scaler.Teardown{Application: m.Name}
	for _, c := range m.Components {
		r.IDs = append(r.IDs, c.ID)
	}
	left := retired(m)
	for _, l := range left.Links {
		r.Links = append(r.Links, l.Key())
	}
	r.Configs = left.Configs
	return r
}

func (w *world) tearDown(t *testing.T, r scaler.Teardown, l live) (all []scaler.Command, done bool) {
	t.Helper()
	for range 10 {
		var commands []scaler.Command
		if commands, done = scaler.PlanTeardown(r, l, w.seen); len(commands) == 0 {
			return all, done
		}
		if done {
			t.Errorf("done, with commands %+v", commands)
		}
		for _, c := range commands {
			w.obey(t, c)
		}
		all = append(all, commands...)
	}
	t.Fatal("no end of commands")
	return nil, false
}

// deployed is a lattice with the application torn, and things of others beside it.
func deployed(t *testing.T) (*world, *manifest.Model) {
	t.Helper()
	w, m := newWorld(), model(t, torn)
	zones(w, "a-1", "a-2")
	w.settle(t, scaler.Want{Model: m})
	w.run("a-1", "other-c", marks("other", "id", "default"))
	w.run("a-2", "by-hand", nil)
	w.run("a-2", "like-wadm", map[string]string{lattice.AnnotationAppSpec: "app"}) // no managed-by: not ours
	w.putConfig("other-conf", lattice.Config{"k": "v"})
	if err := w.putLink(lattice.Link{SourceID: "other-c", Target: "t", Name: "default", WitNamespace: "n", WitPackage: "p", Interfaces: []string{"i"}}); err != nil {
		t.Fatal(err)
	}
	return w, m
}

func (w *world) left() map[string]int {
	out := map[string]int{}
	for _, h := range w.hosts {
		for id := range h.components {
			out[id]++
		}
		for id := range h.providers {
			out[id]++
		}
	}
	for name := range w.configs {
		out["config "+name]++
	}
	for source, links := range w.links {
		if len(links) > 0 {
			out["links of "+source] += len(links)
		}
	}
	return out
}

func TestTeardown_StopsWhatItNames(t *testing.T) {
	w, m := deployed(t)
	commands, done := w.tearDown(t, record(m), live{})
	if !done {
		t.Error("not done")
	}
	// Links first, then what runs, then configurations.
	if diff := cmp.Diff([]string{"DeleteLink", "Scale", "Scale", "StopProvider", "StopProvider", "DeleteConfig", "DeleteConfig"}, verbs(commands)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want := map[string]int{"other-c": 1, "by-hand": 1, "like-wadm": 1, "config other-conf": 1, "links of other-c": 1}
	if diff := cmp.Diff(want, w.left()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if commands, done = w.tearDown(t, record(m), live{}); len(commands) > 0 || !done {
		t.Errorf("a second time: %+v, done %t", commands, done)
	}
}

func TestTeardown_LeavesWhatOthersWant(t *testing.T) {
	w, m := deployed(t)
	r := record(m)
	l := live{applications: map[string]bool{"app": true}, ids: map[string]bool{"app-c": true}, links: map[lattice.LinkKey]bool{r.Links[0]: true},
		configs: map[string]bool{"app-conf": true, "app-addr": true}}
	before := w.left()
	delete(before, "app-http")
	if _, done := w.tearDown(t, r, l); !done {
		t.Error("not done")
	}
	if diff := cmp.Diff(before, w.left()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// An id in the record that runs in somebody else's name is not ours to stop.
func TestTeardown_NotInOurName(t *testing.T) {
	w := newWorld()
	zones(w, "a")
	w.run("a", "app-c", marks("other", "id", "default"))
	w.run("a", "app-d", nil)
	commands, done := w.tearDown(t, scaler.Teardown{Application: "app", IDs: []string{"app-c", "app-d"}}, live{})
	if len(commands) > 0 || !done {
		t.Errorf("commands %+v, done %t", commands, done)
	}
}

// A host that comes back later is cleared then: the record stays as long as something is left.
func TestTeardown_HostComesBack(t *testing.T) {
	w, m := deployed(t)
	lost := w.hosts["a-2"]
	delete(w.hosts, "a-2")
	w.seen.RemoveHost("a-2")
	if _, done := w.tearDown(t, record(m), live{}); !done {
		t.Error("not done for the hosts that are there")
	}
	w.hosts["a-2"] = lost
	w.show("a-2")
	commands, done := w.tearDown(t, record(m), live{})
	if diff := cmp.Diff([]string{"Scale", "StopProvider"}, verbs(commands)); diff != "" || !done {
		t.Errorf("done %t; -want +got:\n%s", done, diff)
	}
}

func TestOrphans_AreNeverStopped(t *testing.T) {
	w, m := deployed(t)
	known := func(application string) bool { return application == "other" }
	want := []scaler.Orphan{
		{Host: "a-1", ID: "app-c", Application: "app"}, {Host: "a-2", ID: "app-c", Application: "app"},
		{Host: "a-1", ID: "app-http", Application: "app"}, {Host: "a-2", ID: "app-http", Application: "app"},
	}
	if diff := cmp.Diff(want, scaler.Orphans(w.seen, known)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Neither another application's plan nor its teardown touches them.
	other := model(t, "    - {name: x, type: component, properties: {image: x}, traits: [{type: spreadscaler, properties: {instances: 1}}]}\n")
	other.Name = "third"
	before := w.left()
	w.settle(t, scaler.Want{Model: other})
	w.tearDown(t, scaler.Teardown{Application: "third", IDs: []string{"app-x"}}, live{})
	if diff := cmp.Diff(before, w.left()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, commands := w.settle(t, scaler.Want{Model: m}); len(commands) > 0 {
		t.Errorf("an application that returns to its own orphans sends %+v", commands)
	}
}
