package apiserver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// running is what the orchestrator would make run for an application as it is stored: the image of its component, or
// nothing, or `?` where the version to run has no revision.
func (w *world) running(name string) string {
	w.t.Helper()
	app := must(w.apps("team-a").Get(w.t.Context(), name, metav1.GetOptions{}))(w.t)
	wanted := manifest.Deployed(app.GetAnnotations())
	switch {
	case wanted.Undeployed:
		return ""
	case wanted.Version == "" || wanted.Version == str(app, "status", "version"):
		return image(app)
	}
	rev, err := w.dynamic().Resource(revisionsGVR).Namespace("team-a").Get(w.t.Context(), revisionName(name, wanted.Version), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "?"
	}
	return image(must(rev, err)(w.t))
}

// committed is a manifest as Git has it: with an image, annotations and nothing else.
func committed(ref string, annotations map[string]string) *unstructured.Unstructured {
	app := hello("hello")
	setImage(app, ref)
	if len(annotations) > 0 {
		app.SetAnnotations(annotations)
	}
	return app
}

// A pin in Git and ten commits of the spec: nothing is deployed that Git did not ask for, however the commits arrive.
func TestPinInGit(t *testing.T) {
	for _, way := range []string{"client-side apply", "server-side apply", "replace"} {
		for _, named := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, named %t", way, named), func(t *testing.T) {
				w := start(t)
				client := w.apps("team-a")
				apply := func(app *unstructured.Unstructured) {
					switch way {
					case "client-side apply":
						w.kubectlApply(client, app)
					case "server-side apply":
						must(client.Apply(t.Context(), "hello", app, metav1.ApplyOptions{FieldManager: "argocd-controller", Force: true}))(t)
					default:
						live, err := client.Get(t.Context(), "hello", metav1.GetOptions{})
						if apierrors.IsNotFound(err) {
							must(client.Create(t.Context(), app, metav1.CreateOptions{}))(t)
							return
						}
						app = app.DeepCopy()
						app.SetResourceVersion(must(live, err)(t).GetResourceVersion())
						must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
					}
				}
				pinned := map[string]string{"version": "good", v1beta1.DeployedVersionAnnotation: "good"}
				apply(committed("ghcr.io/acme/hello:good", pinned))
				for i := range 12 {
					annotations := map[string]string{v1beta1.DeployedVersionAnnotation: "good"}
					if named {
						annotations["version"] = fmt.Sprintf("v%d", i)
					}
					apply(committed(fmt.Sprintf("ghcr.io/acme/hello:%d", i), annotations))
					if got := w.running("hello"); got != "ghcr.io/acme/hello:good" {
						t.Fatalf("after commit %d, %q is deployed", i, got)
					}
				}
				if got := len(w.revisions("team-a")); got != 10 {
					t.Errorf("%d revisions, want 10", got)
				}
				if got := w.teardowns.all(); len(got) != 0 {
					t.Errorf("teardowns %v", got)
				}
				// Git asks: the newest.
				apply(committed("ghcr.io/acme/hello:11", nil))
				if got := w.running("hello"); got != "ghcr.io/acme/hello:11" {
					t.Errorf("without the pin, %q is deployed", got)
				}
			})
		}
	}
}

