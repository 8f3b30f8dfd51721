package manifest

import (
	"os"
	"testing"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

func TestComponentID(t *testing.T) {
	for _, c := range []struct{ app, id, name, want string }{
		{"mymodel", "myid", "echo", "myid"},
		{"some model name with spaces cause yaml", "myid", " echo ", "myid"},
		{"mymodel", "", "echo-component", "mymodel-echo_component"},
		{"My ThInG", "", "thing.wasm", "my_thing-thing_wasm"},
		{"ŁÓDŹ", "", "İx-ß", "__d_-i_x__"},
		{"some model name with spaces cause yaml", "", " echo ", "some_model_name_with_spaces_cause_yaml-_echo_"},
	} {
		got := ComponentID(c.app, v1beta1.Component{Name: c.name, Properties: v1beta1.ComponentProperties{Image: "x", ID: c.id}})
		if got != c.want {
			t.Errorf("ComponentID(%q, %q, %q) = %q, want %q", c.app, c.id, c.name, got, c.want)
		}
	}
}

func fixture(t *testing.T, name string) *Model {
	t.Helper()
	data, err := os.ReadFile("testdata/wadm/" + name)
	if err != nil {
		t.Fatal(err)
	}
	app, err := DecodeWadm("application/yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(app.Name, &app.Spec)
}

// The ids that wadm 0.21 writes for its own fixtures: with any other, what wadm started would not be recognised.
func TestScalerIDs(t *testing.T) {
	simple, complex, secret := fixture(t, "simple.yaml"), fixture(t, "complex.yaml"), fixture(t, "simple.wadm.yaml")
	for _, c := range []struct{ what, got, want string }{
		{"component", simple.Component("hello").Scaler.ID, "51f5a7b765665fbd56fb630960d59b2b6b5f41507ccfd5fe1eaca6b154f3c6ac"},
		{"provider", simple.Component("httpserver").Scaler.ID, "71e4e16aae6b1fd1cac75ad82f407ccabbba4adfcfb631c6a84da5db2eb4759b"},
		{"link", simple.Links[0].ScalerID, "0fcff01255dc1d2cf54a276555e7cf894fae75a49d273d1a0264a609e9a62aa5"},
		{"configs", complex.Component("blobby").Scaler.ID, "d36e09698c59c5e75ed6bf91e2ebda026b6aaa8bd247746260ea9fb6094838ce"},
		{"secret", secret.Component("http-component").Scaler.ID, "80ee8175482d12989e2f876ba1bacdeb1633ad98b936f7f6c2985efe9b49041c"},
	} {
		if c.got != c.want {
			t.Errorf("%s: id %s, want %s", c.what, c.got, c.want)
		}
	}
}

func TestDeployed(t *testing.T) {
	pin, wash := v1beta1.DeployedVersionAnnotation, v1beta1.WashDeployedVersionAnnotation
	for _, c := range []struct {
		name        string
		annotations map[string]string
		want        Deployment
	}{
		{"nothing said", nil, Deployment{}},
		{"wash deployed", map[string]string{wash: "v1"}, Deployment{Version: "v1"}},
		{"wash undeployed", map[string]string{wash: "none"}, Deployment{Undeployed: true}},
		{"pin beats wash", map[string]string{pin: "v2", wash: "none"}, Deployment{Version: "v2", Pinned: true}},
		{"pinned to none", map[string]string{pin: "none", wash: "v1"}, Deployment{Undeployed: true, Pinned: true}},
		{"latest", map[string]string{wash: "latest"}, Deployment{}},
	} {
		if got := Deployed(c.annotations); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestShares(t *testing.T) {
	spreads := func(weights ...uint64) (out []spreadTrait) {
		for _, w := range weights {
			out = append(out, spreadTrait{Name: string(rune('a' + len(out))), Weight: &w})
		}
		return out
	}
	for _, c := range []struct {
		name      string
		instances uint64
		spreads   []spreadTrait
		want      []uint32
	}{
		{"by weight", 7, spreads(30, 40), []uint32{4, 3}},
		{"equal", 7, spreads(100, 100), []uint32{4, 3}},
		{"heaviest first", 103, spreads(42, 3, 37, 384), []uint32{85, 10, 8, 0}},
		{"three", 5, spreads(40, 40, 20), []uint32{2, 2, 1}},
		{"more", 103, spreads(42, 3, 37), []uint32{53, 47, 3}},
		{"no weight is 100", 4, []spreadTrait{{Name: "a"}, {Name: "b", Weight: new(uint64)}}, []uint32{4, 0}},
		{"largest", 1<<32 - 1, spreads(1<<32-1, 1<<32-1), []uint32{1 << 31, 1<<31 - 1}},
		{"none", 3, nil, []uint32{3}},
	} {
		got, err := scalerTrait{Instances: c.instances, Spread: c.spreads}.shares()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, s := range got {
			if i >= len(c.want) || s.Instances != c.want[i] {
				t.Errorf("%s: share %d is %d, want %v", c.name, i, s.Instances, c.want)
			}
		}
	}
}
