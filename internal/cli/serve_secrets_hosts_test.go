package cli

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
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

// TestSecretReader: the keeper tells absent from forbidden by the errors of the API.
func TestSecretReader(t *testing.T) {
	reader := secretReader{fake.NewClientset(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app"}}).CoreV1()}
	if _, err := reader.Secret(t.Context(), "team-b", "app"); !apierrors.IsNotFound(err) {
		t.Errorf("error = %v, want NotFound", err)
	}
	if got, err := reader.Secret(t.Context(), "team-a", "app"); err != nil || got.Name != "app" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestGrantLister(t *testing.T) {
	if _, err := (grantLister{brokenReader{}}).Grants(t.Context(), "team-a"); !errors.Is(err, errAway) {
		t.Errorf("error = %v", err)
	}
	grant := func(namespace string) *v1alpha1.SecretGrant {
		return &v1alpha1.SecretGrant{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "g"}}
	}
	got, err := grantLister{fakeReader(t, grant("team-a"), grant("team-b"))}.Grants(t.Context(), "team-a")
	if err != nil || len(got) != 1 || got[0].Namespace != "team-a" {
		t.Errorf("%v, %v; want that of team-a", got, err)
	}
}

// TestCachedNamespaces: one that is gone or going is none.
func TestCachedNamespaces(t *testing.T) {
	if _, err := cachedNamespaces(brokenReader{})(t.Context(), "a"); !errors.Is(err, errAway) {
		t.Errorf("error = %v", err)
	}
	ending := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ending", UID: "2", Finalizers: []string{"a/b"}, DeletionTimestamp: new(metav1.Now())}}
	living := cachedNamespaces(fakeReader(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "1"}}, ending))
	for name, want := range map[string]string{"a": "1", "ending": "", "gone": ""} {
		if uid, err := living(t.Context(), name); err != nil || uid != want {
			t.Errorf("%s: %q, %v; want %q", name, uid, err, want)
		}
	}
}