// What runs is what was asked for, after any sequence of what users of kubectl and wash do, and it changes with nothing
// else. The model beside it is the rule in a few lines: pin, else wash, else latest.
func TestRandomDeployments(t *testing.T) {
	for seed := range 4 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := start(t)
			kube, wash := w.apps("team-a"), w.wash("default").Resource(applicationsGVR).Namespace("team-a")
			r := rand.New(rand.NewPCG(uint64(seed), 5))
			images := map[string]string{"v0": "ghcr.io/acme/hello:0"} // by version
			latest, pin, washed, count := "v0", "", "", 0
			must(kube.Create(t.Context(), committed(images["v0"], map[string]string{"version": "v0"}), metav1.CreateOptions{}))(t)
			expected := func() string {
				for _, choice := range []string{pin, washed} {
					switch choice {
					case "":
						continue
					case v1beta1.DeployedNone:
						return ""
					case manifest.LatestVersion:
						return images[latest]
					}
					if ref, ok := images[choice]; ok {
						return ref
					}
					return "?"
				}
				return images[latest]
			}
			// change writes through one client; nothing of the state is taken from the answer.
			change := func(client dynamic.ResourceInterface, edit func(app *unstructured.Unstructured, annotations map[string]string)) {
				app := must(client.Get(t.Context(), "hello", metav1.GetOptions{}))(t)
				annotations := app.GetAnnotations()
				if annotations == nil {
					annotations = map[string]string{}
				}
				edit(app, annotations)
				app.SetAnnotations(annotations)
				must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
			}
			next := func() (version, ref string) {
				count++
				version, ref = fmt.Sprintf("v%d", count), fmt.Sprintf("ghcr.io/acme/hello:%d", count)
				images[version] = ref
				return version, ref
			}
			existing := func() string {
				versions := w.versions("team-a")
				return versions[r.IntN(len(versions))]
			}
			for step := range 60 {
				op := r.IntN(9)
				switch op {
				case 0, 1: // a commit of the spec
					version, ref := next()
					change(kube, func(app *unstructured.Unstructured, a map[string]string) { setImage(app, ref); a["version"] = version })
					latest, washed = version, ""
				case 2: // a pin, sometimes to what is not there
					pin = []string{existing(), v1beta1.DeployedNone, manifest.LatestVersion, "nobody"}[r.IntN(4)]
					change(kube, func(_ *unstructured.Unstructured, a map[string]string) { a[v1beta1.DeployedVersionAnnotation] = pin })
				case 3:
					pin = ""
					change(kube, func(_ *unstructured.Unstructured, a map[string]string) { delete(a, v1beta1.DeployedVersionAnnotation) })
				case 4: // wash app put, which deploys nothing: what is deployed is written down
					if washed == "" {
						washed = latest
					}
					version, ref := next()
					change(wash, func(app *unstructured.Unstructured, a map[string]string) {
						setImage(app, ref)
						a["version"], a[v1beta1.WashDeployedVersionAnnotation] = version, washed
					})
					latest = version
				case 5: // wash app deploy
					washed = existing()
					change(wash, func(_ *unstructured.Unstructured, a map[string]string) {
						a[v1beta1.WashDeployedVersionAnnotation] = washed
					})
				case 6: // wash app undeploy
					washed = v1beta1.DeployedNone
					change(wash, func(_ *unstructured.Unstructured, a map[string]string) {
						a[v1beta1.WashDeployedVersionAnnotation] = washed
					})
				case 7: // labels, and a replace that knows nothing of wash
					change(kube, func(app *unstructured.Unstructured, a map[string]string) {
						app.SetLabels(map[string]string{"step": fmt.Sprint(step)})
						for _, key := range washAnnotations {
							delete(a, key)
						}
					})
				case 8: // an attempt at wash's annotation
					change(kube, func(_ *unstructured.Unstructured, a map[string]string) {
						a[v1beta1.WashDeployedVersionAnnotation] = existing()
					})
				}
				if got, want := w.running("hello"), expected(); got != want {
					t.Fatalf("step %d (operation %d): %q is deployed, want %q; pin %q, wash %q, latest %q", step, op, got, want, pin, washed, latest)
				}
			}
		})
	}
}

// A pin to a version that is not there is stored, with a warning that says what there is.
func TestPinWarns(t *testing.T) {
	w := start(t)
	client, warnings := w.warned()
	must(client.Create(t.Context(), committed("x:1", map[string]string{"version": "v1"}), metav1.CreateOptions{}))(t)
	pin := func(version string) string {
		*warnings = nil
		body := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1beta1.DeployedVersionAnnotation, version)
		must(client.Patch(t.Context(), "hello", types.MergePatchType, []byte(body), metav1.PatchOptions{}))(t)
		return strings.Join(*warnings, "\n")
	}
	if got := pin("v9"); !strings.Contains(got, `application "hello" has no version "v9", so what runs does not change`) {
		t.Errorf("warnings %q", got)
	}
	for _, fine := range []string{"v1", "none", "latest"} {
		if got := pin(fine); got != "" {
			t.Errorf("pin %s: %q", fine, got)
		}
	}
}

// Wash's annotations are wash's: a write from Kubernetes neither sets nor drops them, unless it changes the spec.
func TestWashsAnnotations(t *testing.T) {
	w := start(t)
	client, warnings := w.warned()
	created := must(client.Create(t.Context(), committed("x:1", map[string]string{"version": "v1", v1beta1.WashDeployedVersionAnnotation: "none"}), metav1.CreateOptions{}))(t)
	refusals := func() (n int) {
		for _, text := range *warnings {
			if strings.Contains(text, "only wash's requests change it") {
				n++
			}
		}
		return n
	}
	if _, ok := created.GetAnnotations()[v1beta1.WashDeployedVersionAnnotation]; ok || refusals() != 1 {
		t.Errorf("created with %v, warnings %q", created.GetAnnotations(), *warnings)
	}
	washed := created.DeepCopy()
	washed.SetAnnotations(map[string]string{"version": "v1", v1beta1.WashDeployedVersionAnnotation: "none", v1beta1.WashUndeployedAnnotation: "true"})
	must(w.wash("default").Resource(applicationsGVR).Namespace("team-a").Update(t.Context(), washed, metav1.UpdateOptions{}))(t)
	for name, body := range map[string]string{
		"set":  `{"metadata":{"annotations":{"k8s.wasmcloud.dev/wash-deployed-version":"v1"}}}`,
		"drop": `{"metadata":{"annotations":{"k8s.wasmcloud.dev/wash-deployed-version":null}}}`,
	} {
		*warnings = nil
		got := must(client.Patch(t.Context(), "hello", types.MergePatchType, []byte(body), metav1.PatchOptions{}))(t)
		if got.GetAnnotations()[v1beta1.WashDeployedVersionAnnotation] != "none" || got.GetGeneration() != 2 || refusals() != 1 {
			t.Errorf("%s: annotations %v, generation %d, warnings %q", name, got.GetAnnotations(), got.GetGeneration(), *warnings)
		}
	}
	*warnings = nil
	got := must(client.Patch(t.Context(), "hello", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}))(t)
	if len(*warnings) != 0 || got.GetAnnotations()[v1beta1.WashUndeployedAnnotation] != "true" {
		t.Errorf("a label: annotations %v, warnings %q", got.GetAnnotations(), *warnings)
	}
}

