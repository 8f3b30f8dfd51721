package apiserver

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/dynamic"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// kubectlApply is `kubectl apply` of newer versions, client side: create with the annotation of what was applied, later
// the strategic patch of three ways with the server's own schema.
func (w *world) kubectlApply(client dynamic.ResourceInterface, app *unstructured.Unstructured) *unstructured.Unstructured {
	w.t.Helper()
	return w.clientApply(client, app, types.StrategicMergePatchType)
}

// clientApply applies with a patch of one kind: strategic as kubectl, merge as Argo CD does for kinds it does not know.
func (w *world) clientApply(client dynamic.ResourceInterface, app *unstructured.Unstructured, kind types.PatchType) *unstructured.Unstructured {
	w.t.Helper()
	app = app.DeepCopy()
	original := asJSON(app.Object)
	annotations := app.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	// kubectl's own encoding ends with a line break.
	annotations[lastAppliedAnnotation] = string(original) + "\n"
	app.SetAnnotations(annotations)
	live, err := client.Get(w.t.Context(), app.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return must(client.Create(w.t.Context(), app, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"}))(w.t)
	}
	must(live, err)(w.t)
	last := []byte(live.GetAnnotations()[lastAppliedAnnotation])
	var patch []byte
	if kind == types.MergePatchType {
		patch, err = jsonmergepatch.CreateThreeWayJSONMergePatch(last, asJSON(app.Object), asJSON(live.Object))
	} else {
		patch, err = strategicpatch.CreateThreeWayMergePatch(last, asJSON(app.Object), asJSON(live.Object), w.patchMeta(), true)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if string(patch) == "{}" {
		return live // kubectl sends nothing and says unchanged
	}
	return must(client.Patch(w.t.Context(), app.GetName(), kind, patch, metav1.PatchOptions{FieldManager: "kubectl-client-side-apply"}))(w.t)
}

// patchMeta is what kubectl reads of the server's OpenAPI.
func (w *world) patchMeta() strategicpatch.LookupPatchMeta {
	w.t.Helper()
	status, _, body := w.do(w.as("alice"), http.MethodGet, "/openapi/v3/apis/core.oam.dev/v1beta1", "application/json", "")
	if status != http.StatusOK {
		w.t.Fatalf("OpenAPI: %d", status)
	}
	if !strings.Contains(body, string(types.StrategicMergePatchType)) {
		w.t.Fatal("the server no longer takes strategic patches; kubectl then sends merge patches, and this test shows nothing")
	}
	var doc spec3.OpenAPI
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		w.t.Fatal(err)
	}
	var found *spec.Schema
	for name, s := range doc.Components.Schemas {
		if strings.HasSuffix(name, ".Application") {
			found = s
		}
	}
	if found == nil {
		w.t.Fatal("no schema of Application")
	}
	return strategicpatch.PatchMetaFromOpenAPIV3{Schema: found, SchemaList: doc.Components.Schemas}
}

// sparse is a manifest without nulls in free-form parts: neither kind of patch can write one, for any resource.
func (m manifests) sparse(name string) *unstructured.Unstructured {
	for {
		app := m.application(name)
		if !strings.Contains(string(asJSON(app.Object)), "null") {
			return app
		}
	}
}

// Applying one random manifest after another leaves exactly the last one, and applying it again writes nothing at all,
// client side by either kind of patch and server side.
func TestApplyOneAfterAnother(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 5
	}
	for _, how := range []string{"strategic", "merge", "server-side"} {
		t.Run(how, func(t *testing.T) {
			w := start(t)
			client := w.apps("team-a")
			apply := func(app *unstructured.Unstructured) *unstructured.Unstructured {
				switch how {
				case "strategic":
					return w.clientApply(client, app, types.StrategicMergePatchType)
				case "merge":
					return w.clientApply(client, app, types.MergePatchType)
				}
				return must(client.Apply(t.Context(), app.GetName(), app, metav1.ApplyOptions{FieldManager: "flux", Force: true}))(t)
			}
			for seed := range rounds {
				m := manifests{rand.New(rand.NewPCG(uint64(seed), 17))}
				name := fmt.Sprintf("app-%d", seed)
				for step := range 5 {
					want := m.sparse(name)
					if m.IntN(2) == 0 {
						want.SetAnnotations(map[string]string{"version": fmt.Sprintf("v%d", step), "note": m.text()})
					}
					if m.IntN(2) == 0 {
						want.SetLabels(map[string]string{"step": fmt.Sprint(step)})
					}
					apply(want)
					got := must(client.Get(t.Context(), name, metav1.GetOptions{}))(t)
					if diff := cmp.Diff(normal(t, want.Object["spec"]), normal(t, got.Object["spec"])); diff != "" {
						t.Fatalf("seed %d, step %d: not what was applied (-want +got):\n%s", seed, step, diff)
					}
					annotations := got.GetAnnotations()
					delete(annotations, lastAppliedAnnotation)
					if len(annotations) != len(want.GetAnnotations()) || len(got.GetLabels()) != len(want.GetLabels()) {
						t.Fatalf("seed %d, step %d: metadata %v, applied %v", seed, step, got.Object["metadata"], want.Object["metadata"])
					}
					again := apply(want)
					if again.GetResourceVersion() != got.GetResourceVersion() || again.GetGeneration() != got.GetGeneration() {
						t.Fatalf("seed %d, step %d: applying it again wrote something: generation %d, was %d\n%s", seed, step,
							again.GetGeneration(), got.GetGeneration(), cmp.Diff(got.Object, again.Object))
					}
				}
			}
		})
	}
}
