//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestExternalSecrets runs the real External Secrets in the cluster: values of its fake store, and of a Secret of another
// namespace as docs/spec/secrets.md shows it, reach a component by way of the Secrets that it writes.
func TestExternalSecrets(t *testing.T) {
	folder := required(t, "TRELLIS_PEER_EXTERNAL_SECRETS")
	l := newLab(t)
	if l.plane != nil {
		t.Fatal("External Secrets runs in a pod, and there are none: name a cluster with KUBECONFIG; `make test-peers PEER=external-secrets` makes one")
	}
	e := newExternal(t, l)
	l.define(t, definitions(t, filepath.Join(folder, "crds"))...)
	e.write(t, "first")

	// The application is there before its Secrets are.
	app := e.application(t)
	l.create(t, app.object(t))
	app.waitsFor(t, l, "Secret not found")

	e.run(t, filepath.Join(folder, "external-secrets"))
	e.connect(t)

	t.Run("what comes later is waited for", func(t *testing.T) {
		e.written(t, "first")
		app.knows(t, l, e.values("first"))
	})
	t.Run("a refresh alone is no new version", func(t *testing.T) {
		for _, name := range []string{e.copied, e.faked} {
			version := e.secret(t, name).ResourceVersion
			e.refreshed(t, name)
			if now := e.secret(t, name).ResourceVersion; now != version {
				t.Errorf("Secret %s has resourceVersion %s after a refresh without a change; want %s", name, now, version)
			}
		}
	})
	t.Run("a value changes at its source", func(t *testing.T) {
		e.write(t, "second")
		e.written(t, "second")
		app.knows(t, l, e.values("second"))
	})
}

// secret reads a Secret of the application's namespace.
func (e *external) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	if err := e.client.Get(t.Context(), types.NamespacedName{Namespace: e.namespace, Name: name}, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// written waits until the Secrets hold the values of a generation. What they hold is not said.
func (e *external) written(t *testing.T, generation string) {
	t.Helper()
	for name, v := range e.values(generation) {
		eventually(t, fmt.Sprintf("Secret %s has the value that is the %s at its source", v.secret, generation), func(ctx context.Context) string {
			s := &corev1.Secret{}
			if err := e.client.Get(ctx, types.NamespacedName{Namespace: e.namespace, Name: v.secret}, s); err != nil {
				return err.Error() + e.said(ctx)
			}
			if string(s.Data[v.field]) != string(v.value) {
				return "another value for " + name + e.said(ctx)
			}
			return ""
		})
	}
}

// refreshed waits until External Secrets has asked the source of an ExternalSecret once more.
func (e *external) refreshed(t *testing.T, name string) {
	t.Helper()
	before := ""
	eventually(t, "ExternalSecret "+name+" is refreshed", func(ctx context.Context) string {
		u := kind("ExternalSecret")
		if err := e.client.Get(ctx, types.NamespacedName{Namespace: e.namespace, Name: name}, u); err != nil {
			return err.Error()
		}
		at := text(u, "status", "refreshTime")
		if before == "" {
			before = at
		}
		if at == before || condition(u, "Ready") != "True" {
			return fmt.Sprint(u.Object["status"])
		}
		return ""
	})
}

// said is what External Secrets says of its objects.
func (e *external) said(ctx context.Context) string {
	all := ""
	for _, k := range []string{"SecretStore", "ExternalSecret"} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind(k).GroupVersionKind())
		if err := e.client.List(ctx, list, client.InNamespace(e.namespace)); err != nil {
			return all + "; " + err.Error()
		}
		for _, u := range list.Items {
			all += fmt.Sprintf("; %s %s: %v", k, u.GetName(), u.Object["status"])
		}
	}
	return all
}

func kind(name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("external-secrets.io/v1")
	u.SetKind(name)
	return u
}
