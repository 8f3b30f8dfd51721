package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/grants"
)

// TestSecretApplications: what is deployed counts, and whether the writer of that very version was reviewed. What is taken
// down, pinned away, or of a namespace that is gone gets nothing.
func TestSecretApplications(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	i.apply(0, 1)
	key := "app-0"
	apps := i.client.In("default")
	alive := func(context.Context, string) (string, error) { return "uid-1", nil }
	show := func(living livingNamespace) secretApplications {
		return secretApplications{i.dev.cache, applications.NewRevisions(i.client), living}
	}
	look := func(what string, want func(*grants.Application) bool) {
		t.Helper()
		eventually(t, what, func() error {
			got, err := show(alive).Deployed(t.Context(), devLattice, key)
			if err == nil && !want(got) {
				err = fmt.Errorf("it is %+v", got)
			}
			return err
		})
	}
	change := func(edit func(*oam.Application)) *oam.Application {
		t.Helper()
		var written *oam.Application
		eventually(t, "the application is changed", func() error {
			app, err := apps.Get(t.Context(), key, metav1.GetOptions{})
			if err != nil {
				return err
			}
			edit(app)
			written, err = apps.Update(t.Context(), app, metav1.UpdateOptions{})
			return err
		})
		return written
	}
	look("it is deployed", func(a *grants.Application) bool {
		return a != nil && a.Namespace == "default" && a.Name == key && len(a.Spec.Components) == 2 && a.Reviewed == ""
	})
	first := change(func(*oam.Application) {}).Status.Version
	change(func(a *oam.Application) { a.Spec.Components = a.Spec.Components[:1]; a.Spec.Components[0].Traits = nil })
	look("the newest version", func(a *grants.Application) bool { return a != nil && len(a.Spec.Components) == 1 })
	pin := func(version string) {
		change(func(a *oam.Application) {
			metav1.SetMetaDataAnnotation(&a.ObjectMeta, oam.DeployedVersionAnnotation, version)
		})
	}
	pin(first)
	look("the pinned version", func(a *grants.Application) bool { return a != nil && len(a.Spec.Components) == 2 })
	pin(oam.DeployedNone)
	look("nothing is deployed", func(a *grants.Application) bool { return a == nil })
	pin(first)
	look("the pinned version again", func(a *grants.Application) bool { return a != nil })

	for name, living := range map[string]livingNamespace{
		"gone": func(context.Context, string) (string, error) { return "", nil },
		"fail": func(context.Context, string) (string, error) { return "", errAway },
	} {
		if got, err := show(living).Deployed(t.Context(), devLattice, key); got != nil || (name == "fail") != errors.Is(err, errAway) {
			t.Errorf("namespace %s: %+v, %v", name, got, err)
		}
	}
	for lattice, name := range map[string]string{devLattice: "other", "edge": key} {
		if got, err := show(alive).Deployed(t.Context(), lattice, name); got != nil || err != nil {
			t.Errorf("%s/%s: %+v, %v; want none", lattice, name, got, err)
		}
	}
	key = "app-1"
	var stays oam.Application
	if err := json.Unmarshal(fmt.Appendf(nil, numbered, 1, 8001), &stays); err != nil {
		t.Fatal(err)
	}
	stays.Annotations = map[string]string{oam.NamespaceUIDAnnotation: "uid-0"}
	if _, err := apps.Create(t.Context(), &stays, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is known", func() error {
		if i.dev.cache.Find(devLattice, key) == nil {
			return errors.New("it is not")
		}
		return nil
	})
	if got, err := show(alive).Deployed(t.Context(), devLattice, key); got != nil || err != nil {
		t.Errorf("an application of an older namespace of the name: %+v, %v", got, err)
	}
}

// TestDeployedRevision: the review is that of the version that runs, not that of the newest.
func TestDeployedRevision(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"apiVersion":"core.oam.dev/v1beta1","kind":"ApplicationRevisionList","metadata":{},"items":[
			{"metadata":{"name":"a.0"},"application":"a","version":"0","spec":{"components":[]}},
			{"metadata":{"name":"a.1"},"application":"a","version":"1","manifestAnnotations":{"`+oam.SecretsReviewedAnnotation+`":"kube"},"spec":{"components":[]}}]}`)
	}))
	t.Cleanup(api.Close)
	client, err := applications.NewClient(&rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	app := &oam.Application{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", Annotations: map[string]string{oam.SecretsReviewedAnnotation: "newest"}}}
	app.Status.Version = "2"
	for version, want := range map[string]string{"": "newest", "2": "newest", "1": "kube", "0": ""} {
		got, err := deployedRevision(t.Context(), applications.NewRevisions(client), app, version)
		if err != nil || got.annotations[oam.SecretsReviewedAnnotation] != want {
			t.Errorf("version %q: %+v, %v; want a review for %q", version, got, err, want)
		}
	}
	if got, err := deployedRevision(t.Context(), applications.NewRevisions(client), app, "gone"); err == nil {
		t.Errorf("a version that is gone: %+v", got)
	}
}
