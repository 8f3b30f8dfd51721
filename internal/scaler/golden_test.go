package scaler

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// deployable are the fixtures of wadm that pass its validation.
var deployable = []string{
	"wadm/all_hosts.yaml", "wadm/complex.yaml", "wadm/host_stop.yaml", "wadm/lotta_components.yaml", "wadm/outdatedapp.yaml",
	"wadm/upgradedapp.yaml", "wadm/upgradedapp2.yaml", "wadm/upgradedapp3.yaml", "wadm/simple.yaml", "wadm/simple2.yaml",
	"wadm/simple.wadm.yaml", "wadm/custom-interface.wadm.yaml", "wadm/policy.wadm.yaml", "wadm/misnamed-interface.wadm.yaml",
	"wadm/unknown-package.wadm.yaml", "wadm/long_image_refs.yaml", "wadm/deprecated-source-and-target-config.yaml",
	"wadm/correct_unique_interface_links.yaml",
	"wadm/shared/shared_http.yaml", "wadm/shared/shared_http_dev.yaml", "wadm/shared/shared_component.yaml",
	"wadm/shared/shared_component_dev.yaml", "wadm/shared/notshared_http.yaml", "everything.yaml",
}

func goldenName(file, kind string) string {
	return filepath.Join("testdata", strings.NewReplacer("/", "-", ".yaml", "").Replace(file)+"."+kind)
}

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-want +got (go test -update rewrites):\n%s", diff)
	}
}

func bring(l *lab, m *manifest.Model) {
	for _, name := range m.External {
		l.SetConfig(name, lattice.Config{}, l.now)
	}
}

// From nothing to deployed: the commands, one a line, rounds apart.
func TestPlan_FromNothing(t *testing.T) {
	for _, file := range deployable {
		t.Run(file, func(t *testing.T) {
			m := fixture(t, file)
			l := newLab(regions()...)
			l.SetHost(host("NZ", "edge", "true", "zone", "us-east-1"))
			l.SetHost(host("NY", "zone", "us-west-1"))
			bring(l, m)
			var out bytes.Buffer
			enc := json.NewEncoder(&out)
			enc.SetEscapeHTML(false)
			for _, round := range l.settle(t, Want{Model: m}) {
				for _, c := range round {
					if err := enc.Encode(c); err != nil {
						t.Fatal(err)
					}
				}
				out.WriteString("--\n")
			}
			end := Plan(Want{Model: m}, l.Lattice)
			fmt.Fprintf(&out, "converged: %t\n", end.Converged)
			for _, c := range end.Components {
				fmt.Fprintf(&out, "%s: %d of %d on %d hosts; ready: %t %s\n", c.ID, c.Running, c.Desired, len(c.Hosts), c.Ready, c.Message)
			}
			compareGolden(t, goldenName(file, "commands"), out.Bytes())
		})
	}
}

// wadmState is what wadm 0.21 leaves when it is done: the whole share of a spread on one host that it chose at random.
func wadmState(t *testing.T, m *manifest.Model, random *rand.Rand) *lab {
	t.Helper()
	l := newLab(regions()...)
	l.SetHost(host("NZ", "edge", "true", "zone", "us-east-1"))
	l.SetHost(host("NY", "zone", "us-west-1"))
	bring(l, m)
	for _, c := range m.Configs {
		l.SetConfig(c.Name, c.Values, l.now)
	}
	for _, c := range m.Components {
		if c.Scaler == nil {
			continue
		}
		for _, sp := range c.Scaler.Spreads {
			wadmPlace(l, m, c, sp, random)
		}
	}
	for _, x := range m.Links {
		l.SetSpec(x.Source, lattice.ComponentSpec{Links: append(l.stored(x.Source), wantedLink(x))}, l.now)
	}
	return l
}

func wadmPlace(l *lab, m *manifest.Model, c manifest.Component, sp manifest.Spread, random *rand.Rand) {
	var eligible []string
	for _, id := range l.order {
		if sp.Matches(l.hosts[id].Labels) {
			eligible = append(eligible, id)
		}
	}
	random.Shuffle(len(eligible), func(i, j int) { eligible[i], eligible[j] = eligible[j], eligible[i] })
	marks := map[string]string{
		"wasmcloud.dev/managed-by": "wadm", "wasmcloud.dev/appspec": m.Name,
		"wasmcloud.dev/scaler": c.Scaler.ID, "wasmcloud.dev/spread_name": sp.Name,
	}
	for i, id := range eligible {
		switch {
		case c.Kind == manifest.KindProvider && (c.Scaler.Daemon || i < int(sp.Instances)):
			l.SetProvider(id, c.ID, Instance{Image: lattice.NormalizeProviderRef(c.Image), Count: 1, Annotations: marks})
		case c.Kind == manifest.KindComponent && sp.Instances > 0 && (c.Scaler.Daemon || i == 0):
			l.SetComponent(id, c.ID, Instance{Image: c.Image, Count: sp.Instances, Annotations: marks})
		}
	}
}

// What wadm runs is left alone. The one exception: of two links that differ in their interfaces only, wadm puts the first
// and reports both (its fault no. 19); here they become one link with both.
func TestPlan_LeavesWadmsStateAlone(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, file := range deployable {
		t.Run(file, func(t *testing.T) {
			m := fixture(t, file)
			for range 20 {
				l := wadmState(t, m, random)
				out := Plan(Want{Model: m}, l.Lattice)
				if len(out.Commands) > 0 {
					t.Fatalf("commands for what wadm left: %+v", out.Commands)
				}
			}
		})
	}
}
