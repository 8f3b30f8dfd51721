package apiserver

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// versionOf is hello with a version, an explicit id and the annotations of the take-over.
func versionOf(name, version, id, deployed string) *unstructured.Unstructured {
	app := hello(name)
	components, _, _ := unstructured.NestedSlice(app.Object, "spec", "components")
	components[1].(map[string]any)["properties"].(map[string]any)["id"] = id
	_ = unstructured.SetNestedSlice(app.Object, components, "spec", "components")
	app.SetAnnotations(map[string]string{
		v1beta1.VersionAnnotation: version, v1beta1.WashDeployedVersionAnnotation: deployed, v1beta1.WadmImportAnnotation: v1beta1.WadmImportRunning,
	})
	setLattice(app, "default")
	return app
}

func resolvedReason(app *unstructured.Unstructured) (reason, message string) {
	list, _, _ := unstructured.NestedSlice(app.Object, "status", "conditions")
	for _, c := range list {
		if c := c.(map[string]any); c["type"] == v1beta1.ConditionLatticeResolved {
			return c["reason"].(string), c["message"].(string)
		}
	}
	return "", ""
}

// The take-over from wadm writes what newer rules refuse, version by version, in no lattice and without a claim; its last
// write enters the lattice, with the claims of what is current and of what is deployed alone.
func TestImport(t *testing.T) {
	w := start(t)
	itself := dynamic.NewForConfigOrDie(w.server.LoopbackConfig()).Resource(applicationsGVR).Namespace("team-a")
	first := versionOf("shop", "v1", "an id that newer rules refuse", "v2")
	app := must(itself.Create(t.Context(), first, metav1.CreateOptions{}))(t)
	for _, version := range []string{"v2", "v3"} {
		next := versionOf("shop", version, "id-of-"+version, "v2")
		next.SetResourceVersion(app.GetResourceVersion())
		app = must(itself.Update(t.Context(), next, metav1.UpdateOptions{}))(t)
	}
	if reason, _ := resolvedReason(app); reason != reasonImporting || str(app, "status", "lattice") != "" || len(w.claims.keys()) != 0 {
		t.Errorf("before the last write: %s in lattice %q, claims %v", reason, str(app, "status", "lattice"), w.claims.keys())
	}
	if got := w.versions("team-a"); !slices.Equal(got, []string{"v1", "v2", "v3"}) {
		t.Errorf("the versions are %v", got)
	}
	app.SetAnnotations(map[string]string{
		v1beta1.VersionAnnotation: "v3", v1beta1.WashDeployedVersionAnnotation: "v2", v1beta1.WadmImportAnnotation: v1beta1.WadmImportDone,
	})
	app = must(itself.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if reason, _ := resolvedReason(app); reason != "Bound" && reason != "Named" || str(app, "status", "lattice") != "default" {
		t.Errorf("after the last write: %s in lattice %q", reason, str(app, "status", "lattice"))
	}
	if got, want := w.claims.keys(), []string{"default/id/id-of-v2", "default/id/id-of-v3", "default/name/shop"}; !slices.Equal(got, want) {
		t.Errorf("claims %v, want %v", got, want)
	}
	if len(w.teardowns.all()) != 0 {
		t.Errorf("the take-over wrote teardowns: %v", w.teardowns.all())
	}
}

// An application whose names others hold comes along all the same, in no lattice, with a condition that names nobody.
func TestImport_NameConflict(t *testing.T) {
	w := start(t)
	must(w.apps("secret").Create(t.Context(), hello("my-shop"), metav1.CreateOptions{}))(t)
	itself := dynamic.NewForConfigOrDie(w.server.LoopbackConfig()).Resource(applicationsGVR).Namespace("team-a")
	app := must(itself.Create(t.Context(), versionOf("my_shop", "v1", "some-id", "v1"), metav1.CreateOptions{}))(t)
	annotations := app.GetAnnotations()
	annotations[v1beta1.WadmImportAnnotation] = v1beta1.WadmImportDone
	app.SetAnnotations(annotations)
	app = must(itself.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	reason, message := resolvedReason(app)
	if reason != reasonNameConflict || strings.Contains(message, "secret") || str(app, "status", "lattice") != "" {
		t.Errorf("%s: %s; lattice %q", reason, message, str(app, "status", "lattice"))
	}
}

// Nobody else keeps an application out of its lattice, or says that one came from wadm.
func TestImport_IsTheServersOwn(t *testing.T) {
	w := start(t)
	for name, client := range map[string]dynamic.ResourceInterface{
		"by-kubectl": w.apps("team-a"), "by-wash": w.wash("default").Resource(applicationsGVR).Namespace("team-a"),
	} {
		app := must(client.Create(t.Context(), versionOf(name, "v1", name, ""), metav1.CreateOptions{}))(t)
		if app.GetAnnotations()[v1beta1.WadmImportAnnotation] != "" || str(app, "status", "lattice") != "default" {
			t.Errorf("%s: annotations %v, lattice %q", name, app.GetAnnotations(), str(app, "status", "lattice"))
		}
	}
	itself := dynamic.NewForConfigOrDie(w.server.LoopbackConfig()).Resource(applicationsGVR).Namespace("team-a")
	app := must(itself.Create(t.Context(), versionOf("shop", "v1", "i", "v1"), metav1.CreateOptions{}))(t)
	app.SetAnnotations(map[string]string{v1beta1.VersionAnnotation: "v1"})
	app = must(w.apps("team-a").Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if app.GetAnnotations()[v1beta1.WadmImportAnnotation] != v1beta1.WadmImportRunning {
		t.Errorf("a user ended the take-over: %v", app.GetAnnotations())
	}
}