// Who goes back is not stopped by what newer rules say of the spec that stays.
func TestRollbackOfWhatNewerRulesRefuse(t *testing.T) {
	w := start(t)
	app := must(w.apps("team-a").Create(t.Context(), committed("x:1", map[string]string{"version": "v1"}), metav1.CreateOptions{}))(t)
	old, changed := typed(t, app), typed(t, app)
	old.Spec.Components[0].Type, changed.Spec.Components[0].Type = "module", "module"
	changed.Annotations[v1beta1.DeployedVersionAnnotation] = "none"
	s := &strategy{namespaceUID: func(string) string { return "" }}
	if errs := s.ValidateUpdate(t.Context(), changed, old); len(errs) != 0 {
		t.Errorf("undeploy: %v", errs)
	}
	changed.Annotations["version"] = "latest"
	if errs := s.ValidateUpdate(t.Context(), changed, old); len(errs) != 1 || errs[0].Field != "metadata.annotations[version]" {
		t.Errorf("version latest: %v", errs)
	}
}

// A version whose derived name somebody used before gets a longer one, never somebody else's content.
func TestDerivedVersionIsNotAnothers(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	app := must(client.Create(t.Context(), committed("x:1", map[string]string{"version": "v1"}), metav1.CreateOptions{}))(t)
	second := committed("x:2", nil)
	digest, err := manifest.Digest(&typed(t, second).Spec)
	if err != nil {
		t.Fatal(err)
	}
	taken := "v1-" + digest[:hashLength]
	setImage(app, "x:other")
	app.SetAnnotations(map[string]string{"version": taken})
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	setImage(app, "x:2")
	app.SetAnnotations(map[string]string{"version": "v1"})
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if got := str(app, "status", "version"); got != "v1-"+digest[:2*hashLength] {
		t.Errorf("version %q, digest %s", got, digest)
	}
}

// A pin hides what wash deployed; it is kept in the history, because it runs again when the pin goes.
func TestHistoryKeepsWhatWashDeployed(t *testing.T) {
	w := start(t)
	wash := w.wash("default").Resource(applicationsGVR).Namespace("team-a")
	app := must(wash.Create(t.Context(), committed("x:1", map[string]string{"version": "v1", v1beta1.WashDeployedVersionAnnotation: "v1"}), metav1.CreateOptions{}))(t)
	for i := range 15 {
		setImage(app, fmt.Sprintf("x:b%d", i))
		app.SetAnnotations(map[string]string{"version": fmt.Sprintf("b%02d", i), v1beta1.WashDeployedVersionAnnotation: "v1", v1beta1.DeployedVersionAnnotation: "b00"})
		app = must(wash.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	}
	if got := w.versions("team-a"); len(got) != 10 || !slices.Contains(got, "v1") || !slices.Contains(got, "b00") || !slices.Contains(got, "b14") {
		t.Errorf("history %v", got)
	}
}

// A move to a lattice that is bound later, where the name is taken: the application stays where it is and says why.
func TestMoveFoundLate(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	app := must(client.Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	setLattice(app, "later")
	must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	w.claims.mu.Lock()
	w.claims.held["later/name/hello"] = Owner{Namespace: "team-b", Name: "hello"}
	w.claims.mu.Unlock()
	w.bindings.set("later")
	var found *unstructured.Unstructured
	w.eventually("the conflict shows", func() error {
		got, err := client.Get(t.Context(), "hello", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if _, reason := resolved(t, got); reason != reasonNameConflict {
			return errors.New(reason)
		}
		found = got
		return nil
	})
	if str(found, "status", "lattice") != "default" || len(w.teardowns.all()) != 0 {
		t.Errorf("the application moved: %v, teardowns %v", found.Object["status"], w.teardowns.all())
	}
	// Looking again and finding the same writes nothing.
	if err := w.server.sweeper.resolve(t.Context()); err != nil {
		t.Error(err)
	}
	again := must(client.Get(t.Context(), "hello", metav1.GetOptions{}))(t)
	if again.GetResourceVersion() != found.GetResourceVersion() {
		t.Errorf("a look that found nothing new was written: %v", again.Object["status"])
	}
	// The name becomes free, and the wish is met.
	w.claims.mu.Lock()
	delete(w.claims.held, "later/name/hello")
	w.claims.mu.Unlock()
	if err := w.server.sweeper.resolve(t.Context()); err != nil {
		t.Error(err)
	}
	moved := must(client.Get(t.Context(), "hello", metav1.GetOptions{}))(t)
	if status, _ := resolved(t, moved); str(moved, "status", "lattice") != "later" || status != metav1.ConditionTrue || len(w.teardowns.all()) != 1 {
		t.Errorf("after the name became free: %v, teardowns %v", moved.Object["status"], w.teardowns.all())
	}
}
