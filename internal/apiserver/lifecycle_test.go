package apiserver

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

func typed(t *testing.T, u *unstructured.Unstructured) *v1beta1.Application {
	t.Helper()
	app := &v1beta1.Application{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, app); err != nil {
		t.Fatal(err)
	}
	return app
}

func resolved(t *testing.T, u *unstructured.Unstructured) (status metav1.ConditionStatus, reason string) {
	t.Helper()
	c := meta.FindStatusCondition(typed(t, u).Status.Conditions, v1beta1.ConditionLatticeResolved)
	if c == nil {
		return "", ""
	}
	return c.Status, c.Reason
}

func setLattice(u *unstructured.Unstructured, lattice string) {
	u.SetLabels(map[string]string{v1beta1.LatticeLabel: lattice})
}

func TestLatticeComesLater(t *testing.T) {
	w := start(t)
	w.bindings.set("")
	client := w.apps("team-a")
	app := must(client.Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	if status, reason := resolved(t, app); status != metav1.ConditionFalse || reason != "NoLattice" || str(app, "status", "lattice") != "" {
		t.Errorf("without a binding: %v", app.Object["status"])
	}
	// Somebody else takes the name in the meantime.
	must(w.apps("team-b").Create(t.Context(), hello("other"), metav1.CreateOptions{}))(t)
	if len(w.claims.held) != 0 {
		t.Errorf("claims without a lattice: %v", w.claims.held)
	}
	w.bindings.set("default")
	w.eventually("the lattice is found", func() error {
		got, err := client.Get(t.Context(), "hello", metav1.GetOptions{})
		if err == nil && str(got, "status", "lattice") != "default" {
			err = errors.New("not yet")
		}
		app = got
		return err
	})
	if status, _ := resolved(t, app); status != metav1.ConditionTrue || app.GetGeneration() != 1 || len(w.revisions("team-a")) != 1 {
		t.Errorf("after the binding came: %v, %d revisions", app.Object, len(w.revisions("team-a")))
	}
	// The first resolution stays.
	w.bindings.set("other")
	app = must(client.Patch(t.Context(), "hello", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}))(t)
	if str(app, "status", "lattice") != "default" {
		t.Errorf("a new binding moved the application to %q", str(app, "status", "lattice"))
	}
}

