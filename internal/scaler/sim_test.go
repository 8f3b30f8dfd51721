package scaler

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// lab is a lattice that obeys at once, as hosts of wasmCloud 1.9 do.
type lab struct {
	*Lattice
	now time.Time
}

func newLab(hosts ...Host) *lab {
	l := &lab{Lattice: NewLattice(), now: time.Unix(1000, 0)}
	for _, h := range hosts {
		l.SetHost(h)
	}
	return l
}

func (l *lab) obey(t *testing.T, commands []Command) {
	t.Helper()
	for _, c := range commands {
		l.now = l.now.Add(time.Second)
		l.one(t, c)
	}
}

func (l *lab) one(t *testing.T, c Command) {
	t.Helper()
	switch c.Verb {
	case PutConfig:
		l.SetConfig(c.ID, c.Values, l.now)
	case DeleteConfig:
		l.RemoveConfig(c.ID)
	case PutLink:
		for _, name := range c.Configs() {
			if _, ok := l.configs[name]; !ok {
				t.Errorf("link needs configuration %s, which does not exist", name)
			}
		}
		l.SetSpec(c.Link.SourceID, lattice.ComponentSpec{Links: append(l.stored(c.Link.SourceID), *c.Link)}, l.now)
	case DeleteLink:
		l.SetSpec(c.Link.SourceID, lattice.ComponentSpec{Links: slices.DeleteFunc(l.stored(c.Link.SourceID),
			func(x lattice.Link) bool { return x.Key() == c.Link.Key() })}, l.now)
	case StartProvider:
		if _, runs := l.hosts[c.Host].Providers[c.ID]; runs {
			t.Errorf("provider %s is started on %s, where it runs", c.ID, c.Host)
		}
		l.SetProvider(c.Host, c.ID, Instance{Image: lattice.NormalizeProviderRef(c.Image), Count: 1, Annotations: c.Annotations})
	case StopProvider:
		l.SetProvider(c.Host, c.ID, Instance{})
	case Update:
		i := l.hosts[c.Host].Components[c.ID]
		i.Image, i.Annotations = c.Image, c.Annotations
		l.SetComponent(c.Host, c.ID, i)
	case Scale:
		old, ran := l.hosts[c.Host].Components[c.ID]
		if ran && c.Count > 0 && old.Image != c.Image {
			t.Errorf("a running component is scaled with another image: the host would only note it")
		}
		l.SetComponent(c.Host, c.ID, Instance{Image: c.Image, Count: c.Count, Annotations: c.Annotations})
	}
}

func (l *lab) stored(source string) []lattice.Link {
	var out []lattice.Link
	for _, x := range l.links[source] {
		out = append(out, x.Link)
	}
	return out
}

// settle plans and obeys until nothing is left to do, and returns the rounds.
func (l *lab) settle(t *testing.T, w Want) (rounds [][]Command) {
	t.Helper()
	for range 12 {
		out := Plan(w, l.Lattice)
		if len(out.Commands) == 0 {
			return rounds
		}
		w.Retired = out.Retired
		rounds = append(rounds, out.Commands)
		l.obey(t, out.Commands)
	}
	t.Errorf("no end of commands; the last are %v", rounds[len(rounds)-1])
	return rounds
}

func fixture(t *testing.T, path string) *manifest.Model {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../manifest/testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	app, err := manifest.DecodeWadm("application/yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Parse(app.Name, &app.Spec)
}

func host(id string, labels ...string) Host {
	h := Host{ID: id, Name: "host-" + id, Labels: map[string]string{}, Components: map[string]Instance{}, Providers: map[string]Instance{}}
	for i := 0; i+1 < len(labels); i += 2 {
		h.Labels[labels[i]] = labels[i+1]
	}
	return h
}

// regions are the hosts that the fixtures of wadm are written for, two of each.
func regions() []Host {
	var out []Host
	for i, region := range []string{"us-brooks-east", "us-taylor-west", "moon"} {
		for j := range 2 {
			out = append(out, host("N"+string(rune('A'+2*i+j)), "region", region, "zone", region, "app", "petclinic"))
		}
	}
	return out
}
