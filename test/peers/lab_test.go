//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/test/controlplane"
)

// lab is a cluster with Trellis in it.
type lab struct {
	client     client.WithWatch
	config     *rest.Config
	kubeconfig string
	// plane is the control plane of the test's own, nil where KUBECONFIG names a cluster.
	plane *controlplane.Plane
}

// newLab makes the control plane, or takes the cluster that was named. Bound are the namespaces of the lattice in a control
// plane of the test's own; all if none is named.
func newLab(t *testing.T, bound ...string) *lab {
	t.Helper()
	l := &lab{kubeconfig: os.Getenv("KUBECONFIG")}
	if l.kubeconfig == "" {
		l.startPlane(t, bound)
	} else {
		config, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		l.config = config
	}
	l.config.QPS, l.config.Burst = 200, 400
	var err error
	if l.client, err = client.NewWithWatch(l.config, client.Options{}); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) startPlane(t *testing.T, bound []string) {
	t.Helper()
	dir, err := os.MkdirTemp(logs(t), "plane-")
	if err != nil {
		t.Fatal(err)
	}
	plane, err := controlplane.Start(t.Context(), controlplane.Options{
		Kubernetes: required(t, "KUBEBUILDER_ASSETS"), Helm: required(t, "TRELLIS_HELM"),
		Chart: filepath.Join(root(t), "charts", "trellis"), Bin: filepath.Join(root(t), "bin"), Dir: dir, Bound: bound,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
		showEnd(t, filepath.Join(dir, "trellis.log"))
	})
	l.plane, l.config, l.kubeconfig = plane, plane.Config, plane.Kubeconfig
	if err := plane.Host("base", nil); err != nil {
		t.Fatal(err)
	}
}

// namespace makes a namespace that belongs to a lattice with a host, and that goes with the test.
func (l *lab) namespace(t *testing.T, prefix string) string {
	t.Helper()
	name := l.emptyNamespace(t, prefix)
	if l.plane == nil {
		l.create(t, hostGroup(name, "hosts", ""))
	}
	return name
}

// emptyNamespace makes a namespace that goes with the test.
func (l *lab) emptyNamespace(t *testing.T, prefix string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "peers-" + prefix + "-"}}
	if err := l.client.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.remove(t, ns) })
	return ns.Name
}

// remove deletes an object; in a cluster that stays it waits until the object is gone, while whoever has to release it
// still runs.
func (l *lab) remove(t *testing.T, o client.Object) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := l.client.Delete(ctx, o)
	for l.plane == nil && err == nil {
		if err = l.client.Get(ctx, client.ObjectKeyFromObject(o), o); err == nil {
			time.Sleep(interval)
		}
	}
	if err != nil && !apierrors.IsNotFound(err) {
		t.Errorf("%s is not gone: %v", o.GetName(), err)
	}
}

// lateHost adds a host with the label peer=<label> to the lattice of the namespace.
func (l *lab) lateHost(t *testing.T, namespace, label string) {
	t.Helper()
	if l.plane == nil {
		l.create(t, hostGroup(namespace, label, label))
		return
	}
	if err := l.plane.Host(label, map[string]string{"peer": label}); err != nil {
		t.Fatal(err)
	}
}

func hostGroup(namespace, name, label string) *unstructured.Unstructured {
	spec := map[string]any{"lattice": controlplane.Lattice, "version": "1.9.2", "hostReplicas": int64(1)}
	if label != "" {
		spec["hostLabels"] = map[string]any{"peer": label}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "k8s.wasmcloud.dev/v1alpha1", "kind": "WasmCloudHostConfig",
		"metadata": map[string]any{"namespace": namespace, "name": name}, "spec": spec,
	}}
}

func (l *lab) create(t *testing.T, object client.Object) {
	t.Helper()
	if err := l.client.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// application reads an application of Trellis.
func (l *lab) application(ctx context.Context, namespace, name string) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("core.oam.dev/v1beta1")
	u.SetKind("Application")
	return u, l.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, u)
}

// mustApplication is application, which must be there.
func (l *lab) mustApplication(t *testing.T, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	u, err := l.application(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// ready waits until Trellis says that an application is ready in its present form.
func (l *lab) ready(t *testing.T, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	var app *unstructured.Unstructured
	eventually(t, "application "+name+" is ready", func(ctx context.Context) (missing string) {
		var err error
		if app, err = l.application(ctx, namespace, name); err != nil {
			return err.Error()
		}
		if condition(app, "Ready") != "True" || text(app, "status", "observedGeneration") != fmt.Sprint(app.GetGeneration()) {
			return fmt.Sprint(app.Object["status"])
		}
		return ""
	})
	return app
}