func TestNameConflictFoundLate(t *testing.T) {
	w := start(t)
	w.bindings.set("")
	must(w.apps("team-a").Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	w.claims.held["default/name/hello"] = Owner{Namespace: "team-b", Name: "hello"}
	w.bindings.set("default")
	w.eventually("the conflict shows", func() error {
		got, err := w.apps("team-a").Get(t.Context(), "hello", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if status, reason := resolved(t, got); status != metav1.ConditionFalse || reason != "NameConflict" {
			return errors.New(reason)
		}
		return nil
	})
}

func TestMove(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	app := must(client.Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	setLattice(app, "typo")
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if status, reason := resolved(t, app); status != metav1.ConditionFalse || reason != "NotBound" || str(app, "status", "lattice") != "default" {
		t.Errorf("a lattice without binding: %v", app.Object["status"])
	}
	setLattice(app, "other")
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if str(app, "status", "lattice") != "other" || app.GetGeneration() != 3 {
		t.Errorf("after the move: generation %d, %v", app.GetGeneration(), app.Object["status"])
	}
	records := w.teardowns.all()
	if len(records) != 1 || records[0].Lattice != "default" {
		t.Errorf("teardowns %v", records)
	}
	if _, ok := w.claims.held["other/name/hello"]; !ok {
		t.Errorf("claims %v", w.claims.held)
	}
	app.SetAnnotations(map[string]string{v1beta1.LatticeLabel: "default"})
	_, err := client.Update(t.Context(), app, metav1.UpdateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.annotations[k8s.wasmcloud.dev/lattice]") {
		t.Errorf("label and annotation disagree: %v", err)
	}
}

func TestClaims(t *testing.T) {
	w := start(t)
	must(w.apps("team-a").Create(t.Context(), hello("hello-world"), metav1.CreateOptions{}))(t)
	_, err := w.apps("team-b").Create(t.Context(), hello("hello_World"), metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), `metadata.name: Invalid value: "hello_world": the name is in use by application "hello-world" in namespace "team-a"`) {
		t.Errorf("a name that sanitises to the same: %v", err)
	}
	// In another lattice it is free.
	elsewhere := hello("hello_World")
	setLattice(elsewhere, "other")
	must(w.apps("team-b").Create(t.Context(), elsewhere, metav1.CreateOptions{}))(t)

	withID := func(name, id string) *unstructured.Unstructured {
		app := hello(name)
		components, _, _ := unstructured.NestedSlice(app.Object, "spec", "components")
		components[1].(map[string]any)["properties"].(map[string]any)["id"] = id
		_ = unstructured.SetNestedSlice(app.Object, components, "spec", "components")
		return app
	}
	must(w.apps("team-a").Create(t.Context(), withID("one", "shared_id"), metav1.CreateOptions{}))(t)
	_, err = w.apps("team-a").Create(t.Context(), withID("two", "shared_id"), metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.components[1].properties.id") {
		t.Errorf("an id that is taken: %v", err)
	}
	if len(w.revisions("team-a")) != 2 {
		t.Errorf("a refused application left a revision: %v", w.versions("team-a"))
	}
	w.claims.mu.Lock()
	w.claims.down = errors.New("no servers")
	w.claims.mu.Unlock()
	_, err = w.apps("team-a").Create(t.Context(), hello("three"), metav1.CreateOptions{})
	if seconds, retry := apierrors.SuggestsClientDelay(err); !apierrors.IsServiceUnavailable(err) || !retry || seconds == 0 {
		t.Errorf("claims can't be checked: %v", err)
	}
}

// Who holds a claim is told only to those who may read it; nobody but an authenticated user may read here.
func TestClaims_HolderIsHidden(t *testing.T) {
	l := &lifecycle{}
	err := l.refuse(t.Context(), "x", "default", claimed{Claim: Claim{ClaimName, "x"}}, Owner{Namespace: "secret-namespace", Name: "secret-name"})
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func TestTeardowns(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	first := hello("hello")
	first.SetAnnotations(map[string]string{"version": "v1", v1beta1.DeployedVersionAnnotation: "v1"})
	app := must(client.Create(t.Context(), first, metav1.CreateOptions{}))(t)
	// The current version has another component; both may run.
	components, _, _ := unstructured.NestedSlice(app.Object, "spec", "components")
	components[0].(map[string]any)["name"] = "renamed"
	components[1].(map[string]any)["traits"].([]any)[0].(map[string]any)["properties"].(map[string]any)["target"] = "renamed"
	_ = unstructured.SetNestedSlice(app.Object, components, "spec", "components")
	app.SetAnnotations(map[string]string{"version": "v2", v1beta1.DeployedVersionAnnotation: "v1"})
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if len(w.teardowns.all()) != 0 {
		t.Errorf("an update tears down: %v", w.teardowns.all())
	}
	app.SetAnnotations(map[string]string{"version": "v2", v1beta1.DeployedVersionAnnotation: "none"})
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if err := client.Delete(t.Context(), "hello", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	records := w.teardowns.all()
	if len(records) != 2 {
		t.Fatalf("undeploy and delete wrote %d records: %v", len(records), records)
	}
	undeploy := records[0]
	want := Teardown{
		ID: undeploy.ID, Lattice: "default", Version: "v2",
		Application: Owner{Namespace: "team-a", Name: "hello", UID: app.GetUID()},
		Components:  []string{"hello-renamed", "hello-http_component"}, Providers: []string{"hello-httpserver"},
		Links: []TeardownLink{
			{Source: "hello-httpserver", Target: "hello-renamed", Name: "default", Namespace: "wasi", Package: "http"},
			{Source: "hello-httpserver", Target: "hello-http_component", Name: "default", Namespace: "wasi", Package: "http"},
		},
		Configs: []string{"hello-default_http"},
	}
	if diff := cmp.Diff(want, undeploy); diff != "" {
		t.Errorf("record of the undeployment (-want +got):\n%s", diff)
	}
	if records[1].ID != string(app.GetUID()) || records[0].ID == records[1].ID {
		t.Errorf("ids %q and %q", records[0].ID, records[1].ID)
	}
}

// A version that ran before its status was written is torn down too: the record lists all that are kept.
func TestTeardowns_EarlierVersions(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	first := hello("hello")
	first.SetAnnotations(map[string]string{"version": "v1"})
	app := must(client.Create(t.Context(), first, metav1.CreateOptions{}))(t)
	components, _, _ := unstructured.NestedSlice(app.Object, "spec", "components")
	components[0].(map[string]any)["name"] = "renamed"
	components[1].(map[string]any)["traits"].([]any)[0].(map[string]any)["properties"].(map[string]any)["target"] = "renamed"
	_ = unstructured.SetNestedSlice(app.Object, components, "spec", "components")
	app.SetAnnotations(map[string]string{"version": "v2"})
	must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if err := client.Delete(t.Context(), "hello", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	records := w.teardowns.all()
	if len(records) != 1 || !slices.Contains(records[0].Components, "hello-http_component") || !slices.Contains(records[0].Components, "hello-renamed") {
		t.Errorf("records %v", records)
	}
}

// What a crash left behind goes after two looks, and what is in use stays.
func TestSweep(t *testing.T) {
	w := start(t)
	app := must(w.apps("team-a").Create(t.Context(), hello("alive"), metav1.CreateOptions{}))(t)
	gone := typed(t, hello("gone"))
	gone.Namespace, gone.UID, gone.Status.Version = "team-a", "old", "v1"
	namesake := typed(t, app)
	namesake.UID, namesake.Status.Version = "old", "v0"
	s := w.server.sweeper
	for _, orphan := range []*v1beta1.Application{gone, namesake} {
		if err := s.revisions.write(t.Context(), &attempt{}, orphan, "digest"); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{3, 1, 1} {
		s.sweep(t.Context())
		if got := len(w.revisions("team-a")); got != want {
			t.Errorf("%d revisions after a sweep, want %d", got, want)
		}
	}
}

// Two writers of one explicit version: one wins, the other is told so, and no version has two contents.
func TestSameVersionAtOnce(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	must(client.Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	results := make(chan error)
	for _, ref := range []string{"a", "b"} {
		go func() {
			apply := hello("hello")
			setImage(apply, "ghcr.io/acme/hello:"+ref)
			apply.SetAnnotations(map[string]string{"version": "v1"})
			_, err := client.Apply(t.Context(), "hello", apply, metav1.ApplyOptions{FieldManager: ref, Force: true})
			results <- err
		}()
	}
	for range 2 {
		select {
		case err := <-results:
			if err != nil && !apierrors.IsConflict(err) {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no answer")
		}
	}
	got := must(client.Get(t.Context(), "hello", metav1.GetOptions{}))(t)
	rev := must(w.dynamic().Resource(revisionsGVR).Namespace("team-a").Get(t.Context(),
		revisionName("hello", str(got, "status", "version")), metav1.GetOptions{}))(t)
	if image(rev) != image(got) {
		t.Errorf("version %s is %s in the history and %s in the application", str(got, "status", "version"), image(rev), image(got))
	}
}

// A creation that is refused because the application is there takes nothing of its history, and of several creations at
// once the one that succeeds has its revision in the end.
func TestCreateWhatIsThere(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	withVersion := func() *unstructured.Unstructured {
		app := hello("hello")
		app.SetAnnotations(map[string]string{"version": "v1"})
		return app
	}
	owned := func() {
		t.Helper()
		app := must(client.Get(t.Context(), "hello", metav1.GetOptions{}))(t)
		rev := must(w.dynamic().Resource(revisionsGVR).Namespace("team-a").Get(t.Context(), "hello.v1", metav1.GetOptions{}))(t)
		if owner := rev.GetOwnerReferences()[0].UID; owner != app.GetUID() {
			t.Errorf("the revision belongs to %s, the application is %s", owner, app.GetUID())
		}
	}
	must(client.Create(t.Context(), withVersion(), metav1.CreateOptions{}))(t)
	if _, err := client.Create(t.Context(), withVersion(), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("the second creation: %v", err)
	}
	owned()
	for range 10 {
		if err := client.Delete(t.Context(), "hello", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		var creators sync.WaitGroup
		for range 4 {
			creators.Go(func() {
				if _, err := client.Create(t.Context(), withVersion(), metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) {
					t.Error(err)
				}
			})
		}
		creators.Wait()
		owned()
	}
}
