//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// argoApp is an Application of Argo CD and its repository.
type argoApp struct {
	lab  *lab
	name string
	git  *repository
}

// argoOptions say how Argo CD syncs and compares.
type argoOptions struct {
	// apply is a sync option, such as ServerSideApply=true.
	apply string
	// serverSideDiff compares by a dry run instead of by Argo CD's own means.
	serverSideDiff bool
	// selfHeal takes back what others change.
	selfHeal bool
}

// newArgoApp syncs whatever is committed, prunes included, into a namespace of the same name.
func newArgoApp(t *testing.T, l *lab, name string, o argoOptions, files map[string]string) (a *argoApp, commit string) {
	t.Helper()
	a = &argoApp{lab: l, name: name, git: newRepository(t)}
	commit = a.git.commit(t, files)
	u := object(t, fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  namespace: %s
  name: %s
  annotations: {argocd.argoproj.io/compare-options: ServerSideDiff=%t}
spec:
  project: default
  source: {repoURL: %q, path: ., targetRevision: main}
  destination: {server: "https://kubernetes.default.svc", namespace: %[2]s}
  syncPolicy:
    automated: {prune: true, selfHeal: %[5]t}
    syncOptions: [%[6]s]
`, argoNamespace, name, o.serverSideDiff, a.git.url(), o.selfHeal, o.apply))
	l.create(t, u)
	t.Cleanup(func() { l.remove(t, u) })
	return a, commit
}

func (a *argoApp) get(ctx context.Context) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("argoproj.io/v1alpha1")
	u.SetKind("Application")
	return u, a.lab.client.Get(ctx, client.ObjectKey{Namespace: argoNamespace, Name: a.name}, u)
}

// push commits files and has Argo CD look.
func (a *argoApp) push(t *testing.T, files map[string]string) string {
	t.Helper()
	commit := a.git.commit(t, files)
	a.refresh(t)
	return commit
}

const refreshAnnotation = "argocd.argoproj.io/refresh"

// refresh has Argo CD compare anew, with nothing from its caches, and waits until it has.
func (a *argoApp) refresh(t *testing.T) {
	t.Helper()
	a.patch(t, `{"metadata":{"annotations":{"`+refreshAnnotation+`":"hard"}}}`)
	a.until(t, "has compared anew", func(u *unstructured.Unstructured) bool { return u.GetAnnotations()[refreshAnnotation] == "" })
}

func (a *argoApp) patch(t *testing.T, merge string) {
	t.Helper()
	u, err := a.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.lab.client.Patch(t.Context(), u, client.RawPatch(types.MergePatchType, []byte(merge))); err != nil {
		t.Fatal(err)
	}
}

// until waits for a state of the Application of Argo CD.
func (a *argoApp) until(t *testing.T, what string, reached func(*unstructured.Unstructured) bool) *unstructured.Unstructured {
	t.Helper()
	var u *unstructured.Unstructured
	eventually(t, "Argo CD "+what, func(ctx context.Context) string {
		var err error
		if u, err = a.get(ctx); err != nil {
			return err.Error()
		}
		if !reached(u) {
			return fmt.Sprint(u.Object["status"])
		}
		return ""
	})
	return u
}

// synced waits until a commit is applied and nothing differs from it.
func (a *argoApp) synced(t *testing.T, commit string) *unstructured.Unstructured {
	t.Helper()
	return a.until(t, "is in sync with "+commit, func(u *unstructured.Unstructured) bool {
		return text(u, "status", "sync", "status") == "Synced" && text(u, "status", "sync", "revision") == commit &&
			text(u, "status", "operationState", "phase") == "Succeeded" && text(u, "status", "operationState", "syncResult", "revision") == commit
	})
}

// healthy waits until Argo CD gives the application this health.
func (a *argoApp) healthy(t *testing.T, want string) {
	t.Helper()
	a.until(t, "sees health "+want, func(u *unstructured.Unstructured) bool { return text(u, "status", "health", "status") == want })
}

// syncAgain asks for a sync of a commit that is synced, as the button does, and waits for its end.
func (a *argoApp) syncAgain(t *testing.T, commit string) {
	t.Helper()
	u, err := a.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	finished := text(u, "status", "operationState", "finishedAt")
	// Argo CD tells one sync from the next by whole seconds.
	eventually(t, "the next second", func(context.Context) string {
		if at, err := time.Parse(time.RFC3339, finished); err != nil || time.Since(at) < 2*time.Second {
			return finished
		}
		return ""
	})
	options, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "syncPolicy", "syncOptions")
	a.patch(t, fmt.Sprintf(`{"operation":{"initiatedBy":{"username":"peers"},"sync":{"revision":%q,"syncOptions":[%q]}}}`, commit, strings.Join(options, `","`)))
	a.until(t, "has synced again", func(u *unstructured.Unstructured) bool {
		return text(u, "status", "operationState", "phase") == "Succeeded" && text(u, "status", "operationState", "finishedAt") != finished
	})
}
