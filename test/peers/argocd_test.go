//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const clientSide, serverSide = "ServerSideApply=false", "ServerSideApply=true"

// TestArgoCD runs the real application controller and repo-server.
func TestArgoCD(t *testing.T) {
	l := newLab(t)
	startArgo(t, l)
	t.Run("sync, health and prune", func(t *testing.T) { argoLife(t, l) })
	for _, apply := range []string{clientSide, serverSide, "Replace=true"} {
		for _, diff := range []bool{false, true} {
			t.Run(fmt.Sprintf("no difference, %s, ServerSideDiff=%t", apply, diff), func(t *testing.T) {
				argoDifference(t, l, argoOptions{apply: apply, serverSideDiff: diff})
			})
		}
	}
	t.Run("health of host groups", func(t *testing.T) { argoHostGroup(t, l) })
	t.Run("waves", func(t *testing.T) { argoWaves(t, l) })
	t.Run("pinned", func(t *testing.T) { argoPinned(t, l) })
}

// argoLife: what Git says runs, health follows Trellis, drift is mended, and what leaves Git goes.
func argoLife(t *testing.T, l *lab) {
	ns := l.namespace(t, "life")
	stays, goes := manifest{namespace: ns, name: ns + "-stays", instances: 2}, manifest{namespace: ns, name: ns + "-goes", instances: 1}
	a, commit := newArgoApp(t, l, ns, argoOptions{apply: clientSide, selfHeal: true}, map[string]string{"stays.yaml": stays.yaml(), "goes.yaml": goes.yaml()})
	a.synced(t, commit)
	a.healthy(t, "Healthy")
	before := l.ready(t, ns, stays.name)
	for kind, want := range map[string]string{
		"app": "application.core.oam.dev/" + stays.name, "applications": "application.core.oam.dev/" + stays.name,
		"applications.argoproj.io": "application.argoproj.io/" + ns,
	} {
		if got := l.kubectl(t, "get", kind, "-A", "-o", "name"); !strings.Contains(got, want) {
			t.Errorf("kubectl get %s shows %q; want %s among it", kind, got, want)
		}
	}

	drifted := client.RawPatch(types.JSONPatchType, []byte(`[{"op": "replace", "path": "/spec/components/0/traits/0/properties/instances", "value": 7}]`))
	if err := l.client.Patch(t.Context(), before.DeepCopy(), drifted, client.FieldOwner("kubectl-edit")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Argo CD has mended the drift", func(ctx context.Context) string {
		app, err := l.application(ctx, ns, stays.name)
		if err != nil {
			return err.Error()
		}
		if got, want := fmt.Sprint(app.Object["spec"]), fmt.Sprint(before.Object["spec"]); got != want {
			return got
		}
		return ""
	})

	a.synced(t, a.push(t, map[string]string{"stays.yaml": stays.yaml()}))
	if _, err := l.application(t.Context(), ns, goes.name); !apierrors.IsNotFound(err) {
		t.Errorf("the application that left Git: %v", err)
	}
	for pin, health := range map[string]string{"none": "Suspended", "no-such-version": "Degraded"} {
		stays.annotations = map[string]string{pinAnnotation: pin}
		a.synced(t, a.push(t, map[string]string{"stays.yaml": stays.yaml()}))
		a.healthy(t, health)
	}
	stays.annotations = nil
	a.synced(t, a.push(t, map[string]string{"stays.yaml": stays.yaml()}))
	a.healthy(t, "Healthy")
}

