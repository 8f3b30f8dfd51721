package cli

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
	"github.com/trellis-operator/trellis/internal/rotation"
	"github.com/trellis-operator/trellis/internal/secrets"
)

const rotatedShop = `
policies:
  - {name: own, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, rotation: restart}}
  - {name: vault, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, namespace: vault}}
  - {name: others, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: hashicorp}}
components:
  - name: api
    type: component
    properties:
      image: example.com/api:1
      secrets:
        - {name: password, properties: {policy: own, key: app, field: password}}
        - {name: pinned, properties: {policy: vault, key: pg, field: user, version: "7"}}
        - {name: others, properties: {policy: others, key: app}}
    traits:
      - type: link
        properties: {namespace: wasmcloud, package: postgres, interfaces: [query], target: {name: db, secrets: [{name: link, properties: {policy: vault, key: pg, field: url}}]}}
  - {name: db, type: capability, properties: {image: "example.com/db:1"}}
`

// TestWantedSecrets: each component or provider that may ask has its line, in the words in which hosts ask.
func TestWantedSecrets(t *testing.T) {
	var spec oam.ApplicationSpec
	if err := yaml.UnmarshalStrict([]byte(rotatedShop), &spec); err != nil {
		t.Fatal(err)
	}
	got := wantedSecrets(&oam.Application{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop"}}, &spec, "kube")
	vault := types.NamespacedName{Namespace: "vault", Name: "pg"}
	want := []rotation.Wanted{
		{Component: "api", ID: "shop-api", Name: "password", Secret: types.NamespacedName{Namespace: "team-a", Name: "app"}, Rotation: policy.RotationRestart,
			Reference: secrets.NewReference("app", "password", "", map[string]string{"rotation": "restart"})},
		{Component: "api", ID: "shop-api", Name: "pinned", Secret: vault, Rotation: policy.RotationDeliver,
			Reference: secrets.NewReference("pg", "user", "7", map[string]string{"namespace": "vault"})},
		{Component: "db", ID: "shop-db", Name: "link", Provider: true, Secret: vault, Rotation: policy.RotationDeliver,
			Reference: secrets.NewReference("pg", "url", "", map[string]string{"namespace": "vault"})},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestRotatedApplications: what is told of secrets is in the status, and stays there whatever the orchestrator writes.
func TestRotatedApplications(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	i.apply(0, 1)
	views := newRotatedApplications(&secretRotation{backend: "kube", cache: i.dev.cache, client: i.client}, devLattice)
	update := func(change func(*oam.Application)) {
		t.Helper()
		eventually(t, "the application is changed", func() error {
			app, err := i.client.In("default").Get(t.Context(), "app-0", metav1.GetOptions{})
			if err != nil {
				return err
			}
			change(app)
			_, err = i.client.In("default").Update(t.Context(), app, metav1.UpdateOptions{})
			return err
		})
	}
	var app rotation.Application
	look := func(what string, want func(rotation.Application) bool) {
		t.Helper()
		eventually(t, what, func() error {
			got, err := views.Live(t.Context())
			if err == nil && (len(got) != 1 || !want(got[0])) {
				return fmt.Errorf("it is %+v", got)
			}
			if err == nil {
				app = got[0]
			}
			return err
		})
	}
	update(func(app *oam.Application) {
		app.Spec.Policies = []oam.Policy{{Name: "own", Type: "policy.secret.wasmcloud.dev/v1alpha1", Properties: map[string]string{"backend": "kube"}}}
		app.Spec.Components[0].Properties.Secrets = []oam.SecretProperty{{Name: "password", Properties: oam.SecretSource{Policy: "own", Key: "app", Field: "password"}}}
	})
	look("the secret is wanted", func(a rotation.Application) bool { return len(a.Wanted) == 1 && a.Wanted[0].Name == "password" })
	told := []oam.SecretStatus{{Component: "http", Name: "password", State: oam.SecretDenied, Message: "because", HostCount: 1, Hosts: []oam.SecretHost{{HostID: "N", State: oam.SecretDenied}}}}
	if err := views.Report(t.Context(), app, told); err != nil {
		t.Fatal(err)
	}
	another := app
	another.UID = "another"
	if err := views.Report(t.Context(), another, nil); err != nil {
		t.Fatal(err)
	}
	update(func(app *oam.Application) {
		app.Annotations = map[string]string{oam.DeployedVersionAnnotation: oam.DeployedNone}
	})
	look("nothing is wanted of what is undeployed, and what was told is there still", func(a rotation.Application) bool {
		return len(a.Wanted) == 0 && cmp.Equal(a.Told, told)
	})
	if err := views.Report(t.Context(), app, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was told is taken back", func() error {
		stored, err := i.client.In("default").Get(t.Context(), "app-0", metav1.GetOptions{})
		if err == nil && len(stored.Status.Secrets) > 0 {
			err = fmt.Errorf("told: %+v", stored.Status.Secrets)
		}
		return err
	})
	gone := app
	gone.Name = "gone"
	if err := views.Report(t.Context(), gone, told); err != nil {
		t.Error(err)
	}
}

// TestSecretVersions: a version that is news is asked for where it can't be old; that there is no Secret is a version too.
func TestSecretVersions(t *testing.T) {
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	written := metav1.NewTime(time.Unix(1000, 0))
	client := metadatafake.NewSimpleMetadataClient(scheme)
	asked, fails := 0, error(nil)
	client.PrependReactor("get", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		asked++
		name := action.(clienttesting.GetAction).GetName()
		if name != "app" {
			return true, nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
		}
		return true, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name, ResourceVersion: "7",
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "eso", Time: &written}, {Manager: "nobody"}}}}, fails
	})
	versions := secretVersions{client}
	app := types.NamespacedName{Namespace: "team-a", Name: "app"}
	for known, questions := range map[string]int{"7": 1, "6": 2, "": 2} {
		asked = 0
		got, err := versions.Version(t.Context(), app, known)
		if err != nil || got.ResourceVersion != "7" || !got.Changed.Equal(written.Time) || asked != questions {
			t.Errorf("after %q: %v, %v, asked %d times", known, got, err, asked)
		}
	}
	if got, err := versions.Version(t.Context(), types.NamespacedName{Namespace: "team-a", Name: "gone"}, "7"); err != nil || got.ResourceVersion != "" {
		t.Errorf("of none: %v, %v", got, err)
	}
	fails = errors.New("away")
	if _, err := versions.Version(t.Context(), app, "7"); !errors.Is(err, fails) {
		t.Errorf("error %v", err)
	}
}
