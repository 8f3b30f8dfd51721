package cli

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/census"
	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/secrets"
)

var (
	errAway   = errors.New("away")
	groupAsks = secrets.Asker{Lattice: "default", Namespace: "team-a", Group: "hosts"}
)

// brokenReader answers nothing.
type brokenReader struct{ client.Reader }

func (brokenReader) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errAway
}

func (brokenReader) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errAway
}

func TestSecretHosts_Errors(t *testing.T) {
	host := census.Host{ID: "N1", Inventory: lattice.Inventory{Labels: podLabelsOfHost}}
	known := func(string) ([]census.Host, error) { return []census.Host{host}, nil }
	for name, hosts := range map[string]secretHosts{
		"no census":  {func(string) ([]census.Host, error) { return nil, errAway }, fakeReader(t)},
		"no cluster": {known, brokenReader{}},
	} {
		if got, err := hosts.Host(t.Context(), groupAsks, "N1"); !errors.Is(err, errAway) || got != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestSecretHosts_Strangers: what a host says of itself makes it nobody's host.
func TestSecretHosts_Strangers(t *testing.T) {
	for name, tc := range map[string]struct {
		label, value string
		objects      []client.Object
		asker        secrets.Asker
		id           string
	}{
		"unknown host":       {"", "", []client.Object{hostGroupPod("hosts"), hostGroupIn("default")}, groupAsks, "N2"},
		"no pod":             {"", "", []client.Object{hostGroupIn("default")}, groupAsks, "N1"},
		"another pod":        {v1alpha1.HostLabelPodUID, "uid-0", []client.Object{hostGroupPod("hosts"), hostGroupIn("default")}, groupAsks, "N1"},
		"no labels":          {v1alpha1.HostLabelPodName, "", []client.Object{hostGroupPod("hosts"), hostGroupIn("default")}, groupAsks, "N1"},
		"another namespace":  {v1alpha1.HostLabelNamespace, "team-b", []client.Object{hostGroupPod("hosts"), hostGroupIn("default")}, groupAsks, "N1"},
		"another group":      {"", "", []client.Object{hostGroupPod("others"), hostGroupIn("default")}, groupAsks, "N1"},
		"no group":           {"", "", []client.Object{hostGroupPod("hosts")}, groupAsks, "N1"},
		"of another lattice": {"", "", []client.Object{hostGroupPod("hosts"), hostGroupIn("edge")}, groupAsks, "N1"},
		"nobody knows, gone": {"", "", nil, secrets.Asker{Lattice: "default"}, "N2"},
		"of another's subject": {"", "", []client.Object{hostGroupPod("hosts"), hostGroupIn("default")},
			secrets.Asker{Lattice: "default", Namespace: "team-b", Group: "hosts"}, "N1"},
	} {
		labels := maps.Clone(podLabelsOfHost)
		if tc.label != "" {
			labels[tc.label] = tc.value
		}
		host := census.Host{ID: "N1", Inventory: lattice.Inventory{Labels: labels}}
		hosts := secretHosts{func(string) ([]census.Host, error) { return []census.Host{host}, nil }, fakeReader(t, tc.objects...)}
		if got, err := hosts.Host(t.Context(), tc.asker, tc.id); err != nil || got != nil {
			t.Errorf("%s: %+v, %v; want none", name, got, err)
		}
	}
}

func TestSecretHosts(t *testing.T) {
	host := census.Host{ID: "N1", Inventory: lattice.Inventory{
		Labels: podLabelsOfHost, Components: []lattice.ComponentDescription{{ID: "shop-api"}}, Providers: []lattice.ProviderDescription{{ID: "shop-db"}},
	}}
	hosts := secretHosts{func(string) ([]census.Host, error) { return []census.Host{host}, nil }, fakeReader(t, hostGroupPod("hosts"), hostGroupIn("default"))}
	want := &grants.Host{Labels: podLabelsOfHost, Running: []string{"shop-api", "shop-db"}}
	for name, asker := range map[string]secrets.Asker{"its group": groupAsks, "nobody knows": {Lattice: "default"}} {
		got, err := hosts.Host(t.Context(), asker, "N1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}
