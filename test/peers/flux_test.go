//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestFlux runs the real kustomize-controller.
func TestFlux(t *testing.T) {
	folder := required(t, "TRELLIS_PEER_FLUX")
	l := newLab(t)
	l.define(t, append(definitions(t, filepath.Join(folder, "crds")), sourceDefinitions(t)...)...)
	s := newSources(t)
	start(t, "kustomize-controller", filepath.Join(folder, "kustomize-controller"), []string{"KUBECONFIG=" + l.kubeconfig, "RUNTIME_NAMESPACE=default"},
		"--metrics-addr=0", "--health-addr=127.0.0.1:0", "--requeue-dependency=1s", "--watch-all-namespaces")
	t.Run("apply and health", func(t *testing.T) { fluxHealth(t, l, s) })
	t.Run("again, drift and prune", func(t *testing.T) { fluxLife(t, l, s) })
	t.Run("a difficult manifest", func(t *testing.T) { fluxDifficult(t, l, s) })
	t.Run("undeployed", func(t *testing.T) { fluxUndeployed(t, l, s) })
	t.Run("pinned", func(t *testing.T) { fluxPinned(t, l, s) })
}

// fluxHealth: an application that can't run yet holds the Kustomization back, one that runs does not.
func fluxHealth(t *testing.T, l *lab, s *sources) {
	ns := l.namespace(t, "health")
	k := newKustomization(t, l, s, ns)
	now, later := manifest{namespace: ns, name: ns + "-now", instances: 1}, manifest{namespace: ns, name: ns + "-later", instances: 1, zone: ns}
	revision := k.push(t, map[string]string{"now.yaml": now.yaml(), "later.yaml": later.yaml()})
	l.ready(t, ns, now.name)
	waits(t, k, revision, later.name)
	l.lateHost(t, ns, ns)
	k.applied(t, revision)
	l.ready(t, ns, later.name)

	// The same for a change of one that runs.
	d := l.follow(t, ns, now.name)
	now.zone = ns + "-second"
	revision = k.push(t, map[string]string{"now.yaml": now.yaml(), "later.yaml": later.yaml()})
	waits(t, k, revision, now.name)
	d.seen(t, l, ns, now.name)
	if app := l.mustApplication(t, ns, now.name); d.wasReady(app.GetGeneration()) {
		t.Errorf("generation %d of %s was said to be ready for a moment", app.GetGeneration(), now.name)
	}
	l.lateHost(t, ns, now.zone)
	k.applied(t, revision)
}

// waits waits until Flux has applied a revision and waits for the health of an application.
func waits(t *testing.T, k *kustomization, revision, name string) {
	t.Helper()
	eventually(t, "Flux waits for the application that has no host", func(ctx context.Context) string {
		u, err := k.get(ctx)
		if err != nil {
			return err.Error()
		}
		if text(u, "status", "lastAttemptedRevision") != revision || condition(u, "Ready") == "True" || condition(u, "Reconciling") != "True" {
			return fmt.Sprint(u.Object["status"])
		}
		app, err := k.lab.application(ctx, k.namespace, name)
		if err != nil || condition(app, "Ready") != "False" || text(app, "status", "observedGeneration") != fmt.Sprint(app.GetGeneration()) {
			return fmt.Sprintf("application %s: %v, %v", name, app.Object["status"], err)
		}
		return ""
	})
}

// fluxLife: reconciling again writes nothing, what others change goes back to what Git says, and what leaves Git goes.
func fluxLife(t *testing.T, l *lab, s *sources) {
	ns := l.namespace(t, "life")
	k := newKustomization(t, l, s, ns)
	stays, goes := manifest{namespace: ns, name: ns + "-stays", instances: 2}, manifest{namespace: ns, name: ns + "-goes", instances: 1}
	k.applied(t, k.push(t, map[string]string{"stays.yaml": stays.yaml(), "goes.yaml": goes.yaml()}))

	before := l.ready(t, ns, stays.name)
	k.again(t)
	if after := l.mustApplication(t, ns, stays.name); after.GetResourceVersion() != before.GetResourceVersion() {
		t.Errorf("reconciling without a change wrote the application:\n%v\n%v", before.Object, after.Object)
	}

	drifted := client.RawPatch(types.JSONPatchType, []byte(`[
		{"op": "replace", "path": "/spec/components/0/traits/0/properties/instances", "value": 7},
		{"op": "add", "path": "/spec/components/-", "value": {"name": "greeter2", "type": "component", "properties": {"image": "ghcr.io/trellis-operator/hello:0.1.0"}}},
		{"op": "add", "path": "/metadata/labels", "value": {"by": "someone"}}]`))
	if err := l.client.Patch(t.Context(), before.DeepCopy(), drifted, client.FieldOwner("kubectl-edit")); err != nil {
		t.Fatal(err)
	}
	k.again(t)
	mended := l.ready(t, ns, stays.name)
	if got, want := fmt.Sprint(mended.Object["spec"]), fmt.Sprint(before.Object["spec"]); got != want {
		t.Errorf("after drift: %s\nwant: %s", got, want)
	}

	k.applied(t, k.push(t, map[string]string{"stays.yaml": stays.yaml()}))
	if _, err := l.application(t.Context(), ns, goes.name); !apierrors.IsNotFound(err) {
		t.Errorf("the application that left Git: %v", err)
	}
	if after := l.mustApplication(t, ns, stays.name); after.GetGeneration() != mended.GetGeneration() {
		t.Error("pruning another one changed the application that stays")
	}
}

