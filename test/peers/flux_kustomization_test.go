//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kustomization is a Kustomization of Flux and its source.
type kustomization struct {
	lab       *lab
	sources   *sources
	namespace string
	name      string
	git       *repository
	// wait says whether Flux waits for the health of what it applied, expressions how it is told.
	wait        bool
	expressions []any
}

// newKustomization prunes, and waits for health.
func newKustomization(t *testing.T, l *lab, s *sources, namespace string) *kustomization {
	t.Helper()
	return &kustomization{lab: l, sources: s, namespace: namespace, name: namespace, git: newRepository(t), wait: true}
}

// push commits files, publishes the commit, and returns its revision.
func (k *kustomization) push(t *testing.T, files map[string]string) string {
	t.Helper()
	revision := k.sources.publish(t, k.lab, k.namespace, k.name, k.git, k.git.commit(t, files))
	u := object(t, fmt.Sprintf(`
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {namespace: %s, name: %s}
spec:
  interval: 1h
  retryInterval: 2s
  timeout: 90s
  path: ./
  prune: true
  wait: %t
  sourceRef: {kind: GitRepository, name: %[2]s}
`, k.namespace, k.name, k.wait))
	if k.expressions != nil {
		if err := unstructured.SetNestedSlice(u.Object, k.expressions, "spec", "healthCheckExprs"); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.lab.client.Create(t.Context(), u); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return revision
}

func (k *kustomization) get(ctx context.Context) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("kustomize.toolkit.fluxcd.io/v1")
	u.SetKind("Kustomization")
	return u, k.lab.client.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: k.name}, u)
}

// applied waits until the revision is applied, and everything of it healthy.
func (k *kustomization) applied(t *testing.T, revision string) {
	t.Helper()
	eventually(t, "Flux has applied "+revision, func(ctx context.Context) string {
		u, err := k.get(ctx)
		if err != nil {
			return err.Error()
		}
		if text(u, "status", "lastAppliedRevision") != revision || condition(u, "Ready") != "True" {
			return fmt.Sprint(u.Object["status"])
		}
		return ""
	})
}

// again asks for a reconciliation, as `flux reconcile` does, and waits for its end.
func (k *kustomization) again(t *testing.T) {
	t.Helper()
	asked := time.Now().Format(time.RFC3339Nano)
	u, err := k.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := u.DeepCopy()
	u.SetAnnotations(map[string]string{"reconcile.fluxcd.io/requestedAt": asked})
	if err := k.lab.client.Patch(t.Context(), u, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Flux has reconciled again", func(ctx context.Context) string {
		u, err := k.get(ctx)
		if err != nil {
			return err.Error()
		}
		if text(u, "status", "lastHandledReconcileAt") != asked || condition(u, "Ready") != "True" {
			return fmt.Sprint(u.Object["status"])
		}
		return ""
	})
}