// argoDifference: after a sync nothing of a manifest with everything in it differs, a second sync writes nothing new,
// and a change by someone else does differ.
func argoDifference(t *testing.T, l *lab, o argoOptions) {
	ns := l.namespace(t, "difference")
	name := ns + "-app"
	a, commit := newArgoApp(t, l, ns, o, map[string]string{"app.yaml": difficult(ns, name), "hosts.yaml": groupInGit(t, ns)})
	a.synced(t, commit)
	a.refresh(t)
	a.synced(t, commit)
	before := l.mustApplication(t, ns, name)
	a.syncAgain(t, commit)
	a.refresh(t)
	a.synced(t, commit)
	after := l.mustApplication(t, ns, name)
	if before.GetGeneration() != after.GetGeneration() || fmt.Sprint(before.Object["spec"]) != fmt.Sprint(after.Object["spec"]) {
		t.Errorf("a second sync changed the application:\n%v\n%v", before.Object, after.Object)
	}
	patch := client.RawPatch(types.JSONPatchType, []byte(`[{"op": "replace", "path": "/spec/components/1/traits/0/properties/replicas", "value": 4}]`))
	if err := l.client.Patch(t.Context(), after, patch, client.FieldOwner("kubectl-edit")); err != nil {
		t.Fatal(err)
	}
	a.until(t, "sees the change by someone else", func(u *unstructured.Unstructured) bool { return text(u, "status", "sync", "status") == "OutOfSync" })
}

// argoHostGroup: a host group is healthy when its hosts are there, which without nodes never happens.
func argoHostGroup(t *testing.T, l *lab) {
	ns := l.namespace(t, "group")
	a, commit := newArgoApp(t, l, ns, argoOptions{apply: serverSide}, map[string]string{"hosts.yaml": groupInGit(t, ns)})
	a.synced(t, commit)
	eventually(t, "Trellis has looked at the host group", func(ctx context.Context) string {
		group := hostGroup(ns, inGit, "")
		if err := l.client.Get(ctx, client.ObjectKeyFromObject(group), group); err != nil || condition(group, "Ready") == "" {
			return fmt.Sprint(err, group.Object["status"])
		}
		return ""
	})
	if a.refresh(t); l.plane == nil {
		a.healthy(t, "Healthy")
	} else {
		a.healthy(t, "Progressing")
	}
}

// argoWaves: a wave waits until the applications of the one before are healthy.
func argoWaves(t *testing.T, l *lab) {
	ns := l.namespace(t, "waves")
	wave := func(name, number, zone string) manifest {
		return manifest{namespace: ns, name: ns + "-" + name, instances: 1, zone: zone, annotations: map[string]string{"argocd.argoproj.io/sync-wave": number}}
	}
	first, second := wave("first", "0", ns), wave("second", "1", "")
	a, commit := newArgoApp(t, l, ns, argoOptions{apply: clientSide}, map[string]string{"first.yaml": first.yaml(), "second.yaml": second.yaml()})
	a.until(t, "waits for the first wave", func(u *unstructured.Unstructured) bool {
		return text(u, "status", "operationState", "phase") == "Running" &&
			strings.Contains(text(u, "status", "operationState", "message"), "waiting for healthy state of core.oam.dev/Application/"+first.name)
	})
	if app := l.mustApplication(t, ns, first.name); condition(app, "Ready") == "True" {
		t.Errorf("the first wave is ready without a host for it: %v", app.Object["status"])
	}
	if _, err := l.application(t.Context(), ns, second.name); !apierrors.IsNotFound(err) {
		t.Errorf("the second wave came before the first was healthy: %v", err)
	}
	l.lateHost(t, ns, ns)
	a.synced(t, commit)
	a.healthy(t, "Healthy")
	l.ready(t, ns, second.name)
}

// argoPinned: commits that change the spec and keep the pin deploy nothing; the commit that moves the pin does.
func argoPinned(t *testing.T, l *lab) {
	ns := l.namespace(t, "pinned")
	var a *argoApp
	pinned(t, l, ns, func(m manifest) {
		files := map[string]string{"app.yaml": m.yaml()}
		var commit string
		if a == nil {
			a, commit = newArgoApp(t, l, ns, argoOptions{apply: serverSide, selfHeal: true}, files)
		} else {
			commit = a.push(t, files)
		}
		a.synced(t, commit)
		a.healthy(t, "Healthy")
	})
}
