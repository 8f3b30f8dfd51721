package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const minimal = `
apiVersion: trellis.k8s.wasmcloud.dev/v1alpha1
nats: {address: "nats://trellis-nats.trellis-system.svc"}
lattices: [{name: default}]
hosts: {helperImage: "ghcr.io/trellis-operator/trellis:0.1.0"}
`

func TestParse_Defaults(t *testing.T) {
	got, err := Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		APIVersion: APIVersion,
		NATS:       NATS{Address: "nats://trellis-nats.trellis-system.svc", ClientPort: 4222, LeafPort: 7422, Domain: "default", Replicas: 1},
		Lattices:   []Lattice{{Name: "default", Namespaces: []string{"*"}}},
		Hosts:      Hosts{HelperImage: "ghcr.io/trellis-operator/trellis:0.1.0"},
		Secrets:    Secrets{Backend: "kube", Prefix: "wasmcloud.secrets"},
		API:        API{Port: 8443},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if got.NATS.ClientURL() != "nats://trellis-nats.trellis-system.svc:4222" {
		t.Errorf("client URL = %s", got.NATS.ClientURL())
	}
}

func TestWash_Allows(t *testing.T) {
	for name, tc := range map[string]struct {
		wash Wash
		want bool
	}{
		"default": {Wash{}, true}, "all": {Wash{Lattices: &[]string{"*"}}, true}, "none": {Wash{Lattices: &[]string{}}, false},
		"named": {Wash{Lattices: &[]string{"a", "default"}}, true}, "another": {Wash{Lattices: &[]string{"a"}}, false},
	} {
		if got := tc.wash.Allows("default"); got != tc.want {
			t.Errorf("%s: Allows = %v", name, got)
		}
	}
}

func TestParse_Errors(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, says string }{
		"unknown field":     {"hosts:", "hostz: {}\nhosts:", "hostz"},
		"another version":   {"v1alpha1\n", "v9\n", "apiVersion"},
		"address with port": {`svc"`, `svc:4222"`, "nats.address"},
		"lattice name":      {"name: default", "name: a.b", "NATS token"},
		"lattice twice":     {"[{name: default}]", "[{name: a}, {name: a}]", "twice"},
		"namespace":         {"name: default", "name: default, namespaces: [A_B]", "lattices[0].namespaces"},
		"account":           {"lattices:", "wash: {accounts: {default: \"A.b\"}}\nlattices:", "wash.accounts"},
		"no helper":         {"helperImage: ", "image: ", "hosts.helperImage"},
		"binding":           {"lattices:", "bindings: [{lattice: a, namespaces: []}]\nlattices:", "bindings[0].namespaces"},
		"replicas":          {`svc"`, `svc", replicas: 2`, "nats.replicas"},
		"backend":           {"lattices:", "secrets: {backend: a.b}\nlattices:", "secrets.backend"},
		"prefix":            {"lattices:", "secrets: {prefix: \"wasmcloud.*\"}\nlattices:", "secrets.prefix"},
		"mirror":            {"helperImage:", "mirrors: [{prefix: x}], helperImage:", "hosts.mirrors[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(minimal, tc.from, tc.to, 1)
			if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v, want one that names %q in\n%s", err, tc.says, text)
			}
		})
	}
}
