package scaler

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const drained = `
{name: c, type: component, properties: {image: "img:1"}, traits: [{type: spreadscaler, properties: {instances: 3}}]},
{name: server, type: capability, properties: {image: "oci://http-server:1"}, traits: [
  {type: daemonscaler, properties: {instances: 1}},
  {type: link, properties: {namespace: wasi, package: http, interfaces: [incoming-handler], target: {name: c}}}]}
`

// verbs are commands in short.
func verbs(commands []Command) []string {
	var out []string
	for _, c := range commands {
		text := string(c.Verb) + " " + c.ID + " on " + c.Host
		if c.Verb == Scale {
			text += fmt.Sprintf(" to %d", c.Count)
		}
		out = append(out, text)
	}
	return out
}

func deployed(t *testing.T, hosts ...string) (*lab, Want) {
	t.Helper()
	w := Want{Model: parse(t, drained)}
	l := newLab()
	for _, id := range hosts {
		l.SetHost(host(id))
	}
	l.settle(t, w)
	return l, w
}

// A share is replaced first; then the server goes from the host that drains, and after it the component.
func TestDrain_ReplacesFirst(t *testing.T) {
	l, w := deployed(t, "NA", "NB", "NC")
	l.SetDraining("NA", true)
	leave := false
	w.MayLeave = func(host string) bool { return host == "NA" && leave }

	out := Plan(w, l.Lattice)
	if diff := cmp.Diff([]string{"Scale app-c on NB to 2"}, verbs(out.Commands)); diff != "" || out.Replaced || out.Converged {
		t.Fatalf("replaced %t, converged %t (-want +got):\n%s", out.Replaced, out.Converged, diff)
	}
	leave = true
	if again := Plan(w, l.Lattice); !slices.Equal(verbs(again.Commands), verbs(out.Commands)) {
		t.Errorf("something ends before it is replaced: %v", verbs(again.Commands))
	}
	leave = false
	l.obey(t, out.Commands)
	if got := running(out); got != "app-c 3/3, app-server 2/2" {
		t.Errorf("before the replacement: %s", got)
	}
	if out = Plan(w, l.Lattice); len(out.Commands) > 0 || !out.Replaced || !out.Converged || !slices.Equal(out.Leaving, []string{"NA"}) {
		t.Fatalf("after the replacement: %+v", out)
	}
	if got := running(out); got != "app-c 3/3, app-server 2/2" {
		t.Errorf("after the replacement: %s", got)
	}
	leave = true
	for _, want := range [][]string{{"StopProvider app-server on NA"}, {"Scale app-c on NA to 0"}, nil} {
		out = Plan(w, l.Lattice)
		if diff := cmp.Diff(want, verbs(out.Commands)); diff != "" || !out.Converged {
			t.Errorf("converged %t (-want +got):\n%s", out.Converged, diff)
		}
		l.obey(t, out.Commands)
	}
	if len(out.Leaving) > 0 || l.hosts["NA"].load() > 0 {
		t.Errorf("left on the host: %v, %+v", out.Leaving, l.hosts["NA"])
	}
}

// Without another place everything stays where it is, and the message names the host.
func TestDrain_NoPlace(t *testing.T) {
	l, w := deployed(t, "NA")
	l.SetDraining("NA", true)
	w.MayLeave = func(string) bool { return true }
	out := Plan(w, l.Lattice)
	if len(out.Commands) > 0 || out.Replaced || out.Converged {
		t.Errorf("commands %v, replaced %t, converged %t", verbs(out.Commands), out.Replaced, out.Converged)
	}
	for _, c := range out.Components {
		if c.Ready || !strings.Contains(c.Message, "About to end, and taking nothing new: NA.") {
			t.Errorf("%s: ready %t, %s", c.ID, c.Ready, c.Message)
		}
	}
	l.SetHost(host("NB"))
	for range 8 {
		l.obey(t, Plan(w, l.Lattice).Commands)
	}
	if l.hosts["NA"].load() > 0 || l.hosts["NB"].Components["app-c"].Count != 3 || l.hosts["NB"].load() != 2 {
		t.Errorf("a host that came took over this: %+v; left: %+v", l.hosts["NB"], l.hosts["NA"])
	}
}

// News that a host drains concern all that runs there and all that lacks something, once.
func TestDrain_Change(t *testing.T) {
	l, _ := deployed(t, "NA", "NB")
	c := l.SetDraining("NA", true)
	slices.Sort(c.IDs)
	if !c.Placement || !slices.Equal(c.IDs, []string{"app-c", "app-server"}) {
		t.Errorf("change: %+v", c)
	}
	if c := l.SetDraining("NA", true); !c.None() {
		t.Errorf("said twice: %+v", c)
	}
	if c := l.SetDraining("NX", true); !c.None() {
		t.Errorf("an unknown host: %+v", c)
	}
}

// running is how much runs of how much that should.
func running(out Outcome) string {
	var texts []string
	for _, c := range out.Components {
		texts = append(texts, fmt.Sprintf("%s %d/%d", c.ID, c.Running, c.Desired))
	}
	return strings.Join(texts, ", ")
}

// What still runs on a host that drains uses the configurations of the version before.
func TestDrain_KeepsConfigs(t *testing.T) {
	version := func(config string) Want {
		return Want{Model: parse(t, "{name: c, type: component, properties: {image: \"img:1\", config: [{name: "+config+", properties: {a: b}}]}, "+
			"traits: [{type: spreadscaler, properties: {instances: 2}}]}")}
	}
	l := newLab(host("NA"), host("NB"))
	l.settle(t, version("old"))
	l.SetDraining("NA", true)
	w := version("new")
	w.Retired.Configs = []string{"app-old"}
	l.settle(t, w)
	out := Plan(w, l.Lattice)
	if !l.HasConfig("app-old") || out.Converged || !slices.Equal(out.Retired.Configs, []string{"app-old"}) || !out.Replaced {
		t.Errorf("the configuration of what runs still: there %t, %+v", l.HasConfig("app-old"), out)
	}
	l.RemoveHost("NA")
	if l.settle(t, w); l.HasConfig("app-old") || !Plan(w, l.Lattice).Converged {
		t.Error("the configuration is there although nothing uses it")
	}
}
