package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

func TestCreateAndGet(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	created := must(client.Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	got := must(client.Get(t.Context(), "hello", metav1.GetOptions{}))(t)
	if diff := cmp.Diff(created.Object, got.Object); diff != "" {
		t.Errorf("get differs from create (-created +got):\n%s", diff)
	}
	if diff := cmp.Diff(hello("hello").Object["spec"], got.Object["spec"]); diff != "" {
		t.Errorf("the spec is not what was written (-want +got):\n%s", diff)
	}
	if got.GetGeneration() != 1 || got.GetUID() == "" || got.GetCreationTimestamp().Time.IsZero() || len(got.GetManagedFields()) != 1 {
		t.Errorf("metadata: %v", got.Object["metadata"])
	}
	if lattice := str(got, "status", "lattice"); lattice != "default" {
		t.Errorf("lattice %q", lattice)
	}
	_, err := client.Create(t.Context(), hello("hello"), metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		t.Errorf("create twice: %v", err)
	}
	_, err = client.Get(t.Context(), "nobody", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("get of nobody: %v", err)
	}
}

func TestUpdateAndPatch(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	first := must(client.Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)

	changed := first.DeepCopy()
	setImage(changed, "ghcr.io/acme/hello:0.2.0")
	updated := must(client.Update(t.Context(), changed, metav1.UpdateOptions{}))(t)
	if updated.GetGeneration() != 2 || updated.GetUID() != first.GetUID() {
		t.Errorf("generation %d, uid changed %v", updated.GetGeneration(), updated.GetUID() != first.GetUID())
	}
	if _, err := client.Update(t.Context(), changed, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("update of an old state: %v", err)
	}

	merged := must(client.Patch(t.Context(), "hello", types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"team":"a"}}}`), metav1.PatchOptions{}))(t)
	if merged.GetGeneration() != 2 || merged.GetLabels()["team"] != "a" {
		t.Errorf("merge patch of a label: generation %d, labels %v", merged.GetGeneration(), merged.GetLabels())
	}
	patched := must(client.Patch(t.Context(), "hello", types.JSONPatchType,
		[]byte(`[{"op":"replace","path":"/spec/components/0/traits/0/properties/instances","value":3}]`), metav1.PatchOptions{}))(t)
	if patched.GetGeneration() != 3 {
		t.Errorf("JSON patch of the spec: generation %d", patched.GetGeneration())
	}
	for path, patch := range map[types.PatchType]string{
		types.MergePatchType: `{"status":{"phase":"Failed"},"metadata":{"generation":99,"uid":"x"}}`,
	} {
		got, err := client.Patch(t.Context(), "hello", path, []byte(patch), metav1.PatchOptions{})
		if err == nil && (got.GetGeneration() != 3 || str(got, "status", "phase") != "") {
			t.Errorf("status and generation can be written by a %s: %v", path, got.Object)
		}
	}
}

func TestServerSideApply(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	first := must(client.Apply(t.Context(), "hello", hello("hello"), metav1.ApplyOptions{FieldManager: "flux"}))(t)
	second := must(client.Apply(t.Context(), "hello", hello("hello"), metav1.ApplyOptions{FieldManager: "flux"}))(t)
	if diff := cmp.Diff(first.Object, second.Object); diff != "" {
		t.Errorf("the second apply changed something (-first +second):\n%s", diff)
	}
	other := hello("hello")
	setImage(other, "ghcr.io/acme/hello:0.2.0")
	if _, err := client.Apply(t.Context(), "hello", other, metav1.ApplyOptions{FieldManager: "alice"}); !apierrors.IsConflict(err) {
		t.Errorf("apply of another manager's field: %v", err)
	}
	forced := must(client.Apply(t.Context(), "hello", other, metav1.ApplyOptions{FieldManager: "alice", Force: true}))(t)
	if forced.GetGeneration() != 2 {
		t.Errorf("generation %d after a forced apply", forced.GetGeneration())
	}
	// Components are a map by name: another manager can bring one of its own and leaves the rest alone.
	extra := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": map[string]any{"name": "hello"},
		"spec": map[string]any{"components": []any{map[string]any{
			"name": "extra", "type": "component", "properties": map[string]any{"image": "ghcr.io/acme/extra:1"},
		}}},
	}}
	got := must(client.Apply(t.Context(), "hello", extra, metav1.ApplyOptions{FieldManager: "bob"}))(t)
	if list, _, _ := unstructured.NestedSlice(got.Object, "spec", "components"); len(list) != 3 {
		t.Errorf("%d components after bob's apply", len(list))
	}
}

// A second client-side apply of the same file patches with what changed since the first: nothing, or the same values.
func TestApplyTwiceClientSide(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	manifest := hello("hello")
	first := must(client.Create(t.Context(), manifest, metav1.CreateOptions{}))(t)
	for _, patch := range []map[string]any{
		{}, {"spec": manifest.Object["spec"]}, {"metadata": map[string]any{"name": "hello"}, "spec": manifest.Object["spec"]},
	} {
		body, _ := json.Marshal(patch)
		got := must(client.Patch(t.Context(), "hello", types.MergePatchType, body, metav1.PatchOptions{}))(t)
		if diff := cmp.Diff(first.Object, got.Object); diff != "" {
			t.Errorf("patch %s changed something:\n%s", body, diff)
		}
	}
	// And the server-side apply of the same content, by the same or another manager, changes no generation.
	got := must(client.Apply(t.Context(), "hello", manifest, metav1.ApplyOptions{FieldManager: "flux", Force: true}))(t)
	if got.GetGeneration() != 1 || str(got, "status", "version") != str(first, "status", "version") {
		t.Errorf("generation %d, version %s after a server-side apply", got.GetGeneration(), str(got, "status", "version"))
	}
}

func TestStatus(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	app := must(client.Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	version := str(app, "status", "version")
	setImage(app, "ghcr.io/acme/other:1")
	_ = unstructured.SetNestedField(app.Object, "Deployed", "status", "phase")
	_ = unstructured.SetNestedField(app.Object, "elsewhere", "status", "lattice")
	_ = unstructured.SetNestedField(app.Object, "mine", "status", "version")
	_ = unstructured.SetNestedSlice(app.Object, nil, "status", "conditions")
	app.SetLabels(map[string]string{"a": "b"})
	got := must(client.UpdateStatus(t.Context(), app, metav1.UpdateOptions{}))(t)
	if str(got, "status", "phase") != "Deployed" {
		t.Errorf("phase %q", str(got, "status", "phase"))
	}
	if str(got, "status", "lattice") != "default" || str(got, "status", "version") != version {
		t.Errorf("the registry's own fields were changed: %v", got.Object["status"])
	}
	if conditions, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions"); len(conditions) != 1 {
		t.Errorf("LatticeResolved was dropped: %v", conditions)
	}
	if got.GetGeneration() != 1 || got.GetLabels()["a"] != "" || image(got) != "ghcr.io/acme/hello:0.1.0" {
		t.Errorf("a write of status changed more than status: %v", got.Object)
	}
	_, err := client.Patch(t.Context(), "nobody", types.MergePatchType, []byte(`{"status":{}}`), metav1.PatchOptions{}, "status")
	if !apierrors.IsNotFound(err) {
		t.Errorf("status of nobody: %v", err)
	}
	selected := must(w.apps("").List(t.Context(), metav1.ListOptions{FieldSelector: "status.phase=Deployed,status.lattice=default"}))(t)
	if len(selected.Items) != 1 {
		t.Errorf("%d applications by field selector", len(selected.Items))
	}
	selected = must(w.apps("").List(t.Context(), metav1.ListOptions{FieldSelector: "status.phase=Failed"}))(t)
	if len(selected.Items) != 0 {
		t.Errorf("%d applications by a field selector that none matches", len(selected.Items))
	}
	if _, err := w.apps("").List(t.Context(), metav1.ListOptions{FieldSelector: "spec.nonsense=1"}); !apierrors.IsBadRequest(err) {
		t.Errorf("unknown field selector: %v", err)
	}
}

func TestDelete(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	for i := range 5 {
		must(client.Create(t.Context(), hello(fmt.Sprintf("app-%d", i)), metav1.CreateOptions{}))(t)
	}
	must(w.apps("team-b").Create(t.Context(), hello("team-b-app"), metav1.CreateOptions{}))(t)
	wrong := types.UID("another")
	err := client.Delete(t.Context(), "app-0", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}})
	if !apierrors.IsConflict(err) {
		t.Errorf("delete of another uid: %v", err)
	}
	if err := client.Delete(t.Context(), "app-0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.Delete(t.Context(), "app-0", metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("delete twice: %v", err)
	}
	if err := client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	left := must(w.apps("").List(t.Context(), metav1.ListOptions{}))(t)
	if len(left.Items) != 1 || left.Items[0].GetNamespace() != "team-b" {
		t.Errorf("left after deletecollection: %v", left.Items)
	}
}

func TestFinalizers(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	app := hello("hello")
	app.SetFinalizers([]string{"example.com/wait"})
	must(client.Create(t.Context(), app, metav1.CreateOptions{}))(t)
	foreground := metav1.DeletePropagationForeground
	if err := client.Delete(t.Context(), "hello", metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		t.Fatal(err)
	}
	got := must(client.Get(t.Context(), "hello", metav1.GetOptions{}))(t)
	if got.GetDeletionTimestamp() == nil || len(got.GetFinalizers()) != 2 {
		t.Errorf("finalizers %v, deletion %v", got.GetFinalizers(), got.GetDeletionTimestamp())
	}
	if len(w.teardowns.all()) != 0 {
		t.Error("a teardown was recorded before the finalizers were gone")
	}
	must(client.Patch(t.Context(), "hello", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}))(t)
	if _, err := client.Get(t.Context(), "hello", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after the last finalizer: %v", err)
	}
	if len(w.teardowns.all()) != 1 {
		t.Errorf("%d teardowns", len(w.teardowns.all()))
	}
}

func TestWatch(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	must(client.Create(t.Context(), hello("before"), metav1.CreateOptions{}))(t)
	list := must(client.List(t.Context(), metav1.ListOptions{}))(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	events := must(client.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}))(t)
	defer events.Stop()
	must(client.Create(t.Context(), hello("during"), metav1.CreateOptions{}))(t)
	must(client.Patch(t.Context(), "during", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}))(t)
	if err := client.Delete(t.Context(), "during", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted} {
		event, ok := <-events.ResultChan()
		if !ok || event.Type != want || event.Object.(*unstructured.Unstructured).GetName() != "during" {
			t.Fatalf("want %s, got %v %v", want, event.Type, event.Object)
		}
	}
	yes := true
	initial := must(client.Watch(ctx, metav1.ListOptions{
		SendInitialEvents: &yes, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	}))(t)
	defer initial.Stop()
	for _, want := range []watch.EventType{watch.Added, watch.Bookmark} {
		if event := <-initial.ResultChan(); event.Type != want {
			t.Fatalf("watch-list: want %s, got %v %v", want, event.Type, event.Object)
		}
	}
}

func TestDryRun(t *testing.T) {
	w := start(t)
	client, all := w.apps("team-a"), []string{metav1.DryRunAll}
	must(client.Create(t.Context(), hello("ghost"), metav1.CreateOptions{DryRun: all}))(t)
	must(client.Apply(t.Context(), "ghost", hello("ghost"), metav1.ApplyOptions{FieldManager: "x", DryRun: all}))(t)
	if len(w.claims.held) != 0 {
		t.Errorf("a dry run claimed %v", w.claims.held)
	}
	app := must(client.Create(t.Context(), hello("real"), metav1.CreateOptions{}))(t)
	setImage(app, "ghcr.io/acme/hello:2")
	app.SetAnnotations(map[string]string{"k8s.wasmcloud.dev/deployed-version": "none"})
	if got := must(client.Update(t.Context(), app, metav1.UpdateOptions{DryRun: all}))(t); got.GetGeneration() != 2 {
		t.Errorf("dry run shows generation %d", got.GetGeneration())
	}
	if err := client.Delete(t.Context(), "real", metav1.DeleteOptions{DryRun: all}); err != nil {
		t.Fatal(err)
	}
	if err := client.DeleteCollection(t.Context(), metav1.DeleteOptions{DryRun: all}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	list := must(client.List(t.Context(), metav1.ListOptions{}))(t)
	if len(list.Items) != 1 || list.Items[0].GetGeneration() != 1 || len(w.teardowns.all()) != 0 || len(w.revisions("team-a")) != 1 {
		t.Errorf("dry runs left: %d applications, teardowns %v, %d revisions", len(list.Items), w.teardowns.all(), len(w.revisions("team-a")))
	}
}

func TestGenerateNameAndPages(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	for range 7 {
		app := hello("")
		app.SetGenerateName("gen-")
		must(client.Create(t.Context(), app, metav1.CreateOptions{}))(t)
	}
	seen, next := map[string]bool{}, ""
	for {
		page := must(client.List(t.Context(), metav1.ListOptions{Limit: 3, Continue: next}))(t)
		for _, item := range page.Items {
			seen[item.GetName()] = true
		}
		if next = page.GetContinue(); next == "" {
			break
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d of 7 in pages: %v", len(seen), seen)
	}
}

// helpers of all tests

func (w *world) apps(namespace string) dynamic.ResourceInterface {
	return w.dynamic().Resource(applicationsGVR).Namespace(namespace)
}

func (w *world) revisions(namespace string) []unstructured.Unstructured {
	w.t.Helper()
	list, err := w.dynamic().Resource(revisionsGVR).Namespace(namespace).List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func str(u *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(u.Object, path...)
	return s
}

func setImage(u *unstructured.Unstructured, ref string) {
	components, _, _ := unstructured.NestedSlice(u.Object, "spec", "components")
	components[0].(map[string]any)["properties"].(map[string]any)["image"] = ref
	_ = unstructured.SetNestedSlice(u.Object, components, "spec", "components")
}

func image(u *unstructured.Unstructured) string {
	components, _, _ := unstructured.NestedSlice(u.Object, "spec", "components")
	return components[0].(map[string]any)["properties"].(map[string]any)["image"].(string)
}