// fluxDifficult: nothing of a manifest with everything in it looks like drift to Flux. It is not meant to run.
func fluxDifficult(t *testing.T, l *lab, s *sources) {
	ns := l.namespace(t, "difficult")
	k := newKustomization(t, l, s, ns)
	k.wait = false
	name := ns + "-app"
	k.applied(t, k.push(t, map[string]string{"app.yaml": difficult(ns, name), "hosts.yaml": groupInGit(t, ns)}))
	before := l.mustApplication(t, ns, name)
	k.again(t)
	other := manifest{namespace: ns, name: ns + "-other", instances: 1}
	k.applied(t, k.push(t, map[string]string{"app.yaml": difficult(ns, name), "hosts.yaml": groupInGit(t, ns), "other.yaml": other.yaml()}))
	after := l.mustApplication(t, ns, name)
	if after.GetGeneration() != before.GetGeneration() || fmt.Sprint(after.Object["spec"]) != fmt.Sprint(before.Object["spec"]) {
		t.Errorf("applying the same again changed the application:\n%v\n%v", before.Object, after.Object)
	}
	if got, want := applied(after), applied(before); got != want {
		t.Errorf("applying the same again wrote the application at %s; Flux wrote it at %s", got, want)
	}
}

// applied is when Flux last wrote an object.
func applied(u *unstructured.Unstructured) string {
	for _, m := range u.GetManagedFields() {
		if m.Manager == "kustomize-controller" && m.Subresource == "" {
			return m.Time.String()
		}
	}
	return "never"
}

// fluxUndeployed: with the expressions of the example an application that is meant not to run is no reason to wait, and
// one that cannot run as it stands is a failure at once.
func fluxUndeployed(t *testing.T, l *lab, s *sources) {
	ns := l.namespace(t, "undeployed")
	k := newKustomization(t, l, s, ns)
	text, err := os.ReadFile(filepath.Join(root(t), "examples", "flux", "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	k.expressions, _, err = unstructured.NestedSlice(object(t, string(text)).Object, "spec", "healthCheckExprs")
	if err != nil || len(k.expressions) == 0 {
		t.Fatalf("the example has no expressions: %v", err)
	}
	m := manifest{namespace: ns, name: ns + "-app", instances: 1}
	k.applied(t, k.push(t, map[string]string{"app.yaml": m.yaml()}))
	m.annotations = map[string]string{pinAnnotation: "none"}
	k.applied(t, k.push(t, map[string]string{"app.yaml": m.yaml()}))
	if app := l.mustApplication(t, ns, m.name); app.Object["status"].(map[string]any)["phase"] != "Undeployed" {
		t.Errorf("Flux did not wait until the application was undeployed: %v", app.Object["status"])
	}
	m.annotations = map[string]string{pinAnnotation: "no-such-version"}
	k.push(t, map[string]string{"app.yaml": m.yaml()})
	eventually(t, "Flux reports the failure", func(ctx context.Context) string {
		u, err := k.get(ctx)
		if err != nil {
			return err.Error()
		}
		if status := fmt.Sprint(u.Object["status"]); condition(u, "Ready") != "False" || !strings.Contains(status, "HealthCheckFailed") {
			return status
		}
		return ""
	})
}

// fluxPinned: commits that change the spec and keep the pin deploy nothing; the commit that moves the pin does.
func fluxPinned(t *testing.T, l *lab, s *sources) {
	ns := l.namespace(t, "pinned")
	k := newKustomization(t, l, s, ns)
	pinned(t, l, ns, func(m manifest) { k.applied(t, k.push(t, map[string]string{"app.yaml": m.yaml()})) })
}
