package takeover

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

func decoded(t *testing.T, value string) *stored {
	t.Helper()
	s, err := decode([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func versionsOf(p *plan) (names []string) {
	for _, app := range p.versions {
		names = append(names, app.Annotations[oam.VersionAnnotation])
	}
	return names
}

// History is bounded, oldest first, and the deployed version stays.
func TestPlan_Bounded(t *testing.T) {
	var all []string
	for n := range 15 {
		all = append(all, fmt.Sprint("v", n))
	}
	for deployed, want := range map[string][]string{"": all[10:], "v12": all[10:], "v3": append([]string{"v3"}, all[11:]...)} {
		p, why := newPlan("shop", "default", decoded(t, app("shop", deployed, all...)), 5)
		if why != "" {
			t.Fatal(why)
		}
		if diff := cmp.Diff(want, versionsOf(p)); diff != "" {
			t.Errorf("with %q deployed:\n%s", deployed, diff)
		}
		if diff := cmp.Diff([]string{"The 10 oldest versions were left behind: history is bounded."}, p.notes); diff != "" {
			t.Errorf("notes:\n%s", diff)
		}
	}
}

// Names that mean something else here get others, and never one that there is.
func TestPlan_Renamed(t *testing.T) {
	p, why := newPlan("shop", "default", decoded(t, app("shop", "none", "", "none", "wadm-none", "latest")), 10)
	if why != "" {
		t.Fatal(why)
	}
	if diff := cmp.Diff([]string{"wadm-", "wadm-none-", "wadm-none", "wadm-latest"}, versionsOf(p)); diff != "" {
		t.Errorf("versions:\n%s", diff)
	}
	if p.deployed != "wadm-none-" {
		t.Errorf("deployed is %q", p.deployed)
	}
}

// What Kubernetes can't hold is left out, what only newer rules refuse comes along; both are said.
func TestPlan_Notes(t *testing.T) {
	value := app("shop", "v1", "v1", "v2")
	value = strings.ReplaceAll(value, `"labels":{"tier":"web"}`, `"labels":{"tier":"no label value","ok":"yes","k8s.wasmcloud.dev/lattice":"other"}`)
	value = strings.ReplaceAll(value, `"image":"i:v2"`, `"image":"i:v2","id":"an id with blanks"`)
	p, why := newPlan("shop", "default", decoded(t, value), 10)
	if why != "" {
		t.Fatal(why)
	}
	last := p.versions[1]
	if diff := cmp.Diff(map[string]string{"ok": "yes", oam.LatticeLabel: "default"}, last.Labels); diff != "" {
		t.Errorf("labels:\n%s", diff)
	}
	if last.Spec.Components[0].Properties.ID != "an id with blanks" {
		t.Error("what newer rules refuse did not come along")
	}
	if len(p.notes) != 2 || !strings.Contains(p.notes[0], `can't hold the label "tier"`) ||
		!strings.Contains(p.notes[1], `Version "v2" would be refused today: spec.components[0].properties.id`) {
		t.Errorf("notes are %q", p.notes)
	}
}

func TestPlan_UnreadableVersions(t *testing.T) {
	value := strings.Replace(app("shop", "v2", "v1", "v2", "v3"), `"kind":"Application",`, "", 1)
	p, why := newPlan("shop", "default", decoded(t, value), 10)
	if why != "" || !cmp.Equal(versionsOf(p), []string{"v2", "v3"}) || len(p.notes) != 1 {
		t.Errorf("%q, %v", why, p)
	}
}

func TestDecode_Order(t *testing.T) {
	s := decoded(t, `{"other":1,"manifests":{"z":{},"a":{"x":1},"m":{},"a":{"x":2}},"deployed_version":"m"}`)
	var got []string
	for _, v := range s.versions {
		got = append(got, v.name+string(v.manifest))
	}
	if diff := cmp.Diff([]string{"z{}", `a{"x":2}`, "m{}"}, got); diff != "" || s.deployed == nil || *s.deployed != "m" {
		t.Errorf("%s, deployed %v", diff, s.deployed)
	}
}

// FuzzDecode: whatever is in the bucket is read or refused, and a plan made of it has no version twice.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{app("shop", "v1", "v1", "v2"), app("shop", "", ""), `{"manifests":{"a":1}}`, `{"manifests":[]}`, `[]`, `{`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := decode(value)
		if err != nil {
			return
		}
		p, why := newPlan("shop", "default", s, 3)
		if why != "" {
			return
		}
		seen := map[string]bool{}
		for _, name := range versionsOf(p) {
			if seen[name] || name == "" || name == oam.DeployedNone {
				t.Errorf("version %q in %q", name, versionsOf(p))
			}
			seen[name] = true
		}
		if p.deployed != oam.DeployedNone && !seen[p.deployed] {
			t.Errorf("deployed is %q of %q", p.deployed, versionsOf(p))
		}
	})
}
